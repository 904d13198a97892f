"""Tests the mechanism on a miniature with dials: from which reward weight on does a world model encode the lever?

``python -m analysis.dial`` trains agents that see the lever more or less well, with several w_r and with HarmonyDream.
Probes say whether the world model knows where the lever is. Beside it stands a prediction, w_r*, which frames and
rewards alone give: the weight from which knowing the lever's place saves more of L_o and L_r than it costs of L_d.
``--plan-only`` prints the predictions without training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from analysis.models.information import Price, price
from analysis.models.probes import ProbeConfig
from analysis.models.representation import regress
from analysis.models.segments import CONTEXT, LENGTH, PLAYED_SEED, draw, unseen_episodes
from analysis.results import comparisons
from analysis.results.schema import Result
from analysis.results.stats import show
from analysis.runs import gather, study
from analysis.runs.target import ASKED
from hdream_core.data.environments import make_env
from hdream_core.support.errors import ConfigError
from offline_buffers.behaviors import Random, Scripted, behavior_of, play

STUDY = "dial"
ITEM = "our own"
ABOUT = "Turn the visibility of a lever and predict the weight that it takes."
KNOWN = "place_known"
PLAYED = 40  # episodes of the expert, and of random actions
SIZES = {
    "episodes": {"cpu": 300, "quick": 100, "smoke": 8},
    "probe_updates": {"cpu": 800, "quick": 400, "smoke": 10},
}


@dataclass(frozen=True)
class DialStudy(study.Study):
    """Turn the visibility of the miniature's lever, and see from which reward weight on world models encode it.

    The lever's contrast decides what its place saves of L_o, the spread of the reward what it saves of L_r.
    """

    CHOOSE = ("contrast", "w_r", "no_harmony")
    POSITIONS, FRAMES = True, True

    task: str = "mini_dial"
    """The task with dials."""
    contrast: tuple[float, ...] = (1.0, 0.1, 0.03)
    """Contrasts of the lever, from 0 (invisible) to 1 (blue)."""
    w_r: tuple[float, ...] = (1.0, 10.0, 100.0)
    """Reward-loss weights."""
    no_harmony: bool = False
    """Leave out HarmonyDream."""
    episodes: int | None = None
    """Episodes of all skills that probes are fitted and tested on, for each contrast."""
    probe_updates: int | None = None
    """Updates of the MLP."""


def methods_of(job: DialStudy) -> list[str]:
    """Returns the methods: every contrast with every weight, and with HarmonyDream."""
    if not job.contrast or not job.w_r:
        raise ConfigError("--contrast and --w-r need one or more different values each")
    weightings = [f"w_r={w_r:g}" for w_r in job.w_r] + ([] if job.no_harmony else ["harmony"])
    return [f"contrast={contrast:g},{weighting}" for contrast in job.contrast for weighting in weightings]


def contrast_of(method: str) -> str:
    """Returns the contrast in a method's name, as text: ``0.1`` of ``contrast=0.1,w_r=10``."""
    return method.partition(",")[0].removeprefix("contrast=")


def run(job: DialStudy) -> Path:
    """Predicts, trains the agents, fits the probes, writes and draws the result; returns the result file."""
    if job.task != "mini_dial":
        raise ConfigError(f"--task {job.task}: only mini_dial has dials")
    job = study.sized(job, SIZES)
    plan = study.plan(job, STUDY, methods_of(job))
    parts = _by_contrast(plan)
    prices = {contrast: _price(part, job.episodes) for contrast, part in parts.items()}
    predictions = {name: asdict(found) | {"w_r": found.threshold()} for name, found in prices.items()}
    print("\n".join(predicted(predictions)))
    if job.plan_only:
        return plan.path
    study.train(plan)
    probe = ProbeConfig(updates=job.probe_updates)
    result = gather.gather(plan.runs, gather.attributes(plan, ""))
    known = np.full((len(plan.methods), len(plan.seeds)), np.nan)
    for part in parts.values():
        segments = draw(job.task, unseen_episodes(part, job.episodes), None, LENGTH, seed=0)
        for (method, seed), agent in part.agents():
            errors = regress(agent, segments, CONTEXT, probe, seeds=1, folds=2)
            known[plan.methods.index(part.methods[method]), seed] = _share_known(errors, list(segments.positions()))
    result.data[KNOWN] = (("method", "seed"), known)
    result.notes["final"][KNOWN] = comparisons.by_method(result, known)
    result.notes[ASKED] = dict(plan.target.own)
    result.notes["prediction"] = predictions
    result.notes["protocol"] = {
        "episodes": job.episodes,
        "context": CONTEXT,
        "length": LENGTH,
        "probe": asdict(probe),
        "played": {"expert": _return_of(plan, Scripted), "random": _return_of(plan, Random)},
    }
    return study.finish(result, plan, lines(result))


def _price(plan: study.Plan, episodes: int) -> Price:
    env = make_env(plan.config, PLAYED_SEED)
    played = [play(env, behavior_of("scripted", PLAYED_SEED, i), i) for i in range(episodes)]
    return price(env, played, plan.config.train.length)


def _by_contrast(plan: study.Plan) -> dict[str, study.Plan]:
    """Returns the plan of each contrast's runs, whose frames look alike."""
    found: dict[str, list] = {}
    for planned in plan.runs:
        found.setdefault(contrast_of(planned.config.method), []).append(planned)
    return {contrast: replace(plan, runs=runs) for contrast, runs in found.items()}


def _share_known(errors: Mapping[str, np.ndarray], objects: Sequence[str]) -> float:
    """Returns the share of the lever's variance that the MLP probe reads off the posterior's features."""
    lever = objects.index("lever")
    read, constant = (np.nanmean(errors[f"{probe}/posterior"][..., lever]) for probe in ("mlp", "constant"))
    return float(1 - read / constant)


def _return_of(plan: study.Plan, behavior: type) -> float:
    """Returns the mean return of random actions, or of the expert."""
    env = make_env(plan.config, PLAYED_SEED)
    rng = np.random.default_rng(PLAYED_SEED)
    player = behavior(rng) if behavior is Random else behavior(1.0, rng)
    return float(np.mean([play(env, player, i)["rewards"].sum() for i in range(PLAYED)]))


def lines(result: Result) -> list[str]:
    """Formats predictions, what models know, and returns."""
    played = result.notes["protocol"]["played"]
    text = [
        f"returns: expert {played['expert']:.3g}, random {played['random']:.3g}; [95 % over seeds]",
    ]
    final = result.notes["final"]
    for method in result.methods:
        cells = f"place known {show(final[KNOWN][method])}, return {show(final['return'][method])}"
        text.append(f"  {method:<26} {cells}")
    return text


def predicted(prices: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Formats, for each contrast, what the lever's place saves and costs in nats a frame, and w_r*."""
    text = ["predicted from frames and rewards, in nats a frame: what the lever's place saves and costs"]
    for contrast, found in prices.items():
        saves = f"saves {found['observation']:.3g} of L_o and w_r times {found['reward']:.3g} of L_r"
        text.append(f"  contrast {contrast}: {saves}, costs {found['dynamics']:.3g}: w_r* = {found['w_r']:.3g}")
    return text


main = partial(study.main, DialStudy, run)

if __name__ == "__main__":
    main()
