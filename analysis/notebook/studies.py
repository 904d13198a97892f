"""What the studies say of all that a notebook shows an example of: rates, the ledger's verdicts, captions, errors."""

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
    """How often dreams are wrong in the studies of Finding 2, per method, with 95 % intervals over training seeds."""
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
    for found, which, words in (
        (kinds_of_dreams.right, "moving", "is right, reward moves"),
        (kinds_of_dreams.right, "still", "is right, reward stands still"),
        (kinds_of_dreams.made_up, "still and low", "makes rewards up, reward low and still"),
    ):
        if split[which].any():
            hits = found(finding2)[..., split[which]].mean(-1)  # (method, seed)
            spans = zip(finding2.axes["method"], hits, strict=True)
            shares = {str(m): _share(seed_interval(hit, within=SHARE)._asdict()) for m, hit in spans}
            table.append(("finding2", words, shares | {"of": f"{split[which].sum()} windows"}))
    index = pd.MultiIndex.from_tuples([row[:2] for row in table], names=["study", "how often a dream"])
    return pd.DataFrame([row[2] for row in table], index)


def _share(span: Mapping[str, float | None]) -> str:
    """An interval in per cent."""
    return show({end: None if not known(value) else round(100 * value, 1) for end, value in span.items()}) + " %"


def ledger(folder: Path = SHIPPED) -> pd.DataFrame:
    """The ledger's rows, judged now from the result files of a folder."""
    return judged(folder)


def verdicts(rows: pd.DataFrame) -> str:
    """Rows of the ledger as a list in Markdown: claim, verdict, our numbers."""
    other = " (By an earlier rule the verdict is another: the ledger's footnotes.)"
    return "\n".join(
        f"- {row.claim} ({row.source}): **{row.verdict}**. {row.ours}.{other if row.without else ''}"
        for row in rows.itertuples()
    )


def item(
    study: str, drawn: Sequence[tuple[str, Path]], rows: pd.DataFrame, folder: Path = SHIPPED
) -> list[tuple[str, Path]]:
    """Figures of a study, those that several files share first, each with what ours shows: how it was measured, and the
    ledger's verdicts by its files that do not stand above already; in Markdown.

    Args:
        study: of ``figures.shared.page.PAPER``.
        drawn: as ``figures.gallery.redraw`` returns it.
        rows: of the ledger.
        folder: of the result files.
    """
    files = {picture: folder / f"{picture.stem}.h5" for name, picture in drawn if name == study}
    found, told = [], pd.Series(False, rows.index)
    for picture, own in sorted(files.items(), key=lambda pair: pair[1].exists()):
        sources = [own] if own.exists() else [path for path in files_of(folder) if path.name.startswith(f"{study}_")]
        ours = rows["result"].map(lambda names: any(path.name in names.split(", ") for path in sources))  # noqa: B023
        text = verdicts(rows[ours & ~told]) or f"- {'Verdicts: above.' if ours.any() else 'No claim is judged by it.'}"
        found.append((f"{page.caption(sources)}\n\n{text}", picture))
        told |= ours
    return found


def study_errors(result: Result) -> pd.DataFrame:
    """The study's errors on episodes not fitted on, MLP, with 95 % intervals over training seeds, in the same form.

    ``lower``: the method whose error is lower, where the intervals of the paired difference over seeds and over
    episodes both leave out zero.
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
