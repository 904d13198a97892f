"""All settings of a run, the presets, and the methods."""
