"""The ledger as one file for browsers, a row a result; ``browsed.html`` is its template, with style and script."""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from analysis.ledger.page import DATA, HOW, MARKS, TITLE, address, changed, headline, mark
from analysis.results.stats import show

if TYPE_CHECKING:
    import pandas as pd

TEMPLATE = Path(__file__).with_suffix(".html")


def browsed(rows: pd.DataFrame, data: str = DATA, figures: Collection[str] = ()) -> str:
    """Writes the page.

    Args:
        rows: as ``judged.table`` returns them.
        data: folder of the result files, from the page's folder.
        figures: names of results whose figures lie in the folder ``figures`` beside the page.
    """
    first = ~rows["name"].duplicated()
    lines = [_row(rows.iloc[[i]], first.iloc[i], data, figures) for i in range(len(rows))]
    parts = {
        "title": TITLE,
        "headline": _text(headline(rows)),
        "how": "\n".join(f"<li>{_text(line)}</li>" for line in (*HOW, *MARKS)),
        "changed": _text(changed(rows)),
        "verdicts": _options(rows["verdict"]),
        "scales": _options(rows["scale"].replace("", "-")),
        "rows": "\n".join(lines),
    }
    return Template(TEMPLATE.read_text("utf-8")).substitute(parts)


def _row(row: pd.DataFrame, first: bool, data: str, figures: Collection[str]) -> str:
    """A result's row; the first of a claim can be linked to by the claim's name."""
    found = row.iloc[0]
    value = show({end: None if found[end] != found[end] else found[end] for end in ("mean", "low", "high")})
    links = []
    for name in filter(None, found["result"].split(", ")):
        links.append(f'<a href="{address(name, data)}">{_text(name)}</a>')
        stem = Path(name).stem
        links += [f'<a href="figures/{quote(stem)}.png">figure</a>'] if stem in figures else []
    cells = [
        f'<td class="{found.verdict.replace(" ", "-")}">{found.verdict} {mark(row)}</td>',
        f"<td>{_text(found.claim)}{_details(found)}</td>",
        f"<td>{_text(found.source)}</td>",
        f"<td>{_text(found.expected)}</td>",
        f'<td data-key="{"" if value == "-" else found["mean"]}">{value}</td>',
        f"<td>{found.scale or '-'}</td>",
        f"<td>{'<br>'.join(links) or '-'}</td>",
    ]
    anchor = f' id="{found["name"]}"' if first else ""
    return f"<tr{anchor}>{''.join(cells)}</tr>"


def _details(found: Any) -> str:
    """What is folded beneath a claim: what we found, the rule, and what came after a result."""
    told = [f"<p><b>Found.</b> {_text(found.ours)}.</p>", f"<p><b>Rule.</b> {_text(found.rule)}</p>"]
    told += [f"<p><b>After a result.</b> {_text(note)}</p>" for note in found.notes]
    return f"<details><summary>details</summary>{''.join(told)}</details>"


def _options(values: pd.Series) -> str:
    return "".join(f"<option>{value}</option>" for value in dict.fromkeys(values))


def _text(text: str) -> str:
    """Text for a browser; what stands between single stars is set in italics, and a star after a backslash is one."""
    marked = re.sub(r"(?<!\\)\*([^*\\]+)\*", r"<em>\1</em>", html.escape(text, quote=False))
    return marked.replace("\\*", "*")
