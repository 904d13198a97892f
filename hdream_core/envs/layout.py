"""Where the objects are in a task's ``state`` vector."""

from __future__ import annotations

import numpy as np

from hdream_core.envs.registry import METAWORLD_TASKS, UnknownTaskError

# Meta-world's observation: hand, gripper, two objects with their quaternions, all that one step ago, the goal.
_METAWORLD = {"hand": slice(0, 3), "object": slice(4, 7), "object2": slice(11, 14), "goal": slice(36, 39)}


def positions(task: str, state: np.ndarray) -> dict[str, np.ndarray]:
    """Positions of hand and task-relevant objects, by name, as ``env.object_positions()`` has them.

    Args:
        task: a name of ``hdream_core.envs.tasks()``.
        state: ``(..., n)``, the observation's ``state`` at many steps.

    Returns:
        Meta-world: metres, ``(..., 3)`` each; ``object2`` only where the task has one. Miniature: pixels, ``(..., 2)``.

    Raises:
        UnknownTaskError: if nobody has said where its objects are.
    """
    if task == "mini_lever":
        return {"tip": state[..., :2], "lever": np.stack([state[..., 2], state[..., 3] - state[..., 4]], -1)}
    if task not in METAWORLD_TASKS:
        raise UnknownTaskError(f"where {task}'s objects are in its state is not known: say so in {__name__}")
    found = {name: state[..., part] for name, part in _METAWORLD.items()}
    if not found["object2"].any():  # padding
        del found["object2"]
    return found


def image_values(task: str) -> int:
    """H W C, the numbers that an observation loss adds up over."""
    return 3 * (32 if task == "mini_lever" else 64) ** 2
