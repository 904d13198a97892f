"""Finding 1 (Sec. 2.3, Fig. 2a): the reward loss's coefficient has a great impact on sample efficiency.

``python -m analysis.finding1 --task lever_pull`` trains DreamerV2 with several w_r, writes
``results/finding1_<task>_<preset>.h5`` and draws the figure while the runs go on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import tyro

import figures.finding1
from analysis import collect, summary, sweep
from analysis.estimate import seconds_per_run
from analysis.reporter import Reporter
from hdream_core.config import MINIATURE_TASKS, Config, ConfigError
from hdream_core.errors import exit_on_user_error
from hdream_core.offline import open_buffer
from hdream_core.precision import pick_device
from hdream_core.presets import check_preset, make_config
from hdream_core.processes import cores
from hdream_core.settings import parse_value
from hdream_core.sources import check_buffer
from offline_buffers.build import Build, build

STUDY = "finding1"

# What a preset sweeps unless told otherwise: seeds, and whether w_o = 0 and HarmonyDream join in.
SEEDS = {"paper": 5, "cpu": 3, "quick": 1, "smoke": 1}
MINIATURE_SEEDS = {"cpu": 5, "quick": 1, "smoke": 1}
FULLER = ("paper", "cpu")
OWN = ("task", "method", "seed", "preset", "offline_buffer")  # settings with flags of their own
BUFFER_STEPS = {"paper": 250_000, "cpu": 250_000, "quick": 40_000, "smoke": 5000}


@dataclass(frozen=True)
class Finding1:
    """Train DreamerV2 with several reward-loss weights and compare (Finding 1, Fig. 2a).

    The same command skips what is finished and resumes what was interrupted.
    """

    task: str = "lever_pull"
    """Task by the paper's name; mini_lever is the miniature."""
    mode: Literal["auto", "online", "offline"] = "auto"
    """online: each run gathers its own data. offline: all train on one fixed buffer (C.4). auto: offline for Meta-world
    without a GPU, which is what a small machine can carry, else online."""
    w_r: tuple[float, ...] = (1.0, 10.0, 100.0)
    """Reward-loss weights."""
    implicit: bool = False
    """Add the decoder-free model, w_o = 0 with w_r = 100. The presets cpu and paper include it."""
    harmony: bool = False
    """Add HarmonyDream. The presets cpu and paper include it."""
    only_w_r: bool = False
    """Leave out w_o = 0 and HarmonyDream with the presets cpu and paper, too."""
    seeds: tuple[int, ...] | None = None
    """Seeds of every method. Default: 0 for quick and smoke, 0 1 2 for cpu (0 to 4 on mini_lever), 0 to 4 for paper."""
    preset: str = "auto"
    """Size of model and run: paper, cpu, quick or smoke; auto takes paper with a GPU, else quick."""
    workers: int = 0
    """Runs side by side; 0: one a processor."""
    buffer: Path | None = None
    """Offline: an existing buffer's folder. Default: a scripted one, built first if need be."""
    runs: Path = Path("runs")
    """Folder of the runs."""
    results: Path = Path("results")
    """Folder of the result file."""
    out: Path = Path("figures/out")
    """Folder of the figure."""
    set: tuple[str, ...] = ()
    """Further settings of every run, as name=value, e.g. train.steps=20000 model.rssm.deter=512."""
    plan_only: bool = False
    """Print the plan and stop."""


def resolve(job: Finding1) -> tuple[str, str]:
    """Preset and mode for this machine, where they were left to ``auto``."""
    gpu, miniature = pick_device().type == "cuda", job.task in MINIATURE_TASKS
    preset = job.preset if job.preset != "auto" else "paper" if gpu and not miniature else "quick"
    check_preset(job.task, preset)
    mode = job.mode if job.mode != "auto" else "online" if gpu or miniature else "offline"
    return preset, mode


