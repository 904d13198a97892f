"""Finding 2 (Sec. 2.3, Fig. 3): what models with different reward-loss weights dream, frame by frame.

``python -m analysis.finding2 --task lever_pull`` shows 15 frames of held-out windows to every model and lets it dream
the next 35 from the actions alone. A dreamed reward is correct within a stated tolerance; a dream is right if enough of
its rewards are. The command says how often each of the two models is right, and picks the windows to show by a rule, so
that no picture stands without its frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import figures.finding2
from analysis import collect, dreams, methods, results, study
from analysis.segments import CONTEXT, HORIZON, LENGTH, Segments, draw, unseen_episodes
from analysis.stats import OVER_EPISODES, OVER_SEEDS, SHARE, SHARES_APART, both_intervals, show
from hdream_core.config import ConfigError

STUDY = "finding2"
EVERY = 5  # frames between two that are drawn (C.4)
SIZES = {
    "windows": {"paper": 2000, "cpu": 400, "quick": 100, "smoke": 20},
    "episodes": {"paper": 100, "cpu": 50, "quick": 16, "smoke": 4},
}
LEVELS = 4  # dreamed pixels are stored in steps of so many, which no eye sees and which halves the file
CASES = ("only second right", "only first right", "both wrong", "both right")  # of the two methods, in their order
SPLITS = ("all", "moving", "still")  # by what the true reward does: a wrong dream of a still window made the event up


@dataclass(frozen=True)
class Finding2(study.OfflineStudy):
    """Compare the dreams of two models with different reward-loss weights on held-out windows (Finding 2, Fig. 3)."""

    methods: tuple[str, ...] | None = None
    """The two methods to compare. Default: w_r=1 and the task's balanced weight."""
    windows: int | None = None
    """Held-out windows of 50 frames. Default: 2000 for paper, 400 for cpu, 100 for quick."""
    episodes: int | None = None
    """Episodes never trained on that they are drawn from. Default: 100 for paper, 50 for cpu, 16 for quick."""
    tolerance: float = 1.0
    """A dreamed reward is correct if it is this near to the true one (rewards go from 0 to 10)."""
    share: float = 0.8
    """A dream is right if this share of its rewards is correct."""


def run(job: Finding2) -> Path:
    """Trains, dreams, counts, writes and draws; returns the result file."""
    job = study.sized(job, SIZES)
    names = job.methods or (methods.ORIGINAL, methods.balanced(job.task))
    if len(names) != 2:
        raise ConfigError(f"--methods: two methods are compared, got {len(names)}")
    plan = study.plan(job, STUDY, names)
    path = collect.save_path(job.results, STUDY, plan.runs)
    if job.plan_only:
        return path
    sha256 = study.train(plan)
    windows = draw(job.task, unseen_episodes(plan, job.episodes), job.windows, LENGTH, seed=3)
    truth = windows.rows("reward")[:, CONTEXT:]  # (W, H)
    found = {place: {"dreamed_reward": dreams.rewards(agent, windows, CONTEXT)} for place, agent in plan.agents()}
    axes = {"window": np.arange(len(windows)), "horizon": np.arange(HORIZON)}
    result = collect.models(plan, sha256, found, axes, {"dreamed_reward": ("window", "horizon")})
    axes_of, dreamed = result.data["dreamed_reward"]
    result.data["dreamed_reward"] = (axes_of, dreamed.astype(np.float32))
    result.data["true_reward"] = (("window", "horizon"), truth.astype(np.float64))
    result.data["window/episode"] = (("window",), windows.episode)
    result.notes["protocol"] = {
        "tolerance": job.tolerance,
        "share": job.share,
        "context": CONTEXT,
        "horizon": HORIZON,
        "episodes": len(windows.episodes),
    }
    result.notes["final"] = frequencies(result)
    _add_pictures(result, plan, windows)
    return study.finish(result, path, job.out, figures.finding2.draw, lines(result))


def right(result: results.Result) -> np.ndarray:
    """Which dreams are right, bool ``(method, seed, window)``."""
    protocol = result.notes["protocol"]
    correct = np.abs(result.values("dreamed_reward") - result.values("true_reward")) <= protocol["tolerance"]
    return correct.mean(-1) >= protocol["share"]


