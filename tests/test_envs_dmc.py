"""Tasks of the DeepMind Control suite: seeds, episodes, repeats, exact states, and frames."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hdream_core.envs import opengl, rendering
from hdream_core.envs.contract import Branchable, Env, Located, Scripted
from hdream_core.envs.dmc import SUITE, DMCConfig
from hdream_core.envs.suite import MissingExtraError
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.errors import ConfigError
from tests.test_envs import assert_same, no_dmc, play, random_actions

pytestmark = [pytest.mark.render, no_dmc]
ROOT = Path(__file__).parent.parent
SIZES = {  # of state and action
    "dmc_cheetah_run": (17, 6),
    "dmc_walker_run": (24, 6),
    "dmc_quadruped_run": (78, 12),
    "dmc_finger_turn_hard": (12, 2),
    "dmc_cartpole_balance": (5, 1),
}
every_task = pytest.mark.parametrize("task", SUITE.tasks)


def make(task: str, **options):
    return SUITE.make(task, **({"render": "fast"} | options))


def compiled(env) -> np.ndarray:
    """The whole model as bytes."""
    mujoco = opengl.load_mujoco()
    stored = np.zeros(mujoco.mj_sizeModel(env._model), np.uint8)
    mujoco.mj_saveModel(env._model, None, stored)
    return stored


# ---- the contract


@every_task
def test_a_task_fulfils_the_contracts_that_it_can(task):
    env = make(task)
    assert isinstance(env, Env) and isinstance(env, Branchable) and isinstance(env, Located)
    assert not isinstance(env, Scripted)
    states, actions = SIZES[task]
    assert Spec.of(env) == Spec((64, 64, 3), ActionSpec("continuous", actions), 1000, 2, False)
    observation, info = env.reset()
    assert env.observation_space.contains(observation) and observation["state"].shape == (states,)
    assert not info["success"]
    observation, reward, terminated, truncated, info = env.step(np.zeros(actions))
    assert env.observation_space.contains(observation) and isinstance(reward, float) and 0 <= reward <= 2
    assert (terminated, truncated, info) == (False, False, {"success": False, "env_steps": 2})
    assert env.look == {"render": "fast", "camera": "2" if "quadruped" in task else "0"}
    assert all(place.shape == (3,) and np.isfinite(place).all() for place in env.object_positions().values())


def test_a_missing_dm_control_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "dm_control", None)
    with pytest.raises(
        MissingExtraError, match=r"dmc_walker_run needs the package dm_control.*hdream\[dmc\]"
    ) as caught:
        make("dmc_walker_run")
    assert "\n" not in str(caught.value)


def test_a_python_without_dm_control_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dm_control", None)
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    with pytest.raises(MissingExtraError, match=r"before 3\.13"):
        make("dmc_walker_run")


def test_the_choice_of_a_gl_backend_outlives_the_import_of_dm_control():
    code = "import os; from hdream_core.envs.dmc import SUITE\n"
    code += "before = os.environ.get('MUJOCO_GL'); env = SUITE.make('dmc_walker_run', size=8); env.reset()\n"
    code += "env.render_image(); print(before, os.environ.get('MUJOCO_GL'))"
    for chosen in ("egl", None):
        environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
        environment |= {} if chosen is None else {"MUJOCO_GL": chosen}
        command = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")  # nor does anything go wrong at the exit
        before, after = done.stdout.split()
        assert before == str(chosen) and after != "off"


def test_a_suite_of_its_own_refuses_too():
    with pytest.raises(ConfigError, match="action_repeat"):
        DMCConfig(action_repeat=101)
    with pytest.raises(ValueError, match="dmc_cheetah_run"):
        make("dmc_cheeta_run")


# ---- episodes

DIGEST = """
import sys, hashlib, numpy as np
from hdream_core.envs.dmc import SUITE
env = SUITE.make(sys.argv[1], seed=3, render="fast")
first, _ = env.reset(options={"episode": 2})
actions = np.random.default_rng(0).uniform(-1, 1, (40, *env.action_space.shape)).astype(np.float32)
digest = hashlib.sha256(first["image"].tobytes() + first["state"].tobytes())
for action in actions:
    observation, reward, *_ = env.step(action)
    digest.update(observation["image"].tobytes() + observation["state"].tobytes() + np.float64(reward).tobytes())
print(digest.hexdigest())
"""


@pytest.mark.parametrize("task", ["dmc_cheetah_run", "dmc_walker_run"])
def test_two_processes_play_the_same_episode(task):
    command = [sys.executable, "-c", DIGEST, task]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    digests = [process.communicate()[0] for process in started]
    assert len(digests[0].strip()) == hashlib.sha256().digest_size * 2 and digests[0] == digests[1]


@every_task
def test_rewards_and_states_are_dm_controls_own(task):
    """The wrapping changes nothing: dm_control's own environment, seeded alike, plays the same episode to its end."""
    env, upstream = make(task, seed=2, size=8, action_repeat=3), make(task)._dmc
    observation, _ = env.reset(options={"episode": 5})
    upstream.task.random.seed(np.random.SeedSequence([2, 5]).generate_state(4))
    theirs, spec = upstream.reset(), upstream.action_spec()
    np.testing.assert_array_equal(
        np.concatenate([np.ravel(v) for v in theirs.observation.values()]), observation["state"]
    )
    for action in random_actions(env, 334):
        observation, reward, terminated, truncated, info = env.step(action)
        expected = 0.0
        for _ in range(3 if not truncated else 1):  # 1000 = 333 * 3 + 1
            scaled = (spec.minimum + spec.maximum) / 2 + (spec.maximum - spec.minimum) / 2 * action
            theirs = upstream.step(scaled)
            expected += theirs.reward
        assert reward == expected and not terminated and truncated == theirs.last()
        assert info["env_steps"] == (1 if truncated else 3)
    assert truncated
    np.testing.assert_array_equal(
        np.concatenate([np.ravel(v) for v in theirs.observation.values()]), observation["state"]
    )


