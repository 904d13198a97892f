"""Finding 2 as a number: how often a model predicts rewards that the simulator does not give.

``python -m analysis.counterfactual --task lever_pull`` branches held-out episodes at recorded states in which the
object is still untouched. Altered actions that never touch the object (stop before contact, pass beside it, ...) are
played in the simulator and predicted by every model in open loop. A hallucination is a predicted reward that rises
above a level while the true reward stays below it. A miss is the reverse, under the recorded actions. The same is
counted for motion of the object, which a probe reads off the predictions. The study is ours: the paper has pictures
(Fig. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from analysis.models import hallucination, segments
from analysis.models.branching import ALTERNATIVES, Truth, simulate
from analysis.models.hallucination import REFERENCES, measures, reward_level
from analysis.models.motion import SMOOTH, MotionProbe
from analysis.models.probes import ProbeConfig
from analysis.models.segments import CONTEXT, HORIZON, LENGTH, PLAYED_SEED, Rows, Segments, draw
from analysis.results import schema
from analysis.results.tasks import task_facts
from analysis.results.wrong_dreams import EVENTS, WRONG, intervals, lines
from analysis.runs import gather, methods, sizes, study
from hdream_core import envs
from hdream_core.support.errors import ConfigError
from hdream_core.support.rewards import in_unit

STUDY = "counterfactual"
ITEM = "Finding 2"
ABOUT = "Count wrong predictions under altered actions, from restored states."
SIZES = {
    "branches": {"paper": 2000, "cpu": 400, "quick": 100, "smoke": 12},
    "samples": {"paper": 10, "cpu": 5, "quick": 3, "smoke": 2},
    "episodes": {"paper": 50, "cpu": 50, "quick": 8, "smoke": 4},
    "probe_episodes": {"paper": 400, "cpu": 150, "quick": 40, "smoke": 4},
    "probe_segments": {"paper": 4000, "cpu": 1500, "quick": 200, "smoke": 8},
    "probe_updates": {"paper": 5000, "cpu": 1000, "quick": 300, "smoke": 10},
}
MOST = 100  # at most so many times the planned number of episodes is played to find branches
EVENTFUL = 0.5  # share of branches whose recorded reward rises, if there are enough


@dataclass(frozen=True)
class Counterfactual(study.OfflineStudy):
    """Count predicted rewards and motions that the simulator contradicts, by reward-loss weight (Finding 2)."""

    POSITIONS = AFTERWARDS = True

    methods: tuple[str, ...] | None = None
    """Methods to compare. Default: w_r=1 and the task's balanced weight."""
    branches: int | None = None
    """Recorded states to branch from."""
    samples: int | None = None
    """Predictions of each branch and alternative."""
    episodes: int | None = None
    """Episodes that branches are drawn from; no model has trained on them."""
    threshold: float | None = None
    """Level that a reward must exceed to rise. Default: a quarter of the way from the best reward with an untouched
    object to the best reward in those episodes."""
    probe_episodes: int | None = None
    """Other episodes (offline: episodes trained on) for the probe of the object's motion. It is fitted on two thirds of
    them; its threshold is set on the rest."""
    probe_segments: int | None = None
    """Segments of 50 steps from those episodes."""
    probe_updates: int | None = None
    """Updates of the probe."""


def run(job: Counterfactual) -> Path:
    """Trains the models, branches, predicts, counts, writes and draws the result; returns the result file."""
    job = study.sized(job, SIZES)
    names = job.methods or (methods.ORIGINAL, task_facts(job.task).balanced)
    plan = study.plan(job, STUDY, names)
    job = sizes.settle(job, plan, "branches", "episodes", LENGTH)
    job = sizes.settle(job, plan, "probe_segments", "probe_episodes", LENGTH, "training")
    if job.plan_only:
        return plan.path
    if plan.config.offline_buffer and plan.trains and not all(run.done for run in plan.runs):
        study.prepare_buffer(plan)  # check that there are enough branches before anything is trained
        _branches(job, plan)
    sha256 = study.train(plan)
    job, branches, weight, level = _branches(job, plan)
    episodes = branches.episodes
    others = segments.other_episodes(plan, job.probe_episodes)
    probe_windows = draw(job.task, others, job.probe_segments, LENGTH, seed=1)
    unit = plan.config.train.reward
    thresholds = hallucination.thresholds_for(job.task, in_unit(level, unit))
    probe = ProbeConfig(updates=job.probe_updates)
    env = envs.require(segments.make_env(plan, PLAYED_SEED), envs.Branchable, STUDY)
    envs.require(env, envs.Located, STUDY)
    truths = {name: simulate(env, branches, CONTEXT, name) for name in ALTERNATIVES}
    truths = {name: replace(truth, reward=in_unit(truth.reward, unit)) for name, truth in truths.items()}
    rates = {}
    for index, agent in plan.agents():
        motion = MotionProbe(agent, probe_windows, probe, thresholds["object"])
        predictions = {
            name: hallucination.dream(agent, branches, CONTEXT, truth.action, motion, job.samples)
            for name, truth in truths.items()
        }
        rates[index] = measures(predictions, truths, thresholds, thresholds | {"object": motion.threshold}, weight)
        rates[index] |= motion.quality(agent, branches)
    axes = {"alternative": np.array(list(ALTERNATIVES)), "branch": np.arange(len(branches))}
    layout = {name: ("alternative", "branch")[: values.ndim] for name, values in rates[0, 0].items()}
    result = gather.models(plan, sha256, rates, axes, layout)
    _add_truth(result, branches, weight, truths, thresholds)
    result.notes["final"] = intervals(result)
    result.notes["protocol"] = {
        "thresholds": thresholds,
        "threshold_rule": "given" if job.threshold is not None else "a quarter from untouched to best reward",
        "eventful_share_aimed_at": EVENTFUL,
        "branches": "at an untouched object; altered actions count where the simulator shows that they never touch it",
        "weights": "hallucination and brier: a branch counts for the windows of the record that it stands for",
        "dreamed_motion": f"running means over {SMOOTH} steps, beyond the probe's threshold of equal errors",
        "context": CONTEXT,
        "horizon": HORIZON,
        "samples": job.samples,
        "episodes": len(episodes),
        "probe": asdict(probe),
    }
    return study.finish(result, plan, lines(result))


