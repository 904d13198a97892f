"""Judges losses and their weights through training: their sizes, what is learned, and where it settles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from analysis.ledger.verdicts import NOT_REPRODUCED, NOT_SHOWN, Finding, ResultFiles, judge, judge_range, verdict
from analysis.results import comparisons
from analysis.results.measures import LEARNED, LOSSES, ORDERS, SMALLEST
from analysis.results.schema import Result
from analysis.results.stats import known, rank_correlation, read_interval, show, welch_interval
from analysis.runs.methods import ORIGINAL

HARMONY, UNRECTIFIED, NASHMTL = "harmony", "unrectified", "nashmtl"
UPDATES, SHARE_IN_TRAINING = "updates", "gradient_share_curve/reward"
SETTLED = 2.0  # per cent between two lines of the log; a weight that changes by less has settled
COLLAPSED = 0.01  # of HarmonyDream's dynamics loss; a model with less has collapsed


def at_end(result: Result, metric: str, method: str, line: int = -1) -> np.ndarray:
    """Returns what a method's runs logged last, ``(seed,)``: a mean over the updates since the previous line."""
    return result.values(metric)[result.methods.index(method), :, line]


@judge
def orders_of_magnitude(files: ResultFiles, method: str = ORIGINAL) -> Iterator[Finding]:
    """Asks whether log10(L_o / L_r) with w_r = 1 lies between 1.5 and 2.5 in the second half of training (Fig. 2b).

    Of unfinished runs it takes the second half of what there is. The offline runs of Finding 1 are left out, since
    ``loss_scales`` reads the same runs.
    """
    results = files.of("loss_scales", method) + files.of("finding1", method, finished=False, mode="online")
    for name, result in results:
        orders = comparisons.end_of(result, ORDERS, method) if "loss/observation" in result.data else None
        if orders is not None and known(orders.mean):
            text = f"log10(L_o / L_r) = {show(orders)}, {_stage(result, method)}"
            yield judge_range(name, result, text, orders, 1.5, 2.5)


def _end(result: Result, name: str, method: str) -> str:
    """Returns what a method's runs logged last, with its interval, as text."""
    end = comparisons.end_of(result, name, method)
    return "-" if end is None else show(end)


def _stage(result: Result, method: str) -> str:
    """Returns which updates of a method the second half of training has, and the mode of the runs."""
    train, steps = result.config[method]["train"], result.axes["log_step"]
    late = steps > steps[-1] / 2
    if UPDATES in result.data:
        updates = result.values(UPDATES)[result.methods.index(method)][:, late]
        updates = updates[np.isfinite(updates)]
    else:  # loss_scales, offline: one update every so many steps from the first step on
        updates = steps[late] / train["train_every"]
    text = f"updates {updates.min():.0f} to {updates.max():.0f}, {result.attributes['mode']}"
    if not result.attributes.get("complete", True):
        text += f", cut off at step {steps[-1]} of {train['steps']}"
    return f"{text}, seeds: {len(result.axes['seed'])}"


@judge
def share_in_training(files: ResultFiles, highest: float) -> Iterator[Finding]:
    """Asks whether the reward loss has less than a share of the gradients with w_r = 1, on average over training."""
    for name, result in files.of("loss_scales", ORIGINAL):
        if share := result.notes["final"].get("gradient share of reward in training"):
            span = read_interval(share[ORIGINAL])
            others = "; ".join(f"{m} {show(row)}" for m, row in share.items() if m != ORIGINAL)
            yield judge_range(name, result, f"{show(span)} with w_r = 1; {others}", span, -np.inf, highest)


@judge
def share_and_policy(files: ResultFiles, metric: str) -> Iterator[Finding]:
    """Asks whether runs in which the reward loss has more of the gradients score more.

    It correlates the ranks of all methods' runs: the mean share over training, and the area under the policy's curve.
    """
    for name, result in files.of("loss_scales"):
        if {metric, SHARE_IN_TRAINING} <= set(result.data):
            share, score = (result.values(of).mean(-1).ravel() for of in (SHARE_IN_TRAINING, metric))
            correlation = rank_correlation(share, score)
            text = f"{metric}, {share.size} runs: rank correlation {show(correlation)}"
            yield judge_range(name, result, text, correlation, 0.0, np.inf)


@judge
def order_of_coefficients(files: ResultFiles) -> Iterator[Finding]:
    """Asks whether the reward coefficient is higher on Lever Pull than on Handle Pull Side at the end (Fig. 23)."""
    for lever_file, lever in files.of("coefficients", task="lever_pull"):
        same = {key: lever.attributes.get(key) for key in ("preset", "mode")}
        for handle_file, handle in files.of("coefficients", task="handle_pull_side", **same):
            if _pace(lever) != _pace(handle):
                continue
            ends = [at_end(result, "weight/reward", HARMONY) for result in (lever, handle)]
            gap = welch_interval(*ends)  # seeds of two tasks are not pairs
            lever_end, handle_end = (_end(result, "weight/reward", HARMONY) for result in (lever, handle))
            text = f"lever_pull {lever_end}, handle_pull_side {handle_end}"
            decided = verdict([gap], 1, min(map(len, ends)))
            yield Finding(text, decided, f"{lever_file}, {handle_file}", lever.attributes["scale"], gap)


