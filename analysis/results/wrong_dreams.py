"""Computes how often predictions are wrong in a result of ``analysis.counterfactual``, with intervals.

Rates are over all altered actions. Misses are counted under the recorded actions, since nothing happens under the
altered ones. ``discrimination`` says whether a model knows that altered actions avert an event: it is the predicted
probability under the recorded actions minus that under the altered ones, for each branch. A perfect model has 1, and a
model that ignores actions has 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.results import comparisons, schema
from analysis.results.stats import (
    OVER_EPISODES,
    OVER_SEEDS,
    SHARE,
    SHARES_APART,
    Bounds,
    Interval,
    cluster_interval,
    seed_interval,
    show,
)

# A usable probe sees motion in at most this share of windows without motion. Set after the first result, whose probe
# saw motion in most of them, and before any other result.
WORST_FLOOR = 0.5
LEAST_SEEN = 0.5  # and in at least this share of windows with motion; set after the second result
FEWEST_MOVING = 20  # windows with motion that this share needs; set after the results of three tasks
EVENTS = ("reward", "object")  # see analysis.models.hallucination
WRONG = ("averted", "hallucination", "miss")  # kinds of errors, see analysis.models.hallucination.rates


@dataclass(frozen=True)
class Cases:
    """Holds the cases that can be predicted wrong, and how wrong each prediction is.

    Attributes:
        wrong: share of wrong predictions, ``(method, seed, case)``.
        episode: of each case.
        weight: of each case in the mean; it makes up for drawing eventful branches more often than they occur.
        within: least and greatest possible value.
    """

    wrong: np.ndarray
    episode: np.ndarray
    weight: np.ndarray
    within: Bounds = SHARE

    @property
    def seeds(self) -> np.ndarray:
        """Returns the mean over cases, ``(method, seed)``."""
        return np.average(self.wrong, axis=-1, weights=self.weight)

    def over_seeds(self, method: int) -> Interval:
        """Returns the interval over training seeds of a method's mean."""
        return seed_interval(self.seeds[method], within=self.within)

    def over_episodes(self, method: int) -> Interval:
        """Returns the interval over held-out episodes of a method's mean, seeds averaged."""
        return cluster_interval(self.wrong[method].mean(0), self.episode, weight=self.weight)


def known_cases(result: schema.Result, event: str, wrong: str) -> np.ndarray:
    """Returns where a prediction can be wrong, bool ``(alternative, branch)``; arguments as for ``of_actions``."""
    happened = result.values(f"{event}/happened")  # (alternative, branch), NaN without such an alternative
    return {
        "averted": (happened == 0) & (happened[_recorded(result)] == 1),
        "hallucination": happened == 0,
        "miss": happened == 1,
        "brier": np.isfinite(happened),
    }[wrong]


def weights(result: schema.Result, wrong: str) -> np.ndarray:
    """Returns the weight of each branch, ``(branch,)``; 1 where all cases are of one kind."""
    weight = result.values("branch/weight")
    return weight if wrong in ("hallucination", "brier") else np.ones_like(weight)


def of_actions(result: schema.Result, event: str, wrong: str, which: Sequence[int] | None = None) -> Cases:
    """Returns the cases of one kind of error, over some alternatives together.

    Args:
        result: of this study.
        event: one of EVENTS.
        wrong: one of WRONG, or ``brier`` for the squared error of the predicted probability (calibration).
        which: indices of the alternatives. Default: all altered ones; for misses the recorded actions.
    """
    if which is None:
        which = [_recorded(result)] if wrong == "miss" else altered(result)
    cases = known_cases(result, event, wrong)[which]
    probability = result.values(f"{event}/probability")[:, :, which][:, :, cases]
    episode, weight = (
        np.broadcast_to(values, cases.shape)[cases]
        for values in (result.values("branch/episode"), weights(result, wrong))
    )
    if wrong == "miss":
        probability = 1 - probability
    if wrong == "brier":
        probability = np.square(probability - result.values(f"{event}/happened")[which][cases])
    return Cases(probability, episode, weight)


