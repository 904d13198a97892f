"""Defines all settings of a run, the presets, and the methods."""

from hdream_core.support import extras

extras.demand("training")
