"""Describes what an agent is built for: the shapes of frames and actions, and how episodes run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hdream_core.support.errors import ConfigError

if TYPE_CHECKING:
    from hdream_core.envs.contract import Env

SMALLEST, LARGEST = 16, 1024  # pixels per side of a frame


@dataclass(frozen=True)
class ActionSpec:
    """Describes the actions of an environment: vectors in [-1, 1], or one of several choices as a one-hot vector.

    Attributes:
        kind: ``continuous`` or ``discrete``.
        dim: length of an action's vector.
    """

    kind: Literal["continuous", "discrete"]
    dim: int

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Returns a uniformly random action, float32 ``(dim,)``."""
        if self.kind == "continuous":
            return rng.uniform(-1, 1, self.dim).astype(np.float32)
        return self.one_hot(int(rng.integers(self.dim)))

    def zeros(self) -> np.ndarray:
        """Returns the action that stands before an episode's first frame, float32 ``(dim,)`` zeros."""
        return np.zeros(self.dim, np.float32)

    def one_hot(self, choice: int) -> np.ndarray:
        """Returns the one-hot vector of a discrete action, float32 ``(dim,)``."""
        vector = self.zeros()
        vector[choice] = 1.0
        return vector


@dataclass(frozen=True)
class Spec:
    """Describes an environment; an agent is built from it.

    Attributes:
        image: height, width and channels of a frame.
        action: its actions.
        time_limit: environment steps after which an episode is truncated.
        action_repeat: environment steps that one action lasts.
        terminates: whether episodes may end in a terminal state, after which no reward can be earned.
    """

    image: tuple[int, int, int]
    action: ActionSpec
    time_limit: int
    action_repeat: int = 1
    terminates: bool = False

    @classmethod
    def of(cls, env: Env) -> Spec:
        """Reads the spec of an environment."""
        image, action = env.observation_space["image"].shape, env.action_space
        kind = "discrete" if hasattr(action, "n") else "continuous"
        dim = int(action.n) if kind == "discrete" else int(action.shape[0])
        return cls(tuple(image), ActionSpec(kind, dim), env.time_limit, env.action_repeat, env.terminates)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Spec:
        """Rebuilds a spec from ``to_dict``; raises ValueError if the values are not one."""
        try:
            action = ActionSpec(**values["action"])
            spec = cls(**(values | {"image": tuple(values["image"]), "action": action}))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an environment's spec ({error})") from None
        numbers = (*spec.image, action.dim, spec.time_limit, spec.action_repeat)
        whole = all(type(number) is int and 0 < number < 2**31 for number in numbers)
        if not whole or len(spec.image) != 3 or action.kind not in ("continuous", "discrete"):
            raise ValueError(f"not an environment's spec ({str(values)[:200]})")
        return spec

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, for JSON."""
        return asdict(self)


def side_of(image: tuple[int, int, int]) -> int:
    """Returns the pixels per side of square frames; raises ConfigError for frames that the networks cannot take."""
    height, width, channels = image
    if height != width or not SMALLEST <= height <= LARGEST or channels < 1:
        raise ConfigError(
            f"frames of {height} x {width} x {channels} are not supported; they must be square, of {SMALLEST} to "
            f"{LARGEST} pixels per side"
        )
    return height
