"""``python -m offline_buffers`` lists the commands of this package."""

from pathlib import Path

from hdream_core.support import listing

if __name__ == "__main__":
    listing.main("offline_buffers", Path(__file__).parent)
