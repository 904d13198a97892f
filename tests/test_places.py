"""Buffers, runs and folders that cannot be written, and file systems without ``flock``.

What is there is used, what is made goes elsewhere and is said. A lock that nobody holds is named.
"""

import errno
import os
import subprocess
import sys

import pytest

from analysis import clean
from hdream_core.runs import folder as run_folder
from hdream_core.support import locks, places
from tests.refusals import ROOT, python, typed
from tests.unwritable import SMOKE, command, read_only, refused

TRAIN = ["hdream_core.train", *SMOKE, "--quiet", "--eval.context", "5", "--eval.horizon", "10"]
# Read by Python before anything else: flock as a kernel without it answers. HDF5, which locks in C, is asked not to.
REFUSE = "import fcntl\ndef flock(*_): raise OSError({code}, 'as this file system answers')\nfcntl.flock = flock\n"


def test_a_read_only_buffer_is_unpacked_once_into_the_cache_or_used_as_it_is(packed, tmp_path, monkeypatch):
    def train(folder, **environment):
        return command(*TRAIN, "--offline-buffer", packed, "--folder", folder, cwd=tmp_path, **environment)

    with read_only(packed):
        first, second = train("first"), train("second")
    usual = train("usual", HDREAM_CACHE=tmp_path / "no")
    with read_only(packed):
        again = train("again", HDREAM_CACHE=tmp_path / "no")
    assert [done.returncode for done in (first, second, usual, again)] == [0, 0, 0, 0], (first, second, usual, again)
    assert first.stderr.count("\n") == 1 and str(packed) in first.stderr and str(tmp_path / "cache") in first.stderr
    assert not second.stderr and not again.stderr and not (tmp_path / "no").exists()
    assert len({path.read_bytes() for path in tmp_path.glob("*/metrics.jsonl")}) == 1
    unpacked = [list(folder.rglob("episodes.npy")) for folder in (packed, tmp_path / "cache")]
    monkeypatch.setenv(places.CACHE, str(tmp_path / "cache"))
    clean.main(["--runs", str(tmp_path), "--unpacked", str(packed), "--yes"])
    assert all(unpacked) and not list(tmp_path.rglob("episodes.npy"))


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


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)
def test_buffers_and_runs_need_no_flock(tmp_path, code):
    (tmp_path / "sitecustomize.py").write_text(REFUSE.format(code=code))
    buffer, run, packages = tmp_path / "buffer", tmp_path / "run", f"{tmp_path}{os.pathsep}{ROOT}"
    build = ["--task", "mini_lever", "--steps", "300", "--workers", "1", "--out", buffer]
    done = typed("offline_buffers.build", *build, code=packages)
    assert done.returncode == 0, done.stderr
    done = typed(*TRAIN, "--offline-buffer", buffer, "--folder", run, code=packages)
    assert done.returncode == 0 and run_folder.is_done(run), done.stderr
    assert not list(tmp_path.rglob("*.held"))  # given back


def test_a_lock_without_flock_keeps_others_out_and_forgets_the_dead(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_has_flock", lambda lock: False)
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.3)
    lock = tmp_path / "lock"
    lock.touch()
    with locks.exclusive(lock, "at it"):
        code = (
            "import sys; from pathlib import Path; from hdream_core.support import locks\n"
            "locks._has_flock = lambda lock: False\n"
            "print(locks.is_held(Path(sys.argv[1])))"
        )
        assert python("-c", code, lock).stdout == "True\n"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    held = tmp_path / "lock.held"
    held.write_text(f"{dead.pid}\n{os.uname().nodename}\n")
    with locks.exclusive(lock, "at it"):  # a process of this host that is gone holds nothing
        pass
    held.write_text("4711\nanother-host\n")
    expected = rf"another process is at it; .*if process 4711 of host another-host is gone, delete {held}"
    with pytest.raises(locks.BusyError, match=expected), locks.exclusive(lock, "at it"):
        pass
