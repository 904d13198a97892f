"""Buffers as someone writes them by hand: well-formed files, right hashes, and whatever episodes one likes."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from hdream_core.data.minari_layout import read_episode
from offline_buffers.parts import digest, total_digest

PER_STEP = ("actions", "rewards", "terminations", "truncations")
Episodes = list[dict[str, np.ndarray]]


def handmade(source: Path, folder: Path, change: Callable[[Episodes], object], **facts: object) -> Path:
    """Copies a buffer with its episodes changed in place, hashes and counts made right, ``facts`` in its metadata."""
    (folder / "data").mkdir(parents=True)
    metadata = json.loads((source / "data/metadata.json").read_text())
    with h5py.File(source / "data/main_data.hdf5") as file:
        episodes = [read_episode(file, index) for index in range(metadata["total_episodes"])]
    change(episodes)
    digests = [digest(episode) for episode in episodes]
    with h5py.File(folder / "data/main_data.hdf5", "w", track_order=True) as file:
        for index, episode in enumerate(episodes):
            group = file.create_group(f"episode_{index}", track_order=True)
            group.attrs["sha256"] = digests[index]
            for name, values in episode.items():
                parent = "observations" if name in ("image", "state") else "infos"
                group[name if name in PER_STEP else f"{parent}/{name}"] = values
    steps = sum(len(np.atleast_1d(episode.get("rewards", 0))) for episode in episodes)
    metadata |= {"total_episodes": len(episodes), "total_steps": steps}
    metadata["hdream"] |= {"sha256": total_digest(digests)} | facts
    (folder / "data/metadata.json").write_text(json.dumps(metadata))
    return folder


def resized(episode: dict[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    """The first steps of an episode."""
    return {name: values[: steps + (name not in PER_STEP)] for name, values in episode.items()}
