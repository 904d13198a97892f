"""Reads scores of single runs on Atari 100K, seed by seed, and computes what several seeds say of two methods.

The aggregates are those of Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical
precipice": mean, median of the games' means, interquartile mean and optimality gap over all runs of all games, and the
probability of improvement. Intervals come from a stratified bootstrap: the seeds of each game are drawn with
replacement. Unlike intervals over games, they answer "would other seeds say the same?".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy  # which imports scipy.stats when it is first used

from analysis.results.stats import BOOTSTRAP_SEED, RESAMPLES, Interval, welch_interval
from hdream_core.support.errors import UserError

FILES = {"dreamerv3": "dreamerv3.json", "harmony_dreamerv3": "harmony.json"}  # by method; the base comes first
SHA256 = {
    "dreamerv3.json": "45c1f9502684d1c875d73e5c074101703a82bd79b9fe29483d7e1977ea439b24",
    "harmony.json": "413c631ea2d7ed03d27fea9939af352c37aa34400655e49bb0f2f84def0250ac",
}
PUBLISHED = "github.com/thuml/HarmonyDream, dreamerv3-jax/scores, as of commit 0a22e33"
GAMES, SEEDS, EVALUATIONS = 26, 5, 20
AT_ONCE = 500  # resamples that are held in memory


class ScoresError(UserError, ValueError):
    """Reports a file that does not hold the published scores; the message says where, and what would be right."""


@dataclass(frozen=True)
class Runs:
    """Holds the scores of runs.

    Attributes:
        steps: ``(EVALUATIONS,)``, emulator frames at each evaluation.
        games: names, in the order of the arrays.
        scores: ``(method, game, seed, step)``, each the mean of 100 episodes; methods as in ``FILES``.
    """

    steps: np.ndarray
    games: list[str]
    scores: np.ndarray


def read_runs(folder: Path) -> Runs:
    """Reads the authors' two files of scores.

    Raises:
        ScoresError: naming file, game and seed, and what was expected there.
    """
    found = {method: _read(folder / name) for method, name in FILES.items()}
    base, other = found.values()
    if base["steps"] != other["steps"]:
        raise ScoresError(f"{folder}: {' and '.join(FILES.values())} have evaluations at other steps")
    games = sorted(base["score"])
    if games != sorted(other["score"]):
        raise ScoresError(f"{folder}: {' and '.join(FILES.values())} have other games")
    scores = np.array([[file["score"][game] for game in games] for file in found.values()], np.float64)
    return Runs(np.array(base["steps"], np.int64), games, scores)


def _read(path: Path) -> dict:
    try:
        data = path.read_bytes()
    except OSError:
        raise ScoresError(f"{path}: cannot be read; the authors publish it ({PUBLISHED})") from None
    try:
        held = json.loads(data)
        steps, scores = held["steps"], dict(held["score"])
    except (KeyError, TypeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ScoresError(f"{path}: not a file of scores, with steps and score ({error!r:.120})") from None
    if len(scores) != GAMES:
        raise ScoresError(f"{path}: has {len(scores)} games; expected {GAMES}")
    for game, rows in scores.items():
        _check_game(f"{path}: {game}", rows)
    if not isinstance(steps, list) or len(steps) != EVALUATIONS or np.diff(np.array(steps, np.float64)).min() <= 0:
        raise ScoresError(f"{path}: steps are not {EVALUATIONS} rising numbers")
    if (digest := hashlib.sha256(data).hexdigest()) != SHA256[path.name]:
        raise ScoresError(
            f"{path}: is not the published file (sha256 {digest[:12]}, expected {SHA256[path.name][:12]})"
        )
    return {"steps": steps, "score": scores}


def _check_game(where: str, rows: object) -> None:
    """Raises ScoresError, naming ``where``, unless a game has a finite score for every seed and evaluation."""
    try:
        values = np.array(rows, np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != (SEEDS, EVALUATIONS) or not np.isfinite(values).all():
        raise ScoresError(f"{where}: is not {SEEDS} lists of {EVALUATIONS} numbers, a list for each seed")


def title(game: str) -> str:
    """Returns a game's name as Table 2 prints it: ``Kung Fu Master``, ``Chopper Com.``"""
    return {"chopper_command": "Chopper Com."}.get(game) or game.replace("_", " ").title()


def optimality_gap(normalised: np.ndarray) -> np.ndarray:
    """Returns by how much runs fall short of a human on average, ``(...)`` from ``(..., game, seed)``."""
    return np.maximum(1 - normalised, 0).mean((-2, -1))


def _iqm(normalised: np.ndarray) -> np.ndarray:
    return scipy.stats.trim_mean(normalised.reshape(*normalised.shape[:-2], -1), 0.25, axis=-1)


