"""Removes what finished runs no longer need, after asking: ``python -m analysis.clean``.

Studies read the config, metrics, held-out windows and last checkpoint of a finished run. The checkpoint before it and
an online run's frames are only needed to resume; the frames are by far the largest part. The files of Slurm jobs are
removed when all runs of the sweep are done.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.runs.slurm import logs_of
from analysis.status import runs_beneath, state_of
from hdream_core.data.minari_layout import MAIN_FILE, open_main, read_metadata
from hdream_core.data.offline import unpacked_folders
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import LATEST, NEXT, PREVIOUS, CheckpointError
from hdream_core.runs.search import is_outside
from hdream_core.support import commandline
from hdream_core.support.errors import ConfigError, exit_on_user_error

ABOUT = "Remove what finished runs no longer need, after asking."
UNNEEDED = ("replay", PREVIOUS, NEXT, ".*.tmp")  # in a finished run; the last are leftovers of killed processes


@dataclass(frozen=True)
class Clean:
    """Remove what finished runs no longer need: frames that were played, and the checkpoint before the last.

    Runs that are not finished stay as they are, and so does what lies behind links in the folder of the runs. A
    finished run whose frames are gone can still be studied, but not be a buffer's `--source run:PATH`.
    """

    runs: Path = Path("runs")
    """Folder of the runs."""
    keep_replay: bool = False
    """Keep the frames that online runs have played."""
    unpacked: tuple[Path, ...] = ()
    """Buffers whose unpacked frames go, too; the next run on one unpacks them again."""
    follow_links: bool = False
    """Remove, too, what lies behind links in the folder of the runs. The folder itself may be a link in any case."""
    yes: bool = False
    """Do not ask."""


def unneeded(job: Clean) -> tuple[list[Path], list[Path]]:
    """Returns files and folders to remove, and those behind links, which stay."""
    names = [name for name in UNNEEDED if not (job.keep_replay and name == "replay")]
    done, others, runs = [], [], runs_beneath(job.runs)
    for folder in runs.folders:
        (done if state_of(folder) == "done" and _can_be_read(folder) else others).append(folder)
    found = [path for folder in done for name in names for path in sorted(folder.glob(name))]
    if not runs.unseen:  # an unseen run may need what runs share
        found += sorted(_logs(done, job.runs) - _logs(others, job.runs))
    elif job.unpacked:
        raise ConfigError(f"--unpacked {job.unpacked[0]}: a run that is not seen may train on it ({runs.unseen[0]})")
    left = [] if job.follow_links else [path for path in found if is_outside(path, job.runs)]
    going = [path for path in found if path not in left]
    return going + [path for buffer in job.unpacked for path in _unpacked(buffer, others)], left


def _can_be_read(run: Path) -> bool:
    """Returns whether a run's last checkpoint is intact; otherwise the one before must stay."""
    try:
        checkpoint.load(run / LATEST)
    except CheckpointError as error:
        print(f"warning: {error}; everything of this run stays", file=sys.stderr)
        return False
    return True


def _logs(folders: Sequence[Path], root: Path) -> set[Path]:
    """Returns the folders of the Slurm jobs of runs."""
    logs = {logs_of(folder) for folder in folders}
    return {path for path in logs if path.is_relative_to(root.absolute()) and any(path.glob("*_submission.sh"))}


def _unpacked(buffer: Path, unfinished: Sequence[Path]) -> list[Path]:
    """Returns the unpacked frames of a buffer; an error if a run needs them, or they cannot be unpacked again."""
    metadata = read_metadata(buffer)
    open_main(buffer / "data" / MAIN_FILE).close()
    for run in unfinished:
        used = run_folder.read_config(run).offline_buffer
        if used and os.path.realpath(used) == os.path.realpath(buffer):
            raise ConfigError(f"{buffer}: {run} is not finished and trains on it")
    found = [place for place in unpacked_folders(buffer, metadata) if any(place.glob("*/episodes.npy"))]
    if not found:
        raise ConfigError(f"{buffer}: has no unpacked frames")
    return found


def size(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder; links are not followed."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def remove(path: Path) -> None:
    """Removes a file, a link or a whole folder; nothing behind a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def line(path: Path, root: Path) -> str:
    """Formats a file or folder with its size, and where a link leads."""
    text = f"{size(path) / 2**20:10.1f} MiB  {path}"
    if path.is_symlink():
        text += f"  (the link alone; {os.readlink(path)} stays)"
    return f"{text}  (lies in {os.path.realpath(path.parent)})" if is_outside(path, root) else text


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error(interrupted="the same command removes the rest"):
        job = commandline.parse(Clean, args, "python -m analysis.clean")
        found, left = unneeded(job)
        if left:
            print("\n".join(line(path, job.runs) for path in left))
            print(f"these {len(left)} are behind links and stay; --follow-links removes them, too")
        if not found:
            print("nothing to remove")
            return
        if os.path.realpath(job.runs) != os.path.abspath(job.runs):
            print(f"{job.runs} is {os.path.realpath(job.runs)}")
        print("\n".join(line(path, job.runs) for path in found))
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
