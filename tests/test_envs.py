"""What simulated suites have in common: names, refusals, episodes by seed and number, physics apart from frames."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hdream_core import envs
from hdream_core.envs.dmc import SUITE as DMC

pytestmark = pytest.mark.render
no_dmc = pytest.mark.skipif(sys.version_info >= DMC.before, reason="dm_control's labmaze has no wheel for this Python")
DMC_TASKS = [pytest.param(task, marks=no_dmc) for task in DMC.tasks]
ONE_OF_EACH = pytest.mark.parametrize("task", ["lever_pull", pytest.param("dmc_cheetah_run", marks=no_dmc)])


def make(task: str, **options):
    return envs.make(task, **({"render": "fast", "size": 16} | options))


def random_actions(env, count: int, seed: int = 0) -> np.ndarray:
    """Actions (count, dim), some of them at the ends of the range."""
    uniform = np.random.default_rng(seed).uniform(-1.2, 1.2, (count, *env.action_space.shape))
    return np.clip(uniform, -1, 1).astype(np.float32)


def play(env, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States (T, n), rewards (T,) and images (T, H, W, 3) that follow `actions` (T, dim)."""
    steps = [env.step(action) for action in actions]
    states, images = ([step[0][name] for step in steps] for name in ("state", "image"))
    return np.array(states), np.array([step[1] for step in steps]), np.array(images)


def assert_same(one, two) -> None:
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(("module", "light"), [("hdream_core.envs", set()), ("hdream_core.envs.dmc", {"gymnasium"})])
def test_importing_loads_no_simulator(module, light):
    heavy = {"mujoco", "metaworld", "gymnasium", "dm_control", "OpenGL", "torch"} - light
    code = f"import sys, {module}; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize(
    ("odd", "nearest"),
    [
        *((name, "lever_pull") for name in ("lever_pul", "lever-pull-v2", "Lever-Pull")),
        ("dmc_cheeta_run", "dmc_cheetah_run"),
        ("mini_levr", "mini_lever"),
    ],
)
def test_an_unknown_task_is_one_line_that_names_the_nearest(odd, nearest):
    with pytest.raises(envs.UnknownTaskError, match=nearest) as caught:
        envs.make(odd)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "options", "named"),
    [
        ("lever_pull", {"camera": "corner9"}, "corner9"),
        ("lever_pull", {"render": "pretty"}, "pretty"),
        ("lever_pull", {"seed": -1}, "seed"),
        pytest.param("dmc_walker_run", {"action_repeat": 0}, "action_repeat", marks=no_dmc),
        pytest.param("dmc_walker_run", {"render": "pretty"}, "render", marks=no_dmc),
        pytest.param("dmc_walker_run", {"seed": -1}, "seed", marks=no_dmc),
    ],
)
def test_bad_options_are_named(task, options, named):
    with pytest.raises(ValueError, match=named):
        make(task, **options)


@ONE_OF_EACH
def test_actions_are_refused_that_are_bad_or_come_too_early(task):
    env = make(task)
    dim = env.action_space.shape[0]
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.zeros(dim))
    env.reset()
    for action in (np.zeros(dim - 1), np.full(dim, np.nan), np.zeros((1, dim))):
        for refuse in (env.step, env.advance) if task.startswith("dmc") else (env.step,):
            with pytest.raises(ValueError, match=f"{dim} finite numbers"):
                refuse(action)


@ONE_OF_EACH
def test_a_state_of_another_task_is_refused(task):
    other = make("hammer" if task == "lever_pull" else "dmc_finger_turn_hard")
    other.reset()
    with pytest.raises(ValueError, match=rf"{task}: a saved state has shape \(\d+,\)"):
        make(task).restore_state(other.save_state())


@pytest.mark.parametrize("task", ["lever_pull", "push", "basketball", "shelf_place", "window_close", *DMC_TASKS])
def test_an_episode_depends_on_seed_and_number_alone(task):
    """Whatever NumPy's own generator and another environment do, and however far the last episode went."""
    walking, jumping, other = make(task, seed=4), make(task, seed=4), make("push", seed=4)
    np.random.seed(0)
    seen = []
    for _ in range(3):
        expected, _ = walking.reset()
        seen.append(expected["state"])
        played = play(walking, random_actions(walking, 5))
    assert walking.episode == 2 and len({state.tobytes() for state in seen}) == 3
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    assert not np.array_equal(jumping.reset(seed=9)[0]["state"], seen[0])
    play(jumping, random_actions(jumping, 7, seed=1))
    other.reset()
    np.testing.assert_array_equal(jumping.reset(seed=4)[0]["state"], seen[0])
    got, _ = jumping.reset(options={"episode": 2})
    assert (jumping.seed, jumping.episode) == (4, 2)
    assert_same(got.values(), expected.values())
    for action, *theirs in zip(random_actions(jumping, 5), *played, strict=True):
        other.step(random_actions(other, 1)[0])
        observation, reward, *_ = jumping.step(action)
        assert_same((observation["state"], reward, observation["image"]), theirs)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("task", ["hammer", *DMC_TASKS])
def test_quality_changes_frames_alone(task):
    played = []
    for quality in ("fast", "paper"):
        env = make(task, seed=8, render=quality, size=64)
        env.reset()
        played.append((*play(env, random_actions(env, 8))[:2], env.save_state()))
    assert_same(*played)
    fast, paper = (env.render_image(quality).astype(float) for quality in ("fast", "paper"))
    assert 0 < np.abs(fast - paper).mean() < 15  # of 255: floors have no reflections
