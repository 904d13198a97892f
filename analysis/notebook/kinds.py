"""Sorts rollouts by which of two models is wrong, counts them, and picks one of each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.notebook.rollouts import Rollout
from analysis.results import kinds_of_dreams
from analysis.results.schema import Result


def right_and_wrong(rollouts: Sequence[Rollout], protocol: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Sorts the rollouts whose true reward moves into kinds, by the rule of ``analysis.finding2``.

    Args:
        rollouts: of the same two models.
        protocol: ``tolerance`` of a predicted reward, and ``share`` of the rewards that must be within it.
    """
    dreamed = [[found.dreamed_reward[name][found.context :] for found in rollouts] for name in _models(rollouts)]
    truth = np.stack([found.true_reward[found.context :] for found in rollouts])
    data = {"dreamed_reward": ((), np.array(dreamed)[:, None]), "true_reward": ((), truth)}  # one seed
    result = Result({}, {}, data, notes={"protocol": dict(protocol)})
    moving, cases = kinds_of_dreams.moving(result), kinds_of_dreams.kinds(result)
    first, second = _models(rollouts)
    names = (f"only {second} right", f"only {first} right", "both wrong", "both right")
    return {name: cases[case][0] & moving for name, case in zip(names, kinds_of_dreams.CASES, strict=True)}


def dreamed_anyway(rollouts: Sequence[Rollout], level: float) -> dict[str, np.ndarray]:
    """Sorts rollouts with true rewards below a level by which models predict a reward above it."""
    first, second = (
        np.array([found.dreamed_reward[name][found.context :].max() > level for found in rollouts])
        for name in _models(rollouts)
    )
    names = [f"only {name} dreams of the reward" for name in _models(rollouts)]
    found = (first & ~second, second & ~first, first & second, ~first & ~second)
    return dict(zip((*names, "both dream of it", "neither dreams of it"), found, strict=True))


def typical(rollouts: Sequence[Rollout], kinds: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Returns the rollout to show of each kind that occurs, as in ``kinds_of_dreams.choose``."""
    squared = [[np.square(found.dreamed_reward[name] - found.true_reward).mean() for name in found.dreamed_reward]
               for found in rollouts]  # fmt: skip
    return kinds_of_dreams.typical(kinds, np.array(squared) @ (1, -1))


def _models(rollouts: Sequence[Rollout]) -> list[str]:
    return list(rollouts[0].dreamed_reward)


def in_words(found: Rollout) -> str:
    """Says which rewards the simulator gives, which each model predicts, and which model is more wrong."""
    after = slice(found.context, None)
    truth = found.true_reward[after]
    error = {name: float(np.abs(reward[after] - truth).mean()) for name, reward in found.dreamed_reward.items()}
    models = [
        f"{name} dreams of up to {found.dreamed_reward[name][after].max():.1f} and is off by {off:.2f} on average"
        for name, off in error.items()
    ]
    least, worse = sorted(error, key=error.__getitem__)[:: len(error) - 1]
    verdict = "Both are about as wrong" if error[worse] < 1.1 * error[least] else f"More wrong here: **{worse}**"
    return f"The simulator pays up to {truth.max():.1f}; {'; '.join(models)}. {verdict}."


def tally(kinds: Mapping[str, np.ndarray], models: Sequence[str]) -> str:
    """Says how many rollouts are of each kind, and which model is wrong more often, if by over a tenth of them.

    Args:
        kinds: in this order: only the first model is wrong, only the second, both, neither.
        models: names of the two.
    """
    count = [int(of.sum()) for of in kinds.values()]
    first, second = count[0] + count[2], count[1] + count[2]
    counts = f"Of {sum(count)} windows: " + "; ".join(f"{name}: {n}" for name, n in zip(kinds, count, strict=True))
    wrong = f"{models[0]} is wrong in {first}, {models[1]} in {second}"
    if abs(first - second) <= 0.1 * sum(count):
        return f"{counts}. {wrong}: about as often."
    return f"{counts}. {wrong}: here **{models[0] if first > second else models[1]}** is wrong more often."
