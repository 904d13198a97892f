"""Atari games: deterministic episodes, exact restores, the picture's area average, and the end of episodes."""

import subprocess
import sys

import numpy as np
import pytest

from hdream_core import envs
from hdream_core.data.environments import make_env
from hdream_core.envs.atari import GAMES, NOOPS, SUITE

pytest.importorskip("ale_py")
ACTIONS = (18, 10, 7, 9, 18, 18, 18, 4, 18, 9, 6, 3, 18, 8, 18, 18, 18, 18, 14, 9, 6, 18, 6, 18, 18, 6)  # minimal sets


def random_actions(env, count, seed=0):
    choices = np.random.default_rng(seed).integers(env.action_space.n, size=count)
    return np.eye(env.action_space.n, dtype=np.float32)[choices]


def play(env, actions):
    """Observations, rewards and flags that follow the actions, to the end of the episode."""
    found = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        found.append((observation["image"], observation["state"], reward, terminated, truncated, info["env_steps"]))
        if terminated or truncated:
            break
    return found


def assert_same(one, two):
    assert len(one) == len(two)
    for left, right in zip(one, two, strict=True):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b)


def test_all_games_load_with_their_minimal_actions():
    found = {}
    for game, count in zip(GAMES, ACTIONS, strict=True):
        env = envs.make(f"atari_{game}", size=16)
        observation, _ = env.reset()
        assert env.observation_space.contains(observation)
        found[game] = env.action_space.n, count
    assert all(ours == known for ours, known in found.values()), found


@pytest.mark.parametrize("task", ["atari_pong", "atari_ms_pacman"])
def test_an_episode_depends_on_seed_and_number_alone(task):
    one, other = envs.make(task, seed=3), envs.make(task, seed=3)
    for _ in range(3):
        observation, _ = one.reset()
    expected = play(one, random_actions(one, 40))
    other.reset()
    play(other, random_actions(other, 30, seed=1))
    again, _ = other.reset(options={"episode": 2})
    np.testing.assert_array_equal(again["image"], observation["image"])
    assert_same(play(other, random_actions(other, 40)), expected)


def test_another_process_plays_the_same_bits():
    code = "\n".join(
        [
            "from tests.test_envs_atari import *",
            "env = envs.make('atari_seaquest', seed=5)",
            "env.reset(options={'episode': 4})",
            "print(sum(int(row[0].astype(int).sum() + row[1].sum()) for row in play(env, random_actions(env, 50))))",
        ]
    )
    seen = {subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(2)}
    assert len(seen) == 1


def test_episodes_begin_after_0_to_29_frames_of_doing_nothing():
    env = envs.make("atari_pong", seed=0)
    starts = set()
    for _ in range(120):
        env.reset()
        starts.add(env._ale.getEpisodeFrameNumber())
    assert starts <= set(range(NOOPS)) and len(starts) > 25


@pytest.mark.parametrize("task", ["atari_pong", "atari_freeway", "atari_private_eye", "atari_james_bond"])
def test_states_restore_picture_memory_and_future(task):
    env, other = envs.make(task, seed=1), envs.make(task, seed=9)
    observation, _ = env.reset(options={"episode": 3})
    actions = random_actions(env, 60)
    for at in range(0, 60, 6):
        saved = env.save_state()
        assert saved.dtype == np.float64 and np.isfinite(saved).all()
        restored = other.restore_state(saved)
        np.testing.assert_array_equal(restored["image"], observation["image"])
        np.testing.assert_array_equal(restored["state"], observation["state"])
        np.testing.assert_array_equal(other.save_state(), saved)
        ours, theirs = (play(each, actions[at : at + 6]) for each in (env, other))
        assert_same(ours, theirs)
        observation = {"image": ours[-1][0], "state": ours[-1][1]}


def test_advancing_is_stepping_without_a_picture():
    env, other = envs.make("atari_breakout"), envs.make("atari_breakout")
    actions = random_actions(env, 30)
    env.reset(), other.reset()
    assert [env.step(a)[1] for a in actions] == [other.advance(a) for a in actions]


def test_the_picture_is_the_average_over_areas_of_the_last_two_screens():
    env = envs.make("atari_pong", size=32)
    env.reset()
    play(env, random_actions(env, 20))
    screen = env._screens.max(0).astype(np.float64)
    expected = np.zeros((32, 32, 3))
    for i in range(32):  # each pixel of the screen cut into 32 x 32 parts, which lie in whole areas
        for j in range(32):
            rows = np.arange(i * 210, (i + 1) * 210) // 32
            columns = np.arange(j * 160, (j + 1) * 160) // 32
            expected[i, j] = screen[rows][:, columns].mean((0, 1))
    np.testing.assert_allclose(env.render_image(), expected, atol=0.51)
    assert env._screens.any((1, 2, 3)).all()


@pytest.mark.parametrize(("terminal", "flags"), [(True, (True, False)), (False, (False, True))])
def test_the_limit_ends_episodes_as_asked(terminal, flags):
    env = envs.make("atari_freeway", limit=50, limit_is_terminal=terminal)
    env.reset()
    found = play(env, random_actions(env, 30))
    assert sum(row[5] for row in found) == 50 and found[-1][3:5] == flags
    assert found[-1][5] == 2 and env.time_limit == 50  # of the last action, two frames
    with pytest.raises(RuntimeError, match="reset"):
        env.step(random_actions(env, 1)[0])


def test_a_game_that_is_over_is_terminal():
    env = envs.make("atari_breakout", limit_is_terminal=False)
    env.reset()
    found = play(env, random_actions(env, 3000))
    assert found[-1][3:5] == (True, False) and sum(row[5] for row in found) < env.time_limit


def test_actions_differ():
    """Left moves another way than right; in some versions of the emulator every action did nothing."""
    ends = []
    for choice in (2, 3):
        env = envs.make("atari_breakout")
        env.reset()
        play(env, np.tile(np.eye(4)[1], (5, 1)))
        ends.append(play(env, np.tile(np.eye(4)[choice], (5, 1)))[-1][0])
    assert (ends[0] != ends[1]).any()


@pytest.mark.parametrize(
    ("options", "named"),
    [({"limit": -1}, "limit"), ({"action_repeat": 0}, "action_repeat"), ({"seed": -1}, "seed"), ({"size": 4}, "size")],
)
def test_bad_options_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        envs.make("atari_pong", **options)


@pytest.mark.parametrize("bad", [np.zeros(6), np.ones(6), np.eye(7)[0], np.full(6, np.nan), 0.5 * np.eye(6)[0]])
def test_an_action_is_a_one_hot_vector(bad):
    env = envs.make("atari_pong")
    env.reset()
    with pytest.raises(ValueError, match="one-hot"):
        env.step(bad)


def test_the_suite_and_its_limits():
    assert len(SUITE.tasks) == 26 and envs.make("atari_chopper_command").time_limit == 5400
    assert envs.make("atari_pong").time_limit == 108_000
    from hdream_core.config.presets import make_config

    assert make_env(make_config("atari_pong", "smoke", "dreamerv3"), seed=0).time_limit == 400
    assert isinstance(envs.make("atari_pong"), envs.Branchable) and not isinstance(
        envs.make("atari_pong"), envs.Scripted
    )