def splits(result: results.Result) -> dict[str, np.ndarray]:
    """Windows by what the true reward does, bool ``(window,)`` each: whether it moves by over the tolerance.

    Dreams have no say: the more models, the more windows have a dream that moves by chance.
    """
    moving = np.ptp(result.values("true_reward"), axis=-1) > result.notes["protocol"]["tolerance"]
    return dict(zip(SPLITS, (np.ones(len(moving), bool), moving, ~moving), strict=True))


def case_of(found: np.ndarray) -> np.ndarray:
    """Index into CASES from ``right`` of the two methods, ``(2, ...)`` to ``(...)``."""
    first, second = found
    return np.select([second & ~first, first & ~second, ~first & ~second], [0, 1, 2], 3)


def frequencies(result: results.Result) -> dict[str, Any]:
    """How often each case occurs in each split, with intervals over seeds and episodes."""
    cases = case_of(right(result))  # (seed, window)
    episode = result.values("window/episode")
    table: dict[str, Any] = {
        "interval": OVER_SEEDS,
        "interval_over_episodes": OVER_EPISODES,
    }
    for split, some in splits(result).items():
        row: dict[str, Any] = {"windows": int(some.sum())}
        if some.any():
            hits = [(cases[:, some] == i).astype(float) for i in range(len(CASES))]  # (seed, window) each
            row |= {
                name: both_intervals(hit, episode[some], within=SHARE) for name, hit in zip(CASES, hits, strict=True)
            }
            gap = hits[0] - hits[1]  # only second right minus only first
            row["difference"] = both_intervals(gap, episode[some], within=SHARES_APART)
        table[split] = row
    return table


def choose(result: results.Result) -> dict[str, int]:
    """The window to show of each case that occurs with the first seed's models.

    Among those in which the true reward moves (all, if it does in none), the one whose difference in error between the
    two dreams is the median: typical of its case, not its most striking.
    """
    cases = case_of(right(result)[:, 0])  # (window,)
    error = np.square(result.values("dreamed_reward")[:, 0] - result.values("true_reward")).mean(-1)
    difference = error[0] - error[1]
    shown = {}
    for i, name in enumerate(CASES):
        some = np.flatnonzero((cases == i) & splits(result)["moving"])
        some = some if len(some) else np.flatnonzero(cases == i)
        if len(some):
            shown[name] = int(some[np.argsort(difference[some], kind="stable")[len(some) // 2]])
    return shown


def _add_pictures(result: results.Result, plan: study.Plan, windows: Segments) -> None:
    """Frames of the chosen windows, true and as the first seed's models see and dream them."""
    shown = choose(result)
    chosen = windows.take(np.array(list(shown.values())))
    seen = np.arange(0, LENGTH, EVERY)
    truth = chosen.rows("image")[:, seen]  # (case, frame, y, x, channel)
    result.axes |= {"case": np.array(list(shown)), "frame": seen}
    result.axes |= {name: np.arange(n) for name, n in zip(("y", "x", "channel"), truth.shape[2:], strict=True)}
    picture = ("case", "frame", "y", "x", "channel")
    result.data["picture/true"] = (picture, truth)
    dreamed = np.zeros((len(plan.methods), *truth.shape), np.uint8)
    for (method, _), agent in plan.agents(first_seed=True):
        dreamed[method] = dreams.frames_and_rewards(agent, chosen, CONTEXT)[0][:, seen]
    result.data["picture/dreamed"] = (("method", *picture), dreamed // LEVELS * LEVELS)
    result.data["case/moving"] = (("case",), splits(result)["moving"][list(shown.values())].astype(np.int64))
    result.data["case/window"] = (("case",), np.array(list(shown.values()), np.int64))


def lines(result: results.Result) -> list[str]:
    """How often each case occurs."""
    first, second = (str(method) for method in result.axes["method"])
    protocol = result.notes["protocol"]
    text = [
        f"first: {first}, second: {second}; right: {100 * protocol['share']:.0f} % of {HORIZON} dreamed rewards within "
        f"{protocol['tolerance']:g}; [95 % over seeds]"
    ]
    for split in SPLITS:
        row = result.notes["final"][split]
        cells = [f"{name} {show(row[name]['over_seeds'])}" for name in CASES if name in row]
        text.append(f"  {split} windows ({row['windows']}): " + "; ".join(cells))
    return text


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    study.main(Finding2, run, args)


if __name__ == "__main__":
    main()
