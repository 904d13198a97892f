"""Measures how strongly each loss pulls at the parameters that all losses share.

The paper argues from the scale of the losses. The shared parameters receive the losses' gradients.
"""

from __future__ import annotations

import numpy as np

from hdream_core.agent import Agent
from hdream_core.support.randomness import own_randomness


def gradient_norms(agent: Agent, batch: dict[str, np.ndarray], seed: int = 0) -> dict[str, float]:
    """Computes the norms of the unweighted losses' gradients at the shared parameters.

    Args:
        agent: agent whose world model is examined. It is not changed.
        batch: windows as in ``replay.Batch``.
        seed: seed of the latents' samples.

    Returns:
        Norms by loss name. A norm times the loss's weight is the pull of that loss in Eq. 3.
    """
    import torch

    shared = agent.shared_parameters()
    with own_randomness(seed):
        losses = agent.losses(batch)
    norms = {}
    for name, loss in losses.items():
        gradients = torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
        norms[name] = float(torch.stack([g.float().square().sum() for g in gradients if g is not None]).sum().sqrt())
    return norms
