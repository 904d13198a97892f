"""Opens fixed buffers for training: each is unpacked once into an episode store that all runs share."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hdream_core.data.episodes import check_episode
from hdream_core.data.minari_layout import MAIN_FILE, DatasetError, convert, open_main, read_episode, read_metadata
from hdream_core.data.store import EpisodeStore, Field, StoreError
from hdream_core.envs.suite import LOOK
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support import untrusted
from hdream_core.support.files import write_atomically
from hdream_core.support.locks import file_lock

TRAINING_FIELDS = ("image", "actions", "rewards", "terminations")


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
        with untrusted.expecting("the buffer's metadata: hdream.spec", DatasetError):
            if "spec" not in self.facts:
                limit = self.facts.get("time_limit", max(self.store.lengths) - 1)
                return Spec(image, ActionSpec("continuous", action[0]), int(limit))
            spec = Spec.from_dict(self.facts["spec"])
            if (spec.image, (spec.action.dim,)) != (image, action):
                raise ValueError(f"it says frames {spec.image} and actions ({spec.action.dim},), not {image}, {action}")
            return spec


def open_buffer(folder: str | Path) -> OfflineBuffer:
    """Opens a buffer made by ``offline_buffers.build``.

    The compressed HDF5 file is unpacked once, to ``<folder>/unpacked`` (12 KB a step at 64 x 64 pixels), and every run
    reads its windows there. Processes that start together wait for the first.

    Raises:
        DatasetError: if the folder holds no complete buffer, or an episode in it is damaged.
    """
    folder = Path(folder)
    metadata = read_metadata(folder)
    target = folder / "unpacked" / metadata["hdream"]["sha256"][:16]
    with file_lock(folder / "unpacked.lock"):
        if not (target / "episodes.npy").exists():
            _unpack(folder / "data" / MAIN_FILE, metadata, target)
    return OfflineBuffer(open_unpacked(target), metadata)


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


def _unpack(main: Path, metadata: dict[str, Any], target: Path) -> None:
    shutil.rmtree(target.parent, ignore_errors=True)  # from an older or interrupted build
    temporary = target.with_name(target.name + ".tmp")
    with open_main(main) as file:
        store = None
        for index in range(metadata["total_episodes"]):
            episode = read_episode(file, index, TRAINING_FIELDS)
            check_episode(episode, f"{main}: episode_{index}", TRAINING_FIELDS)
            rows = convert(episode, to="rows")
            rows["is_terminal"] = rows["is_terminal"].astype(bool)
            store = store or EpisodeStore(temporary, layout_of(rows))
            try:
                store.append(rows)
            except StoreError as error:
                raise DatasetError(f"{main}: episode_{index} differs in layout from the first ({error})") from None
    if store is None:
        raise DatasetError(f"{main}: holds no episodes")
    data = io.BytesIO()
    np.save(data, store.position())
    write_atomically(temporary / "episodes.npy", data.getvalue())
    temporary.rename(target)


def layout_of(rows: dict[str, np.ndarray]) -> dict[str, Field]:
    """Returns the store fields that fit the given rows."""
    return {name: Field(values.dtype.str, values.shape[1:]) for name, values in rows.items()}
