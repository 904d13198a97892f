"""Finding 2 as a number: how often a model dreams of rewards that the simulator does not pay.

``python -m analysis.counterfactual --task lever_pull`` branches held-out episodes at recorded states, plays altered
actions (stop short of contact, pass beside the object, ...) in the simulator and in every model's dreams, and
compares. A hallucination is a dream whose reward rises above a level where the true reward stays below it; a miss is
the reverse. The same for motion of the object, read off the dream by a probe. Ours: the paper has pictures (Fig. 3).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import figures.counterfactual
from analysis import collect, methods, results, study
from analysis.branching import ALTERNATIVES, Truth, simulate
from analysis.hallucination import (
    EVENTS,
    REFERENCES,
    Dreamed,
    dream,
    happened_in,
    measures,
    reference,
    reward_level,
    thresholds_for,
)
from analysis.probes import MLPProbe, ProbeConfig
from analysis.representation import features
from analysis.segments import CONTEXT, HORIZON, LENGTH, PLAYED_SEED, Rows, Segments, draw, make_env, unseen_episodes
from analysis.wrong_dreams import WRONG, intervals, lines
from hdream_core.agent import DreamerV2
from hdream_core.config import ConfigError
from hdream_core.envs.layout import main_object

STUDY = "counterfactual"
SIZES = {
    "branches": {"paper": 2000, "cpu": 400, "quick": 100, "smoke": 12},
    "samples": {"paper": 10, "cpu": 5, "quick": 3, "smoke": 2},
    "episodes": {"paper": 100, "cpu": 50, "quick": 16, "smoke": 4},
    "probe_segments": {"paper": 2000, "cpu": 400, "quick": 100, "smoke": 8},
    "probe_updates": {"paper": 5000, "cpu": 1000, "quick": 300, "smoke": 10},
}
EVENTFUL = 0.5  # share of the branches in whose record the reward rises, where there are enough


@dataclass(frozen=True)
class Counterfactual(study.OfflineStudy):
    """Count dreamed rewards and motions that the simulator contradicts (Finding 2), per reward-loss weight."""

    methods: tuple[str, ...] | None = None
    """Methods to compare. Default: w_r=1 and the task's balanced weight."""
    branches: int | None = None
    """Recorded states to branch from. Default: 2000 for paper, 400 for cpu, 100 for quick."""
    samples: int | None = None
    """Dreams of each branch and alternative. Default: 10 for paper, 5 for cpu, 3 for quick."""
    episodes: int | None = None
    """Episodes never trained on; the probe is fitted on one half, branches are drawn from the other. Default: 100 for
    paper, 50 for cpu, 16 for quick."""
    threshold: float | None = None
    """Level that a reward rises above. Default: a quarter of the way from the best reward with an untouched object to
    the best reward in those episodes."""
    probe_segments: int | None = None
    """Segments of 50 steps that the probe is fitted on. Default: 2000 for paper, 400 for cpu, 100 for quick."""
    probe_updates: int | None = None
    """Updates of the probe. Default: 5000 for paper, 1000 for cpu, 300 for quick."""


def run(job: Counterfactual) -> Path:
    """Trains, branches, dreams, counts, writes and draws; returns the result file."""
    job = study.sized(job, SIZES)
    names = job.methods or (methods.ORIGINAL, methods.balanced(job.task))
    plan = study.plan(job, STUDY, names)
    path = collect.save_path(job.results, STUDY, plan.runs)
    if job.plan_only:
        return path
    sha256 = study.train(plan)
    episodes = unseen_episodes(plan, job.episodes)
    if len(episodes) < 2:
        raise ConfigError(f"{len(episodes)} episode is too few: one is for the probe, another to branch from")
    half = len(episodes) // 2
    probing = draw(job.task, episodes[:half], job.probe_segments, LENGTH, seed=1)
    level = reward_level(job.task, episodes) if job.threshold is None else job.threshold
    branches = draw_branches(job.task, episodes[half:], job.branches, level)
    thresholds = thresholds_for(job.task, level)
    probe = ProbeConfig(updates=job.probe_updates)
    env = make_env(plan.config, PLAYED_SEED)
    truths = {name: simulate(env, branches, CONTEXT, name) for name in ALTERNATIVES}
    found = {}
    for place, agent in plan.agents():
        reader = _object_probe(agent, probing, probe)
        dreams = _dreams(agent, branches, truths, reader, job.samples)
        found[place] = measures(dreams, truths, thresholds) | _floor(agent, branches, reader, thresholds["object"])
    axes = {"alternative": np.array(list(ALTERNATIVES)), "branch": np.arange(len(branches))}
    layout = {name: ("alternative", "branch")[: values.ndim] for name, values in found[0, 0].items()}
    result = collect.models(plan, sha256, found, axes, layout)
    _add_truth(result, branches, truths, thresholds)
    result.notes["final"] = intervals(result)
    result.notes["protocol"] = {
        "thresholds": thresholds,
        "threshold_rule": "given" if job.threshold is not None else "a quarter from untouched to best reward",
        "eventful_share_aimed_at": EVENTFUL,
        "context": CONTEXT,
        "horizon": HORIZON,
        "samples": job.samples,
        "episodes": len(episodes),
        "probe": asdict(probe),
    }
    return study.finish(result, path, job.out, figures.counterfactual.draw, lines(result))


