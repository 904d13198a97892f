"""Judges of policies and of the rewards that models dream."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.ledger.verdicts import (
    LEVEL,
    MISSING,
    Finding,
    Judge,
    Shelf,
    balanced,
    compared,
    has,
    methods_of,
    ranged,
    told,
)
from analysis.results.schema import Result
from analysis.results.stats import bounds_of, cluster_interval, seed_interval, show, variance_ratio
from analysis.runs.methods import ORIGINAL

OTHERS = "other weights"  # stands for each reward weight above 1 that is not the task's balanced one


def larger_weights(result: Result) -> list[str]:
    """Methods of a result that are DreamerV2 with a reward weight above 1."""
    weights = [method for method in methods_of(result) if method.startswith("w_r=") and method != ORIGINAL]
    return [method for method in weights if float(method[4:]) > 1]


def subjects(result: Result, method: str | None) -> tuple[list[str], float]:
    """The methods of a result that a claim speaks of, and the confidence that each comparison's interval needs.

    Where each other weight is tried, the level is Bonferroni's for all larger weights that were compared with w_r = 1.
    """
    chosen = balanced(result)
    if method == OTHERS:
        weights = larger_weights(result)
        return [weight for weight in weights if weight != chosen], 1 - (1 - LEVEL) / max(len(weights), 1)
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
            area = dict(zip(methods_of(result), result.values(metric).mean(-1), strict=True))  # (seed,) each
            best = max(references, key=lambda m: area[m].mean())
            within, (others, level) = bounds_of(metric), subjects(result, method)
            for other in others:
                gap = seed_interval(area[other] - area[best], level)
                cells = [f"{m} {told(area[m], within)}" for m in (other, best)]
                words = f"online, mean {metric} over all evaluations: {', '.join(cells)}"
                allowed = margin * abs(float(area[best].mean()))
                findings.append(compared(name, result, words, [gap], want, allowed, level))
        return findings or [MISSING]

    return judge


def more_variable(metric: str, method: str, reference: str) -> Judge:
    """Whether a method's area under its curve varies more over seeds than another's, arguments as for ``curves``."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of("finding1", mode="online"):
            if metric not in result.data or not has(result, method, reference):
                continue
            area = dict(zip(methods_of(result), result.values(metric).mean(-1), strict=True))  # (seed,) each
            ratio = variance_ratio(area[method], area[reference])
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
            if "window/error" not in result.data or not has(result, *references):
                continue
            error = dict(zip(methods_of(result), result.values("window/error"), strict=True))  # (seed, window) each
            best, episode = min(references, key=lambda m: error[m].mean()), result.values("window/episode")
            others, level = subjects(result, method)
            for other in others:
                gap = error[other] - error[best]
                spans = [seed_interval(gap.mean(1), level), cluster_interval(gap.mean(0), episode, level)]
                cells = ", ".join(f"{m} {told(error[m].mean(1))}" for m in (other, best))
                words, allowed = f"offline, reward error of dreams: {cells}", margin * float(error[best].mean())
                findings.append(compared(name, result, words, spans, want, allowed, level))
        return findings or [MISSING]

    return judge


def both(*judges: Judge) -> Judge:
    """What several judges find, without the ones that found nothing."""

    def judge(shelf: Shelf) -> list[Finding]:
        found = [finding for one in judges for finding in one(shelf)]
        return [finding for finding in found if finding != MISSING] or [MISSING]

    return judge
