"""Reads off a model's features whether the task's main object moves.

A probe reads the object's position off single steps with an error of centimetres. Running means remove most of the
error. The rest sets the threshold of motion, at the equal error rate: on seen frames of other episodes, as large a
share of windows without motion lies above it as of windows with motion lies below it. The windows are like the
branches: the object rests until the last step seen.
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
    """Returns the distance of each later position from the first, ``(N, 1 + H, d)`` to ``(N, H)``."""
    return np.linalg.norm(where[:, 1:] - where[:, :1], axis=-1)


def running_mean(values: np.ndarray, steps: int) -> np.ndarray:
    """Returns means over ``steps`` consecutive rows, ``(N, T, d)`` to ``(N, T - steps + 1, d)``."""
    return np.lib.stride_tricks.sliding_window_view(values, steps, axis=1).mean(-1)


def equal_error(still: np.ndarray, moving: np.ndarray) -> float:
    """Returns the threshold where the share of ``still`` above is nearest to the share of ``moving`` below.

    It lies halfway between two of the values.
    """
    values = np.unique(np.concatenate([still, moving]))
    levels = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
    false, true = ((values[:, None] > levels).mean(0) for values in (still, moving))
    return float(levels[np.abs(false - (1 - true)).argmin()])


def at_rest(windows: Segments) -> np.ndarray:
    """Returns the windows whose main object rests over the steps of the first running mean, bool ``(N,)``."""
    where = windows.positions()[task_facts(windows.task).main][:, CONTEXT - SMOOTH : CONTEXT]
    return (displacement(where) <= task_facts(windows.task).touched).all(-1)


class MotionProbe:
    """Reads the main object's displacement off an agent's features.

    Args:
        agent: whose features.
        segments: windows; the probe is fitted on some of their episodes, its threshold is set on the others.
        config: of the probe.
        moved: true displacement from which on the object counts as moved.

    Attributes:
        threshold: read displacement from which on the object counts as moved; ``moved`` if all windows for it are of
            one kind.
    """

    def __init__(self, agent: Agent, segments: Segments, config: ProbeConfig, moved: float):
        self.task, self.moved = segments.task, moved
        fitted = segments.episode < np.ceil(FITTED * len(segments.episodes))
        windows = segments.take(np.flatnonzero(fitted))
        feat, where = features(agent, windows, CONTEXT).posterior, windows.positions()[task_facts(self.task).main]
        self.position = MLPProbe(feat.reshape(-1, feat.shape[-1]), where.reshape(-1, where.shape[-1]), config, seed=0)
        self.threshold = moved
        others = segments.take(np.flatnonzero(~fitted & at_rest(segments)))
        if len(others):
            true, read, _ = self.seen(agent, others)
            moves = (true > moved).any(-1)
            if moves.any() and not moves.all():
                self.threshold = equal_error(read[~moves].max(-1), read[moves].max(-1))

    def read(self, feat: np.ndarray) -> np.ndarray:
        """Reads the displacement, ``(N, SMOOTH + H, F)`` features of SMOOTH seen and H further steps to ``(N, H)``."""
        return displacement(running_mean(self.position(feat), SMOOTH))

    def seen(self, agent: Agent, windows: Segments) -> tuple[np.ndarray, np.ndarray, float]:
        """Returns true and read displacement on seen frames, ``(N, H)`` each, and the RMS error of positions."""
        feat = features(agent, windows, CONTEXT).posterior
        where = windows.positions()[task_facts(self.task).main]
        error = float(np.sqrt(np.square(self.position(feat) - where).sum(-1).mean()))
        return displacement(where[:, CONTEXT - 1 :]), self.read(feat[:, CONTEXT - SMOOTH :]), error

    def quality(self, agent: Agent, windows: Segments) -> dict[str, np.ndarray]:
        """Returns how well it does on seen frames; on predictions it cannot do better.

        ``object/floor``: share of windows without motion in which it sees motion; ``object/seen``: the same for windows
        with motion; ``object/probe_error``: root mean squared distance; ``object/quiet``: the threshold.
        """
        true, read, error = self.seen(agent, windows)
        moves, reads = (true > self.moved).any(-1), (read > self.threshold).any(-1)
        return {
            "object/floor": np.array(reads[~moves].mean() if not moves.all() else np.nan),
            "object/seen": np.array(reads[moves].mean() if moves.any() else np.nan),
            "object/probe_error": np.array(error),
            "object/quiet": np.array(self.threshold),
        }
