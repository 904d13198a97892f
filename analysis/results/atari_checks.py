"""Checks every sentence of the paper about its Atari table against the table's own numbers.

The sentences are in ``atari_checks.toml``. The rules:

- a printed aggregate follows if the printed scores give it at its precision, or could give it with other rounding;
- one method matches another in a game if its score is no lower, or, with the caption's tolerance, at most 5 % lower;
- a difference in an aggregate is shown if the paired 95 % interval over games excludes zero.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.results import atari
from analysis.results.atari import BASE, OURS, Table, gains, matched, percent, rounding_range
from analysis.results.stats import Interval


@dataclass(frozen=True)
class Check:
    """Holds a sentence of the paper, and what the table says about it.

    Attributes:
        name: of the check.
        claim: the sentence, shortened to what is checked.
        where: its section.
        stated: the value that the paper gives.
        ours: the value computed from the printed scores.
        holds: ``yes``, ``no``, ``in part`` or ``open``.
        remark: what the answer leaves out.
    """

    name: str
    claim: str
    where: str
    stated: Any
    ours: Any
    holds: str
    remark: str = ""


YES, NO, IN_PART, OPEN = "yes", "no", "in part", "open"
Answer = tuple[Any, Any, bool | str] | tuple[Any, Any, bool | str, str]  # stated, ours, holds, remark
_CHECKS: dict[str, Callable[[Table], Answer]] = {}


def _check(find: Callable[[Table], Answer]) -> Callable[[Table], Answer]:
    """Registers a check under its function's name."""
    _CHECKS[find.__name__] = find
    return find


def checks(table: Table) -> list[Check]:
    """Returns a check of every sentence; differences are in percentage points of the human's score."""
    found = []
    for name, text in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")).items():
        stated, ours, holds, *remark = _CHECKS[name](table)
        answer = holds if isinstance(holds, str) else YES if holds else NO
        found.append(Check(name, text["claim"], text["where"], stated, ours, answer, *remark))
    return found


@_check
def state_of_the_art(table: Table) -> Answer:
    ranks = {}
    for name in atari.STATISTICS:
        scores = {method: table.statistic(name, method) for method in atari.METHODS}
        ranks[f"rank by {name}"] = 1 + sum(score > scores[OURS] for score in scores.values())
    # One game alone could make a record: is it first by mean whichever game is left out?
    means = {game: table.normalised.drop(game)[list(atari.METHODS)].mean() for game in table.scores.index}
    passed = [game for game, mean in means.items() if mean.max() > mean[OURS]]
    ours = ranks | {"games without which another is first by mean": passed}
    ours["methods that the table has"] = len(atari.METHODS)
    return {"rank by mean": 1}, ours, ranks["rank by mean"] == 1


@_check
def consistently(table: Table) -> Answer:
    difference = table.scores[OURS] - table.scores[BASE]
    counts = {"higher": difference > 0, "equal": difference == 0, "lower": difference < 0}
    ours = {name: int(games.sum()) for name, games in counts.items()}
    ours["lower by over 5 %"] = len(difference) - matched(table, table.scores[BASE], atari.TOLERANCE)
    remark = f"read game by game: {ours['lower']} of {len(difference)} are lower" if ours["lower"] else ""
    return {"lower": 0}, ours, not ours["lower"], remark


@_check
def gain_in_mean(table: Table) -> Answer:
    (ours, half), (base, other_half) = (percent(table.printed.at["mean", column]) for column in (OURS, BASE))
    each = table.normalised[OURS] - table.normalised[BASE]
    most = str(each.idxmax())
    share = float(each[most] / each.sum())
    found = {
        "gain": _points(each.mean()),
        "gain over the original": _points(gains(table, OURS, atari.ORIGINAL)["mean"].mean),
        f"share of {most}": round(share, 3),
        f"gain without {most}": _points(each.drop(most).mean()),
    }
    follows = abs(each.mean() - (ours - base)) <= half + other_half
    return _points(ours - base), found, follows, f"{most} alone carries {100 * share:.0f} % of it" if follows else ""


@_check
def unleash_potentials(table: Table) -> Answer:
    found = {name: _points(gain.mean) for name, gain in gains(table, OURS, BASE).items()}
    return "higher", found, min(found.values()) > 0


@_check
def games(table: Table) -> Answer:
    return atari.GAMES, len(table.scores), len(table.scores) == atari.GAMES


@_check
def columns_as_reported(table: Table) -> Answer:
    return "equal", None, OPEN, "cannot be checked from the table"


