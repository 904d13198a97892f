"""Cases of wrong dreams in a result of ``analysis.counterfactual``, as its analysis pools them, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.results import Result
from analysis.stats import SHARE, SHARES_APART, Bounds, Interval, cluster_interval

BINS = 5  # of dreamed probability


@dataclass(frozen=True)
class Cases:
    """What can be dreamed wrong, and how much of it is.

    Attributes:
        wrong: share of wrong dreams of each case, ``(method, seed, case)``.
        episode: of each case.
        weight: of each case in the mean.
        blind: what a model that ignores actions has, NaN if that is not known.
        within: least and greatest value of the measure.
    """

    wrong: np.ndarray
    episode: np.ndarray
    weight: np.ndarray
    blind: float
    within: Bounds = SHARE

    @property
    def seeds(self) -> np.ndarray:
        """Mean over cases, ``(method, seed)``."""
        return np.average(self.wrong, axis=-1, weights=self.weight)

    def over_episodes(self, method: int) -> Interval:
        """Interval over held-out episodes of a method's mean, seeds averaged."""
        return cluster_interval(self.wrong[method].mean(0), self.episode, weight=self.weight)


def of_actions(result: Result, event: str, wrong: str, which: list[int]) -> Cases:
    """Cases of a kind of wrong dreams under some alternatives, by their indices.

    Args:
        result: of this study.
        event: ``reward`` or ``object``.
        wrong: ``averted``, ``hallucination`` or ``miss``.
        which: the alternatives.
    """
    happened = result.values(f"{event}/happened")  # (alternative, branch)
    recorded = list(result.axes["alternative"]).index("recorded")
    known = {
        "averted": (happened == 0) & (happened[recorded] == 1),
        "hallucination": happened == 0,
        "miss": happened == 1,
    }[wrong][which]
    probability = result.values(f"{event}/probability")[:, :, which][:, :, known]
    episode, weight = (np.broadcast_to(result.values(f"branch/{name}"), known.shape) for name in ("episode", "weight"))
    weight = weight if wrong == "hallucination" else np.ones(known.shape)
    blind = list(result.axes["reference"]).index("ignores actions")
    rates, mass = result.values(f"reference/{event}/{wrong}_rate")[blind][which], (weight * known).sum(-1)
    some = mass > 0
    known_blind = float(np.average(rates[some], weights=mass[some])) if some.any() else np.nan
    return Cases(1 - probability if wrong == "miss" else probability, episode[known], weight[known], known_blind)


def told_apart(result: Result, event: str) -> Cases:
    """Probability of an event dreamed under the recorded actions, that bring it, minus that under altered ones, that
    avert it, branch by branch.
    """
    happened, probability = result.values(f"{event}/happened"), result.values(f"{event}/probability")
    names = list(result.axes["alternative"])
    recorded, which = names.index("recorded"), [j for j, name in enumerate(names) if name != "recorded"]
    chosen = (happened[recorded] == 1) & np.isfinite(happened[which]).any(0)
    altered = np.nanmean(probability[:, :, which][..., chosen], 2)
    episode = result.values("branch/episode")[chosen]
    gap = probability[:, :, recorded][..., chosen] - altered
    return Cases(gap, episode, np.ones(len(episode)), 0.0, SHARES_APART)


def frequencies(result: Result, event: str, method: int) -> Iterator[tuple[float, Interval, int]]:
    """By bins of dreamed probability, over all seeds and actions: its mean, the true frequency with its interval over
    episodes, and the dreams behind it.
    """
    probability = result.values(f"{event}/probability")[method]  # (seed, alternative, branch)
    happened, episode, weight = (
        np.broadcast_to(result.values(name), probability.shape)
        for name in (f"{event}/happened", "branch/episode", "branch/weight")
    )
    known = np.isfinite(happened) & np.isfinite(probability)
    bins = np.minimum((np.where(known, probability, 0) * BINS).astype(int), BINS - 1)
    for k in range(BINS):
        some = known & (bins == k)
        if some.any():
            at = float(np.average(probability[some], weights=weight[some]))
            yield at, cluster_interval(happened[some], episode[some], weight=weight[some]), int(some.sum())
