"""Uniform sampling of windows from stored episodes, online and offline alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hdream_core.data.store import EpisodeStore

FIELDS = ("image", "action", "reward", "is_first", "is_terminal")
Batch = dict[str, np.ndarray]
"""``image`` uint8 (B, T, H, W, C); ``action`` (B, T, A), action[t] LED TO image[t]; ``reward`` (B, T), arrives with
image[t]; ``is_first`` and ``is_terminal`` (B, T) bool."""


class Replay:
    """Draws windows: an episode uniformly among the complete ones, then a window of it.

    Args:
        store: where the episodes are; may grow while sampled.
        episodes: sample only these (a training or held-out split); None takes all there are.
        capacity: sample only the latest episodes that hold so many rows.
        oversample_ends: draw starts from a range one window longer and clip, so that an episode's last steps are seen
            as often as its middle ones.
    """

    def __init__(
        self,
        store: EpisodeStore,
        episodes: Sequence[int] | None = None,
        capacity: int | None = None,
        oversample_ends: bool = False,
    ):
        self.store = store
        self.episodes = None if episodes is None else np.asarray(episodes, np.int64)
        self.capacity = capacity
        self.oversample_ends = oversample_ends

    def usable(self, length: int) -> np.ndarray:
        """Indices of the episodes that a window of ``length`` rows fits into."""
        lengths = np.asarray(self.store.lengths, np.int64)
        chosen = np.arange(len(lengths)) if self.episodes is None else self.episodes
        if self.capacity is not None:
            newest_first = lengths[chosen][::-1].cumsum()[::-1]
            chosen = chosen[newest_first <= max(self.capacity, lengths[chosen[-1]] if len(chosen) else 0)]
        return chosen[lengths[chosen] >= length]

    def starts(self, rng: np.random.Generator, batch: int, length: int) -> np.ndarray:
        """First rows of ``batch`` random windows, ``(batch,)`` indices into the store.

        Raises:
            ValueError: if no episode is long enough.
        """
        usable = self.usable(length)
        if not len(usable):
            raise ValueError(f"no episode in {self.store.folder} has {length} rows or more; take shorter windows")
        chosen = rng.choice(usable, batch)
        last = np.asarray(self.store.lengths, np.int64)[chosen] - length  # the last start that fits
        offset = rng.integers(0, last + 1 + (length if self.oversample_ends else 0))
        return np.asarray(self.store.starts, np.int64)[chosen] + np.minimum(offset, last)

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> Batch:
        """``batch`` windows of ``length`` rows."""
        return self.windows(self.starts(rng, batch, length), length)

    def windows(self, starts: np.ndarray, length: int) -> Batch:
        """The windows that begin at the given rows of the store. A window's first row has ``is_first``."""
        names = ("image", "action", "reward", "is_terminal")
        batch = {name: self.store.windows(name, starts, length) for name in names}
        # The state before a window is unknown, and windows do not cross episodes: only first rows are "first".
        batch["is_first"] = np.zeros(batch["reward"].shape, bool)
        batch["is_first"][:, 0] = True
        return batch


def split_episodes(episodes: int, heldout_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out episode indices, the same for every run on a buffer of so many episodes.

    At least one episode is held out and at least one kept, where there are two or more.
    """
    order = np.random.default_rng(0).permutation(episodes)
    held = min(max(round(heldout_fraction * episodes), 1), max(episodes - 1, 0))
    return np.sort(order[held:]), np.sort(order[:held])


def random_batch(batch: int, length: int, size: int, action: int) -> Batch:
    """Windows of noise in the shapes of a run's, for timings."""
    rng = np.random.default_rng(0)
    shape = batch, length
    first = np.zeros(shape, bool)
    first[:, 0] = True
    return {
        "image": rng.integers(0, 256, (*shape, size, size, 3), np.uint8),
        "action": rng.uniform(-1, 1, (*shape, action)).astype(np.float32),
        "reward": rng.uniform(0, 10, shape).astype(np.float32),
        "is_first": first,
        "is_terminal": np.zeros(shape, bool),
    }