@pytest.mark.parametrize("repeat", [1, 7, 100])
def test_an_episode_ends_after_1000_environment_steps(repeat):
    env = make("dmc_cartpole_balance", action_repeat=repeat, size=8)
    with pytest.raises(RuntimeError, match="no episode has begun"):
        env.step(np.zeros(1))
    env.reset()
    steps, truncated = [], False
    while not truncated:
        _, _, _, truncated, info = env.step(np.zeros(1))
        steps.append(info["env_steps"])
    assert sum(steps) == 1000 and set(steps[:-1]) == {repeat} and steps[-1] == (1000 % repeat or repeat)
    for play_on in (env.step, env.advance):
        with pytest.raises(RuntimeError, match="1000 steps"):
            play_on(np.zeros(1))
    env.reset()
    assert env.step(np.zeros(1))[3] is (repeat >= 1000)


def test_actions_are_scaled_to_the_actuators():
    env = make("dmc_quadruped_run", size=8)
    env.reset()
    for action, bound in ((-3.0, 0), (-1.0, 0), (1.0, 1), (2.0, 1)):  # the first and last are clipped
        env.advance(np.full(12, action))
        np.testing.assert_allclose(env._data.ctrl, env._model.actuator_ctrlrange[:, bound], rtol=1e-12)


# ---- states


@every_task
def test_a_restored_state_replays_the_recorded_continuation(task):
    env, other = make(task, seed=5), make(task, seed=6)
    env.reset(options={"episode": 1})
    other.reset()
    for ahead in (0, 1, 60):  # right after the reset, one step on, and on the ground
        play(env, random_actions(env, ahead))
        at_save, saved, places = env._observation(), env.save_state(), env.object_positions()
        assert_same(other.restore_state(saved).values(), at_save.values())
        assert_same(other.object_positions().values(), places.values())
        assert_same([other.save_state(), compiled(other)], [saved, compiled(env)])
        assert (other.seed, other.episode) == (5, 1)
        actions = random_actions(env, 20, seed=ahead)
        recorded = play(env, actions)
        assert_same(play(other, actions), recorded)
        other.restore_state(saved)
        assert [other.advance(action) for action in actions] == recorded[1].tolist()
        assert_same([other.save_state()], [env.save_state()])


def test_a_restored_state_ends_when_its_episode_does():
    env, other = (make("dmc_walker_run", size=8, action_repeat=99) for _ in range(2))
    env.reset()
    play(env, random_actions(env, 10))
    other.restore_state(env.save_state())
    *_, truncated, info = other.step(np.zeros(6))
    assert truncated and info["env_steps"] == 10


# ---- frames


@every_task
def test_papers_frames_are_mujocos_own(task):
    """What mujoco.Renderer draws, which is upright."""
    env = make(task, render="paper")
    env.reset()
    image = play(env, random_actions(env, 5))[2][-1]
    mujoco = opengl.load_mujoco()
    with mujoco.Renderer(env._model, 64, 64) as reference:
        reference.update_scene(env._data, int(env.look["camera"]))
        np.testing.assert_array_equal(image, reference.render())


def test_frames_are_upright_and_not_mirrored():
    env = make("dmc_cartpole_balance")
    image = env.reset()[0]["image"].astype(int)
    orange = image[..., 0] > image[..., 2] + 30
    rows, columns = np.nonzero(orange)
    widths = orange.sum(axis=1)[rows.min() : rows.max() + 1]
    assert widths[0] < widths[-1]  # the pole stands on the cart
    for _ in range(20):
        image = env.step(np.ones(1))[0]["image"].astype(int)
    cart = np.nonzero((image[..., 0] > image[..., 2] + 30)[rows.max()])[0]
    assert cart.mean() > columns[rows == rows.max()].mean() + 2  # pushed to the right


def test_a_large_floor_is_coarse_in_the_drawing_alone():
    env = make("dmc_quadruped_run", size=8)
    before = compiled(env)
    env.reset()
    np.testing.assert_array_equal(compiled(env), before)
    mujoco = opengl.load_mujoco()
    quick = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><geom type='plane' size='30 9 .5'/><geom type='plane' size='90 40 .5'/>"
        "<geom type='plane' size='0 0 .5'/><geom type='box' size='90 90 .5'/></worldbody></mujoco>"
    )
    rendering._coarsen_planes(quick)
    np.testing.assert_array_equal(quick.geom_size[:, 2], [0.5, 0.8, 0.5, 0.5])
