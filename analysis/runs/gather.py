"""Makes one result of run folders or trained models: metrics of all runs on common axes."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.results import comparisons
from analysis.results.schema import LARGEST, PAPER, SCHEMA_VERSION, Result, ResultError, now_utc
from analysis.runs.sweep import Run
from analysis.runs.target import ASKED
from hdream_core.runs import folder as run_folder
from hdream_core.runs.metrics import read_metrics
from hdream_core.support import provenance, untrusted

if TYPE_CHECKING:
    from analysis.runs.study import Plan


def command_line(study: str, words: Sequence[str]) -> str:
    """Returns the command line of a study with these arguments."""
    return f"python -m analysis.{study} {shlex.join(words)}".strip()


def origin(study: str, command: str | None = None) -> dict[str, Any]:
    """Returns the root attributes that say which command, code and machine made a result, and when.

    Args:
        study: its name, also that of its module.
        command: see ``command_line``; None if it is this process's own command line.
    """
    commit, dirty = provenance.git_state()
    return {
        "schema_version": SCHEMA_VERSION,
        "paper": PAPER,
        "study": study,
        "command": command_line(study, sys.argv[1:]) if command is None else command,
        "git_commit": commit,
        "git_dirty": dirty,
        "package_versions": json.dumps(provenance.package_versions()),
        "device": provenance.device_name(),
        "created_utc": now_utc(),
    }


def attributes(plan: Plan, buffer_sha256: str) -> dict[str, Any]:
    """Returns all root attributes of a plan's result."""
    config, planned = plan.config, plan.runs
    wall = [run_folder.seconds(run.folder).wall for run in planned if run.done]
    frames = next((run_folder.read_provenance(run.folder) for run in planned if run.started), {})
    return origin(plan.study, plan.target.full_command()) | {
        "scale": config.scale,
        "preset": config.preset,
        "task": config.task,
        "mode": "offline" if config.offline_buffer else "online",
        "render": frames.get("render", ""),
        "camera": frames.get("camera", ""),
        "buffer_sha256": buffer_sha256,
        "wall_seconds": float(sum(wall)),
        "complete": all(run.done for run in planned),
    }


def gather(planned: Sequence[Run], root_attributes: dict[str, Any]) -> Result:
    """Makes a result of what the runs have written so far.

    Evaluations become ``(method, seed, step)``, training metrics ``(method, seed, log_step)``, gradients ``(method,
    seed, gradient_step)``, and the last held-out evaluation ``(method, seed, window)``.
    """
    lines = {run: read_metrics(run.folder / "metrics.jsonl") for run in planned}
    methods = list(dict.fromkeys(run.config.method for run in planned))
    seeds = sorted({run.config.seed for run in planned})
    axes: dict[str, np.ndarray] = {"method": np.array(methods), "seed": np.array(seeds, np.int64)}
    data: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for kind, axis in (("eval", "step"), ("train", "log_step"), ("gradients", "gradient_step")):
        table = {run: {line["step"]: line for line in found if line["kind"] == kind} for run, found in lines.items()}
        steps = sorted({step for found in table.values() for step in found})
        if not steps and kind == "gradients":  # which runs need not measure
            continue
        axes[axis] = np.array(steps, np.int64)
        names = sorted(
            {name for found in table.values() for line in found.values() for name in line} - {"step", "kind"}
        )
        if 8 * len(names) * len(methods) * len(seeds) * len(steps) > LARGEST:
            raise ResultError(
                f"{len(names)} metrics at {len(steps)} steps of {len(planned)} runs are too many for a result"
            )
        for name in names:
            values = np.full((len(methods), len(seeds), len(steps)), np.nan)
            for run, found in table.items():
                place = methods.index(run.config.method), seeds.index(run.config.seed)
                values[place] = [_number(found.get(step, {}).get(name)) for step in steps]
            data[name] = (("method", "seed", axis), values)
    result = Result(root_attributes, axes, data, {run.config.method: dataclasses.asdict(run.config) for run in planned})
    _gather_windows(planned, result)
    _gather_seconds(planned, result)
    result.notes["final"] = comparisons.final_intervals(result)
    return comparisons.add(result)


