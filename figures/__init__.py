"""Figures of the paper, drawn from result files alone: no torch, no training code."""
