"""Buffers, runs and folders that cannot be written: what is there is used, what is made goes elsewhere and is said."""

import pytest

from analysis import clean
from hdream_core.runs import folder as run_folder
from hdream_core.support import places
from tests.unwritable import SMOKE, command, read_only, refused

TRAIN = ["hdream_core.train", *SMOKE, "--quiet", "--eval.context", "5", "--eval.horizon", "10"]


def test_a_read_only_buffer_that_is_unpacked_is_used_as_it_is(packed, tmp_path):
    first = command(*TRAIN, "--offline-buffer", packed, "--folder", "first", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    with read_only(packed):
        done = command(*TRAIN, "--offline-buffer", packed, "--folder", "run", cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert run_folder.is_done(tmp_path / "run") and not (tmp_path / "cache").exists()


def test_a_read_only_buffer_is_unpacked_once_into_the_cache(packed, tmp_path):
    with read_only(packed):
        first = command(*TRAIN, "--offline-buffer", packed, "--folder", "first", cwd=tmp_path)
        second = command(*TRAIN, "--offline-buffer", packed, "--folder", "second", cwd=tmp_path)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stderr.count("\n") == 1 and str(packed) in first.stderr and str(tmp_path / "cache") in first.stderr
    assert not second.stderr
    usual = command(*TRAIN, "--offline-buffer", packed, "--folder", "usual", cwd=tmp_path, HDREAM_CACHE=tmp_path / "no")
    assert usual.returncode == 0 and not (tmp_path / "no").exists()
    metrics = {(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("first", "second", "usual")}
    assert len(metrics) == 1


def test_the_cached_copy_is_cleaned_with_the_other(packed, tmp_path, monkeypatch):
    with read_only(packed):
        done = command(*TRAIN, "--offline-buffer", packed, "--folder", "runs/r", cwd=tmp_path)
    assert done.returncode == 0 and list((tmp_path / "cache").rglob("episodes.npy"))
    monkeypatch.setenv(places.CACHE, str(tmp_path / "cache"))
    clean.main(["--runs", str(tmp_path / "runs"), "--unpacked", str(packed), "--yes"])
    assert not list((tmp_path / "cache").rglob("episodes.npy"))


@pytest.mark.parametrize("cache", ["a file", "read-only", "no home"])
def test_a_cache_that_cannot_be_written_either_is_one_line(cache, packed, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "locked").mkdir()
    changes = {
        "a file": {"HDREAM_CACHE": tmp_path / "file"},
        "read-only": {"HDREAM_CACHE": tmp_path / "locked" / "cache"},
        "no home": {"HDREAM_CACHE": "", "HOME": tmp_path / "locked" / "home"},
    }
    with read_only(packed), read_only(tmp_path / "locked"):
        done = command(*TRAIN, "--offline-buffer", packed, "--folder", "run", cwd=tmp_path, **changes[cache])
    refused(done, packed, "HDREAM_CACHE")
    assert done.stderr.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_read_only_buffer_is_validated_described_and_not_built_again(packed, tmp_path):
    job = ["--task", "mini_lever", "--steps", "500", "--out", packed]
    with read_only(packed):
        valid = command("offline_buffers.validate", packed, cwd=tmp_path)
        told = command("offline_buffers.describe", packed, cwd=tmp_path)
        again = command("offline_buffers.build", *job, cwd=tmp_path)
        other = command("offline_buffers.build", *job, "--seed", "3", cwd=tmp_path)
    assert valid.returncode == told.returncode == again.returncode == 0, valid.stderr + told.stderr + again.stderr
    assert told.stdout.splitlines()[-1].split() == ["picture", "b.png"] and (tmp_path / "b.png").stat().st_size
    refused(other, packed, "seed=0")


def test_runs_of_another_user_are_listed_and_collected(packed, tmp_path):
    study = ["finding1", *SMOKE, "--mode", "offline", "--buffer", packed, "--w-r", "1"]
    made = command(f"analysis.{study[0]}", *study[1:], cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (run,) = (path.parent for path in (tmp_path / "runs").rglob("done"))
    (run / "done").rename(run / "set aside")  # so that the lock is asked for, which nobody holds
    with read_only(tmp_path / "runs"), read_only(packed):
        listed = command("analysis.status", cwd=tmp_path)
        collected = command("analysis.collect", *study, "--results", "other", cwd=tmp_path)
    assert listed.returncode == collected.returncode == 0, listed.stderr + collected.stderr
    assert "0 done, 0 running, 0 failed, 1 waiting" in listed.stdout
    assert (tmp_path / "other" / "finding1_mini_lever_smoke.h5").exists()


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["analysis.finding1", *SMOKE, "--results", "locked/results"], "--results"),
        (["analysis.loss_scales", *SMOKE, "--out", "locked"], "--out"),
        (["analysis.demo", *SMOKE, "--folder", "locked/deep/er"], "--folder"),
        (["analysis.finding1", *SMOKE, "--results", "file"], "--results"),
        (["offline_buffers.build", "--task", "mini_lever", "--steps", "50", "--out", "locked/b"], "--out"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_cannot_be_written_is_said_before_anything_starts(words, flag, tmp_path):
    (tmp_path / "locked").mkdir()
    (tmp_path / "file").touch()
    with read_only(tmp_path / "locked"):
        refused(command(*words, cwd=tmp_path), words[-1], flag)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "locked"]
