"""Reads and writes buffers in Minari's HDF5 layout, and converts between it and our rows.

Minari stores, for an episode of T steps, T + 1 observations and T actions, rewards, terminations and truncations:
``actions[t]`` is taken AFTER ``observations[t]``. Our rows (``store.py``) hold with each frame the action that LED TO
it: row 0 has the reset frame, action 0 and reward 0. An error in this shift trains a model that is one step late.

A dataset is a folder ``data/`` with ``main_data.hdf5`` and ``metadata.json``, as Minari >= 0.5 reads it. Images are not
compressed as JPEG, because its artefacts hide small targets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from hdream_core.support import sealed, untrusted
from hdream_core.support.errors import UserError

MAIN_FILE, METADATA_FILE = "main_data.hdf5", "metadata.json"
Arrays = dict[str, np.ndarray]


class DatasetError(UserError, ValueError):
    """Reports a buffer on disk that is missing, incomplete or inconsistent; the message is one line for the user."""


def convert(episode: Mapping[str, np.ndarray], to: Literal["rows", "minari"]) -> Arrays:
    """Shifts an episode between Minari's layout and our rows; each direction inverts the other.

    Minari side (T steps): ``actions`` (T, A), ``rewards``, ``terminations``, ``truncations`` (T,). All other fields,
    such as ``image``, ``state``, ``success``, ``sim_state``, have T + 1 entries.
    Row side (T + 1 rows): ``action`` (T + 1, A), ``reward``, ``is_terminal``, ``truncated`` (T + 1,); the rest as
    above.
    """
    row_names = {"actions": "action", "rewards": "reward", "terminations": "is_terminal", "truncations": "truncated"}
    if to == "minari":
        minari_names = {row: minari for minari, row in row_names.items()}
        return {
            minari_names.get(name, name): values[1:] if name in minari_names else values
            for name, values in episode.items()
        }
    rows = {}
    for name, values in episode.items():
        if name in row_names:  # no action led to the reset frame
            values = np.concatenate([np.zeros_like(values[:1]), values])
        rows[row_names.get(name, name)] = values
    return rows


def write_episode(file: h5py.File, index: int, episode: Mapping[str, np.ndarray], seed: int) -> None:
    """Adds an episode, in Minari's layout, as group ``episode_<index>``."""
    group = file.create_group(f"episode_{index}", track_order=True)
    group.attrs.update({"id": index, "seed": seed, "total_steps": len(episode["rewards"])})
    observations, infos = ("image", "state"), ("success", "sim_state", "skill")
    for name, values in episode.items():
        parent = "observations/" if name in observations else "infos/" if name in infos else ""
        # With one chunk per episode, reading a frame would read the whole episode. 50 steps are a training window.
        chunks = (min(50, len(values)), *values.shape[1:])
        group.create_dataset(
            parent + name,
            data=values,
            chunks=chunks,
            compression="gzip",
            compression_opts=1,
            shuffle=values.dtype.kind == "f",
        )


def open_main(path: Path) -> h5py.File:
    """Opens a buffer's HDF5 file for reading; raises DatasetError if it is damaged."""
    with untrusted.expecting(f"{path}: cannot be opened", DatasetError):
        return sealed.open_to_read(path)


def read_episode(file: h5py.File, index: int, fields: tuple[str, ...] | None = None) -> Arrays:
    """Reads episode ``index`` in Minari's layout, or only its ``fields`` if given.

    Raises:
        DatasetError: naming file and episode, if something is missing or damaged.
    """
    name = f"episode_{index}"
    with untrusted.expecting(f"{file.filename}: {name} is damaged or incomplete", DatasetError):
        group = untrusted.member(file, name)
        parents = group, untrusted.member(group, "observations"), untrusted.member(group, "infos")
        members = {k: v for parent in parents for k, v in untrusted.members(parent).items()}
        datasets = {k: v for k, v in members.items() if isinstance(v, h5py.Dataset)}
        return {k: untrusted.array(datasets[k]) for k in (fields or datasets)}


def read_metadata(folder: Path) -> dict[str, Any]:
    """Reads ``metadata.json`` of a dataset folder; raises DatasetError if the folder holds no complete dataset."""
    path = folder / "data" / METADATA_FILE
    if not path.exists() or not (folder / "data" / MAIN_FILE).exists():
        raise DatasetError(f"{folder}: no complete buffer there (expected data/{MAIN_FILE} and data/{METADATA_FILE})")
    try:
        metadata = untrusted.json_object(path)
    except ValueError as error:
        raise DatasetError(f"{path}: not valid JSON ({error})") from None
    missing = {"total_episodes", "total_steps", "hdream"} - set(metadata)
    if missing:
        raise DatasetError(f"{path}: field {sorted(missing)[0]!r} is missing; build buffers with offline_buffers.build")
    _check_metadata(metadata, path)
    return metadata


FACTS = ("task", "sha256")  # fields that a buffer's own metadata must have


def _check_metadata(metadata: dict[str, Any], path: Path) -> None:
    for name in ("total_episodes", "total_steps"):
        if type(metadata[name]) is not int or metadata[name] < 0:
            raise DatasetError(f"{path}: {name} is {metadata[name]!r}; it must be a whole number")
    facts = metadata["hdream"]
    for name in FACTS:
        if not isinstance(facts, dict) or not isinstance(facts.get(name), str):
            raise DatasetError(f"{path}: hdream.{name} is missing or not a text")
    if not re.fullmatch("[0-9a-f]{64}", facts["sha256"]):  # checked because it names a folder
        raise DatasetError(f"{path}: hdream.sha256 is {facts['sha256'][:80]!r}, no SHA-256")


def space_to_json(low: np.ndarray, high: np.ndarray, dtype: str) -> dict[str, Any]:
    """Formats a gymnasium Box as Minari serialises it."""
    return {"type": "Box", "dtype": dtype, "shape": list(low.shape), "low": low.tolist(), "high": high.tolist()}
