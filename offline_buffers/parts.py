"""Writes the finished parts of a buffer, which an interrupted build keeps, and merges them into a Minari data set."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hdream_core.data.minari_layout import MAIN_FILE, METADATA_FILE, DatasetError, space_to_json, write_episode
from hdream_core.support import sealed, untrusted
from hdream_core.support.files import write_atomically

MINARI_VERSION = "0.5.3"  # version of Minari that has this layout


def digest(episode: Mapping[str, np.ndarray]) -> str:
    """Computes the SHA-256 of an episode's names, dtypes, shapes and values; independent of the file's layout."""
    sha = hashlib.sha256()
    for name in sorted(episode):
        values = np.ascontiguousarray(episode[name])
        sha.update(f"{name} {values.dtype.str} {values.shape}".encode())
        sha.update(values.tobytes())
    return sha.hexdigest()


def total_digest(digests: Iterable[str]) -> str:
    """Computes the SHA-256 of a buffer: of its episodes' digests in order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def write_part(path: Path, episodes: Iterable[tuple[int, int, dict[str, np.ndarray]]]) -> None:
    """Writes ``(index, seed, episode)`` groups to a part, which gets its name only when it is complete."""
    with sealed.writing(path, track_order=True) as file:
        for index, seed, episode in episodes:
            write_episode(file, index, episode, seed)
            group = file[f"episode_{index}"]
            group.attrs["sha256"] = digest(episode)
            group.attrs["return"] = float(episode["rewards"].sum())
            group.attrs["success"] = bool(episode["success"].any())


def episode_lengths(path: Path) -> list[int]:
    """Returns the steps of each episode in a part."""
    with _open_part(path) as part:
        return [int(group.attrs["total_steps"]) for group in part.values()]


def merge(parts: list[Path], episodes: int, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Merges parts into ``folder/data``; ``metadata.json`` is written last and makes the buffer complete.

    Args:
        parts: parts in order.
        episodes: number of their episodes, from the first on, that make the buffer.
        folder: folder of the buffer.
        facts: stored under ``hdream`` in the metadata, with hash, returns and success share added here.

    Returns:
        The metadata.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    digests, returns, successes, steps = [], [], [], 0
    temporary = data / (MAIN_FILE + ".tmp")
    if (needed := sum(part.stat().st_size for part in parts)) > shutil.disk_usage(data).free:
        raise OSError(errno.ENOSPC, f"No space left on device: {needed / 1e6:.0f} MB are needed", str(temporary))
    with sealed.create(temporary, track_order=True) as target:
        for part in parts:
            with _open_part(part) as source:
                for name, group in itertools.islice(source.items(), episodes - len(digests)):
                    source.copy(group, target, name)  # copies compressed chunks as they are
                    digests.append(group.attrs["sha256"])
                    returns.append(float(group.attrs["return"]))
                    successes.append(bool(group.attrs["success"]))
                    steps += int(group.attrs["total_steps"])
        first = target["episode_0"]
        spaces = _spaces(
            first["observations/image"].shape[1:],
            first["observations/state"].shape[1:],
            first["actions"].shape[1:],
            facts.get("spec", {}).get("action", {}).get("kind") == "discrete",
        )
    sealed.seal(temporary)
    temporary.replace(data / MAIN_FILE)
    metadata = spaces | {
        "total_episodes": len(digests),
        "total_steps": steps,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "dataset_id": facts["dataset_id"],
        "minari_version": MINARI_VERSION,
        "dataset_size": round((data / MAIN_FILE).stat().st_size / 1e6, 1),
        "description": f"{steps} steps of the agent in {facts['task']}, source {facts['source']}, made by hdream",
        "hdream": facts
        | {
            "sha256": total_digest(digests),
            "success_share": float(np.mean(successes)),
            "mean_return": float(np.mean(returns)),
        },
    }
    write_atomically(data / METADATA_FILE, json.dumps(metadata, indent=1).encode())
    shutil.rmtree(folder / "parts", ignore_errors=True)
    return metadata


def _open_part(path: Path) -> h5py.File:
    with untrusted.expecting(f"{path}: a part of the buffer is damaged; delete it and build again", DatasetError):
        return sealed.open_to_read(path, track_order=True)


def _spaces(image: tuple[int, ...], state: tuple[int, ...], action: tuple[int, ...], one_hot: bool) -> dict[str, str]:
    subspaces = {
        "image": space_to_json(np.zeros(image, np.uint8), np.full(image, 255, np.uint8), "uint8"),
        "state": space_to_json(np.full(state, -np.inf), np.full(state, np.inf), "float64"),
    }
    low = np.zeros(action, np.float32) if one_hot else -np.ones(action, np.float32)
    actions = space_to_json(low, np.ones(action, np.float32), "float32")
    return {
        "observation_space": json.dumps({"type": "Dict", "subspaces": subspaces}),
        "action_space": json.dumps(actions),
    }