def _gather_seconds(planned: Sequence[Run], result: Result) -> None:
    """Adds what each finished run took, ``(method, seed)``."""
    methods, seeds = result.methods, list(result.axes["seed"])
    took = np.full((len(run_folder.Seconds._fields), len(methods), len(seeds)), np.nan)
    for run in planned:
        if run.done:
            took[:, methods.index(run.config.method), seeds.index(run.config.seed)] = run_folder.seconds(run.folder)
    for kind, values in zip(run_folder.Seconds._fields, took, strict=True):
        if np.isfinite(values).any():
            result.data[f"seconds/{kind}"] = (("method", "seed"), values)


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


def _gather_windows(planned: Sequence[Run], result: Result) -> None:
    """Adds the errors of finished runs on each held-out window; all runs have the same windows."""
    files = {run: run.folder / "heldout.npz" for run in planned}
    loaded = {run: _heldout(path) for run, path in files.items() if run.done and path.exists()}
    if not loaded:
        return
    first = next(iter(loaded.values()))
    methods, seeds = list(result.axes["method"]), list(result.axes["seed"])
    result.axes["window"] = np.arange(len(first["start"]))
    for name in ("error", "dreamed_return"):
        values = np.full((len(methods), len(seeds), len(first["start"])), np.nan)
        for run, found in loaded.items():
            if not np.array_equal(found["start"], first["start"]):
                raise ResultError(f"{run.folder}: was evaluated on other held-out windows than the other runs")
            values[methods.index(run.config.method), seeds.index(run.config.seed)] = found[name]
        result.data[f"window/{name}"] = (("method", "seed", "window"), values)
    for name in ("episode", "true_return"):
        result.data[f"window/{name}"] = (("window",), first[name].astype(np.float64))


HELDOUT = ("start", "episode", "error", "dreamed_return", "true_return")


def _heldout(path: Path) -> dict[str, np.ndarray]:
    """Reads a run's last held-out windows, see ``evaluate.Dreams``; ResultError if the file is damaged."""
    try:
        found = untrusted.npz(path)
    except ValueError as error:
        raise ResultError(f"{path}: {error}") from None
    shapes = {values.shape for values in found.values()}
    numbers = all(values.dtype.kind in "fiu" for values in found.values())
    if set(found) != set(HELDOUT) or len(shapes) != 1 or len(next(iter(shapes))) != 1 or not numbers:
        raise ResultError(f"{path}: does not hold {', '.join(HELDOUT)}, numbers of one length")
    return found


def models(
    plan: Plan,
    sha256: str,
    measured: Mapping[tuple[int, int], Mapping[str, np.ndarray]],
    axes: Mapping[str, np.ndarray],
    layout: Mapping[str, tuple[str, ...]],
) -> Result:
    """Makes a result of what was measured on every trained model of a plan.

    Args:
        plan: whose runs the models come from.
        sha256: of the buffer, empty online.
        measured: index of a model (method, seed) to its arrays by metric.
        axes: coordinates of the further axes.
        layout: metric to its further axes, after ``method`` and ``seed``.
    """
    known = {"method": np.array(plan.methods), "seed": np.array(plan.seeds, np.int64), **axes}
    data = {}
    for name, further in layout.items():
        shape = tuple(len(known[axis]) for axis in ("method", "seed", *further))
        values = np.full(shape, np.nan)
        for index, metrics in measured.items():
            values[index] = metrics.get(name, np.nan)
        data[name] = (("method", "seed", *further), values)
    configs = {run.config.method: dataclasses.asdict(run.config) for run in plan.runs}
    return Result(attributes(plan, sha256), known, data, configs, {ASKED: dict(plan.target.own)})
