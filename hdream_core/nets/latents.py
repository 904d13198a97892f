"""Holds the latent states of recurrent state-space models, and predicts windows open loop with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from hdream_core.agent import OpenLoop


class State(NamedTuple):
    """Holds a latent state; all fields share their leading dimensions."""

    deter: Tensor  # (..., D)  deterministic state of the GRU
    stoch: Tensor  # (..., Z)  samples: Z numbers, or S one-hot vectors of length K, flattened
    stats: Tensor  # of the distribution that stoch was drawn from: (..., 2, Z) means and stds, or (..., S, K) logits

    @property
    def feat(self) -> Tensor:
        """Returns the features that every head reads, ``(..., D + Z)``; the paper's ``z_t``."""
        return torch.cat([self.deter, self.stoch], -1)

    def map(self, f) -> State:
        """Applies ``f`` to every field."""
        return State(*(f(x) for x in self))

    def detach(self) -> State:
        return self.map(Tensor.detach)

    def flatten(self) -> State:
        """Merges the first two dimensions: ``(B, T, ...)`` to ``(B * T, ...)``."""
        return self.map(lambda x: x.flatten(0, 1))


def stack(states: list[State]) -> State:
    """Stacks T states of ``(B, ...)`` to one of ``(B, T, ...)``."""
    return State(*(torch.stack(field, 1) for field in zip(*states, strict=True)))


@torch.no_grad()
def open_loop(model: Any, batch: dict[str, Tensor], context: int, samples: int = 1) -> OpenLoop:
    """Observes ``context`` frames, then predicts the rest of the window from its actions alone (C.4).

    Args:
        model: a world model with ``encode``, ``rssm`` and ``reward``.
        batch: windows ``(B, T, ...)`` as in ``data.replay.Batch``, with T > context.
        context: frames to observe.
        samples: predictions per window.

    Returns:
        The prediction, with N = samples * B (sample-major) and H = T - context.
    """
    length = batch["action"].shape[1]
    if not 0 < context < length:
        raise ValueError(f"context of {context} frames does not fit a window of {length}")
    embed = model.encode(batch["image"][:, :context]).repeat(samples, 1, 1)  # (N, context, E)
    action = batch["action"].repeat(samples, 1, 1)  # (N, T, A)
    is_first = batch["is_first"][:, :context].repeat(samples, 1)  # (N, context)
    post, _ = model.rssm.observe(embed, action[:, :context], is_first)
    last = post.map(lambda x: x[:, -1])  # (N, ...)
    feat = model.rssm.imagine(last, action[:, context:]).feat  # (N, H, F)
    return OpenLoop(feat, model.reward(feat), post.feat)
