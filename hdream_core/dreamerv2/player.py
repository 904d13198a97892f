"""Acting in environments: the policy reads the posterior of what has been seen."""

from __future__ import annotations

import copy
import functools

import numpy as np
import torch
from torch import Tensor

from hdream_core.dreamerv2.behavior import Behavior
from hdream_core.dreamerv2.rssm import State
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.support import cuda_graph
from hdream_core.support.precision import autocast

Memory = tuple[State, Tensor]  # what a player remembers of N episodes: the latent state and the last action, (N, A)


class Player:
    """Chooses actions for environments that are stepped together.

    Args:
        model, behavior: whose weights it plays with, as they are when it acts.
        action_dim: length of an action's vector.
        precision: ``train.precision`` of the run.
        captured: on a GPU, capture acting as CUDA graphs (``support.cuda_graph``).
    """

    def __init__(self, model: WorldModel, behavior: Behavior, action_dim: int, precision: str, captured: bool):
        self.model, self.behavior, self.action_dim = model, behavior, action_dim
        self.precision, self.captured = precision, captured
        self.device = next(model.parameters()).device
        self._explore, self._exploit = (
            cuda_graph.captured(functools.partial(self._play, explore), self.device, captured)
            for explore in (True, False)
        )

    def act(self, image: np.ndarray, memory: Memory | None, explore: bool) -> tuple[np.ndarray, Memory]:
        """Chooses actions for N environments.

        Args:
            image: uint8 ``(N, H, W, C)``.
            memory: what the last call returned, or None at the start of the episodes.
            explore: sample the action (training) or take its mode (evaluation); the posterior is sampled in both.

        Returns:
            float32 ``(N, A)`` in [-1, 1], and the memory to hand to the next call.
        """
        first = torch.full((len(image),), memory is None, device=self.device)
        if memory is None:
            latent = self.model.rssm.initial(len(image), self.device)
            memory = latent, torch.zeros(len(image), self.action_dim, device=self.device)
        play = self._explore if explore else self._exploit
        action, *latent = play(torch.as_tensor(image), first, memory[1], *memory[0])
        return action.cpu().numpy(), (State(*latent), action)

    @torch.no_grad()
    def _play(self, explore: bool, image: Tensor, first: Tensor, action: Tensor, *latent: Tensor) -> list[Tensor]:
        """``act`` on the device: the action, then the fields of the state."""
        with autocast(self.precision, self.device):
            embed = self.model.encode(image.to(self.device)[:, None])[:, 0]  # from (N, 1, H, W, C)
            after = self.model.rssm.observe_step(State(*latent), embed, action, first)
            policy = self.behavior.policy(after.feat)
            return [policy.rsample() if explore else policy.mode, *after]

    def copy(self) -> Player:
        """Returns a player with weights of its own, a copy of today's, without gradients."""
        model, behavior = (copy.deepcopy(x).requires_grad_(False) for x in (self.model, self.behavior))
        return Player(model, behavior, self.action_dim, self.precision, self.captured)

    def parameters(self) -> list[Tensor]:
        """Returns its weights, in the same order for a player and its copy."""
        return [*self.model.parameters(), *self.behavior.parameters()]
