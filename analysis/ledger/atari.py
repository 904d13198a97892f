"""The sentences of the paper about Table 2, as ``analysis/results/atari_checks.py`` answers them."""

from __future__ import annotations

from analysis.ledger.verdicts import IN_PART, MISSING, NOT_REPRODUCED, REPRODUCED, UNDECIDABLE, Finding, Judge, Shelf

ANSWERS = {"yes": REPRODUCED, "no": NOT_REPRODUCED, "in part": IN_PART, "open": UNDECIDABLE}


def sentence(check: str) -> Judge:
    """What our own check of a sentence about Table 2 says, by the check's name."""

    def judge(shelf: Shelf) -> list[Finding]:
        for name, result in shelf.of("atari_table"):
            for row in result.notes["checks"]:
                if row["name"] == check:
                    words = row["ours"]
                    if isinstance(words, dict):
                        words = "; ".join(f"{key}: {value}" for key, value in words.items())
                    told = [str(part) for part in (words, row["remark"]) if part not in (None, "")]
                    return [Finding("; ".join(told), ANSWERS[row["holds"]], name, "paper")]
        return [MISSING]

    return judge
