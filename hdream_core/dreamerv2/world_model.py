"""Implements the world model of Eq. 1, and its losses of Eq. 2 by name, unweighted."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from hdream_core.dreamerv2.config import ModelConfig
from hdream_core.dreamerv2.networks import Decoder
from hdream_core.dreamerv2.resnet import ResNetDecoder, ResNetEncoder
from hdream_core.dreamerv2.tuned.kernels import PLAIN, Kernels
from hdream_core.nets.encoder import Encoder
from hdream_core.nets.frames import FrameModel
from hdream_core.nets.latents import State
from hdream_core.nets.mlp import MLP


class WorldModel(FrameModel):
    """Computes the losses of Eq. 2 with an encoder, an RSSM, and one head per loss.

    A head is built only if its loss is named: without ``observation`` there is no decoder.

    Args:
        config: sizes.
        names: losses to compute, among ``observation``, ``reward``, ``dynamics`` and ``discount``.
        image: height, width and channels of a frame.
        action_dim: length of an action's vector.
        gamma: discount of every step that is not terminal; also the target of the discount head at such steps.
        kernels: plain or tuned implementations of the expensive operations; both compute the same.

    Raises:
        ValueError: if ``names`` has an unknown loss, or lacks ``reward``, which behaviour learning needs.
    """

    LOSSES = ("observation", "reward", "dynamics", "discount")

    def __init__(
        self,
        config: ModelConfig,
        names: Iterable[str],
        image: tuple[int, int, int],
        action_dim: int,
        gamma: float,
        kernels: Kernels = PLAIN,
    ):
        super().__init__()
        self.names, self.gamma, self.kernels = tuple(names), gamma, kernels
        unknown = set(self.names) - set(self.LOSSES)
        if unknown:
            raise ValueError(f"the world model has no loss {sorted(unknown)[0]!r}; it has {', '.join(self.LOSSES)}")
        if "reward" not in self.names:
            raise ValueError("the reward loss needs a weight above 0: the policy is learned from predicted rewards")
        residual = config.encoder == "resnet"
        self.encoder = (ResNetEncoder if residual else Encoder)(image, config.depth)
        self.rssm = kernels.rssm(config.rssm, action_dim, self.encoder.embed_dim)
        feat_dim = self.rssm.feat_dim
        self.reward_head = MLP(feat_dim, 1, config.hidden, config.layers)
        make_decoder = ResNetDecoder if residual else partial(Decoder, conv_transpose=kernels.conv_transpose)
        self.decoder = make_decoder(image, config.depth, feat_dim) if "observation" in self.names else None
        self.discount_head = MLP(feat_dim, 1, config.hidden, config.layers) if "discount" in self.names else None
        # Frames are channels last, and so are the convolutions' weights.
        self.to(memory_format=torch.channels_last)

    def losses(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], State, dict[str, Tensor]]:
        """Computes the losses of Eq. 2 on a batch of windows.

        Args:
            batch: ``image`` uint8 (B, T, H, W, C), ``action`` (B, T, A), ``reward`` (B, T), ``is_first`` and
                ``is_terminal`` (B, T) bool.

        Returns:
            The losses by name (scalars, float32), the posterior states ``(B, T, ...)`` that imagination starts from,
            and further scalars to log.
        """
        shape = batch["image"].shape[:2]
        image = self.preprocess(batch["image"]).flatten(0, 1)  # (B * T, C, H, W)
        embed = self.encoder(image).unflatten(0, shape)  # (B, T, E)
        post, prior_logits = self.rssm.observe(embed, batch["action"], batch["is_first"])
        feat = post.feat  # (B, T, F)
        dynamics, kl = self.rssm.kl_loss(post.stats, prior_logits)
        losses = {"reward": self.kernels.half_squared_error(self.reward(feat), batch["reward"])}
        if "dynamics" in self.names:
            losses["dynamics"] = dynamics
        if self.decoder is not None:
            losses["observation"] = self.kernels.half_squared_error(self.decoder(feat.flatten(0, 1)), image, dims=3)
        if self.discount_head is not None:
            target = self.true_discount(batch["is_terminal"])
            logit = self.discount_head(feat).squeeze(-1)
            losses["discount"] = F.binary_cross_entropy_with_logits(logit, target)
        return losses, post, {"kl": kl}

    def reward(self, feat: Float[Tensor, "*n F"]) -> Float[Tensor, "*n"]:
        """Predicts the reward that arrives with a step, from its features: ``(..., F)`` to ``(...)``."""
        return self.reward_head(feat).squeeze(-1)

    def true_discount(self, is_terminal: Bool[Tensor, "*n"]) -> Float[Tensor, "*n"] | None:
        """Returns each step's discount according to the data, 0 at a terminal one; None without a discount head."""
        return self.gamma * (~is_terminal).float() if self.discount_head is not None else None

    def discount(self, feat: Float[Tensor, "*n F"]) -> Float[Tensor, "*n"]:
        """Predicts the discount of what follows a step, from its features: ``(..., F)`` to ``(...)``.

        Without a discount head it is gamma. With one it is the head's output, whose target contains gamma.
        """
        if self.discount_head is None:
            return torch.full(feat.shape[:-1], self.gamma, device=feat.device)
        return torch.sigmoid(self.discount_head(feat).squeeze(-1))
