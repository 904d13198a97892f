"""Rates of wrong dreams in a result of ``analysis.counterfactual``, over all altered actions, with intervals.

Misses are those under the recorded actions: nothing happens under the altered ones. ``discrimination`` says whether a
model that dreams of an event under the recorded actions knows that altered ones avert it: the probability dreamed under
the former minus that under the latter, branch by branch; 1 is right, a model that ignores actions has 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis import results
from analysis.hallucination import EVENTS
from analysis.stats import OVER_EPISODES, OVER_SEEDS, SHARE, SHARES_APART, both_intervals, show

WRONG = ("averted", "hallucination", "miss")  # kinds of wrong dreams, see analysis.hallucination.rates


def altered(result: results.Result) -> np.ndarray:
    """Indices of the alternatives that alter something."""
    return np.flatnonzero(result.axes["alternative"] != "recorded")


def pooled(result: results.Result, event: str, wrong: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wrong dreams over all altered alternatives together.

    Args:
        result: of this study.
        event: ``reward`` or ``object``.
        wrong: one of WRONG, or ``brier`` for the squared error of the dreamed probability (calibration).

    Returns:
        Share of wrong dreams per case, ``(method, seed, cases)``, the episode of each case, and its weight in the mean,
        which makes it that of the record where eventful and other branches mix.
    """
    happened = result.values(f"{event}/happened")  # (alternatives, B)
    recorded = _recorded(result)
    which = np.array([recorded]) if wrong == "miss" else altered(result)
    cases = {
        "averted": (happened == 0) & (happened[recorded] == 1),
        "hallucination": happened == 0,
        "miss": happened == 1,
        "brier": np.isfinite(happened),
    }[wrong][which]
    happened = happened[which]
    probability = result.values(f"{event}/probability")[:, :, which][:, :, cases]
    episode, weight = (
        np.broadcast_to(result.values(f"branch/{name}"), happened.shape)[cases] for name in ("episode", "weight")
    )
    match wrong:
        case "averted":
            return probability, episode, np.ones(len(episode))
        case "miss":
            return 1 - probability, episode, np.ones(len(episode))
        case "brier":
            probability = np.square(probability - happened[cases])
    return probability, episode, weight


def discrimination(result: results.Result, event: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """See the module; ``(method, seed, branches)`` of those with something to avert, the episode of each, weight 1."""
    happened, probability = result.values(f"{event}/happened"), result.values(f"{event}/probability")
    recorded, which = _recorded(result), altered(result)
    chosen = (happened[recorded] == 1) & np.isfinite(happened[which]).any(0)
    under_altered = np.nanmean(probability[:, :, which][..., chosen], 2)
    episode = result.values("branch/episode")[chosen]
    return probability[:, :, recorded][..., chosen] - under_altered, episode, np.ones(len(episode))


def _recorded(result: results.Result) -> int:
    return int(np.flatnonzero(result.axes["alternative"] == "recorded")[0])


def intervals(result: results.Result) -> dict[str, Any]:
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
        found = {f"{event}/{wrong}_rate": pooled(result, event, wrong) for wrong in WRONG}
        found |= {f"{event}/brier": pooled(result, event, "brier")}
        found |= {f"{event}/discrimination": discrimination(result, event)}
        for key, (values, episode, weight) in found.items():
            row: dict[str, Any] = {"cases": int(values.shape[-1]), "episodes": len(np.unique(episode))}
            if not values.size:
                continue
            # A discrimination is the difference of two probabilities, all else is between 0 and 1.
            within, apart = (SHARES_APART, (-2.0, 2.0)) if "discrimination" in key else (SHARE, SHARES_APART)
            for i, method in enumerate(names):
                row[method] = both_intervals(values[i], episode, "", within, weight)
                row[method] |= both_intervals(values[i] - values[0], episode, "paired_", apart, weight)
            table[key] = row
    return table


def lines(result: results.Result) -> list[str]:
    """The rates as a table."""
    text = ["wrong dreams over all altered actions (misses: under the recorded ones), per method; [95 % over seeds]"]
    level = result.notes["protocol"]["thresholds"]["reward"]
    text.append(f"  reward rises: above {level:.2g}; averted: the event happens as recorded, not as altered")
    for name, row in result.notes["final"].items():
        if isinstance(row, dict):
            cells = [f"{m} {show(spans['over_seeds'])}" for m, spans in row.items() if isinstance(spans, dict)]
            text.append(f"  {name:<26} ({row['cases']} cases): " + "; ".join(cells))
    names = list(map(str, result.axes["method"]))
    for key, words in (("floor", "where there is none"), ("seen", "where there is some")):
        cells = [f"{m} {x:.2g}" for m, x in zip(names, result.values(f"object/{key}").mean(1), strict=True)]
        text.append(f"  object motion that the probe reads off seen frames {words}: " + "; ".join(cells))
    return text
