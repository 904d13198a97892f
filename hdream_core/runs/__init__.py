"""A run: its folder, its loop, its checkpoints and metrics, and agents loaded from it."""
