"""Trains actor and critic in latent imagination, on lambda-returns (Appendix A, Eqs. 6 to 9)."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hdream_core.dreamerv2.config import BehaviorConfig
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets.distributions import TruncatedNormal
from hdream_core.nets.latents import State
from hdream_core.nets.mlp import MLP
from hdream_core.nets.returns import lambda_return


class Imagined(NamedTuple):
    """Holds an imagined rollout of H steps from N start states; index 0 is the start state itself."""

    feat: Tensor  # (H + 1, N, F)
    entropy: Tensor  # (H, N) of the policy at states 0 .. H - 1


class Behavior(nn.Module):
    """Trains an actor and a critic on imagined rollouts of a world model, which they do not change."""

    def __init__(self, config: BehaviorConfig, feat_dim: int, action_dim: int):
        super().__init__()
        self.config = config
        self.actor = MLP(feat_dim, 2 * action_dim, config.hidden, config.layers)
        self.critic = MLP(feat_dim, 1, config.hidden, config.layers)
        self.slow_critic = copy.deepcopy(self.critic).requires_grad_(False)

    def policy(self, feat: Float[Tensor, "*n F"]) -> TruncatedNormal:
        """Returns the policy at features ``(..., F)``: location ``tanh(mean)``, scale ``2 sigmoid(std / 2) + 0.1``."""
        mean, std = self.actor(feat).chunk(2, -1)  # (..., A) each, unbounded
        return TruncatedNormal(torch.tanh(mean), 2 * torch.sigmoid(std / 2) + 0.1)

    def act(self, feat: Float[Tensor, "N F"], explore: bool) -> Float[Tensor, "N A"]:
        """Chooses actions ``(N, A)``: samples of the policy in training, its mode in evaluation."""
        policy = self.policy(feat)
        return policy.rsample() if explore else policy.mode

    def imagine(self, model: WorldModel, start: State) -> Imagined:
        """Imagines H steps of the policy from ``start`` ``(N, ...)``; gradients flow through the dynamics."""
        state, feats, policies = start, [start.feat], []
        step = model.rssm.rollout_step()
        for _ in range(self.config.horizon):
            policy = self.policy(feats[-1].detach())  # no gradient from the policy to the features that it reads
            state = step(state, policy.rsample())
            feats.append(state.feat)
            policies.append(policy)
        policy = TruncatedNormal(torch.stack([p.loc for p in policies]), torch.stack([p.scale for p in policies]))
        return Imagined(torch.stack(feats), policy.entropy())

    def losses(
        self, model: WorldModel, start: State, discount: Float[Tensor, " N"] | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Computes the actor's loss (Eq. 9), the critic's loss (Eq. 7) and scalars worth logging.

        Args:
            model: world model to imagine in. Differentiate the losses with respect to actor and critic only
                (``torch.autograd.grad``), so that no gradient accumulates in the model.
            start: detached posterior states ``(N, ...)``.
            discount: ``(N,)``, discounts of the start states according to the data, 0 at a terminal one. None takes the
                model's prediction.
        """
        return self.imagined_losses(model, self.imagine(model, start), discount)

    def imagined_losses(
        self, model: WorldModel, imagined: Imagined, start_discount: Float[Tensor, " N"] | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Computes ``losses`` from a given rollout."""
        config = self.config
        reward = model.reward(imagined.feat)  # (H + 1, N); reward[t] arrives with state t
        discount = model.discount(imagined.feat)  # (H + 1, N)
        if start_discount is not None:
            discount = torch.cat([start_discount[None], discount[1:]])
        value = self.slow_critic(imagined.feat).squeeze(-1)  # (H + 1, N)
        target = lambda_return(reward[:-1], value, discount[:-1], config.lam)  # (H, N) for states 0 .. H - 1
        # State t weighs the product of the discounts before it: the probability of reaching it, times gamma^t.
        weight = torch.cat([torch.ones_like(discount[:1]), discount[:-1]]).cumprod(0).detach()  # (H + 1, N)
        # The action at state t affects the targets from t + 1 on, so the action at the last state affects none.
        objective = target[1:] + config.entropy * imagined.entropy[:-1]
        actor_loss = -(weight[:-2] * objective).mean()
        prediction = self.critic(imagined.feat[:-1].detach()).squeeze(-1)  # (H, N)
        critic_loss = (weight[:-1] * 0.5 * (prediction - target.detach()).square()).mean()
        metrics = {
            "imagined_reward": reward.mean(),
            "value": prediction.mean(),
            "target": target.mean(),
            "policy_entropy": imagined.entropy.mean(),
        }
        return actor_loss, critic_loss, {name: value.detach() for name, value in metrics.items()}

    @torch.no_grad()
    def update_slow_critic(self, updates: Int[Tensor, ""]) -> None:
        """Copies the critic into the slow critic if ``slow_update`` divides ``updates``, decided on the device."""
        due = updates % self.config.slow_update == 0
        for slow, fast in zip(self.slow_critic.parameters(), self.critic.parameters(), strict=True):
            slow.copy_(torch.where(due, fast, slow))
