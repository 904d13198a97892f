"""Finding 3 (Sec. 2.3): rewards alone, without observations (w_o = 0), are not enough.

``python -m analysis.finding3 --task lever_pull`` compares the decoder-free model with w_r in {1, 10, 100}: the reward
error and return of its runs, object positions that probes read off its features, and the spread over seeds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from analysis.models.probes import ProbeConfig
from analysis.models.representation import KINDS, regress
from analysis.models.segments import CONTEXT, LENGTH, draw, unseen_episodes
from analysis.results import comparisons, schema
from analysis.results.stats import OVER_SEEDS, bounds_of, known, show
from analysis.results.tasks import task_facts
from analysis.runs import gather, methods, sizes, study

STUDY = "finding3"
ITEM = "Finding 3"
ABOUT = "Ask what learning from rewards alone (w_o = 0) is worth."
FOLDS = 3
SIZES = {
    "segments": {"paper": 5000, "cpu": 1000, "quick": 300, "smoke": 20},
    "episodes": {"paper": 50, "cpu": 50, "quick": 8, "smoke": 4},
    "probe_updates": {"paper": 20_000, "cpu": 800, "quick": 400, "smoke": 10},
}
WORDS = {"mlp/posterior": "position error, frames seen", "mlp/open_loop": "position error, open loop"}
CURVES = ("return", "success", "reward_error", "return_rank_correlation")


@dataclass(frozen=True)
class Finding3(study.Study):
    """Compare the decoder-free model, w_o = 0, with models that learn observations too (Finding 3)."""

    POSITIONS = True

    methods: tuple[str, ...] = ("w_r=1", "w_r=10", "w_r=100", methods.IMPLICIT)
    """Methods to compare."""
    segments: int | None = None
    """Segments of 50 steps for the probes, from episodes never trained on."""
    episodes: int | None = None
    """Episodes that they are drawn from."""
    probe_updates: int | None = None
    """Updates of the MLP that reads positions off the features."""


def run(job: Finding3) -> Path:
    """Trains the models, fits the probes, writes and draws the result; returns the result file."""
    job = study.sized(job, SIZES)
    plan = study.plan(job, STUDY, job.methods)
    job = sizes.settle(job, plan, "segments", "episodes", LENGTH)
    if job.plan_only:
        return plan.path
    sha256 = study.train(plan)
    segments = draw(job.task, unseen_episodes(plan, job.episodes), job.segments, LENGTH, seed=4)
    main_object = task_facts(job.task).main
    column = list(segments.positions()).index(main_object)
    probe, folds = ProbeConfig(updates=job.probe_updates), min(FOLDS, len(np.unique(segments.episode)))
    errors = {
        index: _object_errors(regress(agent, segments, CONTEXT, probe, 1, folds), column)
        for index, agent in plan.agents()
    }
    axes = {"episode": np.unique(segments.episode)}
    result = gather.models(plan, sha256, errors, axes, dict.fromkeys(errors[0, 0], ("episode",)))
    curves = gather.gather(plan.runs, result.attributes)
    result.axes["step"] = curves.axes["step"]
    result.data |= {name: curves.data[name] for name in CURVES if name in curves.data}
    result.notes["final"] = final(result)
    result.notes["protocol"] = {
        "segments": len(segments),
        "episodes": len(segments.episodes),
        "folds": folds,
        "object": main_object,
        "probe": asdict(probe),
    }
    return study.finish(result, plan, lines(result))


def _object_errors(errors: dict[str, np.ndarray], column: int) -> dict[str, np.ndarray]:
    """Returns the errors of one object in each episode that a segment is from; the MLP is fitted once."""
    one = {name: (values[0] if name.startswith("mlp/") else values)[:, column] for name, values in errors.items()}
    return {name: values[np.isfinite(values)] for name, values in one.items()}


def final(result: schema.Result) -> dict[str, Any]:
    """Returns the interval over seeds of every measure, and its standard deviation over seeds."""
    measures = {name: result.values(name)[..., -1] for name in CURVES if name in result.data}
    measures |= {f"mlp/{kind}": result.values(f"mlp/{kind}").mean(-1) for kind in KINDS}
    table: dict[str, Any] = {"interval": OVER_SEEDS}
    for name, values in measures.items():
        table[name] = comparisons.by_method(result, values, bounds_of(name))
        for method, row in zip(result.methods, values, strict=True):
            table[name][method]["sd_over_seeds"] = float(row.std(ddof=1)) if len(row) > 1 else float("nan")
    return table


def lines(result: schema.Result) -> list[str]:
    """Formats every measure of every method."""
    text = ["at the end of training; [95 % over seeds]; sd: standard deviation over seeds"]
    for name, row in result.notes["final"].items():
        if isinstance(row, dict):
            cells = [f"{method} {show(value)}{_deviation(value)}" for method, value in row.items()]
            text.append(f"  {WORDS.get(name, name.replace('_', ' ')):<32} " + "; ".join(cells))
    return text


def _deviation(value: dict[str, Any]) -> str:
    return f" (sd {value['sd_over_seeds']:.2g})" if known(value["sd_over_seeds"]) else ""


main = partial(study.main, Finding3, run)

if __name__ == "__main__":
    main()
