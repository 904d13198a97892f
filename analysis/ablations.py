"""HarmonyDream's ablations: unrectified (Figs. 15, 16), w_d fixed to 1 (E.4, Fig. 17), tuned weights (E.5, Fig. 18).

``python -m analysis.ablations --task lever_pull`` trains them beside DreamerV2 and HarmonyDream and draws their curves
and weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.results import summary
from analysis.runs import compare, study

STUDY = "ablations"
ITEM = "Figs. 15-18"
ABOUT = "Compare HarmonyDream with its ablations and with tuned weights."
METHODS = ("w_r=1", "harmony", "unrectified", "harmony,w_d=1", "w_r=10", "w_r=100")


@dataclass(frozen=True)
class Ablations(study.Study):
    """Train HarmonyDream, its ablations and tuned weights (Eq. 4, E.4, E.5)."""

    READS = "curves"

    methods: tuple[str, ...] = METHODS
    """Methods; the first is the one that the others are compared with. The paper's tuned weight is the better of w_r=10
    and w_r=100."""


def run(job: Ablations) -> Path:
    """Plans, runs, collects and draws; returns the result file."""
    return compare.run(job, study.plan(job, STUDY, job.methods), summary.lines)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    study.main(Ablations, run, args)


if __name__ == "__main__":
    main()
