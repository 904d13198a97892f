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

UNPACKED = 2  # version of the unpacked form; an older one was not checked as now, so it is made again


@dataclass(frozen=True)
class OfflineBuffer:
    """A buffer that is ready to sample from."""

    store: EpisodeStore
    metadata: dict[str, Any]  # of the data set, with our own metadata under "hdream"

    @property
    def facts(self) -> dict[str, Any]:
        """Returns the builder's metadata: task, render quality, camera, sha256 and so on."""
        return self.metadata["hdream"]

    @property
    def look(self) -> dict[str, str]:
        """What the frames depend on besides the state; of a buffer from before it was recorded, render and camera."""
        look = self.facts.get("look", {name: self.facts[name] for name in LOOK if name in self.facts})
        if not isinstance(look, dict) or not all(isinstance(value, str) for value in look.values()):
            raise DatasetError(f"the buffer's metadata: hdream.look is {str(look)[:80]}, not texts by name")
        return look

    @property
    def spec(self) -> Spec:
        """Returns the description of the environment; for older buffers, without one, it is derived from the data."""
        image, action = (self.store.fields[name].shape for name in ("image", "action"))
        return spec_of(self.facts, image, action, max(self.store.lengths) - 1)


def open_buffer(folder: str | Path) -> OfflineBuffer:
    """Opens a buffer made by ``offline_buffers.build``.

    The compressed HDF5 file is unpacked once, to ``<folder>/unpacked`` (12 KB a step at 64 x 64 pixels), and every run
    reads its windows there. Processes that start together wait for the first. Of a buffer that cannot be written the
    frames are unpacked into the user's cache; nothing is written where they are unpacked already.

    Raises:
        DatasetError: if the folder holds no complete buffer, or an episode in it is damaged.
    """
    folder = Path(folder)
    metadata = read_metadata(folder)
    return OfflineBuffer(open_unpacked(_unpacked(folder, metadata)), metadata)


def unpacked_places(folder: Path, metadata: dict[str, Any]) -> list[Path]:
    """Returns where a buffer's unpacked frames may lie: beside it, and in the user's cache, by its hash."""
    beside = [folder / "unpacked"]
    with contextlib.suppress(OSError):  # without a home folder there is no cache
        beside.append(places.cache_folder("buffers", metadata["hdream"]["sha256"][:16], "unpacked"))
    return beside


def _unpacked(folder: Path, metadata: dict[str, Any]) -> Path:
    """Returns the folder of the unpacked frames, after unpacking them if nobody has."""
    name = f"{metadata['hdream']['sha256'][:16]}-v{UNPACKED}"
    beside, *cache = unpacked_places(folder, metadata)
    for place in (beside, *cache):
        if os.path.exists(place / name / "episodes.npy"):  # made whole by a rename
            return place / name
    (folder / "data" / MAIN_FILE).open("rb").close()  # one that may not be read is another matter
    try:
        return _unpack_once(folder, beside / name)
    except OSError as error:
        if error.errno not in PERMANENT:
            raise
        told = f"{folder}: cannot be written ({error.strerror}), so its frames are unpacked"
    try:
        target = (cache or [places.cache_folder()])[0] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        print(f"{told} in {target.parent}", file=sys.stderr)
        return _unpack_once(folder, target)
    except OSError as error:
        if error.errno not in PERMANENT:
            raise
        where = f"which cannot be written either ({error.filename}: {error.strerror})"
        raise DatasetError(f"{told} in the cache, {where}; set {places.CACHE} to a folder that can be") from None


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
        store.read_to(untrusted.npy((folder / "episodes.npy").read_bytes()))
    except ValueError as error:
        raise DatasetError(
            f"{folder / 'episodes.npy'}: {error}; delete {folder.parent} to unpack the buffer again"
        ) from None
    return store


def _unpack(folder: Path, target: Path) -> None:
    shutil.rmtree(target.parent, ignore_errors=True)  # from an older or interrupted build
    temporary, episodes = target.with_name(target.name + ".tmp"), Episodes(folder, TRAINING_FIELDS)
    store: EpisodeStore | None = None
    for _, _, episode in episodes:
        rows = convert({name: episode[name] for name in TRAINING_FIELDS}, to="rows")
        store = store or EpisodeStore(temporary, layout_of(rows))
        store.append(rows)
    assert store is not None  # ``Episodes`` refuses a buffer without any
    data = io.BytesIO()
    np.save(data, store.position())
    write_atomically(temporary / "episodes.npy", data.getvalue())
    temporary.rename(target)
    if episodes.casts:
        print(f"{folder}: {episodes.said()}", file=sys.stderr)


def layout_of(rows: dict[str, np.ndarray]) -> dict[str, Field]:
    """Returns the store fields that fit the given rows."""
    return {name: Field(values.dtype.str, values.shape[1:]) for name, values in rows.items()}
