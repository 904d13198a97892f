"""Finding 1 (Sec. 2.3, Fig. 2a): the weight of the reward loss has a great impact on sample efficiency.

``python -m analysis.finding1 --task lever_pull`` trains DreamerV2 with several w_r, writes
``results/finding1_<task>_<preset>.h5`` and draws the figure while the runs go on.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analysis.results import summary
from analysis.results.measures import DREAMS
from analysis.results.schema import Result
from analysis.runs import compare, methods, study
from hdream_core.config.presets import presets_for
from hdream_core.envs.opengl import RenderingError
from hdream_core.support.errors import ConfigError
from hdream_core.support.processes import cores
from hdream_core.support.words import duration

STUDY = "finding1"
ITEM = "Figs. 2a, 22"
ABOUT = "Compare reward-loss weights: curves of policies and of predicted rewards."
FULLER = ("paper", "cpu")  # presets whose sweep includes w_o = 0 and HarmonyDream


@dataclass(frozen=True)
class Finding1(study.Study):
    """Train DreamerV2 with several reward-loss weights and compare them (Finding 1, Fig. 2a).

    The same command skips runs that are finished and resumes runs that were interrupted.
    """

    CHOOSE = ("w_r", "implicit", "harmony", "only_w_r")
    READS = "curves"

    w_r: tuple[float, ...] = (1.0, 10.0, 100.0)
    """Reward-loss weights."""
    implicit: bool = False
    """Add the decoder-free model, w_o = 0 with w_r = 100. The presets cpu and paper include it, unless the agent has no
    decoder anyway."""
    harmony: bool = False
    """Add HarmonyDream. The presets cpu and paper include it, unless there is none for the agent."""
    only_w_r: bool = False
    """Leave out w_o = 0 and HarmonyDream with the presets cpu and paper, too."""


def methods_of(job: Finding1, preset: str) -> list[str]:
    """Returns the methods that the flags ask for."""
    fuller = preset in FULLER and not job.only_w_r
    names = [methods.weight_name(w_r) for w_r in job.w_r]
    names += [methods.IMPLICIT] if job.implicit or (fuller and study.decodes(job)) else []
    return names + (["harmony"] if job.harmony or (fuller and study.balances(job)) else [])


def run(job: Finding1) -> Path:
    """Trains the methods, writes and draws the result; returns the result file."""
    if not job.w_r or len(set(job.w_r)) < len(job.w_r):
        raise ConfigError("--w-r needs one or more different values")
    preset, _ = study.resolve(job)
    plan = study.plan(job, STUDY, methods_of(job, preset))
    after = onward if preset == "quick" else lambda *_: []
    return compare.run(job, plan, lambda result: [*summary.lines(result), *after(job, plan, result)])


def onward(job: Finding1, plan: study.Plan, result: Result) -> list[str]:
    """Formats what a first look can show and what it cannot, the command that goes on, and how long it takes here."""
    offline, one_seed = DREAMS in result.data, len(plan.seeds) == 1
    text = ["what these panels can show:"]
    if offline:
        text.append("  dreams: how well these models predict rewards on frames that none of them has trained on")
    text.append(f"  policies: little, {'since they learn from a fixed buffer' if offline else 'since runs are short'}")
    if one_seed:
        text.append("  weights of the reward loss: nothing, since with one seed every difference may be chance")
    preset = next(name for name in ("long", "cpu") if name in presets_for(job.task, study.method_of(job)))
    words = ["--task", job.task, "--preset", preset, "--mode", "online", "--w-r", "1", "100", "--seeds", "0-2"]
    words += [] if job.method == "auto" else ["--method", job.method]
    longer = Finding1(task=job.task, method=job.method, preset=preset, seeds=(0, 1, 2))
    first, *others = study.configs(longer, study.named(longer, map(methods.weight_name, (1, 100))), preset, None)
    from analysis.runs import estimate  # imports torch

    with contextlib.suppress(RenderingError):
        seconds = estimate.seconds_per_run(first)[0] * (1 + len(others)) / cores()
        return [*text, f"to go on (about {duration(seconds)} here): python -m analysis.finding1 {' '.join(words)}"]
    return text


main = partial(study.main, Finding1, run)

if __name__ == "__main__":
    main()
