"""Defines the contract that every agent fulfils.

The loop, evaluation, checkpoints and every study know this contract and no particular agent. A new agent is a folder
with three things: a class that fulfils ``Agent``, its settings, and its tables of presets. It also needs one line in
``config.agents.AGENTS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hdream_core.config.agents import has_module, module_of
from hdream_core.config.fields import Config
from hdream_core.spec import Spec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from hdream_core.balancers import Balancer


class OpenLoop(NamedTuple):
    """Holds a prediction of N windows: ``context`` frames observed, then H steps predicted from actions alone."""

    feat: Tensor  # (N, H, F) predicted features
    reward: Tensor  # (N, H) predicted rewards, float32
    observed: Tensor  # (N, context, F) features of the frames seen


class Agent(Protocol):
    """Combines a world model, a balancer of its losses, and a policy. An ``nn.Module``: ``state_dict`` has all weights.

    Batches are windows as ``data.replay.Batch`` describes, of NumPy arrays or of tensors on any device.

    Attributes:
        config: config of the whole run.
        spec: spec of the environment that it is made for.
        device: device that it runs on.
        balancer: names the losses and weighs them.
        updates: number of updates so far.
        capturable: whether ``update`` never waits for the device, so that a CUDA graph can capture it.
        player: chooses actions; ``act`` calls it.
        training_only: prefixes of weights that neither acting nor predicting needs; an export leaves them out.
    """

    config: Config
    spec: Spec
    device: torch.device
    balancer: Balancer
    updates: int
    capturable: bool
    player: Player
    training_only: tuple[str, ...]

    def update(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Takes one update; returns scalar metrics on the device.

        The metrics include ``loss/<name>`` and ``weight/<name>`` for every loss that the balancer names, and
        ``skipped/<part>``, which is 1 if the update of that part was not finite and was skipped.

        An agent with a replay of its own may also return ``priority``, ``(B,)``, which the replay is given.
        """

    def act(self, image: np.ndarray, memory: Any, explore: bool) -> tuple[np.ndarray, Any]:
        """Chooses actions for N environments that are stepped together.

        Args:
            image: uint8 ``(N, H, W, C)``.
            memory: what the last call returned, or None at the start of the episodes.
            explore: sample the action (training) or take the policy's mode (evaluation).

        Returns:
            float32 ``(N, A)``, one-hot rows if actions are discrete, and the memory to hand to the next call.
        """

    def losses(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Computes the named, unweighted losses of the world model, with their graph."""

    def features(self, batch: Mapping[str, Any]) -> Tensor:
        """Returns the features of every step after all frames up to it: ``(B, T, F)``, without gradients."""

    def open_loop(self, batch: Mapping[str, Any], context: int, samples: int = 1) -> OpenLoop:
        """Predicts the rest of windows from their actions after ``context`` frames: N = samples * B, sample-major."""

    def decode(self, feat: Tensor) -> Tensor | None:
        """Decodes features ``(..., F)`` to frames ``(..., H, W, C)`` in [0, 1]; None for an agent without a decoder."""

    def shared_parameters(self) -> list[nn.Parameter]:
        """Returns the parameters that every loss's gradient flows through."""

    def training_state(self) -> dict[str, Any]:
        """Returns all state that training changes: weights (``agent``), ``optimizers``, and ``updates``."""

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Restores what ``training_state`` returned."""


class Player(Protocol):
    """Chooses actions with weights of its own or with the agent's."""

    def act(self, image: np.ndarray, memory: Any, explore: bool) -> tuple[np.ndarray, Any]:
        """Chooses actions; see ``Agent.act``."""

    def copy(self) -> Player:
        """Returns a player with a copy of the current weights, without gradients."""

    def parameters(self) -> list[Tensor]:
        """Returns the weights, in the same order for a player and its copy."""


def make_agent(config: Config, spec: Spec, device: torch.device | str | None = None) -> Agent:
    """Makes the untrained agent of a config.

    Args:
        config: config of the whole run.
        spec: spec of the environment.
        device: overrides ``config.train.device``.
    """
    agent = module_of(config.agent.name, "agent").AGENT(config, spec, device)
    if agent.device.type == "cuda":
        import torch

        torch.cuda.set_device(agent.device)  # streams, graphs and random numbers belong to the current device
    return agent


def parts_module(name: str) -> ModuleType | None:
    """Returns an agent's module that makes the parts of an update; None if it has none.

    It may also have ``without``, which makes agents without one tuned file, for an agent that has such files.
    """
    return module_of(name, "parts") if has_module(name, "parts") else None


def replay_module(name: str) -> ModuleType | None:
    """Returns an agent's module with its own way to draw batches; None if it draws them as others do."""
    return module_of(name, "replay") if has_module(name, "replay") else None
