"""Rates of wrong dreams in a result of ``analysis.counterfactual``, over all altered actions, with intervals.

Misses are those under the recorded actions: nothing happens under the altered ones. ``discrimination`` says whether a
model that dreams of an event under the recorded actions knows that altered ones avert it: the probability dreamed under
the former minus that under the latter, branch by branch; 1 is right, a model that ignores actions has 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.results import schema
from analysis.results.stats import (
    OVER_EPISODES,
    OVER_SEEDS,
    SHARE,
    SHARES_APART,
    Bounds,
    Interval,
    both_intervals,
    cluster_interval,
    seed_interval,
    show,
)

# of confidence, where nothing else is said
# Share of still windows in which a probe that is any use may see motion; set after a first result, whose probe saw it
# in most of them, and before any other.
WORST_FLOOR = 0.5
LEAST_SEEN = 0.5  # share of moving windows in which it must see motion; set after the second result, as above
FEWEST_MOVING = 20  # such windows, of which that share is taken; set after the results of three tasks
EVENTS = ("reward", "object")  # see analysis.models.hallucination
WRONG = ("averted", "hallucination", "miss")  # kinds of wrong dreams, see analysis.models.hallucination.rates


@dataclass(frozen=True)
class Cases:
    """What can be dreamed wrong, and how much of it is.

    Attributes:
        wrong: share of wrong dreams of each case, ``(method, seed, case)``.
        episode: of each case.
        weight: of each case in the mean, which makes it that of the record where eventful and other branches mix.
        within: least and greatest value of the measure.
    """

    wrong: np.ndarray
    episode: np.ndarray
    weight: np.ndarray
    within: Bounds = SHARE

    @property
    def seeds(self) -> np.ndarray:
        """Mean over cases, ``(method, seed)``."""
        return np.average(self.wrong, axis=-1, weights=self.weight)

    def over_seeds(self, method: int) -> Interval:
        """Interval over training seeds of a method's mean."""
        return seed_interval(self.seeds[method], within=self.within)

    def over_episodes(self, method: int) -> Interval:
        """Interval over held-out episodes of a method's mean, seeds averaged."""
        return cluster_interval(self.wrong[method].mean(0), self.episode, weight=self.weight)


def known_cases(result: schema.Result, event: str, wrong: str) -> np.ndarray:
    """Where it can be dreamed wrong, bool ``(alternative, branch)``; arguments as of ``of_actions``."""
    happened = result.values(f"{event}/happened")  # (alternative, branch), NaN where the alternative does not exist
    return {
        "averted": (happened == 0) & (happened[_recorded(result)] == 1),
        "hallucination": happened == 0,
        "miss": happened == 1,
        "brier": np.isfinite(happened),
    }[wrong]


def weights(result: schema.Result, wrong: str) -> np.ndarray:
    """How much a branch counts, ``(branch,)``: as in the record where eventful and other branches mix."""
    weight = result.values("branch/weight")
    return weight if wrong in ("hallucination", "brier") else np.ones_like(weight)


