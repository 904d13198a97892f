"""Measures what an update, a frame and a batch cost on this machine: ``python -m hdream_core.benchmark``."""
