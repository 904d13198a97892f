"""Fig. 6: what visual distraction does to DreamerV2 and to HarmonyDream, with its absence as the control.

``python -m analysis.distraction --task dmcr_walker_run`` trains each method on DMC Remastered and on the same task
with nothing varied. The paper compares methods under distraction alone. If HarmonyDream gains more there than without,
the difference of the two differences lies above zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analysis.results import comparisons, summary
from analysis.results.measures import area
from analysis.results.schema import Result
from analysis.results.stats import show
from analysis.runs import compare, methods, study
from hdream_core import envs
from hdream_core.support.errors import ConfigError

STUDY = "distraction"
ITEM = "Figs. 6, 16"
ABOUT = "Compare methods under visual distraction, and without it."


@dataclass(frozen=True)
class Distraction(study.Study):
    """Train methods with visual distraction and without it, and compare what they gain (Fig. 6)."""

    CHOOSE = ("methods", "no_control")
    READS = "curves"

    task: str = "dmcr_cartpole_balance"
    """A task of DMC Remastered."""
    methods: tuple[str, ...] = (methods.ORIGINAL, "w_r=100", "harmony", "unrectified")
    """Methods to compare; the others are compared with the first."""
    no_control: bool = False
    """Leave out the runs without distraction."""


def run(job: Distraction) -> Path:
    """Trains the methods, writes and draws the result; returns the result file."""
    if not hasattr(envs.find(job.task).settings(), "vary"):
        raise ConfigError(f"--task {job.task}: nothing of its looks can be varied; take one of DMC Remastered")
    names = [*job.methods] + ([] if job.no_control else [f"{comparisons.PLAIN}{method}" for method in job.methods])
    return compare.run(job, study.plan(job, STUDY, names), lines)


def lines(result: Result) -> list[str]:
    """Formats the comparison with distraction, and how much more is gained there than without."""
    text = summary.lines(result)
    for method in result.methods[1:]:
        if more := comparisons.extra_gain(result, area("return"), method):
            text.append(
                f"{method}: gains {show(more)} more return over {result.methods[0]} with distraction than without"
            )
    return text


main = partial(study.main, Distraction, run)

if __name__ == "__main__":
    main()
