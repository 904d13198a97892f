"""Frames: upright, as they were on other machines, the same however many environments share the renderer.

`python tests/test_rendering.py` writes the golden frames anew; look at them before committing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from hdream_core import envs
from hdream_core.envs import meshes, opengl, rendering

pytestmark = pytest.mark.render
ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
SETTINGS = ("MUJOCO_GL", "PYOPENGL_PLATFORM", "MUJOCO_EGL_DEVICE_ID", "DISPLAY")
VIEWS = [(camera, quality) for camera in ("corner", "corner2") for quality in ("fast", "paper")]


def pulled_lever(camera: str, quality: str) -> np.ndarray:
    """A frame of lever_pull with the hand near the lever, uint8 (64, 64, 3)."""
    env = envs.make("lever_pull", seed=0, camera=camera, render="fast")
    env.reset()
    for _ in range(25):
        env.step(env.expert_action())
    return env.render_image(render=quality)


def python(code: str, without: tuple[str, ...] = (), **environment: str) -> subprocess.Popen:
    """A process of its own that runs some code."""
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def difference(one: np.ndarray, two: np.ndarray) -> float:
    """Mean absolute difference, of 255."""
    return float(np.abs(one.astype(float) - two.astype(float)).mean())


@pytest.mark.parametrize(("camera", "quality"), VIEWS)
def test_frames_are_the_golden_ones(camera, quality):
    with Image.open(GOLDEN / f"lever_pull_{camera}_{quality}.png") as golden:
        assert difference(pulled_lever(camera, quality), np.asarray(golden)) < 2  # Mesa's versions differ


@pytest.mark.parametrize("task", ["lever_pull", "hammer", "handle_pull_side", "push", "assembly", "sweep_into"])
def test_fast_frames_look_like_papers(task):
    for camera, bound in (("corner", 8), ("corner2", 13)):
        env = envs.make(task, camera=camera, seed=1, render="fast")
        fast = env.reset()[0]["image"]
        paper = env.render_image(render="paper")
        error = difference(fast, paper)
        noise_ratio = 10 * np.log10(255**2 / np.square(fast.astype(float) - paper).mean())
        assert error < bound and noise_ratio > 22, (camera, error, noise_ratio)


def test_small_task_objects_stay_visible():
    """The ball at the lever's end is blue in frames of either quality, and about as large."""
    env = envs.make("lever_pull", seed=0)
    env.reset()
    sizes = []
    for quality in ("fast", "paper"):
        red, green, blue = np.moveaxis(env.render_image(render=quality).astype(int), -1, 0)
        sizes.append(((blue > red + 50) & (blue > green + 50)).sum())
    assert min(sizes) >= 5 and abs(sizes[0] - sizes[1]) <= 4, sizes


def lonely_frames(task: str, seed: int, quality: str) -> list[np.ndarray]:
    """Frames of a few steps with a renderer that has drawn nothing else."""
    rendering.release()
    env = envs.make(task, seed=seed, render=quality)
    frames = [env.reset()[0]["image"]]
    frames += [env.step(env.expert_action())[0]["image"] for _ in range(2)]
    rendering.release()
    return frames


def test_instances_tasks_and_qualities_alternate_without_mixing():
    # More views than the renderer keeps contexts, so that some are freed and made again in between.
    views = [("lever_pull", 0, "fast"), ("lever_pull", 1, "fast"), ("hammer", 0, "fast"), ("lever_pull", 0, "paper")]
    views += [("push", 0, "fast"), ("assembly", 0, "fast"), ("handle_pull_side", 0, "fast")]
    alone = [lonely_frames(*view) for view in views]
    together = [envs.make(task, seed=seed, render=quality) for task, seed, quality in views]
    frames = [[env.reset()[0]["image"]] for env in together]
    for _ in range(2):
        for shown, env in zip(frames, together, strict=True):
            shown.append(env.step(env.expert_action())[0]["image"])
    np.testing.assert_array_equal(frames, alone)


def test_a_foreign_renderer_in_between_does_no_harm():
    env = envs.make("lever_pull", seed=0, render="fast")
    before = env.reset()[0]["image"]
    mujoco = opengl.load_mujoco()
    with mujoco.Renderer(env._task.model, 32, 32) as foreign:
        foreign.update_scene(env._task.data, "topview")
        foreign.render()
        np.testing.assert_array_equal(env.render_image(), before)
    np.testing.assert_array_equal(env.render_image(), before)


def test_papers_frames_are_mujocos_own():
    """What mujoco.Renderer draws, without a change of buffer size or of meshes; its row 0 is our last."""
    env = envs.make("lever_pull", seed=0, render="paper")
    image = env.reset()[0]["image"]
    mujoco = opengl.load_mujoco()
    with mujoco.Renderer(env._task.model, 64, 64) as reference:
        reference.update_scene(env._task.data, "corner2")
        np.testing.assert_array_equal(image, reference.render()[::-1])


def test_any_size():
    env = envs.make("lever_pull", seed=0, size=32)
    assert env.reset()[0]["image"].shape == (32, 32, 3)
    assert env.render_image(size=96).shape == (96, 96, 3)


