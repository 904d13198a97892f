"""``python -m offline_buffers.build``: collect a fixed buffer; the same command resumes an interrupted build."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hdream_core import commandline, provenance, untrusted
from hdream_core.config import ConfigError
from hdream_core.errors import exit_on_user_error
from hdream_core.minari_layout import METADATA_FILE, DatasetError, read_metadata
from hdream_core.processes import exclusive
from hdream_core.store import write_atomically
from offline_buffers.parts import merge
from offline_buffers.sources import PlayedSource, RunSource

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Build:
    """Collect a buffer of complete episodes and store it as a Minari data set.

    An interrupted build resumes where its last finished part ended when the same command is given again.
    """

    task: str = "lever_pull"
    """Task by the paper's name."""
    steps: int = 250_000
    """Environment steps at least; rounded up to whole episodes."""
    source: str = "scripted"
    """scripted: the task's expert over the whole range of skill. random: uniform actions. run:PATH: the episodes of a
    finished online run in folder PATH."""
    workers: int = 0
    """Processes that play side by side; 0: as many as there are processors."""
    seed: int = 0
    """Seed of goals and behaviour; the result does not depend on the number of workers."""
    render: Literal["auto", "fast", "paper"] = "auto"
    """Render quality of Meta-world."""
    camera: Literal["corner", "corner2"] = "corner2"
    """Camera of Meta-world."""
    out: Path | None = None
    """The buffer's folder; default offline_buffers/data/<task>_<source>_<steps>_seed<seed>."""

    def folder(self) -> Path:
        """Where the buffer goes."""
        kind = self.source.split(":")[0]
        looks = "" if self.camera == Build.camera else f"_{self.camera}"
        return self.out or DATA / f"{self.task}_{kind}_{self.steps}_seed{self.seed}{looks}"


def build(job: Build, show_progress: bool = True) -> Path:
    """Collects, or completes, a buffer and returns its folder.

    Raises:
        ConfigError: if a setting is unusable, or the folder holds another buffer or part of one.
    """
    _check(job)
    run = Path(job.source.split(":", 1)[1]) if job.source.startswith("run:") else None
    source = RunSource(run, job.task) if run else PlayedSource(job)
    folder = job.folder()
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / "build.lock", "building this buffer"):
        known = _claim(folder, source.identity)
        if (folder / "data" / METADATA_FILE).exists():
            shutil.rmtree(folder / "parts", ignore_errors=True)  # of a build that was killed while it cleaned up
            return folder
        for left in (folder / "parts").glob(".*.tmp"):  # of processes that were killed while they wrote
            left.unlink()
        started = time.monotonic()
        parts = source.collect(folder / "parts", show_progress)
        facts = known | {
            "dataset_id": f"hdream/{job.task}/{job.source.split(':')[0]}-v0",
            "package_versions": provenance.package_versions(),
            "git_commit": provenance.git_state()[0],
            "device": provenance.device_name(),
            "collection_seconds": round(time.monotonic() - started, 1),
        }
        merge(parts, folder, facts)
    return folder


def _check(job: Build) -> None:
    kind = job.source.split(":")[0]
    if kind not in ("scripted", "random", "run") or (kind == "run") != job.source.startswith("run:"):
        raise ConfigError(f"source {job.source!r} is unknown; take scripted, random or run:PATH")
    for name, least, most in (("steps", 1, 10**9), ("seed", 0, 2**31 - 1), ("workers", 0, 4096)):
        if not least <= getattr(job, name) <= most:
            raise ConfigError(f"{name} is {getattr(job, name)}; it must be from {least} to {most}")


def _claim(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Writes what the folder is for, or checks that it is for the same: parts of two jobs never mix.

    Raises:
        ConfigError: naming the first fact that differs.
    """
    path = folder / "build.json"
    if path.exists():
        try:
            known = untrusted.json_object(path)
        except ValueError as error:
            raise ConfigError(f"{path}: {error}; delete it and build again") from None
        for name, value in identity.items():
            if known.get(name) != value:
                found = f"{name}={known.get(name)}, not {value}"
                raise ConfigError(f"{folder}: holds a buffer with {found}; choose another --out")
        return known
    write_atomically(path, json.dumps(identity, indent=1).encode())
    return identity


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
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
