"""Lists the judges by name, as ``claims.toml`` calls them.

Each entry makes a judge from a claim's arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from analysis.ledger import algebra, atari, judges, judges_of_dreams, judges_of_losses, judges_of_models, timing
from analysis.ledger.verdicts import NOT_MEASURED, Finding, Judge, ResultFiles, judge


def better(method: str, reference: str, study: str, margin: float = 0.0, task: str = "") -> Judge:
    """Compares a method with another: online by return, offline by open-loop reward error.

    Args:
        method: that is claimed to be better.
        reference: method to compare with; the best of several, if ``|`` stands between them.
        study: whose results are read.
        margin: above 0 for "no worse": a share of the reference's mean.
        task: of the results; every task if empty.
    """
    return judges.combined(
        judges.curves("return", method, reference, 1, study, margin, task),
        judges.dreams(method, reference, study, -1, margin, task),
    )


def similar(method: str, reference: str, study: str, margin: float, task: str = "", collapsing: str = "") -> Judge:
    """Compares as ``better`` does, for a difference within the margin; a method that collapses shows nothing."""
    compare = judges.combined(
        judges.curves("return", method, reference, 0, study, margin, task),
        judges.dreams(method, reference, study, 0, margin, task),
    )
    return judges_of_losses.with_collapse(compare, collapsing) if collapsing else compare


@judge
def not_attempted(files: ResultFiles) -> Iterator[Finding]:
    """Finds that a claim was not attempted."""
    yield Finding("not attempted", NOT_MEASURED)


_MAKERS = (
    *(algebra.bounded, algebra.closed_form, algebra.loss_scale),
    *(atari.table_2, timing.cost, better, similar, not_attempted),
    *(judges.curves, judges.dreams, judges.more_variable),
    *(judges_of_dreams.discrimination, judges_of_dreams.frames, judges_of_dreams.made_up),
    *(judges_of_dreams.without_observations, judges_of_dreams.wrong_dreams),
    *(judges_of_losses.analytic, judges_of_losses.near_zero, judges_of_losses.order_of_coefficients),
    *(judges_of_losses.orders_of_magnitude, judges_of_losses.unrectified),
    *(judges_of_models.poorer_representation, judges_of_models.regression, judges_of_models.whole_state),
)
JUDGES: dict[str, Callable[..., Judge]] = {make.__name__: make for make in _MAKERS}
