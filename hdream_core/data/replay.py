"""Draws windows of stored episodes uniformly, online and offline alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from hdream_core.data.store import EpisodeStore
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.errors import UserError

FIELDS = ("image", "action", "reward", "is_first", "is_terminal")
Batch = dict[str, np.ndarray]
"""``image`` uint8 (B, T, H, W, C); ``action`` (B, T, A), action[t] LED TO image[t]; ``reward`` (B, T), arrives with
image[t]; ``is_first`` and ``is_terminal`` (B, T) bool."""


class NoWindowError(UserError, ValueError):
    """Reports that no episode has a window of the requested length; the message is one line for the user."""


class Replay:
    """Draws batches of windows from the episodes of a store.

    An *episode* window lies in one episode: an episode is drawn uniformly among those that are long enough, then a
    window of it. A *stream* window may cross episode ends: the episodes are concatenated, and a window starts uniformly
    at any row that enough rows follow. Stream windows suit episodes that may be shorter than a window.

    Rows of the episode that is being played can be sampled, too, once they are there.

    A window is identified by its first row in the store. That determines its content: the rows up to the end of the
    episode, then those of the next episodes. Episodes are only added at the end. So neither growth nor ``capacity``
    changes the content of a window after it was drawn.

    Args:
        store: store of the episodes; it may grow between samples.
        episodes: sample only these (a training or held-out split), in the order of the store; None takes all.
        capacity: sample only the latest whole episodes that together have at most so many rows, but at least one. With
            stream windows it must hold a window and the longest episode, or too few rows may remain.
        oversample_ends: draw starts from a range one window longer and clip, so that an episode's last steps are
            sampled as often as its middle ones. Stream windows ignore it: they sample all rows equally often, except
            near the stream's two ends.
        window_kind: ``episode`` or ``stream``.
        running: whether stream windows also take rows of the episode that is being played, which come last.

    Attributes:
        ahead: whether the next batch may be drawn before the update on this one.
        priorities: what updates change of the replay, float32 ``(rows,)``; None if they change nothing.

    Raises:
        ValueError: if ``window_kind`` is neither.
    """

    ahead = True
    priorities: np.ndarray | None = None

    def __init__(
        self,
        store: EpisodeStore,
        episodes: Sequence[int] | np.ndarray | None = None,
        capacity: int | None = None,
        oversample_ends: bool = False,
        window_kind: Literal["episode", "stream"] = "episode",
        running: bool = False,
    ):
        if window_kind not in ("episode", "stream"):
            raise ValueError(f"there are episode and stream windows, not {window_kind!r} windows")
        self.store = store
        self.episodes = None if episodes is None else np.unique(np.asarray(episodes, np.int64))
        self.capacity = capacity
        self.oversample_ends = oversample_ends
        self.window_kind = window_kind
        self.running = running

    def usable(self, length: int) -> np.ndarray:
        """Returns the indices of the episodes that have ``length`` rows or more."""
        lengths = self._lengths()
        chosen = self._newest(lengths)
        return chosen[lengths[chosen] >= length]

    def can_sample(self, length: int) -> bool:
        """Tells whether a window of ``length`` rows can be drawn now."""
        if self.window_kind == "stream":
            return self._stream(newest=True).total >= length
        return len(self.usable(length)) > 0

    def starts(self, rng: np.random.Generator, batch: int, length: int) -> np.ndarray:
        """Draws ``batch`` windows; returns their first rows in the store, int64 ``(batch,)``.

        Raises:
            NoWindowError: if there are too few rows for a window.
        """
        draw = self._stream_starts if self.window_kind == "stream" else self._episode_starts
        return draw(rng, batch, length)

    def _episode_starts(self, rng: np.random.Generator, batch: int, length: int) -> np.ndarray:
        usable = self.usable(length)
        if not len(usable):
            raise NoWindowError(f"no episode in {self.store.folder} has {length} rows or more; take shorter windows")
        chosen = rng.choice(usable, batch)
        last = self._lengths()[chosen] - length  # the last start that fits
        offset = rng.integers(0, last + 1 + (length if self.oversample_ends else 0))
        return np.asarray(self.store.starts, np.int64)[chosen] + np.minimum(offset, last)

    def _stream_starts(self, rng: np.random.Generator, batch: int, length: int) -> np.ndarray:
        stream = self._stream(newest=True)
        if stream.total < length:
            raise NoWindowError(
                f"the episodes in {self.store.folder} have {stream.total} rows, fewer than a window of {length}; "
                "take shorter windows"
            )
        return stream.rows(rng.integers(0, stream.total - length + 1, batch))

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> Batch:
        """Draws and reads ``batch`` windows of ``length`` rows."""
        return self.windows(self.starts(rng, batch, length), length)

    def windows(self, starts: np.ndarray, length: int) -> Batch:
        """Reads the windows that start at rows ``starts``.

        ``is_first`` is true at a window's first row, because the state before it is unknown, and wherever an episode
        begins.
        """
        rows = self.rows(starts, length)
        batch = {name: self.store.gather(name, rows) for name in ("image", "action", "reward", "is_terminal")}
        batch["is_first"] = np.isin(
            rows, [self.store.running[0], *self.store.starts]
        )  # in this order, as in ``_stream``
        batch["is_first"][:, 0] = True
        return batch

    def reprioritise(self, starts: np.ndarray, priority: np.ndarray) -> None:
        """Takes what an update says about its windows; these windows are drawn evenly, whatever it says."""

    def restore(self, priorities: np.ndarray) -> None:
        """Restores saved ``priorities``; nothing here."""

    def rows(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Returns the rows of the store that the windows consist of, int64 ``(batch, length)``.

        Raises:
            ValueError: if the store has no such window.
        """
        stream = self._stream(newest=False)
        first = stream.positions(starts)
        if (first < 0).any() or (first > stream.total - length).any():
            raise ValueError(f"{self.store.folder} does not hold the windows of {length} rows that were drawn from it")
        return stream.rows(first[:, None] + np.arange(length))

    def _lengths(self) -> np.ndarray:
        return np.asarray(self.store.lengths, np.int64)

    def _chosen(self, lengths: np.ndarray) -> np.ndarray:
        """Returns the indices of the episodes that are sampled, or were before they left ``capacity``."""
        return np.arange(len(lengths)) if self.episodes is None else self.episodes

    def _newest(self, lengths: np.ndarray) -> np.ndarray:
        """Returns the indices of the episodes that are sampled now: at least one, if there is any."""
        chosen = self._chosen(lengths)
        if self.capacity is not None:
            newest_first = lengths[chosen][::-1].cumsum()[::-1]
            chosen = chosen[newest_first <= max(self.capacity, lengths[chosen[-1]] if len(chosen) else 0)]
        return chosen

    def _stream(self, newest: bool) -> _Stream:
        """Concatenates the episodes that are sampled now; unless ``newest``, also those that have left ``capacity``."""
        # Each is read once, in this order: the prefetcher's thread calls this while the store may grow.
        first, rows = self.store.running
        lengths = self._lengths()
        chosen = self._newest(lengths) if newest else self._chosen(lengths)
        firsts, sizes = (lengths.cumsum() - lengths)[chosen], lengths[chosen]
        if self.running and rows and first == lengths.sum():  # else it has been stored meanwhile
            firsts, sizes = np.append(firsts, first), np.append(sizes, len(rows))
        return _Stream(firsts, sizes)


