"""Tasks of the DeepMind Control suite: seeds, episodes, repeats, exact states, and frames."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hdream_core.envs import opengl, rendering
from hdream_core.envs.dmc import SUITE, DMCConfig
from hdream_core.envs.suite import MissingExtraError
from hdream_core.support.errors import ConfigError
from tests.test_envs import compiled, no_dmc, play, random_actions

pytestmark = [pytest.mark.render, no_dmc]
ROOT = Path(__file__).parent.parent
every_task = pytest.mark.parametrize("task", SUITE.tasks)


def make(task: str, **options):
    return SUITE.make(task, **({"render": "fast"} | options))


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


def test_actions_are_scaled_to_the_actuators():
    env = make("dmc_quadruped_run", size=8)
    env.reset()
    for action, bound in ((-3.0, 0), (-1.0, 0), (1.0, 1), (2.0, 1)):  # the first and last are clipped
        env.advance(np.full(12, action))
        np.testing.assert_allclose(env._data.ctrl, env._model.actuator_ctrlrange[:, bound], rtol=1e-12)


def test_a_restored_state_ends_when_its_episode_does():
    env, other = (make("dmc_walker_run", size=8, action_repeat=99) for _ in range(2))
    env.reset()
    play(env, random_actions(env, 10))
    other.restore_state(env.save_state())
    *_, truncated, info = other.step(np.zeros(6))
    assert truncated and info["env_steps"] == 10


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
