"""Writes the ledger: which claims of the paper are reproduced.

``python -m analysis.claims`` reads all results (the shipped ones, or ``--results DIR``) and writes ``claims.md``,
``claims.html`` and ``claims.h5``. The first has the verdicts on each claim, the others each result with its value, its
interval, its scale and the rule. Claims and rules are in ``analysis/ledger/claims.toml``; those that were set or
changed after a result was seen are in ``changes.toml`` there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.ledger.judged import judged
from analysis.ledger.page import DATA, brief, browser_page, markdown
from analysis.ledger.verdicts import VERDICTS
from analysis.results.schema import SCALES, SHIPPED, Result, save
from analysis.runs import gather
from hdream_core.support import commandline
from hdream_core.support.errors import exit_on_user_error
from hdream_core.support.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

ITEM = "all"
WORDS = ["claim", "source", "expected", "ours", "scale", "verdict", "rule", "result", "name", "kind", "notes"]
ABOUT = "Judge every claim by the results, and write the ledger."


@dataclass(frozen=True)
class Claims:
    """Judge every claim of the paper by the results at hand and write the ledger."""

    results: Path = SHIPPED
    """Folder of result files."""
    out: Path = Path("results")
    """Folder of claims.md, claims.html and claims.h5."""
    brief: bool = False
    """Print a line for each claim: claim, source, verdict."""


def as_result(rows: pd.DataFrame) -> Result:
    """Returns the ledger as a result: numbers as arrays, texts in the notes."""
    smallest = max((SCALES.index(scale) for scale in rows["scale"] if scale in SCALES), default=0)
    attributes = gather.origin("claims") | {
        "scale": SCALES[smallest],  # the smallest scale of the results; each row has its own
        "preset": "none",
        "task": "all",
        "buffer_sha256": "",
        "wall_seconds": 0.0,
    }
    data = {end: (("row",), rows[end].to_numpy(np.float64)) for end in ("mean", "low", "high")}
    data["verdict"] = (("row",), rows["verdict"].map(VERDICTS.index).to_numpy(np.int64))
    notes = {"verdicts": list(VERDICTS), "rows": rows[WORDS].to_dict("records")}
    return Result(attributes, {"row": np.arange(len(rows))}, data, {}, notes)


def run(job: Claims) -> pd.DataFrame:
    """Judges the claims and writes the ledger; returns its rows.

    The pages link to the result files, and to figures in the folder ``figures`` beside the pages.
    """
    rows = judged(job.results)
    job.out.mkdir(parents=True, exist_ok=True)
    data = DATA if job.results == SHIPPED else Path(os.path.relpath(job.results, job.out)).as_posix()
    figures = {path.stem for path in (job.out / "figures").glob("*.png")}
    write_atomically(job.out / "claims.md", markdown(rows, data).encode())
    write_atomically(job.out / "claims.html", browser_page(rows, data, figures).encode())
    save(as_result(rows), job.out / "claims.h5")
    return rows


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error():
        job = commandline.parse(Claims, args, "python -m analysis.claims")
        rows = run(job)
        if job.brief:
            print(brief(rows))
            return
        for _, row in rows.iterrows():
            print(f"{row.verdict:<24} {row['name']:<24} {row.ours}")
        print(f"ledger: {job.out / 'claims.md'}, claims.html, claims.h5")


if __name__ == "__main__":
    main()
