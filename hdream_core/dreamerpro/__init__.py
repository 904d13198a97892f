"""DreamerPro: a world model that learns frames by their assignment to prototypes, without reconstructing them."""
