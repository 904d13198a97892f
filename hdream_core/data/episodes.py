"""Checks an episode of a buffer before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hdream_core.data.minari_layout import DatasetError

STEP_FIELDS = ("actions", "rewards", "terminations", "truncations")  # T entries
FRAME_FIELDS = ("image", "state", "success", "sim_state")  # T + 1 entries; the last where a task can be restored
SCALARS = ("rewards", "terminations", "truncations", "success")
VECTORS = ("actions", "state", "sim_state")


def check_episode(
    episode: Mapping[str, np.ndarray], where: str, fields: tuple[str, ...] = STEP_FIELDS + FRAME_FIELDS[:3]
) -> None:
    """Raises DatasetError, naming ``where`` and the field, unless an episode is well-formed.

    Args:
        episode: an episode in Minari's layout (``minari_layout.convert``).
        where: file and episode, for the message.
        fields: fields that the episode must have.
    """
    missing = [name for name in fields if name not in episode]
    if missing:
        raise DatasetError(f"{where}: {missing[0]} is missing")
    for name, values in episode.items():
        if values.dtype.kind not in "fiub":
            raise DatasetError(f"{where}: {name} has dtype {values.dtype}, must be plain numbers")
        ndim = 1 if name in SCALARS else 2 if name in VECTORS else None
        if values.ndim == 0 or (ndim and values.ndim != ndim):
            raise DatasetError(f"{where}: {name} has shape {values.shape}, must have {ndim or 'some'} dimensions")
    image = episode["image"]
    if image.dtype != np.uint8 or image.ndim != 4 or image.shape[-1] != 3 or image.shape[1] != image.shape[2]:
        raise DatasetError(f"{where}: image is {image.dtype} {image.shape}, must be uint8 (T + 1, size, size, 3)")
    steps = len(episode["rewards"])
    for name, values in episode.items():
        expected = steps if name in STEP_FIELDS else steps + 1
        if len(values) != expected:
            raise DatasetError(f"{where}: {name} has {len(values)} entries, not {expected}")
        # In ``sim_state``, NaN stands for None.
        if name != "sim_state" and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DatasetError(f"{where}: {name} has a value that is not finite")
    if np.abs(episode["actions"]).max(initial=0) > 1:
        raise DatasetError(f"{where}: actions leave [-1, 1]")
