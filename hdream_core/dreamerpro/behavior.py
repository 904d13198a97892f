"""Trains DreamerPro's actor and critic in latent imagination, on lambda-returns."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hdream_core.dreamerpro.config import BehaviorConfig
from hdream_core.dreamerpro.distributions import tanh_normal
from hdream_core.dreamerpro.world_model import WorldModel
from hdream_core.nets.gaussian import TanhNormal
from hdream_core.nets.latents import State
from hdream_core.nets.mlp import MLP
from hdream_core.nets.returns import discounted, lambda_return


class Imagined(NamedTuple):
    """Holds an imagined rollout of H states, of which the first is the start state."""

    feat: Tensor  # (H, N, F)
    entropy: Tensor  # (H - 1, N) of the policy at all states but the last


class Behavior(nn.Module):
    """Trains an actor and a critic on imagined rollouts of a world model, which they do not change."""

    def __init__(self, config: BehaviorConfig, feat_dim: int, action_dim: int):
        super().__init__()
        self.config = config
        self.actor = MLP(feat_dim, 2 * action_dim, config.hidden, config.layers)
        self.critic = MLP(feat_dim, 1, config.hidden, config.layers)
        self.slow_critic = copy.deepcopy(self.critic).requires_grad_(False)

    def policy(self, feat: Float[Tensor, "*n F"]) -> TanhNormal:
        """Returns the policy at features ``(..., F)``."""
        return tanh_normal(self.actor(feat))

    def act(self, feat: Float[Tensor, "N F"], explore: bool) -> Float[Tensor, "N A"]:
        """Chooses actions ``(N, A)``: samples of the policy in training, the best of several in evaluation."""
        policy = self.policy(feat)
        return policy.rsample() if explore else policy.mode(self.config.samples)

    def imagine(self, model: WorldModel, start: State) -> Imagined:
        """Imagines the policy from ``start`` ``(N, ...)``, H states in all; gradients flow through the dynamics."""
        state, feats = start, [start.feat]
        for _ in range(self.config.horizon - 1):
            action = self.policy(feats[-1].detach()).rsample()  # no gradient to the features that the policy reads
            state = model.rssm.imagine_step(state, action)
            feats.append(state.feat)
        feat = torch.stack(feats)
        return Imagined(feat, self.policy(feat[:-1].detach()).entropy(self.config.samples))

    def losses(self, model: WorldModel, start: State) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Computes the actor's loss, the critic's loss and scalars worth logging.

        Args:
            model: world model to imagine in. Differentiate the losses with respect to actor and critic only
                (``torch.autograd.grad``), so that no gradient accumulates in the model.
            start: detached posterior states ``(N, ...)``.
        """
        return self.imagined_losses(model, self.imagine(model, start))

    def imagined_losses(self, model: WorldModel, imagined: Imagined) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Computes ``losses`` from a given rollout."""
        reward = model.reward(imagined.feat)  # (H, N); reward[t] arrives with state t
        target = self.targets(reward, self.slow_critic(imagined.feat).squeeze(-1))  # (H - 1, N)
        prediction = self.critic(imagined.feat[:-1].detach()).squeeze(-1)
        metrics = {"imagined_reward": reward, "value": prediction, "target": target, "policy_entropy": imagined.entropy}
        return (
            self.actor_loss(target, imagined.entropy),
            self.critic_loss(prediction, target),
            {name: values.detach().mean() for name, values in metrics.items()},
        )

    def targets(self, reward: Float[Tensor, "H N"], value: Float[Tensor, "H N"]) -> Float[Tensor, "H-1 N"]:
        """Computes the lambda-returns of all states but the last, from the rewards and values of all."""
        return lambda_return(reward[:-1], value, torch.full_like(reward[:-1], self.config.gamma), self.config.lam)

    def actor_loss(self, target: Float[Tensor, "h N"], entropy: Float[Tensor, "h N"]) -> Float[Tensor, ""]:
        """Returns minus the discounted mean of returns and scaled entropy."""
        return -discounted(target + self.config.entropy * entropy, self.config.gamma).mean()

    def critic_loss(self, prediction: Float[Tensor, "h N"], target: Float[Tensor, "h N"]) -> Float[Tensor, ""]:
        """Returns the discounted mean of the critic's halved squared errors."""
        return discounted(0.5 * (prediction - target.detach()).square(), self.config.gamma).mean()

    @torch.no_grad()
    def update_slow_critic(self, updates: Int[Tensor, ""]) -> None:
        """Copies the critic into the slow critic if ``slow_update`` divides ``updates``, decided on the device."""
        due = updates % self.config.slow_update == 0
        for slow, fast in zip(self.slow_critic.parameters(), self.critic.parameters(), strict=True):
            slow.copy_(torch.where(due, fast, slow))
