"""Fig. 23: the coefficients that HarmonyDream learns, beside the values that Eq. 13 says they settle at.

``python -m analysis.coefficients --task lever_pull`` trains HarmonyDream and collects ``exp(-s)`` of each loss through
training, with the analytic weight for the loss's running mean. Fig. 22 (other weights on Hammer) is
``python -m analysis.finding1 --task hammer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.results import comparisons
from analysis.results.schema import Result
from analysis.results.stats import show
from analysis.runs import compare, study

STUDY = "coefficients"
ITEM = "Figs. 4, 23"
ABOUT = "Show the coefficients that HarmonyDream learns, beside Eq. 13."
LOSSES = ("observation", "reward", "dynamics")


@dataclass(frozen=True)
class Coefficients(study.Study):
    """Train HarmonyDream and compare its coefficients with Eq. 13 (Fig. 23)."""

    READS = "curves"


def run(job: Coefficients) -> Path:
    """Plans, runs, collects and draws; returns the result file."""
    return compare.run(job, study.plan(job, STUDY, ["harmony"]), lines)


def lines(result: Result) -> list[str]:
    """Learned and analytic coefficients at the end, and how far apart they still are."""
    if not len(result.axes["log_step"]):
        return ["no run has logged its coefficients yet"]
    text = [f"coefficients after {int(result.axes['log_step'][-1])} steps; [95 % over seeds]"]
    for loss in LOSSES:
        learned, analytic = (result.values(f"{kind}/{loss}")[0, :, -1] for kind in ("weight", "analytic_weight"))
        apart = np.abs(np.log(learned / analytic)).mean()
        ends = (comparisons.end_of(result, f"{kind}/{loss}", "harmony") for kind in ("weight", "analytic_weight"))
        spans = [show(end._asdict()) if end else "-" for end in ends]
        text.append(f"  {loss:<12} learned {spans[0]}, Eq. 13 {spans[1]}; a factor of {np.exp(apart):.3g} apart")
    return text


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    study.main(Coefficients, run, args)


if __name__ == "__main__":
    main()
