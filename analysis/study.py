"""What all studies of trained models share: their flags, the runs they need, and having those runs trained."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
import tyro

from analysis import collect, estimate, launcher, sweep
from analysis import methods as naming
from analysis.results import Result, save
from hdream_core import envs
from hdream_core.agent import Agent
from hdream_core.config import legacy
from hdream_core.config.fields import Config
from hdream_core.config.presets import check_preset, make_config
from hdream_core.data.minari_layout import METADATA_FILE, read_metadata
from hdream_core.data.offline import open_buffer
from hdream_core.data.sources import check_source
from hdream_core.envs.suite import LOOK
from hdream_core.runs import folder as run_folder
from hdream_core.runs.load import load_agent
from hdream_core.support import commandline
from hdream_core.support.errors import ConfigError, exit_on_user_error
from hdream_core.support.precision import pick_device
from hdream_core.support.processes import cores
from hdream_core.support.progress import progress_bar
from hdream_core.support.settings import parse_value
from offline_buffers.build import Build, build

# What a preset sweeps unless told otherwise.
SEEDS = {"paper": 5, "cpu": 3, "quick": 1, "smoke": 1}
MINIATURE_SEEDS = {"cpu": 5, "quick": 1, "smoke": 1}
OWN = ("task", "method", "seed", "preset", "offline_buffer")  # settings with flags of their own
BUFFER_STEPS = {"paper": 250_000, "cpu": 250_000, "quick": 40_000, "smoke": 5000}

Job = TypeVar("Job", bound="Study")


@dataclass(frozen=True)
class Study:
    task: str = "lever_pull"
    """Task by the paper's name; mini_lever is the miniature."""
    mode: Literal["auto", "online", "offline"] = "auto"
    """online: each run gathers its own data. offline: all train on one fixed buffer (C.4). auto: offline for Meta-world
    without a GPU, which is what a small machine can carry, else online; online where no script can fill a buffer."""
    seeds: tuple[int, ...] | None = None
    """Seeds of every method. Default: 0 for quick and smoke, 0 1 2 for cpu (0 to 4 on mini_lever), 0 to 4 for paper."""
    preset: str = "auto"
    """Size of model and run: paper, cpu, quick or smoke; auto takes paper with a GPU, else quick."""
    workers: int = 0
    """Runs in parallel; 0: one per processor, or all of them with Slurm."""
    buffer: Path | None = None
    """Offline: an existing buffer's folder. Default: a scripted one, built first if need be."""
    runs: Path = Path("runs")
    """Folder of the runs."""
    results: Path = Path("results")
    """Folder of the result file."""
    out: Path = Path("figures/out")
    """Folder of the figure."""
    set: tuple[str, ...] = ()
    """Further settings of every run, as name=value, e.g. train.steps=20000
    agent.model.rssm.deter=512."""
    launcher: Literal["local", "slurm", "none"] = "local"
    """Where runs are trained: local, side by side on this machine; slurm, as an array of jobs; none, nowhere: the
    result is made of what the runs have so far."""
    slurm: tuple[str, ...] = ()
    """Parameters of the Slurm jobs as name=value, in submitit's names: partition=gpu gpus_per_node=1 time=720 (minutes)
    cpus_per_task=8 mem=32GB account=me ...; --slurm-partition gpu says the same."""
    plan_only: bool = False
    """Print the plan and stop."""
    words: Annotated[tuple[str, ...] | None, tyro.conf.Fixed, tyro.conf.Suppress] = None
    """The command line that all this was read from; None for a job that was made otherwise."""


@dataclass(frozen=True)
class OfflineStudy(Study):
    """A study of C.4's kind: its models are compared on the same data unless told otherwise."""

    mode: Literal["auto", "online", "offline"] = "offline"
    """offline, as in C.4, or online, where each model has trained on data of its own; auto: online with a GPU and on
    the miniature, else offline."""


