"""DMC Remastered: what is drawn, from what, and what it changes; pictures; one look per instance; runs by command."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hdream_core import envs
from hdream_core.config.files import to_dict
from hdream_core.config.presets import make_config
from hdream_core.data.environments import check_buffer, make_env_like
from hdream_core.envs import pictures, rendering, textures, visuals
from hdream_core.envs.dmcr import SUITE, DMCRConfig
from hdream_core.envs.suite import MissingExtraError
from hdream_core.envs.visuals import FACTORS
from hdream_core.runs.metrics import read_metrics
from hdream_core.support.errors import ConfigError
from hdream_core.support.settings import override, parse_value
from hdream_core.train import main, train
from tests.small import run_until
from tests.test_envs import assert_same, no_dmc, play, random_actions

pytestmark = [pytest.mark.render, no_dmc]
ROOT = Path(__file__).parent.parent
every_task = pytest.mark.parametrize("task", SUITE.tasks)


def make(task: str = "dmcr_cheetah_run", **options):
    return envs.make(task, **({"render": "fast", "seed": 3} | options))


def frame(env, episode: int) -> np.ndarray:
    """The first frame of an episode, float (64, 64, 3)."""
    return env.reset(options={"episode": episode})[0]["image"].astype(float)


def numbered(*uniform: float):
    """A stand-in for a factor's random numbers: these, and then an error."""
    return iter(uniform).__next__


@pytest.mark.parametrize(
    ("domain", "camera", "light"),
    [
        ("cheetah", (0.0, -2.9, 0.25), (-2.0, 1.0, 2.0)),
        ("walker", (0.0, -1.975, 0.8), None),
        ("cartpole", (0.0, -3.5, 1.2), (-1.0, 0.5, 5.25)),
    ],
)
def test_uniform_numbers_become_the_sources_values(domain, camera, light):
    """Each factor takes its numbers in the source's order, the opacity of a colour first."""
    uniform = {
        "bg": numbered(0.5),
        "floor": numbered(0.999),
        "reflectance": numbered(0.25),
        "body": numbered(0.2, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9),
        "target": numbered(1.0, 0.0, 0.4, 0.2),
        "light": numbered(0.5, 0, 0.5, 1, 0.2, 0.5, 0.25, 0.75, 1, 1, 0, 0.5, 0.9999, 0, 0.75, 0.25),
        "camera": numbered(0.5, 0.75, 1.0),
    }
    drawn = visuals.draw(domain, uniform, skies=119, floors=383)
    assert (drawn.sky, drawn.floor, drawn.reflectance, drawn.shadows) == (59, 382, 0.125, 2548)
    expected = {
        "body": (0.1, 0.3, 0.5, 0.8),
        "effector": (0.7, 0.8, 0.9, 0.9),
        "target": (0.0, 0.4, 0.2, 1.0),
        "ambient": (0.4, 0.45, 0.5),
        "diffuse": (0.5, 0.45, 0.55),
        "specular": (0.32, 0.28, 0.3),
        "camera": camera,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(drawn, name), values, rtol=1e-12, err_msg=name)
    assert (drawn.light is None) == (light is None)
    if light is not None:
        np.testing.assert_allclose(drawn.light, light, rtol=1e-12)


def test_factors_are_independent_and_uniform():
    """Unlike the source's, whose camera and sky correlate: 0.89."""
    first = np.array([[stream() for stream in visuals.streams(0, k).values()] for k in range(2000)])
    assert np.abs(np.corrcoef(first.T) - np.eye(len(FACTORS))).max() < 0.1
    quantiles = np.quantile(first, (0.1, 0.5, 0.9), axis=0)
    np.testing.assert_allclose(quantiles, np.tile([[0.1], [0.5], [0.9]], len(FACTORS)), atol=0.05)
    others = [[stream() for stream in visuals.streams(*where).values()] for where in ((0, 0), (1, 0), (0, 1))]
    assert len(set(itertools.chain(*others))) == 3 * len(FACTORS)


