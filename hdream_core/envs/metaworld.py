"""The fifty Meta-world tasks (v3), seen through a camera, with seeded episodes and restorable states."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np

from hdream_core.envs import rendering
from hdream_core.envs.metaworld_state import StateVector

# Before Meta-world imports mujoco: the OpenGL backend is chosen on that import.
mujoco = rendering.load_mujoco()

from metaworld import policies  # noqa: E402
from metaworld.env_dict import ALL_V3_ENVIRONMENTS  # noqa: E402

# Position of each camera in metres, None where the model's own. `corner2` as published Meta-world experiments move it,
# closer to the table.
CAMERAS: dict[str, tuple[float, float, float] | None] = {"corner": None, "corner2": (0.75, 0.075, 0.7)}
TIME_LIMIT = 500  # environment steps; Meta-world's tasks refuse to go further


class MetaWorld(gymnasium.Env):
    """One Meta-world task with a random goal per episode, its goal observable, dense reward 0 to 10, never terminal.

    Observations: `image`, uint8 `(size, size, 3)`, upright; `state`, float64 `(39,)`, Meta-world's own observation (hand,
    gripper, objects, the same one step ago, goal; metres). Episode k depends on `(seed, k)` alone.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 80}
    render_mode = "rgb_array"
    time_limit = TIME_LIMIT
    action_repeat = 1

    def __init__(
        self, task: str, *, seed: int = 0, render: str = "auto", camera: str = "corner2", size: int = 64
    ) -> None:
        """
        Args:
            task: a name of `hdream_core.envs.tasks()`.
            seed: of the sequence of episodes, not negative.
            render: `fast`, `paper` (MuJoCo's own quality) or `auto`: fast on a software renderer, paper on a GPU.
            camera: one of `CAMERAS`.
            size: of the image, in pixels.
        """
        if camera not in CAMERAS:
            raise ValueError(f"unknown camera {camera!r}; choose one of: {', '.join(CAMERAS)}")
        self.task, self.camera, self.size = task, camera, size
        self.render_quality = rendering.resolve_quality(render)
        self.seed = _checked_seed(seed)
        self.episode = -1  # the episode now running; a reset moves on to the next
        self._task = _make_task(task)
        self._policy = _make_policy(task)
        self._camera = _fixed_camera(self._task.model, camera)
        self._state = StateVector(self._task)

        low, high = self._task.sawyer_observation_space.low, self._task.sawyer_observation_space.high
        self.observation_space = gymnasium.spaces.Dict(
            image=gymnasium.spaces.Box(0, 255, (size, size, 3), np.uint8),
            state=gymnasium.spaces.Box(low, high, dtype=np.float64),
        )
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin the next episode; with `seed`, episode 0 of that seed; with `options={"episode": k}`, episode k."""
        if seed is not None:
            self.seed, self.episode = _checked_seed(seed), -1
        self.episode = int((options or {}).get("episode", self.episode + 1))
        task = self._task
        # The first reset draws the positions, over again until the task accepts them. The second holds them fixed, as
        # Meta-world's benchmarks do: its own reset draws twice, and the first observation would show the first draw.
        self._state.restore_pristine()
        task.np_random = np.random.default_rng(np.random.SeedSequence([self.seed, self.episode]))
        task._freeze_rand_vec = False
        task.reset_model()
        drawn = task._last_rand_vec
        self._state.restore_pristine()
        task._freeze_rand_vec, task._last_rand_vec = True, drawn
        task.reset()
        # Positions that depend on the joints lag one physics step behind them; a restored state could not show that.
        mujoco.mj_forward(task.model, task.data)
        hand_and_objects = task._get_curr_obs_combined_no_goal()
        task._prev_obs = hand_and_objects
        observed = np.hstack((hand_and_objects, hand_and_objects, task._get_pos_goal()))
        space = self.observation_space["state"]
        task._last_stable_obs = np.clip(observed, space.low, space.high)
        return self._observation(), {"success": False}

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Move the hand by `action[:3]` (hundredths of a metre) and close the gripper by `action[3]`; both in [-1, 1]."""
        action = np.asarray(action, np.float32)
        if action.shape != (4,) or not np.isfinite(action).all():
            raise ValueError(f"{self.task}: an action is 4 finite numbers in [-1, 1], got {action.tolist()}")
        if self.episode < 0:
            raise RuntimeError(f"{self.task}: call reset() before step()")
        if self._task.curr_path_length >= TIME_LIMIT:
            raise RuntimeError(f"{self.task}: the episode ended after {TIME_LIMIT} steps; call reset()")
        _, reward, _, truncated, info = self._task.step(action)
        info["success"] = bool(info["success"])
        return self._observation(), float(reward), False, bool(truncated), info

    def save_state(self) -> np.ndarray:
        """All that the future depends on, float64 `(n,)`; n depends on the task alone. Not `seed` and `episode`."""
        return self._state.save()

    def restore_state(self, state: np.ndarray) -> dict[str, np.ndarray]:
        """Go to a saved state, of this instance or another of the same task; returns the observation there."""
        self._state.restore(state)
        self.episode = max(self.episode, 0)
        return self._observation()

    def render_image(self, render: str | None = None, size: int | None = None) -> np.ndarray:
        """Draw the current state, uint8 `(size, size, 3)`, at any quality and size (the environment's own if None)."""
        # The bottom row of the buffer comes first. These cameras are rolled by 180 degrees, so that as it is, not
        # flipped as mujoco.Renderer does it, the frame is upright (and mirrored), like the frames of the paper.
        return rendering.draw(
            self._task.model,
            self._task.data,
            self._camera,
            key=self._task.model_name,
            quality=rendering.resolve_quality(render) if render else self.render_quality,
            size=size or self.size,
        )

    def render(self) -> np.ndarray:
        """The current image, for gymnasium's wrappers."""
        return self.render_image()

    def expert_action(self) -> np.ndarray:
        """What Meta-world's scripted policy does in the current state, float32 `(4,)`."""
        with warnings.catch_warnings():  # the policies warn whenever they move at full speed
            warnings.filterwarnings("ignore", message="Constant\\(s\\) may be too high")
            action = self._policy.get_action(self._task._last_stable_obs)
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def object_positions(self) -> dict[str, np.ndarray]:
        """True positions in metres, each `(3,)`: `hand`, `object` (some tasks: `object2`), `goal`."""
        objects = np.asarray(self._task._get_pos_objects()).reshape(-1, 3)
        names = ["object"] + [f"object{number}" for number in range(2, len(objects) + 1)]
        return {
            "hand": self._task.get_endeff_pos().copy(),
            **{name: position.copy() for name, position in zip(names, objects, strict=True)},
            "goal": np.array(self._task._get_pos_goal(), np.float64),
        }

    def _observation(self) -> dict[str, np.ndarray]:
        return {"image": self.render_image(), "state": self._task._last_stable_obs.copy()}


