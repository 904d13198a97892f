"""Branches from recorded states: alters actions and plays them in the simulator.

A branch is a window of an episode that no model has trained on: ``context`` frames are seen, and H steps follow. From
the recorded simulator state at the last frame seen, each alternative plays H actions of its own. An altered alternative
counts only if the simulator shows that the object is never touched under it. Then a predicted reward or motion can only
come from a mistaken correlation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.models.segments import Segments
from analysis.results.tasks import task_facts

ASIDE = 8  # steps of full sideways motion: about 8 cm on Meta-world, 16 px on the miniature
EARLY = 5  # steps; so long before the object would have moved the hand stops
SIDEWAYS = 0  # the action's dimension along x
GRIPPER = 3  # Meta-world's last action dimension, which alternatives leave as recorded


@dataclass(frozen=True)
class Truth:
    """Holds what the simulator does in B branches over H steps."""

    action: np.ndarray  # (B, H, A) as played
    reward: np.ndarray  # (B, H)
    displacement: np.ndarray  # (B, H) of the main object from where it was at the branch, in units of ``positions``
    valid: np.ndarray  # (B,) whether the branch has the alternative and, if altered, touches nothing


Alternative = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray | None]


def recorded(action: np.ndarray, moved: np.ndarray, towards: np.ndarray, touched: float) -> np.ndarray:
    """Returns the recorded actions, as a control."""
    return action


def halt(action: np.ndarray, moved: np.ndarray, towards: np.ndarray, touched: float) -> np.ndarray:
    """Keeps the hand where it is."""
    return _still(action, 0)


def stop_short(action: np.ndarray, moved: np.ndarray, towards: np.ndarray, touched: float) -> np.ndarray | None:
    """Stops the recorded approach before contact; None if the record has no contact that can be prevented."""
    contact = np.flatnonzero(moved > touched)
    if not len(contact) or contact[0] < EARLY:
        return None
    return _still(action, int(contact[0]) - EARLY)


def displaced(action: np.ndarray, moved: np.ndarray, towards: np.ndarray, touched: float) -> np.ndarray:
    """Moves the hand aside, away from the object, and then along the recorded path: the same motion elsewhere."""
    aside = _still(action[:ASIDE], 0)
    aside[:, SIDEWAYS] = -1.0 if towards[SIDEWAYS] > 0 else 1.0
    return np.concatenate([aside, action[: len(action) - ASIDE]])


def mirrored(action: np.ndarray, moved: np.ndarray, towards: np.ndarray, touched: float) -> np.ndarray:
    """Exchanges left and right of the recorded path."""
    altered = action.copy()
    altered[:, SIDEWAYS] *= -1
    return altered


ALTERNATIVES: dict[str, Alternative] = {
    alternative.__name__: alternative for alternative in (recorded, halt, stop_short, displaced, mirrored)
}


def simulate(env: Any, segments: Segments, context: int, alternative: str) -> Truth:
    """Plays an alternative in the simulator from every branch.

    Args:
        env: of the segments' task; it is moved from state to state.
        segments: B windows of context + H rows with ``sim_state``.
        context: frames before the branch.
        alternative: a name of ``ALTERNATIVES``.
    """
    alter, task = ALTERNATIVES[alternative], task_facts(segments.task)
    actions = segments.rows("action")[:, context:]  # (B, H, A)
    states = segments.rows("sim_state")[:, context - 1]  # (B, n)
    where = segments.positions()  # each (B, T, d)
    hand, at = (where[name][:, context - 1] for name in (task.hand, task.main))
    moved = np.linalg.norm(where[task.main][:, context:] - at[:, None], axis=-1)  # (B, H) in the record
    played, rewards, displacement, valid = [], [], [], []
    for i, state in enumerate(states):
        action = alter(actions[i], moved[i], at[i] - hand[i], task.touched)
        played.append(actions[i] if action is None else action)
        _, reward, positions = play_from(env, state, played[-1])
        rewards.append(reward)
        displacement.append(np.linalg.norm(positions[task.main] - at[i], axis=-1))
        valid.append(alternative == "recorded" or (action is not None and displacement[-1].max() <= task.touched))
    return Truth(np.stack(played), np.stack(rewards), np.stack(displacement), np.array(valid))


def play_from(
    env: Any, state: np.ndarray, actions: np.ndarray, render: bool = False
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Plays H actions from a saved state.

    Returns:
        Frames ``(H, ...)``, none unless they are rendered; rewards ``(H,)``; positions by name, ``(H, d)`` each.
    """
    env.restore_state(state)
    images, rewards, positions = [], [], []
    for action in actions:
        if render:
            obs, reward, *_ = env.step(action)
            images.append(obs["image"])
        else:
            reward = env.advance(action)
        rewards.append(reward)
        positions.append(env.object_positions())
    return np.array(images), np.array(rewards), {name: np.array([p[name] for p in positions]) for name in positions[0]}


def _still(action: np.ndarray, start: int) -> np.ndarray:
    """Returns the actions with the hand at rest from row ``start`` on; a gripper moves as recorded."""
    altered = action.copy()
    altered[start:, : min(action.shape[1], GRIPPER)] = 0.0
    return altered