@_check
def reproduced_comparable(table: Table) -> Answer:
    found = gains(table, BASE, atari.ORIGINAL)
    base, original = table.scores[BASE], table.scores[atari.ORIGINAL]
    shown = [name for name, gain in found.items() if gain.low > 0 or gain.high < 0]
    close = int(((base - original).abs() <= atari.TOLERANCE * original.abs()).sum())
    ours = {name: _show(gain) for name, gain in found.items()} | {"games within 5 %": close}
    if shown:
        return "comparable", ours, NO, f"{', '.join(shown)} differ"
    return "comparable", ours, OPEN, "no difference is shown in the aggregates, nor that there is none"


@_check
def crazy_climber(table: Table) -> Answer:
    each = table.normalised[BASE] - table.normalised[atari.ORIGINAL]
    scores = table.scores.copy()
    scores.loc[atari.CLIMBER, BASE] = scores.at[atari.CLIMBER, atari.ORIGINAL]
    both = table, Table(scores, table.printed)
    share = round(float(each[atari.CLIMBER] / each.sum()), 3)
    ours: dict[str, Any] = {"largest loss": str(each.idxmin()), "share of the mean's gap": share}
    holds = []
    for name in atari.PRINTED:
        gap, left = (t.statistic(name, BASE) - t.statistic(name, atari.ORIGINAL) for t in both)
        ours |= {f"gap in {name}": _points(gap), f"gap in {name} with the original's score there": _points(left)}
        primarily = gap < 0 and left - gap > abs(gap) / 2  # more than half of the gap goes with the game
        holds.append(primarily)
    said = "; ".join(f"{'yes' if one else 'no'} for the {name}" for name, one in zip(atari.PRINTED, holds, strict=True))
    return {"largest loss": atari.CLIMBER}, ours, all(holds) if len(set(holds)) == 1 else IN_PART, said


@_check
def significantly_improves(table: Table) -> Answer:
    found = {reference: gains(table, OURS, reference) for reference in (BASE, atari.ORIGINAL)}
    shown = [name for name, gain in found[BASE].items() if gain.low > 0]
    missing = [name for name in atari.STATISTICS if name not in shown]
    ours = {f"{k} over {reference}": _show(gain) for reference, by in found.items() for k, gain in by.items()}
    said = f"shown for {', '.join(shown) or 'nothing'}; not shown for {', '.join(missing)}" if missing else ""
    return "higher", ours, (IN_PART if shown else OPEN) if missing else YES, said


@_check
def matches_or_surpasses(table: Table) -> Answer:
    stated = 23
    references = {
        "reproduced": table.scores[BASE],
        "original": table.scores[atari.ORIGINAL],
        "lower of the two": table.scores[[BASE, atari.ORIGINAL]].min(axis=1),
    }
    counts = {
        f"{name}, {text}": matched(table, reference, tolerance)
        for name, reference in references.items()
        for text, tolerance in (("as printed", 0.0), ("5 % tolerance", atari.TOLERANCE))
    }
    readings = [name for name, count in counts.items() if count == stated]
    least, below = atari.tolerances_for(table, references["reproduced"], stated)
    ours = counts | {f"reproduced, tolerance that gives {stated}": f"{100 * least:.1f} % to {100 * below:.1f} %"}
    return stated, ours, bool(readings), f"against {'; '.join(readings)}" if readings else ""


def _follows(table: Table, name: str, column: str) -> bool:
    """Whether the printed aggregate follows from the printed scores, or could with other rounding."""
    stated, half = percent(table.printed.at[name, column])
    low, high = rounding_range(table, name, column)
    return low - half <= stated <= high + half


def _aggregate(table: Table, name: str) -> Answer:
    low, high = rounding_range(table, name, OURS)
    ours = {
        "from the scores": round(100 * table.statistic(name, OURS), 2),
        "their rounding allows": f"{100 * low:.1f} to {100 * high:.1f}",
    }
    return _points(percent(table.printed.at[name, OURS])[0]), ours, _follows(table, name, OURS)


_CHECKS |= {f"harmony_{name}": functools.partial(_aggregate, name=name) for name in atari.PRINTED}


@_check
def other_aggregates(table: Table) -> Answer:
    others = [(name, column) for name in atari.PRINTED for column in atari.COLUMNS if column != OURS]
    follow = sum(_follows(table, name, column) for name, column in others)
    return len(others), follow, follow == len(others)


@_check
def bold(table: Table) -> Answer:
    best = table.scores[list(atari.METHODS)].max(axis=1)
    ours = {
        atari.COLUMNS[m]: int((table.scores[m] >= best - atari.TOLERANCE * best.abs()).sum()) for m in atari.METHODS
    }
    return None, ours, OPEN, "the text at hand has no bold type"


def _points(fraction: float) -> float:
    """Returns percentage points at the precision that the paper prints."""
    return round(100 * float(fraction), 1)


def _show(gain: Interval) -> str:
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
