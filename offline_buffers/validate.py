"""``python -m offline_buffers.validate FOLDER``: is a buffer whole, well-formed and what it says it is?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from hdream_core.data.episodes import check_episode
from hdream_core.data.minari_layout import MAIN_FILE, DatasetError, open_main, read_episode, read_metadata
from hdream_core.support import commandline, untrusted
from hdream_core.support.errors import exit_on_user_error
from offline_buffers.parts import digest, total_digest


@dataclass(frozen=True)
class Validate:
    """Check a buffer: metadata, shapes, finite values, ranges, and every episode against its hash."""

    folder: tyro.conf.Positional[Path]
    """The buffer's folder."""


def validate(folder: Path) -> int:
    """Reads all of a buffer; returns the number of episodes.

    Raises:
        DatasetError: naming the first episode and field that is wrong.
    """
    metadata = read_metadata(folder)
    path = folder / "data" / MAIN_FILE
    digests, steps = [], 0
    with open_main(path) as file:
        if len(file) != metadata["total_episodes"]:
            raise DatasetError(f"{path}: holds {len(file)} episodes, its metadata says {metadata['total_episodes']}")
        for index in range(len(file)):
            episode = read_episode(file, index)
            check_episode(episode, f"{path}: episode_{index}")
            with untrusted.expecting(f"{path}: episode_{index}", DatasetError):
                told = untrusted.attributes(file[f"episode_{index}"]).get("sha256")
            if digest(episode) != told:
                raise DatasetError(
                    f"{path}: episode_{index} does not match its sha256; the file has changed since it was built"
                )
            digests.append(digest(episode))
            steps += len(episode["rewards"])
    if steps != metadata["total_steps"]:
        raise DatasetError(f"{path}: holds {steps} steps, its metadata says {metadata['total_steps']}")
    if total_digest(digests) != metadata["hdream"]["sha256"]:
        raise DatasetError(
            f"{path}: sha256 is {total_digest(digests)}, its metadata says {metadata['hdream']['sha256']}"
        )
    return len(digests)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error():
        job = commandline.parse(Validate, args, "python -m offline_buffers.validate")
        episodes = validate(job.folder)
        facts = read_metadata(job.folder)
        size = f"{episodes} episodes, {facts['total_steps']} steps"
        print(f"{job.folder}: valid, {size}, sha256 {facts['hdream']['sha256']}")


if __name__ == "__main__":
    main(sys.argv[1:])
