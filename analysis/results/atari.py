"""Reads Table 2 of the paper (Atari 100K), and computes statistics of its human-normalised scores.

The table has one mean for each game and method, rounded to an integer. So intervals are over games: they answer "would
other games like these say the same?", not "would other seeds?".
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy  # which imports scipy.stats when it is first used

from analysis.results.stats import BOOTSTRAP_SEED, RESAMPLES, Interval
from hdream_core.support.errors import UserError

COLUMNS = {
    "random": "Random",
    "human": "Human",
    "simple": "SimPLe (2020)",
    "twm": "TWM (2023)",
    "iris": "IRIS (2023)",
    "dreamerv3_original": "DreamerV3 (Original)",
    "dreamerv3_reproduced": "DreamerV3 (Reproduced)",
    "harmony_dreamerv3": "Harmony DreamerV3",
}  # names in the file, and in the paper
METHODS = tuple(COLUMNS)[2:]
OURS, BASE, ORIGINAL = "harmony_dreamerv3", "dreamerv3_reproduced", "dreamerv3_original"  # the paper's "ours"
PRINTED = {"mean": "Human Mean", "median": "Human Median"}  # the table's last rows
GAMES = 26
CLIMBER = "Crazy Climber"  # the game that App. E.1 names
TOLERANCE = 0.05  # of the caption: "within 5% of the best"
STATISTICS = {
    "mean": lambda values: values.mean(-1),
    "median": lambda values: np.median(values, -1),
    "iqm": lambda values: scipy.stats.trim_mean(values, 0.25, axis=-1),  # of 26 games, the middle 14
}


class TableError(UserError, ValueError):
    """The table's file is damaged; the message says where, and what would be right."""


@dataclass(frozen=True)
class Table:
    """Holds Table 2.

    Attributes:
        scores: ``(game, column)``, as printed, columns as in ``COLUMNS``.
        printed: ``(mean or median, column)``, text such as ``136.5%``.
    """

    scores: pd.DataFrame
    printed: pd.DataFrame

    @property
    def normalised(self) -> pd.DataFrame:
        """Returns ``(game, column)`` human-normalised scores: 0 is random play, 1 a human's."""
        random = self.scores["random"]
        return self.scores.sub(random, axis=0).div(self.scores["human"] - random, axis=0)

    def statistic(self, name: str, column: str) -> float:
        """Returns mean, median or IQM over games of a column's human-normalised scores."""
        return float(STATISTICS[name](self.normalised[column].to_numpy()))


def read_table(path: Path) -> Table:
    """Reads a table laid out like the shipped one: a header, a row for each game, and the two printed aggregates.

    Raises:
        TableError: naming file, row and column.
    """
    frame = _read_rows(path)
    games = frame.drop(list(PRINTED.values()))
    if len(games) != GAMES:
        raise TableError(f"{path}: {len(games)} rows of games; expected {GAMES}")
    scores = _numbers(path, games)
    for game in scores.index[scores["human"] - scores["random"] <= 1]:  # a smaller difference could be due to rounding
        raise TableError(f"{path}: row {game!r}: human is not more than 1 above random, which normalising needs")
    aggregates = frame.loc[list(PRINTED.values())]
    for name, column in itertools.product(aggregates.index, COLUMNS):
        if not (text := aggregates.at[name, column]).endswith("%"):
            raise TableError(f"{path}: row {name!r}, column {column} is {text!r}; expected a percentage")
    _numbers(path, aggregates.map(lambda text: text.removesuffix("%")))
    return Table(scores, aggregates.set_axis(list(PRINTED)))


