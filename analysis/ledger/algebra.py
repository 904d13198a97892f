"""Judges claims about the harmonious losses themselves, on the balancer's own total."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from analysis.ledger.verdicts import NOT_REPRODUCED, REPRODUCED, Finding, ResultFiles, judge
from analysis.results.stats import Interval
from hdream_core.balancers import Harmony, analytic_weight

LOSSES = (0.01, 0.3, 1.0, 50.0, 11_000.0)  # expected losses that the closed forms are tried on
CLOSE = 1e-2


def _minimised(rectified: bool, loss: float) -> float:
    """Returns the weight at which the balancer's own total is least for a constant loss."""
    balancer = Harmony(["loss"], rectified)

    @torch.no_grad()
    def total(s: float) -> float:
        balancer.s["loss"].fill_(s)
        return float(balancer({"loss": torch.tensor(loss)})[0])

    return float(np.exp(-minimize_scalar(total, bounds=(-20, 20), method="bounded", options={"xatol": 1e-6}).x))


def _finding(largest: float, more: str, holds: bool) -> Finding:
    text = f"largest relative difference {largest:.1e}{more} for losses from {LOSSES[0]:g} to {LOSSES[-1]:g}"
    return Finding(text, REPRODUCED if holds else NOT_REPRODUCED, value=Interval(largest, np.nan, np.nan))


@judge
def closed_form(files: ResultFiles, rectified: bool) -> Iterator[Finding]:
    """Asks whether the loss of Eq. 5 (``rectified``) or of Eq. 4 is least at the closed form."""
    largest = max(abs(_minimised(rectified, loss) / analytic_weight(loss, rectified) - 1) for loss in LOSSES)
    yield _finding(largest, "", largest < CLOSE)


@judge
def loss_scale(files: ResultFiles, rectified: bool) -> Iterator[Finding]:
    """Asks whether E[L] / sigma* is what Sec. 3 says that it is."""
    stated = {loss: 2 / (1 + (1 + 4 / loss) ** 0.5) if rectified else 1.0 for loss in LOSSES}
    largest = max(abs(loss * _minimised(rectified, loss) / stated[loss] - 1) for loss in LOSSES)
    below_one = max(loss * analytic_weight(loss, rectified) for loss in LOSSES) < 1
    scales = f", scales from {min(stated.values()):.2g} to {max(stated.values()):.4f}" if rectified else ""
    yield _finding(largest, scales, largest < CLOSE and below_one == rectified)


@judge
def bounded(files: ResultFiles) -> Iterator[Finding]:
    """Asks whether the weight of a tiny loss is far smaller with Eq. 5 than with Eq. 4 (Fig. 4, right)."""
    loss = 1e-4
    rectified, plain = (_minimised(flag, loss) for flag in (True, False))
    verdict = REPRODUCED if rectified < plain / 10 else NOT_REPRODUCED
    yield Finding(f"for a loss of {loss:g}: {rectified:.0f} with Eq. 5, {plain:.0f} with Eq. 4", verdict)
