"""Implements Denoised MDP's world model, and its losses by name, unweighted."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from hdream_core.denoised_mdp.config import LOSSES, ModelConfig
from hdream_core.denoised_mdp.networks import Decoder, Encoder
from hdream_core.denoised_mdp.rssm import RSSM, split_features
from hdream_core.nets.distributions import half_squared_error
from hdream_core.nets.frames import FrameModel
from hdream_core.nets.latents import State
from hdream_core.nets.mlp import MLP, pytorch_weights


class WorldModel(FrameModel):
    """Computes the authors' losses with an encoder, an RSSM of two parts, a decoder, and two reward heads.

    The decoder is built only if ``observation`` is named.

    Args:
        config: sizes.
        names: losses to compute, among ``observation``, ``reward`` and ``dynamics``.
        image: height, width and channels of a frame.
        action_dim: length of an action's vector.

    Raises:
        ValueError: if ``names`` has an unknown loss, or lacks ``reward``, which the policy needs.
    """

    def __init__(self, config: ModelConfig, names: Iterable[str], image: tuple[int, int, int], action_dim: int):
        super().__init__()
        self.config, self.names = config, tuple(names)
        if unknown := set(self.names) - set(LOSSES):
            raise ValueError(f"the world model has no loss {sorted(unknown)[0]!r}; it has {', '.join(LOSSES)}")
        if "reward" not in self.names:
            raise ValueError("the reward loss needs a weight above 0: the policy is learned from predicted rewards")
        self.encoder = Encoder(image, config.depth, config.embed)
        self.rssm = RSSM(config.rssm, action_dim, config.embed)
        feat_dim = self.rssm.feat_dim
        self.decoder = Decoder(image, config.depth, config.embed, feat_dim) if "observation" in self.names else None
        self.reward_x, self.reward_y = (
            MLP(part.feat_dim, 1, config.hidden, config.layers) for part in (self.rssm.x, self.rssm.y)
        )
        self.apply(pytorch_weights)
        # Frames are channels last, and so are the convolutions' weights.
        self.to(memory_format=torch.channels_last)

    def losses(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], State, dict[str, Tensor]]:
        """Computes the losses on a batch of windows.

        Observation and reward lack the constants of their Gaussians of unit variance. They change no gradient of fixed
        weights; Harmony's weights would follow them in place of the errors.

        Args:
            batch: ``image`` uint8 (B, T, H, W, C), ``action`` (B, T, A), ``reward`` and ``is_first`` (B, T).

        Returns:
            The losses by name (scalars, float32), the posterior states ``(B, T, ...)`` that imagination starts from,
            and further scalars to log.
        """
        shape = batch["image"].shape[:2]
        image = self.preprocess(batch["image"]).flatten(0, 1)  # (B * T, C, H, W)
        embed = self.encoder(image).unflatten(0, shape)  # (B, T, E)
        post, prior = self.rssm.observe(embed, batch["action"], batch["is_first"])
        feat = post.feat  # (B, T, F)
        dynamics, kl = self.rssm.kl_loss(post.stats, prior)
        losses = {"reward": half_squared_error(self.reward(feat), batch["reward"]), "dynamics": dynamics}
        if self.decoder is not None:
            losses["observation"] = half_squared_error(self.decoder(feat.flatten(0, 1)), image, dims=3)
        return {name: losses[name] for name in self.names}, post, kl

    def reward(self, feat: Float[Tensor, "*n F"]) -> Float[Tensor, "*n"]:
        """Predicts the reward that arrives with a step, from its features: ``(..., F)`` to ``(...)``."""
        x, y = split_features(feat, self.config.rssm)
        return self.controlled_reward(x) + self.reward_y(y).squeeze(-1)

    def controlled_reward(self, feat: Float[Tensor, "*n x"]) -> Float[Tensor, "*n"]:
        """Predicts the share of the reward that depends on x, from the features of x alone."""
        return self.reward_x(feat).squeeze(-1)
