"""``python -m offline_buffers.validate FOLDER``: checks that a buffer is complete, well-formed and as built."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from hdream_core.data.environments import check_spec, make_env_like
from hdream_core.data.episodes import ALL_FIELDS, Episodes
from hdream_core.data.minari_layout import DatasetError, read_metadata
from hdream_core.support import commandline, untrusted
from hdream_core.support.errors import exit_on_user_error
from offline_buffers.parts import digest, total_digest

ABOUT = "Check a fixed buffer."


@dataclass(frozen=True)
class Validate:
    """Check a buffer: metadata, shapes, finite values, ranges, and every episode against its hash."""

    folder: tyro.conf.Positional[Path]
    """The buffer's folder."""


def validate(folder: Path) -> int:
    """Reads a whole buffer and checks it; returns the number of episodes.

    Raises:
        DatasetError: naming the first episode and field that is wrong.
        ConfigError: if frames or actions differ from the task's.
    """
    episodes = Episodes(folder, ALL_FIELDS)
    metadata, path = episodes.metadata, episodes.path
    digests, steps = [], 0
    for group, stored, _ in episodes:
        where = f"{path}: {group.name.removeprefix('/')}"
        with untrusted.expecting(where, DatasetError):
            saved_digest = untrusted.attributes(group).get("sha256")
        digests.append(digest(stored))
        if digests[-1] != saved_digest:
            raise DatasetError(f"{where} does not match its sha256; the file has changed since it was built")
        steps += len(stored["rewards"])
    if steps != metadata["total_steps"]:
        raise DatasetError(f"{path}: holds {steps} steps, its metadata says {metadata['total_steps']}")
    if total_digest(digests) != metadata["hdream"]["sha256"]:
        raise DatasetError(
            f"{path}: sha256 is {total_digest(digests)}, its metadata says {metadata['hdream']['sha256']}"
        )
    facts = metadata["hdream"] | {"size": episodes.spec.image[0]}
    check_spec(episodes.spec, make_env_like(facts["task"], facts, seed=0), str(folder))
    if episodes.casts:
        print(f"{folder}: {episodes.cast_summary()}")
    return len(digests)


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with exit_on_user_error():
        job = commandline.parse(Validate, args, "python -m offline_buffers.validate")
        episodes = validate(job.folder)
        facts = read_metadata(job.folder)
        size = f"{episodes} episodes, {facts['total_steps']} steps"
        print(f"{job.folder}: valid, {size}, sha256 {facts['hdream']['sha256']}")


if __name__ == "__main__":
    main(sys.argv[1:])
