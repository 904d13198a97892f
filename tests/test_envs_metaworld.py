"""Meta-world tasks: seeds, episodes, limits, and states that can be saved and restored exactly."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hdream_core import envs
from hdream_core.envs.metaworld import TASKS

pytestmark = pytest.mark.render
BRANCHED = ("lever_pull", "hammer", "handle_pull_side")
METAWORLD = TASKS


def noisy_expert(env, rng: np.random.Generator) -> np.ndarray:
    """An action that gets somewhere and is never the same twice, float32 (4,)."""
    return np.clip(env.expert_action() + rng.normal(0, 0.3, 4), -1, 1).astype(np.float32)


def play(env, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States (T, 39), rewards (T,) and images (T, 64, 64, 3) that follow `actions` (T, 4)."""
    steps = [env.step(action) for action in actions]
    states, images = ([step[0][name] for step in steps] for name in ("state", "image"))
    return np.array(states), np.array([step[1] for step in steps]), np.array(images)


def random_actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 4)).astype(np.float32)


def test_importing_the_package_loads_no_simulator():
    code = "import sys, hdream_core.envs; print({'mujoco', 'metaworld', 'gymnasium'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_there_are_fifty_tasks_under_the_papers_names():
    assert len(METAWORLD) == 50
    assert {"lever_pull", "handle_pull_side", "hammer", "sweep_into", "push", "assembly"} <= set(METAWORLD)


@pytest.mark.parametrize("name", ["lever_pul", "lever-pull-v2", "Lever-Pull"])
def test_an_unknown_task_is_one_line_that_names_the_nearest(name):
    with pytest.raises(ValueError, match="lever_pull") as caught:
        envs.make(name)
    assert "\n" not in str(caught.value)


def test_bad_options_are_named():
    for options in ({"camera": "corner9"}, {"render": "pretty"}, {"seed": -1}):
        with pytest.raises(ValueError, match=next(iter(options.values())) if "seed" not in options else "seed"):
            envs.make("lever_pull", **options)


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


@pytest.mark.parametrize("task", METAWORLD)
def test_every_task_plays_and_replays(task):
    """One reset and some steps; the rest of an episode replays in an instance that never saw it."""
    env, other = (envs.make(task, seed=seed, render="fast") for seed in (5, 6))
    other.reset()
    observation, _ = env.reset()
    assert env.observation_space.contains(observation)
    rng = np.random.default_rng(0)
    for _ in range(20):
        env.step(noisy_expert(env, rng))
    saved, actions = env.save_state(), random_actions(5)
    states, rewards, images = play(env, actions)
    assert env.observation_space["state"].contains(states[-1])
    assert np.all((rewards >= 0) & (rewards <= 10.001))
    other.restore_state(saved)
    for recorded, replayed in zip((states, rewards, images), play(other, actions), strict=True):
        np.testing.assert_array_equal(replayed, recorded)
    np.testing.assert_array_equal(other.save_state(), env.save_state())
    # Whatever an episode changes in the model must be in a saved state.
    for name in ("body_pos", "body_quat", "site_pos", "site_quat", "geom_pos", "geom_size", "jnt_pos", "geom_rgba"):
        one, two = (getattr(each._task.model, name) for each in (env, other))
        np.testing.assert_array_equal(one, two, err_msg=name)


def test_same_seed_same_episodes_whatever_else_happened():
    actions = random_actions(10)
    quiet = envs.make("lever_pull", seed=11)
    expected = [(quiet.reset()[0], play(quiet, actions)) for _ in range(3)]

    np.random.seed(123)
    busy, other = envs.make("lever_pull", seed=11), envs.make("push", seed=11)
    for first, (states, rewards, images) in expected:
        np.random.rand(7)
        other.reset()
        observation, _ = busy.reset()
        np.testing.assert_array_equal(observation["image"], first["image"])
        np.testing.assert_array_equal(observation["state"], first["state"])
        for action, state, reward, image in zip(actions, states, rewards, images, strict=True):
            other.step(other.action_space.sample())
            now, got, *_ = busy.step(action)
            assert got == reward
            np.testing.assert_array_equal(now["state"], state)
            np.testing.assert_array_equal(now["image"], image)
        play(busy, random_actions(7, seed=1))  # how far the last episode went must not matter to the next


