"""Implements the DreamerV2 agent: a world model, a balancer of its losses, and a policy learned in imagination."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from hdream_core.config.balancer import make_balancer
from hdream_core.config.fields import Config
from hdream_core.dreamerv2 import resnet
from hdream_core.dreamerv2.behavior import Behavior
from hdream_core.dreamerv2.tuned.imagination import FusedBehavior
from hdream_core.dreamerv2.tuned.kernels import Kernels, pick_kernels
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets.learner import Learner
from hdream_core.nets.optimizer import Optimizer
from hdream_core.spec import Spec
from hdream_core.support.errors import ConfigError


class DreamerV2(Learner):
    """Learns from batches (``update``) and acts (``act``). Fulfils ``hdream_core.agent.Agent``.

    Args:
        config: config of the whole run; its ``agent`` is a ``DreamerV2Config``.
        spec: spec of the environment; its actions must be continuous.
        device: overrides ``config.train.device``.
        kernels: overrides ``config.train.kernels``.

    Raises:
        ConfigError: if the device or the balancer's settings cannot be used, or the actions are discrete.
    """

    def __init__(
        self,
        config: Config,
        spec: Spec,
        device: torch.device | str | None = None,
        kernels: Kernels | None = None,
    ):
        if spec.action.kind != "continuous":
            raise ConfigError(f"dreamerv2 needs continuous actions, but those of {config.task} are discrete")
        super().__init__(config, spec, device)
        model_config, behavior_config = config.agent.model, config.agent.behavior
        losses = ("observation", "reward", "dynamics", *(["discount"] if model_config.discount_head else []))
        self.balancer = make_balancer(config.balancer, losses, spec.image)
        self.kernels = kernels = kernels or pick_kernels(config.train.kernels, self.device)
        self.model = WorldModel(
            model_config, self.balancer.names, spec.image, spec.action.dim, behavior_config.gamma, kernels
        )
        behavior_class = FusedBehavior if kernels.fused_imagination else Behavior
        self.behavior = behavior_class(behavior_config, self.model.rssm.feat_dim, spec.action.dim)
        self.ready(kernels.captured)
        self.eval()  # but for updates of the world model, which matters to BatchNorm

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """Makes Adam for the world model (with the harmonizers), the actor and the critic."""
        model, behavior = self.config.agent.model, self.config.agent.behavior
        fused, groups = self.kernels.fused_adam, self.model_groups(model.lr, model.harmonizer_lr)
        return {
            "model": Optimizer(groups, model.grad_clip, fused, model.lr),
            "actor": Optimizer(self.behavior.actor.parameters(), behavior.grad_clip, fused, behavior.actor_lr),
            "critic": Optimizer(self.behavior.critic.parameters(), behavior.grad_clip, fused, behavior.critic_lr),
        }

    def update(self, batch: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
        """Trains world model, actor and critic on a batch of windows; returns scalar metrics on the device."""
        batch, before = self.prepare(batch), resnet.statistics(self.model)
        with self.autocast(), resnet.learning(self.model):
            losses, post, metrics = self.model.losses(batch)  # Eq. 2, by name
        if self._untrained and self.config.agent.model.harmonizer_start == "analytic":
            self.balancer.start_at({name: float(loss.detach()) for name, loss in losses.items()})
        total, weights = self.balancer(losses)  # Eq. 3, 4 or 5
        metrics |= self.step("model", total) | {"loss/total": total.detach()}
        resnet.restore(self.model, before, metrics["skipped/model"])

        with self.autocast():
            discount = self.model.true_discount(batch["is_terminal"].flatten())  # (B * T,), None without such a head
            start, discount = self.starts(post, self.config.agent.behavior.starts, discount)
            actor_loss, critic_loss, behavior_metrics = self.behavior.losses(self.model, start, discount)  # Eqs. 6 to 9
        metrics |= behavior_metrics | self.step("actor", actor_loss) | self.step("critic", critic_loss)
        metrics |= {"loss/actor": actor_loss.detach(), "loss/critic": critic_loss.detach()}

        self._updates += 1
        self._untrained = False
        self.behavior.update_slow_critic(self._updates)
        return self.balance_metrics(losses, weights) | metrics


AGENT = DreamerV2
