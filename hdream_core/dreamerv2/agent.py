"""Implements the DreamerV2 agent: a world model, a balancer of its losses, and a policy learned in imagination."""

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
from hdream_core.dreamerv2.behavior import Behavior
from hdream_core.dreamerv2.player import Memory, Player
from hdream_core.dreamerv2.rssm import State
from hdream_core.dreamerv2.tuned.imagination import FusedBehavior
from hdream_core.dreamerv2.tuned.kernels import Kernels, pick_kernels
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets.optimizer import Optimizer
from hdream_core.spec import Spec
from hdream_core.support.batch import to_device
from hdream_core.support.errors import ConfigError
from hdream_core.support.precision import autocast, pick_device


class DreamerV2(nn.Module):
    """Learns from batches (``update``) and acts (``act``). Fulfils ``hdream_core.agent.Agent``.

    Args:
        config: config of the whole run; its ``agent`` is a ``DreamerV2Config``.
        spec: spec of the environment; its actions must be continuous.
        device: overrides ``config.train.device``.
        kernels: overrides ``config.train.kernels``.

    Raises:
        ConfigError: if the device or the balancer's settings cannot be used, or the actions are discrete.
    """

    training_only = ("behavior.critic.", "behavior.slow_critic.")

    def __init__(
        self,
        config: Config,
        spec: Spec,
        device: torch.device | str | None = None,
        kernels: Kernels | None = None,
    ):
        super().__init__()
        if spec.action.kind != "continuous":
            raise ConfigError(f"dreamerv2 needs continuous actions, but those of {config.task} are discrete")
        self.config, self.spec = config, spec
        self.device = pick_device(config.train.device) if device is None else torch.device(device)
        model_config, behavior_config = config.agent.model, config.agent.behavior
        losses = ("observation", "reward", "dynamics", *(["discount"] if model_config.discount_head else []))
        self.balancer = make_balancer(config.balancer, losses, spec.image)
        self.kernels = kernels = kernels or pick_kernels(config.train.kernels, self.device)
        self.model = WorldModel(
            model_config, self.balancer.names, spec.image, spec.action.dim, behavior_config.gamma, kernels
        )
        behavior_class = FusedBehavior if kernels.fused_imagination else Behavior
        self.behavior = behavior_class(behavior_config, self.model.rssm.feat_dim, spec.action.dim)
        self.to(self.device)
        self.balancer.attach(self.shared_parameters())
        self.capturable = kernels.captured and self.balancer.on_device
        self.player = Player(self.model, self.behavior, spec.action.dim, config.train.precision, kernels.captured)
        self._updates = torch.zeros((), dtype=torch.int64, device=self.device)  # a captured update counts on the device
        self._untrained = True

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """Makes Adam for the world model (with the harmonizers), the actor and the critic."""
        model, behavior = self.config.agent.model, self.config.agent.behavior
        fused = self.kernels.fused_adam
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters())}]
        if harmonizers := list(self.balancer.parameters()):
            # Eq. 5 has no weight decay on s. The authors decay it by 1e-6, too little to matter.
            groups.append({"params": harmonizers, "lr": model.harmonizer_lr or model.lr, "weight_decay": 0.0})
        return {
            "model": Optimizer(groups, model.grad_clip, fused, model.lr),
            "actor": Optimizer(self.behavior.actor.parameters(), behavior.grad_clip, fused, behavior.actor_lr),
            "critic": Optimizer(self.behavior.critic.parameters(), behavior.grad_clip, fused, behavior.critic_lr),
        }

    @property
    def updates(self) -> int:
        """Returns how many updates have been taken."""
        return int(self._updates)

    def update(self, batch: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
        """Trains world model, actor and critic on a batch of windows; returns scalar metrics on the device."""
        batch = to_device(batch, self.device)
        with self._autocast():
            losses, post, metrics = self.model.losses(batch)  # Eq. 2, by name
        if self._untrained and self.config.agent.model.harmonizer_start == "analytic":
            self.balancer.start_at({name: float(loss.detach()) for name, loss in losses.items()})
        total, weights = self.balancer(losses)  # Eq. 3, 4 or 5
        metrics |= self._step("model", total) | {"loss/total": total.detach()}

        with self._autocast():
            start, discount = self._imagination_starts(post, batch["is_terminal"])
            actor_loss, critic_loss, behavior_metrics = self.behavior.losses(self.model, start, discount)  # Eqs. 6 to 9
        metrics |= behavior_metrics | self._step("actor", actor_loss) | self._step("critic", critic_loss)
        metrics |= {"loss/actor": actor_loss.detach(), "loss/critic": critic_loss.detach()}

        self._updates += 1
        self._untrained = False
        self.behavior.update_slow_critic(self._updates)
        return self._balance_metrics(losses, weights) | metrics

    def _imagination_starts(self, post: State, is_terminal: Tensor) -> tuple[State, Tensor | None]:
        """Selects the states that imagination starts from: all posteriors of a batch, or ``behavior.starts`` of them.

        Returns:
            Detached states ``(N, ...)``, and their discounts ``(N,)`` according to the data.
        """
        start = post.detach().flatten()  # (B * T, ...)
        discount = self.model.true_discount(is_terminal.flatten())  # (B * T,), None without a discount head
        count = self.config.agent.behavior.starts
        if count is not None and count < len(start.deter):
            chosen = torch.randperm(len(start.deter), device=self.device)[:count]
            start, discount = start.map(lambda x: x[chosen]), None if discount is None else discount[chosen]
        return start, discount

    def _step(self, part: str, loss: Tensor) -> dict[str, Tensor]:
        """Steps the optimiser of ``model``, ``actor`` or ``critic``; returns its metrics as ``<metric>/<part>``."""
        return {f"{name}/{part}": value for name, value in self.optimizers[part].step(loss).items()}

    def _balance_metrics(self, losses: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns losses, weights and the balancer's diagnostics under their names in the log."""
        metrics = {f"loss/{name}": loss.detach() for name, loss in losses.items()}
        metrics |= {f"weight/{name}": weight for name, weight in weights.items()}
        return metrics | {f"balancer/{name}": value for name, value in self.balancer.diagnostics().items()}

    def _autocast(self) -> Any:
        return autocast(self.config.train.precision, self.device)

    def act(self, image: np.ndarray, memory: Memory | None, explore: bool) -> tuple[np.ndarray, Memory]:
        """Chooses actions for N environments that are stepped together; see ``Player.act``."""
        return self.player.act(image, memory, explore)

    def losses(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Computes the named, unweighted losses of Eq. 2; gradients flow."""
        with self._autocast():
            return self.model.losses(to_device(batch, self.device))[0]

    @torch.no_grad()
    def features(self, batch: Mapping[str, Any]) -> Tensor:
        """Returns the features of every step's posterior, ``(B, T, F)``, from one sample of the latents."""
        batch = to_device(batch, self.device)
        with self._autocast():
            post, _ = self.model.rssm.observe(self.model.encode(batch["image"]), batch["action"], batch["is_first"])
        return post.feat

    @torch.no_grad()
    def open_loop(self, batch: Mapping[str, Any], context: int, samples: int = 1) -> OpenLoop:
        """Predicts windows open loop after ``context`` frames; see ``WorldModel.open_loop``."""
        with self._autocast():
            return self.model.open_loop(to_device(batch, self.device), context, samples)

    @torch.no_grad()
    def decode(self, feat: Tensor) -> Tensor | None:
        """Decodes features ``(..., F)`` to frames ``(..., H, W, C)`` in [0, 1]; None without a decoder (w_o = 0)."""
        if self.model.decoder is None:
            return None
        with self._autocast():
            return self.model.decode(feat)

    def shared_parameters(self) -> list[nn.Parameter]:
        """Returns the parameters between frames and features, through which the gradient of every loss flows.

        The RSSM's prior layers are not included: only the dynamics loss reaches them, so they are a head.
        """
        rssm = [p for name, p in self.model.rssm.named_parameters() if not name.startswith("prior_")]
        return [*self.model.encoder.parameters(), *rssm]

    def training_state(self) -> dict[str, Any]:
        """Returns everything that training changes, for a checkpoint."""
        optimizers = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        return {"agent": self.state_dict(), "optimizers": optimizers, "updates": self.updates}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Restores what ``training_state`` returned."""
        self.load_state_dict(state["agent"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._updates.fill_(state["updates"])
        self._untrained = self.updates == 0


AGENT = DreamerV2
