"""Judges policies, and the rewards that world models predict in open loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analysis.ledger.verdicts import (
    LEVEL,
    MISSING,
    Finding,
    Judge,
    ResultFiles,
    balanced,
    judge,
    judge_difference,
    judge_range,
)
from analysis.results import comparisons
from analysis.results.measures import DREAMS, area
from analysis.results.schema import Result
from analysis.results.stats import show

BALANCED = "balanced weight"  # stands for the task's balanced weight
OTHERS = "other weights"  # stands for every other reward weight above 1


def methods_claimed(result: Result, method: str) -> tuple[list[str], float]:
    """Returns the methods of a result that a claim is about, and the confidence that each interval needs.

    For ``OTHERS`` the confidence is Bonferroni's, for all larger weights that are compared with w_r = 1.
    """
    if method == OTHERS:
        others = [weight for weight in comparisons.larger_weights(result) if weight != balanced(result)]
        return others, comparisons.corrected_level(result)
    name = balanced(result) if method == BALANCED else method
    return [name] if name in result.methods else [], LEVEL


@judge
def curves(
    files: ResultFiles,
    metric: str,
    method: str,
    reference: str,
    want: int = 1,
    study: str = "finding1",
    margin: float = 0.0,
    task: str = "",
) -> Iterator[Finding]:
    """Compares sample efficiency online: the mean of a metric over all evaluations, the area under its curve.

    Args:
        files: results to judge by.
        metric: ``return`` or ``success``.
        method: that is claimed to be better; or ``BALANCED``, or ``OTHERS``.
        reference: method to compare with; the best of several, if ``|`` stands between them.
        want: 1 for better, -1 for worse, 0 for similar.
        study: whose results are read.
        margin: of "no worse" and of "similar", as a share of the reference's mean.
        task: of the results; every task if empty.
    """
    text = f"online, mean {metric} over all evaluations"
    yield from _compare(files, area(metric), text, "online", method, reference, want, study, margin, task)


@judge
def dreams(
    files: ResultFiles,
    method: str,
    reference: str,
    study: str = "finding1",
    want: int = -1,
    margin: float = 0.0,
    task: str = "",
) -> Iterator[Finding]:
    """Compares open-loop reward errors on held-out windows, offline; arguments as for ``curves``."""
    text = "offline, reward error of dreams"
    yield from _compare(files, DREAMS, text, "offline", method, reference, want, study, margin, task)


def _compare(
    files: ResultFiles,
    measure: str,
    text: str,
    mode: str,
    method: str,
    reference: str,
    want: int,
    study: str,
    margin: float,
    task: str,
) -> Iterator[Finding]:
    references = reference.split("|")
    sign = 1 if measure == DREAMS else -1  # less error or more return is better
    for name, result in files.of(study, *references, mode=mode, **({"task": task} if task else {})):
        if not comparisons.has(result, measure):
            continue
        means = {m: comparisons.mean_of(result, measure, m) for m in result.methods}
        best = min(references, key=lambda m: sign * means[m].mean)
        others, level = methods_claimed(result, method)
        for other in others:
            intervals = comparisons.difference(result, measure, other, best, correct=level != LEVEL)
            values = ", ".join(f"{m} {show(means[m])}" for m in (other, best))
            allowed = margin * abs(means[best].mean)
            yield judge_difference(name, result, f"{text}: {values}", intervals, want, allowed, level)


@judge
def more_variable(files: ResultFiles, metric: str, method: str, reference: str) -> Iterator[Finding]:
    """Asks whether a method's area under its curve varies more over seeds than another's; arguments as ``curves``."""
    for name, result in files.of("finding1", method, reference, mode="online"):
        if metric in result.data:
            ratio = comparisons.ratio(result, f"variance/{area(metric)}", method, reference)
            text = f"online, variance over seeds {show(ratio)} times as large"
            yield judge_range(name, result, text, ratio, 1.0, np.inf)


def combined(*judges: Judge) -> Judge:
    """Returns a judge that finds what several judges find."""

    def find(files: ResultFiles) -> list[Finding]:
        findings = [finding for one in judges for finding in one(files)]
        return [finding for finding in findings if finding != MISSING] or [MISSING]

    return find
