"""Judges policies, and the rewards that world models predict in open loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.ledger.judges_of_losses import unless_collapsed
from analysis.ledger.verdicts import (
    LEVEL,
    Finding,
    ResultFiles,
    balanced,
    judge,
    judge_difference,
    judge_range,
    range_verdict,
    together,
)
from analysis.results import comparisons
from analysis.results.measures import DREAMS, area
from analysis.results.schema import Result
from analysis.results.stats import Interval, seed_interval, show

BALANCED = "balanced weight"  # stands for the task's balanced weight
OTHERS = "other weights"  # stands for every other reward weight above 1
REWARD_ERROR = "reward error"


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
def compared(
    files: ResultFiles,
    method: str,
    reference: str,
    by: Sequence[str] = ("return", REWARD_ERROR),
    want: int = 1,
    study: str = "finding1",
    margin: float = 0.0,
    task: str = "",
    collapsing: str = "",
) -> Iterator[Finding]:
    """Compares a method with another, online by sample efficiency and offline by the reward errors of dreams.

    Sample efficiency is the mean of a metric over all evaluations, the area under its curve. Reward errors are those in
    open loop, on held-out windows.

    Args:
        files: results to judge by.
        method: that is claimed to be better; or ``BALANCED``, or ``OTHERS``.
        reference: method to compare with; the best of several, if ``|`` stands between them.
        by: ``return``, ``success`` or ``REWARD_ERROR``, each judged apart.
        want: 1 for better, -1 for worse, 0 for similar.
        study: whose results are read.
        margin: of "no worse" and of "similar", as a share of the reference's mean.
        task: of the results; every task if empty.
        collapsing: a method; a comparison shows nothing where its models have collapsed, if it is given.
    """
    references = reference.split("|")
    for metric in by:
        mode, measure, text, sign = "online", area(metric), f"mean {metric} over all evaluations", 1
        if metric == REWARD_ERROR:  # less is better
            mode, measure, text, sign = "offline", DREAMS, "reward error of dreams", -1
        for name, result in files.of(study, *references, mode=mode, **({"task": task} if task else {})):
            if not comparisons.has(result, measure):
                continue
            means = {m: comparisons.mean_of(result, measure, m) for m in result.methods}
            best = max(references, key=lambda m: sign * means[m].mean)
            others, level = methods_claimed(result, method)
            for other in others:
                intervals = comparisons.difference(result, measure, other, best, correct=level != LEVEL)
                told = f"{mode}, {text}: {', '.join(f'{m} {show(means[m])}' for m in (other, best))}"
                allowed = margin * abs(means[best].mean)
                finding = judge_difference(name, result, told, intervals, sign * want, allowed, level)
                yield unless_collapsed(finding, result, collapsing) if collapsing else finding


@judge
def more_variable(files: ResultFiles, metric: str, method: str, reference: str) -> Iterator[Finding]:
    """Asks whether a method's area under its curve varies more over seeds than another's; arguments as ``compared``."""
    for name, result in files.of("finding1", method, reference, mode="online"):
        if metric in result.data:
            ratio = comparisons.ratio(result, f"variance/{area(metric)}", method, reference)
            text = f"online, variance over seeds {show(ratio)} times as large"
            yield judge_range(name, result, text, ratio, 1.0, np.inf)


@judge
def gains_more(files: ResultFiles, method: str, metric: str = "return") -> Iterator[Finding]:
    """Asks whether a method gains more on w_r = 1 with visual distraction than without it, by area under the curve."""
    for name, result in files.of("distraction", method):
        if gap := comparisons.extra_gain(result, area(metric), method):
            text = (
                f"{show(comparisons.difference(result, area(metric), method, result.methods[0])[0])} with distraction"
            )
            told = f"{text}, {show(gap)} more than without"
            yield judge_range(name, result, told, gap, 0.0, np.inf)


@judge
def dynamics_loss_trends(files: ResultFiles, rises: str, falls: str) -> Iterator[Finding]:
    """Asks whether the dynamics loss rises with one method and falls with another (Fig. 6b).

    The trend of a run is the mean of its loss in the last quarter of training over that in the second quarter.
    """
    for name, result in files.of("distraction", rises, falls):
        if "loss/dynamics" in result.data:
            spans = [_trend(result, method) for method in (rises, falls)]
            seeds = len(result.axes["seed"])
            verdicts = [range_verdict([spans[0]], 1.0, np.inf, seeds), range_verdict([spans[1]], 0.0, 1.0, seeds)]
            told = ", ".join(f"{m} {show(span)}" for m, span in zip((rises, falls), spans, strict=True))
            text = f"{result.attributes['task']}: last quarter over second: {told}"
            yield Finding(text, together(verdicts), name, result.attributes["scale"], spans[0])


def _trend(result: Result, method: str) -> Interval:
    """Returns the interval over seeds of how many times the loss of the second quarter that of the last is."""
    loss = np.log(result.values("loss/dynamics")[result.methods.index(method)])  # (seed, step)
    quarter = 4 * result.axes["log_step"] / result.axes["log_step"][-1]
    second, last = (np.nanmean(loss[:, (low < quarter) & (quarter <= low + 1)], 1) for low in (1, 3))
    return Interval(*np.exp(seed_interval(last - second)))
