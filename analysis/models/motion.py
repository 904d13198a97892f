"""Whether the task's main object moves, read off a model's features.

A probe reads the object's position off single steps with an error of centimetres. Running means take most of it away,
and what is left of it sets the threshold: where, on frames that were seen of episodes of its own, as large a share of
the windows in which the object stands still is taken to move as of those in which it moves is taken to stand still
(the equal error rate). All this is about windows like the branches: the object rests until the last step seen.
"""

from __future__ import annotations

import numpy as np

from analysis.models.probes import MLPProbe, ProbeConfig
from analysis.models.representation import features
from analysis.models.segments import CONTEXT, Segments
from analysis.results.tasks import task_facts
from hdream_core.agent import Agent

SMOOTH = 10  # steps of a running mean
FITTED = 2 / 3  # of the probe's episodes; the others set the threshold


def displacement(where: np.ndarray) -> np.ndarray:
    """Distance of each later position from the first, ``(N, 1 + H, d)`` to ``(N, H)``."""
    return np.linalg.norm(where[:, 1:] - where[:, :1], axis=-1)


def running_mean(values: np.ndarray, steps: int) -> np.ndarray:
    """Means over ``steps`` consecutive rows, ``(N, T, d)`` to ``(N, T - steps + 1, d)``."""
    return np.lib.stride_tricks.sliding_window_view(values, steps, axis=1).mean(-1)


def equal_error(still: np.ndarray, moving: np.ndarray) -> float:
    """The threshold at which the share of ``still`` above it is nearest to the share of ``moving`` beneath it.

    It lies halfway between two of the values.
    """
    values = np.unique(np.concatenate([still, moving]))
    levels = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
    false, found = ((kind[:, None] > levels).mean(0) for kind in (still, moving))
    return float(levels[np.abs(false - (1 - found)).argmin()])


def at_rest(windows: Segments) -> np.ndarray:
    """Windows whose main object rests over the steps that the first running mean is over, bool ``(N,)``."""
    where = windows.positions()[task_facts(windows.task).main][:, CONTEXT - SMOOTH : CONTEXT]
    return (displacement(where) <= task_facts(windows.task).touched).all(-1)


class MotionProbe:
    """Reads the main object's displacement off an agent's features.

    Args:
        agent: whose features.
        segments: windows that the probe is fitted on, and its threshold set on other episodes of them.
        config: of the probe.
        moved: true displacement from which on the object counts as moved.

    Attributes:
        threshold: displacement as read from which on the object counts as moved; ``moved`` where the windows for it are
            all of one kind.
    """

    def __init__(self, agent: Agent, segments: Segments, config: ProbeConfig, moved: float):
        self.task, self.moved = segments.task, moved
        fitted = segments.episode < np.ceil(FITTED * len(segments.episodes))
        some = segments.take(np.flatnonzero(fitted))
        feat, where = features(agent, some, CONTEXT).posterior, some.positions()[task_facts(self.task).main]
        self.position = MLPProbe(feat.reshape(-1, feat.shape[-1]), where.reshape(-1, where.shape[-1]), config, seed=0)
        self.threshold = moved
        others = segments.take(np.flatnonzero(~fitted & at_rest(segments)))
        if len(others):
            true, read, _ = self.seen(agent, others)
            moves = (true > moved).any(-1)
            if moves.any() and not moves.all():
                self.threshold = equal_error(read[~moves].max(-1), read[moves].max(-1))

    def read(self, feat: np.ndarray) -> np.ndarray:
        """Displacement from where it was, ``(N, SMOOTH + H, F)`` to ``(N, H)``: SMOOTH steps seen, H to come."""
        return displacement(running_mean(self.position(feat), SMOOTH))

    def seen(self, agent: Agent, windows: Segments) -> tuple[np.ndarray, np.ndarray, float]:
        """On frames that were all seen: true displacement and as read, ``(N, H)`` each; RMS distance of positions."""
        feat = features(agent, windows, CONTEXT).posterior
        where = windows.positions()[task_facts(self.task).main]
        error = float(np.sqrt(np.square(self.position(feat) - where).sum(-1).mean()))
        return displacement(where[:, CONTEXT - 1 :]), self.read(feat[:, CONTEXT - SMOOTH :]), error

    def quality(self, agent: Agent, windows: Segments) -> dict[str, np.ndarray]:
        """How it does on frames that were seen: no dream can be read off better.

        ``object/floor``: share of windows whose object stands still that it has moving; ``object/seen``: the same of
        those whose object moves; ``object/probe_error``: root mean squared distance; ``object/quiet``: its threshold.
        """
        true, read, error = self.seen(agent, windows)
        moves, found = (true > self.moved).any(-1), (read > self.threshold).any(-1)
        return {
            "object/floor": np.array(found[~moves].mean() if not moves.all() else np.nan),
            "object/seen": np.array(found[moves].mean() if moves.any() else np.nan),
            "object/probe_error": np.array(error),
            "object/quiet": np.array(self.threshold),
        }
