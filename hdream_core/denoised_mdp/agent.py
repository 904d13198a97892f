"""Implements the agent Denoised MDP: a world model of two parts, a balancer of its losses, and a policy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from hdream_core.config.balancer import make_balancer
from hdream_core.config.fields import Config
from hdream_core.denoised_mdp.behavior import Behavior
from hdream_core.denoised_mdp.config import LOSSES
from hdream_core.denoised_mdp.world_model import WorldModel
from hdream_core.nets.learner import Learner
from hdream_core.nets.optimizer import Optimizer
from hdream_core.spec import Spec
from hdream_core.support.errors import ConfigError

EPS = 1e-7  # of Adam


class DenoisedMDP(Learner):
    """Learns from batches (``update``) and acts (``act``). Fulfils ``hdream_core.agent.Agent``.

    Args:
        config: config of the whole run; its ``agent`` is a ``DenoisedMDPConfig``.
        spec: spec of the environment; its actions must be continuous.
        device: overrides ``config.train.device``.

    Raises:
        ConfigError: if the device or the balancer's settings cannot be used, or the actions are discrete.
    """

    training_only = ("behavior.critic.",)

    def __init__(self, config: Config, spec: Spec, device: torch.device | str | None = None):
        if spec.action.kind != "continuous":
            raise ConfigError(f"denoised_mdp needs continuous actions, but those of {config.task} are discrete")
        super().__init__(config, spec, device)
        settings = config.agent
        self.balancer = make_balancer(config.balancer, LOSSES, spec.image)
        self.model = WorldModel(settings.model, self.balancer.names, spec.image, spec.action.dim)
        self.behavior = Behavior(settings.behavior, settings.model.rssm, spec.action.dim)
        self.ready(captured=self.device.type == "cuda" and config.train.kernels == "tuned")

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """Makes Adam for the world model (with the harmonizers), the actor and the critic."""
        model, behavior, nets = self.config.agent.model, self.config.agent.behavior, self.behavior
        fused, groups = self.config.train.kernels == "tuned", self.model_groups(model.lr, model.harmonizer_lr)
        actor, critic = nets.actor.parameters(), nets.critic.parameters()
        return {
            "model": Optimizer(groups, model.grad_clip, fused, model.lr, EPS, 0.0),
            "actor": Optimizer(actor, behavior.grad_clip, fused, behavior.actor_lr, EPS, 0.0),
            "critic": Optimizer(critic, behavior.grad_clip, fused, behavior.critic_lr, EPS, 0.0),
        }

    def update(self, batch: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
        """Trains world model, actor and critic on a batch of windows; returns scalar metrics on the device."""
        batch = self.prepare(batch)
        with self.autocast():
            losses, post, metrics = self.model.losses(batch)
        if self._untrained and self.config.agent.model.harmonizer_start == "analytic":
            self.balancer.start_at({name: float(loss.detach()) for name, loss in losses.items()})
        total, weights = self.balancer(losses)
        metrics |= self.step("model", total) | {"loss/total": total.detach()}

        with self.autocast():
            (start,) = self.starts(post, self.config.agent.behavior.starts)
            actor_loss, critic_loss, behavior_metrics = self.behavior.losses(self.model, start)
        metrics |= behavior_metrics | self.step("actor", actor_loss) | self.step("critic", critic_loss)
        metrics |= {"loss/actor": actor_loss.detach(), "loss/critic": critic_loss.detach()}

        self._updates += 1
        self._untrained = False
        return self.balance_metrics(losses, weights) | metrics


AGENT = DenoisedMDP
