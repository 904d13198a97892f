"""DreamerV3 of early 2023 (arXiv v1), the version that the paper builds on; the rewrite of 2024 is another method."""
