"""E.10: does observation modelling help reward modelling? Open-loop reward error with and without it.

``python -m analysis.reward_mse --task lever_pull`` compares (w_r = 100, w_o = 1) with (w_r = 100, w_o = 0) on held-out
windows of 50 steps: 35 frames are seen and 15 rewards predicted. The paper has 0.379 and 0.416, on Meta-world v2 and a
buffer of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from analysis.results import comparisons, schema
from analysis.results.stats import OVER_EPISODES, OVER_SEEDS, show
from analysis.runs import gather, methods, sizes, study
from hdream_core.data.offline import open_buffer
from hdream_core.data.replay import Replay, split_episodes
from hdream_core.support.errors import ConfigError

STUDY = "reward_mse"
ITEM = "E.10"
ABOUT = "Compare reward error with and without observation modelling."
OBSERVED, PREDICTED = 35, 15  # E.10
SIZES = {"segments": {"paper": 20000, "cpu": 5000, "quick": 1000, "smoke": 20}}
PAPER = {"w_r=100": 0.379, methods.IMPLICIT: 0.416}


@dataclass(frozen=True)
class RewardMSE(study.OfflineStudy):
    """Compare held-out reward error with and without observation modelling (E.10)."""

    methods: tuple[str, ...] = tuple(PAPER)
    """Methods to compare; the others are compared with the first."""
    segments: int | None = None
    """Held-out segments of 50 steps."""


def run(job: RewardMSE) -> Path:
    """Trains the models, predicts rewards, writes and draws the result; returns the result file."""
    job = study.sized(job, SIZES)
    plan = study.plan(job, STUDY, job.methods)
    if plan.config.offline_buffer is None:
        raise ConfigError("E.10 predicts rewards on a fixed buffer's held-out part; add --mode offline")
    job = sizes.settle(job, plan, "segments", None, OBSERVED + PREDICTED)
    if job.plan_only:
        return plan.path
    sha256 = study.train(plan)
    from hdream_core.runs.evaluate import heldout_predictions  # imports torch

    store = open_buffer(plan.config.offline_buffer).store
    heldout = Replay(store, split_episodes(store.episodes, plan.config.eval.heldout_fraction)[1])
    errors: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    episode = np.zeros(0, np.int64)
    for index, agent in plan.agents():
        windows = replace(agent.config.eval, context=OBSERVED, horizon=PREDICTED, samples=1)
        predictions = heldout_predictions(agent, heldout, windows, job.segments, seed=0)
        errors[index], episode = {"window/error": predictions.error}, predictions.episode
    axes = {"window": np.arange(job.segments)}
    result = gather.models(plan, sha256, errors, axes, {"window/error": ("window",)})
    result.data["window/error"] = (result.data["window/error"][0], result.values("window/error").astype(np.float32))
    result.data["window/episode"] = (("window",), episode.astype(np.int16))
    result.notes["paper"] = PAPER
    result.notes["final"] = intervals(result)
    return study.finish(result, plan, lines(result))


def intervals(result: schema.Result) -> dict[str, Any]:
    """Returns each method's mean error with intervals over seeds and episodes, and its difference to the first."""
    errors = result.values("window/error").astype(np.float64)
    table: dict[str, Any] = comparisons.beside_first(result, errors, result.values("window/episode"))
    for method, values in zip(result.methods, errors, strict=True):
        table[method]["median"] = float(np.median(values))
    words = {"interval": OVER_SEEDS, "interval_over_episodes": OVER_EPISODES}
    return table | words | {"reference": result.methods[0]}


def lines(result: schema.Result) -> list[str]:
    """Formats the errors, beside the paper's."""
    text = [f"open-loop reward error, {OBSERVED} frames seen, {PREDICTED} rewards predicted; [95 % over seeds]"]
    for method in result.methods:
        row = result.notes["final"][method]
        paper = f", paper {PAPER[method]}" if method in PAPER else ""
        text.append(
            f"  {method:<16} {show(row['over_seeds'])}, over episodes {show(row['over_episodes'])}, median "
            f"{row['median']:.3g}{paper}"
        )
    return text


main = partial(study.main, RewardMSE, run)

if __name__ == "__main__":
    main()
