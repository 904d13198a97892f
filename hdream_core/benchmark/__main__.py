"""Runs the benchmark's command: measures, prints a table, and can write the numbers to a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from hdream_core.config.presets import make_config
from hdream_core.data.environments import check_buffer, make_env
from hdream_core.data.offline import open_buffer
from hdream_core.spec import Spec
from hdream_core.support import commandline, provenance
from hdream_core.support.errors import ConfigError, exit_on_user_error
from hdream_core.support.files import write_atomically

Part = Literal["update", "kernels", "threads", "curves", "replay", "env", "online"]

ABOUT = "Time updates, kernels, frames and whole runs."


@dataclass(frozen=True)
class Benchmark:
    """Time environments, rendering, sampling and updates on this machine.

    An update is timed as a whole and in parts: tuned, plain in the same precision, and plain in float32. Each runs in a
    process of its own, and the processes take turns. Times are medians over rounds. The floor beside each is its
    floating-point operations over the rate at which this machine multiplies large matrices.
    """

    task: str = "lever_pull"
    """Task by the paper's name; it sets image and action sizes."""
    preset: str = "cpu"
    """Sizes of the model and the batch: paper, cpu, quick or smoke."""
    method: str = "dreamerv2"
    """A method, as hdream_core.train takes it."""
    device: str = "auto"
    """Device of the networks, as train.device."""
    parts: Annotated[tuple[Part, ...], tyro.conf.arg(metavar="PART ...")] = ("update", "replay", "env")
    """What to measure. update; kernels: the gain of each tuned file alone; threads: two runs side by side, against one
    with two threads and against one batched model; curves: whether tuned and plain updates learn the same; replay; env:
    steps and frames per second; online: environment steps per second of a run that plays and learns."""
    offline_buffer: Path | None = None
    """Sample from this buffer, for replay and curves; default: noise."""
    rounds: int = 7
    """Number of turns of each process."""
    updates: int = 4
    """Updates in a turn."""
    curve_updates: int = 200
    """Updates of each run that `curves` compares."""
    replay_steps: int = 10_000
    """Steps of noise that `replay` samples from without a buffer; 12 KB of disk each."""
    online_steps: int = 2000
    """Steps of the run that `online` times."""
    render: Literal["auto", "fast", "paper"] = "auto"
    """Render quality of the `online` run, as env.render."""
    json: Path | None = None
    """Write the numbers here, with the device, the package versions and the commit."""


def benchmark(job: Benchmark) -> dict[str, Any]:
    """Measures the parts of ``job``; returns the numbers nested by name, e.g. ``["update"]["tuned_s"]``.

    Raises:
        ConfigError: for an unknown preset, method or buffer, a count out of bounds, or no place to write ``json``.
    """
    for name in ("rounds", "updates", "curve_updates", "replay_steps", "online_steps"):
        if not 1 <= getattr(job, name) <= 10**7:
            raise ConfigError(f"{commandline.flag_of(name)} is {getattr(job, name)}; it must be from 1 to {10**7}")
    changes: dict[str, Any] = {"train.device": job.device}
    if job.render != "auto":
        changes["env.render"] = job.render
    if job.offline_buffer:
        changes["offline_buffer"] = str(job.offline_buffer)
    config = make_config(job.task, job.preset, job.method, changes)
    if job.json and not job.json.absolute().parent.is_dir():
        raise ConfigError(f"--json {job.json}: there is no folder {job.json.parent}")
    if job.json and job.json.is_dir():
        raise ConfigError(f"--json {job.json}: is a folder; name a file")
    if job.offline_buffer:
        check_buffer(config, open_buffer(job.offline_buffer).facts)
    spec = Spec.of(make_env(config, seed=0))
    from hdream_core.benchmark import curves, experience, online, update  # and torch

    numbers: dict[str, float] = {}
    for part in dict.fromkeys(job.parts):
        print(f"measuring: {part}", file=sys.stderr)
        match part:
            case "update":
                numbers |= update.measure(config, spec, job.rounds, job.updates)
            case "kernels":
                numbers |= update.measure_kernels(config, spec, job.rounds, job.updates)
            case "threads":
                numbers |= update.measure_threads(config, spec, job.rounds, job.updates)
            case "curves":
                folder = open_buffer(job.offline_buffer).store.folder if job.offline_buffer else None
                numbers |= curves.measure_curves(config, spec, job.curve_updates, folder)
            case "replay":
                whole = numbers.get("update.tuned_s")
                numbers |= experience.measure_replay(config, spec, job.rounds, job.replay_steps, whole)
            case "env":
                numbers |= experience.measure_environment(config, job.rounds)
            case "online":
                numbers |= online.measure_online(replace(config, offline_buffer=None), job.online_steps)
    return nested(numbers) | {"about": _about(job)}


