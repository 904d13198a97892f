"""Everything about a run: its folder, its loop, its checkpoints and metrics, and loading agents from it."""
