"""Fig. 9b and D.2: HarmonyDream beside uncertainty weighting, dynamic weight average and NashMTL.

``python -m analysis.multitask --task lever_pull`` trains all of them and draws their curves and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from analysis.results import summary
from analysis.results.schema import Result
from analysis.runs import compare, study

STUDY = "multitask"
ITEM = "Fig. 9b"
ABOUT = "Compare HarmonyDream with other balancers of several losses."


@dataclass(frozen=True)
class MultiTask(study.Study):
    """Train HarmonyDream and the multi-task balancers that the paper compares it with (Fig. 9b)."""

    READS = "curves"

    methods: tuple[str, ...] = ("w_r=1", "harmony", "uw", "dwa", "nashmtl")
    """Methods to compare; the others are compared with the first."""


def run(job: MultiTask) -> Path:
    """Trains the methods, writes and draws the result; returns the result file."""
    return compare.run(job, study.plan(job, STUDY, job.methods), lines)


def lines(result: Result) -> list[str]:
    """Formats the comparison, and the range of the weights: D.2 finds NashMTL's extreme."""
    text = summary.lines(result)
    names = [name.removeprefix("weight/") for name in result.data if name.startswith("weight/")]
    for i, method in enumerate(result.methods):
        ranges = []
        for name in names:
            low, high = (result.values(f"weight_{end}/{name}")[i] for end in ("min", "max"))
            if np.isfinite(low).any():
                ranges.append(f"{name} {np.nanmin(low):.3g} to {np.nanmax(high):.3g}")
        text.append(f"weights of {method}: " + ", ".join(ranges))
    if "balancer/solver_failures" in result.data:
        text.append(f"solver failures of NashMTL: {np.nanmax(result.values('balancer/solver_failures')):g}")
    return text


main = partial(study.main, MultiTask, run)

if __name__ == "__main__":
    main()
