"""Defines the flags of studies, and turns them into sizes and into the configs of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

import tyro

from analysis.results.tasks import task_facts
from analysis.runs import methods as naming
from hdream_core import envs
from hdream_core.config import legacy
from hdream_core.config.agents import settings_of
from hdream_core.config.fields import Config
from hdream_core.config.presets import METHODS, check_preset, make_config, presets_for
from hdream_core.support.commandline import flag_of
from hdream_core.support.errors import ConfigError
from hdream_core.support.precision import pick_device
from hdream_core.support.settings import parse_value

# Number of seeds of each preset by default.
SEEDS = {"paper": 5, "long": 5, "cpu": 3, "quick": 1, "smoke": 1}
MINIATURE_SEEDS = {"cpu": 5, "quick": 1, "smoke": 1}
OWN = ("task", "method", "seed", "preset", "offline_buffer")  # settings with flags of their own
RESULTS, FIGURES = Path("results"), Path("figures/out")  # default folders

Job = TypeVar("Job", bound="Study")


@dataclass(frozen=True)
class Study:
    CHOOSE: ClassVar[tuple[str, ...]] = ("methods",)  # flags that choose methods; a study's others are its settings
    MAKES: ClassVar[tuple[str, ...]] = ("results", "out")  # flags that name folders it writes to
    READS: ClassVar[Literal["curves", "models"]] = "models"  # what it reads of runs; models must be finished
    POSITIONS: ClassVar[bool] = False  # whether it needs to know where the task's objects are in the state
    AFTERWARDS: ClassVar[bool] = False  # whether it needs steps after the object was moved
    FRAMES: ClassVar[bool] = False  # whether it needs models that learn frames, and decode them

    task: str = "lever_pull"
    """Task by the paper's name; mini_lever is the miniature."""
    mode: Literal["auto", "online", "offline"] = "auto"
    """online: each run gathers its own data. offline: all train on one fixed buffer (C.4). auto: offline for Meta-world
    without a GPU, which is what a small machine can carry, else online; online where no script can fill a buffer."""
    method: str = "auto"
    """Method that names of methods without an agent mean, such as w_r=10; auto takes the first that has presets for
    the task."""
    seeds: tuple[int, ...] | None = None
    """Seeds of every method, as 0 1 2, 0,1,2 or 0-2. Default: 0 for quick and smoke, 0 1 2 for cpu (0 to 4 on
    miniatures), 0 to 4 for long and paper."""
    preset: str = "auto"
    """Size of model and run: paper, long, cpu, quick or smoke; auto takes paper with a GPU, else quick."""
    workers: int = 0
    """Runs in parallel; 0: one per processor, or all of them with Slurm."""
    buffer: Path | None = None
    """Offline: an existing buffer's folder. Default: a scripted one, built first if need be."""
    runs: Path = Path("runs")
    """Folder of the runs."""
    results: Path = RESULTS
    """Folder of the result file. Methods and seeds are added to an existing result with the same settings."""
    replace: bool = False
    """Whether an existing result with other settings, or a damaged one, may be replaced; else it is refused."""
    out: Path | None = None
    """Folder of the figure. Default: figures/out, or with --results that folder."""
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
    """Print the plan and stop; of Slurm jobs also parameters and script, which needs no Slurm here."""
    words: Annotated[tuple[str, ...] | None, tyro.conf.Fixed, tyro.conf.Suppress] = None
    """The command line that the flags were read from; None if they were not read from one."""
    given: Annotated[tuple[str, ...], tyro.conf.Fixed, tyro.conf.Suppress] = ()
    """Sizes that were asked for; the others were left to the preset."""


@dataclass(frozen=True)
class OfflineStudy(Study):
    """A study like C.4's: by default its models are trained on the same data."""

    mode: Literal["auto", "online", "offline"] = "offline"
    """offline, as in C.4; online, where each model has trained on its own data; auto: online with a GPU and on
    the miniature, else offline."""


def sized(job: Job, sizes: Mapping[str, Mapping[str, int]]) -> Job:
    """Returns the job with the preset's sizes in the fields that are None.

    Args:
        job: the flags.
        sizes: field to preset to value.
    """
    given = tuple(name for name in sizes if getattr(job, name) is not None)
    for name in given:
        if getattr(job, name) < 1:
            raise ConfigError(f"{flag_of(name)} is {getattr(job, name)}; it must be 1 or more")
    preset, _ = resolve(job)
    return replace(job, given=given, **{name: _size(by, preset) for name, by in sizes.items() if name not in given})


