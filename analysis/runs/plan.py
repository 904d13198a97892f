"""Plans the runs that a study reads, and the buffer that they train on; it starts and builds nothing."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.runs import gather, launcher, sweep
from analysis.runs.flags import FIGURES, RESULTS, Study, check_words, configs, named, resolve, result_name, seeds_of
from analysis.runs.target import Target
from hdream_core import envs
from hdream_core.config.fields import Config
from hdream_core.data.minari_layout import METADATA_FILE
from hdream_core.data.sources import check_source
from hdream_core.envs.suite import LOOK
from hdream_core.support import commandline, places
from hdream_core.support.errors import ConfigError
from hdream_core.support.processes import cores
from hdream_core.support.progress import on_terminal, progress_bar
from hdream_core.support.words import counted
from offline_buffers.build import Build

if TYPE_CHECKING:
    from hdream_core.agent import Agent

BUFFER_STEPS = {"paper": 250_000, "long": 250_000, "cpu": 250_000, "quick": 40_000, "smoke": 5000}


@dataclass(frozen=True)
class Plan:
    """Holds the runs that a study reads, and how they are trained.

    Attributes:
        study: its name.
        runs: that the result is made of.
        workers: runs trained at once.
        recipe: of the buffer; None if there is none to build.
        launch: trains the runs.
        trains: False if nothing is built and nothing is started.
        target: the result file; None only in tests.
        out: folder of the figure.
    """

    study: str
    runs: list[sweep.Run]
    workers: int
    recipe: Build | None
    launch: launcher.Launch
    trains: bool = True
    target: Target | None = None
    out: Path = FIGURES

    @property
    def asked(self) -> list[sweep.Run]:
        """Returns the runs that the command asks for; only these are trained."""
        return [run for run in self.runs if self.target is None or self.target.asks(run)]

    @property
    def path(self) -> Path:
        """Returns the path of the result file."""
        return self.target.path

    @property
    def config(self) -> Config:
        """Returns the config of the first run; all runs share task, preset and mode."""
        return self.runs[0].config

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(run.config.method for run in self.runs))

    @property
    def seeds(self) -> list[int]:
        return sorted({run.config.seed for run in self.runs})

    def train(self, name: str, tick: Callable[[], None] = lambda: None) -> None:
        """Trains the runs that are asked for, with a bar of this name; ``tick`` is called about every second."""
        asked = self.asked
        total, done = sum(run.config.train.steps for run in asked), sweep.reached(asked)
        options = {"unit": "step", "smoothing": 0.05, "disable": not self.trains}
        with progress_bar(total=total, initial=done, desc=name, **options) as bar:

            def advance() -> None:
                bar.set_postfix_str(sweep.doing(asked), refresh=on_terminal())
                bar.update(sweep.reached(asked) - bar.n)
                tick()

            self.launch(asked, self.workers, advance)

    def agents(self, first_seed: bool = False) -> Iterator[tuple[tuple[int, int], Agent]]:
        """Loads the trained agents one by one, with the indices of method and seed; or only those of the first seed."""
        import torch

        from hdream_core.runs.load import load_agent

        if self.config.train.threads and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(cores())  # nothing trains now
        chosen = [run for run in self.runs if not first_seed or run.config.seed == self.seeds[0]]
        for run in progress_bar(chosen, desc=self.study, unit="model"):
            yield (self.methods.index(run.config.method), self.seeds.index(run.config.seed)), load_agent(run.folder)


def plan(job: Study, study: str, methods: Sequence[str], name: str = "", fixed: bool = False) -> Plan:
    """Plans the runs of a study and prints the plan.

    Args:
        job: the study's flags.
        study: its name.
        methods: to train; those without an agent's name are of ``--method``.
        name: of the result file, without task and preset. Default: the study's.
        fixed: whether a result with other methods is another result, and not a larger one.

    Raises:
        ConfigError: if the plan cannot be carried out, or the result file holds something else.
    """
    check_words(job)
    preset, mode = resolve(job)
    methods, name = named(job, methods), result_name(job, name or study)
    recipe = _recipe(job, methods, preset)
    _check_buffer(job, mode)
    buffer = places.relative_if_inside(job.buffer or recipe.folder()) if mode == "offline" else None
    target = _target(job, study, name, methods, preset, buffer, fixed)
    runs = target.planned()
    if job.launcher == "none" and job.READS == "models" and not job.plan_only:
        target = replace(target, seeds=_finished_seeds(runs, target))
        runs = target.planned()
    waiting = sum(not run.done for run in runs if target.asks(run))
    readable = buffer is None or job.buffer or (buffer / "data" / METADATA_FILE).exists()  # else it is built later
    if readable and waiting:
        check_source(runs[0].config)  # fails before anything starts
    workers, launch = launcher.pick(job.launcher, job.slurm, job.workers, waiting, job.plan_only)
    own = replace(recipe, out=buffer) if buffer and not job.buffer else None
    made = Plan(study, runs, workers, own, launch, job.launcher != "none", target, figures_folder(job))
    _print(made)
    if job.launcher == "local" and waiting:
        from analysis.runs import estimate  # imports torch

        left = sum(1 - run.step / run.config.train.steps for run in made.asked)
        print(estimate.in_words(made.config, left, workers, must_render=not job.plan_only))
    if job.launcher == "slurm" and job.plan_only:
        print(launcher.preview(job.slurm, workers, made.asked))
    return made


def _recipe(job: Study, methods: Sequence[str], preset: str) -> Build:
    """Returns how to build the default buffer; its frames are rendered as the runs ask."""
    env = configs(job, methods, preset, None)[0].env
    return Build(job.task, BUFFER_STEPS[preset], **{name: getattr(env, name) for name in LOOK if hasattr(env, name)})


def _check_buffer(job: Study, mode: str) -> None:
    if job.buffer and mode == "online":
        raise ConfigError(f"--buffer {job.buffer} is for --mode offline; online, each run gathers its own data")
    if mode == "offline" and not job.buffer and not envs.find(job.task).scripted:
        raise ConfigError(
            f"{job.task} has no script that could fill a buffer; give --buffer FOLDER, made by offline_buffers.build "
            "--source random or run:PATH, or take --mode online"
        )


def _target(
    job: Study, study: str, name: str, methods: Sequence[str], preset: str, buffer: Path | None, fixed: bool
) -> Target:
    """Returns the result file, and what may be in it."""
    common = {field.name for field in dataclasses.fields(Study)} | set(job.CHOOSE)
    own = {field.name: getattr(job, field.name) for field in dataclasses.fields(job) if field.name not in common}
    words = commandline.to_args(replace(job, given=())) if job.words is None else job.words
    return Target(
        path=job.results / f"{name}_{job.task}_{preset}.h5",
        methods=tuple(methods),
        seeds=tuple(seeds_of(job, preset)),
        grid=lambda names, seeds: configs(replace(job, seeds=tuple(seeds)), names, preset, buffer),
        runs=job.runs,
        own=json.loads(json.dumps(own, default=str)),  # as a result file stores it
        command=gather.command_line(study, words),
        replace=job.replace,
        fixed=fixed,
    )


def _finished_seeds(runs: Sequence[sweep.Run], target: Target) -> tuple[int, ...]:
    """Returns the seeds asked for of which every method is finished, and prints which are left out.

    Raises:
        ConfigError: if there is none; it names what is finished.
    """
    asked = [run for run in runs if target.asks(run)]
    unfinished = [run for run in asked if not run.done]
    seeds = tuple(seed for seed in target.seeds if seed not in {run.config.seed for run in unfinished})
    if not seeds:
        done = "; ".join(run.label for run in asked if run.done) or "none"
        raise ConfigError(
            f"{target.runs}: this study reads trained models, and no seed is finished with all of its methods "
            f"(finished: {done}); first to go on: {unfinished[0].label} ({unfinished[0].folder})"
        )
    if unfinished:
        used, left_out = (" ".join(map(str, part)) for part in (seeds, sorted(set(target.seeds) - set(seeds))))
        print(f"made of --seeds {used}; seeds {left_out} are left out, as not all of their runs are finished")
    return seeds


def figures_folder(job: Study) -> Path:
    """Returns the folder of the figure: beside the result, unless the result is in the default folder."""
    return job.out or (FIGURES if job.results == RESULTS else job.results)


def _print(plan: Plan) -> None:
    """Prints the runs and their progress."""
    config = plan.config
    mode = f"offline on {config.offline_buffer}" if config.offline_buffer else "online"
    runs = f"{counted(len(plan.runs), 'run')} of {config.train.steps} steps"
    print(f"{plan.study}: {config.task}, {mode}, preset {config.preset} (scale: {config.scale}), {runs}")
    for run in plan.runs:
        print(f"  {run.label:<28} {'done' if run.done else f'at step {run.step}':<16} {run.folder}")
    if rest := len(plan.runs) - len(plan.asked):
        print(f"{plan.path} holds {rest} of these runs that were not asked for now; they stay in it")
