"""Describes a Panda arm on a table for MuJoCo, of capsules and boxes, and computes its motion towards a place.

Frames and lengths of the arm are the maker's published ones; shapes, masses, motors and the scene are our own. There
are no meshes and no textures.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import mujoco

JOINTS = 7
BASE = (-0.25, 0.0, 0.75)  # metres; the table's top is at this height
START = (0.0, 0.1752, 0.0, -0.8730, 0.0, 1.2216, 0.7854)  # radians; the hand looks down
LOW = (-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973)  # limits of the joints
HIGH = (2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973)
FLANGE, TIP = 0.107, 0.1034  # metres from the last joint to the flange, and on to the tip between the fingers
OPENING = 0.04  # metres from the middle to each finger of an open hand
DAMPING = 0.05  # of the inverse Jacobian: the arm slows down where it is nearly stretched


class _Link(NamedTuple):
    """Holds a link's frame in its parent's (twist, along x, along the joint), its mass, and its capsules."""

    twist: float
    a: float
    d: float
    mass: float
    capsules: tuple[tuple[float, ...], ...]  # from, to, radius; metres, in the link's frame


_RIGHT = math.pi / 2
_LINKS = (
    _Link(0, 0, 0.333, 3.0, ((0, 0, -0.19, 0, 0, 0, 0.07),)),
    _Link(-_RIGHT, 0, 0, 3.0, ((0, 0, 0, 0, -0.19, 0, 0.065),)),
    _Link(_RIGHT, 0, 0.316, 2.5, ((0, 0, -0.1, 0.0825, 0, 0, 0.065),)),
    _Link(_RIGHT, 0.0825, 0, 2.5, ((0, 0, 0, -0.0825, 0.1, 0, 0.06),)),
    _Link(-_RIGHT, -0.0825, 0.384, 2.5, ((0, 0, -0.26, 0, 0.05, -0.1, 0.055), (0, 0.05, -0.1, 0, 0, 0, 0.055))),
    _Link(_RIGHT, 0, 0, 1.5, ((0, 0, 0, 0.088, 0, 0, 0.05),)),
    _Link(_RIGHT, 0.088, 0, 0.7, ((0, 0, 0.02, 0, 0, 0.08, 0.045),)),
)


def scene(objects: str) -> str:
    """Returns a MuJoCo model of arm, table and room as XML, with further ``objects`` in the world."""
    return f"""
<mujoco model="panda">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.005" integrator="implicitfast"/>
  <statistic center="0 0 1" extent="2"/>
  <visual>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.35 0.35 0.35" specular="0.1 0.1 0.1"/>
    <quality shadowsize="1024"/>
  </visual>
  <default>
    <geom contype="0" conaffinity="0"/>
    <default class="arm">
      <geom contype="1" conaffinity="2" mass="0"/>
      <joint armature="0.1" damping="1"/>
      <position dampratio="1"/>
    </default>
    <default class="thing"><geom contype="2" conaffinity="1"/></default>
  </default>
  <worldbody>
    <light pos="0.8 -0.6 3" dir="-0.3 0.25 -1" directional="true" diffuse="0.5 0.5 0.5"/>
    <camera name="front" pos="1.35 0 1.58" xyaxes="0 1 0 -0.423 0 0.906" fovy="40"/>
    <geom name="floor" type="plane" size="3 3 0.5" rgba="0.5 0.5 0.47 1"/>
    <geom name="wall" type="box" pos="-1.3 0 1.5" size="0.05 3 1.5" rgba="0.76 0.78 0.8 1"/>
    <geom name="table" class="thing" type="box" pos="0.1 0 0.725" size="0.5 0.65 0.025" rgba="0.62 0.47 0.33 1"/>
    {_arm()}
    {objects}
  </worldbody>
  <actuator>{_motors()}</actuator>
