"""Opens fixed buffers for training: each is unpacked once into an episode store that all runs share."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hdream_core.data.episodes import TRAINING_FIELDS, Episodes, spec_of
from hdream_core.data.minari_layout import MAIN_FILE, DatasetError, convert, read_metadata
from hdream_core.data.store import EpisodeStore, Field
from hdream_core.envs.suite import LOOK
from hdream_core.spec import Spec
from hdream_core.support import places, untrusted
from hdream_core.support.errors import PERMANENT
from hdream_core.support.files import write_atomically
from hdream_core.support.locks import file_lock

UNPACKED = 2  # version of the unpacked form; an older one was checked less, so it is made again


@dataclass(frozen=True)
class OfflineBuffer:
    """Holds a buffer that is ready to sample from."""

    store: EpisodeStore
    metadata: dict[str, Any]  # metadata of the data set, with our own under "hdream"

    @property
    def facts(self) -> dict[str, Any]:
        """Returns the builder's metadata: task, render quality, camera, sha256 and so on."""
        return self.metadata["hdream"]

    @property
    def look(self) -> dict[str, str]:
        """Returns what the frames depend on besides the state; older buffers recorded only render and camera."""
        look = self.facts.get("look", {name: self.facts[name] for name in LOOK if name in self.facts})
        if not isinstance(look, dict) or not all(isinstance(value, str) for value in look.values()):
            raise DatasetError(f"the buffer's metadata: hdream.look is {str(look)[:80]}, not texts by name")
        return look

    @property
    def spec(self) -> Spec:
        """Returns the environment's spec; for older buffers, which have none, it is derived from the data."""
        image, action = (self.store.fields[name].shape for name in ("image", "action"))
        return spec_of(self.facts, image, action, max(self.store.lengths) - 1)


def open_buffer(folder: str | Path) -> OfflineBuffer:
    """Opens a buffer made by ``offline_buffers.build``.

    The compressed HDF5 file is unpacked once, to ``<folder>/unpacked`` (12 KB a step at 64 x 64 pixels), and every run
    reads its windows there. Processes that start together wait for the first. If the buffer's folder cannot be written,
    the frames are unpacked into the user's cache. Nothing is written if they are already unpacked.

    Raises:
        DatasetError: if the folder holds no complete buffer, or an episode in it is damaged.
    """
    folder = Path(folder)
    metadata = read_metadata(folder)
    return OfflineBuffer(open_unpacked(_unpacked(folder, metadata)), metadata)


def unpacked_folders(folder: Path, metadata: dict[str, Any]) -> list[Path]:
    """Returns where a buffer's unpacked frames may be: beside it, and in the user's cache under its hash."""
    folders = [folder / "unpacked"]
    with contextlib.suppress(OSError):  # without a home folder there is no cache
        folders.append(places.cache_folder("buffers", metadata["hdream"]["sha256"][:16], "unpacked"))
    return folders


def _unpacked(folder: Path, metadata: dict[str, Any]) -> Path:
    """Returns the folder of the unpacked frames; unpacks them if needed."""
    name = f"{metadata['hdream']['sha256'][:16]}-v{UNPACKED}"
    beside, *cache = unpacked_folders(folder, metadata)
    for parent in (beside, *cache):
        if os.path.exists(parent / name / "episodes.npy"):  # a rename made it complete
            return parent / name
    (folder / "data" / MAIN_FILE).open("rb").close()  # an unreadable buffer is a different error
    try:
        return _unpack_once(folder, beside / name)
    except OSError as error:
        if error.errno not in PERMANENT:
            raise
        message = f"{folder}: cannot be written ({error.strerror}), so its frames are unpacked"
    try:
        target = (cache or [places.cache_folder()])[0] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        print(f"{message} in {target.parent}", file=sys.stderr)
        return _unpack_once(folder, target)
    except OSError as error:
        if error.errno not in PERMANENT:
            raise
        where = f"which cannot be written either ({error.filename}: {error.strerror})"
        raise DatasetError(f"{message} in the cache, {where}; set {places.CACHE} to a folder that can be") from None


def _unpack_once(folder: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(target.parent.with_suffix(".lock")):
        if not (target / "episodes.npy").exists():
            _unpack(folder, target)
    return target


def open_unpacked(folder: Path) -> EpisodeStore:
    """Opens an unpacked store, whose file ``episodes.npy`` lists its episodes."""
    store = EpisodeStore(folder)
    try:
        store.set_position(untrusted.npy((folder / "episodes.npy").read_bytes()))
    except ValueError as error:
        raise DatasetError(
            f"{folder / 'episodes.npy'}: {error}; delete {folder.parent} to unpack the buffer again"
        ) from None
    return store


def _unpack(folder: Path, target: Path) -> None:
    shutil.rmtree(target.parent, ignore_errors=True)  # left by an older or interrupted build
    temporary, episodes = target.with_name(target.name + ".tmp"), Episodes(folder, TRAINING_FIELDS)
    store: EpisodeStore | None = None
    for _, _, episode in episodes:
        rows = convert({name: episode[name] for name in TRAINING_FIELDS}, to="rows")
        store = store or EpisodeStore(temporary, layout_of(rows))
        store.append(rows)
    assert store is not None  # ``Episodes`` refuses a buffer without episodes
    data = io.BytesIO()
    np.save(data, store.position())
    write_atomically(temporary / "episodes.npy", data.getvalue())
    temporary.rename(target)
    if episodes.casts:
        print(f"{folder}: {episodes.cast_summary()}", file=sys.stderr)


def layout_of(rows: dict[str, np.ndarray]) -> dict[str, Field]:
    """Returns the store fields that fit the given rows."""
    return {name: Field(values.dtype.str, values.shape[1:]) for name, values in rows.items()}