def draw_branches(task: str, episodes: Sequence[Rows], count: int, level: float) -> Segments:
    """Windows to branch in, all with the reward at or beneath the level at the branch.

    Half of them, where there are so many, are windows in whose record the reward rises above the level: only there can
    altered actions avert something. The rates are conditional on what truly happens, so this does not bias them.

    Raises:
        ConfigError: if the record has no window that begins beneath the level.
    """
    every = draw(task, episodes, sys.maxsize, LENGTH, seed=2)
    reward = every.rows("reward")
    beneath = reward[:, CONTEXT - 1] <= level
    rises = beneath & (reward[:, CONTEXT:] > level).any(1)
    if not beneath.any():
        raise ConfigError(f"every recorded reward is above the threshold of {level:g}; give a higher --threshold")
    eventful = np.flatnonzero(rises)[: round(EVENTFUL * count)]
    return every.take(np.sort(np.concatenate([eventful, np.flatnonzero(beneath & ~rises)[: count - len(eventful)]])))


def _floor(agent: DreamerV2, branches: Segments, reader: MLPProbe, moved: float) -> dict[str, np.ndarray]:
    """How wrong the probe itself is, on features of frames that were seen: no dream can be read off better.

    ``object/floor``: share of branches whose recorded object does not move that the probe has moving.
    """
    name = main_object(branches.task)
    feat, truth = features(agent, branches, CONTEXT).posterior[:, CONTEXT - 1 :], branches.positions()[name]
    read = reader(feat)
    apart = {"read": read, "true": truth[:, CONTEXT - 1 :]}
    motion = {key: np.linalg.norm(where[:, 1:] - where[:, :1], axis=-1) for key, where in apart.items()}
    still = (motion["true"] <= moved).all(-1)
    error = np.sqrt(np.square(read - apart["true"]).sum(-1).mean())
    wrong = (motion["read"] > moved).any(-1)[still].mean() if still.any() else np.nan
    return {"object/floor": np.array(wrong), "object/probe_error": np.array(error)}


def _object_probe(agent: DreamerV2, segments: Segments, config: ProbeConfig) -> MLPProbe:
    """Reads the main object's position off an agent's features."""
    feat = features(agent, segments, CONTEXT).posterior
    target = segments.positions()[main_object(segments.task)]
    return MLPProbe(feat.reshape(-1, feat.shape[-1]), target.reshape(-1, target.shape[-1]), config, seed=0)


def _dreams(
    agent: DreamerV2, branches: Segments, truths: dict[str, Truth], probe: MLPProbe, samples: int
) -> dict[str, Dreamed]:
    return {name: dream(agent, branches, CONTEXT, truth.action, probe, samples) for name, truth in truths.items()}


def _add_truth(
    result: results.Result, branches: Segments, truths: dict[str, Truth], thresholds: dict[str, float]
) -> None:
    """What truly happens, and the rates of the two reference predictors."""
    result.axes["reference"] = np.array(REFERENCES)
    result.data["branch/episode"] = (("branch",), branches.episode.astype(np.int64))
    known = {name: measures(reference(name, truths), truths, thresholds) for name in REFERENCES}
    for event in EVENTS:
        result.data[f"{event}/happened"] = (("alternative", "branch"), happened_in(truths, event, thresholds))
        for wrong in WRONG:
            values = np.stack([known[name][f"{event}/{wrong}_rate"] for name in REFERENCES])
            result.data[f"reference/{event}/{wrong}_rate"] = (("reference", "alternative"), values)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    study.main(Counterfactual, run, args)


if __name__ == "__main__":
    main()