def discrimination(result: schema.Result, event: str) -> Cases:
    """Returns the discrimination (see the module) of each branch whose event the altered actions avert."""
    happened, probability = result.values(f"{event}/happened"), result.values(f"{event}/probability")
    recorded, which = _recorded(result), altered(result)
    chosen = (happened[recorded] == 1) & np.isfinite(happened[which]).any(0)
    under_altered = np.nanmean(probability[:, :, which][..., chosen], 2)
    episode = result.values("branch/episode")[chosen]
    gap = probability[:, :, recorded][..., chosen] - under_altered
    return Cases(gap, episode, np.ones(len(episode)), SHARES_APART)


def altered(result: schema.Result) -> np.ndarray:
    """Returns the indices of the alternatives that alter something."""
    return np.flatnonzero(result.axes["alternative"] != "recorded")


def _recorded(result: schema.Result) -> int:
    return int(np.flatnonzero(result.axes["alternative"] == "recorded")[0])


def intervals(result: schema.Result) -> dict[str, Any]:
    """Returns the rates of each method over all altered actions, with intervals over seeds and over episodes.

    The differences to the first method are beside them.
    """
    table: dict[str, Any] = {
        "interval": OVER_SEEDS,
        "interval_over_episodes": OVER_EPISODES,
        "reference": result.methods[0],
    }
    for event in EVENTS:
        measured = {f"{event}/{wrong}_rate": of_actions(result, event, wrong) for wrong in WRONG}
        measured[f"{event}/brier"] = of_actions(result, event, "brier")
        measured[f"{event}/discrimination"] = discrimination(result, event)
        for key, cases in measured.items():
            if cases.wrong.size:
                sizes = {"cases": int(cases.wrong.shape[-1]), "episodes": len(np.unique(cases.episode))}
                arguments = cases.wrong, cases.episode, cases.within, cases.weight
                table[key] = sizes | comparisons.beside_first(result, *arguments)
    return table


MEASURES = {
    "averted_rate": "predicted although averted",
    "hallucination_rate": "predicted, does not happen",
    "miss_rate": "happens, not predicted",
    "brier": "Brier score",
    "discrimination": "recorded minus altered actions",
}


def in_words(name: str) -> str:
    """Returns a measure of ``intervals`` in words: ``reward/miss_rate`` is ``reward: happens, not predicted``."""
    event, _, measure = name.partition("/")
    return f"{'motion' if event == 'object' else event}: {MEASURES.get(measure, measure)}"


def lines(result: schema.Result) -> list[str]:
    """Formats the rates as a table."""
    text = ["wrong predictions under all altered actions (misses: under the recorded ones); [95 % over seeds]"]
    level = result.notes["protocol"]["thresholds"]["reward"]
    text.append(f"  reward rises: above {level:.2g}; averted: the event happens as recorded, not as altered")
    for name, row in result.notes["final"].items():
        if isinstance(row, dict):
            cells = [f"{m} {show(value['over_seeds'])}" for m, value in row.items() if isinstance(value, dict)]
            text.append(f"  {in_words(name):<40} ({row['cases']} cases): " + "; ".join(cells))
    for key, words in (("floor", "without motion"), ("seen", "with motion")):
        shares = zip(result.methods, result.values(f"object/{key}").mean(1), strict=True)
        cells = "; ".join(f"{method} {share:.2g}" for method, share in shares)
        text.append(f"  share of seen windows {words} in which the probe sees motion: {cells}")
    return text


def probe_cannot_tell(result: schema.Result) -> str:
    """Returns why a study's probe of motion cannot be used, judged on seen frames; empty if it can."""
    moving = result.notes["final"].get("object/miss_rate", {}).get("cases", 0)
    if moving < FEWEST_MOVING:
        return f"not judged: the object moves in {moving} recorded branches, too few to say whether the probe sees it"
    floor, seen = np.nanmax(result.values("object/floor")), np.nanmin(result.values("object/seen"))
    if floor > WORST_FLOOR:
        return f"not judged: the probe sees motion in {floor:.0%} of the seen windows that have none"
    if seen < LEAST_SEEN:
        return f"not judged: the probe sees motion in {seen:.0%} of the seen windows that have some"
    return ""
