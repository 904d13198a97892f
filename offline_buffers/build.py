"""``python -m offline_buffers.build``: collects a fixed buffer; the same command resumes an interrupted build."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hdream_core import envs
from hdream_core.config.fields import LARGEST_SEED
from hdream_core.data.minari_layout import METADATA_FILE, DatasetError, read_metadata
from hdream_core.envs.suite import LOOK
from hdream_core.runs import folder as run_folder
from hdream_core.support import commandline, places, provenance, untrusted
from hdream_core.support.errors import ConfigError, exit_on_user_error
from hdream_core.support.files import write_atomically
from hdream_core.support.locks import exclusive
from offline_buffers.parts import merge
from offline_buffers.sources import PlayedSource, RunSource

ABOUT = "Collect a fixed buffer."
DATA = places.data_folder("offline_buffers", "data")
PLAYED: dict[str, Any] = {"steps": 250_000, "workers": 0, "seed": 0}  # defaults of episodes that are played


@dataclass(frozen=True)
class Build:
    """Collect a buffer of complete episodes and store it as a Minari data set.

    An interrupted build resumes after its last finished part when the same command is given again.
    """

    task: str = "lever_pull"
    """Task by the paper's name."""
    steps: int | None = None
    """Environment steps at least, rounded up to whole episodes. Default: 250000. With run:PATH, steps, workers, seed,
    render and camera cannot be chosen."""
    source: str = "scripted"
    """scripted: the task's expert over the whole range of skill. random: uniform actions. run:PATH: the episodes of a
    finished online run in folder PATH."""
    workers: int | None = None
    """Processes that play side by side. Default: 0, that is, as many as there are processors."""
    seed: int | None = None
    """Seed of goals and behaviour; the result does not depend on the number of workers. Default: 0."""
    render: str | None = None
    """Render quality, of tasks that have several: auto, fast or paper. Default: auto."""
    camera: str | None = None
    """Camera, of tasks that have several: corner2 or corner of Meta-world. Default: corner2."""
    out: Path | None = None
    """The buffer's folder; default offline_buffers/data/<task>_<source>_<steps>_seed<seed>, for a run with its method
    in it: in the checkout, of an installed package in the current folder, in HDREAM_DATA where it is set."""

    @property
    def run(self) -> Path | None:
        """Returns the run that the episodes come from; None if they are played."""
        return Path(self.source.partition(":")[2]) if self.source.startswith("run:") else None

    def with_defaults(self) -> Build:
        """Returns the job with unset flags filled in.

        Raises:
            ConfigError: if a setting is unusable.
        """
        kind = self.source.split(":")[0]
        if kind not in ("scripted", "random", "run") or (kind == "run") != (self.run is not None):
            raise ConfigError(f"source {self.source!r} is unknown; take scripted, random or run:PATH")
        given = {name: value for name in (*PLAYED, *LOOK) if (value := getattr(self, name)) is not None}
        if self.run is not None:
            for name, value in given.items():
                raise ConfigError(f"--{name} {value}: cannot be used with --source {self.source}; the run fixes it")
            return self
        for name, least, most in (("steps", 1, 10**9), ("seed", 0, LARGEST_SEED), ("workers", 0, 4096)):
            if not least <= given.get(name, least) <= most:
                raise ConfigError(f"{name} is {given[name]}; it must be from {least} to {most}")
        settings = envs.find(self.task).settings
        for name in set(LOOK) & set(given):
            if name not in settings.__dataclass_fields__:
                raise ConfigError(f"--{name} {given[name]}: frames of {self.task} have no such setting; leave it out")
        settings(**{name: given[name] for name in LOOK if name in given})
        return replace(self, **(PLAYED | given))

    def folder(self) -> Path:
        """Returns the folder of the buffer."""
        if self.out:
            return self.out
        if self.run is not None:
            config = run_folder.read_config(self.run)
            return DATA / f"{config.task}_run_{config.method}_{config.train.steps}_seed{config.seed}"
        job = self.with_defaults()
        default_camera = getattr(envs.find(job.task).settings(), "camera", None)
        camera = "" if job.camera in (None, default_camera) else f"_{job.camera}"
        return DATA / f"{job.task}_{job.source}_{job.steps}_seed{job.seed}{camera}"


def build(job: Build, show_progress: bool = True) -> Path:
    """Collects or completes a buffer; returns its folder.

    Raises:
        ConfigError: if a setting is unusable, or the folder holds another buffer or part of one.
    """
    job = job.with_defaults()
    source = PlayedSource(job) if job.run is None else RunSource(job.run, job.task)
    folder = job.folder()
    if (folder / "data" / METADATA_FILE).exists() and (folder / "build.json").exists():
        _claim(folder, source.identity)  # only reads: a complete buffer may be in a folder that cannot be written
        return folder
    places.check_folder(folder, f"give --out FOLDER, or --buffer to a study, or set {places.DATA}")
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / "build.lock", "building this buffer"):
        identity = _claim(folder, source.identity)
        if (folder / "data" / METADATA_FILE).exists():
            shutil.rmtree(folder / "parts", ignore_errors=True)  # left by a build that was killed while it cleaned up
            return folder
        for unfinished in (folder / "parts").glob(".*.tmp"):  # left by processes that were killed while they wrote
            unfinished.unlink()
        started = time.monotonic()
        parts, episodes = source.collect(folder / "parts", show_progress)
        facts = identity | {
            "spec": source.spec.to_dict(),
            "look": source.look,
            "env": source.settings,
            "dataset_id": f"hdream/{job.task}/{job.source.split(':')[0]}-v0",
            "package_versions": provenance.package_versions(),
            "git_commit": provenance.git_state()[0],
            "device": provenance.device_name(),
            "collection_seconds": round(time.monotonic() - started, 1),
        }
        merge(parts, episodes, folder, facts)
    return folder


def _claim(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Writes the identity of the folder's buffer, or checks that it is the same: parts of two jobs never mix.

    Raises:
        ConfigError: naming the first value that differs.
    """
    path = folder / "build.json"
    if path.exists():
        try:
            saved = untrusted.json_object(path)
        except ValueError as error:
            raise ConfigError(f"{path}: {error}; delete it and build again") from None
        for name, value in identity.items():
            if saved.get(name) != value:
                difference = f"{name}={saved.get(name)}, not {value}"
                raise ConfigError(f"{folder}: holds a buffer with {difference}; choose another --out")
        return saved
    write_atomically(path, json.dumps(identity, indent=1).encode())
    return identity


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with exit_on_user_error():
        job = commandline.parse(Build, args, "python -m offline_buffers.build")
        folder = build(job)
        facts = read_metadata(folder)
        with untrusted.expecting(f"{folder}: not a buffer of this command", DatasetError):
            print(
                f"{folder}: {facts['total_episodes']} episodes, {facts['total_steps']} steps, "
                f"{facts['dataset_size']} MB, success share {facts['hdream']['success_share']:.2f}, mean return "
                f"{facts['hdream']['mean_return']:.0f}, sha256 {facts['hdream']['sha256'][:16]}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
