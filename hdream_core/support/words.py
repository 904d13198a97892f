"""Writes numbers in words: counts with the right plural, and times in readable units."""

from __future__ import annotations

UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def counted(number: int, one: str, many: str = "") -> str:
    """Writes a number of things: ``1 run``, ``2 runs``, ``10,000 steps``.

    Args:
        number: number of things.
        one: name of one.
        many: name of several. Default: ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Writes a time in its largest unit: ``40 seconds``, ``1 minute``, ``2.5 hours``, ``12 days``.

    Args:
        seconds: not negative; less than one is written as one.
    """
    for size, name in UNITS:
        if seconds >= 0.995 * size or size == 1:
            amount = max(seconds / size, 1)
            rounded = round(amount, 1) if amount < 9.95 and size > 60 else round(amount)
            return f"{rounded:g} {name}{'' if rounded == 1 else 's'}"
    raise AssertionError("seconds are the last unit")