class _Stream:
    """Concatenates episodes, and converts between positions in that stream and rows of the store.

    Args:
        firsts: first row of each episode in the store, ascending.
        lengths: rows of each.
    """

    def __init__(self, firsts: np.ndarray, lengths: np.ndarray):
        self.firsts, self.lengths = firsts, lengths
        self.begins = lengths.cumsum() - lengths  # position of each episode's first row
        self.total = int(lengths.sum())

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Returns the rows of the store at the given positions, which must lie in the stream."""
        episode = np.searchsorted(self.begins, positions, "right") - 1
        return self.firsts[episode] + positions - self.begins[episode]

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Returns the positions of rows of the store in the stream; -1 for rows that are not in it."""
        if not self.total:
            return np.full(rows.shape, -1)
        episode = np.searchsorted(self.firsts, rows, "right") - 1
        into = rows - self.firsts[episode]
        return np.where((into >= 0) & (into < self.lengths[episode]), self.begins[episode] + into, -1)


def split_episodes(episodes: int, heldout_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Splits episodes into training and held-out ones; returns the indices of both.

    The split is the same for every run on a buffer of so many episodes. With two episodes or more, neither part is
    empty.
    """
    order = np.random.default_rng(0).permutation(episodes)
    count = min(max(round(heldout_fraction * episodes), 1), max(episodes - 1, 0))
    return np.sort(order[count:]), np.sort(order[:count])


def random_batch(batch: int, length: int, spec: Spec) -> Batch:
    """Makes windows of noise in the shapes of an environment, for timings."""
    rng = np.random.default_rng(0)
    shape = batch, length
    first = np.zeros(shape, bool)
    first[:, 0] = True
    return {
        "image": rng.integers(0, 256, (*shape, *spec.image), np.uint8),
        "action": _random_actions(rng, shape, spec.action),
        "reward": rng.uniform(0, 10, shape).astype(np.float32),
        "is_first": first,
        "is_terminal": np.zeros(shape, bool),
    }


def _random_actions(rng: np.random.Generator, shape: tuple[int, int], action: ActionSpec) -> np.ndarray:
    if action.kind == "continuous":
        return rng.uniform(-1, 1, (*shape, action.dim)).astype(np.float32)
    return np.eye(action.dim, dtype=np.float32)[rng.integers(action.dim, size=shape)]
