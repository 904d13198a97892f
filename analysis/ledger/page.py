"""The ledger as a page: Markdown, HTML, and the short table of the README."""

from __future__ import annotations

import html as markup
import re
from typing import TYPE_CHECKING

from analysis.ledger.changes import FIRST
from analysis.ledger.verdicts import VERDICTS

if TYPE_CHECKING:
    import pandas as pd

PRINTED = ["claim", "source", "paper", "ours", "scale", "verdict", "rule", "result"]
TITLE = "Claims of the paper, and what came out"
FOOTNOTES = f"Footnotes; all dates are of 2026, and the first rules are those of {FIRST}:"


def counted(rows: pd.DataFrame) -> str:
    """How many claims and rows there are, and how many rows have each verdict that occurs."""
    verdicts = [f"{n} {v}" for v in VERDICTS if (n := (rows.verdict == v).sum())]
    claims = rows["name"].nunique()
    return f"{claims} claim{'s' * (claims > 1)}, {len(rows)} rows: {', '.join(verdicts)}"


def preamble(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """What stands above the table: counts by what a claim is judged from, and what a reader has to know."""
    counts = [f"{kind}: {counted(some)}" for kind, some in rows.groupby("kind", sort=False)]
    own = rows[rows["claim"].str.endswith(("(ours)", "(exploratory)"))]["name"].nunique()
    noted = rows["notes"].map(bool)
    said = [
        f"{rows['name'].nunique()} claims in {len(rows)} rows, one a result that speaks to the claim; {own} claims are "
        "ours or exploratory, as their text says, the others the paper's. By what they are judged from:",
        "Written by `python -m analysis.claims`; rules in `analysis/ledger/verdicts.py` and `analysis/ledger/rows.py`. "
        "Brackets: 95 % intervals, over seeds unless it says otherwise. Results at reduced scale say nothing about the "
        "paper's scale. A difference is that of the method named first minus the other. Each comparison is at 95 % by "
        "itself, but where a row says otherwise: of as many as there are here, several may come out by chance.",
        f"{noted.sum()} of the {len(rows)} rows have a rule, or data, that were changed or set after a result, or a "
        "result that is older than all rules: the numbers beside their rules are those of the footnotes. In "
        f"{rows['differs'].sum()} of them the verdict is another by the earlier rule, or by the paper's protocol.",
    ]
    return counts, said


def footnotes(rows: pd.DataFrame) -> dict[str, int]:
    """The footnotes in the order in which the rows need them, with their numbers."""
    texts = dict.fromkeys(note for notes in rows["notes"] for note in notes)
    return {text: number for number, text in enumerate(texts, 1)}


def cells(rows: pd.DataFrame) -> pd.DataFrame:
    """The printed columns, footnotes' numbers beside the rules."""
    numbers = footnotes(rows)
    marks = rows["notes"].map(lambda notes: f" {sorted(numbers[note] for note in notes)}" if notes else "")
    return rows[PRINTED].assign(rule=rows["rule"] + marks)


def markdown(rows: pd.DataFrame) -> str:
    """The ledger as a page."""
    counts, (head, *rest) = preamble(rows)
    lines = [f"# {TITLE}", "", head, "", *(f"- {line}" for line in counts)]
    for paragraph in rest:
        lines += ["", paragraph]
    lines += ["", "| " + " | ".join(PRINTED) + " |", "|" + "---|" * len(PRINTED)]
    for _, row in cells(rows).iterrows():
        texts = [str(row[name]).replace("|", "\\|") for name in PRINTED]
        texts[PRINTED.index("verdict")] = f"**{row.verdict}**"
        lines.append("| " + " | ".join(texts) + " |")
    lines += ["", FOOTNOTES, "", *(f"{number}. {text}" for text, number in footnotes(rows).items())]
    return "\n".join(lines) + "\n"


def brief(rows: pd.DataFrame) -> str:
    """A line for each claim, as in the README: its verdict on each task and mode that was measured."""
    lines = ["| claim | source | verdict |", "|---|---|---|"]
    for _, some in rows.groupby("name", sort=False):
        first = some.iloc[0]
        counts = some.verdict.value_counts()
        told = counts.index[0] if len(counts) == 1 else ", ".join(f"{v} ({n})" for v, n in counts.items())
        mark = " \\*" if some["differs"].any() else ""
        lines.append(f"| {first.claim} | {first.source} | {told}{mark} |")
    lines += ["", "\\* Another verdict by an earlier rule, or by the paper's protocol: see the ledger's footnotes."]
    return "\n".join(lines) + "\n"


def html(rows: pd.DataFrame) -> str:
    """The ledger as a page for browsers."""
    style = (
        "body{font:14px sans-serif;margin:2em;max-width:110em}table{border-collapse:collapse}"
        "th,td{border:1px solid #bbb;padding:.35em .6em;text-align:left;vertical-align:top}th{background:#eee}"
        "p,li{max-width:60em}"
    )
    counts, (head, *rest) = preamble(rows)
    parts = [f"<p>{_marked_up(head)}</p><ul>", *(f"<li>{_marked_up(line)}</li>" for line in counts), "</ul>"]
    parts += [f"<p>{_marked_up(paragraph)}</p>" for paragraph in rest]
    parts += [cells(rows).to_html(index=False, border=0), f"<p>{FOOTNOTES}</p><ol>"]
    parts += [*(f"<li>{_marked_up(text)}</li>" for text in footnotes(rows)), "</ol>"]
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Claims</title><style>{style}</style>'
        f"<h1>{TITLE}</h1>{body}</html>\n"
    )


def _marked_up(text: str) -> str:
    """Text for a browser; what stands between backticks is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", markup.escape(text, quote=False))
