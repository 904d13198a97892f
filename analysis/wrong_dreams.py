"""Rates of wrong dreams in a result of ``analysis.counterfactual``, over all altered actions, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis import results
from analysis.hallucination import EVENTS
from analysis.stats import cluster_interval, seed_interval, show

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
        "interval": "Student t over training seeds, 95 %",
        "interval_over_episodes": "percentile bootstrap over held-out episodes, seeds averaged, 95 %",
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
                row[method] = {
                    "over_seeds": seed_interval(values[i].mean(-1))._asdict(),
                    "over_episodes": cluster_interval(values[i].mean(0), episode)._asdict(),
                    "paired_over_seeds": seed_interval(difference.mean(-1))._asdict(),
                    "paired_over_episodes": cluster_interval(difference.mean(0), episode)._asdict(),
                }
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
