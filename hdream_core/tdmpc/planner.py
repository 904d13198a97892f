"""Plans actions by model predictive path integral control, from the latent state of the latest frames."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hdream_core.support.precision import autocast
from hdream_core.tdmpc import noise
from hdream_core.tdmpc.config import TDMPCConfig
from hdream_core.tdmpc.model import TOLD
from hdream_core.tdmpc.policy import Policy

WIDEST = 2.0  # standard deviation of actions that a plan begins with, and its bound


class Memory(NamedTuple):
    """Holds what N environments that are stepped together need at the next step."""

    stack: Tensor  # (N, H, W, frames * C) the latest frames
    mean: Tensor  # (horizon, N, A) the last plan, or zeros
    std: float  # least standard deviation, of the whole episode; the horizon, too, is that of the whole episode


class Schedule(nn.Module):
    """Holds the horizon and the least standard deviation of plans, which follow the steps played.

    They are buffers, so that every copy of the weights has them. Both are exact enough in half precision.
    """

    horizon: Tensor
    std: Tensor

    def __init__(self, config: TDMPCConfig):
        super().__init__()
        self.config = config.planner
        self.register_buffer("horizon", torch.ones(()))
        self.register_buffer("std", torch.full((), self.config.std_start))

    def follow(self, step: int) -> None:
        """Sets both to their values after so many environment steps."""
        c = self.config
        done = min(step / c.schedule, 1.0)
        self.horizon.fill_(int(1 + done * (c.horizon - 1)))
        self.std.fill_(c.std_start + done * (c.std_end - c.std_start))


class Planner:
    """Chooses actions. Fulfils ``hdream_core.agent.Player``.

    Args:
        model, policy, schedule: used with the weights that they have at each call.
        config: settings of the agent.
        precision: ``train.precision`` of the run.
    """

    def __init__(self, model: TOLD, policy: Policy, schedule: Schedule, config: TDMPCConfig, precision: str):
        self.model, self.policy, self.schedule = model, policy, schedule
        self.config, self.precision = config, precision

    def act(self, image: np.ndarray, memory: Memory | None, explore: bool) -> tuple[np.ndarray, Memory]:
        """Chooses actions for N environments.

        Args:
            image: uint8 ``(N, H, W, C)``.
            memory: what the last call returned, or None at the start of the episodes.
            explore: add noise to the planned actions.

        Returns:
            float32 ``(N, A)`` in [-1, 1], and the memory to hand to the next call.
        """
        device = next(self.model.parameters()).device
        frame = torch.as_tensor(image).to(device)
        if memory is None:
            horizon, dim = int(self.schedule.horizon), self.policy.layers[-1].out_features
            stack = frame.repeat(1, 1, 1, self.config.model.frames)
            memory = Memory(stack, torch.zeros(horizon, len(frame), dim, device=device), float(self.schedule.std))
        else:
            mean = torch.cat([memory.mean[1:], torch.zeros_like(memory.mean[:1])])  # one step has been played
            memory = Memory(torch.cat([memory.stack[..., frame.shape[-1] :], frame], -1), mean, memory.std)
        with torch.no_grad(), autocast(self.precision, device):
            action, mean = self.plan(self.model.encode(memory.stack), memory.mean, memory.std, explore)
        return action.cpu().numpy(), memory._replace(mean=mean)

    @torch.no_grad()
    def plan(
        self, z: Float[Tensor, "N L"], mean: Float[Tensor, "h N A"], least_std: float, explore: bool
    ) -> tuple[Float[Tensor, "N A"], Float[Tensor, "h N A"]]:
        """Plans from latent states; returns actions and the means of the plans.

        Args:
            z: latent states ``(N, L)``.
            mean: actions that the search begins around, ``(horizon, N, A)``.
            least_std: the standard deviation of the search is not reduced below this.
            explore: add noise to the actions, of the standard deviation that the search ends with.
        """
        c, dim = self.config.planner, mean.shape[-1]
        proposed = self._proposals(z, len(mean))  # (h, N, P, A)
        start = z[:, None].expand(-1, c.samples + proposed.shape[2], -1)
        std = torch.full_like(mean, WIDEST)
        for _ in range(c.iterations):
            drawn = noise.normal(len(mean), len(z), c.samples, dim, device=z.device)
            drawn = (mean[:, :, None] + std[:, :, None] * drawn).clamp(-1, 1)
            actions = torch.cat([drawn, proposed], 2)
            best, index = self.value(start, actions).nan_to_num(0.0).topk(c.elites, 1)  # (N, E), best first
            elite = actions.gather(2, index[None, :, :, None].expand(len(mean), -1, -1, dim))
            weight = torch.softmax(c.temperature * best, 1)
            share = weight[None, :, :, None]
            centre = (share * elite).sum(2)
            std = (share * (elite - centre[:, :, None]).square()).sum(2).sqrt().clamp(least_std, WIDEST)
            mean = c.momentum * mean + (1 - c.momentum) * centre
        action = elite[0, torch.arange(len(z), device=z.device), noise.choice(weight)]
        if explore:
            action = action + std[0] * noise.normal(len(z), dim, device=z.device)
        return action.clamp(-1, 1), mean

    def value(self, z: Float[Tensor, "N S L"], actions: Float[Tensor, "h N S A"]) -> Float[Tensor, "N S"]:
        """Predicts the return of sequences of actions, and of the policy after them."""
        gamma, total = self.config.model.gamma, torch.zeros(z.shape[:2], device=z.device)
        for step, action in enumerate(actions):
            total = total + gamma**step * self.model.reward(z, action).squeeze(-1)
            z = self.model.dynamics(z, action)
        return total + gamma ** len(actions) * self.model.value(z, self.policy.sample(z))

    def _proposals(self, z: Float[Tensor, "N L"], horizon: int) -> Float[Tensor, "h N P A"]:
        """Samples sequences of the policy's actions."""
        c, actions = self.config.planner, []
        z = z[:, None].expand(-1, int(c.policy_share * c.samples), -1)
        for _ in range(horizon):
            actions.append(self.policy.sample(z))
            z = self.model.dynamics(z, actions[-1])
        return torch.stack(actions)

    def copy(self) -> Planner:
        """Returns a planner with a copy of the current weights, without gradients."""
        parts = (copy.deepcopy(x).requires_grad_(False) for x in (self.model, self.policy, self.schedule))
        return Planner(*parts, self.config, self.precision)

    def parameters(self) -> list[Tensor]:
        """Returns the weights and the schedule, in the same order for a planner and its copy."""
        return [*self.model.parameters(), *self.policy.parameters(), *self.schedule.buffers()]
