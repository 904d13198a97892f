"""Fig. 2c: how well probes read object positions off each agent's features (C.4).

``python -m analysis.state_regression --task lever_pull`` takes segments of 50 steps from evaluation episodes of all
agents, in equal shares. Probes are fitted on some of the episodes and tested on the others. This is repeated until
every episode has been tested once (cross-validation).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from analysis.models.probes import ProbeConfig
from analysis.models.representation import KINDS, regress
from analysis.models.segments import (
    CONTEXT,
    LENGTH,
    PLAYED_SEED,
    Rows,
    draw,
    evaluation_episodes,
    make_env,
    unseen_episodes,
)
from analysis.results import schema
from analysis.results.stats import OVER_EPISODES, OVER_SEEDS, both_intervals, seed_interval, show
from analysis.results.tasks import task_facts
from analysis.runs import gather, methods, sizes, study
from hdream_core.support.errors import ConfigError

STUDY = "state_regression"
ITEM = "Fig. 2c"
ABOUT = "Read object positions off the features of world models."
WORDS = {"posterior": "frames seen", "open_loop": "open loop"}
SIZES = {
    "segments": {"paper": 20_000, "cpu": 2000, "quick": 500, "smoke": 20},
    "episodes": {"paper": 200, "cpu": 42, "quick": 16, "smoke": 2},
    "folds": {"paper": 10, "cpu": 3, "quick": 2, "smoke": 2},
    "probe_seeds": {"paper": 3, "cpu": 2, "quick": 1, "smoke": 1},
    "probe_updates": {"paper": 20_000, "cpu": 800, "quick": 400, "smoke": 10},
}


@dataclass(frozen=True)
class StateRegression(study.OfflineStudy):
    """Read object positions off world models' features (Fig. 2c).

    Probes see the same segments of every model. The error of an object is its mean squared distance, in square
    centimetres (square pixels on the miniature), on episodes that the probe was not fitted on.
    """

    POSITIONS = True

    methods: tuple[str, ...] | None = None
    """Methods to compare, e.g. w_r=1 w_r=100 harmony w_o=0,w_r=100. Default: w_r=1 and the task's balanced weight."""
    data: Literal["agents", "unseen"] = "agents"
    """agents: evaluation episodes of the agents, in equal shares (C.4). unseen: episodes of the buffer's kind that no
    model has trained on, in which objects move however good the policies are."""
    segments: int | None = None
    """Segments of 50 steps in all."""
    episodes: int | None = None
    """Episodes that the segments are drawn from, each with its own goal. Short episodes need more of them: 1000
    segments of the miniature need 500."""
    folds: int | None = None
    """Parts of the episodes, each in turn left out of the fit; C.4 fits on nine tenths."""
    probe_seeds: int | None = None
    """Fits of the MLP, each with its own weights and batches."""
    probe_updates: int | None = None
    """Updates of the MLP."""


