"""A twin of the paper's two tasks of RLBench in MuJoCo: an arm reaches for a red ball, or pushes a button.

It shares with the original the kind of arm, the camera, the start, actions, rewards and ends of episodes. Simulator,
shapes and places of the objects are our own, so a result on it bears ``scale = twin`` and stands for no number of the
paper. What it can show is the mechanism: a small target, a large arm, a dense reward, episodes that end at success.

Importing this module loads no simulator.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import gymnasium
import numpy as np
from pydantic import Field

from hdream_core.envs import panda, rendering
from hdream_core.envs.opengl import load_mujoco
from hdream_core.envs.suite import EnvConfig, FrameSize, Suite, whole_number
from hdream_core.envs.twin_objects import COLOURS, GREEN, MODELS, PUSH, REACH, RED, place_balls, place_button
from hdream_core.support.settings import settings

STEP = 0.05  # radians that a full action turns a joint in an environment step
SUBSTEPS = 10  # of the simulator in an environment step, which lasts 0.05 seconds
GRIPPER_STEPS = 4  # environment steps that opening or closing the hand takes; no clock counts them
NEAR = 0.04  # metres between tip and ball that count as reached, unless ``env.near`` says otherwise
PUSHED = 0.003  # metres that the button must go down
_HEAD = 7  # a saved state begins with seed, episode, steps played, success, whether the hand is open, and two colours
_TIP, _PLACE = slice(15, 18), slice(18, 21)  # of tip and target or button in ``state``


@settings
class TwinConfig(EnvConfig):
    """Settings of the twin of RLBench."""

    suite: Literal["twin"] = "twin"
    """Suite of the task."""
    render: Literal["auto", "fast", "paper"] = "auto"
    """Render quality: MuJoCo's own (paper), without shadows (fast), or what suits the device that draws (auto)."""
    action_repeat: Annotated[int, Field(ge=1, le=100)] = 2
    """Environment steps that one action lasts; the paper's is 2."""
    near: Annotated[float, Field(gt=0, le=10)] = NEAR
    """Reach: metres between tip and ball that count as success. The original's are not published."""
    size: FrameSize = 64
    """Height and width of a frame in pixels."""


def positions(task: str, state: np.ndarray) -> dict[str, np.ndarray]:
    """Maps states ``(..., n)`` to positions in metres, ``(..., 3)`` each: of the tip, and of target or button."""
    return {"tip": state[..., _TIP], "target" if task == REACH else "button": state[..., _PLACE]}


SUITE = Suite(
    "twin",
    (REACH, PUSH),
    TwinConfig,
    "hdream_core.envs.twin:Twin",
    positions,
    scale="twin",
    extra="metaworld",  # which brings MuJoCo
)


