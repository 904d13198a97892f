"""Buffers: the commands, resuming a build, Minari's own reader, and refusing what is broken."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from hdream_core.config.presets import make_config
from hdream_core.data.minari_layout import DatasetError, read_episode
from hdream_core.data.offline import open_buffer
from hdream_core.data.sources import Offline
from hdream_core.support import sealed
from hdream_core.support.errors import ConfigError
from offline_buffers import build as build_module
from offline_buffers import describe, validate
from offline_buffers.build import Build, build
from tests.refusals import refused


def sha(folder):
    return json.loads((folder / "data" / "metadata.json").read_text())["hdream"]["sha256"]


def test_commands_build_validate_and_describe(tmp_path, capsys):
    out = tmp_path / "b"
    command = ["--task", "mini_lever", "--steps", "120", "--source", "random", "--workers", "1", "--out", str(out)]
    build_module.main(command)
    assert "3 episodes, 150 steps" in capsys.readouterr().out
    build_module.main(command)  # again: already there
    validate.main([str(out)])
    assert "valid, 3 episodes, 150 steps" in capsys.readouterr().out
    describe.main([str(out)])
    text = capsys.readouterr().out
    assert "random" in text and "success" in text
    assert (out / "describe.png").read_bytes().startswith(b"\x89PNG")


def break_off(job, monkeypatch):
    """Builds, and is interrupted when all parts are there."""

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build_module, "merge", dies)
        build(job, show_progress=False)
    assert not (job.out / "data").exists()


def built_with_a_break(job, monkeypatch):
    """Builds from two parts, of which the second was lost when it broke off; the first is not made again."""
    break_off(job, monkeypatch)
    kept, lost = sorted((job.out / "parts").glob("part_*.h5"))
    lost.rename(lost.with_suffix(".tmp"))  # as a kill in the middle of a part leaves it
    stamp, merge, seen = kept.stat().st_mtime_ns, build_module.merge, []

    def watched(parts, *rest):
        seen.extend(part.stat().st_mtime_ns for part in parts)
        return merge(parts, *rest)

    monkeypatch.setattr(build_module, "merge", watched)
    folder = build(job, show_progress=False)
    assert seen[0] == stamp < seen[1]
    return folder


def test_interrupted_build_resumes_to_the_same_buffer(buffer, tmp_path, monkeypatch):
    job = Build("mini_lever", 500, workers=1, out=tmp_path / "b")
    assert sha(built_with_a_break(job, monkeypatch)) == sha(buffer)


def test_buffer_does_not_depend_on_the_number_of_workers(buffer, tmp_path):
    assert sha(build(Build("mini_lever", 500, workers=2, out=tmp_path / "b"), show_progress=False)) == sha(buffer)


def test_minari_reads_it_and_agrees_with_training(buffer):
    from minari import MinariDataset

    dataset = MinariDataset(buffer / "data")
    store = open_buffer(buffer).store
    assert dataset.total_steps == 500 and dataset.total_episodes == store.episodes == 10
    for index, episode in enumerate(dataset.iterate_episodes()):
        rows = store.episode(index)
        np.testing.assert_array_equal(rows["image"], episode.observations["image"])
        np.testing.assert_array_equal(rows["action"][1:], episode.actions)
        np.testing.assert_allclose(rows["reward"][1:], episode.rewards)
        assert episode.infos["sim_state"].shape[0] == len(episode.rewards) + 1


def test_recorded_states_replay_the_recorded_continuation(buffer):
    from hdream_core import envs

    with h5py.File(buffer / "data" / "main_data.hdf5") as file:
        episode = read_episode(file, 4)
    env = envs.make("mini_lever")
    env.restore_state(episode["sim_state"][20])
    for t in range(20, 30):
        obs, reward, *_ = env.step(episode["actions"][t])
        np.testing.assert_array_equal(obs["image"], episode["image"][t + 1])
        assert reward == pytest.approx(episode["rewards"][t], abs=1e-6)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f["episode_2/rewards"].__setitem__(3, np.nan), "episode_2: rewards has a value that is not finite"),
        (lambda f: f["episode_2/rewards"].__setitem__(3, 7.7), "episode_2 does not match its sha256"),
        (lambda f: f["episode_2/actions"].__setitem__(3, 2.0), "actions leave"),
        (lambda f: f.__delitem__("episode_2/infos/success"), "success is missing"),
        (lambda f: f.__delitem__("episode_9"), "holds 9 episodes, its metadata says 10"),
    ],
)
def test_validate_names_what_is_wrong(packed, damage, message):
    path = packed / "data" / "main_data.hdf5"
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(DatasetError, match="has changed since it was written"):
        validate.validate(packed)
    sealed.seal(path)  # by someone who knows how
    with pytest.raises(DatasetError, match=message):
        validate.validate(packed)


def test_half_written_files_are_never_taken_for_whole(packed, capsys):
    main = packed / "data" / "main_data.hdf5"
    main.write_bytes(main.read_bytes()[: main.stat().st_size // 2])
    for module in (validate, describe):
        refused(capsys, module.main, [str(packed)], "cannot be opened")
    shutil.rmtree(packed / "unpacked", ignore_errors=True)
    with pytest.raises(DatasetError, match="cannot be opened"):
        open_buffer(packed)
    (packed / "data" / "metadata.json").unlink()
    with pytest.raises(DatasetError, match="no complete buffer"):
        open_buffer(packed)


def test_buffers_of_two_jobs_never_mix(buffer, tmp_path, monkeypatch):
    """Neither where one is whole nor where there are parts of it."""
    parts = {"steps": 100, "source": "random", "workers": 1, "out": tmp_path}
    break_off(Build("mini_lever", **parts), monkeypatch)
    for settings, said in (
        (parts | {"source": "scripted"}, "source="),
        (parts | {"seed": 3}, "seed="),
        (parts | {"steps": 300}, "steps="),
        ({"steps": 600, "out": buffer}, "steps=500, not 600"),
    ):
        with pytest.raises(ConfigError, match=f"holds a buffer with {said}"):
            build(Build("mini_lever", **settings), show_progress=False)


def test_killed_build_leaves_no_process_and_resumes(tmp_path):
    out = tmp_path / "b"
    command = [sys.executable, *"-m offline_buffers.build --task mini_lever --steps 5000 --workers 2".split()]
    process = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list((out / "parts").glob("part_*.h5") if (out / "parts").exists() else []):
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while (left := children_of(process.pid, str(out))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    build(Build("mini_lever", 5000, workers=2, out=out), show_progress=False)
    assert validate.validate(out) == 100


def children_of(pid, word):
    """Processes still running that a killed build started: spawned workers name their parent's pipe, not its folder."""
    listing = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [
        line for line in listing.splitlines() if ("spawn_main" in line and f"parent_pid={pid}" in line) or word in line
    ]


def test_training_and_heldout_episodes_are_disjoint(buffer):
    config = make_config("mini_lever", "smoke", changes={"offline_buffer": str(buffer), "eval.heldout_fraction": 0.3})
    source = Offline(config)
    assert not set(source.replay.usable(8)) & set(source.heldout.usable(8))
    assert len(source.heldout.usable(8)) == 3
    seen = source.replay.starts(np.random.default_rng(0), 500, 8)
    episodes = set(np.searchsorted(source.store.starts, seen, "right") - 1)
    assert episodes == set(source.replay.usable(8))
