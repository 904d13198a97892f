"""Sorts the predictions in a result of ``analysis.finding2`` into kinds, counts them, and picks a window of each kind.

A predicted reward is correct within a tolerance. A prediction is right if a stated share of its rewards is correct. It
makes rewards up if so many of its rewards lie above the truth that it cannot be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.results import schema
from analysis.results.stats import OVER_EPISODES, OVER_SEEDS, SHARE, SHARES_APART, both_intervals

CASES = ("only second right", "only first right", "both wrong", "both right")  # of the two methods, in their order
MADE_UP = ("made up by first", "made up by second")  # each method's predicted rewards that do not come
SPLITS = ("all", "moving", "still", "still and low")  # windows by what the true reward does
# The kinds that are drawn, with their splits. Fig. 3 shows the first: only the first model predicts a reward.
SHOWN = {
    "made up by first, second right": "still and low",
    "made up by second, first right": "still and low",
    "only second right": "moving",
    "only first right": "moving",
}
FALLBACK = {"both wrong": "all", "both right": "all"}  # drawn if none of those occurs


def right(result: schema.Result) -> np.ndarray:
    """Returns which predictions are right, bool ``(method, seed, window)``."""
    protocol = result.notes["protocol"]
    correct = np.abs(result.values("dreamed_reward") - result.values("true_reward")) <= protocol["tolerance"]
    return correct.mean(-1) >= protocol["share"]


def made_up(result: schema.Result) -> np.ndarray:
    """Returns which predictions make rewards up, bool ``(method, seed, window)``."""
    protocol = result.notes["protocol"]
    above = result.values("dreamed_reward") - result.values("true_reward") > protocol["tolerance"]
    return above.mean(-1) > 1 - protocol["share"]


def moving(result: schema.Result) -> np.ndarray:
    """Returns which windows have a true reward that moves by more than the tolerance, bool ``(window,)``."""
    return np.ptp(result.values("true_reward"), axis=-1) > result.notes["protocol"]["tolerance"]


def splits(result: schema.Result) -> dict[str, np.ndarray]:
    """Returns windows by what the true reward does, bool ``(window,)`` each.

    A reward that stands still may be that of a half-finished task. If it never exceeds the level of
    ``models.hallucination``, it is low, and nothing happens. Predictions play no part here: with more models, more
    windows would have a prediction that moves by chance.
    """
    moves, low = moving(result), result.values("true_reward").max(-1) <= result.notes["protocol"]["level"]
    return dict(zip(SPLITS, (np.ones_like(moves), moves, ~moves, ~moves & low), strict=True))


def case_of(right: np.ndarray) -> np.ndarray:
    """Returns the index into CASES, ``(...)``, from which of the two methods are right, ``(2, ...)``."""
    first, second = right
    return np.select([second & ~first, first & ~second, ~first & ~second], [0, 1, 2], 3)


def kinds(result: schema.Result) -> dict[str, np.ndarray]:
    """Returns the windows of each kind (CASES, MADE_UP and SHOWN), bool ``(seed, window)`` each."""
    is_right, invents = right(result), made_up(result)
    case = case_of(is_right)
    by_kind = {name: case == i for i, name in enumerate(CASES)} | dict(zip(MADE_UP, invents, strict=True))
    for method, name in enumerate(list(SHOWN)[:2]):
        by_kind[name] = invents[method] & is_right[1 - method]
    return by_kind


def frequencies(result: schema.Result) -> dict[str, Any]:
    """Returns how often each kind occurs in each split, with intervals over seeds and episodes."""
    by_kind, episode = kinds(result), result.values("window/episode")
    table: dict[str, Any] = {"interval": OVER_SEEDS, "interval_over_episodes": OVER_EPISODES}
    for split, chosen in splits(result).items():
        row: dict[str, Any] = {"windows": int(chosen.sum())}
        if chosen.any():
            hits = {name: hit[:, chosen].astype(float) for name, hit in by_kind.items()}  # (seed, window) each
            row |= {name: both_intervals(hit, episode[chosen], within=SHARE) for name, hit in hits.items()}
            for name, more, less in (("difference", *CASES[:2]), ("difference in made up", *MADE_UP)):
                row[name] = both_intervals(hits[more] - hits[less], episode[chosen], within=SHARES_APART)
        table[split] = row
    return table


def choose(result: schema.Result) -> dict[str, int]:
    """Returns the window to draw of each kind in SHOWN (or FALLBACK) that the first seed's models have."""
    by_kind, of_split = kinds(result), splits(result)
    error = np.square(result.values("dreamed_reward")[:, 0] - result.values("true_reward")).mean(-1)
    difference = error[0] - error[1]
    shown, fallback = (
        {name: by_kind[name][0] & of_split[split] for name, split in drawn.items()} for drawn in (SHOWN, FALLBACK)
    )
    return typical(shown, difference) or typical(fallback, difference)


def typical(of_kind: Mapping[str, np.ndarray], difference: np.ndarray) -> dict[str, int]:
    """Returns a typical window of each kind that occurs, not the most striking one.

    Args:
        of_kind: windows of each kind, bool ``(window,)``.
        difference: in error between the two predictions, ``(window,)``; the window with the median is taken.
    """
    windows = {name: np.flatnonzero(chosen) for name, chosen in of_kind.items() if chosen.any()}
    return {name: int(at[np.argsort(difference[at], kind="stable")[len(at) // 2]]) for name, at in windows.items()}
