"""Finding 2 (Sec. 2.3, Fig. 3): what models with different reward-loss weights predict in open loop, frame by frame.

``python -m analysis.finding2 --task lever_pull`` shows each model 15 frames of held-out windows. The model then
predicts the next 35 steps from the actions alone. The study counts how often the predictions of each model are right,
and how often they have rewards that do not come (``analysis/results/kinds_of_dreams.py``). A rule picks the windows
that the figure shows, and their frequency stands beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from analysis.models import dreams
from analysis.models.hallucination import reward_level
from analysis.models.segments import CONTEXT, HORIZON, LENGTH, Segments, draw, unseen_episodes
from analysis.results import schema
from analysis.results.kinds_of_dreams import CASES, MADE_UP, SPLITS, choose, frequencies, kinds
from analysis.results.stats import show
from analysis.results.tasks import task_facts
from analysis.runs import gather, methods, sizes, study
from hdream_core.support.errors import ConfigError
from hdream_core.support.rewards import in_unit

STUDY = "finding2"
ITEM = "Fig. 3"
ABOUT = "Lay dreams beside the truth, and count how often they are wrong."
EVERY = 5  # every fifth frame is drawn (C.4)
SIZES = {
    "windows": {"paper": 2000, "cpu": 400, "quick": 100, "smoke": 20},
    "episodes": {"paper": 50, "cpu": 50, "quick": 8, "smoke": 4},
}
LEVELS = 4  # predicted pixels are stored in steps of 4: no eye sees it, and the file is half as large


@dataclass(frozen=True)
class Finding2(study.OfflineStudy):
    """Compare two models' predictions on held-out windows, by reward-loss weight (Finding 2, Fig. 3)."""

    POSITIONS = AFTERWARDS = FRAMES = True

    methods: tuple[str, ...] | None = None
    """The two methods to compare. Default: w_r=1 and the task's balanced weight."""
    windows: int | None = None
    """Held-out windows of 50 frames."""
    episodes: int | None = None
    """Episodes that the windows are drawn from; no model has trained on them."""
    tolerance: float = 1.0
    """A predicted reward is correct if it differs from the true one by at most this (rewards go from 0 to 10)."""
    share: float = 0.8
    """A prediction is right if this share of its rewards is correct."""
    threshold: float | None = None
    """A true reward up to this level is low. Default: a quarter of the way from the best reward with an untouched
    object to the best reward in those episodes."""


def run(job: Finding2) -> Path:
    """Trains the models, predicts, counts, writes and draws the result; returns the result file."""
    names = job.methods or (methods.ORIGINAL, task_facts(job.task).balanced)
    if len(names) != 2:
        raise ConfigError(f"--methods: two methods are compared, got {len(names)}")
    if not (job.tolerance > 0 and 0 < job.share <= 1):
        raise ConfigError(f"--tolerance {job.tolerance:g} --share {job.share:g}: above 0, and a share is at most 1")
    job = study.sized(job, SIZES)
    plan = study.plan(job, STUDY, names, fixed=True)
    job = sizes.settle(job, plan, "windows", "episodes", LENGTH)
    if job.plan_only:
        return plan.path
    sha256 = study.train(plan)
    episodes = unseen_episodes(plan, job.episodes)
    windows = draw(job.task, episodes, job.windows, LENGTH, seed=3)
    unit = plan.config.train.reward
    truth = in_unit(windows.rows("reward")[:, CONTEXT:], unit)  # (W, H)
    rewards = {index: {"dreamed_reward": dreams.rewards(agent, windows, CONTEXT)} for index, agent in plan.agents()}
    axes = {"window": np.arange(len(windows)), "horizon": np.arange(HORIZON)}
    result = gather.models(plan, sha256, rewards, axes, {"dreamed_reward": ("window", "horizon")})
    axes_of, dreamed = result.data["dreamed_reward"]
    result.data["dreamed_reward"] = (axes_of, dreamed.astype(np.float32))
    result.data["true_reward"] = (("window", "horizon"), truth.astype(np.float64))
    result.data["window/episode"] = (("window",), windows.episode)
    result.notes["protocol"] = {
        "tolerance": job.tolerance,
        "share": job.share,
        "level": in_unit(reward_level(job.task, episodes) if job.threshold is None else job.threshold, unit),
        "context": CONTEXT,
        "horizon": HORIZON,
        "episodes": len(windows.episodes),
    }
    result.notes["final"] = frequencies(result)
    _add_pictures(result, plan, windows)
    return study.finish(result, plan, lines(result))


def _add_pictures(result: schema.Result, plan: study.Plan, windows: Segments) -> None:
    """Adds frames of the chosen windows, from the last seen one on: true, and predicted by the first seed's models."""
    shown = choose(result)
    chosen = windows.take(np.array(list(shown.values())))
    drawn = np.arange(CONTEXT - EVERY, LENGTH, EVERY)
    truth = chosen.rows("image")[:, drawn]  # (case, frame, y, x, channel)
    result.axes |= {"case": np.array(list(shown)), "frame": drawn}
    result.axes |= {name: np.arange(n) for name, n in zip(("y", "x", "channel"), truth.shape[2:], strict=True)}
    picture = ("case", "frame", "y", "x", "channel")
    result.data["picture/true"] = (picture, truth)
    dreamed = np.zeros((len(plan.methods), *truth.shape), np.uint8)
    for (method, _), agent in plan.agents(first_seed=True):
        dreamed[method] = dreams.frames_and_rewards(agent, chosen, CONTEXT)[0][:, drawn]
    result.data["picture/dreamed"] = (("method", *picture), dreamed // LEVELS * LEVELS)
    result.data["case/window"] = (("case",), np.array(list(shown.values()), np.int64))
    by_kind = kinds(result)
    seeds = [int(by_kind[name][:, window].sum()) for name, window in shown.items()]
    result.data["case/seeds"] = (("case",), np.array(seeds, np.int64))  # seeds for which the window is of this kind


def lines(result: schema.Result) -> list[str]:
    """Formats how often each kind of prediction occurs."""
    first, second = result.methods
    protocol = result.notes["protocol"]
    text = [
        f"right: {100 * protocol['share']:.0f} % of {HORIZON} predicted rewards within "
        f"{protocol['tolerance']:g}; made up: over {100 - 100 * protocol['share']:.0f} % higher; low: up to "
        f"{protocol['level']:.2g}; [95 % over seeds]"
    ]
    for split in SPLITS:
        row = result.notes["final"][split]
        named = {name: name.replace("first", first).replace("second", second) for name in (*CASES, *MADE_UP)}
        cells = [f"{text} {show(row[name]['over_seeds'])}" for name, text in named.items() if name in row]
        text.append(f"  {split} windows ({row['windows']}): " + "; ".join(cells))
    return text


main = partial(study.main, Finding2, run)

if __name__ == "__main__":
    main()
