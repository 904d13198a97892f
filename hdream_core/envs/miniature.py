"""``mini_lever``: a NumPy-only task made to show the paper's mechanism in minutes on a CPU.

A 32 x 32 frame shows three things. A thick red arm from a fixed base to its tip is large and predictable, but earns
nothing by itself. A blue lever of 3 x 3 pixels, at a random position in each episode, decides the reward. It moves only
if the tip touches it from beneath while going up. A background of drifting diagonal stripes distracts.

The task complements Meta-world and never replaces it; every result on it is marked ``scale = miniature``.
"""

from __future__ import annotations

from typing import Literal

import gymnasium
import numpy as np

from hdream_core.envs.suite import EnvConfig, Suite
from hdream_core.support.settings import settings

SIZE = 32  # pixels; positions are in pixels too, x to the right and y down
BASE = np.array([16.0, 31.0])  # where the arm is mounted
SPEED = 2.0  # pixels per step at full action
REACH = 1.5  # horizontal distance within which the tip is beneath the lever
CONTACT = 2.5  # vertical distance below the lever's centre within which the tip touches it
LIFT = 10.0  # pixels the lever can travel up
MAX_REWARD = 10.0
RED, BLUE = (220, 30, 30), (30, 60, 255)  # arm and lever


class Miniature(gymnasium.Env):
    """Pushes a tiny lever up with a large arm, in front of a distracting background.

    Observations: ``image`` uint8 (32, 32, 3); ``state`` float64 (6,): tip x, y, lever x, rest y, height lifted, step,
    in pixels and steps. Actions: the tip's velocity in [-1, 1]^2, times 2 pixels a step. Reward in [0, 10]: a fifth for
    the tip's nearness to the point beneath the lever, the rest for the lever's height. Success: lifted four fifths
    of the way. Episodes are truncated after 50 steps and never terminate. Episode k of a seed is always the same.

    Args:
        task: ``mini_lever``, the suite's one task.
        seed: seed of the sequence of episodes.
        render, camera: accepted as by other tasks and ignored: this task has one look.
        size: height and width of the image in pixels, 32.
    """

    task = "mini_lever"
    time_limit = 50  # environment steps
    action_repeat = 1
    terminates = False

    def __init__(
        self, task: str = "mini_lever", seed: int = 0, render: str = "auto", camera: str = "none", size: int = SIZE
    ):
        if size != SIZE:
            raise ValueError(f"{task} is drawn at {SIZE} x {SIZE} pixels, not {size}")
        self.seed = seed
        self.episode = -1
        self.look = {"render": "numpy", "camera": "none"}
        self.observation_space = gymnasium.spaces.Dict(
            image=gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8),
            state=gymnasium.spaces.Box(-np.inf, np.inf, (6,), np.float64),
        )
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
        self._xx, self._yy = xx, yy

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        """Begins the next episode; with ``seed``, episode 0 of it; with ``options={"episode": k}``, episode k."""
        super().reset(seed=seed)
        if seed is not None:
            self.seed, self.episode = seed, -1
        self.episode = self.episode + 1 if not options else int(options["episode"])
        self._begin(np.random.default_rng([self.seed, self.episode]))
        return self._observe(), {"success": False}

    def _begin(self, rng: np.random.Generator) -> None:
        """Draws what an episode starts from."""
        self.tip = np.array([rng.uniform(6, 26), rng.uniform(20, 27)])
        self.lever_x, self.rest_y = rng.uniform(5, 27), rng.uniform(14, 18)
        self.lifted = 0.0
        self.t = 0
        # Stripes: two colours, waves per pixel, direction, drift in waves per step.
        self.stripes = np.concatenate(
            [rng.uniform(40, 200, 6), [rng.uniform(0.05, 0.2), rng.choice([-1.0, 1.0]), rng.uniform(-0.1, 0.1)]]
        )

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        """Plays one step; ``info`` has ``success`` and ``env_steps``. Truncates after 50 steps."""
        reward = self.advance(action)
        success = self.lifted >= 0.8 * LIFT
        return self._observe(), reward, False, self.t >= self.time_limit, {"success": success, "env_steps": 1}

    def advance(self, action: np.ndarray) -> float:
        """Moves the tip, and the lever if the tip pushes it up from beneath; returns the reward."""
        velocity = SPEED * np.clip(np.asarray(action, np.float64), -1, 1)
        before = self.tip
        self.tip = np.clip(before + velocity, 1, SIZE - 2)
        below = before[1] - self._lever_y  # distance of the tip below the lever's centre, before the move
        rise = before[1] - self.tip[1]
        beneath = abs(before[0] - self.lever_x) <= REACH and abs(self.tip[0] - self.lever_x) <= REACH
        if beneath and rise > 0 and below >= 0 and below - rise < CONTACT:
            # The lever rests on the tip. It rises by the tip's rise minus the gap that was between them.
            self.lifted = float(np.clip(self.lifted + min(rise, CONTACT - (below - rise)), 0, LIFT))
        self.t += 1
        return self._reward()

    @property
    def _lever_y(self) -> float:
        return self.rest_y - self.lifted

    def _reward(self) -> float:
        target = np.array([self.lever_x, self._lever_y + CONTACT])
        nearness = max(0.0, 1 - float(np.linalg.norm(self.tip - target)) / SIZE)
        return MAX_REWARD * (0.2 * nearness + 0.8 * self.lifted / LIFT)

    def _observe(self) -> dict:
        state = np.array([*self.tip, self.lever_x, self.rest_y, self.lifted, self.t])
        return {"image": self.render_image(), "state": state}

    def render_image(self, render: str | None = None) -> np.ndarray:
        """Draws background, arm and lever, uint8 (32, 32, 3); ``render`` is ignored."""
        frame = self._background()
        frame[self._near_arm()] = RED
        self._draw_lever(frame)
        return frame.astype(np.uint8)

    def _background(self) -> np.ndarray:
        """Draws drifting diagonal stripes, float64 (32, 32, 3)."""
        low, high, (waves, slant, drift) = self.stripes[:3], self.stripes[3:6], self.stripes[6:]
        phase = waves * (self._xx + slant * self._yy) + drift * self.t
        mix = (0.5 + 0.5 * np.sin(2 * np.pi * phase))[..., None]
        return low + (high - low) * mix

    def _draw_lever(self, frame: np.ndarray) -> None:
        """Draws the lever, 3 x 3 pixels, into a frame."""
        x, y = round(self.lever_x), round(self._lever_y)
        frame[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = BLUE

    def _near_arm(self) -> np.ndarray:
        """Marks the pixels within 2 pixels of the segment from base to tip, bool (32, 32)."""
        along = self.tip - BASE
        share = ((self._xx - BASE[0]) * along[0] + (self._yy - BASE[1]) * along[1]) / max(along @ along, 1e-9)
        share = np.clip(share, 0, 1)
        distance = np.hypot(self._xx - BASE[0] - share * along[0], self._yy - BASE[1] - share * along[1])
        return distance <= 2

    def save_state(self) -> np.ndarray:
        """Returns everything that the future depends on, float64 (17,)."""
        return np.array(
            [self.seed, self.episode, *self.tip, self.lever_x, self.rest_y, self.lifted, self.t, *self.stripes]
        )

    def restore_state(self, vector: np.ndarray) -> dict:
        """Restores a saved state and returns its observation."""
        self.seed, self.episode = int(vector[0]), int(vector[1])
        self.tip = np.array(vector[2:4], np.float64)
        self.lever_x, self.rest_y, self.lifted = (float(x) for x in vector[4:7])
        self.t, self.stripes = int(vector[7]), np.array(vector[8:], np.float64)
        return self._observe()

    def object_positions(self) -> dict[str, np.ndarray]:
        """Returns positions in pixels, (2,) each, which probes predict from features."""
        return {"tip": self.tip.copy(), "lever": np.array([self.lever_x, self._lever_y])}

    def expert_action(self) -> np.ndarray:
        """Returns a scripted policy's action, float32 (2,): down below the lever, then sideways beneath it, then up."""
        dx, below = self.lever_x - self.tip[0], self.tip[1] - self._lever_y
        if abs(dx) <= REACH / 2 and below >= 0:
            move = np.array([dx, -SPEED])
        elif below < CONTACT + 2:
            move = np.array([0.0, SPEED])  # first down, so that the lever does not block the tip
        else:
            move = np.array([dx, 0.0])
        return np.clip(move / SPEED, -1, 1).astype(np.float32)


@settings
class MiniatureConfig(EnvConfig):
    suite: Literal["miniature"] = "miniature"
    """Suite of the task, which has no settings."""


def positions(task: str, state: np.ndarray) -> dict[str, np.ndarray]:
    """Maps states ``(..., 6)`` to positions in pixels, ``(..., 2)`` each."""
    return {"tip": state[..., :2], "lever": np.stack([state[..., 2], state[..., 3] - state[..., 4]], -1)}


SUITE = Suite(
    "miniature", ("mini_lever",), MiniatureConfig, "hdream_core.envs.miniature:Miniature", positions, "miniature"
)
