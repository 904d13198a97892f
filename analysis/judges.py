"""Judges of what runs logged: policies, reward errors, losses and weights through training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from analysis.methods import ORIGINAL
from analysis.results import Result
from analysis.stats import (
    Interval,
    bounds_of,
    cluster_interval,
    known,
    read_interval,
    seed_interval,
    show,
    variance_ratio,
    welch_interval,
)
from analysis.verdicts import (
    FEWEST_SEEDS,
    MISSING,
    NOT_REPRODUCED,
    NOT_SHOWN,
    REPRODUCED,
    Finding,
    Judge,
    Shelf,
    compared,
    has,
    methods_of,
    told,
    verdict,
)


def larger_weights(result: Result) -> list[str]:
    """Methods of a result that are DreamerV2 with a reward weight above 1."""
    weights = [method for method in methods_of(result) if method.startswith("w_r=") and method != ORIGINAL]
    return [method for method in weights if float(method[4:]) > 1]


def curves(
    metric: str, method: str | None, reference: str, want: int = 1, study: str = "finding1", margin: float = 0.0
) -> Judge:
    """Online sample efficiency: the mean of a metric over all evaluations, that is, the area under its curve.

    Args:
        metric: ``return`` or ``success``.
        method: whose policies are claimed to be better (None: each reward weight above 1 that there is).
        reference: than whose; with commas and ``|`` between them, the best of several.
        want: 1 for better, -1 for worse.
        study: whose results are looked at.
        margin: of "no worse", as a share of the reference's mean.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of(study, mode="online"):
            references = reference.split("|")
            if metric not in result.data or not has(result, *references):
                continue
            area = dict(zip(methods_of(result), result.values(metric).mean(-1), strict=True))  # (seed,) each
            best = max(references, key=lambda m: area[m].mean())
            within = bounds_of(metric)
            for other in [method] if method else larger_weights(result):
                if other in area:
                    gap = seed_interval(area[other] - area[best])
                    cells = [f"{m} {told(area[m], within)}" for m in (other, best)]
                    words = f"online, mean {metric} over all evaluations: {', '.join(cells)}"
                    allowed = margin * abs(float(area[best].mean()))
                    findings.append(compared(name, result, words, [gap], want, allowed))
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
            spans = [Interval(*np.log(ratio))]
            words = f"online, variance over seeds {show(ratio._asdict())} times as large"
            findings.append(replace(compared(name, result, words, spans, 1), value=ratio))
        return findings or [MISSING]

    return judge


def dreams(method: str | None, reference: str, study: str = "finding1", want: int = -1, margin: float = 0.0) -> Judge:
    """Held-out reward error of dreams, offline, window by window; arguments as for ``curves``."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of(study, mode="offline"):
            references = reference.split("|")
            if "window/error" not in result.data or not has(result, *references):
                continue
            error = dict(zip(methods_of(result), result.values("window/error"), strict=True))  # (seed, window) each
            best = min(references, key=lambda m: error[m].mean())
            for other in [method] if method else larger_weights(result):
                if other in error:
                    gap = error[other] - error[best]
                    spans = [seed_interval(gap.mean(1)), cluster_interval(gap.mean(0), result.values("window/episode"))]
                    words = ", ".join(f"{m} {told(error[m].mean(1))}" for m in (other, best))
                    words = f"offline, reward error of dreams: {words}"
                    findings.append(compared(name, result, words, spans, want, margin * float(error[best].mean())))
        return findings or [MISSING]

    return judge


def both(*judges: Judge) -> Judge:
    """What several judges find, without the ones that found nothing."""

    def judge(shelf: Shelf) -> list[Finding]:
        found = [finding for one in judges for finding in one(shelf)]
        return [finding for finding in found if finding != MISSING] or [MISSING]

    return judge


def orders_of_magnitude(shelf: Shelf) -> list[Finding]:
    """Whether log10(L_o / L_r) with w_r = 1 lies between 1.5 and 2.5 in the second half of training (Fig. 2b)."""
    findings = []
    for name, result in shelf.of("loss_scales"):
        row = result.notes["final"].get("log10 of L_o / L_r", {})
        if ORIGINAL not in row:
            continue
        span = read_interval(row[ORIGINAL])
        if len(result.axes["seed"]) < FEWEST_SEEDS or not known(span.low):
            found = NOT_SHOWN
        elif span.low >= 1.5 and span.high <= 2.5:
            found = REPRODUCED
        else:
            found = NOT_REPRODUCED if span.high < 1.5 or span.low > 2.5 else NOT_SHOWN
        words = f"{result.attributes['task']}: log10(L_o / L_r) = {show(row[ORIGINAL])}"
        findings.append(Finding(words, found, name, result.attributes["scale"], span))
    return findings or [MISSING]


def order_of_coefficients(shelf: Shelf) -> list[Finding]:
    """Whether the reward coefficient is higher on Lever Pull than on Handle Pull Side at the end (Fig. 23)."""
    findings = []
    for lever_file, lever in shelf.of("coefficients", task="lever_pull"):
        same = {key: lever.attributes.get(key) for key in ("preset", "mode")}
        for handle_file, handle in shelf.of("coefficients", task="handle_pull_side", **same):
            if not _as_long(lever, handle):
                continue
            ends = [result.values("weight/reward")[0, :, -1] for result in (lever, handle)]
            gap = welch_interval(*ends)  # a seed of one task is no pair of the same seed of another
            words = f"lever_pull {told(ends[0])}, handle_pull_side {told(ends[1])}"
            found = verdict([gap], 1, min(map(len, ends)))
            findings.append(Finding(words, found, f"{lever_file}, {handle_file}", lever.attributes["scale"], gap))
    return findings or [MISSING]


def _as_long(one: Result, other: Result) -> bool:
    """Whether two results are of runs of one length and rate of harmonizers: s moves about one rate an update."""

    def pace(result: Result) -> set[tuple[Any, ...]]:
        settings = [(config["train"], config["model"]) for config in result.config.values()]
        return {(train["steps"], train["train_every"], model["harmonizer_lr"]) for train, model in settings}

    return pace(one) == pace(other)
