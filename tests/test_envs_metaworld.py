"""Meta-world tasks: seeds, episodes, limits, and states that can be saved and restored exactly."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from hdream_core import envs
from hdream_core.envs.metaworld import TASKS
from tests.test_envs import assert_same, play

pytestmark = pytest.mark.render
BRANCHED = ("lever_pull", "hammer", "handle_pull_side")
MODEL = "body_pos body_quat site_pos site_quat geom_pos geom_size jnt_pos geom_rgba".split()


def noisy_expert(env, rng: np.random.Generator) -> np.ndarray:
    """An action that gets somewhere and is never the same twice, float32 (4,)."""
    return np.clip(env.expert_action() + rng.normal(0, 0.3, 4), -1, 1).astype(np.float32)


def random_actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 4)).astype(np.float32)


def test_there_are_fifty_tasks_under_the_papers_names():
    assert len(TASKS) == 50
    assert {"lever_pull", "handle_pull_side", "hammer", "sweep_into", "push", "assembly"} <= set(TASKS)


def test_the_interface():
    env = envs.make("lever_pull")
    observation, info = env.reset()
    assert env.observation_space.contains(observation) and info == {"success": False}
    assert env.observation_space["image"].shape == (64, 64, 3)
    assert env.action_space.shape == (4,) and env.action_space.contains(env.expert_action())
    observation, reward, terminated, truncated, info = env.step(env.expert_action())
    assert env.observation_space.contains(observation)
    assert isinstance(reward, float) and (terminated, truncated, info["success"]) == (False, False, False)
    assert (env.task, env.time_limit, env.action_repeat, env.camera) == ("lever_pull", 500, 1, "corner2")
    assert env.render_quality in ("fast", "paper")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_plays_and_replays(task):
    """The rest of an episode replays in the same instance, and in one that never saw it; in some tasks it is long."""
    env, other = (envs.make(task, seed=seed, render="fast") for seed in (5, 6))
    other.reset()
    at_save, _ = env.reset()
    assert env.observation_space.contains(at_save)
    rng, (before, after) = np.random.default_rng(0), (60, 40) if task in BRANCHED else (20, 5)
    for _ in range(before):
        at_save = env.step(noisy_expert(env, rng))[0]
    saved, actions, steps = env.save_state(), [], []
    for _ in range(after):
        actions.append(noisy_expert(env, rng))
        steps.append(env.step(actions[-1]))
    recorded = [np.array(values) for values in zip(*((s[0]["state"], s[1], s[0]["image"]) for s in steps), strict=True)]
    assert env.observation_space["state"].contains(recorded[0][-1])
    assert np.all((recorded[1] >= 0) & (recorded[1] <= 10.001))
    end = env.save_state()
    for replaying in (other, env):
        assert_same(replaying.restore_state(saved).values(), at_save.values())
        assert (replaying.seed, replaying.episode) == (5, 0)
        assert_same(play(replaying, np.array(actions)), recorded)
        np.testing.assert_array_equal(replaying.save_state(), end)
    # Whatever an episode changes in the model must be in a saved state.
    for name in MODEL:
        one, two = (getattr(each._task.model, name) for each in (env, other))
        np.testing.assert_array_equal(one, two, err_msg=name)


def test_goals_differ_between_episodes_and_between_seeds():
    env = envs.make("lever_pull")
    goals = []
    for seed in (0, 1):
        env.reset(seed=seed)
        goals.append(env.object_positions()["goal"])
        env.reset()
        goals.append(env.object_positions()["goal"])
    assert len(np.unique(np.round(goals, 6), axis=0)) == 4


def test_episodes_are_truncated_after_500_steps():
    env = envs.make("lever_pull")
    env.reset()
    ends = [env.step(action)[2:4] for action in random_actions(500)]
    assert ends == [(False, False)] * 499 + [(False, True)]
    with pytest.raises(RuntimeError, match="500 steps"):
        env.step(np.zeros(4))
    env.reset()
    assert env.step(np.zeros(4))[3] is False


def test_rewards_are_metaworlds_own():
    """The wrapping changes nothing: Meta-world, its random vector set to ours, gives the same episode."""
    env = envs.make("lever_pull", seed=2)
    observation, _ = env.reset()
    states, rewards, _ = play(env, random_actions(30))
    upstream = type(env._task)()
    upstream._partially_observable = False
    del upstream.sawyer_observation_space
    upstream._set_task_called, upstream._last_rand_vec = True, env._task._last_rand_vec
    first, _ = upstream.reset()
    np.testing.assert_allclose(first, observation["state"], atol=2e-3)  # ours is one physics step fresher
    for action, state, reward in zip(random_actions(30), states, rewards, strict=True):
        theirs, their_reward, *_ = upstream.step(action)
        np.testing.assert_allclose(theirs[:18], state[:18], atol=1e-9)
        assert their_reward == pytest.approx(reward, abs=1e-9)


def test_a_state_replays_in_another_process(tmp_path):
    env = envs.make("hammer", seed=3)
    env.reset()
    play(env, random_actions(20))
    saved, actions = env.save_state(), random_actions(20, seed=1)
    states, rewards, _ = play(env, actions)
    np.savez(tmp_path / "branch.npz", saved=saved, actions=actions)
    code = (
        "import numpy as np; from hdream_core import envs; branch = np.load('branch.npz')\n"
        "env = envs.make('hammer'); env.restore_state(branch['saved'])\n"
        "steps = [env.step(action) for action in branch['actions']]\n"
        "np.savez('replay.npz', states=[s[0]['state'] for s in steps], rewards=[s[1] for s in steps])"
    )
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)
    with np.load(tmp_path / "replay.npz") as replay:
        np.testing.assert_allclose(replay["states"], states, rtol=0, atol=1e-12)
        np.testing.assert_allclose(replay["rewards"], rewards, rtol=0, atol=1e-12)


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