@every_task
def test_visuals_leave_physics_alone(task):
    """States and rewards of the suite that it is made of, to the bit, whatever is varied."""
    theirs = envs.make(task.replace("dmcr", "dmc"), seed=3, render="fast", size=16)
    theirs.reset(options={"episode": 4})
    actions = random_actions(theirs, 60)
    expected = play(theirs, actions)[:2]
    for vary in (FACTORS, (), ("camera", "light")):
        env = make(task, vary=vary, size=16)
        env.reset(options={"episode": 4})
        assert_same(play(env, actions)[:2], expected)
        np.testing.assert_array_equal(env.save_state(), theirs.save_state())


@every_task
def test_each_factor_alone_changes_the_picture(task):
    """Bounds in grey levels about what was measured. No geom of these tasks has the target's material."""
    plain, seen = make(task, vary=()), {}
    before = [frame(plain, k) for k in range(6)]
    for factor in FACTORS:
        env = make(task, vary=(factor,))
        seen[factor] = np.mean([np.abs(frame(env, k) - before[k]).mean() for k in range(6)])
        assert [len(np.unique(frame(env, k))) > 8 for k in range(2)] == [True, True]
    least = {"bg": 20, "floor": 7, "camera": 3, "light": 1, "body": 0.5, "reflectance": 0, "target": 0}
    assert all(seen[factor] >= least[factor] for factor in FACTORS) and seen["target"] == 0
    assert (seen["reflectance"] > 0.3) == (task == "dmcr_cheetah_run")


def test_what_is_varied_does_not_change_the_others():
    """So that runs with and without a factor can be compared in pairs."""
    every, some = make(), make(vary=("body", "camera"))
    for k in (0, 5):
        for env in (every, some):
            env.reset(options={"episode": k})
        np.testing.assert_array_equal(every._model.mat("self").rgba, some._model.mat("self").rgba)
        np.testing.assert_array_equal(every._model.cam_pos, some._model.cam_pos)
        assert every.visuals().sky == some.visuals().sky
    assert not np.array_equal(every._model.tex_data[:9], some._model.tex_data[:9])


def test_the_camera_is_where_it_was_drawn():
    """In the body's frame, which moves with the centre of mass, and so from the first frame on."""
    env = make()
    for k in (0, 1):
        env.reset(options={"episode": k})
        shift = env.visuals().camera - (0, -3, 0)
        plain = make(vary=())
        plain.reset(options={"episode": k})
        np.testing.assert_allclose(env._data.cam_xpos[0] - plain._data.cam_xpos[0], shift, atol=1e-12)
        np.testing.assert_array_equal(env._data.cam_xmat[0], plain._data.cam_xmat[0])


def test_every_instance_keeps_its_own_look_and_loads_nothing_twice(monkeypatch):
    """As evaluation needs it: twelve play side by side, in every quality, one of them in dm_control's own look."""
    built, build = [], rendering._build
    monkeypatch.setattr(rendering, "_build", lambda *args: built.append(args) or build(*args))
    rendering.release()
    several = [make(size=32, vary=() if k == 11 else FACTORS) for k in range(12)]
    alone = []
    for k, env in enumerate(several):
        alone.append(frame(env, k))
        rendering.release()
    built.clear()
    for _ in range(3):
        for k, env in enumerate(several):
            np.testing.assert_array_equal(env.render_image(), alone[k])
    assert len(built) == 12
    for k, env in enumerate(several):  # another episode, and back
        frame(env, 40 + k)
        np.testing.assert_array_equal(frame(env, k), alone[k])
    assert len(built) == 12


def test_shadows_are_drawn_in_papers_quality():
    """Their size is a factor, which the device's context has to follow."""
    env, frames = make(render="paper", vary=("light",)), []
    for k in range(3):
        frames.append(frame(env, k))
        rendering.release()
    for k in (2, 0, 1):
        np.testing.assert_array_equal(frame(env, k), frames[k])
    contexts = [context for name, context in rendering._device.contexts.items() if name[1] == "paper"]
    assert [context.mjr.shadowSize for context in contexts] == [env.visuals().shadows]


