"""The benchmark, ``python -m hdream_core.benchmark``: what an update, a frame and a batch cost on this machine."""
