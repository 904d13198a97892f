"""Finding 3 (Sec. 2.3): rewards alone, without observations (w_o = 0), are not enough.

``python -m analysis.finding3 --task lever_pull`` compares the decoder-free model with w_r in {1, 10, 100}: reward error
and return of its runs, object positions read off its representation, and how much seeds differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.models.probes import ProbeConfig
from analysis.models.representation import KINDS, regress
from analysis.models.segments import CONTEXT, LENGTH, draw, unseen_episodes
from analysis.results import schema
from analysis.results.stats import OVER_SEEDS, bounds_of, known, seed_interval, show
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
    """Updates of the MLP that reads positions off the representation."""


def run(job: Finding3) -> Path:
    """Trains, regresses, collects and draws; returns the result file."""
    job = study.sized(job, SIZES)
    plan = study.plan(job, STUDY, job.methods)
    job = sizes.settle(job, plan, "segments", "episodes", LENGTH)
    if job.plan_only:
        return plan.path
    sha256 = study.train(plan)
    segments = draw(job.task, unseen_episodes(plan, job.episodes), job.segments, LENGTH, seed=4)
    where = list(segments.positions()).index(task_facts(job.task).main)
    probe, folds = ProbeConfig(updates=job.probe_updates), min(FOLDS, len(segments.episodes))
    found = {
        place: _object_errors(regress(agent, segments, CONTEXT, probe, 1, folds), where)
        for place, agent in plan.agents()
    }
    axes = {"episode": np.unique(segments.episode)}
    result = gather.models(plan, sha256, found, axes, dict.fromkeys(found[0, 0], ("episode",)))
    curves = gather.gather(plan.runs, result.attributes)
    result.axes["step"] = curves.axes["step"]
    result.data |= {name: curves.data[name] for name in CURVES if name in curves.data}
    result.notes["final"] = final(result)
    result.notes["protocol"] = {
        "segments": len(segments),
        "episodes": len(segments.episodes),
        "folds": folds,
        "object": task_facts(job.task).main,
        "probe": asdict(probe),
    }
    return study.finish(result, plan, lines(result))


def _object_errors(errors: dict[str, np.ndarray], where: int) -> dict[str, np.ndarray]:
    """``<probe>/<kind>`` to the error of one object in each episode that a segment is from; one fit of the MLP."""
    one = {name: (values[0] if name.startswith("mlp/") else values)[:, where] for name, values in errors.items()}
    return {name: values[np.isfinite(values)] for name, values in one.items()}


def final(result: schema.Result) -> dict[str, Any]:
    """Mean and interval over seeds of every measure, and the standard deviation between seeds."""
    measures = {name: result.values(name)[..., -1] for name in CURVES if name in result.data}
    measures |= {f"mlp/{kind}": result.values(f"mlp/{kind}").mean(-1) for kind in KINDS}
    table: dict[str, Any] = {"interval": OVER_SEEDS}
    for name, values in measures.items():
        table[name] = {
            str(method): seed_interval(values[i], within=bounds_of(name))._asdict()
            | {"sd_over_seeds": float(values[i].std(ddof=1)) if values.shape[1] > 1 else float("nan")}
            for i, method in enumerate(result.axes["method"])
        }
    return table


def lines(result: schema.Result) -> list[str]:
    """Every measure, per method."""
    text = ["at the end of training; [95 % over seeds]; sd: between seeds"]
    for name, row in result.notes["final"].items():
        if isinstance(row, dict):
            cells = [f"{method} {show(found)}{_between_seeds(found)}" for method, found in row.items()]
            text.append(f"  {WORDS.get(name, name.replace('_', ' ')):<32} " + "; ".join(cells))
    return text


def _between_seeds(found: dict[str, Any]) -> str:
    deviation = found["sd_over_seeds"]
    return f" (sd {deviation:.2g})" if known(deviation) else ""


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    study.main(Finding3, run, args)


if __name__ == "__main__":
    main()