def slope(picture: np.ndarray) -> float:
    """How fast the power of a picture's grey falls with frequency: the exponent, in a window that ends in zeros."""
    grey, side = picture.mean(-1), len(picture)
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    ring = np.rint(np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) * side).astype(int)
    rings = np.arange(2, side // 2)
    return -np.polyfit(np.log(rings), [np.log(power[ring == each].mean()) for each in rings], 1)[0]


@pytest.mark.parametrize(
    ("make_one", "count", "mean", "spread", "inside", "chroma", "slopes", "upper"),
    [
        (textures.floor, textures.FLOORS, (134, 127, 100), (16, 17, 26), (17, 17, 17), 38, (1.63, 0.47), (0, 0, 0)),
        (textures.sky, textures.SKIES, (113, 120, 113), (39, 35, 45), (55, 48, 59), 61, (2.63, 0.35), (11, 33, 65)),
    ],
)
def test_pictures_have_the_originals_statistics(make_one, count, mean, spread, inside, chroma, slopes, upper):
    """Measured on the 383 floors and 119 skies of the original: 60 of ours, within bounds of a quarter or so."""
    made = [make_one(int(i)) for i in np.linspace(0, count - 1, 60)]
    assert all(one.dtype == np.uint8 and one.shape == (textures.SIDE, textures.SIDE, 3) for one in made)
    assert len({one.tobytes() for one in made}) == 60
    stack, half = np.array(made, float), textures.SIDE // 2
    means, found = stack.mean((1, 2)), np.array([slope(one) for one in stack])
    np.testing.assert_allclose(means.mean(0), mean, atol=12)
    np.testing.assert_allclose(means.std(0), spread, rtol=0.3)
    np.testing.assert_allclose(stack.std((1, 2)).mean(0), inside, rtol=0.25)
    np.testing.assert_allclose((stack.max(-1) - stack.min(-1)).mean(), chroma, rtol=0.2)
    assert abs(found.mean() - slopes[0]) < 0.25 and slopes[1] / 3 < found.std() < slopes[1]
    difference = stack[:, :half].mean((0, 1, 2)) - stack[:, half:].mean((0, 1, 2))
    np.testing.assert_allclose(difference, upper, atol=25)


def test_floors_are_of_the_originals_kinds_and_have_no_seam():
    assert textures.FLOORS == 383 and len(textures.KINDS) == 8
    for number in np.cumsum(list(textures.KINDS.values())) - 1:
        picture = textures.floor(int(number)).astype(float)
        seam = np.abs(picture[:, 0] - picture[:, -1]).mean()
        assert seam < 2 * np.abs(np.diff(picture, axis=1)).mean() + 1


@pytest.fixture
def photos(tmp_path):
    """A folder like the original's, with two skies and one floor of a single colour each, in several forms."""
    colours = {"skies/b.PNG": (20, 40, 200), "skies/a.jpg": (200, 30, 30), "floors/only.png": (30, 150, 40)}
    for name, colour in colours.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (200, 300), colour).save(tmp_path / name, format="JPEG" if "jpg" in name else "PNG")
    (tmp_path / "skies" / "notes.txt").write_text("none of them")
    return tmp_path


def test_the_originals_can_be_used(photos):
    album = pictures.album(str(photos))
    assert (album.skies, album.floors) == (2, 1) and album.sky(0)[..., 0].mean() > 190
    env = make(vary=("bg", "floor"), assets=str(photos))
    assert env.look["pictures"] != make().look["pictures"]
    tops = [frame(env, k)[:8].mean((0, 1)) for k in range(12)]
    assert {("red", "blue")[int(top[2] > top[0])] for top in tops} == {"red", "blue"}
    below = frame(env, 0)[-8:].mean((0, 1))
    assert below.argmax() == 1


