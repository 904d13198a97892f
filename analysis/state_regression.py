"""Fig. 2c: how well object positions can be read off each agent's representation (C.4).

``python -m analysis.state_regression --task lever_pull`` trains what is missing, gathers segments of 50 from the
evaluation episodes of all agents in equal shares, fits probes on nine tenths of the episodes and reports their
errors on the rest.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import figures.state_regression
from analysis import collect, methods, results, study
from analysis.probes import ProbeConfig
from analysis.representation import KINDS, VALIDATION, regress
from analysis.segments import PLAYED_SEED, Rows, draw, evaluation_episodes, make_env, unseen_episodes
from analysis.stats import seed_interval, show

STUDY = "state_regression"
LENGTH, CONTEXT = 50, 15  # of a segment, and the frames of it seen before open-loop features (C.4)
SIZES = {
    "segments": {"paper": 20000, "cpu": 2000, "quick": 500, "smoke": 20},
    "episodes": {"paper": 200, "cpu": 40, "quick": 16, "smoke": 4},
    "probe_seeds": {"paper": 3, "cpu": 2, "quick": 1, "smoke": 1},
    "probe_updates": {"paper": 20000, "cpu": 2000, "quick": 500, "smoke": 10},
}


@dataclass(frozen=True)
class StateRegression(study.Study):
    """Regress object positions from world models' representations (Fig. 2c).

    Probes see the same segments for every model. Errors are mean squared distances per object, in square centimetres
    (square pixels on the miniature), on episodes that no probe was fitted on.
    """

    methods: tuple[str, ...] | None = None
    """Methods to compare, e.g. w_r=1 w_r=100 harmony w_o=0,w_r=100. Default: w_r=1 and the task's balanced weight."""
    data: Literal["agents", "unseen"] = "agents"
    """agents: evaluation episodes of the agents, in equal shares (C.4). unseen: episodes of the buffer's kind that no
    model has trained on, in which objects move however good the policies are."""
    segments: int | None = None
    """Segments of 50 steps in all. Default: 20,000 (C.4) for paper, 2000 for cpu, 500 for quick."""
    episodes: int | None = None
    """Episodes that they are drawn from. Default: 200 for paper, 40 for cpu, 16 for quick."""
    probe_seeds: int | None = None
    """Fits of the MLP, each with its own weights and batches. Default: 3 for paper, 2 for cpu, 1 for quick."""
    probe_updates: int | None = None
    """Updates of the MLP. Default: 20,000 for paper, 2000 for cpu, 500 for quick."""


def run(job: StateRegression) -> Path:
    """Trains, gathers, regresses, writes and draws; returns the result file."""
    job = study.sized(job, SIZES)
    names = job.methods or (methods.ORIGINAL, methods.balanced(job.task))
    plan = study.plan(job, STUDY, names)
    path = collect.save_path(job.results, STUDY, plan.runs)
    if job.plan_only:
        return path
    sha256 = study.train(plan)
    segments = draw(job.task, _episodes(job, plan), job.segments, LENGTH, seed=0)
    probe = ProbeConfig(updates=job.probe_updates)
    found = {place: regress(agent, segments, CONTEXT, probe, job.probe_seeds) for place, agent in plan.agents()}
    axes = {"object": np.array(list(segments.positions())), "probe_seed": np.arange(job.probe_seeds)}
    layout = {name: ("probe_seed", "object") if name.startswith("mlp/") else ("object",) for name in found[0, 0]}
    result = collect.models(plan, sha256, found, axes, layout)
    result.notes["final"] = intervals(result)
    result.notes["protocol"] = {
        "data": job.data,
        "segments": job.segments,
        "episodes": len(segments.episodes),
        "length": LENGTH,
        "context": CONTEXT,
        "validation_share_of_episodes": VALIDATION,
        "probe": asdict(probe),
    }
    return study.finish(result, path, job.out, figures.state_regression.draw, lines(result))


def _episodes(job: StateRegression, plan: study.Plan) -> list[Rows]:
    if job.data == "unseen":
        return unseen_episodes(plan, job.episodes)
    each = -(-job.episodes // len(plan.runs))
    env = make_env(plan.config, PLAYED_SEED)
    return [episode for _, agent in plan.agents() for episode in evaluation_episodes(agent, env, each)]


def intervals(result: results.Result) -> dict[str, Any]:
    """Per kind of features, object and method: the MLP's error, mean and 95 % interval over training seeds.

    Probe seeds are averaged first: they are repeated measurements of one representation.
    """
    table: dict[str, Any] = {"interval": "Student t over training seeds, 95 %", "unit": unit(result)}
    for kind in KINDS:
        values = result.values(f"mlp/{kind}").mean(2)  # (method, seed, object)
        table[kind] = {
            str(name): {
                str(method): seed_interval(values[i, :, j])._asdict() for i, method in enumerate(result.axes["method"])
            }
            for j, name in enumerate(result.axes["object"])
        }
    return table


def unit(result: results.Result) -> str:
    """Of the errors."""
    return "px^2" if result.attributes["task"] == "mini_lever" else "cm^2"


def lines(result: results.Result) -> list[str]:
    """The errors as a table."""
    text = [f"mean squared distance, {unit(result)}, MLP probe, held-out episodes (constant: no features at all)"]
    for kind in KINDS:
        constant = result.values(f"constant/{kind}").mean((0, 1))
        for j, (name, row) in enumerate(result.notes["final"][kind].items()):
            cells = [f"{method} {show(interval)}" for method, interval in row.items()]
            text.append(f"  {kind:<10} {name:<8} constant {constant[j]:.3g}; " + "; ".join(cells))
    return text


if __name__ == "__main__":
    study.main(StateRegression, run)
