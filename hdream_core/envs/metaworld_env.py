"""Plays the fifty Meta-world tasks (v3) with images from a camera, seeded episodes and restorable states."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import gymnasium
import numpy as np

from hdream_core.envs import opengl, rendering
from hdream_core.envs.metaworld_state import TaskState
from hdream_core.envs.opengl import load_mujoco
from hdream_core.envs.suite import whole_number

mujoco = load_mujoco()  # before Meta-world imports it, because that import fixes the OpenGL backend

from metaworld import policies  # noqa: E402
from metaworld.env_dict import ALL_V3_ENVIRONMENTS  # noqa: E402

# Position of each camera in metres; None: as in the model. Published Meta-world experiments move ``corner2`` closer to
# the table. From ``corner`` (the authors' released configuration) the arm hides the goal of lever_pull in seven of ten
# frames, and the lever's end in over half. From the moved ``corner2`` both are always visible, so it is the default.
CAMERAS: dict[str, tuple[float, float, float] | None] = {"corner2": (0.75, 0.075, 0.7), "corner": None}
TIME_LIMIT = 500  # environment steps; after them Meta-world's own tasks raise an error


class MetaWorld(gymnasium.Env):
    """Plays one Meta-world task: a random, observable goal per episode; dense reward 0 to 10; never terminal.

    Observations: ``image``, uint8 ``(size, size, 3)``, upright; ``state``, float64 ``(39,)``, Meta-world's own
    observation (hand, gripper, objects, the same one step earlier, goal; positions in metres). Actions: float32
    ``(4,)`` in [-1, 1], the hand's motion in hundredths of a metre and the gripper. Episode k depends on ``(seed, k)``
    alone.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 80}
    render_mode = "rgb_array"
    time_limit = TIME_LIMIT
    action_repeat = 1
    terminates = False

    def __init__(
        self, task: str, *, seed: int = 0, render: str = "auto", camera: str = "corner2", size: int = 64
    ) -> None:
        """
        Args:
            task: a name of ``hdream_core.envs.tasks()``.
            seed: seed of the sequence of episodes, 0 or more.
            render: ``fast``, ``paper`` (MuJoCo's own quality), or ``auto``: fast on a software renderer, paper on a
                GPU.
            camera: one of ``CAMERAS``.
            size: height and width of the image in pixels.
        """
        if camera not in CAMERAS:
            raise ValueError(f"unknown camera {camera!r}; choose one of: {', '.join(CAMERAS)}")
        self.task, self.camera, self.size = task, camera, int(size)
        self.render_quality = rendering.resolve_quality(render)
        self.seed = whole_number(seed, "seed")
        self.episode = -1  # number of the current episode; a reset moves on to the next
        self._task = _make_task(task)
        self._policy = _make_policy(task)
        self._camera = _fixed_camera(self._task.model, camera)
        self._state = TaskState(self._task)
        self._begun = False
        self.look = {"render": self.render_quality, "camera": camera}

        state_space = self._task.sawyer_observation_space
        self.observation_space = gymnasium.spaces.Dict(
            image=gymnasium.spaces.Box(0, 255, (self.size, self.size, 3), np.uint8),
            state=gymnasium.spaces.Box(state_space.low, state_space.high, dtype=np.float64),
        )
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begins the next episode; with ``seed``, episode 0 of it; with ``options={"episode": k}``, episode k."""
        if seed is not None:
            self.seed, self.episode = whole_number(seed, "seed"), -1
        self.episode = whole_number((options or {}).get("episode", self.episode + 1), "episode")
        self._begun = True
        _begin(self._task, self._state, np.random.SeedSequence([self.seed, self.episode]))
        return self._observation(), {"success": False}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Plays one step; ``info`` has ``success``, ``env_steps`` and Meta-world's own. Truncates after 500 steps."""
        action = np.asarray(action, np.float32)
        if action.shape != (4,) or not np.isfinite(action).all():
            raise ValueError(f"{self.task}: an action is 4 finite numbers in [-1, 1], got {action.tolist()}")
        if not self._begun or self._task.curr_path_length >= TIME_LIMIT:
            reason = f"the episode ended after {TIME_LIMIT} steps" if self._begun else "no episode has begun"
            raise RuntimeError(f"{self.task}: {reason}; call reset()")
        _, reward, _, truncated, info = self._task.step(action)
        info |= {"success": bool(info["success"]), "env_steps": 1}
        return self._observation(), float(reward), False, bool(truncated), info

    def advance(self, action: np.ndarray) -> float:
        """Steps without drawing; returns the reward of ``step``."""
        return float(self._task.step(np.asarray(action, np.float32))[1])

    def save_state(self) -> np.ndarray:
        """Returns everything that the future depends on, float64 ``(n,)``; n depends on the task alone.

        Seed and episode come first, then the task's physics, model arrays and attributes.
        """
        return np.concatenate([[self.seed, self.episode], self._state.save()])

    def restore_state(self, state: np.ndarray) -> dict[str, np.ndarray]:
        """Restores a state saved by any instance of this task, seed and episode included; returns its observation."""
        if np.shape(state) != (self._state.size + 2,):
            expected = f"({self._state.size + 2},)"
            raise ValueError(f"{self.task}: a saved state has shape {expected}, got {np.shape(state)}")
        self._state.restore(np.asarray(state[2:], np.float64))
        self.seed, self.episode = int(state[0]), int(state[1])
        self._begun = True
        return self._observation()

    def render_image(self, render: str | None = None, size: int | None = None) -> np.ndarray:
        """Draws the current state, uint8 ``(size, size, 3)``; ``render`` and ``size`` override the environment's."""
        # OpenGL returns the bottom row first, and mujoco.Renderer flips that. These cameras are rolled by 180 degrees,
        # so the image is upright (and mirrored) without a flip, like those that the paper trained on.
        return rendering.draw(
            self._task.model,
            self._task.data,
            self._camera,
            key=self._task.model_name,
            quality=rendering.resolve_quality(render) if render else self.render_quality,
            size=int(size or self.size),
        )

    def render(self) -> np.ndarray:
        """Returns the current image, for gymnasium's wrappers."""
        return self.render_image()

    def expert_action(self) -> np.ndarray:
        """Returns the action of Meta-world's scripted policy in the current state, float32 ``(4,)`` in [-1, 1]."""
        # The policies warn whenever they move at full speed. A filter applies to all threads, so it is set under the
        # lock.
        with opengl.lock, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Constant.s. may be too high", category=UserWarning)
            action = self._policy.get_action(self._task._last_stable_obs)
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def object_positions(self) -> dict[str, np.ndarray]:
        """Returns positions in metres, ``(3,)`` each, by name: hand, object (and object2 in some tasks), goal."""
        objects = np.array(self._task._get_pos_objects(), np.float64).reshape(-1, 3)
        names = ["object"] + [f"object{number}" for number in range(2, len(objects) + 1)]
        return {
            "hand": np.array(self._task.get_endeff_pos(), np.float64),
            **dict(zip(names, objects, strict=True)),
            "goal": np.array(self._task._get_pos_goal(), np.float64),
        }

    def _observation(self) -> dict[str, np.ndarray]:
        return {"image": self.render_image(), "state": self._task._last_stable_obs.copy()}


