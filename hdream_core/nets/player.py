"""Acts in environments: the policy reads the posterior, which has seen all frames so far."""

from __future__ import annotations

import copy
import functools

import numpy as np
import torch
from torch import Tensor, nn

from hdream_core.nets.latents import State
from hdream_core.support import cuda_graph
from hdream_core.support.precision import autocast

Memory = tuple[State, Tensor]  # of N episodes: the posterior (N, ...) and the last action (N, A)


class Player:
    """Chooses actions for environments that are stepped together.

    Args:
        model: world model with ``encode`` and ``rssm``, used with the weights that it has at each call.
        behavior: policy; ``act(feat, explore)`` returns its actions.
        action_dim: length of an action's vector.
        precision: ``train.precision`` of the run.
        captured: capture acting as CUDA graphs on a GPU (``support.cuda_graph``).
    """

    def __init__(self, model: nn.Module, behavior: nn.Module, action_dim: int, precision: str, captured: bool):
        self.model, self.behavior, self.action_dim = model, behavior, action_dim
        self.precision, self.captured = precision, captured
        self.device = next(model.parameters()).device
        self._explore, self._exploit = (
            cuda_graph.capture(functools.partial(self._act, explore), self.device, captured)
            for explore in (True, False)
        )

    def act(self, image: np.ndarray, memory: Memory | None, explore: bool) -> tuple[np.ndarray, Memory]:
        """Chooses actions for N environments.

        Args:
            image: uint8 ``(N, H, W, C)``.
            memory: what the last call returned, or None at the start of the episodes.
            explore: act as in training, or as in evaluation. The posterior is always sampled.

        Returns:
            float32 ``(N, A)`` in [-1, 1], and the memory to hand to the next call.
        """
        is_first = torch.full((len(image),), memory is None, device=self.device)
        if memory is None:
            state = self.model.rssm.initial(len(image), self.device)
            memory = state, torch.zeros(len(image), self.action_dim, device=self.device)
        state, last_action = memory
        act = self._explore if explore else self._exploit
        action, *post = act(torch.as_tensor(image), is_first, last_action, *state)
        return action.cpu().numpy(), (State(*post), action)

    @torch.no_grad()
    def _act(self, explore: bool, image: Tensor, is_first: Tensor, last_action: Tensor, *state: Tensor) -> list[Tensor]:
        """Acts on the device, given the fields of a state; returns the action, then the posterior's fields."""
        with autocast(self.precision, self.device):
            embed = self.model.encode(image.to(self.device)[:, None])[:, 0]  # (N, 1, H, W, C) to (N, E)
            post = self.model.rssm.observe_step(State(*state), embed, last_action, is_first)
            return [self.behavior.act(post.feat, explore), *post]

    def copy(self) -> Player:
        """Returns a player with a copy of the current weights, without gradients."""
        model, behavior = (copy.deepcopy(x).requires_grad_(False) for x in (self.model, self.behavior))
        return Player(model, behavior, self.action_dim, self.precision, self.captured)

    def parameters(self) -> list[Tensor]:
        """Returns the weights and running statistics, in the same order for a player and its copy."""
        return [*self.model.parameters(), *self.model.buffers(), *self.behavior.parameters()]
