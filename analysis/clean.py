"""``python -m analysis.clean``: removes what finished runs no longer need, after asking.

A finished run is read by its config, metrics, held-out windows and last checkpoint. The checkpoint before it and an
online run's frames only serve to go on; the frames are by far the largest part. What submitit keeps of its jobs goes
when all runs of the sweep are done.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.slurm import logs_of
from analysis.status import folders, state_of
from hdream_core.data.minari_layout import MAIN_FILE, open_main, read_metadata
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import LATEST, NEXT, PREVIOUS, CheckpointError
from hdream_core.support import commandline
from hdream_core.support.errors import ConfigError, exit_on_user_error

UNNEEDED = ("replay", PREVIOUS, NEXT, ".*.tmp")  # of a finished run; the last are of processes killed while they wrote


@dataclass(frozen=True)
class Clean:
    """Remove what finished runs no longer need: frames that were played, and the checkpoint before the last.

    Runs that are not finished stay as they are. A finished run whose frames are gone can still be studied, but not be a
    buffer's `--source run:PATH`.
    """

    runs: Path = Path("runs")
    """Folder of the runs."""
    keep_replay: bool = False
    """Keep the frames that online runs have played."""
    unpacked: tuple[Path, ...] = ()
    """Buffers whose unpacked frames go, too; the next run on one unpacks them again."""
    yes: bool = False
    """Do not ask."""


def unneeded(job: Clean) -> list[Path]:
    """Files and folders that a call would remove."""
    names = [name for name in UNNEEDED if not (job.keep_replay and name == "replay")]
    done, others = [], []
    for folder in folders(job.runs):
        (done if state_of(folder) == "done" and _can_be_read(folder) else others).append(folder)
    found = [path for folder in done for name in names for path in sorted(folder.glob(name))]
    found += sorted(_logs(done, job.runs) - _logs(others, job.runs))
    return found + [_unpacked(buffer, others) for buffer in job.unpacked]


def _can_be_read(run: Path) -> bool:
    """Whether a run's last checkpoint is whole: without it, the one before must stay."""
    try:
        checkpoint.load(run / LATEST)
    except CheckpointError as error:
        print(f"warning: {error}; everything of this run stays", file=sys.stderr)
        return False
    return True


def _logs(folders: Sequence[Path], root: Path) -> set[Path]:
    """What submitit keeps of the jobs of runs."""
    found = {logs_of(folder) for folder in folders}
    return {path for path in found if path.is_relative_to(root.absolute()) and any(path.glob("*_submission.sh"))}


def _unpacked(buffer: Path, unfinished: Sequence[Path]) -> Path:
    """The unpacked frames of a buffer; an error if a run still needs them, or they could not be unpacked again."""
    read_metadata(buffer)
    open_main(buffer / "data" / MAIN_FILE).close()
    for run in unfinished:
        used = run_folder.read_config(run).offline_buffer
        if used and Path(used).resolve() == buffer.resolve():
            raise ConfigError(f"{buffer}: {run} is not finished and trains on it")
    if not any((buffer / "unpacked").glob("*/episodes.npy")):
        raise ConfigError(f"{buffer}: has no unpacked frames")
    return buffer / "unpacked"


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; links are not followed."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def remove(path: Path) -> None:
    """Removes a file, a link or a whole folder; nothing behind a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error(interrupted="the same command removes the rest"):
        job = commandline.parse(Clean, args, "python -m analysis.clean")
        found = unneeded(job)
        if not found:
            print("nothing to remove")
            return
        for path in found:
            print(f"{size(path) / 2**20:10.1f} MiB  {path}")
        total = f"{sum(map(size, found)) / 2**20:.1f} MiB of {len(found)} files and folders"
        if not job.yes:
            print(f"remove {total}? [y/N] ", end="", flush=True)
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                print("nothing was removed")
                return
        for path in found:
            remove(path)
        print(f"removed {total}")


if __name__ == "__main__":
    main()