def _pace(result: Result) -> set[tuple[Any, ...]]:
    """Returns the length of runs and the rate of their harmonizers: s moves by about one rate an update."""
    settings = [(config["train"], config["model"]) for config in result.config.values()]
    return {(train["steps"], train["train_every"], model["harmonizer_lr"]) for train, model in settings}


@judge
def analytic(files: ResultFiles, loss: str) -> Iterator[Finding]:
    """Asks whether the learned weight of a loss is within 10 % of Eq. 13's for the same losses (App. B).

    It reads the runs of ``coefficients``, and those of the miniature, which are longer. A weight that still changes by
    ``SETTLED`` per cent or more between the last two lines of the log does not show where it will settle.
    """
    for name, result in files.of("coefficients", HARMONY) + files.of("finding1", HARMONY, mode="online"):
        if f"analytic_weight/{loss}" not in result.data:
            continue
        weight, settled = (at_end(result, f"{kind}/{loss}", HARMONY) for kind in ("weight", "analytic_weight"))
        ratio = comparisons.end_of(result, LEARNED.format(loss), HARMONY)
        if ratio is None or not np.isfinite(settled).all():
            continue
        last_weight, last_updates = (at_end(result, n, HARMONY, line=-2) for n in (f"weight/{loss}", UPDATES))
        updates, rate = at_end(result, UPDATES, HARMONY), result.config[HARMONY]["model"]["harmonizer_lr"]
        with np.errstate(all="ignore"):
            change = 100 * ((weight / last_weight).mean() - 1)
        text = (
            f"ratio {show(ratio)}, {weight.mean():.3g} over {settled.mean():.3g}; {updates.mean():.0f} "
            f"updates at a harmonizers' rate of {rate:g}, in the last {(updates - last_updates).mean():.0f} of which "
            f"the weight changed by {change:+.1f} %"
        )
        finding = judge_range(name, result, text, ratio, 0.9, 1.1)
        yield finding if abs(change) < SETTLED else replace(finding, verdict=NOT_SHOWN)


@judge
def unrectified(files: ResultFiles, metric: str, factor: float) -> Iterator[Finding]:
    """Asks whether the last logged value is ``factor`` times as large or more without Eq. 5's rectification (Fig. 15).

    Values are compared as logarithms, seed by seed. The paper says that this can happen, on another task. So a smaller
    ratio here refutes nothing.
    """
    for name, result in files.of("ablations", UNRECTIFIED, HARMONY):
        if metric in result.data:
            without, with_it = (_end(result, metric, method) for method in (UNRECTIFIED, HARMONY))
            ratio = comparisons.ratio(result, metric, UNRECTIFIED, HARMONY)
            text = f"unrectified {without}, rectified {with_it}, {show(ratio)} times"
            finding = judge_range(name, result, text, ratio, factor, np.inf)
            yield replace(finding, verdict=NOT_SHOWN) if finding.verdict == NOT_REPRODUCED else finding


@judge
def near_zero(files: ResultFiles, task: str = "") -> Iterator[Finding]:
    """Asks whether NashMTL's smallest weight ends under a thousandth of its largest (D.2).

    The scale that all weights share is arbitrary, since Adam hardly feels it. Only their ratio says whether a loss is
    left out. Every task counts if none is named.
    """
    for name, result in files.of("multitask", NASHMTL, **({"task": task} if task else {})):
        if all(f"weight/{loss}" in result.data for loss in LOSSES):
            share = comparisons.end_of(result, SMALLEST, NASHMTL)
            each = ", ".join(f"{loss} {at_end(result, f'weight/{loss}', NASHMTL).mean():.3g}" for loss in LOSSES)
            text = f"smallest over largest {show(share)}; weights {each}; {_last_dynamics_loss(result, NASHMTL)}"
            yield judge_range(name, result, text, share, -np.inf, 1e-3)


def unless_collapsed(finding: Finding, result: Result, method: str) -> Finding:
    """Returns a finding on a result with the dynamics loss that a method ends with.

    If that loss is near 0, the latent state says nothing, and a comparison with the method shows nothing.
    """
    decided = NOT_SHOWN if _has_collapsed(result, method) else finding.verdict
    return replace(finding, ours=f"{finding.ours}; {_last_dynamics_loss(result, method)}", verdict=decided)


def _has_collapsed(result: Result, method: str) -> bool:
    """Whether a method's dynamics loss ends under a hundredth of HarmonyDream's."""
    if "loss/dynamics" not in result.data or not {method, HARMONY} <= set(result.methods):
        return False
    loss, reference = (at_end(result, "loss/dynamics", m).mean() for m in (method, HARMONY))
    return bool(loss < COLLAPSED * reference)


def _last_dynamics_loss(result: Result, method: str) -> str:
    if "loss/dynamics" not in result.data:
        return "dynamics loss not logged"
    names = [m for m in (method, HARMONY) if m in result.methods]
    ends = [f"{at_end(result, 'loss/dynamics', m).mean():.2g} with {m}" for m in names]
    return f"dynamics loss at the end {', '.join(ends)}"
