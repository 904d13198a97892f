"""Running a world model over windows: batches of them, and the frames that it sees and dreams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from analysis.models.segments import Segments
from hdream_core.agent import Agent
from hdream_core.support.randomness import own_randomness

if TYPE_CHECKING:  # a study's command line is read before torch is imported
    from torch import Tensor


def batches(
    agent: Agent, windows: Segments, context: int = 0, action: np.ndarray | None = None, seed: int = 0
) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
    """Some windows at a time, on the agent's device, with draws from ``seed`` while at it.

    Args:
        agent: whose model looks at them.
        windows: N of them.
        context: rows after which ``action`` takes the place of the recorded actions.
        action: ``(N, T - context, A)`` to dream instead, or None.
        seed: of the latents' samples.
    """
    from hdream_core.runs.evaluate import WINDOWS_AT_ONCE
    from hdream_core.support.batch import to_device

    with own_randomness(seed):
        for some in np.split(np.arange(len(windows)), range(WINDOWS_AT_ONCE, len(windows), WINDOWS_AT_ONCE)):
            batch = windows.take(some).batch()
            if action is not None:
                batch["action"][:, context:] = action[some]
            yield some, to_device(batch, agent.device)


def rewards(agent: Agent, windows: Segments, context: int) -> np.ndarray:
    """One dream of each window: its rewards, ``(N, T - context)``."""
    import torch

    with torch.no_grad():
        dreams = [agent.open_loop(batch, context).reward for _, batch in batches(agent, windows)]
    return torch.cat(dreams).float().cpu().numpy()


def frames_and_rewards(
    agent: Agent, windows: Segments, context: int, action: np.ndarray | None = None
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
    import torch

    images, dreamed = [], []
    for _, batch in batches(agent, windows, context, action):
        with torch.no_grad():
            dream = agent.open_loop(batch, context)
            frames = agent.decode(torch.cat([dream.observed, dream.feat], 1))
        images.append(torch.full(batch["image"].shape, 0.5) if frames is None else frames.float().cpu())
        dreamed.append(dream.reward.float().cpu())
    return (torch.cat(images).numpy() * 255).round().astype(np.uint8), torch.cat(dreamed).numpy()
