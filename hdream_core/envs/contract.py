"""Defines the contract that environments fulfil, and the optional capabilities of some.

A suite (``suite.Suite``) names tasks and makes their environments; an environment plays one task. Code that needs more
than ``Env`` asks for it: ``require(env, Branchable, "this study")`` raises a one-line error if it is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from hdream_core.support.errors import UserError

if TYPE_CHECKING:
    import gymnasium

T = TypeVar("T")
Observation = dict[str, np.ndarray]
"""``image`` uint8 (H, W, C), and ``state`` float64 (n,), the simulator's own low-dimensional observation."""


class CapabilityError(UserError, TypeError):
    """Reports that an environment cannot do what a study needs; the message is one line for the user."""


@runtime_checkable
class Env(Protocol):
    """Plays one task. Episode k depends on ``(seed, k)`` alone, so that an episode can be played again.

    Attributes:
        task: its name, as ``envs.make`` takes it.
        seed, episode: seed and number of the current episode.
        time_limit: environment steps after which an episode is truncated.
        action_repeat: environment steps that one action lasts.
        terminates: whether a step may return ``terminated``.
        look: what frames depend on besides the state, e.g. render quality and camera, by name. Every run and buffer
            records it. Frames of different looks are not mixed.
        observation_space: a Dict of ``image`` and ``state``.
        action_space: a Box within [-1, 1], or Discrete.
    """

    task: str
    seed: int
    episode: int
    time_limit: int
    action_repeat: int
    terminates: bool
    look: dict[str, str]
    observation_space: gymnasium.spaces.Dict
    action_space: gymnasium.spaces.Box | gymnasium.spaces.Discrete

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins the next episode; with ``options={"episode": k}``, episode k."""

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Plays one action, float32 ``(dim,)``, a one-hot vector if actions are discrete.

        Returns:
            Observation, reward (summed over the repeats), terminated, truncated, and a dict with ``success`` (bool) and
            ``env_steps``, the environment steps played.
        """

    def render_image(self, render: str | None = None) -> np.ndarray:
        """Draws the current state, uint8 (H, W, C); ``render`` overrides the render quality."""


@runtime_checkable
class Branchable(Protocol):
    """Restores an earlier state exactly and continues from it with other actions."""

    def save_state(self) -> np.ndarray:
        """Returns everything that the future depends on, float64 ``(n,)``; n depends on the task alone."""

    def restore_state(self, state: np.ndarray) -> Observation:
        """Restores a saved state, seed and episode included; returns its observation."""

    def advance(self, action: np.ndarray) -> float:
        """Steps without drawing; returns the reward of ``step``."""


@runtime_checkable
class Scripted(Protocol):
    """Has a scripted policy that solves its task."""

    def expert_action(self) -> np.ndarray:
        """Returns the script's action in the current state, float32 ``(dim,)``."""


@runtime_checkable
class Located(Protocol):
    """Reports where its objects are."""

    def object_positions(self) -> dict[str, np.ndarray]:
        """Returns the true position of each object by name, ``(2,)`` or ``(3,)``, as the suite's ``positions`` does."""


_ABILITIES = {
    Branchable: "go back to a recorded step",
    Scripted: "play by a script",
    Located: "report where its objects are",
}


def require(env: Any, capability: type[T], what: str) -> T:
    """Returns ``env`` if it has the capability.

    Args:
        env: an environment.
        capability: Branchable, Scripted or Located.
        what: name of the caller, for the message, e.g. ``counterfactual``.

    Raises:
        CapabilityError: naming the task and what it cannot do.
    """
    if not isinstance(env, capability):
        raise CapabilityError(f"{env.task} cannot {_ABILITIES[capability]}, which {what} needs; take another task")
    return env
