"""What ``analysis.report`` makes its pages of: templates, and the functions that they call."""
