"""The twin of RLBench's two tasks: script and chance, rewards over repeats, ends at success, exact states, frames."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hdream_core import envs
from hdream_core.envs import panda
from hdream_core.envs.twin import NEAR, PUSHED, SUITE
from hdream_core.envs.twin_objects import APART, REACH
from tests.test_envs import assert_same

pytestmark = pytest.mark.render
ROOT = Path(__file__).parent.parent
every_task = pytest.mark.parametrize("task", SUITE.tasks)
CLOSED, OPEN = -1.0, 1.0  # last number of an action


def make(task: str, **options):
    return SUITE.make(task, **({"render": "fast", "size": 16} | options))


def to_the_end(env, act) -> list[tuple]:
    """All steps of an episode that has just begun."""
    steps = [env.step(act())]
    while not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(act()))
    return steps


def still(last: float = OPEN) -> np.ndarray:
    return np.append(np.zeros(panda.JOINTS), last)


def digest(task: str) -> str:
    """A hash of all that is seen in two of the script's episodes, up to their terminal states."""
    env, found = make(task, seed=2, size=64), hashlib.sha256()
    for episode in (3, 1):
        seen = [env.reset(options={"episode": episode})[0]]
        for observation, reward, *_ in to_the_end(env, env.expert_action):
            seen += [observation, {"reward": np.float64(reward)}]
        found.update(b"".join(bytes(value) for each in seen for value in each.values()) + bytes(env.save_state()))
    return found.hexdigest()


@every_task
def test_the_script_succeeds_and_chance_does_not(task):
    env, rng = make(task), np.random.default_rng(0)
    scripted, random = [], []
    for episode in range(12):
        env.reset(options={"episode": episode})
        scripted.append(to_the_end(env, env.expert_action))
        if episode < 5:
            env.reset(options={"episode": episode})
            random.append(to_the_end(env, lambda: rng.uniform(-1, 1, 8)))
    assert sum(steps[-1][2] for steps in scripted) >= 11 and sum(steps[-1][2] for steps in random) <= 1
    best, worst = (max(sum(step[1] for step in steps) for steps in each) for each in (scripted, random))
    assert worst < -100 < -30 < best < 0
    for steps in scripted:
        assert all(not step[2] and not step[4]["success"] for step in steps[:-1])
        assert steps[-1][2] == steps[-1][4]["success"] and steps[-1][2] != steps[-1][3]


@every_task
def test_an_action_sums_the_rewards_of_its_repeats_and_stops_at_success(task):
    single, double = make(task, action_repeat=1), make(task, action_repeat=3)
    single.reset(), double.reset()
    stopped = False
    while not stopped:
        action, rewards = double.expert_action(), []
        _, reward, stopped, _, info = double.step(action)
        while len(rewards) < info["env_steps"]:
            _, one, stopped_too, _, _ = single.step(action)
            rewards.append(one)
        assert stopped_too == stopped and reward == pytest.approx(sum(rewards), abs=1e-12)
        np.testing.assert_array_equal(single.save_state(), double.save_state())
    for play_on in (double.step, double.advance):
        with pytest.raises(RuntimeError, match="at success"):
            play_on(still())
    double.reset()
    assert double.step(still())[2] is False


@every_task
def test_rewards_are_distances_and_success_is_what_the_suite_says(task):
    env = make(task, action_repeat=1)
    env.reset(options={"episode": 4})
    place, terminated = "target" if task == REACH else "button", False
    while not terminated:
        observation, reward, terminated, *_ = env.step(env.expert_action())
        where = envs.positions(task, observation["state"])
        assert_same(where.values(), env.object_positions().values())
        distance = np.linalg.norm(where["tip"] - where[place])
        down = 0.0 if task == REACH else observation["state"][21]
        assert reward == pytest.approx(down - distance)
        assert terminated == (distance <= NEAR if task == REACH else down > PUSHED)


