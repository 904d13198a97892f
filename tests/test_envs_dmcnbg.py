"""DMC before natural backgrounds: the film, where it shows, and that nothing but pixels changes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from hdream_core import envs
from hdream_core.envs import films
from hdream_core.envs.dmcnbg import SUITE
from hdream_core.runs.metrics import read_metrics
from hdream_core.train import main
from tests.refusals import refused
from tests.test_envs import assert_same, no_dmc, play, random_actions

pytestmark = [pytest.mark.render, no_dmc]


def make(task: str = "dmcnbg_cheetah_run", **options):
    return envs.make(task, **({"render": "fast", "seed": 3} | options))


def test_the_film_is_as_natural_as_measured():
    """Grey levels, likeness of successive frames, scenes, and the fall of power with frequency, 2 to 3 in photos."""
    made = films.film("", 64)
    assert made.frames.shape == (films.FRAMES, 64, 64) and made.frames.dtype == np.uint8
    frames = made.frames.reshape(len(made.frames), -1).astype(float)
    assert 100 < frames.mean() < 150 and 45 < frames.std(1).mean() < 75

    def likeness(apart: int) -> float:
        pairs = ((t, t + apart) for t in range(0, films.FRAMES - apart, 30) if t // 250 == (t + apart) // 250)
        return np.mean([np.corrcoef(frames[s], frames[t])[0, 1] for s, t in pairs])

    assert likeness(1) > 0.88 and likeness(20) < 0.3
    assert abs(np.corrcoef(frames[249], frames[250])[0, 1]) < 0.4  # a cut
    window, slopes = np.hanning(64)[:, None] * np.hanning(64), []
    across = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(64)]))
    bands = np.digitize(across, edges := np.geomspace(2 / 64, 0.45, 9))
    for frame in made.frames[::100]:
        power = np.abs(np.fft.fft2((frame - frame.mean()) * window)) ** 2
        means = [power[bands == band].mean() for band in range(1, len(edges))]
        slopes.append(-np.polyfit(np.log(edges[1:]), np.log(means), 1)[0])
    assert 2.2 < np.mean(slopes) < 3.6


@pytest.mark.parametrize("task", SUITE.tasks)
def test_the_film_takes_the_place_of_what_is_blue_and_of_nothing_else(task):
    env, plain = make(task), make(task.replace("dmcnbg", "dmc"))
    for each in (env, plain):
        each.reset(options={"episode": 2})
    actions = random_actions(env, 3)
    shown, without = play(env, actions), play(plain, actions)
    assert_same([shown[1]], [without[1]])  # rewards
    assert_same([env.save_state()], [plain.save_state()])
    red, green, blue = np.moveaxis(plain.render_image().astype(int), -1, 0)
    behind = (blue > green) & (blue > red)
    image = env.render_image()
    assert 0.85 < behind.mean() < 1
    np.testing.assert_array_equal(image[behind], np.repeat(env.background()[behind][:, None], 3, 1))
    np.testing.assert_array_equal(image[~behind], plain.render_image()[~behind])


def test_a_frame_of_the_film_an_action_from_where_the_episode_begins():
    env, frames = make(), films.film("", 64).frames
    starts = []
    for episode in range(3):
        env.reset(options={"episode": episode})
        starts.append(next(i for i, frame in enumerate(frames) if np.array_equal(frame, env.background())))
        for ahead in range(1, 4):
            env.step(np.zeros(6))
            np.testing.assert_array_equal(env.background(), frames[(starts[-1] + ahead) % len(frames)])
    assert len(set(starts)) == 3
    saved, other = env.save_state(), make(seed=9)
    np.testing.assert_array_equal(other.restore_state(saved)["image"], env.render_image())


def test_frames_of_a_folder_play_in_the_order_of_their_names(tmp_path, capsys):
    for number in range(3):
        Image.new("RGB", (90, 80), (10 * number, 10 * number, 10 * number)).save(tmp_path / f"{number}.png")
    env = make(film=str(tmp_path))
    env.reset()
    shown = []
    for _ in range(4):
        shown.append(int(env.background()[0, 0]))
        env.step(np.zeros(6))
    assert sorted(shown[:3]) == [0, 10, 20] and shown[3] == shown[0] and (shown[1] - shown[0]) % 30 == 10
    assert env.look["backdrop"] != make().look["backdrop"]
    words = ["--task", "dmcnbg_cheetah_run", "--preset", "smoke", "--folder", str(tmp_path / "run"), "--quiet"]
    (tmp_path / "none").mkdir()
    refused(capsys, main, [*words, "--env.film", str(tmp_path / "none")], "env.film", "none")
    (tmp_path / "1.png").write_bytes(b"no picture")
    films._read.cache_clear()
    refused(capsys, main, [*words, "--env.film", str(tmp_path)], "env.film", "1.png")


def test_an_agent_trains_before_a_film(tmp_path):
    words = ["--task", "dmcnbg_cartpole_balance", "--preset", "smoke", "--env.render", "fast", "--quiet"]
    main([*words, "--folder", str(tmp_path)])
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["kind"] == "eval"