def of_actions(result: schema.Result, event: str, wrong: str, which: Sequence[int] | None = None) -> Cases:
    """Wrong dreams of a kind, over some alternatives together.

    Args:
        result: of this study.
        event: one of EVENTS.
        wrong: one of WRONG, or ``brier`` for the squared error of the dreamed probability (calibration).
        which: indices of the alternatives. Default: all that alter something; for misses the recorded actions.
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


def told_apart(result: schema.Result, event: str) -> Cases:
    """``discrimination``, see the module, of each branch that has something to avert."""
    happened, probability = result.values(f"{event}/happened"), result.values(f"{event}/probability")
    recorded, which = _recorded(result), altered(result)
    chosen = (happened[recorded] == 1) & np.isfinite(happened[which]).any(0)
    under_altered = np.nanmean(probability[:, :, which][..., chosen], 2)
    episode = result.values("branch/episode")[chosen]
    gap = probability[:, :, recorded][..., chosen] - under_altered
    return Cases(gap, episode, np.ones(len(episode)), SHARES_APART)


def altered(result: schema.Result) -> np.ndarray:
    """Indices of the alternatives that alter something."""
    return np.flatnonzero(result.axes["alternative"] != "recorded")


def _recorded(result: schema.Result) -> int:
    return int(np.flatnonzero(result.axes["alternative"] == "recorded")[0])


def intervals(result: schema.Result) -> dict[str, Any]:
    """Rates over all altered actions, per method: over training seeds and over held-out episodes; and paired to the
    first method.
    """
    names = [str(method) for method in result.axes["method"]]
    table: dict[str, Any] = {
        "interval": OVER_SEEDS,
        "interval_over_episodes": OVER_EPISODES,
        "reference": names[0],
    }
    for event in EVENTS:
        found = {f"{event}/{wrong}_rate": of_actions(result, event, wrong) for wrong in WRONG}
        found |= {f"{event}/brier": of_actions(result, event, "brier")}
        found |= {f"{event}/discrimination": told_apart(result, event)}
        for key, cases in found.items():
            wrong, episode, weight = cases.wrong, cases.episode, cases.weight
            row: dict[str, Any] = {"cases": int(wrong.shape[-1]), "episodes": len(np.unique(episode))}
            if not wrong.size:
                continue
            span = cases.within[1] - cases.within[0]
            for i, method in enumerate(names):
                row[method] = both_intervals(wrong[i], episode, "", cases.within, weight)
                row[method] |= both_intervals(wrong[i] - wrong[0], episode, "paired_", (-span, span), weight)
            table[key] = row
    return table


MEASURES = {
    "averted_rate": "dreamed although averted",
    "hallucination_rate": "dreamed, does not come",
    "miss_rate": "comes, not dreamed",
    "brier": "Brier score",
    "discrimination": "told apart by the actions",
}


def in_words(name: str) -> str:
    """A measure of ``intervals`` in plain words: ``reward/miss_rate`` is ``reward: comes, not dreamed``."""
    event, _, measure = name.partition("/")
    return f"{'motion' if event == 'object' else event}: {MEASURES.get(measure, measure)}"


def lines(result: schema.Result) -> list[str]:
    """The rates as a table."""
    text = ["wrong dreams over all altered actions (misses: under the recorded ones), per method; [95 % over seeds]"]
    level = result.notes["protocol"]["thresholds"]["reward"]
    text.append(f"  reward rises: above {level:.2g}; averted: the event happens as recorded, not as altered")
    for name, row in result.notes["final"].items():
        if isinstance(row, dict):
            cells = [f"{m} {show(spans['over_seeds'])}" for m, spans in row.items() if isinstance(spans, dict)]
            text.append(f"  {in_words(name):<40} ({row['cases']} cases): " + "; ".join(cells))
    names = list(map(str, result.axes["method"]))
    for key, words in (("floor", "where there is none"), ("seen", "where there is some")):
        cells = [f"{m} {x:.2g}" for m, x in zip(names, result.values(f"object/{key}").mean(1), strict=True)]
        text.append(f"  object motion that the probe reads off seen frames {words}: " + "; ".join(cells))
    return text


def probe_cannot_tell(result: schema.Result) -> str:
    """What is wrong with the probe of a study of branches, on frames that were seen; empty if it is of use."""
    moving = result.notes["final"].get("object/miss_rate", {}).get("cases", 0)
    if moving < FEWEST_MOVING:
        return f"not judged: the object moves in {moving} recorded branches, too few to say whether the probe sees it"
    floor, seen = np.nanmax(result.values("object/floor")), np.nanmin(result.values("object/seen"))
    if floor > WORST_FLOOR:
        return f"not judged: the probe sees motion in {floor:.0%} of the seen windows that have none"
    if seen < LEAST_SEEN:
        return f"not judged: the probe sees motion in {seen:.0%} of the seen windows that have some"
    return ""
