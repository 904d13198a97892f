"""Makes the ledger's rows: one for each claim and each result that speaks to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.ledger.verdicts import ResultFiles
from analysis.results.schema import files_of, load, using
from hdream_core.support.words import counted

if TYPE_CHECKING:
    import pandas as pd


def table(files: ResultFiles) -> pd.DataFrame:
    """Judges each claim by each result that speaks to it; returns a row for each.

    ``notes`` are the footnotes of a row. ``without`` are the verdicts that it would have without these changes.
    """
    import pandas as pd

    from analysis.ledger.entries import SAME, read_changes, read_claims  # imports torch; bad files are refused first

    claims, rows = read_claims(), []
    changes = read_changes(claim.entry.name for claim in claims)
    for claim in claims:
        entry = claim.entry
        with using(f"results that {entry.name} is judged by"):
            findings = claim.judge(files)
        for found in findings:
            after = [change for change in changes if change.concerns(entry.name, found.source)]
            other = dict.fromkeys(c.without for c in after if c.without not in (None, SAME, found.verdict))
            rows.append(
                {
                    "verdict": found.verdict,
                    "claim": entry.text,
                    "source": entry.source,
                    "expected": entry.expected,
                    "ours": found.ours,
                    "scale": found.scale,
                    "rule": entry.rule,
                    "result": found.source,
                    "name": entry.name,
                    "kind": claim.group,
                    "notes": [change.footnote for change in after],
                    "without": list(other),
                    **{end: getattr(found.value, end) for end in ("mean", "low", "high")},
                }
            )
    return pd.DataFrame(rows)


def judged(folder: Path) -> pd.DataFrame:
    """Judges the claims by the result files of a folder; returns the ledger's rows. Preset smoke is left out.

    Raises:
        ResultError: if there is no such folder, a file in it is no result, or one that ships with the code is missing.
    """
    found = [(path.name, load(path)) for path in files_of(folder) if path.name != "claims.h5"]
    tests = [name for name, result in found if result.attributes["preset"] == "smoke"]
    if tests:
        which = f"{counted(len(tests), 'file')} of preset smoke, a test of the machinery whose numbers mean nothing"
        print(f"left out: {which} ({', '.join(tests)})", file=sys.stderr)
    return table(ResultFiles((name, result) for name, result in found if name not in tests))
