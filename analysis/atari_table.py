"""Computes the aggregates of Table 2 (App. E.1, Atari 100K) again, and checks every sentence about the table.

``python -m analysis.atari_table`` reads ``analysis/data/atari100k.csv``, which is the table as printed, computes
human-normalised scores ``(score - random) / (human - random)``, writes ``results/atari_table.h5`` and draws the figure.
Nothing is trained.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.results import atari
from analysis.results.atari import METHODS, PRINTED, STATISTICS, Table
from analysis.results.atari_checks import checks
from analysis.results.schema import Result, ResultError, load, save
from analysis.results.stats import BOOTSTRAP_SEED, RESAMPLES
from analysis.runs import gather, pictures
from analysis.runs.target import REMEDY
from hdream_core.support import commandline
from hdream_core.support.errors import ConfigError, exit_on_user_error

STUDY = "atari_table"
ITEM = "Table 2"
ABOUT = "Compute the Atari table's aggregates again and check what is said of it."
TABLE = Path(__file__).parent / "data" / "atari100k.csv"


@dataclass(frozen=True)
class AtariTable:
    """Check what the paper says of its Atari 100K table (Table 2)."""

    table: Path | None = None
    """Table to read, as CSV. Default: the paper's, as printed."""
    results: Path = Path("results")
    """Folder of the result file."""
    replace: bool = False
    """Whether an existing result of another table, or a damaged one, may be replaced; else it is refused."""
    out: Path = Path("figures/out")
    """Folder of the figure."""


def result(table: Table, root_attributes: dict[str, Any]) -> Result:
    """Returns the table, its aggregates and the checks as one result; scores are fractions of the human's."""
    scores = table.scores[list(METHODS)].to_numpy().T  # (method, game)
    normalised = table.normalised[list(METHODS)].to_numpy().T
    by_method, both = ("method",), ("method", "game")
    data = {
        "score": (both, scores),
        "human_normalised": (both, normalised),
        "random": (("game",), table.scores["random"].to_numpy()),
        "human": (("game",), table.scores["human"].to_numpy()),
    }
    for name, samples in atari.resampled(normalised).items():
        low, high = np.quantile(samples, [0.025, 0.975], axis=1)
        data |= {name: (by_method, STATISTICS[name](normalised)), f"{name}_low": (by_method, low)}
        data[f"{name}_high"] = (by_method, high)
    for name in PRINTED:
        printed = np.array([atari.percent(table.printed.at[name, method])[0] for method in METHODS])
        data[f"{name}_printed"] = (by_method, printed)
    axes = {"method": np.array(METHODS), "game": np.array(table.scores.index, dtype=str)}
    notes = {
        "labels": {method: atari.COLUMNS[method] for method in METHODS},
        "tolerance": atari.TOLERANCE,
        "compared": [atari.OURS, atari.BASE],
        "interval": f"percentile bootstrap over games, 95 %, {RESAMPLES} resamples, the same games for every method",
        "resampling_seed": BOOTSTRAP_SEED,
        "caution": "The paper gives one mean a game and method: seeds cannot be resampled, intervals are over games.",
        "iqm": "mean of the middle half of the games, scipy's trim_mean with 25 %; the paper prints none",
        "checks": [dataclasses.asdict(check) for check in checks(table)],
    }
    return Result(root_attributes, axes, data, {}, notes)


def check_same(path: Path, found: Result) -> None:
    """Raises ConfigError, naming the first difference, if the existing result file is of another table."""
    if not path.exists():
        return
    try:
        held = load(path)
    except ResultError as error:
        raise ResultError(f"{error}; {REMEDY}") from None
    names = ("score", "random", "human", *(f"{name}_printed" for name in PRINTED))
    both = {name: (held.data.get(name, ((), []))[1], found.values(name)) for name in names}
    lists = {f"list of {name}s": (held.axes.get(name, []), axis) for name, axis in found.axes.items()}
    for name, (before, now) in (lists | both).items():
        if not np.array_equal(before, now):
            raise ConfigError(f"{path}: holds a result of a table with another {name}; {REMEDY}")


def lines(found: Result) -> list[str]:
    """Formats the aggregates and the checks for a terminal."""
    text = [f"{'human-normalised, %':<24}" + "".join(f"{name:>24}" for name in STATISTICS)]
    for i, label in enumerate(found.notes["labels"].values()):
        cells = [[100 * found.values(name + end)[i] for end in ("", "_low", "_high")] for name in STATISTICS]
        text.append(f"{label:<24}" + "".join(f"{f'{m:.1f} [{low:.1f}, {high:.1f}]':>24}" for m, low, high in cells))
    text.append(found.notes["caution"])
    for check in found.notes["checks"]:
        text += ["", f"{check['name']} ({check['where']})", f"  claim   {check['claim']}"]
        text += [f"  {key:<8}{_words(check[key])}" for key in ("stated", "ours", "holds")]
        text += [f"  {'':<8}{check['remark']}"] if check["remark"] else []
    return text


def _words(value: Any) -> str:
    """Formats a check's value."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_words(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "-" if value is None else str(value)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    arguments = sys.argv[1:] if args is None else list(args)
    with exit_on_user_error():
        job = commandline.parse(AtariTable, arguments, f"python -m analysis.{STUDY}")
        started = time.perf_counter()
        attributes = gather.origin(STUDY, gather.command_line(STUDY, arguments))
        attributes |= {"scale": "paper", "preset": "none", "task": "atari100k", "buffer_sha256": ""}
        found = result(atari.read_table(job.table or TABLE), attributes)
        found.attributes["wall_seconds"] = time.perf_counter() - started
        path = job.results / f"{STUDY}.h5"
        if not job.replace:
            check_same(path, found)
        save(found, path)
        print("\n".join(lines(found)))
        print(f"\nresult: {path}", flush=True)
        print(f"figure: {pictures.draw(STUDY, path, job.out)}")


if __name__ == "__main__":
    main()