def run(job: StateRegression) -> Path:
    """Trains the models, fits the probes, writes and draws the result; returns the result file."""
    job = study.sized(job, SIZES)
    _check_folds(job)
    names = job.methods or (methods.ORIGINAL, task_facts(job.task).balanced)
    name = STUDY if job.data == "agents" else f"{STUDY}_unseen"
    plan = study.plan(job, STUDY, names, name=name)
    job = sizes.settle(job, plan, "segments", "episodes", LENGTH, "played" if job.data == "agents" else "heldout")
    if job.data == "agents":  # in equal shares
        job = sizes.fitted(job, episodes=len(plan.runs) * -(-job.episodes // len(plan.runs)))
    _check_folds(job)
    if job.plan_only:
        return plan.path
    sha256 = study.train(plan)
    segments = draw(job.task, _episodes(job, plan), job.segments, LENGTH, seed=0)
    probe = ProbeConfig(updates=job.probe_updates)
    errors = {
        index: regress(agent, segments, CONTEXT, probe, job.probe_seeds, job.folds) for index, agent in plan.agents()
    }
    axes = {
        "object": np.array(list(segments.positions())),
        "probe_seed": np.arange(job.probe_seeds),
        "episode": np.arange(len(segments.episodes)),
    }
    layout = {name: ("probe_seed", "episode", "object")[-(values.ndim) :] for name, values in errors[0, 0].items()}
    result = gather.models(plan, sha256, errors, axes, layout)
    result.notes["final"] = intervals(result)
    result.notes["protocol"] = {
        "data": job.data,
        "segments": len(segments),
        "episodes": len(segments.episodes),
        "length": LENGTH,
        "context": CONTEXT,
        "folds": job.folds,
        "probe": asdict(probe),
    }
    return study.finish(result, plan, lines(result))


def _check_folds(job: StateRegression) -> None:
    if not 2 <= job.folds <= job.episodes:
        raise ConfigError(f"--folds {job.folds} of --episodes {job.episodes}: at least 2, and at most one an episode")


def _episodes(job: StateRegression, plan: study.Plan) -> list[Rows]:
    if job.data == "unseen":
        return unseen_episodes(plan, job.episodes)
    each = job.episodes // len(plan.runs)
    env = make_env(plan, PLAYED_SEED)
    episodes: list[Rows] = []
    for _, agent in plan.agents():  # every episode has a goal of its own, so no probe has seen those that are left out
        episodes += evaluation_episodes(agent, env, range(len(episodes), len(episodes) + each))
    return episodes


def intervals(result: schema.Result) -> dict[str, Any]:
    """Returns each probe's error over seeds, and its difference to the first method, by features, object and method.

    Errors of the MLP are under the kind of features, those of the linear probe under ``linear/<kind>``. Fits of the MLP
    are averaged first, since they are repeated measurements of the same features.
    """
    table: dict[str, Any] = {
        "interval": OVER_SEEDS,
        "interval_over_episodes": OVER_EPISODES,
        "unit": unit(result),
        "reference": result.methods[0],
    }
    for kind in KINDS:
        table[kind] = _by_object(result, result.values(f"mlp/{kind}").mean(2))
        table[f"linear/{kind}"] = _by_object(result, result.values(f"linear/{kind}"))
    return table


def _by_object(result: schema.Result, errors: np.ndarray) -> dict[str, Any]:
    """Returns intervals by object and method, from errors ``(method, seed, episode, object)``."""
    episodes = np.flatnonzero(np.isfinite(errors).all((0, 1, 3)))
    table: dict[str, Any] = {}
    for j, thing in enumerate(map(str, result.axes["object"])):
        values = errors[:, :, episodes, j]  # (method, seed, episode)
        table[thing] = {
            method: {"over_seeds": seed_interval(row.mean(-1))._asdict()}
            | both_intervals(row - values[0], episodes, "paired_")
            for method, row in zip(result.methods, values, strict=True)
        }
    return table


def unit(result: schema.Result) -> str:
    """Returns the unit of the errors."""
    return f"{task_facts(result.attributes['task']).reported_length}^2"


def lines(result: schema.Result) -> list[str]:
    """Formats the errors as a table."""
    text = [f"mean squared distance, {unit(result)}, MLP probe, on held-out episodes (constant: best without features)"]
    for kind in KINDS:
        constant = np.nanmean(result.values(f"constant/{kind}"), (0, 1, 2))
        for name, best in zip(map(str, result.axes["object"]), constant, strict=True):
            mlp, linear = (_cells(result.notes["final"][probe][name]) for probe in (kind, f"linear/{kind}"))
            text.append(f"  {WORDS[kind]:<11} {name:<8} constant {best:.3g}; {mlp}")
            text.append(f"  {'':<11} {'':<8} linear probe: {linear}")
    return text


def _cells(row: dict[str, Any]) -> str:
    return "; ".join(f"{method} {show(value['over_seeds'])}" for method, value in row.items())


main = partial(study.main, StateRegression, run)

if __name__ == "__main__":
    main()
