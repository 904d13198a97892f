"""Implements TOLD, TD-MPC's task-oriented latent dynamics, and its losses by name, unweighted."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from hdream_core.tdmpc.config import TDMPCConfig
from hdream_core.tdmpc.frames import in_unit_range, shifted, stacks
from hdream_core.tdmpc.networks import Encoder, Perceptron
from hdream_core.tdmpc.policy import Policy

LARGEST = 1e4  # a window's loss, and its priority, are not taken for larger


class Outcome(NamedTuple):
    """Holds what a batch of B windows of h steps gives."""

    losses: dict[str, Tensor]  # scalars: means over the windows by their importance
    latents: Tensor  # (h + 1, B, L) latent states, rolled forward from the first frames, without gradients
    priority: Tensor  # (B,) how wrong the values were


class TOLD(nn.Module):
    """Predicts latent states, rewards and values. It has no decoder.

    Args:
        config: settings of the agent.
        image: height, width and channels of a frame.
        action_dim: length of an action's vector.
    """

    def __init__(self, config: TDMPCConfig, image: tuple[int, int, int], action_dim: int):
        super().__init__()
        self.config, c = config, config.model
        self.encoder = Encoder(image, c.frames, c.channels, c.latent)
        self.dynamics = Perceptron(c.latent + action_dim, c.latent, c.hidden)
        self.reward = Perceptron(c.latent + action_dim, 1, c.hidden, zero=True)
        self.q1, self.q2 = (Perceptron(c.latent + action_dim, 1, c.hidden, normalised=True, zero=True) for _ in "12")
        self.to(memory_format=torch.channels_last)  # as frames are

    def encode(self, stack: UInt8[Tensor, "*n H W D"]) -> Float[Tensor, "*n L"]:
        """Maps stacks of frames, uint8 ``(..., H, W, frames * C)``, to latent states ``(..., L)``."""
        return self.encoder(in_unit_range(stack.flatten(0, -4))).unflatten(0, stack.shape[:-3])

    def encode_windows(self, batch: dict[str, Tensor]) -> Float[Tensor, "B T L"]:
        """Encodes every step of windows from its frame and those before it."""
        return self.encode(stacks(batch["image"], batch["is_first"], self.config.model.frames))

    def values(self, z: Float[Tensor, "*n L"], action: Float[Tensor, "*n A"]) -> tuple[Tensor, Tensor]:
        """Predicts the return of actions twice, ``(...)`` each."""
        return self.q1(z, action).squeeze(-1), self.q2(z, action).squeeze(-1)

    def value(self, z: Float[Tensor, "*n L"], action: Float[Tensor, "*n A"]) -> Float[Tensor, "*n"]:
        """Predicts the return of actions, ``(...)``: the smaller of the two predictions."""
        return torch.minimum(*self.values(z, action))

    def target(self) -> nn.ModuleDict:
        """Returns copies of the parts that targets are computed with; they have no gradients."""
        parts = {name: getattr(self, name) for name in ("encoder", "q1", "q2")}
        return nn.ModuleDict(copy.deepcopy(parts)).requires_grad_(False)

    def outcome(self, batch: dict[str, Tensor], target: nn.ModuleDict, policy: Policy) -> Outcome:
        """Computes the losses of a batch of windows, rolled forward from their first stack of frames.

        Args:
            batch: as in ``data.replay.Batch``, with T = h + frames rows: the first ones complete the first stack.
                ``importance`` (B,) weighs windows; without it they count alike.
            target: slow copies of encoder and values.
            policy: bootstraps the values.
        """
        stack, action, reward = self.steps_of(batch)
        wanted, returns = self.targets(stack[1:], reward, target, policy)
        rolled = self.roll(self.encode(stack[0]), action)
        q1, q2 = self.values(rolled[:-1], action)
        predicted = self.reward(rolled[:-1], action).squeeze(-1)
        errors = {
            "consistency": (rolled[1:] - wanted).square().mean(-1),
            "reward": (predicted - reward).square(),
            "value": (q1 - returns).square() + (q2 - returns).square(),
            "priority": (q1 - returns).abs() + (q2 - returns).abs(),
        }
        share = self._shares(len(action), reward.device)
        sums = {name: (share[:, None] * error).sum(0).clamp(max=LARGEST) for name, error in errors.items()}  # (B,)
        priority = sums.pop("priority").detach()
        importance = batch.get("importance", torch.ones_like(priority))
        losses = {name: (importance * values).mean() for name, values in sums.items()}
        return Outcome(losses, rolled.detach(), priority)

    def steps_of(self, batch: dict[str, Tensor]) -> tuple[UInt8[Tensor, "h1 B H W D"], Tensor, Tensor]:
        """Returns the stacks of windows, shifted at random, and the actions and rewards between them, time first.

        Actions are ``(h, B, A)``, rewards ``(h, B)``. They begin with row ``frames``: what led to, and came with, the
        first frame after the first stack.
        """
        frames = self.config.model.frames
        stack = stacks(batch["image"], batch["is_first"], frames)[:, frames - 1 :].movedim(1, 0)
        action, reward = (batch[name][:, frames:].movedim(1, 0) for name in ("action", "reward"))
        return shifted(stack.flatten(0, 1)).unflatten(0, stack.shape[:2]), action, reward

    def roll(self, z: Float[Tensor, "B L"], action: Float[Tensor, "h B A"]) -> Float[Tensor, "h1 B L"]:
        """Predicts the latent states after actions; the first is ``z``."""
        states = [z]
        for step in action:
            states.append(self.dynamics(states[-1], step))
        return torch.stack(states)

    def _shares(self, steps: int, device: torch.device) -> Float[Tensor, " steps"]:
        return self.config.model.step_share ** torch.arange(steps, device=device)

    @torch.no_grad()
    def targets(
        self, stack: Tensor, reward: Tensor, target: nn.ModuleDict, policy: Policy
    ) -> tuple[Float[Tensor, "h B L"], Float[Tensor, "h B"]]:
        """Computes the latent states and the returns that the predictions are to meet, one step later each."""
        picture = in_unit_range(stack.flatten(0, 1))
        slow = target["encoder"](picture).unflatten(0, reward.shape)
        z = self.encoder(picture).unflatten(0, reward.shape)
        action = policy.sample(z)
        bootstrap = torch.minimum(target["q1"](z, action), target["q2"](z, action)).squeeze(-1)
        return slow, reward + self.config.model.gamma * bootstrap

    def policy_loss(self, latents: Float[Tensor, "h1 B L"], policy: Policy) -> Float[Tensor, ""]:
        """Computes the negative value of the policy's actions in latent states, later ones counting less."""
        value = self.value(latents, policy.sample(latents)).mean(1)  # (h + 1,)
        return -(self._shares(len(value), value.device) * value).sum()
