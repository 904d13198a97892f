"""How strongly each loss pulls at the parameters that all losses share.

The paper argues from the scale of the losses; what the shared representation feels is their gradients.
"""

from __future__ import annotations

import numpy as np
import torch

from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.support.precision import autocast
from hdream_core.support.randomness import own_randomness


def gradient_norms(agent: DreamerV2, batch: dict[str, np.ndarray], seed: int = 0) -> dict[str, float]:
    """Norms of the gradients of the unweighted losses at the shared parameters (encoder and posterior RSSM).

    Args:
        agent: whose world model is examined; it is not changed.
        batch: windows of ``replay.Batch``.
        seed: of the latents' samples.

    Returns:
        By loss name. Times the loss's weight it is the pull that the loss has in Eq. 3.
    """
    shared = agent.shared_parameters()
    with own_randomness(seed), autocast(agent.config.train.precision, agent.device):
        losses, _, _ = agent.model.losses(agent.to_device(batch))
    norms = {}
    for name, loss in losses.items():
        gradients = torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
        norms[name] = float(torch.stack([g.float().square().sum() for g in gradients if g is not None]).sum().sqrt())
    return norms
