"""Stored episodes, the windows drawn from them, and the sources of episodes."""
