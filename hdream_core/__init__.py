"""DreamerV2 and HarmonyDream in PyTorch, online and on a fixed buffer."""

import sys

from hdream_core.support import extras

if sys.argv[0] == "-m":  # a command of this package; its balancers alone need no more than PyTorch
    extras.demand(__name__)
