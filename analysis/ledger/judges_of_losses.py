"""Judges of losses and loss weights through training: their scales, what is learned, what it settles at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from analysis.ledger.verdicts import (
    MISSING,
    NOT_REPRODUCED,
    NOT_SHOWN,
    Finding,
    Judge,
    Shelf,
    has,
    methods_of,
    ranged,
    verdict,
)
from analysis.results import comparisons
from analysis.results.comparisons import LEARNED, LOSSES, ORDERS, SMALLEST
from analysis.results.schema import Result
from analysis.results.stats import known, show, welch_interval
from analysis.runs.methods import ORIGINAL

HARMONY, UNRECTIFIED, NASHMTL = "harmony", "unrectified", "nashmtl"
UPDATES = "updates"
SETTLED = 2.0  # per cent, between two lines of the log
COLLAPSED = 0.01  # of HarmonyDream's dynamics loss


def at_end(result: Result, metric: str, method: str, line: int = -1) -> np.ndarray:
    """What a method's runs logged last, ``(seed,)``: a mean over the updates since the line of the log before."""
    return result.values(metric)[methods_of(result).index(method), :, line]


def orders_of_magnitude(shelf: Shelf) -> list[Finding]:
    """Whether log10(L_o / L_r) with w_r = 1 lies between 1.5 and 2.5 in the second half of training (Fig. 2b).

    Of runs that were cut off: in the second half of what there is. Finding 1's offline runs are those of loss_scales.
    """
    findings = []
    for name, result in shelf.of("loss_scales") + shelf.of("finding1", finished=False, mode="online"):
        if not has(result, ORIGINAL) or "loss/observation" not in result.data:
            continue
        span = comparisons.end_of(result, ORDERS, ORIGINAL)
        if span is None or not known(span.mean):
            continue
        words = f"log10(L_o / L_r) = {show(span._asdict())}, {_stage(result)}"
        findings.append(ranged(name, result, words, span, 1.5, 2.5))
    return findings or [MISSING]