def test_auto_names_the_quality_it_chose():
    assert rendering.resolve_quality("auto") in rendering.QUALITIES
    assert envs.make("lever_pull").render_quality == rendering.resolve_quality("auto")


def test_decimation_leaves_the_physics_model_alone():
    env = envs.make("lever_pull")
    model = env._task.model
    before = {name: getattr(model, name).copy() for name in ("mesh_vert", "mesh_face", "mesh_facenum", "mesh_normal")}
    drawn = meshes.decimated_copy(model)
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(model, name), array)
    large = model.mesh_facenum >= meshes.WHOLE_BELOW
    assert drawn.mesh_facenum[large].sum() < 0.15 * model.mesh_facenum[large].sum()
    np.testing.assert_array_equal(drawn.mesh_facenum[~large], model.mesh_facenum[~large])


def test_decimated_meshes_keep_their_size_and_unit_normals():
    model = envs.make("lever_pull")._task.model
    start, count = int(model.mesh("l1").vertadr[0]), int(model.mesh("l1").vertnum[0])
    vertices = model.mesh_vert[start : start + count].copy()
    start, count = int(model.mesh("l1").faceadr[0]), int(model.mesh("l1").facenum[0])
    mesh = meshes.decimate(vertices, model.mesh_face[start : start + count].copy())
    assert len(mesh.faces) < 0.2 * count
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), np.ptp(vertices, axis=0), rtol=0.05)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-3)
    assert mesh.faces.max() < len(mesh.vertices) and mesh.face_normals.max() < len(mesh.normals)


def test_meshes_are_kept_and_a_broken_file_is_made_again(tmp_path, monkeypatch):
    model = envs.make("lever_pull")._task.model
    monkeypatch.setenv("HDREAM_CACHE", str(tmp_path))
    made = meshes.decimated_copy(model)
    files = sorted((tmp_path / "meshes").iterdir())
    assert len(files) == (model.mesh_facenum >= meshes.WHOLE_BELOW).sum()
    whole = files[0].read_bytes()
    for broken in (b"", b"cut short", whole[: len(whole) // 2], whole[:-1], whole.replace(b"faces.npy", b"other.npy")):
        files[0].write_bytes(broken)
        again = meshes.decimated_copy(model)
        np.testing.assert_array_equal(again.mesh_vert, made.mesh_vert)
        assert sorted((tmp_path / "meshes").iterdir()) == files and files[0].stat().st_size == len(whole)


def test_processes_that_start_together_share_an_empty_cache(tmp_path):
    code = (
        "import hashlib; from hdream_core import envs; env = envs.make('lever_pull', render='fast')\n"
        "print(hashlib.sha256(env.reset()[0]['image'].tobytes()).hexdigest())"
    )
    started = [python(code, HDREAM_CACHE=str(tmp_path)) for _ in range(3)]
    assert len({process.communicate()[0] for process in started}) == 1
    assert all(process.returncode == 0 for process in started)
    assert {path.suffix for path in (tmp_path / "meshes").iterdir()} == {".npz"}


def test_a_forked_process_is_told_to_be_spawned():
    code = (
        "import os; from hdream_core import envs; env = envs.make('lever_pull', size=8); env.reset()\n"
        "if os.fork() == 0:\n"
        "    try: env.render_image()\n"
        "    except RuntimeError as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait(); env.render_image()"
    )
    told, _ = python(code).communicate(timeout=300)
    assert "spawn" in told and told.count("\n") == 1


def test_without_a_gl_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(opengl.ctypes, "CDLL", Mock(side_effect=OSError("cannot open shared object file")))
    with pytest.raises(opengl.RenderingError, match=opengl.INSTALL) as caught:
        opengl.load_mujoco()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("MUJOCO_EGL_DEVICE_ID", "77", "unset it"),
        ("MUJOCO_EGL_DEVICE_ID", "first", "unset it"),
        ("PYOPENGL_PLATFORM", "glx", "unset it"),
        ("PYOPENGL_PLATFORM", "osmesa", "unset it"),
        ("MUJOCO_GL", "vulkan", "set it to egl or osmesa"),
        ("MUJOCO_GL", "disable", "set it to egl or osmesa"),
        ("MUJOCO_GL", "glfw", "set it to egl or osmesa"),  # without a display
    ],
)
def test_a_setting_that_does_not_draw_is_named_with_its_reason(name, value, remedy):
    """One line: MuJoCo's own reason, and advice that fits; nothing needs installing here."""
    code = (
        "from hdream_core import envs\nfrom hdream_core.support.errors import exit_on_user_error\n"
        "with exit_on_user_error(): envs.make('lever_pull').reset()"
    )
    process = python(code, SETTINGS, **{name: value})
    _, said = process.communicate(timeout=300)
    lines = [line for line in said.splitlines() if "GLFWError" not in line]
    assert process.returncode == 2 and len(lines) == 1, said
    assert name in said and remedy in said and "(" in said and "apt-get" not in said


def _write_golden() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for camera, quality in VIEWS:
        Image.fromarray(pulled_lever(camera, quality)).save(GOLDEN / f"lever_pull_{camera}_{quality}.png")


if __name__ == "__main__":
    _write_golden()
