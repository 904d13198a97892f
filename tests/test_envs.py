"""What suites have in common: names, refusals, episodes by seed and number, exact states, physics apart from frames."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hdream_core import envs
from hdream_core.envs import opengl
from hdream_core.envs.dmc import SUITE as DMC
from hdream_core.envs.dmcr import SUITE as DMCR
from hdream_core.envs.metaworld import TASKS
from hdream_core.envs.twin import SUITE as TWIN
from hdream_core.spec import ActionSpec, Spec

pytestmark = pytest.mark.render
no_dmc = pytest.mark.skipif(sys.version_info >= DMC.before, reason="dm_control's labmaze has no wheel for this Python")
DMC_TASKS = [pytest.param(task, marks=no_dmc) for task in (*DMC.tasks, *DMCR.tasks)]
NATURAL = pytest.param("dmcnbg_cheetah_run", marks=no_dmc)  # before natural backgrounds, otherwise DMC's
ONE_OF_EACH = pytest.mark.parametrize(
    "task", ["lever_pull", "twin_reach_target", pytest.param("dmc_cheetah_run", marks=no_dmc)]
)
REPEATING = ("dmc", "twin")  # what names of tasks begin with whose actions last several environment steps


def make(task: str, **options):
    options |= {"size": 32} if task == "mini_lever" else {}  # its only one
    return envs.make(task, **({"render": "fast", "size": 16} | options))


def random_actions(env, count: int, seed: int = 0) -> np.ndarray:
    """Actions (count, dim), some of them at the ends of the range."""
    uniform = np.random.default_rng(seed).uniform(-1.2, 1.2, (count, *env.action_space.shape))
    return np.clip(uniform, -1, 1).astype(np.float32)


def gathered(steps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States (T, n), rewards (T,) and images (T, H, W, 3) of what steps returned."""
    states, images = ([step[0][name] for step in steps] for name in ("state", "image"))
    return np.array(states), np.array([step[1] for step in steps]), np.array(images)