class Twin(gymnasium.Env):
    """Plays one task: negative dense reward, terminal at success.

    Observations: ``image``, uint8 ``(size, size, 3)``, upright; ``state``, float64: angles and rates of the joints
    (7 each), 1 if the hand is open, positions of the tip and of target or button (3 each), then the other two balls
    (6), or by how much the button is down and how it is turned (2). Metres and radians. Actions: float32 ``(8,)`` in
    [-1, 1]: changes of the seven joints in twentieths of a radian, and the hand, which opens above 0.5 and closes
    otherwise. Reward of an environment step: minus the distance from tip to target or button, plus the button's way
    down; an action's is the sum over its repeats. Episode k depends on ``(seed, k)`` alone.
    """

    render_mode = "rgb_array"
    time_limit = 400  # environment steps
    terminates = True

    def __init__(
        self,
        task: str,
        *,
        seed: int = 0,
        render: str = "auto",
        action_repeat: int = 2,
        near: float = NEAR,
        size: int = 64,
    ) -> None:
        """
        Args:
            task: one of ``SUITE.tasks``.
            seed: seed of the sequence of episodes, 0 or more.
            render: ``fast``, ``paper`` (MuJoCo's own quality), or ``auto``: fast on a software renderer, paper on a
                GPU.
            action_repeat: environment steps that one action lasts.
            near: metres between tip and ball that count as success.
            size: height and width of the image in pixels.
        """
        if task not in MODELS:
            raise ValueError(f"unknown task {task!r}; choose one of: {', '.join(MODELS)}")
        options = TwinConfig(render=render, action_repeat=action_repeat, near=near)
        self.task, self.action_repeat, self.near = task, options.action_repeat, options.near
        self.size, self.seed, self.episode = int(size), whole_number(seed, "seed"), -1
        self._quality = rendering.resolve_quality(render)
        self.look = {"render": self._quality, "camera": "front"}
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 20 / self.action_repeat}
        mujoco = load_mujoco()
        self._model = mujoco.MjModel.from_xml_string(panda.scene(MODELS[task]))
        self._data = mujoco.MjData(self._model)
        self._camera = mujoco.MjvCamera()
        self._camera.type, self._camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0
        self._played = self.time_limit  # environment steps of this episode; before the first reset none may follow
        self._success, self._open, self._colours = False, True, (0, 1)
        mujoco.mj_forward(self._model, self._data)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (panda.JOINTS + 1,), np.float32)
        self.observation_space = gymnasium.spaces.Dict(
            image=gymnasium.spaces.Box(0, 255, (self.size, self.size, 3), np.uint8),
            state=gymnasium.spaces.Box(-np.inf, np.inf, self._state().shape, np.float64),
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begins the next episode; with ``seed``, episode 0 of it; with ``options={"episode": k}``, episode k."""
        if seed is not None:
            self.seed, self.episode = whole_number(seed, "seed"), -1
        self.episode = whole_number((options or {}).get("episode", self.episode + 1), "episode")
        load_mujoco().mj_resetData(self._model, self._data)
        self._data.qpos[: panda.JOINTS] = self._data.ctrl[: panda.JOINTS] = panda.START
        self._data.qpos[panda.JOINTS : panda.JOINTS + 2] = self._data.ctrl[panda.JOINTS :] = panda.OPENING
        self._played, self._success, self._open = 0, False, True
        self._place(np.random.default_rng([self.seed, self.episode]))
        self._settle()
        self._paint()
        return self._observation(), {"success": False}

    def _place(self, rng: np.random.Generator) -> None:
        """Draws where the objects are, and the colours of the other balls."""
        if self.task == REACH:
            self._data.mocap_pos[:], self._colours = place_balls(rng)
        else:
            self._data.mocap_pos[0], self._data.mocap_quat[0] = place_button(rng)

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Repeats one action, at most to the time limit or to success, which terminates; sums the rewards."""
        before = self._played
        reward = self.advance(action)
        truncated = self._played >= self.time_limit and not self._success
        info = {"success": self._success, "env_steps": self._played - before}
        return self._observation(), reward, self._success, truncated, info

    def advance(self, action: np.ndarray) -> float:
        """Steps without drawing; returns the reward of ``step``."""
        action = np.asarray(action, np.float32)
        if action.shape != self.action_space.shape or not np.isfinite(action).all():
            raise ValueError(f"{self.task}: an action is 8 finite numbers in [-1, 1], got {action.tolist()}")
        if self.episode < 0 or self._success or self._played >= self.time_limit:
            ended = "at success" if self._success else f"after {self.time_limit} steps"
            reason = f"the episode ended {ended}" if self.episode >= 0 else "no episode has begun"
            raise RuntimeError(f"{self.task}: {reason}; call reset()")
        turn, opened, reward = STEP * np.clip(action[: panda.JOINTS], -1, 1).astype(np.float64), action[-1] > 0.5, 0.0
        for _ in range(min(self.action_repeat, self.time_limit - self._played)):
            reward += self._play(turn, bool(opened))
            self._played += 1
            if self._success:
                break
        return reward

    def _play(self, turn: np.ndarray, opened: bool) -> float:
        """Plays an environment step: the arm, then the hand if it opens or closes; returns the reward."""
        data, joints = self._data, slice(panda.JOINTS)
        data.ctrl[joints] = np.clip(data.qpos[joints] + turn, panda.LOW, panda.HIGH)
        self._simulate(1)
        data.ctrl[joints] = data.qpos[joints]  # so the next step starts from where the arm is
        if opened != self._open:
            self._open = opened
            data.ctrl[panda.JOINTS :] = panda.OPENING * opened
            self._simulate(GRIPPER_STEPS)
        self._settle()
        distance, down = float(np.linalg.norm(self._goal() - data.site("tip").xpos)), self._down()
        self._success = distance <= self.near if self.task == REACH else down > PUSHED
        if self._success:
            self._paint()
        return down - distance

    def _simulate(self, steps: int) -> None:
        load_mujoco().mj_step(self._model, self._data, steps * SUBSTEPS)

    def _settle(self) -> None:
        """Computes all places from the joints. It changes nothing that the next step begins from."""
        mujoco = load_mujoco()
        for compute in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_camlight):
            compute(self._model, self._data)

    def _paint(self) -> None:
        """Gives the balls the episode's colours, and the button that of its success."""
        if self.task == PUSH:
            self._model.geom("plate").rgba = GREEN if self._success else RED
        else:
            for name, rgb in zip(("other0", "other1"), (COLOURS[i] for i in self._colours), strict=True):
                self._model.geom(name).rgba = *rgb, 1.0
            self._model.geom("target").rgba = RED

    def _goal(self) -> np.ndarray:
        """Returns the place of the target, or of the middle of the button's top, ``(3,)``."""
        return self._data.body("target" if self.task == REACH else "plate").xpos.copy()

    def _down(self) -> float:
        """Returns by how much the button is down, metres; 0 in the other task."""
        return float(self._data.joint("plate").qpos[0]) if self.task == PUSH else 0.0

    def save_state(self) -> np.ndarray:
        """Returns everything that the future depends on, float64 ``(n,)``; n depends on the task alone."""
        head = [self.seed, self.episode, self._played, self._success, self._open, *self._colours]
        return np.concatenate([head, self._integration()])

    def restore_state(self, state: np.ndarray) -> dict[str, np.ndarray]:
        """Restores a state saved by any instance of this task, seed and episode included; returns its observation."""
        mujoco, size = load_mujoco(), _HEAD + len(self._integration())
        if np.shape(state) != (size,):
            raise ValueError(f"{self.task}: a saved state has shape ({size},), got {np.shape(state)}")
        head, physics = np.split(np.array(state, np.float64), [_HEAD])
        self.seed, self.episode, self._played, success, opened, *colours = (int(number) for number in head)
        self._success, self._open, self._colours = bool(success), bool(opened), tuple(colours)
        mujoco.mj_setState(self._model, self._data, physics, mujoco.mjtState.mjSTATE_INTEGRATION)
        self._settle()
        self._paint()
        return self._observation()

    def _integration(self) -> np.ndarray:
        mujoco = load_mujoco()
        physics = np.empty(mujoco.mj_stateSize(self._model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(self._model, self._data, physics, mujoco.mjtState.mjSTATE_INTEGRATION)
        return physics

    def render_image(self, render: str | None = None) -> np.ndarray:
        """Draws the current state, uint8 ``(size, size, 3)``; ``render`` overrides the render quality."""
        quality = rendering.resolve_quality(render) if render else self._quality
        options = {"key": self.task, "quality": quality, "size": self.size}
        # OpenGL returns the bottom row first.
        return np.ascontiguousarray(rendering.draw(self._model, self._data, self._camera, **options)[::-1])

    def render(self) -> np.ndarray:
        """Returns the current image, for gymnasium's wrappers."""
        return self.render_image()

    def object_positions(self) -> dict[str, np.ndarray]:
        """Returns positions in metres, ``(3,)`` each: of the tip, and of target or button."""
        return {name: place.copy() for name, place in positions(self.task, self._state()).items()}

    def expert_action(self) -> np.ndarray:
        """Returns a script's action, float32 ``(8,)``: straight to the ball, or over the button and then down on it."""
        goal, tip = self._goal(), self._data.site("tip").xpos
        if self.task == PUSH:
            beside = float(np.linalg.norm((goal - tip)[:2]))
            goal[2] += 0.06 if beside > 0.015 else -0.02
        turn = panda.towards(self._model, self._data, goal, upright=self.task == PUSH) / (STEP * self.action_repeat)
        turn /= max(1.0, float(np.abs(turn).max()))
        return np.append(turn, -1.0).astype(np.float32)

    def _state(self) -> np.ndarray:
        data, joints = self._data, slice(panda.JOINTS)
        parts = [data.qpos[joints], data.qvel[joints], [self._open], data.site("tip").xpos, self._goal()]
        if self.task == REACH:
            parts += [data.body("other0").xpos, data.body("other1").xpos]
        else:
            parts += [[self._down(), 2 * np.arctan2(data.mocap_quat[0, 3], data.mocap_quat[0, 0])]]
        return np.concatenate(parts).astype(np.float64)

    def _observation(self) -> dict[str, np.ndarray]:
        return {"image": self.render_image(), "state": self._state()}
