"""Episodes stepped together, in one process or many, are the episodes played one by one."""

import numpy as np
import pytest
import torch

from hdream_core import envs
from hdream_core.envs.vector import make_episodes
from hdream_core.runs.evaluate import policy_episodes
from tests.small import small_agent


@pytest.fixture(scope="module")
def agent():
    torch.manual_seed(0)
    return small_agent()


@pytest.mark.parametrize("processes", [False, True])
def test_each_environment_plays_its_own_episode_from_every_reset_on(processes):
    several = make_episodes("mini_lever", 3, processes, seed=4)
    alone = envs.make("mini_lever", seed=4)
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 3, 2)).astype(np.float32)
    for _ in range(2):
        observed, _ = several.reset()
        seen = [observed["image"].copy()]
        rewards = []
        for action in actions:
            observed, reward, *_ = several.step(action)
            seen.append(observed["image"].copy())
            rewards.append(reward)
        for episode in range(3):
            assert np.array_equal(seen[0][episode], alone.reset(options={"episode": episode})[0]["image"])
            for t, action in enumerate(actions[:, episode]):
                one, reward, *_ = alone.step(action)
                assert np.array_equal(seen[t + 1][episode], one["image"]) and rewards[t][episode] == reward
    several.close()


def test_return_is_the_mean_sum_of_rewards(agent):
    """Against a loop that plays the recorded actions again, episode by episode; processes change no number."""
    found, played = [], []
    for processes in (False, True):
        several = make_episodes("mini_lever", 2, processes, seed=3)
        step = several.step
        several.step = lambda actions, step=step: played.append(actions.copy()) or step(actions)
        found.append(policy_episodes(agent, several, seed=0))
        several.close()
    assert found[0] == found[1]
    alone, returns = envs.make("mini_lever", seed=3), []
    for episode in range(2):
        alone.reset(options={"episode": episode})
        returns.append(sum(alone.step(actions[episode])[1] for actions in played[: alone.time_limit]))
    assert len(played) == 2 * alone.time_limit and found[0]["return"] == pytest.approx(np.mean(returns))
