"""How results decide a claim: the rule of verdicts, written before the results.

A judge looks at the results at hand and returns a ``Finding`` for each that speaks to its claim. Where a comparison is
asked, the measure is the difference of two methods, seed by seed, and one rule serves all:

- *reproduced* if the 95 % interval over seeds leaves out zero on the claim's side, *not reproduced* if it does on the
  other side, else *not shown at this scale*;
- where the two were compared on the same held-out windows or episodes, the interval over episodes must say the same;
- fewer than three seeds show nothing; a file of runs that still go on is left out.

"No worse" has a margin, stated with the claim: the interval must lie above minus the margin.

Rules changed after results are marked so, here or with the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.methods import IMPLICIT, ORIGINAL, balanced
from analysis.results import Result
from analysis.stats import Interval, cluster_interval, known, read_interval, seed_interval, show

REPRODUCED, NOT_REPRODUCED, NOT_SHOWN = "reproduced", "not reproduced", "not shown at this scale"
NOT_MEASURED = "not measured"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, NOT_SHOWN, NOT_MEASURED)
UNKNOWN = Interval(np.nan, np.nan, np.nan)
FEWEST_SEEDS = 3
# Share of still windows in which a probe that is any use may see motion; set after a first result, whose probe saw it
# in most of them, and before any other.
WORST_FLOOR = 0.5
LEAST_SEEN = 0.5  # share of moving windows in which it must see motion; set after the second result, as above
MISSES = 0.05  # by so much more may the balanced model miss what happens
SELF = ("hand", "tip", "goal")  # positions that are no object's


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
        """Finished results of a study whose attributes are as given."""
        return [
            (name, result)
            for name, result in self.results
            if result.attributes["study"] == study
            and result.attributes.get("complete", True)
            and all(result.attributes.get(key) == value for key, value in attributes.items())
        ]


Judge = Callable[[Shelf], list[Finding]]


def verdict(spans: Sequence[Interval], want: int, seeds: int, margin: float = 0.0) -> str:
    """Verdict on a difference.

    Args:
        spans: its intervals, all of which must agree.
        want: 1 if the claim has it above zero, -1 if below.
        seeds: training seeds behind it.
        margin: 0 for "better"; above, for "no worse by more than this".
    """
    if seeds < FEWEST_SEEDS or not all(known(span.low) and known(span.high) for span in spans):
        return NOT_SHOWN
    towards = [sorted((want * span.low, want * span.high)) for span in spans]
    if all(low > -margin for low, _ in towards):
        return REPRODUCED
    return NOT_REPRODUCED if all(high < -margin for _, high in towards) else NOT_SHOWN


def methods_of(result: Result) -> list[str]:
    """Names on the axis of methods."""
    return [str(method) for method in result.axes["method"]]


def has(result: Result, *methods: str) -> bool:
    """Whether a result has all these methods."""
    return set(methods) <= set(methods_of(result))


def _found(name: str, result: Result, words: str, spans: Sequence[Interval], want: int, margin: float = 0.0) -> Finding:
    seeds = len(result.axes["seed"])
    told = f"{result.attributes['task']}: {words}"
    return Finding(told, verdict(spans, want, seeds, margin), name, result.attributes["scale"], spans[0])


def _told(values: np.ndarray) -> str:
    return show(seed_interval(values)._asdict())


def curves(
    metric: str, method: str | None, reference: str, want: int = 1, study: str = "finding1", margin: float = 0.0
) -> Judge:
    """Online sample efficiency: the mean of a metric over all evaluations, that is, the area under its curve.

    Args:
        metric: ``return`` or ``success``.
        method: whose policies are claimed to be better (None: the task's balanced weight).
        reference: than whose; with commas and ``|`` between them, the best of several.
        want: 1 for better, -1 for worse.
        study: whose results are looked at.
        margin: of "no worse", as a share of the reference's mean.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of(study, mode="online"):
            other, references = method or balanced(result.attributes["task"]), reference.split("|")
            if metric not in result.data or not has(result, other, *references):
                continue
            area = dict(zip(methods_of(result), result.values(metric).mean(-1), strict=True))  # (seed,) each
            best = max(references, key=lambda m: area[m].mean())
            gap = seed_interval(area[other] - area[best])
            words = f"online, {other} {_told(area[other])}, {best} {_told(area[best])}"
            findings.append(_found(name, result, words, [gap], want, margin * abs(float(area[best].mean()))))
        return findings or [MISSING]

    return judge


def dreams(method: str | None, reference: str, study: str = "finding1", want: int = -1, margin: float = 0.0) -> Judge:
    """Held-out reward error of dreams, offline, window by window; arguments as for ``curves``."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of(study, mode="offline"):
            other, references = method or balanced(result.attributes["task"]), reference.split("|")
            if "window/error" not in result.data or not has(result, other, *references):
                continue
            error = dict(zip(methods_of(result), result.values("window/error"), strict=True))  # (seed, window) each
            best = min(references, key=lambda m: error[m].mean())
            gap = error[other] - error[best]
            spans = [seed_interval(gap.mean(1)), cluster_interval(gap.mean(0), result.values("window/episode"))]
            words = f"offline, {other} {_told(error[other].mean(1))}, {best} {_told(error[best].mean(1))}"
            findings.append(_found(name, result, words, spans, want, margin * float(error[best].mean())))
        return findings or [MISSING]

    return judge


def both(*judges: Judge) -> Judge:
    """What several judges find, without the ones that found nothing."""

    def judge(shelf: Shelf) -> list[Finding]:
        found = [finding for one in judges for finding in one(shelf)]
        return [finding for finding in found if finding != MISSING] or [MISSING]

    return judge


def regression(kind: str) -> Judge:
    """Whether positions of objects are read off the balanced model's representation with less error (Fig. 2c)."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result in shelf.of("state_regression"):
            other = balanced(result.attributes["task"])
            if not has(result, other) or result.notes["final"]["reference"] != ORIGINAL:
                continue
            for thing, row in result.notes["final"][kind].items():
                if thing in SELF:
                    continue
                data = result.notes["protocol"]["data"]
                cells = [f"{m} {show(row[m]['over_seeds'])}" for m in (other, ORIGINAL)]
                spans = [read_interval(row[other][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
                findings.append(_found(name, result, f"{thing}, data: {data}, {', '.join(cells)}", spans, -1))
        return findings or [MISSING]

    return judge


def wrong_dreams(event: str, wrong: str, margin: float = 0.0) -> Judge:
    """Whether the balanced model has fewer wrong dreams, and not by dreaming of nothing.

    A model that never dreams of the event has no hallucinations. So fewer of them count only if its misses are shown to
    be no more, within ``MISSES``. A probe that sees motion where there is none cannot tell what a dream has.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result, other in _branched(shelf):
            if event == "object" and (words := _probe_cannot_tell(result)):
                findings.append(Finding(words, NOT_MEASURED, name, result.attributes["scale"]))
                continue
            row = result.notes["final"].get(f"{event}/{wrong}_rate", {})
            if other not in row:
                continue
            cells = [f"{m} {show(row[m]['over_seeds'])}" for m in (other, ORIGINAL)]
            spans = [read_interval(row[other][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
            words = f"{', '.join(cells)}, {row['cases']} cases"
            finding = _found(name, result, words, spans, -1, margin)
            if wrong != "miss" and finding.verdict == REPRODUCED:
                misses = result.notes["final"].get(f"{event}/miss_rate", {}).get(other, {})
                ends = [misses.get(f"paired_over_{over}", {}).get("high") for over in ("seeds", "episodes")]
                if not all(end is not None and end < MISSES for end in ends):
                    words = f"{words}; but its misses are not shown to be no more"
                    finding = Finding(words, NOT_SHOWN, name, finding.scale, finding.value)
            findings.append(finding)
        return findings or [MISSING]

    return judge


def _probe_cannot_tell(result: Result) -> str:
    """What is wrong with the probe of a study of branches, on frames that were seen; empty if it is of use."""
    floor, seen = np.nanmax(result.values("object/floor")), np.nanmin(result.values("object/seen"))
    if floor > WORST_FLOOR:
        return f"not judged: the probe sees motion in {floor:.0%} of the seen windows that have none"
    return (
        f"not judged: the probe sees motion in {seen:.0%} of the seen windows that have some"
        if seen < LEAST_SEEN
        else ""
    )


def discrimination(event: str) -> Judge:
    """Whether the balanced model knows better which actions avert an event, see ``wrong_dreams.discrimination``."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result, other in _branched(shelf):
            row = result.notes["final"].get(f"{event}/discrimination", {})
            if other in row:
                cells = [f"{m} {show(row[m]['over_seeds'])}" for m in (other, ORIGINAL)]
                spans = [read_interval(row[other][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
                findings.append(_found(name, result, f"{', '.join(cells)}, {row['cases']} branches", spans, 1))
        return findings or [MISSING]

    return judge


def _branched(shelf: Shelf) -> list[tuple[str, Result, str]]:
    """Results of the study of branches, each with its file's name and its task's balanced method."""
    found = shelf.of("counterfactual")
    return [(n, r, balanced(r.attributes["task"])) for n, r in found if r.notes["final"]["reference"] == ORIGINAL]


def frames(shelf: Shelf) -> list[Finding]:
    """Whether dreams that only the balanced model has right are more frequent than the reverse (Fig. 3)."""
    findings = []
    for name, result in shelf.of("finding2"):
        row = result.notes["final"]["eventful"]
        if methods_of(result) != [ORIGINAL, balanced(result.attributes["task"])] or not row["windows"]:
            continue
        cells = [f"only {m} right {show(row[f'only {which} right']['over_seeds'])}"
                 for which, m in zip(("second", "first"), reversed(methods_of(result)), strict=True)]  # fmt: skip
        spans = [read_interval(row["difference"][f"over_{over}"]) for over in ("seeds", "episodes")]
        words = f"{', '.join(cells)} of {row['windows']} eventful windows"
        findings.append(_found(name, result, words, spans, 1))
    return findings or [MISSING]


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


def without_observations(shelf: Shelf) -> list[Finding]:
    """Whether (w_r = 100, w_o = 1) predicts rewards better than (w_r = 100, w_o = 0) (E.10)."""
    findings = []
    for name, result in shelf.of("reward_mse"):
        final = result.notes["final"]
        if IMPLICIT not in final or final["reference"] != "w_r=100":
            continue
        spans = [read_interval(final[IMPLICIT][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
        cells = [f"w_o = {w} {show(final[m]['over_seeds'])}" for w, m in ((1, "w_r=100"), (0, IMPLICIT))]
        findings.append(_found(name, result, ", ".join(cells), spans, 1))
    return findings or [MISSING]


def poorer_representation(shelf: Shelf) -> list[Finding]:
    """Whether the object's position is read off the decoder-free model's representation with more error."""
    findings = []
    for name, result in shelf.of("finding3"):
        if not has(result, IMPLICIT, "w_r=100"):
            continue
        error = dict(zip(methods_of(result), result.values("mlp/posterior"), strict=True))  # (seed,) each
        words = f"w_o = 0 {_told(error[IMPLICIT])}, w_o = 1 {_told(error['w_r=100'])}"
        findings.append(_found(name, result, words, [seed_interval(error[IMPLICIT] - error["w_r=100"])], 1))
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
            shared = min(map(len, ends))
            gap = seed_interval(ends[0][:shared] - ends[1][:shared])
            words = f"lever_pull {_told(ends[0])}, handle_pull_side {_told(ends[1])}"
            found = verdict([gap], 1, shared)
            findings.append(Finding(words, found, f"{lever_file}, {handle_file}", lever.attributes["scale"], gap))
    return findings or [MISSING]


def _as_long(one: Result, other: Result) -> bool:
    """Whether two results are of runs of one length and rate of harmonizers: s moves about one rate an update."""

    def pace(result: Result) -> set[tuple[Any, ...]]:
        settings = [(config["train"], config["model"]) for config in result.config.values()]
        return {(train["steps"], train["train_every"], model["harmonizer_lr"]) for train, model in settings}

    return pace(one) == pace(other)
