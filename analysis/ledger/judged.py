"""The ledger's rows: one for each claim and each result that speaks to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.ledger.changes import SAME, changes_of
from analysis.ledger.verdicts import Shelf
from analysis.results.schema import files_of, load, using
from hdream_core.support.words import counted

if TYPE_CHECKING:
    import pandas as pd


def table(shelf: Shelf) -> pd.DataFrame:
    """One row for each claim and each result that speaks to it.

    ``notes`` are the footnotes of a row, ``differs`` whether one of them has another verdict.
    """
    import pandas as pd

    from analysis.ledger.rows import LEDGER  # and torch: a bad file is refused before

    rows = []
    for kind, claims in LEDGER.items():
        for claim in claims:
            with using(f"results that {claim.name} is judged by"):
                findings = claim.judge(shelf)
            for finding in findings:
                changes = changes_of(claim.name, finding.source)
                rows.append(
                    {
                        "claim": claim.text,
                        "source": claim.source,
                        "paper": claim.paper,
                        "ours": finding.ours,
                        "scale": finding.scale,
                        "verdict": finding.verdict,
                        "rule": claim.rule,
                        "result": finding.source,
                        "name": claim.name,
                        "kind": kind,
                        "notes": [change.footnote for change in changes],
                        "differs": any(change.earlier not in ("", SAME, finding.verdict) for change in changes),
                        **{end: getattr(finding.value, end) for end in ("mean", "low", "high")},
                    }
                )
    return pd.DataFrame(rows)


def judged(folder: Path) -> pd.DataFrame:
    """The ledger's rows, judged from the result files of a folder; those of the preset smoke say nothing and stay out.

    Raises:
        ResultError: if there is no such folder, a file in it is no result, or one that ships with the code is missing.
    """
    found = [(path.name, load(path)) for path in files_of(folder) if path.name != "claims.h5"]
    tests = [name for name, result in found if result.attributes["preset"] == "smoke"]
    if tests:
        which = f"{counted(len(tests), 'file')} of preset smoke, a test of the machinery whose numbers mean nothing"
        print(f"left out: {which} ({', '.join(tests)})", file=sys.stderr)
    return table(Shelf((name, result) for name, result in found if name not in tests))
