"""Trains Denoised MDP's actor and critic in imagination of x alone, on lambda-returns, as DreamerV1 does."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hdream_core.denoised_mdp.config import BehaviorConfig, RSSMConfig
from hdream_core.denoised_mdp.networks import tanh_normal
from hdream_core.denoised_mdp.rssm import split_features
from hdream_core.denoised_mdp.world_model import WorldModel
from hdream_core.nets.gaussian import TanhNormal
from hdream_core.nets.latents import State
from hdream_core.nets.mlp import MLP, pytorch_weights
from hdream_core.nets.returns import discounted, lambda_return


class Imagined(NamedTuple):
    """Holds an imagined rollout of H steps; the start state is not among its states."""

    feat: Tensor  # (H, N, F) of x
    entropy: Tensor  # (H, N) of the policy before each step, estimated from one sample, without gradient


class Behavior(nn.Module):
    """Trains an actor and a critic on imagined rollouts of a world model, which they do not change.

    Both read the features of x. There is no entropy bonus and no slow critic.
    """

    def __init__(self, config: BehaviorConfig, rssm: RSSMConfig, action_dim: int):
        super().__init__()
        self.config, self.rssm = config, rssm
        feat_dim = rssm.x.deter + rssm.x.stoch
        self.actor = MLP(feat_dim, 2 * action_dim, config.hidden, config.actor_layers)
        self.critic = MLP(feat_dim, 1, config.hidden, config.critic_layers)
        self.apply(pytorch_weights)

    def policy(self, feat: Float[Tensor, "*n x"]) -> TanhNormal:
        """Returns the policy at features ``(..., F)`` of x."""
        return tanh_normal(self.actor(feat))

    def act(self, feat: Float[Tensor, "N F"], explore: bool) -> Float[Tensor, "N A"]:
        """Chooses actions ``(N, A)`` from the features of x and y: noisy samples in training, else the best of several.

        What noise moves beyond [-1, 1] is set to the bound.
        """
        policy = self.policy(split_features(feat, self.rssm)[0])
        if not explore:
            return policy.mode(self.config.samples)
        action = policy.rsample()
        return (action + self.config.noise * torch.randn_like(action)).clamp(-1, 1)

    def imagine(self, model: WorldModel, start: State) -> Imagined:
        """Imagines H steps of x by the policy from states ``(N, ...)``; gradients flow through the dynamics of x."""
        state, feats, entropies = model.rssm.split(start)[0], [], []
        for _ in range(self.config.horizon):
            policy = self.policy(state.feat.detach())  # no gradient to the features that the policy reads
            state = model.rssm.x.imagine_step(state, policy.rsample())
            feats.append(state.feat)
            with torch.no_grad():
                entropies.append(policy.entropy(1))
        return Imagined(torch.stack(feats), torch.stack(entropies))

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
        reward = model.controlled_reward(imagined.feat)  # (H, N); reward[t] arrives with state t
        target = self.targets(reward, self.critic(imagined.feat).squeeze(-1))  # (H - 1, N)
        prediction = self.critic(imagined.feat[:-1].detach()).squeeze(-1)
        metrics = {"imagined_reward": reward, "value": prediction, "target": target, "policy_entropy": imagined.entropy}
        return (
            -discounted(target, self.config.gamma).mean(),
            discounted(0.5 * (prediction - target.detach()).square(), self.config.gamma).mean(),
            {name: values.detach().mean() for name, values in metrics.items()},
        )

    def targets(self, reward: Float[Tensor, "H N"], value: Float[Tensor, "H N"]) -> Float[Tensor, "H-1 N"]:
        """Computes the lambda-returns of all states but the last, from the rewards and values of all."""
        return lambda_return(reward[:-1], value, torch.full_like(reward[:-1], self.config.gamma), self.config.lam)