def _ratio(value: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """NaN or infinite where there is none."""
    with np.errstate(all="ignore"):
        return value / reference


def _end(result: Result, name: str, method: str) -> str:
    """What a method's runs logged last, with its interval, as text."""
    span = comparisons.end_of(result, name, method)
    return "-" if span is None else show(span._asdict())


def _stage(result: Result) -> str:
    """From which update of w_r = 1 to which, and of which mode: the lines of the log in the second half of training."""
    train, steps = result.config[ORIGINAL]["train"], result.axes["log_step"]
    late = steps > steps[-1] / 2
    if UPDATES in result.data:
        updates = result.values(UPDATES)[methods_of(result).index(ORIGINAL)][:, late]
        updates = updates[np.isfinite(updates)]
    else:  # loss_scales, offline: an update every so many steps from the first
        updates = result.axes["log_step"][late] / train["train_every"]
    words = f"updates {updates.min():.0f} to {updates.max():.0f}, {result.attributes['mode']}"
    if not result.attributes.get("complete", True):
        words += f", cut off at step {result.axes['log_step'][-1]} of {train['steps']}"
    return f"{words}, seeds: {len(result.axes['seed'])}"


def order_of_coefficients(shelf: Shelf) -> list[Finding]:
    """Whether the reward coefficient is higher on Lever Pull than on Handle Pull Side at the end (Fig. 23)."""
    findings = []
    for lever_file, lever in shelf.of("coefficients", task="lever_pull"):
        same = {key: lever.attributes.get(key) for key in ("preset", "mode")}
        for handle_file, handle in shelf.of("coefficients", task="handle_pull_side", **same):
            if not _as_long(lever, handle):
                continue
            ends = [at_end(result, "weight/reward", HARMONY) for result in (lever, handle)]
            gap = welch_interval(*ends)  # a seed of one task is no pair of the same seed of another
            cells = [_end(result, "weight/reward", HARMONY) for result in (lever, handle)]
            words = f"lever_pull {cells[0]}, handle_pull_side {cells[1]}"
            found = verdict([gap], 1, min(map(len, ends)))
            findings.append(Finding(words, found, f"{lever_file}, {handle_file}", lever.attributes["scale"], gap))
    return findings or [MISSING]


def _as_long(one: Result, other: Result) -> bool:
    """Whether two results are of runs of one length and rate of harmonizers: s moves about one rate an update."""

    def pace(result: Result) -> set[tuple[Any, ...]]:
        settings = [(config["train"], config["model"]) for config in result.config.values()]
        return {(train["steps"], train["train_every"], model["harmonizer_lr"]) for train, model in settings}

    return pace(one) == pace(other)


def analytic(loss: str) -> Judge:
    """Whether the learned weight of a loss is within 10 % of Eq. 13's for the losses of the same updates (App. B).

    Of the coefficients' runs and of the miniature's, which are longer. A weight that still moves by ``SETTLED`` per
    cent or more between the last two lines of the log shows nothing of where it goes.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of("coefficients") + shelf.of("finding1", mode="online"):
            if not has(result, HARMONY) or f"analytic_weight/{loss}" not in result.data:
                continue
            weight, settled = (at_end(result, f"{kind}/{loss}", HARMONY) for kind in ("weight", "analytic_weight"))
            span = comparisons.end_of(result, LEARNED.format(loss), HARMONY)
            if span is None or not np.isfinite(settled).all():
                continue
            before = [at_end(result, name, HARMONY, line=-2) for name in (f"weight/{loss}", UPDATES)]
            updates, rate = at_end(result, UPDATES, HARMONY), result.config[HARMONY]["model"]["harmonizer_lr"]
            change = 100 * (_ratio(weight, before[0]).mean() - 1)
            words = (
                f"ratio {show(span._asdict())}, {weight.mean():.3g} over {settled.mean():.3g}; {updates.mean():.0f} "
                f"updates at a harmonizers' rate of {rate:g}, in the last {(updates - before[1]).mean():.0f} of which "
                f"the weight changed by {change:+.1f} %"
            )
            found = ranged(name, result, words, span, 0.9, 1.1)
            findings.append(found if abs(change) < SETTLED else replace(found, verdict=NOT_SHOWN))
        return findings or [MISSING]

    return judge


def unrectified(metric: str, factor: float) -> Judge:
    """Whether what is logged last is ``factor`` times as large or more without the rectification of Eq. 5 (Fig. 15).

    Compared as logarithms, seed by seed. The paper says that it can be so, of another task: that it is not so here
    refutes nothing.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of("ablations"):
            if metric not in result.data or not has(result, UNRECTIFIED, HARMONY):
                continue
            cells = [_end(result, metric, method) for method in (UNRECTIFIED, HARMONY)]
            times = comparisons.ratio(result, metric, UNRECTIFIED, HARMONY)
            words = f"unrectified {cells[0]}, rectified {cells[1]}, {show(times._asdict())} times"
            found = ranged(name, result, words, times, factor, np.inf)
            findings.append(replace(found, verdict=NOT_SHOWN) if found.verdict == NOT_REPRODUCED else found)
        return findings or [MISSING]

    return judge


def near_zero(shelf: Shelf) -> list[Finding]:
    """Whether NashMTL's smallest weight ends under a thousandth of its largest (D.2).

    Their common scale is arbitrary: Adam hardly feels it, so only how they compare says that a loss is left out.
    """
    findings = []
    for name, result in shelf.of("multitask"):
        if not has(result, NASHMTL) or not all(f"weight/{loss}" in result.data for loss in LOSSES):
            continue
        share = comparisons.end_of(result, SMALLEST, NASHMTL)
        each = ", ".join(f"{loss} {at_end(result, f'weight/{loss}', NASHMTL).mean():.3g}" for loss in LOSSES)
        words = f"smallest over largest {show(share._asdict())}; weights {each}; {_collapse(result, NASHMTL)}"
        findings.append(ranged(name, result, words, share, -np.inf, 1e-3))
    return findings or [MISSING]


def with_collapse(judge: Judge, method: str) -> Judge:
    """A judge whose findings tell the dynamics loss that a method ends with: near 0 its latents say nothing.

    Then a comparison with it shows nothing either.
    """

    def extended(shelf: Shelf) -> list[Finding]:
        results, findings = dict(shelf.results), []
        for found in judge(shelf):
            if found.source:
                result = results[found.source]
                shown = NOT_SHOWN if _has_collapsed(result, method) else found.verdict
                found = replace(found, ours=f"{found.ours}; {_collapse(result, method)}", verdict=shown)
            findings.append(found)
        return findings

    return extended


def _has_collapsed(result: Result, method: str) -> bool:
    """Whether a method's dynamics loss ends under a hundredth of HarmonyDream's."""
    if "loss/dynamics" not in result.data or not has(result, method, HARMONY):
        return False
    ours, theirs = (at_end(result, "loss/dynamics", m).mean() for m in (method, HARMONY))
    return bool(ours < COLLAPSED * theirs)


def _collapse(result: Result, method: str) -> str:
    if "loss/dynamics" not in result.data:
        return "dynamics loss not logged"
    ends = [f"{at_end(result, 'loss/dynamics', m).mean():.2g} with {m}" for m in (method, HARMONY) if has(result, m)]
    return f"dynamics loss at the end {', '.join(ends)}"
