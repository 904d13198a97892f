"""Judges the paper's claims by result files: the claims, the rules, the verdicts."""
