"""Tasks of the DeepMind Control suite with images from a camera, seeded episodes and restorable states.

Importing this module loads no simulator: dm_control and MuJoCo load when the first task is made.
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, NamedTuple

import gymnasium
import numpy as np
from pydantic import Field

from hdream_core.envs import opengl, rendering
from hdream_core.envs.opengl import load_mujoco
from hdream_core.envs.suite import EnvConfig, FrameSize, Suite, whole_number
from hdream_core.support.settings import settings


class View(NamedTuple):
    """Holds a task's camera, by number, and the parts whose positions ``object_positions`` returns."""

    camera: int
    geoms: tuple[str, ...]
    sites: tuple[str, ...] = ()


_TOES = ("toe_front_left", "toe_front_right", "toe_back_right", "toe_back_left")
# By domain and task as dm_control names them. Cameras as in the authors' released code; quadruped's number 2 looks
# from the side.
_VIEWS = {
    "cheetah_run": View(0, ("torso", "bfoot", "ffoot")),
    "walker_run": View(0, ("torso", "left_foot", "right_foot")),
    "quadruped_run": View(2, ("torso", *_TOES)),
    "finger_turn_hard": View(0, ("fingertip",), ("tip", "target")),
    "cartpole_balance": View(0, ("cart", "pole_1")),
}
_TASKS = tuple(f"dmc_{name}" for name in _VIEWS)
_HEAD = 3  # a saved state begins with seed, episode and steps played


@settings
class DMCConfig(EnvConfig):
    """Settings of the DeepMind Control suite."""

    suite: Literal["dmc"] = "dmc"
    """Suite of the task."""
    render: Literal["auto", "fast", "paper"] = "auto"
    """Render quality: MuJoCo's own (paper), without shadows (fast), or what suits the device that draws (auto)."""
    action_repeat: Annotated[int, Field(ge=1, le=100)] = 2
    """Environment steps that one action lasts; the paper's is 2."""
    size: FrameSize = 64
    """Height and width of a frame in pixels."""


SUITE = Suite("dmc", _TASKS, DMCConfig, "hdream_core.envs.dmc:DMC", extra="dmc", before=(3, 13), scripted=False)


