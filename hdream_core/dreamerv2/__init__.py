"""Implements DreamerV2 (Hafner et al., 2021) as the paper trains it."""
