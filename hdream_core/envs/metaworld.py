"""Defines the suite of the fifty Meta-world tasks (v3): names, settings, object positions. Imports no simulator."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hdream_core.envs.suite import EnvConfig, FrameSize, Suite
from hdream_core.support.settings import settings

# Meta-world's tasks under the paper's names: ``lever_pull`` is Meta-world's ``lever-pull-v3``.
TASKS = tuple(
    """
    assembly basketball bin_picking box_close button_press button_press_topdown button_press_topdown_wall
    button_press_wall coffee_button coffee_pull coffee_push dial_turn disassemble door_close door_lock
    door_open door_unlock drawer_close drawer_open faucet_close faucet_open hammer hand_insert handle_press
    handle_press_side handle_pull handle_pull_side lever_pull peg_insert_side peg_unplug_side pick_out_of_hole
    pick_place pick_place_wall plate_slide plate_slide_back plate_slide_back_side plate_slide_side push
    push_back push_wall reach reach_wall shelf_place soccer stick_pull stick_push sweep sweep_into
    window_close window_open
    """.split()
)

# Meta-world's observation: hand, gripper, two objects with quaternions, the same one step earlier, the goal.
_PARTS = {"hand": slice(0, 3), "object": slice(4, 7), "object2": slice(11, 14), "goal": slice(36, 39)}


@settings
class MetaWorldConfig(EnvConfig):
    suite: Literal["metaworld"] = "metaworld"
    """Suite of the task."""
    render: Literal["auto", "fast", "paper"] = "auto"
    """Render quality; auto takes `paper` on a GPU renderer and `fast` on a software one."""
    camera: Literal["corner", "corner2"] = "corner2"
    """Camera: corner2, moved to (0.75, 0.075, 0.7), or corner as in the released configs. On lever_pull at 64 x 64,
    corner hides the goal in most of an expert's frames; in the paper's text lever and goal are in view."""
    size: FrameSize = 64
    """Height and width of a frame in pixels."""


def positions(task: str, state: np.ndarray) -> dict[str, np.ndarray]:
    """Maps states ``(..., 39)`` to positions in metres, ``(..., 3)`` each; ``object2`` only where the task has one."""
    objects = {name: state[..., part] for name, part in _PARTS.items()}
    if not objects["object2"].any():  # padding
        del objects["object2"]
    return objects


SUITE = Suite(
    "metaworld", TASKS, MetaWorldConfig, "hdream_core.envs.metaworld_env:MetaWorld", positions, extra="metaworld"
)
