"""Kinds of dreams in a result of ``analysis.finding2``, how often each occurs, and which window stands for it.

A dreamed reward is correct within a stated tolerance. A dream is right if enough of its rewards are; it makes rewards
up if more of them than a right one may have wrong lie above the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.results import schema
from analysis.results.stats import OVER_EPISODES, OVER_SEEDS, SHARE, SHARES_APART, both_intervals

CASES = ("only second right", "only first right", "both wrong", "both right")  # of the two methods, in their order
MADE_UP = ("made up by first", "made up by second")  # rewards that do not come, by each of the two methods
SPLITS = ("all", "moving", "still", "still and low")  # windows by what the true reward does
# What is drawn, with the split it is from. Fig. 3 is the first: no reward in truth, only the first model dreams of one.
SHOWN = {
    "made up by first, second right": "still and low",
    "made up by second, first right": "still and low",
    "only second right": "moving",
    "only first right": "moving",
}
FALLBACK = {"both wrong": "all", "both right": "all"}  # where none of these occurs


def right(result: schema.Result) -> np.ndarray:
    """Which dreams are right, bool ``(method, seed, window)``."""
    protocol = result.notes["protocol"]
    correct = np.abs(result.values("dreamed_reward") - result.values("true_reward")) <= protocol["tolerance"]
    return correct.mean(-1) >= protocol["share"]


def made_up(result: schema.Result) -> np.ndarray:
    """Which dreams make rewards up, bool ``(method, seed, window)``."""
    protocol = result.notes["protocol"]
    above = result.values("dreamed_reward") - result.values("true_reward") > protocol["tolerance"]
    return above.mean(-1) > 1 - protocol["share"]


def moving(result: schema.Result) -> np.ndarray:
    """Windows whose true reward moves by over the tolerance, bool ``(window,)``."""
    return np.ptp(result.values("true_reward"), axis=-1) > result.notes["protocol"]["tolerance"]


def splits(result: schema.Result) -> dict[str, np.ndarray]:
    """Windows by what the true reward does, bool ``(window,)`` each.

    A reward that stands still may be that of a task half done. It is low if it stays at or beneath the level of
    ``models.hallucination``: then nothing happens. Dreams have no say: the more models, the more windows have a
    dream that moves by chance.
    """
    moves, low = moving(result), result.values("true_reward").max(-1) <= result.notes["protocol"]["level"]
    return dict(zip(SPLITS, (np.ones_like(moves), moves, ~moves, ~moves & low), strict=True))


def case_of(found: np.ndarray) -> np.ndarray:
    """Index into CASES from ``right`` of the two methods, ``(2, ...)`` to ``(...)``."""
    first, second = found
    return np.select([second & ~first, first & ~second, ~first & ~second], [0, 1, 2], 3)


def kinds(result: schema.Result) -> dict[str, np.ndarray]:
    """Which windows are of which kind, bool ``(seed, window)`` each: CASES, MADE_UP, and what is SHOWN."""
    good, invented = right(result), made_up(result)
    case = case_of(good)
    found = {name: case == i for i, name in enumerate(CASES)} | dict(zip(MADE_UP, invented, strict=True))
    for name, inventor in zip(list(SHOWN)[:2], (0, 1), strict=True):
        found[name] = invented[inventor] & good[1 - inventor]
    return found


def frequencies(result: schema.Result) -> dict[str, Any]:
    """How often each kind occurs in each split, with intervals over seeds and episodes."""
    found, episode = kinds(result), result.values("window/episode")
    table: dict[str, Any] = {
        "interval": OVER_SEEDS,
        "interval_over_episodes": OVER_EPISODES,
    }
    for split, some in splits(result).items():
        row: dict[str, Any] = {"windows": int(some.sum())}
        if some.any():
            hits = {name: hit[:, some].astype(float) for name, hit in found.items()}  # (seed, window) each
            row |= {name: both_intervals(hit, episode[some], within=SHARE) for name, hit in hits.items()}
            for name, more, less in (("difference", *CASES[:2]), ("difference in made up", *MADE_UP)):
                row[name] = both_intervals(hits[more] - hits[less], episode[some], within=SHARES_APART)
        table[split] = row
    return table


def choose(result: schema.Result) -> dict[str, int]:
    """The window to show of each of SHOWN (or FALLBACK) that occurs with the first seed's models."""
    found, within = kinds(result), splits(result)
    error = np.square(result.values("dreamed_reward")[:, 0] - result.values("true_reward")).mean(-1)
    difference = error[0] - error[1]
    shown, fallback = ({name: found[name][0] & within[split] for name, split in of.items()} for of in (SHOWN, FALLBACK))
    return typical(shown, difference) or typical(fallback, difference)


def typical(of_kind: Mapping[str, np.ndarray], difference: np.ndarray) -> dict[str, int]:
    """The window that stands for each kind that occurs: typical of it, not its most striking.

    Args:
        of_kind: by kind, which windows are of it, bool ``(window,)``.
        difference: in error between the two dreams, ``(window,)``; the median decides.
    """
    some = {name: np.flatnonzero(of) for name, of in of_kind.items() if of.any()}
    return {name: int(at[np.argsort(difference[at], kind="stable")[len(at) // 2]]) for name, at in some.items()}
