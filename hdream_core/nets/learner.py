"""Provides what every agent with a world model, a balancer and a policy has besides its update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hdream_core.agent import OpenLoop
from hdream_core.balancers import Balancer
from hdream_core.config.fields import Config
from hdream_core.nets.latents import State, open_loop
from hdream_core.nets.optimizer import Optimizer
from hdream_core.nets.player import Memory, Player
from hdream_core.spec import Spec
from hdream_core.support.batch import to_device
from hdream_core.support.precision import autocast, pick_device
from hdream_core.support.rewards import in_unit


class Learner(nn.Module):
    """Acts, predicts, and saves its training state. Fulfils ``hdream_core.agent.Agent`` but for ``update``.

    A subclass makes ``model`` (with ``losses``, ``encode``, ``decode``, ``decoder``, ``reward`` and ``rssm``),
    ``behavior`` (with ``act``), ``balancer`` and ``optimizers``, and then calls ``ready``.

    Args:
        config: config of the whole run.
        spec: spec of the environment.
        device: overrides ``config.train.device``.
    """

    training_only = ("behavior.critic.", "behavior.slow_critic.")
    model: nn.Module
    behavior: nn.Module
    balancer: Balancer
    optimizers: dict[str, Optimizer]

    def __init__(self, config: Config, spec: Spec, device: torch.device | str | None = None):
        super().__init__()
        self.config, self.spec = config, spec
        self.device = pick_device(config.train.device) if device is None else torch.device(device)
        self.capturable = False
        self._updates = torch.zeros((), dtype=torch.int64, device=self.device)  # a captured update counts on the device
        self._untrained = True

    def ready(self, captured: bool) -> None:
        """Moves the networks to the device and makes the player.

        Args:
            captured: whether updates and actions may be captured as CUDA graphs.
        """
        self.to(self.device)
        self.balancer.attach(self.shared_parameters())
        self.capturable = captured and self.balancer.on_device
        self.player = Player(self.model, self.behavior, self.spec.action.dim, self.config.train.precision, captured)

    @property
    def updates(self) -> int:
        """Returns how many updates have been taken."""
        return int(self._updates)

    def step(self, part: str, loss: Tensor) -> dict[str, Tensor]:
        """Steps the optimiser of ``model``, ``actor`` or ``critic``; returns its metrics as ``<metric>/<part>``."""
        return {f"{name}/{part}": value for name, value in self.optimizers[part].step(loss).items()}

    def balance_metrics(self, losses: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns losses, weights and the balancer's diagnostics under their names in the log."""
        metrics = {f"loss/{name}": loss.detach() for name, loss in losses.items()}
        metrics |= {f"weight/{name}": weight for name, weight in weights.items()}
        return metrics | {f"balancer/{name}": value for name, value in self.balancer.diagnostics().items()}

    def model_groups(self, lr: float, harmonizer_lr: float | None) -> list[dict[str, Any]]:
        """Returns the groups of parameters that the world model's optimiser trains: its own, and the harmonizers.

        Eq. 5 has no weight decay on s. The authors' DreamerV2 decays it by 1e-6, too little to matter.
        """
        trained = [p for p in self.model.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": trained}]
        if harmonizers := list(self.balancer.parameters()):
            groups.append({"params": harmonizers, "lr": harmonizer_lr or lr, "weight_decay": 0.0})
        return groups

    def starts(self, post: State, count: int | None, *others: Tensor | None) -> tuple[State | Tensor | None, ...]:
        """Selects the states that imagination starts from: all posteriors of a batch, or ``count`` of them at random.

        Args:
            post: posteriors ``(B, T, ...)``.
            count: how many; None takes all.
            others: ``(B * T,)`` each, or None; the same rows of them are returned.

        Returns:
            Detached states ``(N, ...)``, and ``(N,)`` or None for each of the others.
        """
        start = post.detach().flatten()  # (B * T, ...)
        if count is None or count >= len(start.deter):
            return start, *others
        chosen = torch.randperm(len(start.deter), device=self.device)[:count]
        return start.map(lambda x: x[chosen]), *(None if x is None else x[chosen] for x in others)

    def autocast(self) -> Any:
        """Returns the context that the networks run in."""
        return autocast(self.config.train.precision, self.device)

    def prepare(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Moves a batch to the device; returns it with rewards in the unit that the model learns (``train.reward``)."""
        batch = to_device(batch, self.device)
        return batch | {"reward": in_unit(batch["reward"], self.config.train.reward)}

    def act(self, image: np.ndarray, memory: Memory | None, explore: bool) -> tuple[np.ndarray, Memory]:
        """Chooses actions for N environments that are stepped together; see ``Player.act``."""
        return self.player.act(image, memory, explore)

    def losses(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Computes the named, unweighted losses of Eq. 2; gradients flow."""
        with self.autocast():
            return self.model.losses(self.prepare(batch))[0]

    @torch.no_grad()
    def features(self, batch: Mapping[str, Any]) -> Tensor:
        """Returns the features of every step's posterior, ``(B, T, F)``, from one sample of the latents."""
        batch = to_device(batch, self.device)
        with self.autocast():
            post, _ = self.model.rssm.observe(self.model.encode(batch["image"]), batch["action"], batch["is_first"])
        return post.feat

    def open_loop(self, batch: Mapping[str, Any], context: int, samples: int = 1) -> OpenLoop:
        """Predicts windows open loop after ``context`` frames; see ``latents.open_loop``."""
        with self.autocast():
            return open_loop(self.model, to_device(batch, self.device), context, samples)

    @torch.no_grad()
    def decode(self, feat: Tensor) -> Tensor | None:
        """Decodes features ``(..., F)`` to frames ``(..., H, W, C)`` in [0, 1]; None without a decoder (w_o = 0)."""
        if self.model.decoder is None:
            return None
        with self.autocast():
            return self.model.decode(feat)

    def shared_parameters(self) -> list[nn.Parameter]:
        """Returns the parameters between frames and features, through which the gradient of every loss flows.

        The RSSM's prior layers are not included: only the dynamics loss reaches them, so they are a head.
        """
        rssm = [p for name, p in self.model.rssm.named_parameters() if "prior_" not in name]
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
