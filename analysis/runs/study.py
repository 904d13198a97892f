"""What all studies of trained models share: their flags, the runs they need, and having those runs trained."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.results import comparisons
from analysis.results.schema import Result, save
from analysis.runs import gather, launcher, pictures, sweep
from analysis.runs.flags import (
    FIGURES,
    RESULTS,
    Job,
    OfflineStudy,
    Study,
    check_words,
    choices,
    configs,
    resolve,
    seeds_of,
    sized,
    sizes_in_words,
)
from analysis.runs.held import Target
from hdream_core import envs
from hdream_core.config.fields import Config
from hdream_core.data.minari_layout import METADATA_FILE, read_metadata
from hdream_core.data.offline import open_buffer
from hdream_core.data.sources import check_source
from hdream_core.envs.suite import LOOK
from hdream_core.runs import folder as run_folder
from hdream_core.support import commandline, places
from hdream_core.support.errors import ConfigError, exit_on_user_error
from hdream_core.support.processes import cores
from hdream_core.support.progress import on_terminal, progress_bar
from hdream_core.support.words import counted
from offline_buffers.build import Build, build

if TYPE_CHECKING:
    from hdream_core.agent import Agent

__all__ = ["OfflineStudy", "Study", "configs", "resolve", "sized"]  # of flags
BUFFER_STEPS = {"paper": 250_000, "cpu": 250_000, "quick": 40_000, "smoke": 5000}


@dataclass(frozen=True)
class Plan:
    """The runs that a study reads, and the buffer they train on."""

    study: str
    runs: list[sweep.Run]  # those that the result is of
    workers: int
    recipe: Build | None  # of the buffer, if it is ours to build
    launch: launcher.Launch
    trains: bool = True  # False: nothing is built and nothing started
    target: Target | None = None
    out: Path = FIGURES  # folder of the figure

    @property
    def asked(self) -> list[sweep.Run]:
        """Those runs that the command asks for: no others are trained."""
        return [run for run in self.runs if self.target is None or self.target.asks(run)]

    @property
    def path(self) -> Path:
        """Of the result file."""
        return self.target.path

    @property
    def command(self) -> str:
        """That has the study made again."""
        return self.target.command

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
        import torch

        from hdream_core.runs.load import load_agent

        if self.config.train.threads and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(cores())  # nothing trains now
        chosen = [run for run in self.runs if not first_seed or run.config.seed == self.seeds[0]]
        for run in progress_bar(chosen, desc=self.study, unit="model"):
            yield self.place(run), load_agent(run.folder)

    def place(self, run: sweep.Run) -> tuple[int, int]:
        """Indices of a run's method and seed."""
        return self.methods.index(run.config.method), self.seeds.index(run.config.seed)


def plan(job: Study, study: str, methods: Sequence[str], name: str = "", fixed: bool = False) -> Plan:
    """Plans the runs of a study and prints the plan; starts nothing and builds nothing.

    Args:
        job: the study's flags.
        study: its name.
        methods: to train.
        name: of the result file, without task and preset. Default: the study's.
        fixed: whether other methods make another result, rather than a larger one.
    """
    check_words(job)
    preset, mode = resolve(job)
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
    buffer = places.relative_if_inside(job.buffer or recipe.folder()) if mode == "offline" else None
    target = _target(job, study, name or study, methods, preset, buffer, fixed)
    planned = target.planned()
    if job.launcher == "none" and job.READS == "models" and not job.plan_only:
        target = replace(target, seeds=_finished(planned, target))
        planned = target.planned()
    waiting = sum(not run.done for run in planned if target.asks(run))
    there = buffer is None or job.buffer or (buffer / "data" / METADATA_FILE).exists()  # else it is still to be built
    if there and waiting:
        check_source(planned[0].config)  # says what is wrong with it, before anything starts
    workers, launch = launcher.pick(job.launcher, job.slurm, job.workers, waiting, job.plan_only)
    ours = replace(recipe, out=buffer) if buffer and not job.buffer else None
    whole = Plan(study, planned, workers, ours, launch, job.launcher != "none", target, _figures(job))
    _print(whole)
    if job.launcher == "local" and waiting:
        from analysis.runs import estimate  # and torch

        left = sum(1 - run.step / run.config.train.steps for run in whole.asked)
        print(estimate.told(whole.config, left, workers, must_render=not job.plan_only))
    if job.launcher == "slurm" and job.plan_only:
        print(launcher.told(job.slurm, workers, whole.asked))
    return whole


def _target(
    job: Study, study: str, name: str, methods: Sequence[str], preset: str, buffer: Path | None, fixed: bool
) -> Target:
    """The result file, and what it may hold."""
    common = {field.name for field in dataclasses.fields(Study)} | set(job.CHOOSE)
    own = {field.name: getattr(job, field.name) for field in dataclasses.fields(job) if field.name not in common}
    return Target(
        path=job.results / f"{name}_{job.task}_{preset}.h5",
        methods=tuple(methods),
        seeds=tuple(seeds_of(job, preset)),
        grid=lambda names, seeds: configs(replace(job, seeds=tuple(seeds)), names, preset, buffer),
        runs=job.runs,
        own=json.loads(json.dumps(own, default=str)),  # as a result file has it
        command=gather.command_line(
            study, commandline.to_args(replace(job, given=())) if job.words is None else job.words
        ),
        replace=job.replace,
        fixed=fixed,
    )


