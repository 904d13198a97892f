"""DreamerV2: a world model, a balancer of its losses, and a behaviour learned inside it."""

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
from hdream_core.dreamerv2.tuned.kernels import Kernels, pick
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets.optimizer import Optimizer
from hdream_core.spec import Spec
from hdream_core.support.batch import to_device
from hdream_core.support.errors import ConfigError
from hdream_core.support.precision import autocast, pick_device


class DreamerV2(nn.Module):
    """The agent of ``hdream_core.agent.Agent``: ``act`` in an environment, ``update`` on a batch.

    Args:
        config: the whole run's config; its ``agent`` is a ``DreamerV2Config``.
        spec: of the environment; its actions must be continuous.
        device: in place of the config's.
        kernels: in place of those that the config's ``train.kernels`` says.

    Raises:
        ConfigError: if the config cannot be, or the actions are discrete.
    """

    def __init__(
        self,
        config: Config,
        spec: Spec,
        device: torch.device | str | None = None,
        kernels: Kernels | None = None,
    ):
        super().__init__()
        if spec.action.kind != "continuous":
            raise ConfigError(f"dreamerv2 learns continuous actions, and those of {config.task} are discrete")
        self.config, self.spec = config, spec
        self.device = pick_device(config.train.device) if device is None else torch.device(device)
        model, behavior = config.agent.model, config.agent.behavior
        losses = ("observation", "reward", "dynamics", *(["discount"] if model.discount_head else []))
        self.balancer = make_balancer(config.balancer, losses, spec.image)
        self.kernels = kernels = kernels or pick(config.train.kernels, self.device)
        self.model = WorldModel(model, self.balancer.names, spec.image, spec.action.dim, behavior.gamma, kernels)
        kind = FusedBehavior if kernels.fused_imagination else Behavior
        self.behavior = kind(behavior, self.model.rssm.feat_dim, spec.action.dim)
        self.to(self.device)
        self.balancer.attach(self.shared_parameters())
        self.capturable = kernels.captured and self.balancer.on_device
        self.player = Player(self.model, self.behavior, spec.action.dim, config.train.precision, kernels.captured)
        self._updates = torch.zeros((), dtype=torch.int64, device=self.device)  # a captured update counts there
        self._fresh = True  # whether no update has been taken

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """Adam of the world model (with the harmonizers), of the actor and of the critic."""
        model, behavior = self.config.agent.model, self.config.agent.behavior
        fused = self.kernels.fused_adam or self.kernels.captured
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters())}]
        if harmonizers := list(self.balancer.parameters()):
            # Eq. 5 has no weight decay on s; the authors' 1e-6 on it is too small to be seen.
            groups.append({"params": harmonizers, "lr": model.harmonizer_lr or model.lr, "weight_decay": 0.0})
        return {
            "model": Optimizer(groups, model.grad_clip, fused, model.lr),
            "actor": Optimizer(self.behavior.actor.parameters(), behavior.grad_clip, fused, behavior.actor_lr),
            "critic": Optimizer(self.behavior.critic.parameters(), behavior.grad_clip, fused, behavior.critic_lr),
        }

    @property
    def updates(self) -> int:
        """How many updates there have been."""
        return int(self._updates)

    def update(self, batch: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
        """Trains world model, actor and critic on a batch of windows; returns scalar metrics on the device."""
        batch = to_device(batch, self.device)
        with self._autocast():
            losses, post, metrics = self.model.losses(batch)  # Eq. 2, by name
        if self._fresh and self.config.agent.model.harmonizer_start == "analytic":
            self.balancer.start_at({name: float(loss) for name, loss in losses.items()})
        total, weights = self.balancer(losses)  # Eq. 3, 4 or 5
        metrics |= self._step("model", total)
        with self._autocast():
            start, discount = self._imagination_starts(post, batch)
            actor_loss, critic_loss, more = self.behavior.losses(self.model, start, discount)  # Eqs. 6 to 9
        more |= self._step("actor", actor_loss) | self._step("critic", critic_loss)
        more |= {"loss/actor": actor_loss.detach(), "loss/critic": critic_loss.detach()}
        self._updates += 1
        self.behavior.update_slow_critic(self._updates)
        self._fresh = False
        return self._named(losses, weights) | metrics | {"loss/total": total.detach()} | more

    def _imagination_starts(self, post: State, batch: Mapping[str, Tensor]) -> tuple[State, Tensor | None]:
        """Detached posteriors ``(N, ...)`` to imagine from, and their discounts ``(N,)`` as the data say."""
        start = post.detach().flatten()
        discount = self.model.true_discount(batch["is_terminal"].flatten())
        starts = self.config.agent.behavior.starts
        if starts is not None and starts < len(start.deter):
            chosen = torch.randperm(len(start.deter), device=self.device)[:starts]
            start, discount = start.map(lambda x: x[chosen]), None if discount is None else discount[chosen]
        return start, discount

    def _step(self, part: str, loss: Tensor) -> dict[str, Tensor]:
        """Steps one optimiser; returns its metrics by names for the log."""
        return {f"{what}/{part}": value for what, value in self.optimizers[part].step(loss).items()}

    def _named(self, losses: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses, weights and what else the balancer tells, by names for the log."""
        named = {f"loss/{name}": loss.detach() for name, loss in losses.items()}
        named |= {f"weight/{name}": weight for name, weight in weights.items()}
        return named | {f"balancer/{name}": value for name, value in self.balancer.diagnostics().items()}

    def _autocast(self) -> Any:
        return autocast(self.config.train.precision, self.device)

    def act(self, image: np.ndarray, memory: Memory | None, explore: bool) -> tuple[np.ndarray, Memory]:
        """Chooses actions for N environments that are stepped together; see ``Player.act``."""
        return self.player.act(image, memory, explore)

    def losses(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Computes the named, unweighted losses of Eq. 2, with their graph."""
        with self._autocast():
            return self.model.losses(to_device(batch, self.device))[0]

    @torch.no_grad()
    def features(self, batch: Mapping[str, Any]) -> Tensor:
        """Returns the posterior's features of every step, ``(B, T, F)``: one sample of the latents."""
        batch = to_device(batch, self.device)
        with self._autocast():
            post, _ = self.model.rssm.observe(self.model.encode(batch["image"]), batch["action"], batch["is_first"])
        return post.feat

    @torch.no_grad()
    def open_loop(self, batch: Mapping[str, Any], context: int, samples: int = 1) -> OpenLoop:
        """Predicts the rest of windows from their actions; see ``WorldModel.open_loop``."""
        with self._autocast():
            return self.model.open_loop(to_device(batch, self.device), context, samples)

    @torch.no_grad()
    def decode(self, feat: Tensor) -> Tensor | None:
        """Draws features ``(..., F)`` as frames ``(..., H, W, C)`` in [0, 1]; None if there is no decoder (w_o = 0)."""
        if self.model.decoder is None:
            return None
        with self._autocast():
            return self.model.decode(feat)

    def shared_parameters(self) -> list[nn.Parameter]:
        """Returns the parameters that every loss's gradient flows through: what leads from frames to features.

        Not the RSSM's prior: the dynamics loss alone reaches its layers, which are a head in this sense.
        """
        rssm = [p for name, p in self.model.rssm.named_parameters() if not name.startswith("prior_")]
        return [*self.model.encoder.parameters(), *rssm]

    def training_state(self) -> dict[str, Any]:
        """Returns everything that training changes, for a checkpoint."""
        optimizers = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        return {"agent": self.state_dict(), "optimizers": optimizers, "updates": self.updates}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state of ``training_state``."""
        self.load_state_dict(state["agent"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._updates.fill_(state["updates"])
        self._fresh = self.updates == 0


AGENT = DreamerV2