def test_joints_go_as_far_as_an_action_says_and_no_further_than_their_limits():
    env = make(REACH)
    start = env.reset()[0]["state"][:7]
    np.testing.assert_allclose(start, panda.START)
    for _ in range(3):
        observation = env.step(np.append(np.full(7, 0.5), OPEN))[0]
    turned = observation["state"][:7] - start  # by 0.025 radians in each of 6 environment steps
    assert np.all((turned > 0.6 * 0.15) & (turned < 1.5 * 0.15))
    rested = [env.step(still())[0]["state"][:7] for _ in range(10)]
    np.testing.assert_allclose(rested[-1], rested[-2], atol=2e-3)  # and stays where it is
    for _ in range(150):
        observation = env.step(np.append(np.ones(7), OPEN))[0]
    assert np.all(observation["state"][:7] <= np.array(panda.HIGH) + 0.05)


def test_the_hand_opens_above_one_half():
    env = make(REACH)
    env.reset()
    assert env._data.joint("left").qpos[0] == pytest.approx(panda.OPENING)
    for last, opened in ((0.5, 0), (1.0, 1), (0.51, 1), (-1.0, 0)):
        observation, *_, info = env.step(still(last))
        assert observation["state"][14] == opened and info["env_steps"] == 2  # its own time is not counted
        assert env._data.joint("left").qpos[0] == pytest.approx(panda.OPENING * opened, abs=2e-3)


def test_balls_are_apart_and_buttons_lie_and_turn_anywhere():
    env = make(REACH)
    states = np.array([env.reset()[0]["state"] for _ in range(40)])
    balls = states[:, 18:].reshape(40, 3, 3)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(balls[:, one] - balls[:, other], axis=1).min() >= APART
    assert np.all(balls.std(0) > 0.04)
    env = make(SUITE.tasks[1])
    states = np.array([env.reset()[0]["state"] for _ in range(40)])
    assert np.all(states[:, 18:20].std(0) > 0.05) and np.ptp(states[:, 22]) > 5


@every_task
def test_another_process_plays_the_same_to_the_end(task):
    code = "import sys; from tests.test_envs_twin import digest; print(digest(sys.argv[1]))"
    found = subprocess.check_output([sys.executable, "-c", code, task], cwd=ROOT, text=True).strip()
    assert found == digest(task)


@every_task
def test_a_state_is_restored_before_and_after_success(task):
    env, other = make(task, seed=1, size=64), make(task, seed=8, size=64)
    env.reset(options={"episode": 2}), other.reset()
    env.step(env.expert_action())
    saved, actions, steps = env.save_state(), [], []
    while not (steps and steps[-1][2]):
        actions.append(env.expert_action())
        steps.append(env.step(actions[-1]))
    end = env.save_state()
    for replaying in (other, env):
        replaying.restore_state(saved)
        for action, step in zip(actions, steps, strict=True):
            np.testing.assert_array_equal(replaying.expert_action(), action)
            again = replaying.step(action)
            assert_same(again[0].values(), step[0].values())
            assert again[1:] == step[1:]
        np.testing.assert_array_equal(replaying.save_state(), end)
    other.reset()
    assert_same(other.restore_state(end).values(), steps[-1][0].values())  # a terminal state may be looked at
    with pytest.raises(RuntimeError, match="at success"):
        other.step(actions[-1])
    other.reset()
    assert other._success is False


def test_frames_show_arm_and_target_upright_and_a_button_that_turns_green():
    reach, push = (make(task, size=64) for task in SUITE.tasks)

    def pixels(image, high, low):
        red_green_blue = image.astype(int)
        return np.argwhere((red_green_blue[..., high] > 120) & (red_green_blue[..., low] < 70))

    for episode in range(5):
        image = reach.reset(options={"episode": episode})[0]["image"]
        assert 4 <= len(pixels(image, 0, 1)) <= 40  # the ball is small
        assert image[:20].mean() > image[-20:].mean()  # the wall is above the table
        image = push.reset(options={"episode": episode})[0]["image"]
        red = pixels(image, 0, 1)
        assert 4 <= len(red) <= 60 and red[:, 0].mean() > 32  # on the table
        assert not len(pixels(image, 1, 0))
        last = to_the_end(push, push.expert_action)[-1][0]["image"]
        assert len(pixels(last, 1, 0))
        assert not len(pixels(push.reset(options={"episode": episode})[0]["image"], 1, 0))
