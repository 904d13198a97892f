"""Rates of wrong dreams in a result of ``analysis.counterfactual``, over all altered actions, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis import results
from analysis.hallucination import EVENTS
from analysis.stats import OVER_EPISODES, OVER_SEEDS, both_intervals, show

WRONG = ("averted", "hallucination", "miss")  # kinds of wrong dreams, see analysis.hallucination.rates


def altered(result: results.Result) -> np.ndarray:
    """Indices of the alternatives that alter something."""
    return np.flatnonzero(result.axes["alternative"] != "recorded")


def pooled(result: results.Result, event: str, wrong: str) -> tuple[np.ndarray, np.ndarray]:
    """Wrong dreams over all altered alternatives together.

    Args:
        result: of this study.
        event: ``reward`` or ``object``.
        wrong: one of WRONG, or ``brier`` for the squared error of the dreamed probability (calibration).

    Returns:
        Share of wrong dreams per case, ``(method, seed, cases)``, and the episode of each case.
    """
    which = altered(result)
    happened = result.values(f"{event}/happened")  # (alternatives, B)
    recorded = np.flatnonzero(result.axes["alternative"] == "recorded")[0]
    cases = {
        "averted": (happened == 0) & (happened[recorded] == 1),
        "hallucination": happened == 0,
        "miss": happened == 1,
        "brier": np.isfinite(happened),
    }[wrong][which]
    happened = happened[which]
    probability = result.values(f"{event}/probability")[:, :, which][:, :, cases]
    episode = np.broadcast_to(result.values("branch/episode"), happened.shape)[cases]
    if wrong == "brier":
        return np.square(probability - happened[cases]), episode
    return (1 - probability if wrong == "miss" else probability), episode


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
        for wrong in (*WRONG, "brier"):
            values, episode = pooled(result, event, wrong)
            row: dict[str, Any] = {"cases": int(values.shape[-1])}
            if not values.size:
                continue
            for i, method in enumerate(names):
                difference = values[i] - values[0]
                row[method] = both_intervals(values[i], episode) | both_intervals(difference, episode, "paired_")
            table[f"{event}/{wrong}" if wrong == "brier" else f"{event}/{wrong}_rate"] = row
    return table


def lines(result: results.Result) -> list[str]:
    """The rates as a table."""
    text = ["wrong dreams over all altered actions, per method; [95 % over seeds]"]
    level = result.notes["protocol"]["thresholds"]["reward"]
    text.append(f"  reward rises: above {level:.2g}; averted: the event happens as recorded, not as altered")
    for name, row in result.notes["final"].items():
        if isinstance(row, dict):
            cells = [f"{m} {show(spans['over_seeds'])}" for m, spans in row.items() if m != "cases"]
            text.append(f"  {name:<26} ({row['cases']} cases): " + "; ".join(cells))
    names = list(map(str, result.axes["method"]))
    floor = [f"{m} {x:.2g}" for m, x in zip(names, result.values("object/floor").mean(1), strict=True)]
    return [*text, "  object motion that the probe reads off seen frames where there is none: " + "; ".join(floor)]
