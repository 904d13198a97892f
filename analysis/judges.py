"""The claims of the paper that results can speak to, each with the rule of its verdict, written before the results.

A judge looks at the results at hand and returns a ``Finding``. Where a comparison is asked, one rule serves all: with
two seeds or more, the claim is *reproduced* if the 95 % interval over seeds of the difference leaves out zero on the
claim's side, *not reproduced* if it leaves it out on the other side, else *not shown at this scale*; where windows of
held-out episodes were compared in pairs, the interval over episodes must agree. A single seed shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.methods import IMPLICIT, ORIGINAL, balanced
from analysis.results import Result
from analysis.stats import Interval, known, seed_interval, show

REPRODUCED, NOT_REPRODUCED, NOT_SHOWN = "reproduced", "not reproduced", "not shown at this scale"
NOT_MEASURED = "not measured"
UNKNOWN = Interval(np.nan, np.nan, np.nan)
VERDICTS = (REPRODUCED, NOT_REPRODUCED, NOT_SHOWN, NOT_MEASURED)


@dataclass(frozen=True)
class Finding:
    """What the results say of a claim.

    Attributes:
        ours: our value in words.
        verdict: one of VERDICTS.
        source: result file that it comes from, empty if it was computed on the spot.
        scale: of that result.
        value: the number behind it, with its interval where there is one.
    """

    ours: str
    verdict: str
    source: str = ""
    scale: str = ""
    value: Interval = UNKNOWN


MISSING = Finding("no result", NOT_MEASURED)


class Shelf:
    """The results at hand, by study."""

    def __init__(self, results: Iterable[tuple[str, Result]]):
        self.results = list(results)  # (file name, result)

    def of(self, study: str, **attributes: Any) -> list[tuple[str, Result]]:
        """Results of a study whose attributes are as given, those of more seeds first."""
        found = [
            (name, result)
            for name, result in self.results
            if result.attributes["study"] == study
            and all(result.attributes.get(key) == value for key, value in attributes.items())
        ]
        return sorted(found, key=lambda pair: -len(pair[1].axes.get("seed", ())))


Judge = Callable[[Shelf], list[Finding]]


def verdict(spans: Sequence[Interval | dict[str, Any]], want: int) -> str:
    """Verdict on a difference that the claim has above zero (``want`` 1) or below (-1), from its intervals."""
    ends = [(span["low"], span["high"]) if isinstance(span, dict) else (span.low, span.high) for span in spans]
    if not all(known(low) and known(high) for low, high in ends):
        return NOT_SHOWN
    if all(low > 0 for low, _ in ends):
        return REPRODUCED if want > 0 else NOT_REPRODUCED
    if all(high < 0 for _, high in ends):
        return REPRODUCED if want < 0 else NOT_REPRODUCED
    return NOT_SHOWN


def difference(values: np.ndarray) -> Interval:
    """Interval over seeds of per-seed differences ``(seed,)``."""
    return seed_interval(np.asarray(values, np.float64))


def methods_of(result: Result) -> list[str]:
    return [str(method) for method in result.axes["method"]]


def policies(
    metric: str, method: str | None, reference: str = ORIGINAL, want: int = 1, study: str = "finding1"
) -> Judge:
    """Whether the policies of ``method`` (None: the task's balanced weight) beat those of ``reference`` at the end."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of(study):
            other = method or balanced(result.attributes["task"])
            if metric not in result.data or not {other, reference} <= set(methods_of(result)):
                continue
            last = result.values(metric)[..., -1]
            at = methods_of(result).index
            gap = difference(last[at(other)] - last[at(reference)])
            spans = [show(seed_interval(last[at(m)])._asdict()) for m in (other, reference)]
            task = result.attributes["task"]
            words = f"{task}, {result.attributes['mode']}: {other} {spans[0]}, {reference} {spans[1]}"
            findings.append(Finding(words, verdict([gap], want), name, result.attributes["scale"], gap))
        return findings or [MISSING]

    return judge


def paired_error(method: str | None) -> Judge:
    """Whether dreams of ``method`` predict held-out rewards better than those of w_r = 1, window by window."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of("finding1", mode="offline"):
            other = method or balanced(result.attributes["task"])
            pair = result.notes.get("paired", {}).get(other)
            if not pair:
                continue
            words = f"{result.attributes['task']}: {other} minus {ORIGINAL} {show(pair)} over episodes"
            if known(pair["over_seeds"]["low"]):
                words += f", {show(pair['over_seeds'])} over seeds"
            span = Interval(*(pair[end] for end in ("mean", "low", "high")))
            findings.append(
                Finding(words, verdict([pair, pair["over_seeds"]], -1), name, result.attributes["scale"], span)
            )
        return findings or [MISSING]

    return judge


def regression(kind: str) -> Judge:
    """Whether object positions are read off the balanced model's representation with less error (Fig. 2c)."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of("state_regression"):
            other, at = balanced(result.attributes["task"]), methods_of(result).index
            if not {other, ORIGINAL} <= set(methods_of(result)):
                continue
            errors = result.values(f"mlp/{kind}").mean(2)  # (method, seed, object)
            for j, thing in enumerate(map(str, result.axes["object"])):
                gap = difference(errors[at(other), :, j] - errors[at(ORIGINAL), :, j])
                spans = [show(seed_interval(errors[at(m), :, j])._asdict()) for m in (other, ORIGINAL)]
                data = result.notes["protocol"]["data"]
                words = f"{result.attributes['task']}, {thing} ({data}): {other} {spans[0]}, {ORIGINAL} {spans[1]}"
                findings.append(Finding(words, verdict([gap], -1), name, result.attributes["scale"], gap))
        return findings or [MISSING]

    return judge


def wrong_dreams(event: str, wrong: str) -> Judge:
    """Whether the balanced model has fewer wrong dreams under altered actions (Finding 2)."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of("counterfactual"):
            other = balanced(result.attributes["task"])
            row = result.notes["final"].get(f"{event}/{wrong}_rate", {})
            if other not in row or ORIGINAL not in row:
                continue
            gaps = [row[other][f"paired_over_{over}"] for over in ("seeds", "episodes")]
            spans = [show(row[m]["over_seeds"]) for m in (other, ORIGINAL)]
            words = f"{result.attributes['task']}: {other} {spans[0]}, {ORIGINAL} {spans[1]}, {row['cases']} cases"
            span = Interval(*(gaps[0][end] for end in ("mean", "low", "high")))
            findings.append(Finding(words, verdict(gaps, -1), name, result.attributes["scale"], span))
        return findings or [MISSING]

    return judge


def frames(shelf: Shelf) -> list[Finding]:
    """Whether dreams that only the balanced model has right are more frequent than the reverse (Fig. 3)."""
    findings = []
    for name, result in shelf.of("finding2"):
        row = result.notes["final"]["eventful"]
        second, first = (row.get(f"only {which} right") for which in ("second", "first"))
        if second is None or first is None:
            continue
        ends = [second["over_seeds"], first["over_seeds"]]
        words = (
            f"{result.attributes['task']}: only {methods_of(result)[1]} right {show(ends[0])}, only "
            f"{methods_of(result)[0]} right {show(ends[1])} of {row['windows']} eventful windows"
        )
        apart = all(known(end["low"]) for end in ends)
        if apart and ends[0]["low"] > ends[1]["high"]:
            found = REPRODUCED
        elif apart and ends[1]["low"] > ends[0]["high"]:
            found = NOT_REPRODUCED
        else:
            found = NOT_SHOWN
        findings.append(Finding(words, found, name, result.attributes["scale"]))
    return findings or [MISSING]


def orders_of_magnitude(shelf: Shelf) -> list[Finding]:
    """Whether L_o / L_r with w_r = 1 lies between 10^1.5 and 10^2.5 in the second half of training (Fig. 2b)."""
    findings = []
    for name, result in shelf.of("loss_scales"):
        span = result.notes["final"]["loss ratio observation / reward"].get(ORIGINAL)
        if span is None:
            continue
        low, high = (span["low"], span["high"]) if known(span["low"]) else (span["mean"], span["mean"])
        inside = low >= 10**1.5 and high <= 10**2.5
        outside = high < 10**1.5 or low > 10**2.5
        found = REPRODUCED if inside else NOT_REPRODUCED if outside else NOT_SHOWN
        words = f"{result.attributes['task']}: L_o / L_r = {show(span)}"
        findings.append(Finding(words, found, name, result.attributes["scale"], Interval(span["mean"], low, high)))
    return findings or [MISSING]


def without_observations(shelf: Shelf) -> list[Finding]:
    """Whether (w_r = 100, w_o = 1) predicts rewards better than (w_r = 100, w_o = 0) (E.10)."""
    findings = []
    for name, result in shelf.of("reward_mse"):
        row = result.notes["final"].get(IMPLICIT)
        if row is None or result.notes["final"]["reference"] != "w_r=100":
            continue
        gaps = [row[f"paired_over_{over}"] for over in ("seeds", "episodes")]
        spans = [show(result.notes["final"][m]["over_seeds"]) for m in ("w_r=100", IMPLICIT)]
        words = f"{result.attributes['task']}: w_o = 1 {spans[0]}, w_o = 0 {spans[1]}"
        span = Interval(*(gaps[0][end] for end in ("mean", "low", "high")))
        findings.append(Finding(words, verdict(gaps, 1), name, result.attributes["scale"], span))
    return findings or [MISSING]


def order_of_coefficients(shelf: Shelf) -> list[Finding]:
    """Whether the reward coefficient is higher on Lever Pull than on Handle Pull Side at the end (Fig. 23)."""
    pair = [shelf.of("coefficients", task=task)[:1] for task in ("lever_pull", "handle_pull_side")]
    if not all(pair):
        return [MISSING]
    (lever_file, lever), (handle_file, handle) = pair[0][0], pair[1][0]
    spans = [seed_interval(result.values("weight/reward")[0, :, -1]) for result in (lever, handle)]
    words = f"lever_pull {show(spans[0]._asdict())}, handle_pull_side {show(spans[1]._asdict())}"
    if not all(known(span.low) for span in spans) or lever.attributes["preset"] != handle.attributes["preset"]:
        found = NOT_SHOWN
    elif spans[0].low > spans[1].high:
        found = REPRODUCED
    else:
        found = NOT_REPRODUCED if spans[1].low > spans[0].high else NOT_SHOWN
    return [Finding(words, found, f"{lever_file}, {handle_file}", lever.attributes["scale"])]
