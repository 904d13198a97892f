"""All settings of a run, its presets, and its methods."""

from hdream_core.support import extras

extras.demand("training")
