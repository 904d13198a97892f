"""Evaluates a trained agent: return and success in the environment, reward prediction on held-out windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from scipy.stats import spearmanr

from hdream_core.agent import Agent
from hdream_core.config.fields import EvalConfig
from hdream_core.data.replay import Replay
from hdream_core.support.batch import to_device
from hdream_core.support.randomness import own_randomness
from hdream_core.support.rewards import in_unit

WINDOWS_SEED = 0  # seed of the held-out windows: the same for every method and seed, so that runs are compared in pairs
WINDOWS_AT_ONCE = 50


def policy_episodes(agent: Agent, envs: VectorEnv, seed: int, episodes: int | None = None) -> dict[str, float]:
    """Plays episodes with the policy, as many at once as there are environments, in rounds.

    An episode counts as a success if any of its steps was one.

    Args:
        agent: that plays.
        envs: of ``make_episodes``.
        seed: of the agent's random numbers.
        episodes: number of episodes; None plays one round.

    Returns:
        ``return`` (mean undiscounted sum of rewards) and ``success`` (share of episodes).
    """
    count = envs.num_envs if episodes is None else episodes
    returns, success = np.zeros(count), np.zeros(count)
    with own_randomness(seed):
        for first in range(0, count, envs.num_envs):
            played = slice(first, first + envs.num_envs)
            wanted = len(returns[played])  # the last round may need fewer episodes than there are environments
            observed, _ = envs.reset(options={"round": first // envs.num_envs})
            playing, memory = np.arange(envs.num_envs) < wanted, None
            while playing.any():
                actions, memory = agent.act(observed["image"], memory, explore=False)
                observed, reward, terminated, truncated, info = envs.step(actions)
                # An environment whose episode has ended plays it again, which does not count.
                returns[played] += (reward * playing)[:wanted]
                success[played] = np.maximum(success[played], (info["success"] * playing)[:wanted])
                playing &= ~(terminated | truncated)
    return {"return": float(returns.mean()), "success": float(success.mean())}


@dataclass(frozen=True)
class HeldoutPredictions:
    """Holds open-loop reward predictions on W held-out windows: ``context`` frames observed, H steps predicted."""

    start: np.ndarray  # (W,) first row of each window in the buffer
    episode: np.ndarray  # (W,) index in the buffer of the episode that it is from
    error: np.ndarray  # (W,) squared reward error (r - r_hat)^2, mean over the H steps and over the samples
    dreamed_return: np.ndarray  # (W,) sum of predicted rewards, mean over the samples
    true_return: np.ndarray  # (W,) sum of true rewards over the H steps

    def summary(self) -> dict[str, float]:
        """Computes the mean and median error, and Spearman's rank correlation of predicted with true return."""
        constant = np.ptp(self.dreamed_return) == 0 or np.ptp(self.true_return) == 0
        rank = float("nan") if constant else float(spearmanr(self.dreamed_return, self.true_return).statistic)
        return {
            "reward_error": float(self.error.mean()),
            "reward_error_median": float(np.median(self.error)),
            "return_rank_correlation": rank,
        }


@torch.no_grad()
def heldout_predictions(
    agent: Agent, replay: Replay, config: EvalConfig, windows: int, seed: int
) -> HeldoutPredictions:
    """Predicts the rewards of windows of held-out episodes, open loop. True ones are in the unit of ``train.reward``.

    Args:
        agent: agent whose world model predicts.
        replay: replay over held-out episodes only.
        config: context, horizon and samples.
        windows: number of windows; the first k are the same for every number of k or more.
        seed: seed of the predictions' samples.
    """
    length = config.context + config.horizon
    rng = np.random.default_rng(WINDOWS_SEED)
    starts = np.concatenate([replay.starts(rng, 1, length) for _ in range(windows)])
    error, dreamed, true = [], [], []
    with own_randomness(seed):
        for chunk in np.split(starts, range(WINDOWS_AT_ONCE, windows, WINDOWS_AT_ONCE)):
            batch = to_device(replay.windows(chunk, length), agent.device)
            prediction = agent.open_loop(batch, config.context, config.samples)
            predicted = prediction.reward.float().unflatten(0, (config.samples, len(chunk)))  # (samples, W, H)
            target = in_unit(batch["reward"][:, config.context :], agent.config.train.reward)  # (W, H)
            error.append((predicted - target).square().mean((0, 2)).cpu().numpy())
            dreamed.append(predicted.sum(-1).mean(0).cpu().numpy())
            true.append(target.sum(-1).cpu().numpy())
    episode = np.searchsorted(replay.store.starts, starts, "right") - 1
    return HeldoutPredictions(starts, episode, np.concatenate(error), np.concatenate(dreamed), np.concatenate(true))
