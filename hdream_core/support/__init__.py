"""Utilities that have nothing to do with learning: files, errors, command lines, processes, devices."""
