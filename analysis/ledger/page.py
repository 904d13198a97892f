"""Writes the ledger: a page in Markdown, a page for browsers, and the short table of ``analysis.claims --brief``.

The texts are in the templates ``claims.md.jinja`` and ``claims.html.jinja``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from analysis.ledger.verdicts import NOT_MEASURED, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, UNDECIDABLE, VERDICTS
from analysis.results.stats import Interval, show
from hdream_core.support import words

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

TITLE = "Claims of the paper, and what came out"
DETAILS = "claims.html"
DATA = "../figures/data"  # shipped results, from the folder of the shipped pages
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
    """Says in two sentences what came out: for all claims, and for each Finding."""
    outcomes = rows.groupby("name").verdict.agg(_outcome).value_counts()
    others = {verdict: f"{n} {verdict}" for verdict in (SOME, *VERDICTS[1:]) if (n := outcomes.get(verdict, 0))}
    first = f"{outcomes.get(REPRODUCED, 0)} of {words.counted(outcomes.sum(), 'claim')} are reproduced"
    against = rows.groupby("name").verdict.agg(lambda v: {REPRODUCED, NOT_REPRODUCED} <= set(v)).sum()
    if against and SOME in others:
        others[SOME] += f" (other results contradict {against} of these)"
    findings = [_finding(rows, f"Finding {number}") for number in (1, 2, 3)]
    return f"{', '.join([first, *others.values()])}. {' '.join(filter(None, findings))}"


def _outcome(verdicts: pd.Series) -> str:
    """Returns what a claim comes to: of several verdicts the first of ``VERDICTS``, so that no failure is hidden."""
    if REPRODUCED in set(verdicts):
        return REPRODUCED if set(verdicts) == {REPRODUCED} else SOME
    return next(verdict for verdict in VERDICTS if verdict in set(verdicts))


def _finding(rows: pd.DataFrame, name: str) -> str:
    """Says what came out of a Finding; our own claims are left out."""
    about = rows[rows.source.str.match(rf"{name}\b") & ~own(rows)]
    return f"{name}: {counted(about)}." if len(about) else ""


def own(rows: pd.DataFrame) -> pd.Series:
    """Returns whether the claim of a row is ours, not the paper's."""
    return rows["claim"].str.endswith(("ours)", "(exploratory)"))


def changed(rows: pd.DataFrame) -> str:
    """Counts the results that are marked."""
    return (
        f"{rows['notes'].map(bool).sum()} of {words.counted(len(rows), 'result')} were judged by a rule, or on data, "
        "that were set or changed after a result was seen, or are older than the first rules. In "
        f"{rows['without'].map(bool).sum()} of them the verdict would be another without that."
    )


def mark(rows: pd.DataFrame) -> str:
    """Returns the mark of a claim or of a result: see ``MARKS``."""
    return "**" if rows["without"].map(bool).any() else "*" if rows["notes"].map(bool).any() else ""


def verdicts_of(claim: pd.DataFrame) -> str:
    """Returns the verdicts on a claim, the most frequent first, with its mark; numbers count results."""
    counts = claim.verdict.value_counts()
    text = counts.index[0] if len(counts) == 1 else ", ".join(f"{v} ({n})" for v, n in counts.items())
    return f"{text} {mark(claim)}".strip().replace("*", "\\*")


def brief(rows: pd.DataFrame) -> str:
    """Returns a table with a line for each claim: the claim, its source, and the verdicts on it."""
    claims = [claim for _, claim in rows.groupby("name", sort=False)]
    lines = [f"| {claim.iloc[0].claim} | {claim.iloc[0].source} | {verdicts_of(claim)} |" for claim in claims]
    return "\n".join(["| claim | source | verdict |", "|---|---|---|", *lines, "", "  \n".join(MARKS)]) + "\n"


