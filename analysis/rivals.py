"""Compares HarmonyDream with other agents, and Harmony DreamerPro with DreamerPro (Figs. 8 right, 9a, 20, 21).

``python -m analysis.rivals --task mini_lever`` trains DreamerV2 and HarmonyDream beside agents without a decoder
(DreamerPro, TD-MPC) and one that tells signal from noise (Denoised MDP). The agents do not make as many updates a step,
and their updates do not cost the same. So returns stand beside environment steps, updates and seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analysis.results import costs, summary
from analysis.results.schema import Result
from analysis.runs import compare, methods, study

STUDY = "rivals"
ITEM = "Figs. 8, 9a, 20, 21"
ABOUT = "Compare HarmonyDream with DreamerPro, TD-MPC and Denoised MDP."


@dataclass(frozen=True)
class Rivals(study.Study):
    """Train HarmonyDream and its rivals, and compare what they learn by steps, updates and seconds."""

    CHOOSE = ("methods",)
    READS = "curves"

    task: str = "mini_lever"
    """A task of Meta-world, DMC Remastered or the miniature."""
    methods: tuple[str, ...] = (
        *(methods.ORIGINAL, "harmony", "dreamerpro,w_r=1000", "harmony_dreamerpro"),
        *("tdmpc", "denoised_mdp", "harmony_denoised_mdp"),
    )
    """Methods to compare; the others are compared with the first."""


def run(job: Rivals) -> Path:
    """Trains the methods, writes and draws the result; returns the result file."""
    return compare.run(job, study.plan(job, STUDY, job.methods), lines)


def lines(result: Result) -> list[str]:
    """Formats the comparison, and what a run of each method takes."""
    return summary.lines(result) + [f"{method}: {cost}" for method, cost in costs.lines(result).items()]


main = partial(study.main, Rivals, run)

if __name__ == "__main__":
    main()
