"""Trains DreamerV3's actor and critic in imagination, on returns that are divided by their range."""

from __future__ import annotations

import contextlib
import copy
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hdream_core.dreamerv3.config import BehaviorConfig
from hdream_core.dreamerv3.distributions import BINS, NormalPolicy, OneHotPolicy, TwoHot, unimix
from hdream_core.dreamerv3.networks import MLP, output_layer
from hdream_core.dreamerv3.world_model import WorldModel
from hdream_core.nets.latents import State
from hdream_core.nets.returns import lambda_return
from hdream_core.spec import ActionSpec

MIN_STD, MAX_STD = 0.1, 1.0  # of a policy over continuous actions


class Imagined(NamedTuple):
    """Holds an imagined rollout of H steps from N start states; index 0 is the start state itself."""

    feat: Tensor  # (H + 1, N, F)
    action: Tensor  # (H, N, A), taken at states 0 .. H - 1


class ReturnScale(nn.Module):
    """Follows the range of returns: moving means of their 5th and 95th percentile, which start at 0.

    Attributes:
        low, high: the moving means.
    """

    DECAY, PERCENTILES = 0.99, (0.05, 0.95)
    low: Tensor
    high: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    @torch.no_grad()
    def forward(self, returns: Float[Tensor, "H N"]) -> Float[Tensor, ""]:
        """Takes new returns into account; returns the range of returns, at least 1."""
        share = torch.tensor(self.PERCENTILES, device=returns.device)
        found = torch.quantile(returns.detach().float().flatten(), share)
        for mean, value in zip((self.low, self.high), found, strict=True):
            mean.mul_(self.DECAY).add_((1 - self.DECAY) * value)
        return (self.high - self.low).clamp(min=1.0)


class Actor(MLP):
    """Maps features to the parameters of a policy; a policy over continuous actions has a second output layer."""

    def __init__(self, config: BehaviorConfig, feat_dim: int, action: ActionSpec):
        super().__init__(feat_dim, action.dim, config.units, config.layers)
        self.unimix = config.unimix
        self.std = output_layer(config.units, action.dim) if action.kind == "continuous" else None

    def policy(self, feat: Float[Tensor, "*n F"]) -> OneHotPolicy | NormalPolicy:
        """Returns the policy at features ``(..., F)``."""
        x = self.trunk(feat)
        with torch.autocast(x.device.type, enabled=False):
            output = self.output(x.float())
            if self.std is None:
                return OneHotPolicy(unimix(output, self.unimix))
            std = (MAX_STD - MIN_STD) * torch.sigmoid(self.std(x.float()) + 2.0) + MIN_STD
            return NormalPolicy(torch.tanh(output), std)


class Behavior(nn.Module):
    """Trains an actor and a critic on imagined rollouts of a world model, which they do not change.

    Args:
        config: sizes and constants.
        feat_dim: length of the features.
        action: the environment's actions.
    """

    def __init__(self, config: BehaviorConfig, feat_dim: int, action: ActionSpec):
        super().__init__()
        self.config = config
        auto = "reinforce" if action.kind == "discrete" else "dynamics"
        self.gradient = auto if config.gradient == "auto" else config.gradient
        self.actor = Actor(config, feat_dim, action)
        self.critic = MLP(feat_dim, BINS, config.units, config.layers, scale=0.0)
        self.slow_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.return_scale = ReturnScale()

    def act(self, feat: Float[Tensor, "N F"], explore: bool) -> Float[Tensor, "N A"]:
        """Chooses actions ``(N, A)`` in [-1, 1] or one-hot: samples in training, and in evaluation unless asked for."""
        policy = self.actor.policy(feat)
        action = policy.sample() if explore or self.config.evaluate == "sample" else policy.mode
        return action.clamp(-1, 1)

    def imagine(self, model: WorldModel, start: State) -> Imagined:
        """Imagines H steps of the policy from ``start`` ``(N, ...)``; gradients flow if actors learn through them."""
        state, feats, actions = start, [start.feat], []
        with torch.no_grad() if self.gradient == "reinforce" else contextlib.nullcontext():
            for _ in range(self.config.horizon):
                # no gradient from the policy to the features that it reads
                actions.append(self.actor.policy(feats[-1].detach()).sample())
                state = model.rssm.imagine_step(state, actions[-1])
                feats.append(state.feat)
        return Imagined(torch.stack(feats), torch.stack(actions))

    def losses(
        self, model: WorldModel, start: State, start_continues: Float[Tensor, " N"]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Computes the actor's loss, the critic's loss and scalars worth logging.

        Args:
            model: world model to imagine in. Differentiate the losses with respect to actor and critic only
                (``torch.autograd.grad``), so that no gradient accumulates in the model.
            start: detached posterior states ``(N, ...)``.
            start_continues: ``(N,)``, 0 where a start state is terminal according to the data, else 1.
        """
        return self.imagined_losses(model, self.imagine(model, start), start_continues)

    def imagined_losses(
        self, model: WorldModel, imagined: Imagined, start_continues: Float[Tensor, " N"]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Computes ``losses`` from a given rollout."""
        gamma = self.config.gamma
        reward = model.reward(imagined.feat[1:])  # (H, N) of states 1 .. H
        goes_on = torch.cat([start_continues[None], model.continues(imagined.feat[1:])])  # (H + 1, N)
        value = TwoHot(self.critic(imagined.feat)).mean  # (H + 1, N)
        returns = lambda_return(reward, value, gamma * goes_on[1:], self.config.lam)  # (H, N) of states 0 .. H - 1
        weight = ((gamma * goes_on).cumprod(0) / gamma).detach()[:-1]  # (H, N)
        actor_loss, metrics = self._actor_loss(imagined, returns, value[:-1], weight)
        feat = imagined.feat[:-1].detach()
        critic = TwoHot(self.critic(feat))
        with torch.no_grad():
            slow = TwoHot(self.slow_critic(feat)).mean
        critic_loss = (weight * (critic.nll(returns.detach()) + critic.nll(slow))).mean()
        metrics |= {"imagined_reward": reward.mean(), "value": value[:-1].mean(), "target": returns.mean()}
        return actor_loss, critic_loss, {name: number.detach() for name, number in metrics.items()}

    def _actor_loss(
        self, imagined: Imagined, returns: Tensor, baseline: Tensor, weight: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the actor's loss, from ``(H, N)`` returns, values and weights, and scalars worth logging."""
        policy = self.actor.policy(imagined.feat[:-1].detach())
        scale = self.return_scale(returns)
        advantage = (returns - baseline) / scale
        entropy = policy.entropy()
        if self.gradient == "reinforce":
            objective = policy.log_prob(imagined.action.detach()) * advantage.detach()
        else:
            objective = advantage  # the baseline keeps its gradient, as in the authors' code
        loss = -(weight * (objective + self.config.entropy * entropy)).mean()
        return loss, {"policy_entropy": entropy.mean(), "return_range": scale}

    @torch.no_grad()
    def update_slow_critic(self, updates: Int[Tensor, ""]) -> None:
        """Mixes the critic into the slow critic; after the first update it copies it. Decided on the device."""
        share = torch.where(updates == 1, 1.0, self.config.slow_share)
        for slow, fast in zip(self.slow_critic.parameters(), self.critic.parameters(), strict=True):
            slow.lerp_(fast, share)
