"""Judges how well the true state is read off the features of trained models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from analysis.ledger.verdicts import (
    NOT_MEASURED,
    Finding,
    ResultFiles,
    balanced,
    judge,
    judge_difference,
    stored,
)
from analysis.results import comparisons, measures
from analysis.results.schema import Result, fewer
from analysis.results.stats import FIXED, show
from analysis.runs.methods import IMPLICIT, ORIGINAL

NOT_OBJECTS = ("hand", "tip", "goal")  # positions that a probe also reads


@judge
def regression(files: ResultFiles, kind: str) -> Iterator[Finding]:
    """Asks whether positions of objects are read off the balanced model's features with less error (Fig. 2c).

    It finds one thing for each object. The errors of the other positions that the probe reads stand in the text.
    """
    for name, result, other in _regressed(files):
        table = result.notes["final"][kind]
        moving = {thing: row for thing, row in table.items() if _moves(row, other)}
        beside = ", ".join(
            f"{thing} {' and '.join(f'{_mean(row, m):.3g}' for m in (other, ORIGINAL))}"
            for thing, row in moving.items()
            if thing in NOT_OBJECTS
        )
        for thing, row in table.items():
            if thing in NOT_OBJECTS:
                continue
            if thing not in moving:
                text = f"{result.attributes['task']}: {_data(result)}; {thing} never moves in these episodes"
                yield Finding(text, NOT_MEASURED, name, result.attributes["scale"])
                continue
            each = ", ".join(f"{m} {show(row[m]['over_seeds'])}" for m in (other, ORIGINAL))
            text = f"{_data(result)}; {thing} {each}; beside it {beside}"
            yield judge_difference(name, result, text, stored(row[other], "paired_"), -1)


@judge
def whole_state(files: ResultFiles, kind: str) -> Iterator[Finding]:
    """Asks whether all positions that the probe reads, taken together, have less error (C.4 has one loss).

    The mean squared distances of all positions are added up. That is C.4's loss but for the number of coordinates.
    """
    measure = measures.whole_state(kind)
    for name, result, other in _regressed(files):
        if comparisons.has(result, measure):
            intervals = comparisons.difference(result, measure, other, ORIGINAL)
            each = ", ".join(f"{m} {show(comparisons.mean_of(result, measure, m))}" for m in (other, ORIGINAL))
            text = f"{_data(result)}; {' + '.join(map(str, result.axes['object']))} {each}"
            yield judge_difference(name, result, text, intervals, -1)


def _regressed(files: ResultFiles) -> Iterator[tuple[str, Result, str]]:
    """Yields results of state regression against w_r = 1, with the file's name and the task's balanced method."""
    for name, result in files.of("state_regression", ORIGINAL):
        if balanced(result) in result.methods and result.notes["final"]["reference"] == ORIGINAL:
            yield name, result, balanced(result)


def _data(result: Result) -> str:
    """Returns which data the probe was tested on, and how much of it if that is less than was asked for."""
    protocol = result.notes["protocol"]
    text = f"data: {protocol['data']}, {result.notes['final']['unit']}"
    size = fewer(result, protocol["segments"], "segments") if "segments" in protocol else ""
    return f"{text}, {size}, from {protocol['episodes']} episodes" if size else text


def _mean(row: Mapping[str, Any], method: str) -> float:
    return row[method]["over_seeds"]["mean"]


def _moves(row: Mapping[str, Any], other: str) -> bool:
    """Whether a position changes: a position that never does is read without error."""
    return max(_mean(row, m) for m in (other, ORIGINAL)) > FIXED


@judge
def poorer_representation(files: ResultFiles) -> Iterator[Finding]:
    """Asks whether the object's position is read off the decoder-free model's features with more error."""
    for name, result in files.of("finding3", IMPLICIT, "w_r=100"):
        intervals = comparisons.difference(result, "mlp/posterior", IMPLICIT, "w_r=100")
        without, with_it = (show(comparisons.mean_of(result, "mlp/posterior", m)) for m in (IMPLICIT, "w_r=100"))
        yield judge_difference(name, result, f"w_o = 0 {without}, w_o = 1 {with_it}", intervals, 1)
