"""Every setting of a run, the presets, and the methods."""
