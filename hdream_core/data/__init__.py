"""Stores episodes, draws windows from them, and provides sources of episodes."""
