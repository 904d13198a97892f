"""Reads what the studies say about a notebook's examples: rates, verdicts, captions and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.ledger.judged import judged
from analysis.models.representation import KINDS
from analysis.notebook.probes import NAMES
from analysis.results import kinds_of_dreams
from analysis.results.schema import SHIPPED, Result, files_of
from analysis.results.stats import SHARE, known, seed_interval, show
from figures import page


def rates(counterfactual: Result, finding2: Result) -> pd.DataFrame:
    """Returns how often predictions are wrong in the studies of Finding 2, with 95 % intervals over seeds."""
    table = []
    for key, words in (
        ("averted", "dreams of a reward that the actions avert"),
        ("hallucination", "dreams of a reward that does not come"),
        ("miss", "misses a reward that comes"),
    ):
        if row := counterfactual.notes["final"].get(f"reward/{key}_rate"):
            shares = {str(m): _share(row[str(m)]["over_seeds"]) for m in counterfactual.axes["method"]}
            table.append(
                ("counterfactual", words, shares | {"of": f"{row['cases']} cases, {row['episodes']} episodes"})
            )
    split = kinds_of_dreams.splits(finding2)
    for kind, which, words in (
        (kinds_of_dreams.right, "moving", "is right, reward moves"),
        (kinds_of_dreams.right, "still", "is right, reward stands still"),
        (kinds_of_dreams.made_up, "still and low", "makes rewards up, reward low and still"),
    ):
        if split[which].any():
            hits = kind(finding2)[..., split[which]].mean(-1)  # (method, seed)
            spans = zip(finding2.axes["method"], hits, strict=True)
            shares = {str(m): _share(seed_interval(hit, within=SHARE)._asdict()) for m, hit in spans}
            table.append(("finding2", words, shares | {"of": f"{split[which].sum()} windows"}))
    index = pd.MultiIndex.from_tuples([row[:2] for row in table], names=["study", "how often a dream"])
    return pd.DataFrame([row[2] for row in table], index)


def _share(span: Mapping[str, float | None]) -> str:
    """Formats an interval in per cent."""
    return show({end: None if not known(value) else round(100 * value, 1) for end, value in span.items()}) + " %"


def ledger() -> pd.DataFrame:
    """Returns the ledger's rows, judged from the shipped results."""
    return judged(SHIPPED)


def verdicts(rows: pd.DataFrame) -> str:
    """Formats rows of the ledger as a list in Markdown: claim, verdict, our numbers."""
    other = " (By an earlier rule the verdict is another: the ledger's footnotes.)"
    return "\n".join(
        f"- {row.claim} ({row.source}): **{row.verdict}**. {row.ours}.{other if row.without else ''}"
        for row in rows.itertuples()
    )


def item(study: str, drawn: Sequence[tuple[str, Path]], rows: pd.DataFrame) -> list[tuple[str, Path]]:
    """Returns the figures of a study, each with a text in Markdown: how it was measured, and the verdicts by its files.

    Figures of several files come first. A verdict is not repeated.

    Args:
        study: of ``figures.shared.page.PAPER``.
        drawn: as ``figures.gallery.redraw`` returns it.
        rows: of the ledger.
    """
    files = {picture: SHIPPED / f"{picture.stem}.h5" for name, picture in drawn if name == study}
    items, shown = [], pd.Series(False, rows.index)
    for picture, own in sorted(files.items(), key=lambda pair: pair[1].exists()):
        sources = [own] if own.exists() else [path for path in files_of(SHIPPED) if path.name.startswith(f"{study}_")]
        ours = rows["result"].map(lambda names: any(path.name in names.split(", ") for path in sources))  # noqa: B023
        text = verdicts(rows[ours & ~shown]) or f"- {'Verdicts: above.' if ours.any() else 'No claim is judged by it.'}"
        items.append((f"{page.caption(sources)}\n\n{text}", picture))
        shown |= ours
    return items


def study_errors(result: Result) -> pd.DataFrame:
    """Returns the MLP's errors on held-out episodes in a study, with 95 % intervals over seeds.

    ``lower`` is the method with the lower error, if both intervals of the paired difference exclude zero.
    """
    first, second = result.methods[:2]
    rows = {}
    for kind in KINDS:
        constant = np.nanmean(result.values(f"constant/{kind}"), (0, 1, 2))
        for j, thing in enumerate(map(str, result.axes["object"])):
            row = result.notes["final"][kind][thing]
            gaps = [row[second][f"paired_over_{over}"] for over in ("seeds", "episodes")]
            signs = {np.sign(gap[end]) for gap in gaps for end in ("low", "high") if known(gap[end])}
            sure = len(signs) == 1 and all(known(gap["low"]) for gap in gaps)
            rows[NAMES[kind], thing] = {
                "constant": f"{constant[j]:.3g}",
                **{name: show(row[name]["over_seeds"]) for name in (first, second)},
                "lower": (second if signs == {-1.0} else first) if sure else "not shown",
            }
    return pd.DataFrame(rows.values(), pd.MultiIndex.from_tuples(rows, names=["features", "object"]))