def configs(job: Finding1, preset: str, buffer: Path | None) -> list[Config]:
    """Every run of the sweep."""
    changes: dict[str, Any] = {"offline_buffer": str(buffer) if buffer else None}
    for text in job.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: expected name=value")
        if name in OWN or name.startswith("balancer."):
            raise ConfigError(f"--set {text}: the sweep sets {name} itself; use its own flag")
        changes[name] = parse_value(name, value)
    seeds = job.seeds
    if seeds is None:
        seeds = tuple(range((MINIATURE_SEEDS if job.task in MINIATURE_TASKS else SEEDS)[preset]))
    if not job.w_r or len(set(job.w_r)) < len(job.w_r) or not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError("--w-r and --seeds each need one or more different values")
    fuller = preset in FULLER and not job.only_w_r
    sweep_configs = []
    for seed in seeds:
        common = changes | {"seed": seed}
        for w_r in job.w_r:
            sweep_configs.append(
                make_config(job.task, preset, "dreamerv2", common | {"method": f"w_r={w_r:g}", "balancer.w_r": w_r})
            )
        if job.implicit or fuller:
            only_reward = {"method": "w_o=0,w_r=100", "balancer.w_o": 0.0, "balancer.w_r": 100.0}
            sweep_configs.append(make_config(job.task, preset, "dreamerv2", common | only_reward))
        if job.harmony or fuller:
            sweep_configs.append(make_config(job.task, preset, "harmony", common))
    return sweep_configs


def print_plan(planned: Sequence[sweep.Run], workers: int) -> None:
    """The runs, what is done of each, and how long the rest may take."""
    config = planned[0].config
    mode = f"offline on {config.offline_buffer}" if config.offline_buffer else "online"
    size = f"preset {config.preset} (scale: {config.scale}), {len(planned)} runs of {config.train.steps} steps"
    print(f"{STUDY}: {config.task}, {mode}, {size}")
    for run in planned:
        print(f"  {run.label:<28} {'done' if run.done else f'at step {run.step}':<16} {run.folder}")
    left = sum(1 - run.step / run.config.train.steps for run in planned)
    if left > 0:
        minutes = seconds_per_run(config) * left / min(workers, cores()) / 60
        estimate = (
            "no estimate for full size on a CPU" if math.isnan(minutes) else f"about {max(minutes, 1):.0f} minutes"
        )
        print(f"{estimate} for what is left, {workers} at a time")


def run(job: Finding1) -> Path:
    """Plans, runs, collects and draws; returns the result file."""
    preset, mode = resolve(job)
    frames = configs(job, preset, None)[0].env  # the buffer's are to be rendered as the runs ask
    recipe = Build(job.task, BUFFER_STEPS[preset], render=frames.render, camera=frames.camera)
    buffer = _shortest(job.buffer or recipe.folder()) if mode == "offline" else None
    planned = sweep.plan(configs(job, preset, buffer), job.runs)
    workers = sweep.pick_workers(job.workers, sum(not run.done for run in planned))
    print_plan(planned, workers)
    path = collect.save_path(job.results, STUDY, planned)
    if job.plan_only:
        return path
    for folder in (job.results, job.out):
        folder.mkdir(parents=True, exist_ok=True)
    sha256 = _prepare_buffer(planned[0].config, None if job.buffer else recipe)
    reporter = Reporter(STUDY, planned, path, job.out, sha256, figures.finding1.draw)
    with reporter.bar:
        sweep.execute(planned, workers, reporter.tick)
    result = reporter.write()
    print("\n".join(summary.lines(result)))
    print(f"result: {path}\nfigure: {reporter.figure}")
    return path


def _prepare_buffer(config: Config, recipe: Build | None) -> str:
    """Builds the buffer if there is a recipe for it, checks that it suits the runs, and returns its hash."""
    if config.offline_buffer is None:
        return ""
    if recipe is not None:
        build(replace(recipe, out=Path(config.offline_buffer)))
    facts = open_buffer(config.offline_buffer).facts
    check_buffer(config, facts)
    return facts["sha256"]


def _shortest(folder: Path) -> Path:
    """Relative to the current folder where it lies inside: a run's config then holds no path of one machine."""
    absolute = folder.resolve()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else folder


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error():
        job = tyro.cli(Finding1, args=args, prog="python -m analysis.finding1")
        try:
            run(job)
        except sweep.SweepError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main()
