"""Figures, each from HDF5 result files alone, without torch."""

from hdream_core.support import extras

extras.demand(__name__)