def nested(flat: dict[str, float]) -> dict[str, Any]:
    """Nests numbers by the dots of their names: ``{"a.b": 1}`` becomes ``{"a": {"b": 1}}``."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        branch = tree
        for key in path:
            branch = branch.setdefault(key, {})
        branch[last] = value
    return tree


def _about(job: Benchmark) -> dict[str, Any]:
    """Returns the provenance of the numbers."""
    commit, dirty = provenance.git_state()
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(job).items()}
    del settings["json"]  # says where the numbers are, not how they were measured
    return {
        "settings": settings,
        "device": provenance.device_name(),
        "package_versions": provenance.package_versions(),
        "git_commit": commit,
        "git_dirty": dirty,
    }


UNITS = {
    "_s": ("ms", 1e3),
    "_mb": ("MiB", 1),
    "_fps": ("frames/s", 1),
    "_gflops": ("GFLOP/s", 1),
    "gflop": ("GFLOP", 1),
}


def table(numbers: dict[str, Any]) -> str:
    """Formats the nested numbers as a table."""
    lines = []
    update = numbers.get("update")
    if update:
        parts = {"whole update": update} | update["parts"]
        names = "tuned ms", "plain ms", "float32 ms", "plain/tuned", "float32/tuned", "floor ms", "tuned/floor"
        lines.append(f"{'':<16}" + "".join(f"{name:>14}" for name in names))
        for name, x in parts.items():
            over_floor = f"{x['tuned_s'] / x['floor_s']:.2f}" if x["floor_s"] else "-"
            seconds = "".join(f"{x[key] * 1e3:>14.1f}" for key in ("tuned_s", "same_precision_s", "plain_s"))
            ratios = f"{x['speedup_of_kernels']:>14.2f}{x['speedup']:>14.2f}"
            lines.append(f"{name:<16}{seconds}{ratios}{x['floor_s'] * 1e3:>14.1f}{over_floor:>14}")
        lines.append("")
    for group, values in numbers.items():
        if group in ("update", "about"):
            continue
        lines += [f"{f'{group}.{name}':<48}{_cell(name, value):>18}" for name, value in values.items()]
    return "\n".join(lines)


def _cell(name: str, value: float) -> str:
    if name.startswith("share"):
        return f"{value:.2%}"
    if name.endswith("per_s") or "per_s_" in name:
        return f"{value:,.4g} /s"
    for ending, (unit, factor) in UNITS.items():
        if name.endswith(ending):
            return f"{value * factor:,.4g} {unit}"
    return f"{value:,.4g}"


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with exit_on_user_error(interrupted="nothing was written"):
        job = commandline.parse(Benchmark, args, "python -m hdream_core.benchmark")
        numbers = benchmark(job)
        print(f"{numbers['about']['device']}; preset {job.preset}, task {job.task}")
        print(table(numbers))
        if job.json:
            write_atomically(job.json, (json.dumps(numbers, indent=1) + "\n").encode())
            print(f"wrote {job.json}")


if __name__ == "__main__":
    main()
