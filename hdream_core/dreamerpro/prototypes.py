"""Assigns frames to prototypes, and learns to predict the assignments: the losses that replace that of the frames.

Shapes: B windows of one view, T time, E embedding, F features, P the prototypes' dimension, K prototypes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.dreamerpro.config import PrototypeConfig
from hdream_core.nets.mlp import init_weights

WARM_UP = 1  # first steps of each window that are not assigned: their features have seen too little


class Prototypes(nn.Module):
    """Computes the losses of assignments to learned prototypes, for two views of the same windows.

    The targets are assignments by a slow copy of encoder and projection. Everything is computed in float32.

    Args:
        config: sizes and constants.
        embed_dim: length of an encoded frame.
        feat_dim: length of the features.

    Attributes:
        prototypes: ``(K, P)`` of unit length; ``after_update`` keeps them so.
        updates: number of updates so far, a buffer: prototypes learn from ``config.freeze`` on.
    """

    updates: Tensor

    def __init__(self, config: PrototypeConfig, embed_dim: int, feat_dim: int):
        super().__init__()
        self.config = config
        self.prototypes = nn.Parameter(F.normalize(torch.randn(config.count, config.dim), dim=-1))
        self.obs_proj, self.feat_proj, self.target_proj = (
            nn.Linear(inputs, config.dim) for inputs in (embed_dim, feat_dim, embed_dim)
        )
        self.apply(init_weights)
        self.target_proj.requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def project(self, slow: Float[Tensor, "n T E"]) -> Float[Tensor, "n T P"]:
        """Projects frames as the slow encoder encodes them, by the slow projection, to unit length."""
        with torch.autocast(slow.device.type, enabled=False):
            return F.normalize(self.target_proj(slow.float()), dim=-1)

    def losses(
        self,
        embed: Float[Tensor, "twice_B T E"],
        feat: Float[Tensor, "twice_B T F"],
        target: Float[Tensor, "twice_B T P"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Computes the losses ``swav``, ``temporal`` and ``norm``.

        Args:
            embed: ``(2 B, T, E)`` encoded frames: B windows of the first view, then the same ones of the second.
            feat: ``(2 B, T, F)`` features of the posterior.
            target: ``(2 B, T, P)``, what ``project`` returns.

        Returns:
            ``swav``: cross-entropy of a frame's assignment and the target of its other view. ``temporal``: that of the
            features' assignment and the same view's target. ``norm``: squared distance of projections' lengths to 1.
        """
        with torch.autocast(embed.device.type, enabled=False):
            obs, features = self.obs_proj(embed.float()), self.feat_proj(feat.float())  # (2 B, T, P)
            targets = self._targets(target)  # (2, B (T - 1), K)
            return {
                "swav": self._cross_entropy(targets.flip(0), obs),
                "temporal": self._cross_entropy(targets, features),
                "norm": sum((x.norm(dim=-1) - 1).square().mean() for x in (obs, features)),
            }

    @torch.no_grad()
    def _targets(self, unit: Float[Tensor, "twice_B T P"]) -> Float[Tensor, "2 n K"]:
        """Returns the assignments of unit-length projections, separately for each view."""
        views = (unit[:, WARM_UP:] @ self.prototypes.T).flatten(0, 1).chunk(2)
        return torch.stack([sinkhorn(scores, self.config.sinkhorn_eps, self.config.sinkhorn_steps) for scores in views])

    def _cross_entropy(self, targets: Float[Tensor, "2 n K"], x: Float[Tensor, "twice_B T P"]) -> Float[Tensor, ""]:
        learning = (self.updates >= self.config.freeze).float()
        prototypes = self.prototypes.detach() + learning * (self.prototypes - self.prototypes.detach())
        scores = F.normalize(x[:, WARM_UP:], dim=-1) @ prototypes.T
        log_p = F.log_softmax(scores / self.config.temperature, -1)  # (2 B, T - 1, K)
        return -(targets.flatten(0, 1) * log_p.flatten(0, 1)).sum(-1).mean()

    @torch.no_grad()
    def after_update(self, encoder: nn.Module, target_encoder: nn.Module) -> None:
        """Counts an update, gives prototypes unit length again, and mixes encoder and projection into the slow ones.

        The first update copies them instead. All is decided on the device.
        """
        self.updates += 1
        self.prototypes.copy_(F.normalize(self.prototypes, dim=-1))
        share = torch.where(self.updates == 1, 1.0, self.config.target_share)
        for fast, slow in ((encoder, target_encoder), (self.obs_proj, self.target_proj)):
            for source, target in zip(fast.parameters(), slow.parameters(), strict=True):
                target.lerp_(source, share)


def sinkhorn(scores: Float[Tensor, "n K"], eps: float, steps: int) -> Float[Tensor, "n K"]:
    """Assigns n samples to K prototypes so that each sample's shares add up to 1, and all prototypes are used alike.

    Args:
        scores: ``(n, K)``, float32.
        eps: the lower, the more decided are the assignments. Scores over ``eps``, up to 80 at 0.0125, are logarithms of
            shares: their exponentials would not fit.
        steps: each makes the prototypes' sums equal, then those of the samples.

    Returns:
        Shares ``(n, K)``; those of a sample add up to 1, those of a prototype to about n / K.
    """
    log_q = scores / eps
    for _ in range(steps):
        log_q = F.log_softmax(F.log_softmax(log_q, 0), 1)
    return log_q.exp()
