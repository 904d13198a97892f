"""Experience: stored episodes, the windows drawn from them, and where episodes come from."""