def _checked_seed(seed: int) -> int:
    if seed != int(seed) or seed < 0:
        raise ValueError(f"a seed is a whole number, not negative; got {seed!r}")
    return int(seed)


def _make_task(task: str) -> Any:
    """Meta-world's environment of `task`, its goal part of the observation."""
    environment = ALL_V3_ENVIRONMENTS[task.replace("_", "-") + "-v3"]()
    # What Meta-world's `...-goal-observable` classes do, without the reset by NumPy's global generator in theirs.
    environment._partially_observable = False
    del environment.sawyer_observation_space  # cached from when the goal was hidden
    environment._set_task_called = True
    environment.seeded_rand_vec = True
    return environment


def _make_policy(task: str) -> Any:
    """Meta-world's scripted policy of `task`."""
    name = {"peg_insert_side": "peg_insertion_side"}.get(task, task)
    return getattr(policies, f"Sawyer{name.title().replace('_', '')}V3Policy")()


def _fixed_camera(model: Any, name: str) -> Any:
    """A camera of the model for `rendering.draw`; moves it in `model` where `CAMERAS` says so (physics has no part)."""
    number = model.camera(name).id
    if CAMERAS[name] is not None:
        model.cam_pos[number] = CAMERAS[name]
    camera = mujoco.MjvCamera()
    camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, number
    return camera
