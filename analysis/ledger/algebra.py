"""Claims about the harmonious losses themselves, checked on the balancer's own total."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from analysis.ledger.verdicts import NOT_REPRODUCED, REPRODUCED, Finding, Judge, Shelf
from analysis.results.stats import Interval
from hdream_core.balancers import Harmony, analytic_weight

LOSSES = (0.01, 0.3, 1.0, 50.0, 11_000.0)  # expected losses that the closed forms are tried on
CLOSE = 1e-2


def _minimised(rectified: bool, loss: float) -> float:
    """The weight at which the balancer's own total is least for a constant loss."""
    balancer = Harmony(["loss"], rectified)

    @torch.no_grad()
    def total(s: float) -> float:
        balancer.s["loss"].fill_(s)
        return float(balancer({"loss": torch.tensor(loss)})[0])

    return float(np.exp(-minimize_scalar(total, bounds=(-20, 20), method="bounded", options={"xatol": 1e-6}).x))


def _told(worst: float, words: str, holds: bool) -> list[Finding]:
    found = REPRODUCED if holds else NOT_REPRODUCED
    words = f"{words} for losses from {LOSSES[0]:g} to {LOSSES[-1]:g}"
    return [Finding(words, found, value=Interval(worst, np.nan, np.nan))]


def closed_form(rectified: bool) -> Judge:
    """Whether the loss of Eq. 5 (``rectified``) or of Eq. 4 is least at the closed form."""

    def judge(shelf: Shelf) -> list[Finding]:
        worst = max(abs(_minimised(rectified, loss) / analytic_weight(loss, rectified) - 1) for loss in LOSSES)
        return _told(worst, f"largest relative difference {worst:.1e}", worst < CLOSE)

    return judge


def loss_scale(rectified: bool) -> Judge:
    """Whether E[L] / sigma* is what Sec. 3 says that it is."""

    def judge(shelf: Shelf) -> list[Finding]:
        stated = {loss: 2 / (1 + (1 + 4 / loss) ** 0.5) if rectified else 1.0 for loss in LOSSES}
        worst = max(abs(loss * _minimised(rectified, loss) / stated[loss] - 1) for loss in LOSSES)
        beneath = max(loss * analytic_weight(loss, rectified) for loss in LOSSES) < 1
        words = f"largest relative difference {worst:.1e}"
        words += f", scales from {min(stated.values()):.2g} to {max(stated.values()):.4f}" if rectified else ""
        return _told(worst, words, worst < CLOSE and beneath == rectified)

    return judge


def bounded(shelf: Shelf) -> list[Finding]:
    """Whether the weight of a tiny loss is far smaller with Eq. 5 than with Eq. 4 (Fig. 4, right)."""
    loss = 1e-4
    rectified, plain = (_minimised(flag, loss) for flag in (True, False))
    found = REPRODUCED if rectified < plain / 10 else NOT_REPRODUCED
    return [Finding(f"for a loss of {loss:g}: {rectified:.0f} with Eq. 5, {plain:.0f} with Eq. 4", found)]