# Aggregates of human-normalised scores ``(..., game, seed)``; all but the optimality gap are better when higher.
AGGREGATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda values: values.mean((-2, -1)),
    "median": lambda values: np.median(values.mean(-1), -1),
    "iqm": _iqm,
    "optimality_gap": optimality_gap,
}


def probability_of_improvement(values: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Returns the probability that a run of a random game beats one of the base, ``(...)`` from ``(..., game, seed)``.

    A tie counts half.
    """
    ours, theirs = values[..., :, None], base[..., None, :]
    return ((ours > theirs) + 0.5 * (ours == theirs)).mean((-3, -2, -1))


def resampled(values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns a statistic of runs whose seeds are drawn with replacement, for each method and game apart.

    Args:
        values: ``(method, game, seed)``.
        statistic: of ``(resample, method, game, seed)``, which returns ``(resample, ...)``.

    Returns:
        ``(RESAMPLES, ...)``.
    """
    rng, parts = np.random.default_rng(BOOTSTRAP_SEED), []
    for _ in range(0, RESAMPLES, AT_ONCE):
        drawn = rng.integers(values.shape[-1], size=(AT_ONCE, *values.shape))
        parts.append(statistic(np.take_along_axis(values[None], drawn, -1)))
    return np.concatenate(parts)


def interval(mean: float, samples: np.ndarray) -> Interval:
    """Returns a value with the 95 % percentile interval of its resamples."""
    return Interval(float(mean), *map(float, np.quantile(samples, [0.025, 0.975])))


def aggregates(normalised: np.ndarray) -> dict[str, dict[str, Interval]]:
    """Returns each aggregate of base and Harmony, and the difference, with intervals over seeds.

    Args:
        normalised: ``(method, game, seed)``.
    """
    found = {}
    for name, statistic in AGGREGATES.items():
        values, samples = statistic(normalised), resampled(normalised, statistic)  # (method,), (resample, method)
        found[name] = {method: interval(values[i], samples[:, i]) for i, method in enumerate(FILES)}
        found[name]["difference"] = interval(values[1] - values[0], samples[:, 1] - samples[:, 0])
    return found


def improvement(normalised: np.ndarray) -> Interval:
    """Returns the probability of improvement of Harmony over the base, with its interval over seeds."""

    def statistic(values: np.ndarray) -> np.ndarray:
        return probability_of_improvement(values[..., 1, :, :], values[..., 0, :, :])

    return interval(float(statistic(normalised)), resampled(normalised, statistic))


def games_matched(scores: np.ndarray, tolerance: float = 0.0) -> Interval:
    """Returns in how many games Harmony's mean is below the base's by at most a share of it, with its interval.

    Args:
        scores: ``(method, game, seed)``, not normalised.
        tolerance: the share.
    """

    def count(values: np.ndarray) -> np.ndarray:
        base, ours = np.moveaxis(values.mean(-1), -2, 0)
        return (ours >= base - tolerance * np.abs(base)).sum(-1)

    return interval(float(count(scores)), resampled(scores, count))


def game_differences(scores: np.ndarray) -> list[Interval]:
    """Returns Harmony's mean minus the base's in each game, with Welch's interval over seeds."""
    return [welch_interval(ours, base) for base, ours in zip(*scores, strict=True)]


@dataclass(frozen=True)
class Influence:
    """Holds how much the difference in the mean hangs on one game, or on one run.

    Attributes:
        what: the game, or game and seed.
        share: of the difference that goes with it.
        left: difference in the mean over the other games, or runs.
    """

    what: str
    share: float
    left: float


def influences(normalised: np.ndarray, games: list[str]) -> tuple[Influence, Influence]:
    """Returns the game, and the run, whose removal changes the difference of the means most.

    A run that is left out is left out of its game's mean.
    """
    base, ours = normalised.mean(-1)  # (game,)
    whole = (ours - base).mean()
    by_game = [(games[g], np.delete(ours - base, g).mean()) for g in range(len(games))]
    by_run = []
    for method, game, seed in np.ndindex(normalised.shape):
        left = np.delete(normalised[method, game], seed).mean() - normalised[method, game].mean()
        name = f"{games[game]}, {list(FILES)[method]}, seed {seed}"
        by_run.append((name, whole + (left if method else -left) / len(games)))
    strongest = [max(found, key=lambda one: abs(whole - one[1])) for found in (by_game, by_run)]
    return tuple(Influence(name, (whole - left) / whole, left) for name, left in strongest)  # type: ignore[return-value]


def seeds_needed(difference: Interval, seeds: int) -> float:
    """Returns how many seeds would show a difference this large, if intervals narrow with the root of their number."""
    half = (difference.high - difference.low) / 2
    return seeds * (half / abs(difference.mean)) ** 2 if difference.mean else float("inf")
