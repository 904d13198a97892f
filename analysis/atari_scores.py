"""Judges the headline on Atari 100K by the authors' own scores, seed by seed (Sec. 4.4, Figs. 7 and 13, Table 2).

``python -m analysis.atari_scores --scores FOLDER`` reads the two files that the authors publish (26 games, 5 seeds, 20
evaluations; this project ships no copy). It computes Table 2's two columns again, aggregates with intervals over seeds,
and how much hangs on single games and runs. The result has means, deviations and intervals, not the scores themselves.
Nothing is trained.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis import atari_table
from analysis.results import atari, atari_runs
from analysis.results.atari_runs import FILES, PUBLISHED, Runs
from analysis.results.schema import Result, save
from analysis.results.stats import BOOTSTRAP_SEED, RESAMPLES, read_interval
from analysis.runs import gather, pictures
from hdream_core.support import commandline
from hdream_core.support.errors import exit_on_user_error

STUDY = "atari_scores"
ITEM = "Figs. 7, 13"
ABOUT = "Judge the Atari headline by the authors' scores, seed by seed."
BASE, OURS = FILES  # names of the methods
COLUMNS = {BASE: atari.BASE, OURS: atari.OURS}  # of Table 2


@dataclass(frozen=True)
class AtariScores:
    """Judge HarmonyDream on Atari 100K by the scores of single runs, which its authors publish."""

    scores: Path
    """Folder with harmony.json and dreamerv3.json of dreamerv3-jax/scores in the authors' repository."""
    results: Path = Path("results")
    """Folder of the result file."""
    out: Path = Path("figures/out")
    """Folder of the figure."""


def result(runs: Runs, table: atari.Table, root_attributes: dict[str, Any]) -> Result:
    """Returns means and deviations over seeds, and what they say of the two methods.

    Args:
        runs: scores of single runs.
        table: Table 2, with the scores of random play and of humans.
        root_attributes: of the result.
    """
    names = [atari_runs.title(game) for game in runs.games]
    printed = table.scores.loc[names]
    random, human = (printed[column].to_numpy() for column in ("random", "human"))
    last = runs.scores[..., -1]  # (method, game, seed)
    normalised = (last - random[:, None]) / (human - random)[:, None]
    by_step, by_game = ("method", "game", "step"), ("method", "game")
    data = {
        "score": (by_step, runs.scores.mean(2)),
        "score_sd": (by_step, runs.scores.std(2, ddof=1)),
        "human_normalised": (by_game, normalised.mean(-1)),
        "score_printed": (by_game, np.stack([printed[column].to_numpy() for column in COLUMNS.values()])),
        "random": (("game",), random),
        "human": (("game",), human),
    }
    axes = {"method": np.array(list(FILES)), "game": np.array(names), "step": runs.steps}
    aggregates = atari_runs.aggregates(normalised)
    game, run = atari_runs.influences(normalised, names)
    notes = {
        "labels": {method: atari.COLUMNS[column] for method, column in COLUMNS.items()},
        "source": PUBLISHED,
        "seeds": runs.scores.shape[2],
        "interval": f"percentile bootstrap over the seeds of each game, 95 %, {RESAMPLES} resamples",
        "resampling_seed": BOOTSTRAP_SEED,
        "aggregates": {n: {who: i._asdict() for who, i in row.items()} for n, row in aggregates.items()},
        "improvement": atari_runs.improvement(normalised)._asdict(),
        "matched": {f"{tolerance:g}": atari_runs.games_matched(last, tolerance)._asdict() for tolerance in (0.0, 0.05)},
        "games": {n: i._asdict() for n, i in zip(names, atari_runs.game_differences(last), strict=True)},
        "hangs_on": {"game": asdict(game), "run": asdict(run)},
        "range": {n: [float(x.min()), float(x.max())] for n, x in zip(names, last[1], strict=True)},
    }
    return Result(root_attributes, axes, data, {}, notes)


def lines(found: Result) -> list[str]:
    """Formats what came out."""
    notes = found.notes
    text = [f"human-normalised, %, 95 % over {notes['seeds']} seeds; differences in points"]
    for name, row in notes["aggregates"].items():
        text.append(f"  {name.replace('_', ' '):<15}" + "".join(f"{_percent(row[who]):>24}" for who in row))
    matched = [read_interval(row) for row in notes["matched"].values()]
    text += [
        f"  ({', '.join([*notes['labels'].values(), 'difference'])})",
        f"probability of improvement {_show(notes['improvement'], 2)}",
        f"at least equal in {matched[0].mean:g} of {len(found.axes['game'])} games [{matched[0].low:g}, "
        f"{matched[0].high:g}], or {matched[1].mean:g} within 5 % [{matched[1].low:g}, {matched[1].high:g}]",
    ]
    clear = {
        sign: [n for n, i in notes["games"].items() if sign * i["low" if sign > 0 else "high"] > 0] for sign in (1, -1)
    }
    text.append(
        f"clear in single games: higher in {', '.join(clear[1]) or 'none'}; lower in {', '.join(clear[-1]) or 'none'}"
    )
    for kind, one in notes["hangs_on"].items():
        text.append(
            f"the {kind} that the gain in the mean hangs on most: {one['what']}, {100 * one['share']:.1f} % of it; "
            f"{100 * one['left']:+.1f} points without it"
        )
    for name in ("mean", "median", "iqm"):
        needed = atari_runs.seeds_needed(read_interval(notes["aggregates"][name]["difference"]), notes["seeds"])
        text.append(
            f"seeds that would just show a difference in the {name} as large as this one: {np.ceil(needed):.0f}"
        )
    return text + _against_print(found)


def _against_print(found: Result) -> list[str]:
    """Formats the means that Table 2 prints otherwise."""
    text = ["Table 2 prints other means than these runs give:"]
    means, printed = found.values("score")[..., -1], found.values("score_printed")
    for i, j in np.argwhere(np.abs(means - printed) > 1):
        label = found.notes["labels"][found.methods[i]]
        text.append(
            f"  {label}, {found.axes['game'][j]}: printed {printed[i, j]:,.0f}, from the runs {means[i, j]:,.1f}"
        )
    return text if len(text) > 1 else ["Table 2 prints the means of these runs"]


def _percent(row: dict[str, float | None]) -> str:
    return _show({end: 100 * value for end, value in row.items()}, 1)


def _show(row: dict[str, float | None], digits: int) -> str:
    mean, low, high = read_interval(row)
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    arguments = sys.argv[1:] if args is None else list(args)
    with exit_on_user_error():
        job = commandline.parse(AtariScores, arguments, f"python -m analysis.{STUDY}")
        started = time.perf_counter()
        runs = atari_runs.read_runs(job.scores)
        found = result(runs, atari.read_table(atari_table.TABLE), {})
        found.attributes = gather.origin(STUDY, gather.command_line(STUDY, arguments)) | {
            "scale": "paper",
            "preset": "none",
            "task": "atari100k",
            "buffer_sha256": "",
            "wall_seconds": time.perf_counter() - started,
        }
        path = save(found, job.results / f"{STUDY}.h5")
        print("\n".join(lines(found)))
        print(f"\nresult: {path}", flush=True)
        print(f"figure: {pictures.draw(STUDY, path, job.out)}")


if __name__ == "__main__":
    main()
