"""Networks, distributions and the optimiser that several agents share."""
