"""Predicts branches in open loop, and counts hallucinations: events that are predicted and do not happen.

There are two events, each over the H steps of a branch. *Reward*: the reward rises above a level from a start below it.
The level lies a quarter of the way from the best reward with an untouched object to the best recorded reward, so that
it cannot be reached without the object. *Object*: the task's main object is displaced by more than a threshold; in
predictions a probe reads its displacement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.models.branching import Truth
from analysis.models.dreams import batches
from analysis.models.motion import SMOOTH, MotionProbe
from analysis.models.segments import Rows, Segments
from analysis.results.tasks import task_facts
from analysis.results.wrong_dreams import EVENTS
from hdream_core.agent import Agent
from hdream_core.envs import positions
from hdream_core.support.errors import ConfigError

REFERENCES = ("simulator", "ignores actions")
QUARTER = 0.25


@dataclass(frozen=True)
class Dreamed:
    """Holds a prediction of B branches: S samples, H steps."""

    reward: np.ndarray  # (S, B, H)
    displacement: np.ndarray  # (S, B, H) of the main object


def untouched_rows(task: str, rows: Rows) -> np.ndarray:
    """Returns at which rows of an episode the main object rests where the reset left it, ``(T,)``."""
    facts = task_facts(task)
    where, row = positions(task, rows["state"])[facts.main], np.arange(len(rows["state"]))
    at_rest = where[min(facts.settled, len(where) - 1)]
    return (row >= facts.settled) & (np.linalg.norm(where - at_rest, axis=-1) <= facts.touched)


def reward_level(task: str, episodes: Sequence[Rows]) -> float:
    """Returns the level that a reward must exceed, by the module's rule, from recorded episodes.

    Raises:
        ConfigError: if no recorded reward exceeds it, so that nothing could be counted.
    """
    untouched, best = -np.inf, -np.inf
    for rows in episodes:
        still = untouched_rows(task, rows)
        untouched = max(untouched, float(rows["reward"][still].max()))
        best = max(best, float(rows["reward"].max()))
    if not best > untouched:
        raise ConfigError(f"{task}: no recorded reward exceeds what an untouched object gives; give --threshold")
    return untouched + QUARTER * (best - untouched)


def thresholds_for(task: str, level: float) -> dict[str, float]:
    """Returns, by event, the reward's level, and the displacement from which on the object counts as moved."""
    return {"reward": level, "object": task_facts(task).moved}


def dream(
    agent: Agent, branches: Segments, context: int, action: np.ndarray, probe: MotionProbe, samples: int
) -> Dreamed:
    """Predicts branches under given actions.

    Args:
        agent: whose world model predicts.
        branches: B windows.
        context: frames that are seen.
        action: ``(B, H, A)`` after them.
        probe: reads the main object's displacement off features.
        samples: predictions of each branch.
    """
    import torch

    rewards, displacement = [], []
    for chosen, batch in batches(agent, branches, context, action):
        with torch.no_grad():
            predicted = agent.open_loop(batch, context, samples)
        feat = torch.cat([predicted.observed[:, -SMOOTH:], predicted.feat], 1)  # (S * B, SMOOTH + H, F)
        moved = probe.read(feat.float().cpu().numpy())
        shape = (samples, len(chosen), -1)
        rewards.append(predicted.reward.float().cpu().numpy().reshape(shape))
        displacement.append(moved.reshape(shape))
    return Dreamed(np.concatenate(rewards, 1), np.concatenate(displacement, 1))


def reference(name: str, truths: Mapping[str, Truth]) -> dict[str, Dreamed]:
    """Returns reference predictions: of the simulator, or of a predictor that ignores actions and gives the record."""
    truth_of = {key: truths["recorded"] if name == "ignores actions" else truth for key, truth in truths.items()}
    return {key: Dreamed(truth.reward[None], truth.displacement[None]) for key, truth in truth_of.items()}