@dataclass(frozen=True)
class Plan:
    """The runs that a study reads, and the buffer they train on."""

    study: str
    runs: list[sweep.Run]
    workers: int
    recipe: Build | None  # of the buffer, if it is ours to build
    launch: launcher.Launch
    trains: bool = True  # False: nothing is built and nothing started
    command: str = ""  # that has the study made again

    @property
    def config(self) -> Config:
        """Of the first run; task, preset and mode are those of all."""
        return self.runs[0].config

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(run.config.method for run in self.runs))

    @property
    def seeds(self) -> list[int]:
        return sorted({run.config.seed for run in self.runs})

    def agents(self, first_seed: bool = False) -> Iterator[tuple[tuple[int, int], Agent]]:
        """Every trained agent, or those of the first seed, with its place on the axes of methods and seeds; loaded one
        at a time.
        """
        if self.config.train.threads and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(cores())  # nothing trains now
        chosen = [run for run in self.runs if not first_seed or run.config.seed == self.seeds[0]]
        for run in progress_bar(chosen, desc=self.study, unit="model"):
            yield self.place(run), load_agent(run.folder)

    def place(self, run: sweep.Run) -> tuple[int, int]:
        """Indices of a run's method and seed."""
        return self.methods.index(run.config.method), self.seeds.index(run.config.seed)


def sized(job: Job, sizes: Mapping[str, Mapping[str, int]]) -> Job:
    """The job with what was left open set to the size of its preset.

    Args:
        job: with None in the fields that were not given.
        sizes: field to preset to value.
    """
    preset, _ = resolve(job)
    for name in sizes:
        if (given := getattr(job, name)) is not None and given < 1:
            raise ConfigError(f"--{name.replace('_', '-')} is {given}; it must be 1 or more")
    return replace(job, **{name: by[preset] for name, by in sizes.items() if getattr(job, name) is None})


def resolve(job: Study) -> tuple[str, str]:
    """Preset and mode for this machine, where they were left to ``auto``."""
    device = next((text.partition("=")[2] for text in job.set if text.startswith("train.device=")), "auto")
    gpu, miniature, scripted = pick_device(device).type == "cuda", _is_miniature(job.task), envs.find(job.task).scripted
    preset = job.preset if job.preset != "auto" else "paper" if gpu and not miniature else "quick"
    check_preset(job.task, preset)
    mode = job.mode if job.mode != "auto" else "online" if gpu or miniature or not scripted else "offline"
    return preset, mode


def configs(job: Study, methods: Sequence[str], preset: str, buffer: Path | None) -> list[Config]:
    """Every run of the study: each method with each seed."""
    settings: dict[str, str] = {}
    for text in job.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: expected name=value")
        if name in OWN or name.startswith("balancer."):
            raise ConfigError(f"--set {text}: the sweep sets {name} itself; use its own flag")
        settings[legacy.setting(name)] = value
    seeds = job.seeds
    if seeds is None:
        seeds = tuple(range((MINIATURE_SEEDS if _is_miniature(job.task) else SEEDS)[preset]))
    for flag, values in (("--seeds", seeds), ("the methods", methods)):
        if not values or len(set(values)) < len(values):
            raise ConfigError(f"{flag}: one or more different values are needed, got {' '.join(map(str, values))}")
    found = []
    for seed in seeds:
        for method in methods:
            base, own = naming.parse(method)
            start = make_config(job.task, preset, base)
            changes = {name: parse_value(start, name, value) for name, value in settings.items()}
            changes |= {"offline_buffer": str(buffer) if buffer else None, "seed": seed}
            found.append(make_config(job.task, preset, base, changes | own))
    return found


def _is_miniature(task: str) -> bool:
    """Whether a processor carries the task at its full size."""
    return envs.find(task).scale == "miniature"


