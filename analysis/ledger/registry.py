"""The judges by name, as ``claims.toml`` calls them.

What stands here returns a judge when it is given a claim's arguments; a judge looks at the results at hand.
"""

from __future__ import annotations

from collections.abc import Callable

from analysis.ledger import algebra, atari, judges, judges_of_dreams, judges_of_losses, judges_of_models, timing
from analysis.ledger.verdicts import NOT_MEASURED, Finding, Judge, Shelf

BALANCED = "balanced weight"  # stands for the task's own larger reward weight


def curves(metric: str, method: str, reference: str, want: int = 1) -> Judge:
    """Compares policies online, as ``judges.curves``; the method may be ``BALANCED`` or ``judges.OTHERS``."""
    return judges.curves(metric, None if method == BALANCED else method, reference, want)


def dreams(method: str, reference: str) -> Judge:
    """Compares reward errors of dreams offline, as ``judges.dreams``; the method as for ``curves``."""
    return judges.dreams(None if method == BALANCED else method, reference)


def better(method: str, reference: str, study: str, margin: float = 0.0, task: str = "") -> Judge:
    """Compares a method with another, online by return, offline by the reward error of dreams.

    Args:
        method: that is claimed to be better.
        reference: than which; with ``|`` between them, the best of several.
        study: whose results are looked at.
        margin: above 0 for "no worse": a share of the reference's mean.
        task: of those results; all tasks if empty.
    """
    return _compared(method, reference, study, margin, task, online=1, offline=-1)


def similar(method: str, reference: str, study: str, margin: float, task: str = "", collapsing: str = "") -> Judge:
    """Compares as ``better`` does, for a difference within the margin; a method that collapses shows nothing."""
    judge = _compared(method, reference, study, margin, task, online=0, offline=0)
    return judges_of_losses.with_collapse(judge, collapsing) if collapsing else judge


def _compared(method: str, reference: str, study: str, margin: float, task: str, online: int, offline: int) -> Judge:
    of = {"task": task} if task else {}
    return judges.both(
        judges.curves("return", method, reference, online, study, margin, **of),
        judges.dreams(method, reference, study, offline, margin, **of),
    )


def _not_attempted(shelf: Shelf) -> list[Finding]:
    return [Finding("not attempted", NOT_MEASURED)]


JUDGES: dict[str, Callable[..., Judge]] = {
    "analytic": judges_of_losses.analytic,
    "better": better,
    "bounded": lambda: algebra.bounded,
    "closed_form": algebra.closed_form,
    "cost": lambda: timing.cost,
    "curves": curves,
    "discrimination": judges_of_dreams.discrimination,
    "dreams": dreams,
    "frames": lambda: judges_of_dreams.frames,
    "loss_scale": algebra.loss_scale,
    "made_up": lambda: judges_of_dreams.made_up,
    "more_variable": judges.more_variable,
    "near_zero": lambda: judges_of_losses.near_zero,
    "not_attempted": lambda: _not_attempted,
    "order_of_coefficients": lambda: judges_of_losses.order_of_coefficients,
    "orders_of_magnitude": lambda: judges_of_losses.orders_of_magnitude,
    "poorer_representation": lambda: judges_of_models.poorer_representation,
    "regression": judges_of_models.regression,
    "similar": similar,
    "table_2": atari.sentence,
    "unrectified": judges_of_losses.unrectified,
    "whole_state": judges_of_models.whole_state,
    "without_observations": lambda: judges_of_dreams.without_observations,
    "wrong_dreams": judges_of_dreams.wrong_dreams,
}
