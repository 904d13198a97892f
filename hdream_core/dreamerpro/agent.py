"""Implements the DreamerPro agent: a world model, a balancer of its losses, and a policy learned in imagination."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from hdream_core.config.balancer import make_balancer
from hdream_core.config.fields import Config
from hdream_core.dreamerpro.behavior import Behavior
from hdream_core.dreamerpro.config import LOSSES
from hdream_core.dreamerpro.optimizer import Optimizer
from hdream_core.dreamerpro.world_model import WorldModel
from hdream_core.nets.learner import Learner
from hdream_core.spec import Spec
from hdream_core.support.batch import to_device
from hdream_core.support.errors import ConfigError


class DreamerPro(Learner):
    """Learns from batches (``update``) and acts (``act``). Fulfils ``hdream_core.agent.Agent``.

    Args:
        config: config of the whole run; its ``agent`` is a ``DreamerProConfig``.
        spec: spec of the environment; its actions must be continuous.
        device: overrides ``config.train.device``.

    Raises:
        ConfigError: if the device or the balancer's settings cannot be used, or the actions are discrete.
    """

    training_only = ("behavior.critic.", "behavior.slow_critic.", "model.prototypes.updates")

    def __init__(self, config: Config, spec: Spec, device: torch.device | str | None = None):
        if spec.action.kind != "continuous":
            raise ConfigError(f"dreamerpro needs continuous actions, but those of {config.task} are discrete")
        super().__init__(config, spec, device)
        settings = config.agent
        base = dict.fromkeys(LOSSES, 1.0) | {"reward": settings.model.base_w_r}
        self.balancer = make_balancer(config.balancer, base, spec.image)
        self.model = WorldModel(settings.model, self.balancer.names, spec.image, spec.action.dim)
        self.behavior = Behavior(settings.behavior, self.model.rssm.feat_dim, spec.action.dim)
        self.ready(captured=self.device.type == "cuda" and config.train.kernels == "tuned")

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """Makes Adam for the world model (with the harmonizers), the actor and the critic."""
        model, behavior = self.config.agent.model, self.config.agent.behavior
        return {
            "model": Optimizer(self.model_groups(model.lr, model.harmonizer_lr), model.grad_clip, model.lr),
            "actor": Optimizer(self.behavior.actor.parameters(), behavior.grad_clip, behavior.actor_lr),
            "critic": Optimizer(self.behavior.critic.parameters(), behavior.grad_clip, behavior.critic_lr),
        }

    def update(self, batch: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
        """Trains world model, actor and critic on a batch of windows; returns scalar metrics on the device."""
        batch = to_device(batch, self.device)
        with self.autocast():
            losses, post, metrics = self.model.losses(batch)  # of two views of the batch
        if self._untrained and self.config.agent.model.harmonizer_start == "analytic":
            self.balancer.start_at({name: float(loss.detach()) for name, loss in losses.items()})
        total, weights = self.balancer(losses)  # Eq. 16 or 17
        metrics |= self.step("model", total) | {"loss/total": total.detach()}
        self.model.after_update()

        with self.autocast():
            (start,) = self.starts(post, self.config.agent.behavior.starts)
            actor_loss, critic_loss, behavior_metrics = self.behavior.losses(self.model, start)
        metrics |= behavior_metrics | self.step("actor", actor_loss) | self.step("critic", critic_loss)
        metrics |= {"loss/actor": actor_loss.detach(), "loss/critic": critic_loss.detach()}

        self._updates += 1
        self._untrained = False
        self.behavior.update_slow_critic(self._updates)
        return self.balance_metrics(losses, weights) | metrics

    def shared_parameters(self) -> list[nn.Parameter]:
        """Returns the encoder's parameters: the gradient of ``swav`` does not go through the RSSM."""
        return list(self.model.encoder.parameters())


AGENT = DreamerPro