def plan(job: Study, study: str, methods: Sequence[str], positions: bool = False) -> Plan:
    """Plans the runs of a study and prints the plan; starts nothing and builds nothing.

    Args:
        job: the study's flags.
        study: its name.
        methods: to train.
        positions: whether it needs to know where the task's objects are.
    """
    preset, mode = resolve(job)
    if envs.find(job.task).positions is None and positions:
        raise ConfigError(
            f"where {job.task}'s objects are in its state is not known, which {study} needs; take another task"
        )
    frames = configs(job, methods, preset, None)[0].env  # the buffer's are to be rendered as the runs ask
    look = {name: getattr(frames, name) for name in LOOK if hasattr(frames, name)}
    recipe = Build(job.task, BUFFER_STEPS[preset], **look)
    if job.buffer and mode == "online":
        raise ConfigError(f"--buffer {job.buffer} is for --mode offline; online, each run gathers its own data")
    if mode == "offline" and not job.buffer and not envs.find(job.task).scripted:
        raise ConfigError(
            f"{job.task} has no script that could fill a buffer; give --buffer FOLDER, made by offline_buffers.build "
            "--source random or run:PATH, or take --mode online"
        )
    buffer = _shortest(job.buffer or recipe.folder()) if mode == "offline" else None
    planned = sweep.plan(configs(job, methods, preset, buffer), job.runs)
    waiting = sum(not run.done for run in planned)
    there = buffer is None or job.buffer or (buffer / "data" / METADATA_FILE).exists()  # else it is still to be built
    if there and waiting:
        check_source(planned[0].config)  # says what is wrong with it, before anything starts
    workers, launch = launcher.pick(job.launcher, job.slurm, job.workers, waiting)
    ours = replace(recipe, out=buffer) if buffer and not job.buffer else None
    command = collect.command_line(study, commandline.to_args(job) if job.words is None else job.words)
    whole = Plan(study, planned, workers, ours, launch, job.launcher != "none", command)
    _print(whole)
    if job.launcher == "local" and not all(run.done for run in planned):
        left = sum(1 - run.step / run.config.train.steps for run in planned)
        print(estimate.told(whole.config, left, workers, must_render=not job.plan_only))
    return whole


def prepare_buffer(plan: Plan, read: bool = True) -> str:
    """Builds the buffer if there is a recipe for it, checks that it suits the runs, and returns its hash.

    Args:
        plan: the runs.
        read: whether the study itself reads the buffer; else nobody needs it once all runs are done.
    """
    config = plan.config
    if config.offline_buffer is None:
        return ""
    if not read and all(run.done for run in plan.runs):
        return run_folder.read_provenance(plan.runs[0].folder).get("buffer_sha256", "")
    if not plan.trains:
        folder = Path(config.offline_buffer)
        return read_metadata(folder)["hdream"]["sha256"] if (folder / "data").exists() else ""
    if plan.recipe is not None:
        build(plan.recipe)
    check_source(config)
    return open_buffer(config.offline_buffer).facts["sha256"]


def train(plan: Plan) -> str:
    """Has every run of the plan trained, building the buffer first if need be; returns the buffer's hash."""
    sha256 = prepare_buffer(plan)
    if not all(run.done for run in plan.runs):
        total = sum(run.config.train.steps for run in plan.runs)
        with progress_bar(
            total=total, initial=sweep.reached(plan.runs), unit="step", desc="training", smoothing=0.05
        ) as bar:
            plan.launch(plan.runs, plan.workers, lambda: bar.update(sweep.reached(plan.runs) - bar.n))
        if left := sum(not run.done for run in plan.runs):
            raise ConfigError(
                f"{left} of {len(plan.runs)} runs are not finished, and this study reads trained models; have them "
                "trained, with another --launcher"
            )
    return sha256


def finish(result: Result, path: Path, out: Path, draw: Callable[[Path, Path], Path], lines: Sequence[str]) -> Path:
    """Writes the result, draws its figure, prints what came and returns the result's path."""
    save(result, path)
    figure = draw(path, out)
    print("\n".join(lines))
    print(f"result: {path}\nfigure: {figure}")
    return path


def main(job: type[Job], run: Callable[[Job], Any], args: Sequence[str] | None = None) -> None:
    """Entry point of a study: its flags from the command line, its errors as one line."""
    with exit_on_user_error():
        try:
            words = tuple(sys.argv[1:] if args is None else args)
            module = Path(sys.modules[run.__module__].__file__).stem
            found = commandline.parse(job, launcher.expand(words), f"python -m analysis.{module}")
            run(replace(found, words=words))
        except sweep.SweepError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)


def _print(plan: Plan) -> None:
    """The runs, and what is done of each."""
    config = plan.config
    mode = f"offline on {config.offline_buffer}" if config.offline_buffer else "online"
    size = f"preset {config.preset} (scale: {config.scale}), {len(plan.runs)} runs of {config.train.steps} steps"
    print(f"{plan.study}: {config.task}, {mode}, {size}")
    for run in plan.runs:
        print(f"  {run.label:<28} {'done' if run.done else f'at step {run.step}':<16} {run.folder}")


def _shortest(folder: Path) -> Path:
    """Relative to the current folder where it lies inside: a run's config then holds no path of one machine."""
    absolute = folder.resolve()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else folder
