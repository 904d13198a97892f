"""Implements DreamerV3's world model, and its losses by name, unweighted."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hdream_core.dreamerv3.config import ModelConfig
from hdream_core.dreamerv3.distributions import BINS, TwoHot
from hdream_core.dreamerv3.networks import MLP, Decoder, Encoder
from hdream_core.dreamerv3.rssm import RSSM
from hdream_core.nets.frames import FrameModel
from hdream_core.nets.latents import State

# Losses, with the weights that DreamerV3 gives them: 0.5 and 0.1 of its two KL losses are w_d = 0.6.
BASE_WEIGHTS = {"observation": 1.0, "reward": 1.0, "dynamics": 0.6, "continue": 1.0}


class WorldModel(FrameModel):
    """Computes the losses with an encoder, an RSSM, and one head per loss.

    A head is built only if its loss is named: without ``observation`` there is no decoder.

    Args:
        config: sizes.
        names: losses to compute, among ``observation``, ``reward``, ``dynamics`` and ``continue``.
        image: height, width and channels of a frame.
        action_dim: length of an action's vector.

    Raises:
        ValueError: if ``names`` has an unknown loss, or lacks ``reward`` or ``continue``, which the policy needs.
    """

    def __init__(self, config: ModelConfig, names: Iterable[str], image: tuple[int, int, int], action_dim: int):
        super().__init__()
        self.config, self.names = config, tuple(names)
        if unknown := set(self.names) - set(BASE_WEIGHTS):
            raise ValueError(f"the world model has no loss {sorted(unknown)[0]!r}; it has {', '.join(BASE_WEIGHTS)}")
        if missing := {"reward", "continue"} - set(self.names):
            raise ValueError(f"the {sorted(missing)[0]} loss needs a weight above 0: the policy is learned from it")
        self.encoder = Encoder(image, config.depth)
        self.rssm = RSSM(config.rssm, action_dim, self.encoder.embed_dim)
        feat_dim = self.rssm.feat_dim
        self.decoder = Decoder(image, config.depth, feat_dim) if "observation" in self.names else None
        self.reward_head = MLP(feat_dim, BINS, config.units, config.layers, scale=0.0)
        self.continue_head = MLP(feat_dim, 1, config.units, config.layers)
        # Frames are channels last, and so are the convolutions' weights.
        self.to(memory_format=torch.channels_last)

    def losses(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], State, dict[str, Tensor]]:
        """Computes the losses on a batch of windows.

        The squared error of frames has no factor 1/2, unlike DreamerV2's: at the same error, L_o is twice as large.

        Args:
            batch: ``image`` uint8 (B, T, H, W, C), ``action`` (B, T, A), ``reward`` (B, T), ``is_first`` and
                ``is_terminal`` (B, T) bool.

        Returns:
            The losses by name (scalars, float32), the posterior states ``(B, T, ...)`` that imagination starts from,
            and further scalars to log.
        """
        image = self.preprocess(batch["image"]).flatten(0, 1)  # (B * T, C, H, W)
        embed = self.encoder(image).unflatten(0, batch["image"].shape[:2])  # (B, T, E)
        post, prior_logits = self.rssm.observe(embed, batch["action"], batch["is_first"])
        feat = post.feat  # (B, T, F)
        dynamics, kl = self.rssm.kl_loss(post.stats, prior_logits)
        losses = {"reward": TwoHot(self.reward_head(feat)).nll(batch["reward"]).mean()}
        if "dynamics" in self.names:
            losses["dynamics"] = dynamics
        if self.decoder is not None:
            error = (self.decoder(feat.flatten(0, 1)).float() - image).square()
            losses["observation"] = error.flatten(1).sum(-1).mean()
        logit = self.continue_head(feat.detach() if self.config.continue_detached else feat).squeeze(-1)
        losses["continue"] = F.binary_cross_entropy_with_logits(logit, (~batch["is_terminal"]).float())
        return losses, post, {"kl": kl}

    def reward(self, feat: Float[Tensor, "*n F"]) -> Float[Tensor, "*n"]:
        """Predicts the reward that arrives with a step, from its features: ``(..., F)`` to ``(...)``."""
        return TwoHot(self.reward_head(feat)).mean

    def continues(self, feat: Float[Tensor, "*n F"]) -> Float[Tensor, "*n"]:
        """Predicts whether an episode goes on after a step: 1.0, or 0.0 at a terminal one."""
        return (self.continue_head(feat).squeeze(-1) > 0).float()
