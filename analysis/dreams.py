"""Running a world model over windows: batches of them, and the frames that it sees and dreams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from analysis.segments import Segments
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.runs.evaluate import WINDOWS_AT_ONCE
from hdream_core.support.precision import autocast
from hdream_core.support.randomness import own_randomness


def batches(
    agent: DreamerV2, windows: Segments, context: int = 0, action: np.ndarray | None = None, seed: int = 0
) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
    """Some windows at a time, on the agent's device, with its precision and with draws from ``seed`` while at it.

    Args:
        agent: whose model looks at them.
        windows: N of them.
        context: rows after which ``action`` takes the place of the recorded actions.
        action: ``(N, T - context, A)`` to dream instead, or None.
        seed: of the latents' samples.
    """
    with own_randomness(seed), autocast(agent.config.train.precision, agent.device):
        for some in np.split(np.arange(len(windows)), range(WINDOWS_AT_ONCE, len(windows), WINDOWS_AT_ONCE)):
            batch = windows.take(some).batch()
            if action is not None:
                batch["action"][:, context:] = action[some]
            yield some, agent.to_device(batch)


@torch.no_grad()
def rewards(agent: DreamerV2, windows: Segments, context: int) -> np.ndarray:
    """One dream of each window: its rewards, ``(N, T - context)``."""
    dreams = [agent.model.open_loop(batch, context).reward for _, batch in batches(agent, windows)]
    return torch.cat(dreams).float().cpu().numpy()


@torch.no_grad()
def frames_and_rewards(
    agent: DreamerV2, windows: Segments, context: int, action: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Frames as a model sees them (the context) and dreams them (the rest), and the rewards of the same dream.

    Args:
        agent: a model without a decoder gives grey frames.
        windows: N windows of T rows.
        context: frames seen.
        action: ``(N, T - context, A)`` to dream instead of the recorded ones.

    Returns:
        uint8 ``(N, T, H, W, C)``, and float32 ``(N, T - context)``.
    """
    images, dreamed = [], []
    for _, batch in batches(agent, windows, context, action):
        dream = agent.model.open_loop(batch, context)
        feat = torch.cat([dream.observed, dream.feat], 1)
        if agent.model.decoder is None:
            images.append(torch.full(batch["image"].shape, 0.5))
        else:
            images.append(agent.model.decode(feat).float().cpu())
        dreamed.append(dream.reward.float().cpu())
    return (torch.cat(images).numpy() * 255).round().astype(np.uint8), torch.cat(dreamed).numpy()