</mujoco>"""


def _arm() -> str:
    text = (
        f'<body name="base" pos="{_words(BASE)}">'
        '<geom type="capsule" fromto="-0.05 0 0.05 0 0 0.12" size="0.07" rgba="0.85 0.85 0.87 1"/>'
    )
    for i, link in enumerate(_LINKS):
        # The published frames: turn by the twist about x, go along x, then along the joint.
        place = link.a, -math.sin(link.twist) * link.d, math.cos(link.twist) * link.d
        turn = math.cos(link.twist / 2), math.sin(link.twist / 2), 0.0, 0.0
        shade = "0.92 0.92 0.94 1" if i % 2 else "0.3 0.3 0.33 1"
        text += (
            f'<body name="link{i}" childclass="arm" gravcomp="1" pos="{_words(place)}" quat="{_words(turn)}">'
            f'<joint name="joint{i}" axis="0 0 1" range="{LOW[i]} {HIGH[i]}"/>'
            f'<inertial pos="0 0 0" mass="{link.mass}" diaginertia="0.02 0.02 0.02"/>'
        )
        for *ends, radius in link.capsules:
            text += f'<geom type="capsule" fromto="{_words(ends)}" size="{radius}" rgba="{shade}"/>'
    return text + _hand() + "</body>" * (JOINTS + 1)


def _hand() -> str:
    # The hand is turned by 45 degrees on the flange, as it is mounted.
    text = (
        f'<body name="hand" gravcomp="1" pos="0 0 {FLANGE}" euler="0 0 {-math.pi / 4}">'
        '<inertial pos="0 0 0.03" mass="0.7" diaginertia="0.002 0.002 0.002"/>'
        '<geom type="box" pos="0 0 0.03" size="0.03 0.1 0.03" rgba="0.9 0.9 0.92 1"/>'
        f'<site name="tip" pos="0 0 {TIP}"/>'
    )
    for name, side in (("left", 1), ("right", -1)):
        text += (
            f'<body name="{name}" gravcomp="1" pos="0 {side * 0.011} 0.0584">'
            f'<joint name="{name}" type="slide" axis="0 {side} 0" range="0 {OPENING}" armature="0.1"/>'
            '<inertial pos="0 0 0.02" mass="0.1" diaginertia="0.0001 0.0001 0.0001"/>'
            '<geom type="box" pos="0 0 0.025" size="0.011 0.01 0.025" rgba="0.25 0.25 0.28 1"/></body>'
        )
    return text + "</body>"


def _motors() -> str:
    arm = "".join(
        f'<position class="arm" joint="joint{i}" ctrlrange="{LOW[i]} {HIGH[i]}" kp="{kp}" forcerange="-{most} {most}"/>'
        for i, (kp, most) in enumerate([(12_000, 200)] * 4 + [(2000, 50)] * 3)
    )
    fingers = (
        f'<position class="arm" joint="{name}" ctrlrange="0 {OPENING}" kp="1000" forcerange="-40 40"/>'
        for name in ("left", "right")
    )
    return arm + "".join(fingers)


def _words(numbers: tuple[float, ...] | list[float]) -> str:
    return " ".join(f"{number:.9g}" for number in numbers)


def towards(model: mujoco.MjModel, data: mujoco.MjData, place: np.ndarray, upright: bool) -> np.ndarray:
    """Returns the change of the joints, radians ``(7,)``, that brings the tip to ``place`` ``(3,)``, to first order.

    Args:
        model, data: of ``scene``, with positions up to date.
        place: in world coordinates, metres.
        upright: whether the hand is also turned to look down.
    """
    import mujoco

    site = model.site("tip").id
    shift, turn = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    mujoco.mj_jacSite(model, data, shift, turn, site)
    jacobian, wanted = shift[:, :JOINTS], place - data.site_xpos[site]
    if upright:
        down = data.site_xmat[site].reshape(3, 3)[:, 2]  # where the hand looks
        jacobian = np.concatenate([jacobian, turn[:, :JOINTS]])
        wanted = np.concatenate([wanted, np.cross(down, (0.0, 0.0, -1.0))])
    squared = jacobian @ jacobian.T + DAMPING**2 * np.eye(len(wanted))
    return jacobian.T @ np.linalg.solve(squared, wanted)
