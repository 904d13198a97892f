"""Judges what harmonizers cost (C.5), from the timings that ``docs/performance.md`` reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from analysis.ledger.verdicts import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED, Finding, ResultFiles, judge
from analysis.results.schema import ResultError, using
from analysis.results.stats import Interval

DATA = Path(__file__).parent.parent / "data"
# Each file, and what its number leaves out.
TIMINGS = (
    ("performance_cpu.json", ""),
    (
        "performance_gpu.json",
        ": each kernel of theirs started alone, where the update is recorded and started as one; what they add to that "
        "was not measured",
    ),
)


@judge
def cost(files: ResultFiles) -> Iterator[Finding]:
    """Asks whether harmonizers take under 1 % of an update, in each of the timings that ship."""
    for name, caveat in TIMINGS:
        yield _cost(DATA / name, caveat)


def _cost(path: Path, caveat: str) -> Finding:
    if not path.exists():  # the timings ship with the code
        raise ResultError(f"{path}: is missing, and a claim is judged by it; install hdream again")
    with using(path):
        timing = json.loads(path.read_text())
        share, extra = (float(timing["harmonizers"][name]) for name in ("share_of_update", "extra_s"))
        preset = timing["about"]["settings"]["preset"]
    text = f"{100 * share:.2f} % of an update, {1000 * extra:.2g} ms on {timing['about']['device']}{caveat}"
    verdict = NOT_MEASURED if caveat else REPRODUCED if share < 0.01 else NOT_REPRODUCED
    return Finding(
        text, verdict, path.name, "paper" if preset == "paper" else "reduced", Interval(share, np.nan, np.nan)
    )
