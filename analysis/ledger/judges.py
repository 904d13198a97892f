"""Judges of policies and of the rewards that models dream."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.ledger.verdicts import LEVEL, MISSING, Finding, Judge, Shelf, balanced, compared, has, methods_of, ranged
from analysis.results import comparisons
from analysis.results.comparisons import DREAMS, area
from analysis.results.schema import Result
from analysis.results.stats import show

OTHERS = "other weights"  # stands for each reward weight above 1 that is not the task's balanced one


def subjects(result: Result, method: str | None) -> tuple[list[str], float]:
    """The methods of a result that a claim speaks of, and the confidence that each comparison's interval needs.

    Where each other weight is tried, the level is Bonferroni's for all larger weights that were compared with w_r = 1.
    """
    chosen = balanced(result)
    if method == OTHERS:
        weights = comparisons.larger_weights(result)
        return [weight for weight in weights if weight != chosen], comparisons.corrected_level(result)
    return [one for one in (method or chosen,) if one in methods_of(result)], LEVEL


def curves(
    metric: str,
    method: str | None,
    reference: str,
    want: int = 1,
    study: str = "finding1",
    margin: float = 0.0,
    **attributes: Any,
) -> Judge:
    """Online sample efficiency: the mean of a metric over all evaluations, that is, the area under its curve.

    Args:
        metric: ``return`` or ``success``.
        method: whose policies are claimed to be better (None: the task's balanced weight; or OTHERS).
        reference: than whose; with ``|`` between them, the best of several.
        want: 1 for better, -1 for worse, 0 for similar.
        study: whose results are looked at.
        margin: of "no worse" and of "similar", as a share of the reference's mean.
        attributes: of those results, e.g. ``task``.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of(study, mode="online", **attributes):
            references = reference.split("|")
            if metric not in result.data or not has(result, *references):
                continue
            found = {m: comparisons.mean_of(result, area(metric), m) for m in methods_of(result)}
            best = max(references, key=lambda m: found[m].mean)
            others, level = subjects(result, method)
            for other in others:
                spans = comparisons.difference(result, area(metric), other, best, correct=level != LEVEL)
                cells = [f"{m} {show(found[m]._asdict())}" for m in (other, best)]
                words = f"online, mean {metric} over all evaluations: {', '.join(cells)}"
                findings.append(compared(name, result, words, spans, want, margin * abs(found[best].mean), level))
        return findings or [MISSING]

    return judge


def more_variable(metric: str, method: str, reference: str) -> Judge:
    """Whether a method's area under its curve varies more over seeds than another's, arguments as for ``curves``."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of("finding1", mode="online"):
            if metric not in result.data or not has(result, method, reference):
                continue
            ratio = comparisons.ratio(result, f"variance/{area(metric)}", method, reference)
            words = f"online, variance over seeds {show(ratio._asdict())} times as large"
            findings.append(ranged(name, result, words, ratio, 1.0, np.inf))
        return findings or [MISSING]

    return judge


def dreams(
    method: str | None,
    reference: str,
    study: str = "finding1",
    want: int = -1,
    margin: float = 0.0,
    **attributes: Any,
) -> Judge:
    """Held-out reward error of dreams, offline, window by window; arguments as for ``curves``."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of(study, mode="offline", **attributes):
            references = reference.split("|")
            if DREAMS not in result.data or not has(result, *references):
                continue
            found = {m: comparisons.mean_of(result, DREAMS, m) for m in methods_of(result)}
            best = min(references, key=lambda m: found[m].mean)
            others, level = subjects(result, method)
            for other in others:
                spans = comparisons.difference(result, DREAMS, other, best, correct=level != LEVEL)
                cells = ", ".join(f"{m} {show(found[m]._asdict())}" for m in (other, best))
                words = f"offline, reward error of dreams: {cells}"
                findings.append(compared(name, result, words, spans, want, margin * found[best].mean, level))
        return findings or [MISSING]

    return judge


def both(*judges: Judge) -> Judge:
    """What several judges find, without the ones that found nothing."""

    def judge(shelf: Shelf) -> list[Finding]:
        found = [finding for one in judges for finding in one(shelf)]
        return [finding for finding in found if finding != MISSING] or [MISSING]

    return judge
