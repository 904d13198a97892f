"""A suite of one task with early ends and an action repeat, which neither Meta-world nor the miniature has."""

from typing import Annotated, Literal

import gymnasium
import numpy as np
from pydantic import Field

from hdream_core.envs.suite import EnvConfig, Suite
from hdream_core.support.settings import settings


@settings
class ToyConfig(EnvConfig):
    suite: Literal["toy"] = "toy"
    """Suite of the task."""
    action_repeat: Annotated[int, Field(ge=1)] = 2
    """Environment steps of an action."""
    discrete: bool = False
    """Choose one of three actions in place of a vector."""


class Toy(gymnasium.Env):
    """The frame is as bright as the last action; after 4 to 15 environment steps the episode ends, terminally."""

    task, time_limit, terminates, look = "toy", 20, True, {"weather": "fair"}
    observation_space = gymnasium.spaces.Dict(
        image=gymnasium.spaces.Box(0, 255, (32, 32, 3), np.uint8), state=gymnasium.spaces.Box(-1, 1, (2,), np.float64)
    )

    def __init__(self, task="toy", seed=0, action_repeat=2, discrete=False):
        self.seed, self.episode, self.action_repeat = seed, -1, action_repeat
        self.action_space = gymnasium.spaces.Discrete(3) if discrete else gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.episode = (options or {}).get("episode", self.episode + 1)
        self.left = int(np.random.default_rng([self.seed, self.episode]).integers(4, 16))
        return self._see(np.zeros(2)), {"success": False}

    def step(self, action):
        steps = min(self.action_repeat, self.left)
        self.left -= steps
        assert not isinstance(self.action_space, gymnasium.spaces.Discrete) or sorted(action) == [0, 0, 1]
        return (
            self._see(action[:2]),
            float(steps),
            self.left == 0,
            False,
            {"success": self.left == 0, "env_steps": steps},
        )

    def _see(self, action):
        return {
            "image": np.full((32, 32, 3), round(127 + 100 * float(action[0])), np.uint8),
            "state": np.asarray(action),
        }


SUITE = Suite("toy", ("toy",), ToyConfig, "tests.fake.suite:Toy", scripted=False)
