"""Judges of trained models: what their representations tell, and what they dream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.methods import IMPLICIT, ORIGINAL, balanced
from analysis.results import Result
from analysis.stats import cluster_interval, read_interval, seed_interval, show
from analysis.verdicts import (
    MISSING,
    NOT_MEASURED,
    NOT_SHOWN,
    REPRODUCED,
    Finding,
    Judge,
    Shelf,
    compared,
    has,
    methods_of,
    probe_cannot_tell,
    told,
)

MISSES = 0.05  # by so much more may the balanced model miss what happens
SELF = ("hand", "tip", "goal")  # positions that are no object's


def regression(kind: str) -> Judge:
    """Whether positions of objects are read off the balanced model's representation with less error (Fig. 2c).

    A finding for each object; the other positions that the probe decodes stand beside it in its words.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result, other in _regressed(shelf):
            table = result.notes["final"][kind]
            ends = {thing: [_mean(row[m]) for m in (other, ORIGINAL)] for thing, row in table.items() if thing in SELF}
            beside = ", ".join(f"{thing} {' and '.join(each)}" for thing, each in ends.items())
            for thing, row in table.items():
                if thing in SELF:
                    continue
                cells = [f"{m} {show(row[m]['over_seeds'])}" for m in (other, ORIGINAL)]
                spans = [read_interval(row[other][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
                words = f"{_data(result)}; {thing} {', '.join(cells)}; beside it {beside}"
                findings.append(compared(name, result, words, spans, -1))
        return findings or [MISSING]

    return judge


def whole_state(kind: str) -> Judge:
    """Whether all that the probe decodes, taken together, is read off with less error (C.4 has one loss).

    The mean squared distances of all positions are added up: C.4's MSE, but for the number of coordinates.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result, other in _regressed(shelf):
            errors = result.values(f"mlp/{kind}").mean(2).sum(-1)  # (method, seed, episode), averaged over fits
            errors = errors[:, :, np.isfinite(errors).all((0, 1))]
            if not errors.size:
                continue
            error = dict(zip(methods_of(result), errors, strict=True))
            gap = error[other] - error[ORIGINAL]
            spans = [seed_interval(gap.mean(1)), cluster_interval(gap.mean(0), np.arange(gap.shape[1]))]
            cells = [f"{m} {told(error[m].mean(1))}" for m in (other, ORIGINAL)]
            things = " + ".join(map(str, result.axes["object"]))
            findings.append(compared(name, result, f"{_data(result)}; {things} {', '.join(cells)}", spans, -1))
        return findings or [MISSING]

    return judge


def _regressed(shelf: Shelf) -> list[tuple[str, Result, str]]:
    """Results of state regression against w_r = 1, each with its file's name and its task's balanced method."""
    found = [(n, r, balanced(r.attributes["task"])) for n, r in shelf.of("state_regression")]
    return [(n, r, m) for n, r, m in found if has(r, m, ORIGINAL) and r.notes["final"]["reference"] == ORIGINAL]


def _data(result: Result) -> str:
    return f"data: {result.notes['protocol']['data']}, {result.notes['final']['unit']}"


def _mean(row: Mapping[str, Any]) -> str:
    return f"{row['over_seeds']['mean']:.3g}"


def wrong_dreams(event: str, wrong: str, margin: float = 0.0) -> Judge:
    """Whether the balanced model has fewer wrong dreams, and not by dreaming of nothing.

    A model that never dreams of the event has no hallucinations. So fewer of them count only if its misses are shown to
    be no more, within ``MISSES``. A probe that sees motion where there is none cannot tell what a dream has.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result, other in _branched(shelf):
            if event == "object" and (words := probe_cannot_tell(result)):
                findings.append(Finding(words, NOT_MEASURED, name, result.attributes["scale"]))
                continue
            row = result.notes["final"].get(f"{event}/{wrong}_rate", {})
            if other not in row:
                continue
            cells = [f"{m} {show(row[m]['over_seeds'])}" for m in (other, ORIGINAL)]
            spans = [read_interval(row[other][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
            words = f"{', '.join(cells)}, {row['cases']} cases of {row['episodes']} episodes"
            finding = compared(name, result, words, spans, -1, margin)
            if wrong != "miss" and finding.verdict == REPRODUCED:
                misses = result.notes["final"].get(f"{event}/miss_rate", {}).get(other, {})
                ends = [misses.get(f"paired_over_{over}", {}).get("high") for over in ("seeds", "episodes")]
                if not all(end is not None and end < MISSES for end in ends):
                    words = f"{words}; but its misses are not shown to be no more"
                    finding = Finding(words, NOT_SHOWN, name, finding.scale, finding.value)
            findings.append(finding)
        return findings or [MISSING]

    return judge


def discrimination(event: str) -> Judge:
    """Whether the balanced model knows better which actions avert an event, see ``wrong_dreams.discrimination``."""

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result, other in _branched(shelf):
            row = result.notes["final"].get(f"{event}/discrimination", {})
            if other in row:
                cells = [f"{m} {show(row[m]['over_seeds'])}" for m in (other, ORIGINAL)]
                spans = [read_interval(row[other][f"paired_over_{over}"]) for over in ("seeds", "episodes")]
                findings.append(
                    compared(
                        name,
                        result,
                        f"{', '.join(cells)}, {row['cases']} branches of {row['episodes']} episodes",
                        spans,
                        1,
                    )
                )
        return findings or [MISSING]

    return judge


def _branched(shelf: Shelf) -> list[tuple[str, Result, str]]:
    """Results of the study of branches, each with its file's name and its task's balanced method."""
    found = shelf.of("counterfactual")
    return [(n, r, balanced(r.attributes["task"])) for n, r in found if r.notes["final"]["reference"] == ORIGINAL]


def frames(shelf: Shelf) -> list[Finding]:
    """Whether dreams that only the balanced model has right are more frequent than the reverse (Fig. 3).

    In windows whose true reward moves, and in those where it does not.
    """
    findings = []
    for name, result in shelf.of("finding2"):
        if methods_of(result) != [ORIGINAL, balanced(result.attributes["task"])]:
            continue
        for split in ("moving", "still"):
            row = result.notes["final"][split]
            if not row["windows"]:
                continue
            cells = [f"only {m} right {show(row[f'only {which} right']['over_seeds'])}"
                     for which, m in zip(("second", "first"), reversed(methods_of(result)), strict=True)]  # fmt: skip
            spans = [read_interval(row["difference"][f"over_{over}"]) for over in ("seeds", "episodes")]
            words = f"{', '.join(cells)} of {row['windows']} windows, true reward {split}"
            findings.append(compared(name, result, words, spans, 1))
    return findings or [MISSING]


def made_up(shelf: Shelf) -> list[Finding]:
    """Whether the original model dreams more often of rewards that do not come (Fig. 3's own case).

    In windows whose true reward does not move.
    """
    findings = []
    for name, result in shelf.of("finding2"):
        row = result.notes["final"]["still"]
        if methods_of(result) != [ORIGINAL, balanced(result.attributes["task"])] or "difference in made up" not in row:
            continue
        cells = [f"{m} {show(row[f'made up by {which}']['over_seeds'])}"
                 for which, m in zip(("first", "second"), methods_of(result), strict=True)]  # fmt: skip
        spans = [read_interval(row["difference in made up"][f"over_{over}"]) for over in ("seeds", "episodes")]
        words = f"rewards made up, {', '.join(cells)} of {row['windows']} windows, true reward still"
        findings.append(compared(name, result, words, spans, 1))
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
        findings.append(compared(name, result, ", ".join(cells), spans, 1))
    return findings or [MISSING]


def poorer_representation(shelf: Shelf) -> list[Finding]:
    """Whether the object's position is read off the decoder-free model's representation with more error."""
    findings = []
    for name, result in shelf.of("finding3"):
        if not has(result, IMPLICIT, "w_r=100"):
            continue
        error = dict(zip(methods_of(result), result.values("mlp/posterior"), strict=True))  # (seed, episode) each
        gap = error[IMPLICIT] - error["w_r=100"]
        spans = [seed_interval(gap.mean(1)), cluster_interval(gap.mean(0), np.arange(gap.shape[1]))]
        words = f"w_o = 0 {told(error[IMPLICIT].mean(1))}, w_o = 1 {told(error['w_r=100'].mean(1))}"
        findings.append(compared(name, result, words, spans, 1))
    return findings or [MISSING]
