"""Implements DreamerPro's world model, and its losses by name, unweighted."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from hdream_core.dreamerpro.augment import random_shifts
from hdream_core.dreamerpro.config import LOSSES, ModelConfig
from hdream_core.dreamerpro.prototypes import Prototypes
from hdream_core.dreamerpro.rssm import RSSM
from hdream_core.nets.distributions import half_squared_error
from hdream_core.nets.encoder import Encoder
from hdream_core.nets.frames import FrameModel
from hdream_core.nets.latents import State
from hdream_core.nets.mlp import MLP


class WorldModel(FrameModel):
    """Computes the losses of Eq. 16 with two encoders, an RSSM, prototypes and a reward head. It has no decoder.

    Args:
        config: sizes.
        names: losses to compute, among ``swav``, ``temporal``, ``reward``, ``dynamics`` and ``norm``.
        image: height, width and channels of a frame.
        action_dim: length of an action's vector.

    Raises:
        ValueError: if ``names`` has an unknown loss, or lacks ``reward``, which the policy needs.
    """

    decoder = None

    def __init__(self, config: ModelConfig, names: Iterable[str], image: tuple[int, int, int], action_dim: int):
        super().__init__()
        self.config, self.names = config, tuple(names)
        if unknown := set(self.names) - set(LOSSES):
            raise ValueError(f"the world model has no loss {sorted(unknown)[0]!r}; it has {', '.join(LOSSES)}")
        if "reward" not in self.names:
            raise ValueError("the reward loss needs a weight above 0: the policy is learned from predicted rewards")
        self.encoder, self.target_encoder = (Encoder(image, config.depth) for _ in range(2))
        self.target_encoder.requires_grad_(False)
        self.rssm = RSSM(config.rssm, action_dim, self.encoder.embed_dim)
        feat_dim = self.rssm.feat_dim
        self.prototypes = Prototypes(config.prototypes, self.encoder.embed_dim, feat_dim)
        self.reward_head = MLP(feat_dim, 1, config.hidden, config.layers)
        # Frames are channels last, and so are the convolutions' weights.
        self.to(memory_format=torch.channels_last)

    def losses(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], State, dict[str, Tensor]]:
        """Computes the losses on two views of a batch of windows, which are shifted by some pixels.

        The reward loss lacks the constant of its Gaussian, ln(2 pi) / 2: with it, Eq. 17 could never give the reward a
        weight above 0.66.

        Args:
            batch: ``image`` uint8 (B, T, H, W, C), ``action`` (B, T, A), ``reward`` and ``is_first`` (B, T).

        Returns:
            The losses by name (scalars, float32), the posterior states ``(2 B, T, ...)`` of both views, from which
            imagination starts, and further scalars to log.
        """
        image, action, reward, is_first = (
            torch.cat([batch[name]] * 2) for name in ("image", "action", "reward", "is_first")
        )
        views = random_shifts(self.preprocess(image), self.config.shift)  # (2 B, T, C, H, W)
        frames, shape = views.flatten(0, 1), views.shape[:2]
        embed = self.encoder(frames).unflatten(0, shape)  # (2 B, T, E)
        with torch.no_grad():
            target = self.prototypes.project(self.target_encoder(frames).unflatten(0, shape))
        post, prior = self.rssm.observe(embed, action, is_first)
        dynamics, kl = self.rssm.kl_loss(post.stats, prior)
        losses = self.prototypes.losses(embed, post.feat, target)
        losses |= {"reward": half_squared_error(self.reward(post.feat), reward), "dynamics": dynamics}
        return {name: losses[name] for name in self.names}, post, {"kl": kl}

    def reward(self, feat: Float[Tensor, "*n F"]) -> Float[Tensor, "*n"]:
        """Predicts the reward that arrives with a step, from its features: ``(..., F)`` to ``(...)``."""
        return self.reward_head(feat).squeeze(-1)

    def after_update(self) -> None:
        """Does what follows an optimiser's step: see ``Prototypes.after_update``."""
        self.prototypes.after_update(self.encoder, self.target_encoder)
