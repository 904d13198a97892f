"""The ledger as a page in Markdown, a row a claim, and as the short table of ``python -m analysis.claims --brief``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from analysis.ledger.verdicts import NOT_MEASURED, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, UNDECIDABLE, VERDICTS
from hdream_core.support import words

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Claims of the paper, and what came out"
DETAILS = "claims.html"
DATA = "../figures/data"  # of the shipped results, from the folder of the shipped pages
SOME = "more in some of their results"
HOW = (
    f"*{REPRODUCED.capitalize()}*: what was computed, or the whole 95 % interval over training seeds, lies where the "
    "claim has it, such as above zero.",
    f"*{NOT_REPRODUCED.capitalize()}*: all of it lies elsewhere. *{NOT_SHOWN.capitalize()}*: part of it does, "
    "or there are fewer than three seeds.",
    "A verdict holds at the scale of its result. Small models and few updates do not contradict the paper.",
    "Where two methods were compared on the same episodes, the interval over episodes must also exclude zero, on the "
    "same side.",
    "Each interval is at 95 % by itself, unless its rule says otherwise. Of so many, several exclude zero by chance.",
    f"*{NOT_MEASURED.capitalize()}*: there is no result. *{UNDECIDABLE.capitalize()}*: the paper does not print what "
    "it takes.",
)
MARKS = (
    "\\* The rule or the data were set or changed after a result was seen.",
    "\\*\\* The same, and the verdict depends on that change.",
)


def counted(rows: pd.DataFrame) -> str:
    """Counts claims and results, and how many results have each verdict that occurs."""
    verdicts = ", ".join(f"{n} {v}" for v in VERDICTS if (n := (rows.verdict == v).sum()))
    return f"{words.counted(rows['name'].nunique(), 'claim')}, {words.counted(len(rows), 'result')}: {verdicts}"


def headline(rows: pd.DataFrame) -> str:
    """Says in two sentences what came out: of how many claims, and of each Finding."""
    outcomes = rows.groupby("name").verdict.agg(_outcome).value_counts()
    told = [f"{n} {verdict}" for verdict in (SOME, *VERDICTS[1:]) if (n := outcomes.get(verdict, 0))]
    first = f"{outcomes.get(REPRODUCED, 0)} of {words.counted(outcomes.sum(), 'claim')} are reproduced"
    against = rows.groupby("name").verdict.agg(lambda v: {REPRODUCED, NOT_REPRODUCED} <= set(v)).sum()
    told = [
        f"{text} (other results contradict {against} of these)" if against and SOME in text else text for text in told
    ]
    findings = [_finding(rows, f"Finding {number}") for number in (1, 2, 3)]
    return f"{', '.join([first, *told])}. {' '.join(filter(None, findings))}"


def _outcome(verdicts: pd.Series) -> str:
    """What a claim comes to: of several verdicts the first of ``VERDICTS``, so that no result against it is lost."""
    if REPRODUCED in set(verdicts):
        return REPRODUCED if set(verdicts) == {REPRODUCED} else SOME
    return next(verdict for verdict in VERDICTS if verdict in set(verdicts))


def _finding(rows: pd.DataFrame, name: str) -> str:
    """What came out of a Finding, claims of our own aside."""
    found = rows[rows.source.str.match(rf"{name}\b") & ~own(rows)]
    return f"{name}: {counted(found)}." if len(found) else ""


def own(rows: pd.DataFrame) -> pd.Series:
    """Whether the claim of a row is ours, not the paper's."""
    return rows["claim"].str.endswith(("ours)", "(exploratory)"))


def changed(rows: pd.DataFrame) -> str:
    """Counts the results that are marked."""
    return (
        f"{rows['notes'].map(bool).sum()} of {words.counted(len(rows), 'result')} were judged by a rule, or on data, "
        "that were set or changed after a result was seen, or are older than the first rules. In "
        f"{_other(rows).sum()} of them the verdict would be another without that."
    )


def _other(rows: pd.DataFrame) -> pd.Series:
    return rows["without"].map(bool)


