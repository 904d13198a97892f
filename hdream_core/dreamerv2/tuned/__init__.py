"""Faster forms of DreamerV2's equations; the tests hold them to the plain ones."""
