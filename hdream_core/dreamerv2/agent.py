"""DreamerV2: a world model, a balancer of its losses, and a behaviour learned inside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hdream_core.balancers import Balancer, BalancerError, FixedWeights, Harmony
from hdream_core.balancers.averaging import DynamicWeightAverage, UncertaintyWeighting
from hdream_core.balancers.nash import NashMTL
from hdream_core.config.check import check_weights
from hdream_core.config.fields import BalancerConfig, Config
from hdream_core.data.replay import FIELDS
from hdream_core.dreamerv2.behavior import Behavior
from hdream_core.dreamerv2.player import Memory, Player
from hdream_core.dreamerv2.rssm import State
from hdream_core.dreamerv2.tuned.imagination import FusedBehavior
from hdream_core.dreamerv2.tuned.kernels import pick
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets.optimizer import Optimizer
from hdream_core.support.cuda_graph import Recorded
from hdream_core.support.errors import ConfigError
from hdream_core.support.precision import autocast, pick_device


def make_balancer(config: BalancerConfig, discount_head: bool = False, image_size: int = 64) -> Balancer:
    """The balancer that a config describes.

    Args:
        config: kind and settings.
        discount_head: whether there is a discount loss, too.
        image_size: pixels per side; only uncertainty weighting counts them.

    Raises:
        ConfigError: if its settings cannot be, or a fixed weight is given for a loss whose weight it finds itself.
    """
    check_weights(config)
    try:
        return _balancer(config, {"discount": 1.0} if discount_head else {}, image_size)
    except BalancerError as error:  # balancers depend on torch alone, so theirs is no UserError
        raise ConfigError(f"balancer: {error}") from None


def _balancer(config: BalancerConfig, extra: dict[str, float], image_size: int) -> Balancer:
    """What the config names; ``extra`` are fixed weights of further losses."""
    names = ("observation", "reward", "dynamics", *extra)
    match config.kind:
        case "fixed":
            given = {name: w for name in ("w_o", "w_r", "w_d") if (w := getattr(config, name)) is not None}
            return FixedWeights(**given, **extra)
        case "harmony":
            # E.4 fixes w_d while o and r are balanced; the tuned w_o and w_r of E.5 are DreamerV2's: kind=fixed.
            return Harmony(names, config.rectified, {} if config.w_d is None else {"dynamics": config.w_d})
        case "uw":
            return UncertaintyWeighting(names, {"observation": image_size**2 * 3, "reward": 1})
        case "dwa":
            return DynamicWeightAverage(names, config.dwa_temperature, config.dwa_window)
        case "nashmtl":
            return NashMTL(names, config.nash_every, config.nash_max_norm)


class DreamerV2(nn.Module):
    """The agent: ``act`` in an environment, ``update`` on a batch.

    Args:
        config: the whole run's config.
        image_size: pixels per side.
        action: number of action dimensions.
        device: None takes a GPU where there is one.
    """

    def __init__(self, config: Config, image_size: int, action: int, device: torch.device | None = None):
        super().__init__()
        self.config, self.image_size, self.action = config, image_size, action
        self.device = device or pick_device()
        self.balancer = make_balancer(config.balancer, config.model.discount_head, image_size)
        self.kernels = pick(config.train.kernels, self.device)
        names, gamma = self.balancer.names, config.behavior.gamma
        self.model = WorldModel(config.model, names, image_size, action, gamma, self.kernels)
        behavior = FusedBehavior if self.kernels.fused else Behavior
        self.behavior = behavior(config.behavior, self.model.rssm.feat_size, action)
        self.to(self.device)
        self.balancer.attach(self.shared_parameters())
        self.updates = 0
        self.optimizers = self._make_optimizers(self.kernels.fused or self.device.type == "cuda")
        self._forget_recordings()

    def shared_parameters(self) -> list[nn.Parameter]:
        """The parameters that every loss's gradient flows through: what leads from frames to features.

        Not the RSSM's prior: the dynamics loss alone reaches its layers, which are a head in this sense.
        """
        rssm = [p for name, p in self.model.rssm.named_parameters() if not name.startswith("prior_")]
        return [*self.model.encoder.parameters(), *rssm]

    def _make_optimizers(self, fused: bool) -> dict[str, Optimizer]:
        model, behavior = self.config.model, self.config.behavior
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters())}]
        if harmonizers := list(self.balancer.parameters()):
            # Eq. 5 has no weight decay on s; the authors' 1e-6 on it is too small to be seen.
            groups.append({"params": harmonizers, "lr": model.harmonizer_lr or model.lr, "weight_decay": 0.0})
        return {
            "model": Optimizer(groups, model.grad_clip, fused, model.lr),
            "actor": Optimizer(self.behavior.actor.parameters(), behavior.grad_clip, fused, behavior.actor_lr),
            "critic": Optimizer(self.behavior.critic.parameters(), behavior.grad_clip, fused, behavior.critic_lr),
        }

    def update(self, batch: Mapping[str, np.ndarray | Tensor]) -> dict[str, Tensor]:
        """One step of world model, actor and critic; returns scalar metrics, still on the device.

        Args:
            batch: windows of ``replay.Batch``.
        """
        (values,) = self._learn(*(torch.as_tensor(batch[name]) for name in FIELDS))
        self.updates += 1
        if self.updates % self.config.behavior.slow_update == 0:
            self.behavior.update_slow_critic()
        return dict(zip(self._metrics, values.unbind(), strict=True))

    def _learn_from(self, *fields: Tensor) -> tuple[Tensor]:
        """World model, actor and critic learn from a batch on the device; returns the metrics' values, named in
        ``_metrics``.
        """
        metrics, start = self._update_model(dict(zip(FIELDS, fields, strict=True)))
        metrics |= self._update_behavior(start)
        self._metrics = tuple(metrics)
        return (torch.stack([value.float() for value in metrics.values()]),)

    def _update_model(self, data: dict[str, Tensor]) -> tuple[dict[str, Tensor], State]:
        with autocast(self.config.train.precision, self.device):
            losses, post, extra = self.model.losses(data)
        if self.updates == 0 and self.config.model.harmonizer_start == "analytic":
            self.balancer.start_at({name: float(loss) for name, loss in losses.items()})
        total, weights = self.balancer(losses)
        step = self._step("model", total)
        metrics = {f"loss/{name}": loss.detach() for name, loss in losses.items()}
        metrics |= {f"weight/{name}": weight for name, weight in weights.items()}
        metrics |= {f"balancer/{name}": value for name, value in self.balancer.diagnostics().items()}
        return metrics | extra | step | {"loss/total": total.detach()}, post.detach().flatten()

    def _update_behavior(self, start: State) -> dict[str, Tensor]:
        config = self.config.behavior
        if config.starts is not None and config.starts < len(start.deter):
            chosen = torch.randperm(len(start.deter), device=self.device)[: config.starts]
            start = start.map(lambda x: x[chosen])
        with autocast(self.config.train.precision, self.device):
            actor_loss, critic_loss, metrics = self.behavior.losses(self.model, start)
        steps = self._step("actor", actor_loss) | self._step("critic", critic_loss)
        return metrics | steps | {"loss/actor": actor_loss.detach(), "loss/critic": critic_loss.detach()}

    def _step(self, name: str, loss: Tensor) -> dict[str, Tensor]:
        """An update of model, actor or critic; what it reports, under names for the log."""
        return {f"{what}/{name}": value for what, value in self.optimizers[name].step(loss).items()}

    def act(self, image: np.ndarray, state: Memory | None, explore: bool) -> tuple[np.ndarray, Memory]:
        """Actions for N environments that are stepped together; see ``Player.act``."""
        return self.player.act(image, state, explore)

    def _forget_recordings(self) -> None:
        """What the agent does from here on is recorded anew, where it is recorded at all."""
        recorded = self.kernels.recorded
        self._learn = Recorded(self._learn_from, self.device, recorded and self.balancer.on_device)
        self.player = Player(self.model, self.behavior, self.action, self.config.train.precision, recorded)

    def to_device(self, batch: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """Moves a batch as it is: images travel as uint8 and are scaled on the device."""
        return {name: torch.as_tensor(values).to(self.device, non_blocking=True) for name, values in batch.items()}

    def training_state(self) -> dict[str, Any]:
        """Everything that training changes, for a checkpoint."""
        optimizers = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        return {"agent": self.state_dict(), "optimizers": optimizers, "updates": self.updates}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """The inverse of ``training_state``."""
        self.load_state_dict(state["agent"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.updates = state["updates"]
        self._forget_recordings()  # Adam's moments lie elsewhere now
