"""Fig. 2c: how well object positions can be read off each agent's representation (C.4).

``python -m analysis.state_regression --task lever_pull`` trains what is missing, gathers segments of 50 from evaluation
episodes of all agents in equal shares, fits probes on some of the episodes and reports their errors on the others, in
turns until every episode has been one of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
ABOUT = "Read object positions off the representation."
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
    """Regress object positions from world models' representations (Fig. 2c).

    Probes see the same segments for every model. Errors are mean squared distances per object, in square centimetres
    (square pixels on the miniature), on episodes that the probe was not fitted on.
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
    """Episodes that they are drawn from, each with its own goal; more where they are short: 1000 segments of
    the miniature need 500."""
    folds: int | None = None
    """Parts of the episodes, each in turn left out of the fit; C.4 fits on nine tenths."""
    probe_seeds: int | None = None
    """Fits of the MLP, each with its own weights and batches."""
    probe_updates: int | None = None
    """Updates of the MLP."""


def run(job: StateRegression) -> Path:
    """Trains, gathers, regresses, writes and draws; returns the result file."""
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
    found = {
        place: regress(agent, segments, CONTEXT, probe, job.probe_seeds, job.folds) for place, agent in plan.agents()
    }
    axes = {
        "object": np.array(list(segments.positions())),
        "probe_seed": np.arange(job.probe_seeds),
        "episode": np.arange(len(segments.episodes)),
    }
    layout = {name: ("probe_seed", "episode", "object")[-(values.ndim) :] for name, values in found[0, 0].items()}
    result = gather.models(plan, sha256, found, axes, layout)
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
    found: list[Rows] = []
    for _, agent in plan.agents():  # no two play the same goal: an episode left out is one that no probe has seen
        found += evaluation_episodes(agent, env, range(len(found), len(found) + each))
    return found


def intervals(result: schema.Result) -> dict[str, Any]:
    """Per kind of features, object and method: a probe's error over training seeds, and paired to the first method.

    The MLP's stands under the kind, the linear probe's under ``linear/<kind>``. Fits of the MLP are averaged first:
    they are repeated measurements of one representation.
    """
    table: dict[str, Any] = {
        "interval": OVER_SEEDS,
        "interval_over_episodes": OVER_EPISODES,
        "unit": unit(result),
        "reference": str(result.axes["method"][0]),
    }
    for kind in KINDS:
        table[kind] = _compared(result, result.values(f"mlp/{kind}").mean(2))
        table[f"linear/{kind}"] = _compared(result, result.values(f"linear/{kind}"))
    return table


def _compared(result: schema.Result, errors: np.ndarray) -> dict[str, Any]:
    """By object and method, from errors ``(method, seed, episode, object)``."""
    known = np.isfinite(errors).all((0, 1, 3))
    table: dict[str, Any] = {}
    for j, thing in enumerate(map(str, result.axes["object"])):
        values = errors[:, :, known, j]
        table[thing] = {}
        for i, name in enumerate(map(str, result.axes["method"])):
            gap = values[i] - values[0]  # (seed, episode)
            table[thing][name] = {
                "over_seeds": seed_interval(values[i].mean(-1))._asdict(),
                **both_intervals(gap, np.flatnonzero(known), "paired_"),
            }
    return table


def unit(result: schema.Result) -> str:
    """Of the errors."""
    return f"{task_facts(result.attributes['task']).reported_length}^2"


def lines(result: schema.Result) -> list[str]:
    """The errors as a table."""
    text = [f"mean squared distance, {unit(result)}, MLP probe, episodes not fitted on (constant: no features at all)"]
    for kind in KINDS:
        constant = np.nanmean(result.values(f"constant/{kind}"), (0, 1, 2))
        for name, best in zip(map(str, result.axes["object"]), constant, strict=True):
            row = result.notes["final"][kind][name]
            cells = [f"{method} {show(spans['over_seeds'])}" for method, spans in row.items()]
            text.append(f"  {WORDS[kind]:<11} {name:<8} constant {best:.3g}; " + "; ".join(cells))
            linear = result.notes["final"][f"linear/{kind}"][name]
            cells = [f"{method} {show(spans['over_seeds'])}" for method, spans in linear.items()]
            text.append(f"  {'':<11} {'':<8} linear probe: " + "; ".join(cells))
    return text


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    study.main(StateRegression, run, args)


if __name__ == "__main__":
    main()
