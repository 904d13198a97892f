"""Meta-world tasks: names, rewards, the scripts that play them, and where objects are."""

from __future__ import annotations

import numpy as np
import pytest

from hdream_core import envs
from hdream_core.envs.metaworld import TASKS
from tests.test_envs import play, random_actions

pytestmark = pytest.mark.render


def test_there_are_fifty_tasks_under_the_papers_names():
    assert len(TASKS) == 50
    assert {"lever_pull", "handle_pull_side", "hammer", "sweep_into", "push", "assembly"} <= set(TASKS)


def test_rewards_are_metaworlds_own():
    """The wrapping changes nothing: Meta-world, its random vector set to ours, gives the same episode."""
    env = envs.make("lever_pull", seed=2)
    observation, _ = env.reset()
    states, rewards, _ = play(env, random_actions(env, 30))
    upstream = type(env._task)()
    upstream._partially_observable = False
    del upstream.sawyer_observation_space
    upstream._set_task_called, upstream._last_rand_vec = True, env._task._last_rand_vec
    first, _ = upstream.reset()
    np.testing.assert_allclose(first, observation["state"], atol=2e-3)  # ours is one physics step fresher
    for action, state, reward in zip(random_actions(env, 30), states, rewards, strict=True):
        theirs, their_reward, *_ = upstream.step(action)
        np.testing.assert_allclose(theirs[:18], state[:18], atol=1e-9)
        assert their_reward == pytest.approx(reward, abs=1e-9)


def test_the_expert_lifts_the_lever():
    env = envs.make("lever_pull", seed=0, size=8)
    successes = 0
    for _ in range(5):
        env.reset()
        successes += any(env.step(env.expert_action())[4]["success"] for _ in range(150))
    assert successes >= 4


def test_object_positions_are_those_that_the_task_observes():
    env = envs.make("hammer", seed=0)
    observation, _ = env.reset()
    positions = env.object_positions()
    assert list(positions) == ["hand", "object", "object2", "goal"]
    assert all(position.shape == (3,) for position in positions.values())
    np.testing.assert_allclose(positions["hand"], observation["state"][:3])
    np.testing.assert_allclose(positions["object"], observation["state"][4:7])
    np.testing.assert_allclose(positions["object2"], observation["state"][11:14])
    np.testing.assert_allclose(positions["goal"], observation["state"][-3:])


def test_positions_of_a_task_without_a_layout_are_refused():
    with pytest.raises(envs.UnknownTaskError, match="where dmc_walker_run's objects are"):
        envs.positions("dmc_walker_run", np.zeros((3, 6)))