def play(env, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, rewards and images that follow `actions` (T, dim)."""
    return gathered([env.step(action) for action in actions])


def digest(task: str, saved: np.ndarray | None = None) -> str:
    """A hash of what 40 actions lead to, from the beginning of an episode or from a saved state on."""
    env = make(task, seed=3, size=64)
    env.reset(options={"episode": 2}) if saved is None else env.restore_state(saved)
    return hashlib.sha256(b"".join(map(bytes, play(env, random_actions(env, 40))))).hexdigest()


def compiled(env) -> np.ndarray:
    """The whole model as bytes."""
    mujoco, model = opengl.load_mujoco(), env._model if env.task.startswith(REPEATING) else env._task.model
    stored = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, stored)
    return stored


def assert_same(one, two) -> None:
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("module", "light"),
    [
        ("hdream_core.envs", set()),
        *((f"hdream_core.envs.{suite}", {"gymnasium"}) for suite in ("dmc", "dmcr", "twin")),
    ],
)
def test_importing_loads_no_simulator(module, light):
    heavy = {"mujoco", "metaworld", "gymnasium", "dm_control", "OpenGL", "torch"} - light
    code = f"import sys, {module}; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize(
    ("odd", "nearest"),
    [
        *((name, "lever_pull") for name in ("lever_pul", "lever-pull-v2", "Lever-Pull")),
        ("dmc_cheeta_run", "dmc_cheetah_run"),
        ("dmcr_walker_walk", "dmcr_walker_run"),
        ("mini_levr", "mini_lever"),
        ("twin_reach_targt", "twin_reach_target"),
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
        ("twin_push_button", {"action_repeat": 101}, "action_repeat"),
        ("twin_push_button", {"render": "pretty"}, "render"),
        ("twin_push_button", {"seed": 0.5}, "seed"),
        pytest.param("dmc_walker_run", {"action_repeat": 0}, "action_repeat", marks=no_dmc),
        pytest.param("dmc_walker_run", {"render": "pretty"}, "render", marks=no_dmc),
        pytest.param("dmc_walker_run", {"seed": -1}, "seed", marks=no_dmc),
        pytest.param("dmcr_walker_run", {"vary": ("bg", "flor")}, "vary is flor", marks=no_dmc),
        pytest.param("dmcr_walker_run", {"assets": "nowhere"}, "assets: nowhere", marks=no_dmc),
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
        for refuse in (env.step, env.advance) if task.startswith(REPEATING) else (env.step,):
            with pytest.raises(ValueError, match=f"{dim} finite numbers"):
                refuse(action)


@ONE_OF_EACH
def test_a_state_of_another_task_is_refused(task):
    others = {
        "lever_pull": "hammer",
        "twin_reach_target": "twin_push_button",
        "dmc_cheetah_run": "dmc_finger_turn_hard",
    }
    other = make(others[task])
    other.reset()
    with pytest.raises(ValueError, match=rf"{task}: a saved state has shape \(\d+,\)"):
        make(task).restore_state(other.save_state())


@pytest.mark.parametrize(
    "task", ["lever_pull", "push", "basketball", "shelf_place", "window_close", "mini_lever", *TWIN.tasks, *DMC_TASKS]
)
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


@pytest.mark.parametrize("task", ["hammer", *TWIN.tasks, *DMC_TASKS[:2], DMC_TASKS[-3], NATURAL])
def test_another_process_plays_the_same(task, tmp_path):
    env = make(task, seed=6)
    env.reset()
    play(env, random_actions(env, 20))
    np.save(tmp_path / "saved.npy", env.save_state())
    code = (
        "import sys, numpy as np; from tests.test_envs import digest;"
        "print(digest(sys.argv[1]), digest(sys.argv[1], np.load(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, task, tmp_path / "saved.npy"]
    found = subprocess.check_output(command, cwd=Path(__file__).parents[1], text=True).split()
    assert found == [digest(task), digest(task, env.save_state())]


def acting(env, rng: np.random.Generator) -> np.ndarray:
    """An action that is never the same twice, and gets somewhere if a script can play on."""
    scripted = isinstance(env, envs.Scripted) and not env.terminates
    centre, spread = (env.expert_action(), 0.3) if scripted else (0.0, 0.7)
    return np.clip(centre + rng.normal(0, spread, env.action_space.shape), -1, 1).astype(np.float32)


def least_reward(env) -> float:
    """Of an action: all but the twin's are 0 or more."""
    return -2.0 * env.action_repeat if env.task in TWIN.tasks else 0.0


@pytest.mark.parametrize("task", [*TASKS, "mini_lever", *TWIN.tasks, *DMC_TASKS, NATURAL])
def test_a_restored_state_replays_the_recorded_continuation(task):
    """In the same instance, and in one that never saw it; for long in tasks that studies branch."""
    env, other = (make(task, seed=seed, size=64) for seed in (5, 6))
    observation, _ = env.reset(options={"episode": 1})
    other.reset()
    rng, branched = (
        np.random.default_rng(0),
        task in ("lever_pull", "hammer", "handle_pull_side", "mini_lever", *TWIN.tasks, *DMC.tasks, *DMCR.tasks),
    )
    for ahead in (0, 1, 60) if branched else (20,):
        for _ in range(ahead):
            observation = env.step(acting(env, rng))[0]
        saved, places, actions, steps = env.save_state(), env.object_positions(), [], []
        for _ in range(40 if branched else 5):
            actions.append(acting(env, rng))
            steps.append(env.step(actions[-1]))
        recorded, end = gathered(steps), env.save_state()
        assert env.observation_space.contains(steps[-1][0])
        assert np.all((recorded[1] >= least_reward(env)) & (recorded[1] <= 10.001))
        for replaying in (other, env):
            assert_same(replaying.restore_state(saved).values(), observation.values())
            assert_same([replaying.save_state(), *replaying.object_positions().values()], [saved, *places.values()])
            assert (replaying.seed, replaying.episode) == (5, 1)
            assert_same((*play(replaying, actions), replaying.save_state()), (*recorded, end))
        if task != "mini_lever":  # whatever an episode changes in the model is in a saved state
            assert_same([compiled(other)], [compiled(env)])
        other.restore_state(saved)
        assert [other.advance(action) for action in actions] == recorded[1].tolist()


INTERFACES = {  # side of frames, numbers of state and action, environment steps of an episode and of an action, camera
    "lever_pull": (64, 39, 4, 500, 1, "corner2"),
    "mini_lever": (32, 6, 2, 50, 1, "none"),
    "twin_reach_target": (64, 27, 8, 400, 2, "front"),
    "twin_push_button": (64, 23, 8, 400, 2, "front"),
    "dmc_cheetah_run": (64, 17, 6, 1000, 2, "0"),
    "dmc_walker_run": (64, 24, 6, 1000, 2, "0"),
    "dmc_quadruped_run": (64, 78, 12, 1000, 2, "2"),
    "dmc_finger_turn_hard": (64, 12, 2, 1000, 2, "0"),
    "dmc_cartpole_balance": (64, 5, 1, 1000, 2, "0"),
    "dmcr_cheetah_run": (64, 17, 6, 1000, 2, "0"),
    "dmcr_walker_run": (64, 24, 6, 1000, 2, "0"),
    "dmcr_cartpole_balance": (64, 5, 1, 1000, 2, "0"),
}


@pytest.mark.parametrize("task", ["lever_pull", "mini_lever", *TWIN.tasks, *DMC_TASKS])
def test_an_environment_is_what_its_spaces_and_contracts_say(task):
    side, state, action, limit, repeat, camera = INTERFACES[task]
    env = envs.make(task, render="fast")
    assert all(isinstance(env, each) for each in (envs.Env, envs.Branchable, envs.Located))
    assert isinstance(env, envs.Scripted) != task.startswith("dmc")
    terminates = task in TWIN.tasks
    assert Spec.of(env) == Spec((side, side, 3), ActionSpec("continuous", action), limit, repeat, terminates)
    look = {"render": "numpy" if task == "mini_lever" else "fast", "camera": camera}
    assert env.look.items() >= look.items() and (env.look == look) != task.startswith("dmcr")
    observation, info = env.reset()
    assert env.observation_space.contains(observation) and observation["state"].shape == (state,)
    assert info == {"success": False}
    observation, reward, *ends, info = env.step(np.zeros(action))
    assert env.observation_space.contains(observation) and isinstance(reward, float)
    assert least_reward(env) <= reward <= 10
    assert ends == [False, False] and info.items() >= {"success": False, "env_steps": repeat}.items()
    assert all(np.isfinite(place).all() for place in env.object_positions().values())
    assert task.startswith("dmc") or env.action_space.contains(env.expert_action())


@pytest.mark.parametrize(
    ("task", "repeat"),
    [
        ("lever_pull", 1),
        ("mini_lever", 1),
        *(("twin_reach_target", n) for n in (1, 7)),
        *(pytest.param("dmc_cartpole_balance", n, marks=no_dmc) for n in (1, 7, 100)),
        pytest.param("dmcr_cartpole_balance", 7, marks=no_dmc),
    ],
)
def test_an_episode_is_truncated_at_its_limit(task, repeat):
    env = make(task, **({"action_repeat": repeat} if task.startswith(REPEATING) else {}), size=8)
    limit, actions = env.time_limit, random_actions(env, 1001)
    if task != "mini_lever":
        with pytest.raises(RuntimeError, match="no episode has begun"):
            env.step(actions[0])
    env.reset()
    steps, truncated = [], False
    while not truncated:
        observation, reward, terminated, truncated, info = env.step(actions[len(steps)])
        assert env.observation_space.contains(observation) and not terminated
        assert least_reward(env) <= reward <= 10 * repeat
        steps.append(info["env_steps"])
    assert sum(steps) == limit and set(steps[:-1]) == {repeat} and steps[-1] == (limit % repeat or repeat)
    for play_on in {"mini_lever": (), "lever_pull": (env.step,)}.get(task, (env.step, env.advance)):
        with pytest.raises(RuntimeError, match=f"{limit} steps"):
            play_on(actions[0])
    env.reset()
    assert env.step(actions[0])[3] is False


@pytest.mark.parametrize("task", ["hammer", *TWIN.tasks, *DMC_TASKS])
def test_quality_changes_frames_alone(task):
    played = []
    for quality in ("fast", "paper"):
        env = make(task, seed=8, render=quality, size=64)
        env.reset()
        played.append((*play(env, random_actions(env, 8))[:2], env.save_state()))
    assert_same(*played)
    fast, paper = (env.render_image(quality).astype(float) for quality in ("fast", "paper"))
    assert 0 < np.abs(fast - paper).mean() < 15  # of 255: floors have no reflections
