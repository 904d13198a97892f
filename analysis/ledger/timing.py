"""What harmonizers cost (C.5), from the timings that ``docs/performance.md`` tells of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from analysis.ledger.verdicts import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED, Finding, Shelf
from analysis.results.schema import ResultError, using
from analysis.results.stats import Interval

DATA = Path(__file__).parent.parent / "data"
# File, and what its number leaves out.
TIMINGS = (
    ("performance_cpu.json", ""),
    (
        "performance_gpu.json",
        ": each kernel of theirs started alone, where the update is recorded and started as one; what they add to that "
        "was not measured",
    ),
)


def cost(shelf: Shelf) -> list[Finding]:
    """Whether harmonizers take under 1 % of an update, in each of the timings that ship."""
    return [_of(DATA / name, caveat) for name, caveat in TIMINGS]


def _of(path: Path, caveat: str) -> Finding:
    if not path.exists():  # these timings ship with the code, so a row without them would be one lost
        raise ResultError(f"{path}: is missing, and a claim is judged by it; install hdream again")
    with using(path):
        timed = json.loads(path.read_text())
        share, extra = (float(timed["harmonizers"][name]) for name in ("share_of_update", "extra_s"))
        preset = timed["about"]["settings"]["preset"]
    words = f"{100 * share:.2f} % of an update, {1000 * extra:.2g} ms on {timed['about']['device']}{caveat}"
    found = NOT_MEASURED if caveat else REPRODUCED if share < 0.01 else NOT_REPRODUCED
    scale = "paper" if preset == "paper" else "reduced"
    return Finding(words, found, path.name, scale, Interval(share, np.nan, np.nan))
