"""HarmonyDream's ablations: unrectified (Figs. 15, 16), w_d fixed to 1 (E.4, Fig. 17), tuned weights (E.5, Fig. 18).

``python -m analysis.ablations --task lever_pull`` trains them and DreamerV2 and HarmonyDream, and draws their curves
and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analysis.results import summary
from analysis.runs import compare, study

STUDY = "ablations"
ITEM = "Figs. 15-18"
ABOUT = "Compare HarmonyDream with its ablations and with tuned weights."


@dataclass(frozen=True)
class Ablations(study.Study):
    """Train HarmonyDream, its ablations and tuned weights (Eq. 4, E.4, E.5)."""

    READS = "curves"

    methods: tuple[str, ...] = ("w_r=1", "harmony", "unrectified", "harmony,w_d=1", "w_r=10", "w_r=100")
    """Methods to compare; the others are compared with the first. The paper's tuned weight is the better of w_r=10 and
    w_r=100."""


def run(job: Ablations) -> Path:
    """Trains the methods, writes and draws the result; returns the result file."""
    return compare.run(job, study.plan(job, STUDY, job.methods), summary.lines)


main = partial(study.main, Ablations, run)

if __name__ == "__main__":
    main()
