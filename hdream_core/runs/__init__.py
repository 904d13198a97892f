"""Trains runs: their folder, loop, checkpoints and metrics. Loads agents from them."""
