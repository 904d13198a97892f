"""E.10: does observation modelling help reward modelling? Open-loop reward error with and without it.

``python -m analysis.reward_mse --task lever_pull`` compares (w_r = 100, w_o = 1) with (w_r = 100, w_o = 0) on held-out
segments of 50, 35 frames observed and 15 rewards predicted. The paper has 0.379 and 0.416, on Meta-world v2 and its own
buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.results import schema
from analysis.results.stats import OVER_EPISODES, OVER_SEEDS, both_intervals, show
from analysis.runs import gather, methods, sizes, study
from hdream_core.data.offline import open_buffer
from hdream_core.data.replay import Replay, split_episodes
from hdream_core.support.errors import ConfigError

STUDY = "reward_mse"
ITEM = "E.10"
ABOUT = "Compare reward error with and without observation modelling."
OBSERVED, PREDICTED = 35, 15  # E.10
SIZES = {
    "segments": {"paper": 20000, "cpu": 5000, "quick": 1000, "smoke": 20},
}
PAPER = {"w_r=100": 0.379, methods.IMPLICIT: 0.416}


@dataclass(frozen=True)
class RewardMSE(study.OfflineStudy):
    """Held-out reward error with and without observation modelling (E.10)."""

    methods: tuple[str, ...] = tuple(PAPER)
    """Methods; the first is the one that the others are compared with."""
    segments: int | None = None
    """Held-out segments of 50 steps."""


def run(job: RewardMSE) -> Path:
    """Trains, dreams, writes and draws; returns the result file."""
    job = study.sized(job, SIZES)
    plan = study.plan(job, STUDY, job.methods)
    if plan.config.offline_buffer is None:
        raise ConfigError("E.10 predicts rewards on a fixed buffer's held-out part; add --mode offline")
    job = sizes.settle_windows(job, plan, "segments", OBSERVED + PREDICTED)
    if job.plan_only:
        return plan.path
    sha256 = study.train(plan)
    from hdream_core.runs.evaluate import heldout_predictions  # and torch

    heldout = _heldout(plan)
    found: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    episode = np.zeros(0, np.int64)
    for place, agent in plan.agents():
        windows = replace(agent.config.eval, context=OBSERVED, horizon=PREDICTED, samples=1)
        dreams = heldout_predictions(agent, heldout, windows, job.segments, seed=0)
        found[place], episode = {"window/error": dreams.error}, dreams.episode
    axes = {"window": np.arange(job.segments)}
    result = gather.models(plan, sha256, found, axes, {"window/error": ("window",)})
    result.data["window/error"] = (result.data["window/error"][0], result.values("window/error").astype(np.float32))
    result.data["window/episode"] = (("window",), episode.astype(np.int16))
    result.notes["paper"] = PAPER
    result.notes["final"] = intervals(result)
    return study.finish(result, plan, lines(result))


def _heldout(plan: study.Plan) -> Replay:
    buffer = open_buffer(plan.config.offline_buffer or "")
    _, heldout = split_episodes(buffer.store.episodes, plan.config.eval.heldout_fraction)
    return Replay(buffer.store, heldout)


def intervals(result: schema.Result) -> dict[str, Any]:
    """Mean error of each method over seeds and over held-out episodes, and the paired difference to the first."""
    errors, episode = result.values("window/error").astype(np.float64), result.values("window/episode")
    table: dict[str, Any] = {
        "interval": OVER_SEEDS,
        "interval_over_episodes": OVER_EPISODES,
        "reference": str(result.axes["method"][0]),
    }
    for i, method in enumerate(map(str, result.axes["method"])):
        difference = errors[i] - errors[0]
        table[method] = {
            **both_intervals(errors[i], episode),
            **both_intervals(difference, episode, "paired_"),
            "median": float(np.median(errors[i])),
        }
    return table


def lines(result: schema.Result) -> list[str]:
    """The errors beside the paper's."""
    text = [f"open-loop reward error, {OBSERVED} frames seen, {PREDICTED} dreamed; [95 % over seeds]"]
    for method in map(str, result.axes["method"]):
        row = result.notes["final"][method]
        paper = f", paper {PAPER[method]}" if method in PAPER else ""
        text.append(
            f"  {method:<16} {show(row['over_seeds'])}, over episodes {show(row['over_episodes'])}, median "
            f"{row['median']:.3g}{paper}"
        )
    return text


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    study.main(RewardMSE, run, args)


if __name__ == "__main__":
    main()
