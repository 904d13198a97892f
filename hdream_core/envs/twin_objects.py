"""Describes the objects of the twin's two tasks: what they look like, and where an episode places them."""

from __future__ import annotations

import numpy as np

from hdream_core.envs.panda import BASE

REACH, PUSH = "twin_reach_target", "twin_push_button"
LOW, HIGH = (0.0, -0.25, 0.83), (0.3, 0.25, 1.05)  # corners of the box that balls are drawn in, metres
APART = 0.2  # least distance between two balls
FLAT = (0.05, -0.25), (0.3, 0.25)  # corners of the part of the table where the button is drawn
PLATE = 0.045  # metres from the table to the top of the button
RED, GREEN = (0.85, 0.05, 0.05, 1.0), (0.1, 0.75, 0.15, 1.0)
COLOURS = (  # of the other balls
    *((0.1, 0.2, 0.85), (0.1, 0.7, 0.15), (0.95, 0.9, 0.1), (0.1, 0.8, 0.85), (0.85, 0.15, 0.8), (0.95, 0.95, 0.95)),
    *((0.1, 0.1, 0.1), (0.5, 0.15, 0.6), (0.1, 0.45, 0.45), (0.55, 0.55, 0.1), (0.55, 0.55, 0.6), (0.1, 0.1, 0.45)),
)

_BALLS = "".join(
    f'<body name="{name}" mocap="true"><geom name="{name}" type="sphere" size="0.035"/></body>'
    for name in ("target", "other0", "other1")
)
_BUTTON = f"""
<body name="button" mocap="true">
  <geom class="thing" type="box" pos="0 0 0.0125" size="0.05 0.05 0.0125" rgba="0.35 0.03 0.1 1"/>
  <body name="plate" pos="0 0 {PLATE}">
    <joint name="plate" type="slide" axis="0 0 -1" range="0 0.015" stiffness="300" damping="5" armature="0.01"/>
    <geom name="plate" class="thing" type="cylinder" pos="0 0 -0.0125" size="0.035 0.0125" mass="0.01"/>
  </body>
</body>"""
MODELS = {REACH: _BALLS, PUSH: _BUTTON}
"""Objects of a task, for ``panda.scene``."""


def place_balls(rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, int]]:
    """Draws the places of target and other balls, metres ``(3, 3)``, and which ``COLOURS`` the others have."""
    first, second = (int(colour) for colour in rng.choice(len(COLOURS), 2, replace=False))
    while True:
        balls = rng.uniform(LOW, HIGH, (3, 3))
        if np.linalg.norm(balls - np.roll(balls, 1, 0), axis=1).min() >= APART:
            return balls, (first, second)


def place_button(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws the place of the button on the table, metres ``(3,)``, and its turn upright, a quaternion ``(4,)``."""
    place, half = np.array([*rng.uniform(*FLAT), BASE[2]]), rng.uniform(-np.pi, np.pi) / 2
    return place, np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
