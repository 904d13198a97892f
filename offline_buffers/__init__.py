"""Fixed buffers: build, validate and describe data sets of episodes that Minari can read."""
