"""The ledger: what of the paper reproduces, claim by claim.

``python -m analysis.claims`` reads all results (the shipped ones, or ``--results DIR``) and writes ``claims.md``,
``claims.html`` and ``claims.h5``: each claim, its source, the paper's value, ours with interval and scale, and a
verdict by a rule written down beforehand (``analysis/ledger.py``, ``analysis/verdicts.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import collect
from analysis.ledger import CLAIMS
from analysis.results import SCALES, Result, ResultError, load, save, using
from analysis.verdicts import VERDICTS, Shelf
from hdream_core import commandline
from hdream_core.errors import exit_on_user_error
from hdream_core.store import write_atomically

SHIPPED = Path(__file__).parent.parent / "figures" / "data"


@dataclass(frozen=True)
class Claims:
    """Judge every claim of the paper by the results at hand and write the ledger."""

    results: Path = SHIPPED
    """Folder of result files."""
    out: Path = Path("results")
    """Folder of claims.md, claims.html and claims.h5."""
    brief: bool = False
    """Print the short table that the README has."""


def table(shelf: Shelf) -> pd.DataFrame:
    """One row for each claim and each result that speaks to it."""
    rows = []
    for claim in CLAIMS:
        with using(f"results that {claim.name} is judged by"):
            findings = claim.judge(shelf)
        for finding in findings:
            rows.append(
                {
                    "claim": claim.text,
                    "source": claim.source,
                    "paper": claim.paper,
                    "ours": finding.ours,
                    "scale": finding.scale,
                    "verdict": finding.verdict,
                    "rule": claim.rule,
                    "result": finding.source,
                    "name": claim.name,
                    **{end: getattr(finding.value, end) for end in ("mean", "low", "high")},
                }
            )
    return pd.DataFrame(rows)


PRINTED = ["claim", "source", "paper", "ours", "scale", "verdict", "rule", "result"]


def markdown(rows: pd.DataFrame) -> str:
    """The ledger as a page."""
    counts = ", ".join(f"{(rows.verdict == v).sum()} {v}" for v in VERDICTS)
    lines = [
        "# Claims of the paper, and what came out",
        "",
        f"{counts}. Written by `python -m analysis.claims`; rules in `analysis/verdicts.py`. Brackets: 95 % intervals, "
        "over seeds unless it says otherwise. Results at reduced scale say nothing about the paper's scale. The rules "
        "were written before the results, but for those that say what they were before a first one. Each comparison is "
        "at 95 % by itself: of as many as there are here, one or two may come out by chance.",
        "",
        "| " + " | ".join(PRINTED) + " |",
        "|" + "---|" * len(PRINTED),
    ]
    for _, row in rows.iterrows():
        cells = [str(row[name]).replace("|", "\\|") for name in PRINTED]
        cells[PRINTED.index("verdict")] = f"**{row.verdict}**"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def brief(rows: pd.DataFrame) -> str:
    """A line for each claim, as in the README: its verdict on each task and mode that was measured."""
    lines = ["| claim | source | verdict |", "|---|---|---|"]
    for _, some in rows.groupby("name", sort=False):
        first = some.iloc[0]
        counts = some.verdict.value_counts()
        told = counts.index[0] if len(counts) == 1 else ", ".join(f"{v} ({n})" for v, n in counts.items())
        lines.append(f"| {first.claim} | {first.source} | {told} |")
    return "\n".join(lines) + "\n"


def html(rows: pd.DataFrame) -> str:
    """The ledger as a page for browsers."""
    style = (
        "body{font:14px sans-serif;margin:2em;max-width:110em}table{border-collapse:collapse}"
        "th,td{border:1px solid #bbb;padding:.35em .6em;text-align:left;vertical-align:top}th{background:#eee}"
    )
    body = rows[PRINTED].to_html(index=False, border=0)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Claims</title><style>{style}</style>'
        f"<h1>Claims of the paper, and what came out</h1>{body}</html>\n"
    )


def as_result(rows: pd.DataFrame) -> Result:
    """The ledger as a result file: numbers as arrays, words among the notes."""
    smallest = max((SCALES.index(scale) for scale in rows["scale"] if scale in SCALES), default=0)
    attributes = collect.origin("claims") | {
        "scale": SCALES[smallest],  # the smallest of what was read; each row has its own
        "preset": "none",
        "task": "all",
        "buffer_sha256": "",
        "wall_seconds": 0.0,
    }
    data = {end: (("row",), rows[end].to_numpy(np.float64)) for end in ("mean", "low", "high")}
    data["verdict"] = (("row",), rows["verdict"].map(VERDICTS.index).to_numpy(np.int64))
    notes = {"verdicts": list(VERDICTS), "rows": rows[["name", *PRINTED]].to_dict("records")}
    return Result(attributes, {"row": np.arange(len(rows))}, data, {}, notes)


def run(job: Claims) -> pd.DataFrame:
    """Reads, judges and writes; returns the ledger's rows. Results of the preset smoke say nothing and stay out."""
    if not job.results.is_dir():
        raise ResultError(f"{job.results}: no such folder of results")
    found = ((path.name, load(path)) for path in sorted(job.results.glob("*.h5")) if path.name != "claims.h5")
    shelf = Shelf((name, result) for name, result in found if result.attributes["preset"] != "smoke")
    rows = table(shelf)
    job.out.mkdir(parents=True, exist_ok=True)
    write_atomically(job.out / "claims.md", markdown(rows).encode())
    write_atomically(job.out / "claims.html", html(rows).encode())
    save(as_result(rows), job.out / "claims.h5")
    return rows


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error(ResultError):
        job = commandline.parse(Claims, args, "python -m analysis.claims")
        rows = run(job)
        if job.brief:
            print(brief(rows))
            return
        for _, row in rows.iterrows():
            print(f"{row.verdict:<24} {row['name']:<18} {row.ours}")
        print(f"ledger: {job.out / 'claims.md'}, claims.html, claims.h5")


if __name__ == "__main__":
    main()
