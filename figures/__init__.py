"""Figures, each from HDF5 result files alone, without torch."""