def mark(rows: pd.DataFrame) -> str:
    """The mark of a claim, or of a result: see ``MARKS``."""
    return "**" if _other(rows).any() else "*" if rows["notes"].map(bool).any() else ""


def told(rows: pd.DataFrame) -> str:
    """The verdicts on a claim, the most frequent first, with its mark; numbers count results."""
    counts = rows.verdict.value_counts()
    text = counts.index[0] if len(counts) == 1 else ", ".join(f"{v} ({n})" for v, n in counts.items())
    return f"{text} {mark(rows)}".strip().replace("*", "\\*")


def brief(rows: pd.DataFrame) -> str:
    """Writes a line for each claim: the claim, its source, and the verdicts on it."""
    lines = [f"| {some.iloc[0].claim} | {some.iloc[0].source} | {told(some)} |" for some in _claims(rows)]
    return "\n".join(["| claim | source | verdict |", "|---|---|---|", *lines, "", "  \n".join(MARKS)]) + "\n"


def _claims(rows: pd.DataFrame) -> list[pd.DataFrame]:
    return [some for _, some in rows.groupby("name", sort=False)]


def markdown(rows: pd.DataFrame, data: str = DATA) -> str:
    """Writes the page: what came out, how verdicts are given, a row for each claim, and which rules were changed.

    Args:
        rows: as ``judged.table`` returns them.
        data: folder of the result files, from the page's folder.
    """
    ours = rows[own(rows)]["name"].nunique()
    about = (
        f"{ours} of the claims are ours or exploratory, as their text says; the others are the paper's. Numbers in "
        f"brackets count results. Values and intervals of each result are in [{DETAILS}]({DETAILS}), a page to open in "
        "a browser. `python -m analysis.claims --out docs` writes both pages from the shipped results."
    )
    rules = {rule: number for number, rule in enumerate(dict.fromkeys(rows["rule"]), 1)}
    lines = [f"# {TITLE}", "", headline(rows), "", about]
    lines += ["", "How verdicts are given:", "", *(f"- {line}" for line in HOW), "", "  \n".join(MARKS)]
    for kind, group in rows.groupby("kind", sort=False):
        lines += ["", f"## {kind[0].upper()}{kind[1:]}", "", f"{counted(group)}."]
        lines += ["", "| verdict | claim | paper | rule | result |", "|---|---|---|---|---|"]
        lines += [_row(some, data, rules) for some in _claims(group)]
    lines += ["", "## Rules", "", "When a claim is *reproduced*.", ""]
    lines += [f"{number}. {rule}" for rule, number in rules.items()]
    lines += ["", "## Rules changed after a result was seen", "", changed(rows), ""]
    for some in _claims(rows[_other(rows)]):
        results: dict[str, list[str]] = {}
        for row in some.itertuples():
            both = f"*{row.verdict}*, else *{'* or *'.join(row.without)}*"
            results.setdefault(both, []).append(Path(row.result).stem)
        each = (f"{both} ({', '.join(filter(None, names)) or 'no result'})" for both, names in results.items())
        lines.append(f"- {_linked(some)}: {'; '.join(each)}")
    return "\n".join(lines) + "\n"


def _linked(some: pd.DataFrame) -> str:
    """A claim's text, as a link to its details."""
    return f"[{some['claim'].iloc[0]}]({DETAILS}#{some['name'].iloc[0]})"


def _row(some: pd.DataFrame, data: str, rules: Mapping[str, int]) -> str:
    """Writes a claim's line of the table."""
    files = [name for name in dict.fromkeys(", ".join(some["result"]).split(", ")) if name]
    texts = [Path(files[0]).stem] if len(files) == 1 else range(1, len(files) + 1)
    links = " ".join(f"[{text}]({address(name, data)})" for text, name in zip(texts, files, strict=True)) or "-"
    rule = rules[some["rule"].iloc[0]]
    return f"| {told(some)} | {_linked(some)} | {some['source'].iloc[0]} | {rule} | {links} |"


def address(name: str, data: str) -> str:
    """Where a result file lies, seen from the page: the timings ship beside the code."""
    return quote(f"{'../analysis/data' if name.endswith('.json') else data}/{name}")