def _read_rows(path: Path) -> pd.DataFrame:
    """Reads the cells as texts, a row for each game or aggregate."""
    expected = ["game", *COLUMNS]
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError:
        raise TableError(f"{path}: no such table") from None
    except ValueError as error:  # includes pandas' parser errors and wrong encodings
        raise TableError(f"{path}: not a CSV table with a header and {len(expected)} columns ({error})") from None
    if list(frame.columns) != expected or not isinstance(frame.index, pd.RangeIndex):
        raise TableError(f"{path}: the header is {','.join(frame.columns)}; expected {','.join(expected)} and no more")
    frame = frame.fillna("").set_index("game")  # a row that ends early has no text there
    for row in frame.index[frame.index.duplicated()]:
        raise TableError(f"{path}: row {row!r} stands twice; expected one row a game")
    for row in {CLIMBER, *PRINTED.values()} - set(frame.index):
        raise TableError(f"{path}: row {row!r} is missing; expected the {GAMES} games, then the aggregates")
    return frame


def _numbers(path: Path, texts: pd.DataFrame) -> pd.DataFrame:
    """Returns texts as finite numbers."""
    numbers = texts.apply(pd.to_numeric, errors="coerce").astype(float)
    for row, column in np.argwhere(~np.isfinite(numbers.to_numpy())):
        name, text = texts.index[row], texts.iat[row, column]
        raise TableError(f"{path}: row {name!r}, column {texts.columns[column]} is {text!r}; expected a number")
    return numbers


def percent(text: str) -> tuple[float, float]:
    """Returns a printed percentage such as ``136.5%`` as a fraction, and half a unit of its last digit."""
    digits = text.rstrip("%")
    return float(digits) / 100, 0.5 * 10.0 ** -len(digits.partition(".")[2]) / 100


def resampled(normalised: np.ndarray) -> dict[str, np.ndarray]:
    """Returns statistics of games drawn with replacement. All methods share the draws, so that differences are paired.

    Args:
        normalised: ``(method, game)``.

    Returns:
        By statistic, ``(method, RESAMPLES)``.
    """
    games = normalised.shape[1]
    drawn = np.random.default_rng(BOOTSTRAP_SEED).integers(0, games, (RESAMPLES, games))
    return {name: statistic(normalised[:, drawn]) for name, statistic in STATISTICS.items()}


def gains(table: Table, method: str, reference: str) -> dict[str, Interval]:
    """Returns by how much ``method`` exceeds ``reference`` in each statistic, with the bootstrap's 95 % interval."""
    values = table.normalised[[method, reference]].to_numpy().T
    found = {}
    for name, samples in resampled(values).items():
        low, high = np.quantile(samples[0] - samples[1], [0.025, 0.975])
        first, second = STATISTICS[name](values)
        found[name] = Interval(float(first - second), float(low), float(high))
    return found


def rounding_range(table: Table, statistic: str, column: str) -> tuple[float, float]:
    """Returns the least and greatest statistic of scores that round to the printed integers.

    A normalised score is monotone in the score, the random and the human one, so its extremes lie at corners. The
    statistics are monotone in every game.
    """
    corners = [
        (table.scores[column] + a - (table.scores["random"] + b))
        / ((table.scores["human"] + c) - (table.scores["random"] + b))
        for a, b, c in itertools.product((-0.5, 0.5), repeat=3)
    ]
    aggregate = STATISTICS[statistic]
    return float(aggregate(np.min(corners, axis=0))), float(aggregate(np.max(corners, axis=0)))


def matched(table: Table, reference: pd.Series, tolerance: float = 0.0) -> int:
    """Counts the games in which Harmony DreamerV3 is below ``reference`` by at most this share of it."""
    return int((table.scores[OURS] >= reference - tolerance * reference.abs()).sum())


def tolerances_for(table: Table, reference: pd.Series, count: int) -> tuple[float, float]:
    """Returns the least tolerance with which ``matched`` gives ``count`` games, and the least that gives more."""
    shortfall = ((reference - table.scores[OURS]) / reference.abs()).where(reference != table.scores[OURS], 0.0)
    steps = [*np.sort(shortfall.clip(lower=0).to_numpy()), np.inf]
    return float(steps[count - 1]), float(steps[count])
