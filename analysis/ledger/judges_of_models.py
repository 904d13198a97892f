"""Judges of what trained models' representations tell of the true state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.ledger.verdicts import MISSING, NOT_MEASURED, Finding, Judge, Shelf, balanced, compared, has
from analysis.results import comparisons
from analysis.results.schema import Result, fewer
from analysis.results.stats import FIXED, read_interval, show
from analysis.runs.methods import IMPLICIT, ORIGINAL

SELF = ("hand", "tip", "goal")  # positions that are no object's


def regression(kind: str) -> Judge:
    """Whether positions of objects are read off the balanced model's representation with less error (Fig. 2c).

    A finding for each object; the other positions that the probe decodes stand beside it in its words.
    """

    def judge(shelf: Shelf) -> list[Finding]:
        findings = []
        for name, result, other in _regressed(shelf):
            table = result.notes["final"][kind]
            ends = {
                thing: [_mean(row[m]) for m in (other, ORIGINAL)]
                for thing, row in table.items()
                if thing in SELF and _moves(row, other)
            }
            beside = ", ".join(f"{thing} {' and '.join(each)}" for thing, each in ends.items())
            for thing, row in table.items():
                if thing in SELF:
                    continue
                if not _moves(row, other):
                    words = f"{result.attributes['task']}: {_data(result)}; {thing} never moves in these episodes"
                    findings.append(Finding(words, NOT_MEASURED, name, result.attributes["scale"]))
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
            if not comparisons.has(result, measure := comparisons.whole_state(kind)):
                continue
            spans = comparisons.difference(result, measure, other, ORIGINAL)
            cells = [f"{m} {show(comparisons.mean_of(result, measure, m)._asdict())}" for m in (other, ORIGINAL)]
            things = " + ".join(map(str, result.axes["object"]))
            findings.append(compared(name, result, f"{_data(result)}; {things} {', '.join(cells)}", spans, -1))
        return findings or [MISSING]

    return judge


def _regressed(shelf: Shelf) -> list[tuple[str, Result, str]]:
    """Results of state regression against w_r = 1, each with its file's name and its task's balanced method."""
    found = [(n, r, balanced(r)) for n, r in shelf.of("state_regression")]
    return [(n, r, m) for n, r, m in found if has(r, m, ORIGINAL) and r.notes["final"]["reference"] == ORIGINAL]


def _data(result: Result) -> str:
    """What the probe was examined on; how much of it, where that is less than was asked for."""
    protocol = result.notes["protocol"]
    text = f"data: {protocol['data']}, {result.notes['final']['unit']}"
    size = fewer(result, protocol["segments"], "segments") if "segments" in protocol else ""
    return f"{text}, {size}, from {protocol['episodes']} episodes" if size else text


def _moves(row: Mapping[str, Any], other: str) -> bool:
    """Whether a position changes: one that does not is read off anything without error."""
    return max(row[m]["over_seeds"]["mean"] for m in (other, ORIGINAL)) > FIXED


def _mean(row: Mapping[str, Any]) -> str:
    return f"{row['over_seeds']['mean']:.3g}"


def poorer_representation(shelf: Shelf) -> list[Finding]:
    """Whether the object's position is read off the decoder-free model's representation with more error."""
    findings = []
    for name, result in shelf.of("finding3"):
        if not has(result, IMPLICIT, "w_r=100"):
            continue
        spans = comparisons.difference(result, "mlp/posterior", IMPLICIT, "w_r=100")
        cells = [show(comparisons.mean_of(result, "mlp/posterior", m)._asdict()) for m in (IMPLICIT, "w_r=100")]
        findings.append(compared(name, result, f"w_o = 0 {cells[0]}, w_o = 1 {cells[1]}", spans, 1))
    return findings or [MISSING]
