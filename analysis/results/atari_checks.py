"""Every sentence of the paper about its Atari table, checked against the table's own numbers.

The rules:

- a printed aggregate follows if the printed scores give it at its precision, or could, if the rounding of all of them
  went its way;
- one method matches another in a game if its score is no lower, or, with the caption's tolerance, at most 5 % lower;
- a difference in an aggregate is shown if the 95 % interval over games, paired, leaves out zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.results.atari import (
    BASE,
    CLIMBER,
    COLUMNS,
    GAMES,
    METHODS,
    ORIGINAL,
    OURS,
    PRINTED,
    STATISTICS,
    TOLERANCE,
    Table,
    gains,
    matched,
    percent,
    rounding_range,
    tolerances_for,
)
from analysis.results.stats import Interval


@dataclass(frozen=True)
class Check:
    """A sentence of the paper against the table.

    Attributes:
        name: short, for reference.
        claim: the sentence, shortened to what is checked.
        where: its section.
        stated: the value that the paper gives.
        ours: the value computed from the printed scores.
        holds: one of HOLDS.
        remark: what the answer leaves out.
    """

    name: str
    claim: str
    where: str
    stated: Any
    ours: Any
    holds: str
    remark: str = ""


HOLDS = YES, NO, IN_PART, OPEN = "yes", "no", "in part", "open"
Finding = tuple[Any, Any, bool | str] | tuple[Any, Any, bool | str, str]  # of a check: stated, ours, holds, remark


def _state_of_the_art(table: Table) -> Finding:
    ranks = {}
    for name in STATISTICS:
        scores = {method: table.statistic(name, method) for method in METHODS}
        ranks[f"rank by {name}"] = 1 + sum(score > scores[OURS] for score in scores.values())
    # First by mean whichever game is left out, too? One game could make a record.
    means = {game: table.normalised.drop(game)[list(METHODS)].mean() for game in table.scores.index}
    passed = [game for game, mean in means.items() if mean.max() > mean[OURS]]
    ours = ranks | {"games without which another is first by mean": passed}
    ours["methods that the table has"] = len(METHODS)
    return {"rank by mean": 1}, ours, ranks["rank by mean"] == 1


def _consistently(table: Table) -> Finding:
    difference = table.scores[OURS] - table.scores[BASE]
    counts = {"higher": difference > 0, "equal": difference == 0, "lower": difference < 0}
    ours = {name: int(games.sum()) for name, games in counts.items()}
    ours["lower by over 5 %"] = len(difference) - matched(table, table.scores[BASE], TOLERANCE)
    remark = f"read game by game: {ours['lower']} of {len(difference)} are lower" if ours["lower"] else ""
    return {"lower": 0}, ours, not ours["lower"], remark


def _gain_in_mean(table: Table) -> Finding:
    (ours, half), (base, other_half) = (percent(table.printed.at["mean", column]) for column in (OURS, BASE))
    each = table.normalised[OURS] - table.normalised[BASE]
    most = str(each.idxmax())
    share = float(each[most] / each.sum())
    found = {
        "gain": _points(each.mean()),
        "gain over the original": _points(gains(table, OURS, ORIGINAL)["mean"].mean),
        f"share of {most}": round(share, 3),
        f"gain without {most}": _points(each.drop(most).mean()),
    }
    follows = abs(each.mean() - (ours - base)) <= half + other_half
    return _points(ours - base), found, follows, f"{most} alone carries {100 * share:.0f} % of it" if follows else ""


def _unleash(table: Table) -> Finding:
    found = {name: _points(gain.mean) for name, gain in gains(table, OURS, BASE).items()}
    return "higher", found, min(found.values()) > 0


def _games(table: Table) -> Finding:
    return GAMES, len(table.scores), len(table.scores) == GAMES


def _columns(table: Table) -> Finding:
    return "equal", None, OPEN, "cannot be checked from the table"


def _comparable(table: Table) -> Finding:
    found = gains(table, BASE, ORIGINAL)
    base, original = table.scores[BASE], table.scores[ORIGINAL]
    shown = [name for name, gain in found.items() if gain.low > 0 or gain.high < 0]
    close = int(((base - original).abs() <= TOLERANCE * original.abs()).sum())
    ours = {name: _show(gain) for name, gain in found.items()} | {"games within 5 %": close}
    if shown:
        return "comparable", ours, NO, f"{', '.join(shown)} differ"
    return "comparable", ours, OPEN, "no difference is shown in the aggregates, nor that there is none"


def _crazy_climber(table: Table) -> Finding:
    each = table.normalised[BASE] - table.normalised[ORIGINAL]
    scores = table.scores.copy()
    scores.loc[CLIMBER, BASE] = scores.at[CLIMBER, ORIGINAL]
    both = table, Table(scores, table.printed)
    share = round(float(each[CLIMBER] / each.sum()), 3)
    ours: dict[str, Any] = {"largest loss": str(each.idxmin()), "share of the mean's gap": share}
    holds = []
    for name in PRINTED:
        gap, left = (t.statistic(name, BASE) - t.statistic(name, ORIGINAL) for t in both)
        ours |= {f"gap in {name}": _points(gap), f"gap in {name} with the original's score there": _points(left)}
        primarily = gap < 0 and left - gap > abs(gap) / 2  # more than half of the gap goes with the game
        holds.append(primarily)
    said = "; ".join(f"{'yes' if one else 'no'} for the {name}" for name, one in zip(PRINTED, holds, strict=True))
    return {"largest loss": CLIMBER}, ours, all(holds) if len(set(holds)) == 1 else IN_PART, said


def _significantly(table: Table) -> Finding:
    found = {reference: gains(table, OURS, reference) for reference in (BASE, ORIGINAL)}
    shown = [name for name, gain in found[BASE].items() if gain.low > 0]
    missing = [name for name in STATISTICS if name not in shown]
    ours = {f"{k} over {reference}": _show(gain) for reference, by in found.items() for k, gain in by.items()}
    said = f"shown for {', '.join(shown) or 'nothing'}; not shown for {', '.join(missing)}" if missing else ""
    return "higher", ours, (IN_PART if shown else OPEN) if missing else YES, said


def _matches_or_surpasses(table: Table) -> Finding:
    stated = 23
    references = {
        "reproduced": table.scores[BASE],
        "original": table.scores[ORIGINAL],
        "lower of the two": table.scores[[BASE, ORIGINAL]].min(axis=1),
    }
    counts = {
        f"{name}, {text}": matched(table, reference, tolerance)
        for name, reference in references.items()
        for text, tolerance in (("as printed", 0.0), ("5 % tolerance", TOLERANCE))
    }
    readings = [name for name, count in counts.items() if count == stated]
    least, below = tolerances_for(table, references["reproduced"], stated)
    ours = counts | {f"reproduced, tolerance that gives {stated}": f"{100 * least:.1f} % to {100 * below:.1f} %"}
    return stated, ours, bool(readings), f"against {'; '.join(readings)}" if readings else ""


def _follows(table: Table, name: str, column: str) -> bool:
    """Whether the printed aggregate follows from the printed scores, or could, by their rounding."""
    stated, half = percent(table.printed.at[name, column])
    low, high = rounding_range(table, name, column)
    return low - half <= stated <= high + half


def _aggregate(name: str) -> Callable[[Table], Finding]:
    def judge(table: Table) -> Finding:
        low, high = rounding_range(table, name, OURS)
        ours = {
            "from the scores": round(100 * table.statistic(name, OURS), 2),
            "their rounding allows": f"{100 * low:.1f} to {100 * high:.1f}",
        }
        return _points(percent(table.printed.at[name, OURS])[0]), ours, _follows(table, name, OURS)

    return judge


def _other_aggregates(table: Table) -> Finding:
    others = [(name, column) for name in PRINTED for column in COLUMNS if column != OURS]
    follow = sum(_follows(table, name, column) for name, column in others)
    return len(others), follow, follow == len(others)


def _bold(table: Table) -> Finding:
    best = table.scores[list(METHODS)].max(axis=1)
    ours = {COLUMNS[m]: int((table.scores[m] >= best - TOLERANCE * best.abs()).sum()) for m in METHODS}
    return None, ours, OPEN, "the text at hand has no bold type"


# Name: where it stands, the sentence cut to what is checked, the judge.
CLAIMS: dict[str, tuple[str, str, Callable[[Table], Finding]]] = {
    "state_of_the_art": (
        "Abstract, Sec. 1, App. E.1; what is in brackets in Sec. 4.4 alone",
        "sets a new state-of-the-art result on the Atari 100K benchmark [among methods without lookahead search]",
        _state_of_the_art,
    ),
    "consistently": ("Sec. 1", "demonstrate that HarmonyDream consistently promotes sample efficiency", _consistently),
    "gain_in_mean": (
        "Sec. 4.4; stated: the printed mean less that of the reproduced DreamerV3",
        "improve DreamerV3 to achieve 136.5% of mean human performance",
        _gain_in_mean,
    ),
    "games": ("App. C.1", "The Atari 100K benchmark contains 26 video games", _games),
    "unleash_potentials": (
        "App. D.1",
        "HarmonyDream applied to DreamerV3 can further unleash the potentials of this base method",
        _unleash,
    ),
    "columns_as_reported": (
        "App. E.1",
        "SimPLe, TWM, IRIS, and DreamerV3 (Original) columns correspond to the scores reported in their papers",
        _columns,
    ),
    "reproduced_comparable": (
        "App. E.1",
        "The reproduced results exhibit performance comparable to the reported results",
        _comparable,
    ),
    "crazy_climber": (
        "App. E.1",
        "discrepancy [...] is primarily attributed to the subpar performance in the Crazy Climber game",
        _crazy_climber,
    ),
    "significantly_improves": (
        "App. E.1",
        "Our Harmony DreamerV3 significantly improves upon the base method’s performance",
        _significantly,
    ),
    "matches_or_surpasses": (
        "App. E.1",
        "It either matches or surpasses DreamerV3 in 23 of the 26 tested environments",
        _matches_or_surpasses,
    ),
    "harmony_mean": ("Sec. 1, Sec. 4.4, App. E.1", "a human mean score of 136.5%", _aggregate("mean")),
    "harmony_median": ("Table 2", "Human Median 67.1%", _aggregate("median")),
    "other_aggregates": ("Table 2", "Human Mean and Human Median of the other columns", _other_aggregates),
    "bold": ("Table 2, caption", "Bold numbers indicate scores within 5% of the best", _bold),
}


def checks(table: Table) -> list[Check]:
    """Every sentence of the paper about the table; differences are in percentage points of the human's score."""
    found = []
    for name, (where, claim, judge) in CLAIMS.items():
        stated, ours, holds, *remark = judge(table)
        answer = holds if isinstance(holds, str) else YES if holds else NO
        found.append(Check(name, claim, where, stated, ours, answer, *remark))
    return found


def _points(fraction: float) -> float:
    """Percentage points, at the precision that the paper prints."""
    return round(100 * float(fraction), 1)


def _show(gain: Interval) -> str:
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