@pytest.mark.parametrize("damage", ["no folder", "no floors", "no picture", "not a picture", "cut short"])
def test_unusable_photos_are_one_line(photos, damage, capsys, tmp_path_factory):
    only = photos / "floors" / "only.png"
    named = {"no folder": "nowhere", "no picture": "floors", "no floors": "floors"}.get(damage, "only.png")
    if damage in ("no floors", "no picture"):
        only.unlink()
    if damage == "no floors":
        only.parent.rmdir()
    if damage == "not a picture":
        only.write_text("hello")
    if damage == "cut short":
        only.write_bytes(only.read_bytes()[:-60])
    folder, run = (photos / "nowhere" if damage == "no folder" else photos), tmp_path_factory.mktemp("run") / "run"
    arguments = ["--task", "dmcr_walker_run", "--preset", "smoke", "--folder", str(run), "--env.assets", str(folder)]
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--quiet"])
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert stopped.value.code == 2 and "env.assets" in line and named in line
    assert not run.exists()


@pytest.mark.parametrize("given", [("nonsense",), ("bg", "flor"), ("bg,floor",)])
def test_an_unknown_factor_is_one_line(given, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--task", "dmcr_walker_run", "--folder", str(tmp_path / "run"), "--env.vary", *given])
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert stopped.value.code == 2 and given[-1] in line and "reflectance" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("package", ["dm_control", "PIL"])
def test_a_missing_package_is_one_line(monkeypatch, photos, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"needs the package {package}.*hdream\[dmc\]"):
        make(assets=str(photos))


def test_factors_are_a_list_in_any_order():
    photos = {"env.assets": "photos"}
    config = make_config("dmcr_walker_run", "paper", changes=photos)
    assert config.env.vary == FACTORS and config.scale == "paper"
    for text, expected in (("floor, bg,bg", ("bg", "floor")), ("", ()), ("camera", ("camera",))):
        found = parse_value(config, "env.vary", text)
        changed = make_config("dmcr_walker_run", "paper", changes=photos | {"env.vary": found})
        assert changed.env.vary == expected and changed.scale == "reduced"
    assert DMCRConfig(vary=["light", "bg"]).vary == ("bg", "light")  # as JSON has it
    assert make_config("dmcr_walker_run", "paper").scale == "reduced"  # with pictures that are made here
    like = make_env_like("dmcr_walker_run", {"env": {"vary": ["bg"], "size": 16}, "render": "fast", "camera": "0"}, 0)
    assert (like.vary, like.size) == (("bg",), 16)


def test_a_buffer_is_of_the_factors_that_it_was_played_with():
    config = make_config("dmcr_walker_run", "smoke", changes={"env.vary": ("bg", "light"), "offline_buffer": "b"})
    facts = json.loads(json.dumps({"task": config.task, "env": to_dict(config)["env"]}))
    check_buffer(config, facts)
    with pytest.raises(ConfigError, match=r"b: has vary bg,light, but .* asks for camera; set env\.vary=bg,light"):
        check_buffer(override(config, {"env.vary": ("camera",)}), facts)


def test_a_run_that_was_interrupted_goes_on_to_the_same_end(tmp_path):
    """By the command that a user types."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    config = make_config("dmcr_cartpole_balance", "smoke", changes={"env.vary": ("bg", "camera")})
    train(config, whole)
    run_until(config, broken, 1100)
    command = [sys.executable, "-m", "hdream_core.train", "--task", "dmcr_cartpole_balance", "--preset", "smoke"]
    command += ["--folder", str(broken), "--quiet", "--env.vary", "camera", "bg"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (whole / "metrics.jsonl").read_bytes() == (broken / "metrics.jsonl").read_bytes()
    evaluated = [line["return"] for line in read_metrics(whole / "metrics.jsonl") if line["kind"] == "eval"]
    assert evaluated and all(0 <= number <= 1000 for number in evaluated)
