"""Draws windows of stored episodes by priority: those whose values were predicted badly come more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hdream_core.config.fields import Config
from hdream_core.data.replay import Batch, NoWindowError, Replay
from hdream_core.data.store import EpisodeStore
from hdream_core.support.errors import ConfigError

SMALLEST = 1e-6  # added to priorities, so that every window can be drawn


class PrioritizedReplay(Replay):
    """Draws windows that lie within an episode, by the priority of the step that they begin with.

    A step is identified by its row in the store. Its window also has the frames before it that complete a stack, the
    first of the episode repeated where there are none. New steps get the greatest priority of all, or 1. The last ones
    of an episode, after which too few follow, get none.

    Args:
        config: config of the run.
        store, episodes, capacity: as for ``Replay``.

    Raises:
        ConfigError: if ``train.windows`` or ``train.oversample_ends`` ask for other windows.
    """

    ahead = False

    def __init__(
        self,
        config: Config,
        store: EpisodeStore,
        episodes: Sequence[int] | np.ndarray | None = None,
        capacity: int | None = None,
    ):
        if config.train.windows != "episode" or config.train.oversample_ends:
            raise ConfigError(
                f"{config.agent.name} draws windows by priority, within episodes; set train.windows=episode and "
                "train.oversample_ends=false"
            )
        super().__init__(store, episodes, capacity)
        self.before = config.agent.model.frames - 1  # rows of a window before the step that it begins with
        self.settings = config.agent.replay
        self.priorities = np.zeros(0, np.float32)  # by row of the store

    def usable(self, length: int) -> np.ndarray:
        """Returns the indices of the episodes that have a step with a priority."""
        return super().usable(length - self.before + 1)

    def starts(self, rng: np.random.Generator, batch: int, length: int) -> np.ndarray:
        """Draws ``batch`` windows; returns the rows of the steps that they begin with, int64 ``(batch,)``.

        Raises:
            NoWindowError: if no episode is long enough.
        """
        self._grow(length)
        chances = self._chances()
        if not len(chances):
            raise NoWindowError(f"no episode in {self.store.folder} has more than {length - self.before} rows")
        return rng.choice(len(chances), batch, p=chances)

    def windows(self, starts: np.ndarray, length: int) -> Batch:
        """Reads windows; ``importance`` (B,) float32 undoes some of the bias of their choice, and is 1 at most."""
        weights = self.priorities[starts].astype(np.float64) ** (-self.settings.priority * self.settings.importance)
        return super().windows(starts, length) | {"importance": np.float32(weights / weights.max())}

    def rows(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Returns the rows that windows consist of, int64 ``(batch, length)``.

        Raises:
            ValueError: if the store has no such window.
        """
        first = np.asarray(self.store.starts, np.int64)
        first = first[np.searchsorted(first, starts, "right") - 1]
        super().rows(starts, length - self.before)
        return np.maximum(starts[:, None] - self.before + np.arange(length), first[:, None])

    def reprioritise(self, starts: np.ndarray, priority: np.ndarray) -> None:
        """Sets the priority of drawn windows; of those drawn twice, to the last. Those that are not finite stay."""
        finite = np.isfinite(priority)
        self.priorities[starts[finite]] = priority[finite] + np.float32(SMALLEST)

    def restore(self, priorities: np.ndarray) -> None:
        """Restores saved priorities; the store must hold the rows that it held then.

        Raises:
            ValueError: if they are not priorities of the store's rows.
        """
        if priorities.ndim != 1 or priorities.dtype != np.float32 or len(priorities) > self.store.rows:
            raise ValueError(f"priorities are {priorities.dtype} {priorities.shape}, for {self.store.rows} rows")
        if not (np.isfinite(priorities).all() and (priorities >= 0).all()):
            raise ValueError("some priorities are negative or not finite")
        self.priorities = priorities.copy()

    def _grow(self, length: int) -> None:
        """Gives priorities to the episodes that have come since, and takes them from those that have left."""
        lengths, known = self._lengths(), len(self.priorities)
        if lengths.sum() == known:
            return
        steps = length - self.before - 1  # actions of a window
        greatest = np.float32(self.priorities.max(initial=0) or 1)
        more = np.zeros(lengths.sum() - known, np.float32)
        chosen = self._newest(lengths)
        for first, size in zip((lengths.cumsum() - lengths)[chosen], lengths[chosen], strict=True):
            if first >= known:
                more[first - known :][: max(size - 1 - steps, 0)] = greatest
        self.priorities = np.append(self.priorities, more)
        if self.capacity is not None and len(chosen):
            self.priorities[: self.store.starts[chosen[0]]] = 0

    def _chances(self) -> np.ndarray:
        """Returns the probability of each row to be drawn, float64; nothing if no row can be."""
        shares = (self.priorities > 0) * self.priorities.astype(np.float64) ** self.settings.priority
        return shares / shares.sum() if shares.any() else shares[:0]


REPLAY = PrioritizedReplay
