"""Implements the DreamerV3 agent: a world model, a balancer of its losses, and a policy learned in imagination."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from hdream_core.config.balancer import make_balancer
from hdream_core.config.fields import Config
from hdream_core.dreamerv3.behavior import Behavior
from hdream_core.dreamerv3.world_model import BASE_WEIGHTS, WorldModel
from hdream_core.nets.learner import Learner
from hdream_core.nets.optimizer import Optimizer
from hdream_core.spec import Spec
from hdream_core.support.errors import ConfigError

MODEL_EPS, BEHAVIOR_EPS = 1e-8, 1e-5  # of Adam


class DreamerV3(Learner):
    """Learns from batches (``update``) and acts (``act``). Fulfils ``hdream_core.agent.Agent``.

    Args:
        config: config of the whole run; its ``agent`` is a ``DreamerV3Config``.
        spec: spec of the environment.
        device: overrides ``config.train.device``.

    Raises:
        ConfigError: if the device or the balancer's settings cannot be used, or an actor is to learn through the
            dynamics by discrete actions.
    """

    training_only = ("behavior.critic.", "behavior.slow_critic.", "behavior.return_scale.")

    def __init__(self, config: Config, spec: Spec, device: torch.device | str | None = None):
        super().__init__(config, spec, device)
        if spec.action.kind == "discrete" and config.agent.behavior.gradient == "dynamics":
            raise ConfigError(
                f"agent.behavior.gradient is dynamics, but the actions of {config.task} are discrete; take reinforce"
            )
        self.balancer = make_balancer(config.balancer, BASE_WEIGHTS, spec.image)
        self.model = WorldModel(config.agent.model, self.balancer.names, spec.image, spec.action.dim)
        self.behavior = Behavior(config.agent.behavior, self.model.rssm.feat_dim, spec.action)
        self.ready(captured=self.device.type == "cuda" and config.train.kernels == "tuned")

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """Makes Adam for the world model (with the harmonizers), the actor and the critic."""
        model, behavior = self.config.agent.model, self.config.agent.behavior
        fused, parts = self.config.train.kernels == "tuned", self.behavior
        groups = self.model_groups(model.lr, model.harmonizer_lr)
        return {
            "model": Optimizer(groups, model.grad_clip, fused, model.lr, MODEL_EPS, 0.0),
            "actor": Optimizer(
                parts.actor.parameters(), behavior.grad_clip, fused, behavior.actor_lr, BEHAVIOR_EPS, 0.0
            ),
            "critic": Optimizer(
                parts.critic.parameters(), behavior.grad_clip, fused, behavior.critic_lr, BEHAVIOR_EPS, 0.0
            ),
        }

    def update(self, batch: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
        """Trains world model, actor and critic on a batch of windows; returns scalar metrics on the device."""
        batch = self.prepare(batch)
        with self.autocast():
            losses, post, metrics = self.model.losses(batch)
        if self._untrained and self.config.agent.model.harmonizer_start == "analytic":
            self.balancer.start_at({name: float(loss.detach()) for name, loss in losses.items()})
        total, weights = self.balancer(losses)  # Eq. 3, 4 or 5
        metrics |= self.step("model", total) | {"loss/total": total.detach()}

        with self.autocast():
            goes_on = (~batch["is_terminal"]).float().flatten()  # (B * T,)
            start, goes_on = self.starts(post, self.config.agent.behavior.starts, goes_on)
            actor_loss, critic_loss, behavior_metrics = self.behavior.losses(self.model, start, goes_on)
        metrics |= behavior_metrics | self.step("actor", actor_loss) | self.step("critic", critic_loss)
        metrics |= {"loss/actor": actor_loss.detach(), "loss/critic": critic_loss.detach()}

        self._updates += 1
        self._untrained = False
        self.behavior.update_slow_critic(self._updates)
        return self.balance_metrics(losses, weights) | metrics


AGENT = DreamerV3