def _make_task(task: str) -> Any:
    """Makes Meta-world's environment of ``task``, with the goal in the observation."""
    environment = ALL_V3_ENVIRONMENTS[task.replace("_", "-") + "-v3"]()
    # As Meta-world's goal-observable classes do, without their reset, which draws from NumPy's global generator.
    environment._partially_observable = False
    del environment.sawyer_observation_space  # cached while the goal was hidden
    environment._set_task_called = True
    environment.seeded_rand_vec = True
    return environment


def _make_policy(task: str) -> Any:
    """Makes Meta-world's scripted policy of ``task``."""
    name = {"peg_insert_side": "peg_insertion_side"}.get(task, task)
    return getattr(policies, f"Sawyer{name.title().replace('_', '')}V3Policy")()


def _fixed_camera(model: Any, name: str) -> Any:
    """Makes a camera for ``rendering.draw``, and moves it in ``model`` if ``CAMERAS`` has a position."""
    number = model.camera(name).id
    if CAMERAS[name] is not None:
        model.cam_pos[number] = CAMERAS[name]
    camera = mujoco.MjvCamera()
    camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, number
    return camera


def _begin(task: Any, state: TaskState, seeds: np.random.SeedSequence) -> None:
    """Begins an episode that depends on ``seeds`` alone; its first observation is in ``_last_stable_obs``."""
    # The first reset draws positions until the task accepts them. The second keeps them fixed, as Meta-world's
    # benchmarks do. Meta-world's own reset draws twice, and its first observation shows the first draw.
    state.restore_pristine()
    task.np_random = np.random.default_rng(seeds)
    task._freeze_rand_vec = False
    task.reset_model()
    positions = task._last_rand_vec
    state.restore_pristine()
    task._freeze_rand_vec, task._last_rand_vec = True, positions
    task.reset()
    # Positions lag one physics step behind the joints. A restored state cannot reproduce that lag, so remove it.
    mujoco.mj_forward(task.model, task.data)
    task._prev_obs = task._get_curr_obs_combined_no_goal()
    space = task.sawyer_observation_space
    observation = np.hstack((task._prev_obs, task._prev_obs, task._get_pos_goal()))
    task._last_stable_obs = np.clip(observation, space.low, space.high)