@pytest.mark.parametrize("task", ["lever_pull", "push", "basketball", "shelf_place", "window_close"])
def test_an_episode_depends_on_seed_and_number_alone(task):
    walking, jumping = (envs.make(task, seed=4) for _ in range(2))
    for _ in range(4):
        expected, _ = walking.reset()
        walking.step(random_actions(1)[0])
    assert walking.episode == 3
    jumping.reset(seed=9)
    jumping.step(random_actions(1)[0])
    jumping.reset(seed=4)
    got, _ = jumping.reset(options={"episode": 3})
    assert (jumping.seed, jumping.episode) == (4, 3)
    np.testing.assert_array_equal(got["state"], expected["state"])
    np.testing.assert_array_equal(got["image"], expected["image"])


def test_goals_differ_between_episodes_and_between_seeds():
    env = envs.make("lever_pull")
    goals = []
    for seed in (0, 1):
        env.reset(seed=seed)
        goals.append(env.object_positions()["goal"])
        env.reset()
        goals.append(env.object_positions()["goal"])
    assert len(np.unique(np.round(goals, 6), axis=0)) == 4


def test_numpys_global_generator_is_left_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    env = envs.make("push")
    env.reset()
    env.step(env.expert_action())
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_episodes_are_truncated_after_500_steps():
    env = envs.make("lever_pull")
    env.reset()
    ends = [env.step(action)[2:4] for action in random_actions(500)]
    assert ends == [(False, False)] * 499 + [(False, True)]
    with pytest.raises(RuntimeError, match="500 steps"):
        env.step(np.zeros(4))
    env.reset()
    assert env.step(np.zeros(4))[3] is False


@pytest.mark.parametrize("action", [np.zeros(3), np.array([0, 0, np.nan, 0]), np.zeros((1, 4))])
def test_a_bad_action_is_refused(action):
    env = envs.make("lever_pull")
    env.reset()
    with pytest.raises(ValueError, match="4 finite numbers"):
        env.step(action)


def test_no_step_before_a_reset():
    with pytest.raises(RuntimeError, match="reset"):
        envs.make("lever_pull").step(np.zeros(4))


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


@pytest.mark.parametrize("task", BRANCHED)
def test_a_restored_state_replays_the_recorded_continuation(task):
    env = envs.make(task, seed=1)
    env.reset()
    rng = np.random.default_rng(0)
    for _ in range(60):
        at_save = env.step(noisy_expert(env, rng))[0]
    saved = env.save_state()
    actions = []
    recorded = []
    for _ in range(40):
        actions.append(noisy_expert(env, rng))
        recorded.append(env.step(actions[-1]))
    for replaying in (env, envs.make(task, seed=77)):
        observation = replaying.restore_state(saved)
        np.testing.assert_array_equal(observation["image"], at_save["image"])
        np.testing.assert_array_equal(observation["state"], at_save["state"])
        states, rewards, images = play(replaying, np.array(actions))
        np.testing.assert_allclose(states, [step[0]["state"] for step in recorded], rtol=0, atol=1e-12)
        np.testing.assert_allclose(rewards, [step[1] for step in recorded], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(images, [step[0]["image"] for step in recorded])
        assert (replaying.seed, replaying.episode) == (1, 0)


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
    path = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=_environment(path))
    with np.load(tmp_path / "replay.npz") as replay:
        np.testing.assert_allclose(replay["states"], states, rtol=0, atol=1e-12)
        np.testing.assert_allclose(replay["rewards"], rewards, rtol=0, atol=1e-12)


def _environment(more: dict[str, str]) -> dict[str, str]:
    import os

    return {**os.environ, **more}


def test_a_state_of_another_task_is_refused():
    env, other = envs.make("lever_pull"), envs.make("hammer")
    other.reset()
    with pytest.raises(ValueError, match=r"lever_pull: a saved state has shape \(\d+,\)"):
        env.restore_state(other.save_state())


def test_physics_does_not_depend_on_the_rendering_quality():
    actions = random_actions(8)
    played = []
    for quality in ("fast", "paper"):
        env = envs.make("hammer", seed=8, render=quality)
        env.reset()
        played.append((*play(env, actions)[:2], env.save_state()))
    for fast, paper in zip(*played, strict=True):
        np.testing.assert_array_equal(fast, paper)


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
    from hdream_core.envs import UnknownTaskError, positions

    with pytest.raises(UnknownTaskError, match="where dmc_walker_run's objects are"):
        positions("dmc_walker_run", np.zeros((3, 6)))
