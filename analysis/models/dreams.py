"""Runs a world model over windows: in batches, with the frames and rewards that it predicts in open loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from analysis.models.segments import Segments
from hdream_core.agent import Agent
from hdream_core.support.errors import ConfigError
from hdream_core.support.randomness import own_randomness

if TYPE_CHECKING:  # a study's command line is read before torch is imported
    from torch import Tensor


def batches(
    agent: Agent, windows: Segments, context: int = 0, action: np.ndarray | None = None, seed: int = 0
) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
    """Yields batches of windows on the agent's device, with their indices; random numbers are drawn from ``seed``.

    Args:
        agent: that they are for.
        windows: N of them.
        context: rows after which ``action`` replaces the recorded actions.
        action: ``(N, T - context, A)``, or None for the recorded actions.
        seed: of the latents' samples.
    """
    from hdream_core.runs.evaluate import WINDOWS_AT_ONCE
    from hdream_core.support.batch import to_device

    with own_randomness(seed):
        for chosen in np.split(np.arange(len(windows)), range(WINDOWS_AT_ONCE, len(windows), WINDOWS_AT_ONCE)):
            batch = windows.take(chosen).batch()
            if action is not None:
                batch["action"][:, context:] = action[chosen]
            yield chosen, to_device(batch, agent.device)


def rewards(agent: Agent, windows: Segments, context: int) -> np.ndarray:
    """Returns predicted rewards ``(N, T - context)``, from one sample for each window."""
    import torch

    with torch.no_grad():
        dreams = [agent.open_loop(batch, context).reward for _, batch in batches(agent, windows)]
    return torch.cat(dreams).float().cpu().numpy()


def frames_and_rewards(
    agent: Agent, windows: Segments, context: int, action: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns frames as a model decodes them, seen for the context and predicted after it, and the predicted rewards.

    Args:
        agent: whose model predicts; with w_o = 0, without a decoder, frames are grey.
        windows: N windows of T rows.
        context: frames seen.
        action: ``(N, T - context, A)`` instead of the recorded actions.

    Returns:
        uint8 ``(N, T, H, W, C)``, and float32 ``(N, T - context)``.

    Raises:
        ConfigError: for an agent that decodes no frames.
    """
    import torch

    if not agent.config.agent.decodes:
        raise ConfigError(f"{agent.config.method}: {agent.config.agent.name} decodes no frames; take another model")
    images, rewards = [], []
    for _, batch in batches(agent, windows, context, action):
        with torch.no_grad():
            dream = agent.open_loop(batch, context)
            frames = agent.decode(torch.cat([dream.observed, dream.feat], 1))
        images.append(torch.full(batch["image"].shape, 0.5) if frames is None else frames.float().cpu())
        rewards.append(dream.reward.float().cpu())
    return (torch.cat(images).numpy() * 255).round().astype(np.uint8), torch.cat(rewards).numpy()
