"""What a model dreams in branches, and the definition of a hallucination: an event that is dreamed and does not happen.

An event happens in a branch if a quantity rises above its threshold at any of the H steps: the reward, or the
displacement of the task's main object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from analysis.branching import Truth
from analysis.probes import MLPProbe
from analysis.segments import Segments
from hdream_core.agent import DreamerV2
from hdream_core.evaluate import WINDOWS_AT_ONCE, own_randomness
from hdream_core.precision import autocast

EVENTS = ("reward", "object")
REFERENCES = ("simulator", "ignores actions")


@dataclass(frozen=True)
class Dreamed:
    """A predictor's answer for B branches: S samples, H steps."""

    reward: np.ndarray  # (S, B, H)
    displacement: np.ndarray  # (S, B, H) of the main object


@torch.no_grad()
def dream(
    agent: DreamerV2, branches: Segments, context: int, action: np.ndarray, probe: MLPProbe, samples: int
) -> Dreamed:
    """An agent's dreams of branches under given actions.

    Args:
        agent: whose world model dreams.
        branches: B windows.
        context: frames of them that are seen.
        action: ``(B, H, A)`` to play from there.
        probe: reads the main object's position off features.
        samples: dreams of each branch.
    """
    rewards, displacement = [], []
    with own_randomness(0), autocast(agent.config.train.precision, agent.device):
        for some in np.split(np.arange(len(branches)), range(WINDOWS_AT_ONCE, len(branches), WINDOWS_AT_ONCE)):
            batch = branches.take(some).batch()
            batch["action"][:, context:] = action[some]
            found = agent.model.open_loop(agent.to_device(batch), context, samples)
            feat = torch.cat([found.observed[:, -1:], found.feat], 1).float().cpu().numpy()  # (S * B, 1 + H, F)
            position = probe(feat)
            moved = np.linalg.norm(position[:, 1:] - position[:, :1], axis=-1)
            shape = (samples, len(some), -1)
            rewards.append(found.reward.float().cpu().numpy().reshape(shape))
            displacement.append(moved.reshape(shape))
    return Dreamed(np.concatenate(rewards, 1), np.concatenate(displacement, 1))


def reference(name: str, truths: Mapping[str, Truth]) -> dict[str, Dreamed]:
    """Predictors whose rates are known: the simulator itself, and one that dreams the record whatever the actions."""
    told = {key: truths["recorded"] if name == "ignores actions" else truth for key, truth in truths.items()}
    return {key: Dreamed(truth.reward[None], truth.displacement[None]) for key, truth in told.items()}


def measures(
    dreams: Mapping[str, Dreamed], truths: Mapping[str, Truth], thresholds: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """What rates are made of, ``(alternatives, B)`` each, and the rates, ``(alternatives,)``.

    ``<event>/probability`` is the share of a branch's dreams in which the event happens.
    """
    found: dict[str, list] = {}
    for name, truth in truths.items():
        dreamed = dreams[name]
        for event, values in (("reward", dreamed.reward), ("object", dreamed.displacement)):
            happens = (values > thresholds[event]).any(-1).mean(0)  # (B,)
            found.setdefault(f"{event}/probability", []).append(np.where(truth.valid, happens, np.nan))
        found.setdefault("reward/error", []).append(np.square(dreamed.reward - truth.reward).mean((0, 2)))
        found.setdefault("reward/bias", []).append((dreamed.reward - truth.reward).mean((0, 2)))
        found.setdefault("object/error", []).append(np.abs(dreamed.displacement - truth.displacement).mean((0, 2)))
    arrays = {name: np.stack(values) for name, values in found.items()}
    for event in EVENTS:
        happened = happened_in(truths, event, thresholds)
        arrays |= rates(event, arrays[f"{event}/probability"], happened)
    return arrays


def happened_in(truths: Mapping[str, Truth], event: str, thresholds: Mapping[str, float]) -> np.ndarray:
    """Whether the event truly happens, ``(alternatives, B)``, NaN where the alternative does not exist."""
    rows = []
    for truth in truths.values():
        values = truth.reward if event == "reward" else truth.displacement
        rows.append(np.where(truth.valid, (values > thresholds[event]).any(-1), np.nan))
    return np.stack(rows)


def rates(event: str, probability: np.ndarray, happened: np.ndarray) -> dict[str, np.ndarray]:
    """Rates of one event per alternative.

    Args:
        event: prefix of the names.
        probability: ``(alternatives, B)`` dreamed, NaN where the alternative does not exist.
        happened: ``(alternatives, B)`` 1 or 0 in truth, NaN likewise.

    Returns:
        ``hallucination_rate``: mean dreamed probability where the event does not happen; ``miss_rate``: mean of its
        complement where it does; ``brier``: mean squared difference of probability and truth. NaN without a case.
    """
    return {
        f"{event}/hallucination_rate": _mean_where(probability, happened == 0),
        f"{event}/miss_rate": _mean_where(1 - probability, happened == 1),
        f"{event}/brier": _mean_where(np.square(probability - happened), np.isfinite(happened)),
    }


def _mean_where(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    counts = chosen.sum(-1)
    return np.where(counts > 0, np.where(chosen, values, 0).sum(-1) / np.maximum(counts, 1), np.nan)
