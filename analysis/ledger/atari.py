"""The sentences of the paper about Table 2, as ``analysis/results/atari_checks.py`` answers them."""

from __future__ import annotations

from analysis.ledger.verdicts import (
    IN_PART,
    MISSING,
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDABLE,
    Claim,
    Finding,
    Judge,
    Shelf,
)

ANSWERS = {"yes": REPRODUCED, "no": NOT_REPRODUCED, "in part": IN_PART, "open": UNDECIDABLE}


def _atari(check: str) -> Judge:
    """Our own check of a sentence about Table 2."""

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


_TABLE = "computed again from the printed scores (analysis/results/atari_checks.py)"
# Name, what the paper says, where, its value, the check.
_SENTENCES = (
    ("23", "Matches or surpasses DreamerV3 in 23 of 26 environments", "E.1, Table 2", "23", "matches_or_surpasses"),
    ("mean", "136.5 % of mean human performance", "Sec. 1, Sec. 4.4, E.1, Table 2", "136.5 %", "harmony_mean"),
    ("median", "Median 67.1 %", "Table 2", "67.1 %", "harmony_median"),
    ("improves", "Significantly improves upon the base method", "E.1", "higher", "significantly_improves"),
    ("unleash", "Harmony DreamerV3 unleashes the potential of DreamerV3", "D.1", "higher", "unleash_potentials"),
    ("consistent", "Consistently promotes sample efficiency, read game by game (ours)", "Sec. 1", "in all",
     "consistently"),
    ("climber", "The reproduced score's gap is primarily Crazy Climber's", "E.1", "the main cause", "crazy_climber"),
    ("gain", "Improves DreamerV3 to 136.5 % of mean human performance", "Sec. 4.4, Table 2", "by 28.5", "gain_in_mean"),
    ("comparable", "The reproduced DreamerV3 is comparable to the reported one", "E.1", "comparable",
     "reproduced_comparable"),
    ("as_reported", "The columns of other methods are as their papers report", "E.1", "equal", "columns_as_reported"),
    ("columns", "Mean and median of the other columns", "Table 2", "14 numbers", "other_aggregates"),
    ("bold", "Bold numbers are within 5 % of the best", "Table 2", "", "bold"),
    ("games", "Atari 100K has 26 games", "C.1", "26", "games"),
    ("record", "State of the art on Atari 100K, read as first among the table's methods (ours)",
     "Abstract, Sec. 1, Sec. 4.4, E.1", "first", "state_of_the_art"),
)  # fmt: skip
CLAIMS = tuple(
    Claim(f"atari_{name}", text, source, paper, _TABLE, _atari(check))
    for name, text, source, paper, check in _SENTENCES
)
