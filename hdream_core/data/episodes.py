"""Reads the episodes of a buffer, checked and in the dtypes of training. Validation and training share this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hdream_core.data.minari_layout import MAIN_FILE, Arrays, DatasetError, open_main, read_episode, read_metadata
from hdream_core.spec import ActionSpec, Spec, side_of
from hdream_core.support import untrusted
from hdream_core.support.errors import ConfigError

STEP_FIELDS = ("actions", "rewards", "terminations", "truncations")  # T entries
FRAME_FIELDS = ("image", "state", "success", "sim_state")  # T + 1 entries; sim_state only if a task can be restored
TRAINING_FIELDS = ("image", "actions", "rewards", "terminations")
ALL_FIELDS = STEP_FIELDS + FRAME_FIELDS[:3]
SCALARS = ("rewards", "terminations", "truncations", "success")
VECTORS = ("actions", "state", "sim_state")
DTYPES = {
    "actions": np.float32,
    "rewards": np.float32,
    "state": np.float64,
    "sim_state": np.float64,
    **dict.fromkeys(("terminations", "truncations", "success"), np.bool_),
}
"""The dtype in which training and studies read each field. Frames are uint8 and never cast."""


def check_and_cast(episode: Mapping[str, np.ndarray], where: str, required: tuple[str, ...] = ALL_FIELDS) -> Arrays:
    """Checks an episode and returns it with each field in the dtype of ``DTYPES``.

    Numbers of any width are accepted if the cast keeps their meaning: whole numbers and floats for actions, rewards and
    states; 0 and 1 for flags. Everything else is refused.

    Args:
        episode: in Minari's layout (``minari_layout.convert``); all of its fields are checked.
        where: file and episode, for the message.
        required: fields that the episode must have.

    Raises:
        DatasetError: naming ``where``, the field, and what is wrong.
    """
    missing = [name for name in required if name not in episode]
    if missing:
        raise DatasetError(f"{where}: {missing[0]} is missing")
    _check_shapes(episode, where)
    cast = {name: _cast(name, values, where) for name, values in episode.items()}
    if np.abs(cast["actions"]).max(initial=0) > 1:
        raise DatasetError(f"{where}: actions leave [-1, 1]")
    for name in {"terminations", "truncations"} & set(cast):
        if (early := np.flatnonzero(cast[name][:-1])).size:
            raise DatasetError(
                f"{where}: {name} end the episode at step {early[0] + 1} of {len(cast[name])}; only the last step "
                "may end it, so make the rest an episode of its own"
            )
    return cast


def _check_shapes(episode: Mapping[str, np.ndarray], where: str) -> None:
    for name, values in episode.items():
        if values.dtype.kind not in "fiub":
            raise DatasetError(f"{where}: {name} has dtype {values.dtype}, must be plain numbers")
        ndim = 1 if name in SCALARS else 2 if name in VECTORS else None
        if values.ndim == 0 or (ndim and values.ndim != ndim):
            raise DatasetError(f"{where}: {name} has shape {values.shape}, must have {ndim or 'some'} dimensions")
    image = episode["image"]
    if image.dtype != np.uint8 or image.ndim != 4:
        raise DatasetError(f"{where}: image is {image.dtype} {image.shape}, must be uint8 (T + 1, H, W, C)")
    steps = len(episode["rewards"])
    if not steps:
        raise DatasetError(f"{where}: has no steps")
    for name, values in episode.items():
        expected = steps if name in STEP_FIELDS else steps + 1
        if len(values) != expected:
            raise DatasetError(f"{where}: {name} has {len(values)} entries, not {expected}")


def _cast(name: str, values: np.ndarray, where: str) -> np.ndarray:
    # In ``sim_state``, NaN represents None.
    if name != "sim_state" and values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DatasetError(f"{where}: {name} has a value that is not finite")
    dtype = DTYPES.get(name)
    if dtype is None or values.dtype == dtype:
        return values
    if dtype is np.bool_:
        if not np.isin(values, (0, 1)).all():
            raise DatasetError(f"{where}: {name} has values other than 0 and 1; it must be true or false")
        return values.astype(bool)
    with np.errstate(over="ignore"):
        cast = values.astype(dtype)
    if name != "sim_state" and not np.isfinite(cast).all():
        raise DatasetError(f"{where}: {name} has a value too large for {np.dtype(dtype)}")
    return cast


def spec_of(facts: Mapping[str, Any], image: tuple[int, ...], action: tuple[int, ...], longest: int) -> Spec:
    """Returns the spec of the environment that a buffer was collected in.

    Args:
        facts: the builder's metadata; older and hand-made buffers have no ``spec`` in it.
        image: shape of a frame, (H, W, C).
        action: shape of an action, (A,).
        longest: steps of the longest episode, used if the time limit is unknown.

    Raises:
        DatasetError: if ``spec`` is not one, or does not fit the data.
    """
    with untrusted.expecting("the buffer's metadata: hdream.spec", DatasetError):
        if "spec" not in facts:
            return Spec(image, ActionSpec("continuous", action[0]), int(facts.get("time_limit", longest)))
        spec = Spec.from_dict(facts["spec"])
        if (spec.image, (spec.action.dim,)) != (image, action):
            raise ValueError(f"it says frames {spec.image} and actions ({spec.action.dim},), not {image}, {action}")
        return spec


class Episodes:
    """Reads a buffer's episodes one after another and checks each.

    Args:
        folder: folder of the buffer.
        required: fields that each episode must have.

    Attributes:
        path: path of the file with the episodes.
        metadata: metadata of the data set.
        casts: dtype in the file of each field that was cast (see ``DTYPES``).
        spec: spec of the environment that the episodes come from; available once the first was read.

    Raises:
        DatasetError: naming the file, the episode and the field that training cannot use.
    """

    spec: Spec

    def __init__(self, folder: Path, required: tuple[str, ...]):
        self.path, self.required = folder / "data" / MAIN_FILE, required
        self.metadata = read_metadata(folder)
        self.casts: dict[str, str] = {}

    def __iter__(self) -> Iterator[tuple[h5py.Group, Arrays, Arrays]]:
        """Yields each episode's group, its arrays as stored, and its arrays as training reads them."""
        total = self.metadata["total_episodes"]
        with open_main(self.path) as file:
            if not len(file) == total > 0:
                raise DatasetError(f"{self.path}: holds {len(file)} episodes, its metadata says {total}")
            for index in range(total):
                where = f"{self.path}: episode_{index}"
                stored = read_episode(file, index)
                episode = check_and_cast(stored, where, self.required)
                if not index:
                    self.spec = self._spec(episode, where)
                self._check(episode, where)
                cast = [name for name in episode if stored[name].dtype != episode[name].dtype]
                self.casts |= {name: str(stored[name].dtype) for name in cast}
                yield file[f"episode_{index}"], stored, episode

    def _spec(self, episode: Arrays, where: str) -> Spec:
        image, action = episode["image"].shape[1:], episode["actions"].shape[1:]
        spec = spec_of(self.metadata["hdream"], image, action, len(episode["rewards"]))
        try:
            side_of(spec.image)
        except ConfigError as error:
            raise DatasetError(f"{where}: image: {error}") from None
        return spec

    def _check(self, episode: Arrays, where: str) -> None:
        """Checks an episode against the buffer's spec."""
        for name, shape in (("image", self.spec.image), ("actions", (self.spec.action.dim,))):
            if episode[name].shape[1:] != shape:
                raise DatasetError(
                    f"{where}: {name} has rows of {episode[name].shape[1:]}, those of episode_0 are {shape}"
                )
        if self.spec.action.kind == "discrete":
            actions = episode["actions"]
            if not (np.isin(actions, (0, 1)).all() and (actions.sum(1) == 1).all()):
                raise DatasetError(
                    f"{where}: actions must be one-hot; those of {self.metadata['hdream']['task']} are choices"
                )

    def cast_summary(self) -> str:
        """Describes in one line what was cast; empty if nothing was."""
        return ", ".join(f"{name} are {kind}, read as {np.dtype(DTYPES[name])}" for name, kind in self.casts.items())
