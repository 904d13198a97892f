"""Denoised MDP: a world model that splits what it can control and what brings reward from what it cannot control."""
