"""Fixed buffers: build, validate and describe data sets of episodes that Minari can read."""

from hdream_core.support import extras

extras.demand(__name__)
