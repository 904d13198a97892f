"""Provides faster implementations of DreamerV2's equations; tests compare them with the plain ones."""
