"""Fig. 9b and D.2: HarmonyDream beside uncertainty weighting, dynamic weight average and NashMTL.

``python -m analysis.multitask --task lever_pull`` trains all of them and draws their curves and the weights that they
find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.results import summary
from analysis.results.schema import Result
from analysis.runs import compare, study

STUDY = "multitask"
ITEM = "Fig. 9b"
ABOUT = "Compare HarmonyDream with other balancers of several losses."
METHODS = ("w_r=1", "harmony", "uw", "dwa", "nashmtl")


@dataclass(frozen=True)
class MultiTask(study.Study):
    """Train HarmonyDream and the multi-task balancers that the paper compares it with (Fig. 9b)."""

    READS = "curves"

    methods: tuple[str, ...] = METHODS
    """Methods; the first is the one that the others are compared with."""


def run(job: MultiTask) -> Path:
    """Plans, runs, collects and draws; returns the result file."""
    return compare.run(job, study.plan(job, STUDY, job.methods), lines)


def lines(result: Result) -> list[str]:
    """The comparison, and how far the weights reach: D.2 finds NashMTL's extreme."""
    text = summary.lines(result)
    names = [name.removeprefix("weight/") for name in result.data if name.startswith("weight/")]
    for i, method in enumerate(result.axes["method"]):
        spans = []
        for name in names:
            low, high = (result.values(f"weight_{end}/{name}")[i] for end in ("min", "max"))
            if np.isfinite(low).any():
                spans.append(f"{name} {np.nanmin(low):.3g} to {np.nanmax(high):.3g}")
        text.append(f"weights of {method}: " + ", ".join(spans))
    if "balancer/solver_failures" in result.data:
        text.append(f"solver failures of NashMTL: {np.nanmax(result.values('balancer/solver_failures')):g}")
    return text


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    study.main(MultiTask, run, args)


if __name__ == "__main__":
    main()
