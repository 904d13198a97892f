"""Fig. 23: the coefficients that HarmonyDream learns, beside the values where Eq. 13 says that they settle.

``python -m analysis.coefficients --task lever_pull`` trains HarmonyDream and collects ``exp(-s)`` of each loss through
training, with the analytic weight for the loss's running mean. Fig. 22 (other weights on Hammer) is
``python -m analysis.finding1 --task hammer``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from analysis.results import comparisons
from analysis.results.measures import losses_of
from analysis.results.schema import Result
from analysis.results.stats import show
from analysis.runs import compare, study

STUDY = "coefficients"
ITEM = "Figs. 4, 23"
ABOUT = "Show the coefficients that HarmonyDream learns, beside Eq. 13."


@dataclass(frozen=True)
class Coefficients(study.Study):
    """Train HarmonyDream and compare its coefficients with Eq. 13 (Fig. 23)."""

    READS = "curves"


def run(job: Coefficients) -> Path:
    """Trains HarmonyDream, writes and draws the result; returns the result file."""
    return compare.run(job, study.plan(job, STUDY, ["harmony"]), lines)


def lines(result: Result) -> list[str]:
    """Formats learned and analytic coefficients at the end, and the factor between them."""
    if not len(result.axes["log_step"]):
        return ["no run has logged its coefficients yet"]
    text = [f"coefficients after {int(result.axes['log_step'][-1])} steps; [95 % over seeds]"]
    for loss in losses_of(result):
        kinds = (f"weight/{loss}", f"analytic_weight/{loss}")
        learned, analytic = (result.values(kind)[0, :, -1] for kind in kinds)
        factor = np.exp(np.abs(np.log(learned / analytic)).mean())
        ends = [comparisons.end_of(result, kind, result.methods[0]) for kind in kinds]
        shown = [show(end) if end else "-" for end in ends]
        text.append(f"  {loss:<12} learned {shown[0]}, Eq. 13 {shown[1]}; a factor of {factor:.3g} apart")
    return text


main = partial(study.main, Coefficients, run)

if __name__ == "__main__":
    main()