def measures(
    dreams: Mapping[str, Dreamed],
    truths: Mapping[str, Truth],
    thresholds: Mapping[str, float],
    dreamed_thresholds: Mapping[str, float] | None = None,
    weight: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Returns what rates are computed from, ``(alternatives, B)`` each, and the rates, ``(alternatives,)``.

    ``<event>/probability`` is the share of a branch's predictions in which the event happens.

    Args:
        dreams: predictions by alternative.
        truths: by alternative.
        thresholds: by event, for the truth.
        dreamed_thresholds: by event, for predictions, if a probe's noise needs others.
        weight: ``(B,)`` of the branches, see ``rates``.
    """
    found: dict[str, list] = {}
    levels = dreamed_thresholds or thresholds
    for name, truth in truths.items():
        dreamed = dreams[name]
        for event, values in (("reward", dreamed.reward), ("object", dreamed.displacement)):
            happens = (values > levels[event]).any(-1).mean(0)  # (B,)
            found.setdefault(f"{event}/probability", []).append(np.where(truth.valid, happens, np.nan))
        errors = {
            "reward/error": np.square(dreamed.reward - truth.reward),
            "reward/bias": dreamed.reward - truth.reward,
            "object/error": np.abs(dreamed.displacement - truth.displacement),
        }
        for metric, values in errors.items():  # (S, B, H)
            found.setdefault(metric, []).append(np.where(truth.valid, values.mean((0, 2)), np.nan))
        highest = dreamed.reward.max(-1).mean(0)  # for other levels
        found.setdefault("reward/highest", []).append(np.where(truth.valid, highest, np.nan))
    arrays = {name: np.stack(values) for name, values in found.items()}
    for event in EVENTS:
        happened = happened_in(truths, event, thresholds)
        arrays |= rates(event, arrays[f"{event}/probability"], happened, list(truths).index("recorded"), weight)
    return arrays


def happened_in(truths: Mapping[str, Truth], event: str, thresholds: Mapping[str, float]) -> np.ndarray:
    """Returns whether the event truly happens, ``(alternatives, B)``, NaN where the alternative does not exist."""
    rows = []
    for truth in truths.values():
        values = truth.reward if event == "reward" else truth.displacement
        rows.append(np.where(truth.valid, (values > thresholds[event]).any(-1), np.nan))
    return np.stack(rows)


def rates(
    event: str, probability: np.ndarray, happened: np.ndarray, recorded: int, weight: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Returns the rates of one event for each alternative, NaN without a case.

    Args:
        event: prefix of the names.
        probability: ``(alternatives, B)`` predicted, NaN where the alternative does not exist.
        happened: ``(alternatives, B)`` 1 or 0 in truth, NaN likewise.
        recorded: index of the alternative that alters nothing.
        weight: ``(B,)``, recorded windows that a branch stands for, since eventful ones are drawn more often. It
            matters for hallucinations and the Brier score, where eventful and other branches mix.

    Returns:
        ``hallucination_rate``: mean predicted probability where the event does not happen. ``averted_rate``: the same
        only where the event happens in the record, so that the altered actions avert it. ``miss_rate``: mean of the
        complement where the event happens. ``brier``: mean squared difference of
        probability and truth.
    """
    averted = (happened == 0) & (happened[recorded] == 1)
    weight = np.ones(happened.shape[-1]) if weight is None else weight
    return {
        f"{event}/hallucination_rate": _mean_where(probability, happened == 0, weight),
        f"{event}/averted_rate": _mean_where(probability, averted, weight),
        f"{event}/miss_rate": _mean_where(1 - probability, happened == 1, weight),
        f"{event}/brier": _mean_where(np.square(probability - happened), np.isfinite(happened), weight),
    }


def _mean_where(values: np.ndarray, chosen: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weights = chosen * weight
    total = weights.sum(-1)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, np.where(chosen, values * weights, 0).sum(-1) / total, np.nan)