def markdown(rows: pd.DataFrame, data: str = DATA) -> str:
    """Returns the page in Markdown: what came out, a row for each claim, the rules, and which of them were changed.

    Args:
        rows: of ``judged.table``.
        data: folder of the result files, from the page's folder.
    """
    rules = {rule: number for number, rule in enumerate(dict.fromkeys(rows["rule"]), 1)}
    groups = [
        {
            "title": f"{kind[0].upper()}{kind[1:]}",
            "counted": counted(group),
            "claims": [_claim(claim, data, rules) for _, claim in group.groupby("name", sort=False)],
        }
        for kind, group in rows.groupby("kind", sort=False)
    ]
    other = rows[rows["without"].map(bool)].groupby("name", sort=False)
    values = {
        "own": rows[own(rows)]["name"].nunique(),
        "groups": groups,
        "rules": rules,
        "changed_claims": [_claim(claim, data, rules) for _, claim in other],
    }
    return _fill("claims.md.jinja", data, _common(rows) | values)


def _claim(claim: pd.DataFrame, data: str, rules: Mapping[str, int]) -> dict[str, Any]:
    """Returns what the page says about a claim."""
    first = claim.iloc[0]
    files = [name for name in dict.fromkeys(", ".join(claim["result"]).split(", ")) if name]
    texts = [Path(files[0]).stem] if len(files) == 1 else range(1, len(files) + 1)
    links = [f"[{text}]({address(name, data)})" for text, name in zip(texts, files, strict=True)]
    results: dict[str, list[str]] = {}
    for row in claim.itertuples():
        both = f"*{row.verdict}*, else *{'* or *'.join(row.without)}*"
        results.setdefault(both, []).append(Path(row.result).stem)
    changes = [f"{both} ({', '.join(filter(None, names)) or 'no result'})" for both, names in results.items()]
    return {
        "verdicts": verdicts_of(claim),
        "link": f"[{first['claim']}]({DETAILS}#{first['name']})",
        "source": first["source"],
        "rule": rules[first["rule"]],
        "files": " ".join(links) or "-",
        "changes": "; ".join(changes),
    }


def browser_page(rows: pd.DataFrame, data: str = DATA, figures: Collection[str] = ()) -> str:
    """Returns the page for browsers, with a row for each result.

    Args:
        rows: of ``judged.table``.
        data: folder of the result files, from the page's folder.
        figures: names of results whose figures are in the folder ``figures`` beside the page.
    """
    first = ~rows["name"].duplicated()
    cells = []
    for i, row in enumerate(rows.to_dict("records")):
        value = show(Interval(row["mean"], row["low"], row["high"]))
        more = {"value": value, "key": "" if value == "-" else row["mean"], "first": first.iloc[i]}
        more |= {"mark": mark(rows.iloc[[i]]), "files": [*filter(None, row["result"].split(", "))]}
        cells.append(row | more)
    values = {
        "rows": cells,
        "figures": figures,
        "verdicts": dict.fromkeys(rows["verdict"]),
        "scales": dict.fromkeys(rows["scale"].replace("", "-")),
    }
    return _fill("claims.html.jinja", data, _common(rows) | values | {"how": (*HOW, *MARKS)})


def _common(rows: pd.DataFrame) -> Mapping[str, Any]:
    about = {"title": TITLE, "headline": headline(rows), "changed": changed(rows)}
    return about | {"how": HOW, "marks": MARKS, "details": DETAILS}


def environment(folder: Path) -> jinja2.Environment:
    """Returns what fills the templates of a folder; an unknown name in one is an error, and HTML is escaped."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=lambda name: name.endswith(".html.jinja"),
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _fill(template: str, data: str, values: Mapping[str, Any]) -> str:
    filling = environment(Path(__file__).parent)
    filling.filters |= {"emphasis": _emphasis, "stem": lambda name: Path(name).stem}
    filling.filters["address"] = lambda name: address(name, data)
    return filling.get_template(template).render(values)


def _emphasis(text: str) -> str:
    """Returns text as HTML: what stands between single stars is in italics, and an escaped star is a star."""
    from markupsafe import Markup

    italics = re.sub(r"(?<!\\)\*([^*\\]+)\*", r"<em>\1</em>", html.escape(text, quote=False))
    return Markup(italics.replace("\\*", "*"))


def address(name: str, data: str) -> str:
    """Returns where a result file is, from the page; the timings ship beside the code."""
    return quote(f"{'../analysis/data' if name.endswith('.json') else data}/{name}")
