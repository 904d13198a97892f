"""Makes the small models and the slice of recordings that the notebooks use: ``python -m analysis.demo``.

The models are those of the first seed of a sweep. The recordings are episodes that no model has trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import tyro

from analysis.models.segments import Rows, unseen_episodes
from analysis.results.tasks import task_facts
from analysis.runs import flags, methods, sizes, study
from analysis.runs.gather import origin
from hdream_core.data.minari_layout import read_metadata
from hdream_core.envs import positions
from hdream_core.runs import folder as run_folder
from hdream_core.support import places
from hdream_core.support.errors import ConfigError

STUDY = "demo"
ABOUT = "Make small models and recordings for the notebooks."
DATA = places.data_folder("notebooks", "data")
SIZES = {
    "stretches": dict.fromkeys(flags.SEEDS, 8),
    "rows": dict.fromkeys(flags.SEEDS, 90),
}


@dataclass(frozen=True)
class Demo(study.Study):
    """Export two world models and a few recorded stretches for the notebooks."""

    seeds: tuple[int, ...] | None = None
    """Seeds of the runs; the models of the first one are exported. Default: 0."""
    results: Annotated[Path, tyro.conf.Suppress] = Path("results")
    """Not used: there is no result file,"""
    out: Annotated[Path | None, tyro.conf.Suppress] = None
    """and no figure;"""
    replace: Annotated[bool, tyro.conf.Suppress] = True
    """what may be replaced is said by overwrite."""
    AFTERWARDS = True
    MAKES: ClassVar[tuple[str, ...]] = ("folder",)
    methods: tuple[str, ...] | None = None
    """Methods to export. Default: w_r=1 and the task's balanced weight."""
    stretches: int | None = None
    """Recorded stretches, each from another episode."""
    rows: int | None = None
    """Rows of each stretch."""
    folder: Path = DATA
    """Folder that they are written to. The notebooks read the default, where those of lever_pull ship: notebooks/data
    in the checkout, or for an installed package in the current folder, or in HDREAM_DATA if it is set."""
    overwrite: bool = False
    """Whether an existing slice of the task, and the models beside it, may be replaced."""


def run(job: Demo) -> Path:
    """Exports the models and the slice; returns the slice's path."""
    from analysis.notebook import slices  # imports torch

    job = job if job.seeds else replace(job, seeds=(0,))  # one model of each method is enough
    job = study.sized(job, SIZES)
    names = job.methods or (methods.ORIGINAL, task_facts(job.task).balanced)
    plan = study.plan(job, STUDY, names)
    job = _fitting(job, plan)
    path = job.folder / f"{job.task}_slice.h5"
    if job.plan_only:
        return path
    if path.exists() and not job.overwrite:
        _, facts, _ = slices.load_slice(path)
        raise ConfigError(f"{path}: exists, made by: {facts['command']}; add --overwrite, or choose another --folder")
    study.train(plan)
    from hdream_core.runs.load import export

    for (method, _), agent in plan.agents(first_seed=True):
        print(export(agent, job.folder / f"{job.task}_{plan.methods[method]}.safetensors"))
    episodes = unseen_episodes(plan, job.stretches)
    facts = run_folder.read_provenance(plan.runs[0].folder)
    if plan.config.offline_buffer:
        facts = read_metadata(Path(plan.config.offline_buffer))["hdream"]
    about = {name: facts[name] for name in ("render", "camera", "sha256", "source") if name in facts}
    about |= {name: origin(STUDY, plan.target.command)[name] for name in ("command", "git_commit", "created_utc")}
    print(slices.save_slice(path, job.task, about, [_stretch(job.task, rows, job.rows) for rows in episodes]))
    return path


def _fitting(job: Demo, plan: study.Plan) -> Demo:
    """Returns the job with stretches that fit into the episodes."""
    job = sizes.settle_episodes(job, plan, "stretches")
    available = sizes.rows_of_episode(plan, job.plan_only)
    if available is None or job.rows <= available:
        return job
    if "rows" in job.given:
        raise ConfigError(f"--rows {job.rows}: {job.task}'s episodes have {available}; ask for {available} or fewer")
    return sizes.fitted(job, rows=available)


def _stretch(task: str, episode: Rows, rows: int) -> Rows:
    """Returns the part of an episode around the first motion of its object, or its start if nothing moves."""
    where = positions(task, episode["state"])[task_facts(task).main]
    moved = np.flatnonzero(np.linalg.norm(where - where[0], axis=-1) > 1e-2 * np.ptp(where, axis=0).max() + 1e-9)
    first = int(moved[0]) if len(moved) else rows // 2
    start = int(np.clip(first - rows // 2, 0, max(len(where) - rows, 0)))
    return {name: values[start : start + rows] for name, values in episode.items()}


main = partial(study.main, Demo, run)

if __name__ == "__main__":
    main()
