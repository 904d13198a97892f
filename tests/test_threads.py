"""Frames from any thread of a process, and the end of threads and processes that draw."""

from __future__ import annotations

import gc
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hdream_core import envs
from hdream_core.envs import opengl, rendering
from tests.refusals import python

pytestmark = pytest.mark.render
TASKS = ("lever_pull", "dmc_cheetah_run")


def play(task: str, render: str = "fast", steps: int = 8, size: int = 24) -> list[np.ndarray]:
    """Frames of an episode's first steps, in an environment of its own."""
    env = envs.make(task, seed=0, render=render, size=size)
    frames = [env.reset()[0]["image"]]
    rng = np.random.default_rng(0)
    for _ in range(steps):
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        frames.append(env.step(action)[0]["image"])
        if isinstance(env, envs.Scripted):
            env.expert_action()
    return frames


@pytest.fixture
def others():
    """Two threads besides this one."""
    with ThreadPoolExecutor(1, "one") as one, ThreadPoolExecutor(1, "two") as two:
        yield one, two


@pytest.mark.parametrize("task", TASKS)
def test_threads_take_turns_with_one_environment(task, others):
    alone = play(task)
    one, two = others
    env = one.submit(envs.make, task, seed=0, render="fast", size=24).result()
    rng = np.random.default_rng(0)
    frames = [two.submit(env.reset).result()[0]["image"]]
    for step in range(8):
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        if step % 3 == 2:
            frames.append(env.step(action)[0]["image"])
        else:
            frames.append(others[step % 3].submit(env.step, action).result()[0]["image"])
    np.testing.assert_array_equal(frames, alone)


def test_threads_draw_at_once_what_each_draws_alone(others):
    # With this thread's, more views than the renderer keeps contexts: threads free each other's.
    views = [(task, render, size) for task in TASKS for render, size in (("fast", 24), ("fast", 16), ("paper", 16))]
    alone = {view: play(view[0], view[1], size=view[2]) for view in views}
    both = threading.Barrier(3)

    def in_order(order: list) -> None:
        both.wait(60)
        for task, render, size in order:
            np.testing.assert_array_equal(play(task, render, size=size), alone[task, render, size])

    running = [
        thread.submit(in_order, views[start:] + views[:start]) for thread, start in zip(others, (0, 3), strict=True)
    ]
    in_order(views[1:] + views[:1])
    assert [future.result() for future in running] == [None, None]


def test_a_thread_frees_and_forgets_what_another_has_made():
    frames = play("lever_pull")
    made: list = []
    threads = [threading.Thread(target=lambda: made.append(envs.make("lever_pull", seed=0, size=24))) for _ in "ab"]
    threads += [threading.Thread(target=lambda: made[0].reset()), threading.Thread(target=rendering.release)]
    threads += [threading.Thread(target=lambda: made[1].render_image()), threading.Thread(target=made.pop)]
    threads += [threading.Thread(target=lambda: made.pop().close()), threading.Thread(target=gc.collect)]
    for thread in threads:
        thread.start()
        thread.join()
    assert not made
    np.testing.assert_array_equal(play("lever_pull"), frames)


def test_an_error_reaches_the_thread_that_drew(others):
    env = envs.make("dmc_cheetah_run", seed=0, render="fast", size=24)
    frame = env.reset()[0]["image"]
    broken = {"key": env.task, "quality": "fast", "size": -1}
    for thread in others:
        with pytest.raises(Exception, match=r"negative|width|dimension|buffer") as caught:
            thread.submit(rendering.draw, env._model, env._data, env._camera, **broken).result()
        assert "draw" in [entry.name for entry in caught.traceback]
        np.testing.assert_array_equal(thread.submit(env.render_image).result(), frame)
        np.testing.assert_array_equal(env.render_image(), frame)


def test_a_foreign_renderer_of_another_thread_does_no_harm(others):
    env = envs.make("lever_pull", seed=0, render="fast")
    before = env.reset()[0]["image"]
    mujoco = opengl.load_mujoco()
    foreign = mujoco.Renderer(env._task.model, 32, 32)
    foreign.update_scene(env._task.data, "topview")
    seen = foreign.render()
    np.testing.assert_array_equal(others[0].submit(env.render_image).result(), before)
    np.testing.assert_array_equal(env.render_image(), before)
    np.testing.assert_array_equal(foreign.render(), seen)
    foreign.close()
    np.testing.assert_array_equal(env.render_image(), before)


def run(code: str) -> subprocess.CompletedProcess:
    """Runs code after a first frame of DMC."""
    begin = (
        "import os, signal, sys, threading, time\nfrom hdream_core import envs\n"
        "env = envs.make('dmc_cheetah_run', seed=0, render='fast', size=16)\nfirst = env.reset()[0]['image']\n"
    )
    return python("-c", begin + code)


def test_an_interrupted_thread_leaves_the_others_able_to_draw():
    """Ctrl-C, wherever it comes in a frame or in the wait for another thread's."""
    done = run(
        "def ring(*_): raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGALRM, ring)\n"
        "drawn, stop, wrong = 0, threading.Event(), []\n"
        "def go():\n"
        "    while not stop.is_set():\n"
        "        try: (env.render_image() == first).all() or wrong.append('frame')\n"
        "        except Exception as error: wrong.append(error)\n"
        "thread = threading.Thread(target=go, daemon=True); thread.start()\n"
        "rung = 0\n"
        "while rung < 300:\n"
        "    try:\n"
        "        signal.setitimer(signal.ITIMER_REAL, 1e-4 + 3e-6 * rung)\n"
        "        while True: env.render_image()\n"
        "    except KeyboardInterrupt: rung += 1\n"
        "stop.set(); thread.join(30); print(rung, wrong[:3], thread.is_alive())"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "300 [] False"), done


@pytest.mark.parametrize("daemon", [True, False])
def test_the_interpreter_ends_while_a_thread_draws(daemon):
    done = run(
        "ready = threading.Event()\n"
        "def go():\n"
        f"    while {daemon} or threading.main_thread().is_alive():\n"
        "        env.render_image(); ready.set()\n"
        f"threading.Thread(target=go, daemon={daemon}).start(); ready.wait()"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("draws", [True, False])
def test_a_process_forked_while_another_thread_draws_waits_for_no_one(draws):
    """Its frame is refused at once; ended by ``sys.exit`` or ``os._exit``, it ends."""
    done = run(
        "stop, told = threading.Event(), []\n"
        "def go():\n"
        "    while not stop.is_set(): env.render_image()\n"
        "thread = threading.Thread(target=go); thread.start()\n"
        "import warnings; warnings.simplefilter('ignore')  # of forking beside threads\n"
        "for _ in range(5):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        signal.alarm(20)\n"
        f"        if not {draws}: os._exit(7)\n"
        "        try: env.render_image()\n"
        "        except RuntimeError: os._exit(7)\n"
        "    told.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "stop.set(); thread.join(); print(told, (env.render_image() == first).all())"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[7, 7, 7, 7, 7] True"), done


def test_a_forked_process_ends_by_itself():
    if os.environ.get("MUJOCO_GL") == "osmesa":
        pytest.skip("Mesa's OSMesa itself waits at a forked process's end for threads that the fork did not copy")
    done = run(
        "child = os.fork()\n"
        "if child == 0: signal.alarm(20); sys.exit(3)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), (env.render_image() == first).all())"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "3 True"), done