def _size(by: Mapping[str, int], preset: str) -> int:
    """Returns the size of a preset; that of long is that of cpu, whose runs are shorter, unless it has its own."""
    return by["cpu"] if preset == "long" and "long" not in by else by[preset]


def sizes_in_words(sizes: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Returns the sizes of the presets by field, as the help shows them: ``2000 for paper, 400 for cpu``."""
    text = {}
    for name, by in sizes.items():
        each = ", ".join(f"{size} for {preset}" for preset, size in by.items())
        text[name] = str(next(iter(by.values()))) if len(set(by.values())) == 1 else each
    return text


def resolve(job: Study) -> tuple[str, str]:
    """Returns preset and mode, chosen for this machine where they are ``auto``."""
    suite, preset, mode = envs.find(job.task), job.preset, job.mode
    if preset == "auto":
        preset = "paper" if suite.scale != "miniature" and _on_gpu(job) else "quick"
    check_preset(job.task, preset, method_of(job))
    if mode == "auto":
        mode = "online" if suite.scale == "miniature" or not suite.scripted or _on_gpu(job) else "offline"
    return preset, mode


def method_of(job: Study) -> str:
    """Returns the method that names without an agent mean."""
    return naming.first_able(job.task) if job.method == "auto" else job.method


def decodes(job: Study) -> bool:
    """Returns whether the agent that names without one mean learns frames, and decodes them."""
    return settings_of(METHODS[method_of(job)][0]).decodes


def balances(job: Study) -> bool:
    """Returns whether there is HarmonyDream of the agent that names without one mean."""
    agent = METHODS[method_of(job)][0]
    return any(other == agent and changes["balancer.kind"] == "harmony" for other, changes in METHODS.values())


def named(job: Study, methods: Sequence[str]) -> list[str]:
    """Returns methods by the names that runs and results have."""
    return naming.of_method(methods, method_of(job))


def result_name(job: Study, name: str) -> str:
    """Returns the name of a result file, without task and preset; agents but the first have theirs in it."""
    method = method_of(job)
    return name if method == next(iter(METHODS)) else f"{name}_{method}"


def _on_gpu(job: Study) -> bool:
    """Returns whether runs train on a GPU; this imports torch, which takes seconds."""
    device = next((text.partition("=")[2] for text in job.set if text.startswith("train.device=")), "auto")
    return pick_device(device).type == "cuda"


def choices() -> str:
    """Returns the help on names: presets, methods, and where tasks are listed."""
    presets = "\n".join(f"  {name:<6} {text}" for name, (text, _) in presets_for(Study.task).items())
    names = ", ".join((*METHODS, *naming.VARIANTS))
    return (
        f"Presets (these of {Study.task}; auto takes one):\n{presets}\n\n"
        f"Methods: {names}, fixed weights such as w_r=100 or w_o=0,w_r=100, and both, such as harmony,w_d=1.\n\n"
        "Tasks: python -m hdream_core.tasks lists them, with the presets of each suite."
    )


def check_words(job: Study) -> None:
    """Checks names, seeds and settings before anything imports torch.

    Raises:
        ConfigError: naming the first one that cannot be used.
    """
    preset = "quick" if job.preset == "auto" else job.preset
    check_preset(job.task, preset, method_of(job))
    if job.POSITIONS and envs.find(job.task).positions is None:
        raise ConfigError(
            f"{job.task} does not give the positions of its objects, which this study needs; take another task"
        )
    if job.AFTERWARDS and task_facts(job.task).ends:
        raise ConfigError(
            f"{job.task} ends as soon as its object is reached or moved, and this study predicts what follows; take "
            "another task"
        )
    for config in configs(job, named(job, getattr(job, "methods", None) or (naming.ORIGINAL,)), preset, None):
        if job.FRAMES and not config.agent.decodes:
            raise ConfigError(
                f"{config.method}: {config.agent.name} decodes no frames, which this study needs; take another --method"
            )


def configs(job: Study, methods: Sequence[str], preset: str, buffer: Path | None) -> list[Config]:
    """Returns the config of every run: each method with each seed."""
    settings: dict[str, str] = {}
    for text in job.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: expected name=value")
        if name in OWN or name.startswith("balancer."):
            raise ConfigError(f"--set {text}: the sweep sets {name} itself; use its own flag")
        settings[legacy.current_name(name)] = value
    seeds = seeds_of(job, preset)
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


def seeds_of(job: Study, preset: str) -> tuple[int, ...]:
    """Returns the seeds of a job; by default those of the preset."""
    if job.seeds is not None:
        return job.seeds
    seeds = MINIATURE_SEEDS if envs.find(job.task).scale == "miniature" else SEEDS
    return tuple(range(seeds[preset]))
