"""Implements the TD-MPC agent: latent dynamics without a decoder, a balancer of their losses, a policy, a planner."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hdream_core.agent import OpenLoop
from hdream_core.config.balancer import make_balancer
from hdream_core.config.fields import Config
from hdream_core.nets.learner import Learner
from hdream_core.nets.optimizer import Optimizer
from hdream_core.spec import Spec
from hdream_core.support.batch import to_device
from hdream_core.support.errors import ConfigError
from hdream_core.tdmpc.config import BASE_WEIGHTS
from hdream_core.tdmpc.model import TOLD, Outcome
from hdream_core.tdmpc.planner import Planner, Schedule
from hdream_core.tdmpc.policy import Policy

ADAM = {"eps": 1e-8, "weight_decay": 0.0}


class TDMPC(Learner):
    """Learns from batches (``update``) and acts by planning (``act``). Fulfils ``hdream_core.agent.Agent``.

    Args:
        config: config of the whole run; its ``agent`` is a ``TDMPCConfig``.
        spec: spec of the environment; its actions must be continuous.
        device: overrides ``config.train.device``.

    Raises:
        ConfigError: if the device or the balancer's settings cannot be used, the actions are discrete, a window has no
            action to learn from, or a plan more elites than candidates.
    """

    training_only = ("target.",)

    def __init__(self, config: Config, spec: Spec, device: torch.device | str | None = None):
        settings = config.agent
        _check(config, spec)
        super().__init__(config, spec, device)
        self.balancer = make_balancer(config.balancer, BASE_WEIGHTS, spec.image)
        self.model = TOLD(settings, spec.image, spec.action.dim)
        self.behavior = Policy(settings, spec.action.dim)
        self.target, self.schedule = self.model.target(), Schedule(settings)
        self.to(self.device)
        self.balancer.attach(self.shared_parameters())
        self.player = Planner(self.model, self.behavior, self.schedule, settings, config.train.precision)

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """Makes Adam for the world model (with the harmonizers) and for the policy."""
        model, policy = self.config.agent.model, self.config.agent.policy
        groups = self.model_groups(model.lr, None)
        return {
            "model": Optimizer(groups, model.grad_clip, True, model.lr, **ADAM),
            "actor": Optimizer(self.behavior.parameters(), policy.grad_clip, True, policy.lr, **ADAM),
        }

    def update(self, batch: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
        """Trains model and policy on a batch of windows; returns scalar metrics, and ``priority`` (B,)."""
        batch = self.prepare(batch)
        with self.autocast():
            losses, latents, priority = self._outcome(batch)
        total, weights = self.balancer(losses)
        steps = len(latents) - 1  # the authors divide the gradient, not the losses
        metrics = self.step("model", total / steps) | {"loss/total": total.detach()}

        with self.autocast():
            actor_loss = self.model.policy_loss(latents, self.behavior)
        metrics |= self.step("actor", actor_loss) | {"loss/actor": actor_loss.detach()}

        if self.updates % self.config.agent.model.target_every == 0:
            self._update_target()
        self._updates += 1
        self._follow_clock()
        return self.balance_metrics(losses, weights) | metrics | {"priority": priority}

    def _outcome(self, batch: dict[str, Tensor]) -> Outcome:
        return self.model.outcome(batch, self.target, self.behavior)

    @torch.no_grad()
    def _update_target(self) -> None:
        """Mixes a share of the model into its slow copies."""
        fast = [p for name in self.target for p in getattr(self.model, name).parameters()]
        torch._foreach_lerp_(list(self.target.parameters()), fast, self.config.agent.model.target_share)

    def _follow_clock(self) -> None:
        """Brings the planner's schedules to the step at which the current episode began.

        It is counted by updates, which a checkpoint has, so ``train.prefill`` should end where an episode does.
        """
        train = self.config.train
        before, first = (0, 0) if self.config.offline_buffer else (train.prefill, train.pretrain)
        self.schedule.follow(before + max(self.updates - first, 0) * train.train_every)

    def losses(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Computes the named, unweighted losses; gradients flow."""
        with self.autocast():
            return self._outcome(self.prepare(batch)).losses

    @torch.no_grad()
    def features(self, batch: Mapping[str, Any]) -> Tensor:
        """Returns the latent state of every step, ``(B, T, F)``, from its frame and those before it."""
        with self.autocast():
            return self.model.encode_windows(to_device(batch, self.device))

    @torch.no_grad()
    def open_loop(self, batch: Mapping[str, Any], context: int, samples: int = 1) -> OpenLoop:
        """Predicts latent states and rewards from actions alone. Nothing is random, so all samples are alike."""
        batch = to_device(batch, self.device)
        length = batch["action"].shape[1]
        if not 0 < context < length:
            raise ValueError(f"context of {context} frames does not fit a window of {length}")
        seen = {name: batch[name][:, :context] for name in ("image", "is_first")}
        feats, rewards = [], []
        with self.autocast():
            observed = self.model.encode_windows(seen)
            z = observed[:, -1]
            for action in batch["action"][:, context:].movedim(1, 0):
                rewards.append(self.model.reward(z, action).squeeze(-1))
                z = self.model.dynamics(z, action)
                feats.append(z)
        parts = torch.stack(feats, 1), torch.stack(rewards, 1), observed
        return OpenLoop(*(part.repeat(samples, *[1] * (part.ndim - 1)) for part in parts))

    def decode(self, feat: Tensor) -> None:
        """Returns None: there is no decoder."""

    def shared_parameters(self) -> list[nn.Parameter]:
        """Returns the parameters of the encoder and the dynamics."""
        return [*self.model.encoder.parameters(), *self.model.dynamics.parameters()]


def _check(config: Config, spec: Spec) -> None:
    agent, length = config.agent, config.train.length
    if spec.action.kind != "continuous":
        raise ConfigError(f"tdmpc needs continuous actions, but those of {config.task} are discrete")
    if length <= agent.model.frames:
        raise ConfigError(
            f"train.length is {length}, but a window needs {agent.model.frames + 1} frames or more: a stack of "
            f"{agent.model.frames} and the next"
        )
    candidates = agent.planner.samples + int(agent.planner.policy_share * agent.planner.samples)
    if agent.planner.elites > candidates:
        raise ConfigError(f"agent.planner.elites is {agent.planner.elites}, but a plan has {candidates} candidates")


AGENT = TDMPC
