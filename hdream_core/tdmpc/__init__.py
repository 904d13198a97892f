"""Implements TD-MPC (Hansen et al., 2022) on frames: a latent model without a decoder, and a planner."""
