"""Judges the paper's sentences about Table 2 by the checks in ``analysis/results/atari_checks.py``."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.ledger.verdicts import IN_PART, NOT_REPRODUCED, REPRODUCED, UNDECIDABLE, Finding, ResultFiles, judge

ANSWERS = {"yes": REPRODUCED, "no": NOT_REPRODUCED, "in part": IN_PART, "open": UNDECIDABLE}


@judge
def table_2(files: ResultFiles, check: str) -> Iterator[Finding]:
    """Reports what our check of a sentence about Table 2 says, by the check's name."""
    for name, result in files.of("atari_table"):
        for row in result.notes["checks"]:
            if row["name"] == check:
                ours = row["ours"]
                if isinstance(ours, dict):
                    ours = "; ".join(f"{key}: {value}" for key, value in ours.items())
                text = "; ".join(str(part) for part in (ours, row["remark"]) if part not in (None, ""))
                yield Finding(text, ANSWERS[row["holds"]], name, "paper")
                return  # one table is enough
