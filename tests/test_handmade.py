"""Hand-made buffers: what ``validate`` passes trains as it says; what cannot be trained on is refused by both."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hdream_core.data.offline import open_buffer
from hdream_core.data.replay import split_episodes
from hdream_core.train import main as train
from offline_buffers import validate
from offline_buffers.build import Build, build
from tests.handmade import handmade, resized

SMOKE = "--task mini_lever --preset smoke --train.steps 100 --eval.every 50 --eval.context 5 --eval.horizon 10 --quiet"


@pytest.fixture(scope="module")
def buffer(tmp_path_factory):
    out = tmp_path_factory.mktemp("buffer") / "b"
    return build(Build("mini_lever", 200, workers=1, out=out), show_progress=False)


def status(command, words):
    """The exit status of a command that runs in this process."""
    try:
        command(words)
    except SystemExit as stop:
        return stop.code
    return 0


def train_on(folder, *flags):
    words = ["--offline-buffer", str(folder), "--folder", str(folder.parent / "run"), *SMOKE.split(), *flags]
    return status(train, words)


def refused_by_both(folder, capsys):
    """The line that both commands end with; nothing is trained."""
    said = []
    for command in (lambda: status(validate.main, [str(folder)]), lambda: train_on(folder)):
        assert command() == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1] and said[0].count("\n") == 1 and str(folder) in said[0]
    assert not (folder.parent / "run").exists()
    return said[0]


def put(name, values, episode=0, at=slice(None)):
    """A change of one field of one episode: the whole of it, or some entries."""

    def change(episodes):
        old = episodes[episode][name]
        if at == slice(None):
            episodes[episode][name] = values(old) if callable(values) else np.full_like(old, values)
        else:
            old[at] = values

    return change


def mixed_rewards(episodes):
    for episode, dtype in zip(episodes, (np.int64, np.float32, np.float64, np.float16), strict=True):
        episode["rewards"] = np.zeros(50, dtype)
    episodes[1]["rewards"][3], episodes[2]["rewards"][3], episodes[3]["rewards"][3] = 0.9, 2.75, 0.5


TAKEN = {
    "rewards of four dtypes, whole numbers first": mixed_rewards,
    "boolean rewards": put("rewards", lambda old: np.arange(50) % 2 == 0),
    "big-endian rewards": put("rewards", lambda old: old.astype(">f8")),
    "float64 actions": put("actions", lambda old: old.astype(np.float64), episode=2),
    "whole-numbered actions": put("actions", lambda old: np.sign(old).astype(np.int8)),
    "flags as numbers": put("terminations", lambda old: old.astype(np.float32)),
    "float32 states": put("state", lambda old: old.astype(np.float32)),
    "a terminal last step": put("terminations", True, at=-1),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_taken_is_read_as_it_is(case, buffer, tmp_path, capsys):
    folder = handmade(buffer, tmp_path / "b", TAKEN[case])
    assert status(validate.main, [str(folder)]) == 0
    told = capsys.readouterr().out
    assert train_on(folder) == 0
    said = capsys.readouterr().err
    assert open_buffer(folder) and not capsys.readouterr().err  # said when it is unpacked and not again
    assert ("read as" in told) == ("read as" in said) == ("terminal" not in case)
    plain = open_buffer(buffer).store.episode(0)
    found = open_buffer(folder).store.episode(0)
    assert {name: values.dtype for name, values in found.items()} == {name: v.dtype for name, v in plain.items()}
    if case.startswith("rewards"):
        rewards = [open_buffer(folder).store.episode(index)["reward"][4] for index in range(4)]
        np.testing.assert_array_equal(rewards, np.array([0, 0.9, 2.75, 0.5], np.float32))


REFUSED = {
    "rewards out of float32's range": (put("rewards", lambda old: np.full(50, 1e300)), "rewards"),
    "complex rewards": (put("rewards", lambda old: old.astype(np.complex64)), "rewards"),
    "rewards in a column": (put("rewards", lambda old: old[:, None]), "rewards"),
    "rewards of fewer steps": (put("rewards", lambda old: old[:-3]), "episode_0"),
    "infinite rewards": (put("rewards", np.inf), "rewards"),
    "rewards that are text": (put("rewards", lambda old: np.full(50, b"1")), "rewards"),
    "actions without an axis": (put("actions", lambda old: old[:, 0]), "actions"),
    "NaN actions": (put("actions", np.nan), "actions"),
    "actions beyond 1": (put("actions", lambda old: np.full((50, 2), 2)), "actions"),
    "flags of 2": (put("terminations", lambda old: np.full(50, 2)), "terminations"),
    "a terminal in mid-episode": (put("terminations", True, at=20), "terminations"),
    "flags that are text": (put("terminations", lambda old: old.astype("S1")), "terminations"),
    "frames without colours": (put("image", lambda old: old[..., 0]), "image"),
    "float frames": (put("image", lambda old: old / np.float32(255)), "image"),
    "NaN states": (put("state", np.nan, episode=3), "state"),
    "one episode's frames smaller": (put("image", lambda old: old[:, ::2, ::2], episode=3), "image"),
    "one episode's actions longer": (put("actions", lambda old: np.zeros((50, 3)), episode=3), "actions"),
    "an episode without steps": (lambda episodes: episodes.__setitem__(1, resized(episodes[1], 0)), "episode_1"),
    "no episodes": (lambda episodes: episodes.clear(), "episodes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_refused_by_both(case, buffer, tmp_path, capsys):
    change, named = REFUSED[case]
    assert named in refused_by_both(handmade(buffer, tmp_path / "b", change), capsys)


@pytest.mark.parametrize(
    ("shape", "actions"),
    [((48, 48, 3), 2), ((64, 48, 3), 2), ((84, 84, 3), 2), ((32, 32, 1), 2), ((8, 8, 3), 2), ((32, 32, 3), 4)],
)
def test_frames_and_actions_are_the_tasks(shape, actions, buffer, tmp_path, capsys):
    def change(episodes):
        for episode in episodes:
            episode |= {"image": np.zeros((51, *shape), np.uint8), "actions": np.zeros((50, actions), np.float32)}

    spec = {"image": shape, "action": {"kind": "continuous", "dim": actions}, "time_limit": 50}
    refused_by_both(handmade(buffer, tmp_path / "b", change, spec=spec), capsys)


@pytest.mark.parametrize("side", [48, 84])
def test_frames_of_other_sizes_train_where_the_task_can_be_drawn_so(side, buffer, tmp_path, capsys):
    rng = np.random.default_rng(0)

    def change(episodes):
        for episode in episodes:
            episode["image"] = rng.integers(0, 256, (51, side, side, 3), np.uint8)
            episode["actions"] = np.zeros((50, 4), np.float32)
            episode["state"] = np.zeros((51, 39))

    spec = {"image": [side, side, 3], "action": {"kind": "continuous", "dim": 4}, "time_limit": 50}
    look = {"render": "fast", "camera": "corner2"}
    folder = handmade(buffer, tmp_path / "b", change, spec=spec, task="lever_pull", look=look, **look)
    assert status(validate.main, [str(folder)]) == 0
    task = ["--task", "lever_pull", "--eval.episodes", "1"]
    assert train_on(folder, *task) == 2
    assert f"env.size={side}" in capsys.readouterr().err
    assert train_on(folder, *task, "--env.size", str(side)) == 0


def test_mixed_lengths_are_held_to_each_split(buffer, tmp_path, capsys):
    """Episodes 2 and 3 of 4 are held out here; the others are too short to train on."""

    def change(episodes):
        for index in split_episodes(4, 0.5)[0]:
            episodes[index] = resized(episodes[index], 20)

    folder = handmade(buffer, tmp_path / "b", change)
    assert status(validate.main, [str(folder)]) == 0
    assert train_on(folder, "--eval.heldout-fraction", "0.5", "--train.length", "30") == 2
    said = capsys.readouterr().err
    assert "train.length is 30" in said and "21 frames" in said and said.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert train_on(folder, "--eval.heldout-fraction", "0.5", "--train.length", "20") == 0


BUILD_TOY = """
from hdream_core.envs import registry
registry._SUITES["toy"] = "tests.fake.suite"  # in worker processes, too, which run this file's top
if __name__ == "__main__":
    import sys
    from offline_buffers.build import main
    main(sys.argv[1:])
"""


def test_a_buffer_of_episodes_that_end_early_has_the_steps_asked_for(tmp_path):
    script = tmp_path / "build_toy.py"
    script.write_text(BUILD_TOY)
    root = Path(__file__).parents[1]
    for workers in ("1", "2"):
        words = f"--task toy --source random --steps 150 --workers {workers} --out {tmp_path / workers}".split()
        done = subprocess.run(
            [sys.executable, str(script), *words], env={"PYTHONPATH": str(root)}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    stores = [open_buffer(tmp_path / workers).store for workers in ("1", "2")]
    assert stores[0].lengths == stores[1].lengths
    rewards = np.concatenate([stores[0].episode(index)["reward"] for index in range(stores[0].episodes)])
    last = stores[0].episode(stores[0].episodes - 1)["reward"].sum()
    # The toy's reward is the environment steps of an action; a last action that was cut short counts as one.
    assert 150 <= rewards.sum() < 150 + last + stores[0].episodes