def _finished(planned: Sequence[sweep.Run], target: Target) -> tuple[int, ...]:
    """Those of the seeds asked for of which every method is finished; says which are left out.

    Raises:
        ConfigError: if there is none, naming what is finished.
    """
    asked = [run for run in planned if target.asks(run)]
    left = [run for run in asked if not run.done]
    seeds = tuple(seed for seed in target.seeds if seed not in {run.config.seed for run in left})
    if not seeds:
        done = "; ".join(run.label for run in asked if run.done) or "none"
        raise ConfigError(
            f"{target.runs}: this study reads trained models, and no seed is finished with all of its methods "
            f"(finished: {done}); first to go on: {left[0].label} ({left[0].folder})"
        )
    if left:
        kept, out = (" ".join(map(str, some)) for some in (seeds, sorted(set(target.seeds) - set(seeds))))
        print(f"made of --seeds {kept}; seeds {out} are left out, as not all of their runs are finished")
    return seeds


def _figures(job: Study) -> Path:
    """A figure goes beside its result, unless both go where they usually do: no other result's figure is replaced."""
    return job.out or (FIGURES if job.results == RESULTS else job.results)


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
    """Has every run that is asked for trained, building the buffer first if need be; returns the buffer's hash."""
    sha256 = prepare_buffer(plan)
    asked = plan.asked
    if not all(run.done for run in asked):
        total = sum(run.config.train.steps for run in asked)
        with progress_bar(
            total=total, initial=sweep.reached(asked), unit="step", desc="training", smoothing=0.05
        ) as bar:

            def tick() -> None:
                bar.set_postfix_str(sweep.doing(asked), refresh=on_terminal())
                bar.update(sweep.reached(asked) - bar.n)

            plan.launch(asked, plan.workers, tick)
    if left := sum(not run.done for run in plan.runs):
        raise ConfigError(
            f"{left} of {len(plan.runs)} runs are not finished, and this study reads trained models; have them "
            "trained, with another --launcher"
        )
    return sha256


def finish(result: Result, plan: Plan, lines: Sequence[str]) -> Path:
    """Writes the result, prints what came, draws the figure and returns the result's path.

    Raises:
        ConfigError: if another command has meanwhile put something else there.
        PictureError: if the figure alone fails, at the very end.
    """
    with plan.target.writing():
        plan.target.check_unchanged(plan.runs)
        save(comparisons.add(result), plan.path)
        return show(plan, lines)


def show(plan: Plan, lines: Sequence[str]) -> Path:
    """Prints what came of a plan whose result is written, draws the figure and returns the result's path.

    Raises:
        PictureError: if the figure fails.
    """
    print("\n".join(lines))
    if plan.config.preset == "smoke":
        print("preset smoke is a test of the machinery: these numbers mean nothing")
    print(f"result: {plan.path}", flush=True)
    print(f"figure: {pictures.draw(plan.study, plan.path, plan.out)}")
    return plan.path


def main(job: type[Job], run: Callable[[Job], Any], args: Sequence[str] | None = None) -> None:
    """Entry point of a study: its flags from the command line, its errors as one line."""
    with exit_on_user_error():
        try:
            words = tuple(sys.argv[1:] if args is None else args)
            module = Path(sys.modules[run.__module__].__file__).stem
            sizes = sizes_in_words(getattr(sys.modules[run.__module__], "SIZES", {}))
            told = f"{inspect.getdoc(job)}\n\n{choices()}"
            found = commandline.parse(
                job, launcher.expand(words), f"python -m analysis.{module}", sizes, description=told
            )
            check_words(found)
            for name in () if found.plan_only else found.MAKES:  # before hours of training, not after
                made = _figures(found) if name == "out" else getattr(found, name)
                places.check_folder(made, f"give another --{name}")
            run(replace(found, words=words))
        except sweep.SweepError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)


def _print(plan: Plan) -> None:
    """The runs, and what is done of each."""
    config = plan.config
    mode = f"offline on {config.offline_buffer}" if config.offline_buffer else "online"
    runs = f"{counted(len(plan.runs), 'run')} of {config.train.steps} steps"
    size = f"preset {config.preset} (scale: {config.scale}), {runs}"
    print(f"{plan.study}: {config.task}, {mode}, {size}")
    for run in plan.runs:
        print(f"  {run.label:<28} {'done' if run.done else f'at step {run.step}':<16} {run.folder}")
    if len(plan.asked) < len(plan.runs):
        rest = len(plan.runs) - len(plan.asked)
        print(f"{plan.path} holds {rest} of these runs that were not asked for now; they stay in it")
