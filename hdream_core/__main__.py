"""``python -m hdream_core`` lists the commands of this package."""

from pathlib import Path

from hdream_core.support import listing

if __name__ == "__main__":
    listing.main("hdream_core", Path(__file__).parent)