class DMC(gymnasium.Env):
    """Plays one task of the DeepMind Control suite: reward 0 to 1 for an environment step, never terminal.

    Observations: ``image``, uint8 ``(size, size, 3)``, upright; ``state``, float64 ``(n,)``, dm_control's own
    observation, flattened in its order (metres, radians and their rates; no absolute position of a running body).
    Actions: float32 ``(dim,)`` in [-1, 1], scaled to each actuator's range, which differs from [-1, 1] only in
    quadruped. Episode k depends on ``(seed, k)`` alone. The suite defines no success, so ``success`` is always false.
    """

    tasks = _TASKS
    render_mode = "rgb_array"
    time_limit = 1000  # environment steps, of every task
    terminates = False

    def __init__(
        self, task: str, *, seed: int = 0, render: str = "auto", action_repeat: int = 2, size: int = 64
    ) -> None:
        """
        Args:
            task: one of ``tasks``.
            seed: seed of the sequence of episodes, 0 or more.
            render: ``fast``, ``paper`` (MuJoCo's own quality), or ``auto``: fast on a software renderer, paper on a
                GPU.
            action_repeat: environment steps that one action lasts.
            size: height and width of the image in pixels.
        """
        if task not in self.tasks:
            raise ValueError(f"unknown task {task!r}; choose one of: {', '.join(self.tasks)}")
        options = DMCConfig(render=render, action_repeat=action_repeat)
        self.task, self.action_repeat, self.size = task, options.action_repeat, int(size)
        self.seed, self.episode = whole_number(seed, "seed"), -1  # a reset moves on to the next episode
        self._played = self.time_limit  # environment steps of this episode; before the first reset none may follow

        name = task.partition("_")[2]
        self._view, self._dmc = _VIEWS[name], _load(name)
        self._model, self._data = self._dmc.physics.model.ptr, self._dmc.physics.data.ptr
        self._substeps = round(self._dmc.control_timestep() / self._dmc.physics.timestep())
        self._camera = _fixed_camera(self._view.camera)
        self._quality = rendering.resolve_quality(render)
        self.look = {"render": self._quality, "camera": str(self._view.camera)}
        fps = 1 / (self._dmc.control_timestep() * self.action_repeat)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": fps}

        low, high = self._dmc.action_spec().minimum, self._dmc.action_spec().maximum
        self._middle, self._reach = (low + high) / 2, (high - low) / 2
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, low.shape, np.float32)
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
        self._dress()
        self._dmc.task.random.seed(np.random.SeedSequence([self.seed, self.episode]).generate_state(4))
        self._dmc.reset()
        self._played = 0
        return self._observation(), {"success": False}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Repeats one action, at most to the time limit, where it truncates; returns the sum of the rewards."""
        before = self._played
        reward = self.advance(action)
        info = {"success": False, "env_steps": self._played - before}
        return self._observation(), reward, False, self._played >= self.time_limit, info

    def advance(self, action: np.ndarray) -> float:
        """Steps without drawing; returns the reward of ``step``."""
        control = self._control(action)
        if self._played >= self.time_limit:
            reason = f"the episode ended after {self.time_limit} steps" if self.episode >= 0 else "no episode has begun"
            raise RuntimeError(f"{self.task}: {reason}; call reset()")
        physics, task, reward = self._dmc.physics, self._dmc.task, 0.0
        # As dm_control's own step, without its observation, which is needed only once for all repeats.
        for _ in range(min(self.action_repeat, self.time_limit - self._played)):
            task.before_step(control, physics)
            physics.step(self._substeps)
            task.after_step(physics)
            reward += float(task.get_reward(physics))
            self._played += 1
        return reward

    def save_state(self) -> np.ndarray:
        """Returns everything that the future depends on, float64 ``(n,)``; n depends on the task alone.

        Seed, episode and steps played come first. Then come the physics, the model's sites (finger places its target by
        moving one) and the sensors, some of which depend on the step that led here.
        """
        head = [self.seed, self.episode, self._played]
        sites = (self._model.site_pos.ravel(), self._model.site_size.ravel())
        return np.concatenate([head, self._integration(), *sites, self._data.sensordata])

    def restore_state(self, state: np.ndarray) -> dict[str, np.ndarray]:
        """Restores a state saved by any instance of this task, seed and episode included; returns its observation."""
        mujoco, model, data = load_mujoco(), self._model, self._data
        lengths = [_HEAD, len(self._integration()), model.site_pos.size, model.site_size.size, data.sensordata.size]
        if np.shape(state) != (sum(lengths),):
            raise ValueError(f"{self.task}: a saved state has shape ({sum(lengths)},), got {np.shape(state)}")
        head, physics, positions, sizes, sensors = np.split(np.array(state, np.float64), np.cumsum(lengths)[:-1])
        self.seed, self.episode, self._played = (int(number) for number in head)
        self._dress()
        model.site_pos.flat, model.site_size.flat = positions, sizes
        mujoco.mj_setState(model, data, physics, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(model, data)
        # The forward pass may replace the solver's warm start, from which the next step begins.
        mujoco.mj_setState(model, data, physics, mujoco.mjtState.mjSTATE_INTEGRATION)
        data.sensordata[:] = sensors
        return self._observation()

    def render_image(self, render: str | None = None) -> np.ndarray:
        """Draws the current state, uint8 ``(size, size, 3)``; ``render`` overrides the render quality."""
        quality = rendering.resolve_quality(render) if render else self._quality
        image = self._draw(quality=quality, size=self.size)
        return np.ascontiguousarray(image[::-1])  # OpenGL returns the bottom row first

    def render(self) -> np.ndarray:
        """Returns the current image, for gymnasium's wrappers."""
        return self.render_image()

    def object_positions(self) -> dict[str, np.ndarray]:
        """Returns the centres of the main parts, ``(3,)`` each, in world coordinates (metres), by name in the model.

        They do not move with the camera, which follows the body in cheetah, walker and quadruped.
        """
        geoms = {name: self._data.geom(name).xpos.copy() for name in self._view.geoms}
        return geoms | {name: self._data.site(name).xpos.copy() for name in self._view.sites}

    def _dress(self) -> None:
        """Prepares the look of the episode that begins or is restored; in this suite, all look the same."""

    def _draw(self, **options: Any) -> np.ndarray:
        return rendering.draw(self._model, self._data, self._camera, key=self.task, **options)

    def _control(self, action: np.ndarray) -> np.ndarray:
        action, (dim,) = np.asarray(action, np.float32), self.action_space.shape
        if action.shape != (dim,) or not np.isfinite(action).all():
            raise ValueError(f"{self.task}: an action is {dim} finite numbers in [-1, 1], got {action.tolist()}")
        return self._middle + self._reach * np.clip(action, -1.0, 1.0)

    def _integration(self) -> np.ndarray:
        mujoco = load_mujoco()
        physics = np.empty(mujoco.mj_stateSize(self._model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(self._model, self._data, physics, mujoco.mjtState.mjSTATE_INTEGRATION)
        return physics

    def _state(self) -> np.ndarray:
        observation = self._dmc.task.get_observation(self._dmc.physics)
        return np.concatenate([np.ravel(value) for value in observation.values()]).astype(np.float64)

    def _observation(self) -> dict[str, np.ndarray]:
        return {"image": self.render_image(), "state": self._state()}


def _dm_control_suite() -> Any:
    """Imports dm_control's suite without a renderer of its own."""
    with opengl.lock:  # no other thread may see the variable
        backend = os.environ.get("MUJOCO_GL")
        # Otherwise dm_control opens its own display, and closes it at exit while ours is still in use.
        os.environ["MUJOCO_GL"] = "off"
        try:
            from dm_control import suite
        finally:
            del os.environ["MUJOCO_GL"]
            if backend is not None:
                os.environ["MUJOCO_GL"] = backend
    return suite


def _load(name: str) -> Any:
    """Makes dm_control's environment of a domain and task, e.g. ``cheetah_run``."""
    mujoco = load_mujoco()
    suite = _dm_control_suite()
    domain, _, task = name.partition("_")
    environment = suite.load(domain, task, task_kwargs={"random": 0})
    if domain == "quadruped":
        # Fill in the names of its sensors: at first use, its own lookup calls a function that NumPy has removed.
        model, kinds = environment.physics.model, mujoco.mjtSensor
        for pair in ((kinds.mjSENS_GYRO, kinds.mjSENS_ACCELEROMETER), (kinds.mjSENS_FORCE, kinds.mjSENS_TORQUE)):
            numbers = np.flatnonzero(np.isin(model.sensor_type, pair))
            environment.physics._sensor_types_to_names[pair] = [model.id2name(i, "sensor") for i in numbers]
    return environment


def _fixed_camera(number: int) -> Any:
    mujoco = load_mujoco()
    camera = mujoco.MjvCamera()
    camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, number
    return camera
