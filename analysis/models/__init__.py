"""Examines trained models: windows of episodes, dreams, features, probes, branches."""
