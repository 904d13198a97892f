"""Judges the test of the mechanism on the miniature with dials: where a reward weight decides what is encoded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analysis.ledger.verdicts import (
    NOT_SHOWN,
    Finding,
    ResultFiles,
    judge,
    range_verdict,
    together,
)
from analysis.results import comparisons
from analysis.results.measures import area
from analysis.results.schema import Result
from analysis.results.stats import read_interval, seed_interval, show

KNOWN = "place_known"
HALF = 0.5  # a place of which a probe reads more than this share of the variance is encoded


@judge
def dial_threshold(files: ResultFiles, factor: float) -> Iterator[Finding]:
    """Asks whether the lever is encoded above the predicted weight and not below it.

    Weights within ``factor`` of the predicted one are too near to it to be asked.
    """
    for name, result in files.of("dial"):
        seeds, told = len(result.axes["seed"]), []
        for method, contrast, w_r in _weights(result):
            predicted = result.notes["prediction"][contrast]["w_r"]
            if predicted / factor < w_r < predicted * factor:
                continue
            span = read_interval(result.notes["final"][KNOWN][method])
            ends = (HALF, np.inf) if w_r >= predicted else (-np.inf, HALF)
            told.append((f"{method}: {show(span)}, w_r* = {predicted:.2g}", range_verdict([span], *ends, seeds)))
        if told:
            text = "; ".join(words for words, _ in told)
            yield Finding(text, together([found for _, found in told]), name, result.attributes["scale"])


@judge
def dial_return(files: ResultFiles) -> Iterator[Finding]:
    """Asks whether agents return more with the weight with which the lever is better known."""
    for name, result in files.of("dial"):
        told = []
        for contrast in result.notes["prediction"]:
            own = sorted((w_r, method) for method, of, w_r in _weights(result) if of == contrast)
            (_, least), (_, most) = own[0], own[-1]
            first, last = (result.values(KNOWN)[result.methods.index(method)] for method in (least, most))
            if not seed_interval(last - first).low > 0:
                continue
            gap = comparisons.difference(result, area("return"), most, least)[0]
            words = f"{most} minus {least}: {show(gap)} in the area under the return"
            told.append((words, range_verdict([gap], 0.0, np.inf, len(result.axes["seed"]))))
        text = "; ".join(words for words, _ in told) or "at no contrast does the weight change what is known"
        verdict = together([found for _, found in told]) if told else NOT_SHOWN
        yield Finding(text, verdict, name, result.attributes["scale"])


def _weights(result: Result) -> Iterator[tuple[str, str, float]]:
    """Yields the methods with a fixed reward weight, with contrast and weight."""
    for method in result.methods:
        contrast, _, weighting = method.removeprefix("contrast=").partition(",")
        if weighting.startswith("w_r="):
            yield method, contrast, float(weighting.removeprefix("w_r="))
