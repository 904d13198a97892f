"""Judges of trained models: what their representations tell, and what they dream."""

from __future__ import annotations

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
                findings.append(compared(name, result, f"{thing}, data: {data}, {', '.join(cells)}", spans, -1))
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