def _branches(job: Counterfactual, plan: study.Plan) -> tuple[Counterfactual, Segments, np.ndarray, float]:
    """Draws the branches; returns the job with the sizes that were reached, the branches, their weights and the level.

    If too few windows can be used, more episodes are taken, unless their number was asked for or there are no more.
    """
    recorded = sizes.recorded(plan)
    most = MOST * job.episodes if recorded is None else recorded
    count = job.episodes
    while True:
        episodes = segments.unseen_episodes(plan, count)
        level = reward_level(job.task, episodes) if job.threshold is None else job.threshold
        branches, weight = draw_branches(job.task, episodes, job.branches, level)
        if (found := len(branches)) == job.branches or count >= most or "episodes" in job.given:
            break
        count = min(most, int(1.2 * count * job.branches / found) + 1)
    if found < job.branches and "branches" in job.given:
        raise ConfigError(
            f"--branches {job.branches}: {count} episodes have {found} windows with an untouched object and a reward "
            f"beneath {level:g}; ask for {found} or fewer, or for more --episodes"
        )
    return sizes.fitted(job, branches=found, episodes=count), branches, weight, level


def draw_branches(task: str, episodes: Sequence[Rows], count: int, level: float) -> tuple[Segments, np.ndarray]:
    """Draws windows whose object is untouched and whose reward is at most the level at the branch.

    It draws ``count`` windows, or all that there are. In half of them, if there are enough, the recorded reward rises
    above the level: only there can altered actions avert something.

    Returns:
        The windows, and their weights ``(B,)``: how many recorded windows each stands for, relative to an even draw.

    Raises:
        ConfigError: if there is no such window.
    """
    every = draw(task, episodes, None, LENGTH, seed=2)
    reward, untouched = every.rows("reward"), [hallucination.untouched_rows(task, rows) for rows in episodes]
    at_rest = np.array([untouched[e][s + CONTEXT - 1] for e, s in zip(every.episode, every.start, strict=True)])
    beneath = at_rest & (reward[:, CONTEXT - 1] <= level)
    rises = beneath & (reward[:, CONTEXT:] > level).any(1)
    if not beneath.any():
        raise ConfigError(f"no recorded window has an untouched object and a reward beneath {level:g} at its branch")
    others = np.flatnonzero(beneath & ~rises)
    eventful = np.flatnonzero(rises)[: max(round(EVENTFUL * count), count - len(others))]
    others = others[: count - len(eventful)]
    chosen = np.sort(np.concatenate([eventful, others]))
    share = rises.sum() / beneath.sum()
    weight = np.where(rises[chosen], share / max(len(eventful), 1), (1 - share) / max(len(others), 1)) * len(chosen)
    return every.take(chosen), weight


def _add_truth(
    result: schema.Result,
    branches: Segments,
    weight: np.ndarray,
    truths: dict[str, Truth],
    thresholds: dict[str, float],
) -> None:
    """Adds what truly happens, and the rates of the two reference predictors."""
    result.axes["reference"] = np.array(REFERENCES)
    result.data["branch/episode"] = (("branch",), branches.episode.astype(np.int64))
    result.data["branch/weight"] = (("branch",), weight)
    highest = [np.where(truth.valid, truth.reward.max(-1), np.nan) for truth in truths.values()]
    result.data["reward/highest_true"] = (("alternative", "branch"), np.stack(highest))
    known = {
        name: measures(hallucination.reference(name, truths), truths, thresholds, weight=weight) for name in REFERENCES
    }
    for event in EVENTS:
        result.data[f"{event}/happened"] = (
            ("alternative", "branch"),
            hallucination.happened_in(truths, event, thresholds),
        )
        for wrong in WRONG:
            values = np.stack([known[name][f"{event}/{wrong}_rate"] for name in REFERENCES])
            result.data[f"reference/{event}/{wrong}_rate"] = (("reference", "alternative"), values)


main = partial(study.main, Counterfactual, run)

if __name__ == "__main__":
    main()
