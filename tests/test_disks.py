"""Disks that are full or cannot be written, files that lost a part or have other shapes: one line, and nothing lost."""

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from analysis.results import schema
from analysis.results.schema import save
from analysis.runs import gather, sweep
from hdream_core.config.presets import make_config
from hdream_core.runs import folder as run_folder
from hdream_core.support import sealed, untrusted
from hdream_core.support.errors import IO_ERROR
from hdream_core.train import main
from offline_buffers.build import Build, build
from offline_buffers.build import main as build_main
from offline_buffers.validate import validate
from tests.made_up import result
from tests.refusals import one_line, refused, typed
from tests.test_faults import same_files

FLAGS = ["--task", "mini_lever", "--preset", "smoke", "--quiet"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("cannot mount a file system here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a run's store may still be open


def test_a_full_disk_is_one_line_and_the_run_goes_on(small_disk, tmp_path, capsys):
    run = small_disk / "run"
    (small_disk / "ballast").write_bytes(b"x" * (700 * 1024))
    refused(capsys, main, [*FLAGS, "--folder", str(run)], "No space left", status=IO_ERROR)
    (small_disk / "ballast").unlink()
    main([*FLAGS, "--folder", str(run)])
    main([*FLAGS, "--folder", str(tmp_path / "whole")])
    same_files(run, tmp_path / "whole", ["metrics.jsonl"])
    assert run_folder.is_done(run) and not list(run.glob(".*.tmp"))


def test_a_sweep_tries_a_run_again_whose_disk_was_full(small_disk):
    (small_disk / "ballast").write_bytes(b"x" * (700 * 1024))
    (run,) = sweep.plan([make_config("mini_lever", "smoke")], small_disk)
    with pytest.raises(sweep.SweepError, match="1 of 1"):
        sweep.execute([run], 1, lambda: None)
    assert (run.folder / "log.txt").read_text().count("No space left") == 2
    (small_disk / "ballast").unlink()
    sweep.execute([run], 1, lambda: None)
    assert run.done


def test_a_full_disk_ends_a_build_in_one_line_and_the_build_goes_on(small_disk, tmp_path, capsys):
    words = ["--task", "mini_lever", "--steps", "500", "--workers", "1"]
    (small_disk / "ballast").write_bytes(b"x" * (700 * 1024))
    for _ in range(2):
        refused(capsys, build_main, [*words, "--out", str(small_disk / "b")], status=IO_ERROR)
    assert not list(small_disk.rglob("*.tmp"))
    (small_disk / "ballast").unlink()
    build_main([*words, "--out", str(small_disk / "b")])
    assert validate(small_disk / "b") == 10 and not (small_disk / "b" / "parts").exists()


def test_a_result_does_not_fit_and_the_old_one_stays(small_disk):
    path = save(result(), small_disk / "r.h5")
    before = path.read_bytes()
    large = result()
    large.axes["window"] = np.arange(300_000)
    large.data["x"] = (("window",), np.random.default_rng(0).random(300_000))
    with pytest.raises(OSError):
        save(large, path)
    assert path.read_bytes() == before and schema.load(path)


def test_a_folder_that_cannot_be_written(small_disk, tmp_path, capsys):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused(capsys, main, [*FLAGS, "--folder", str(small_disk / "run")], "Read-only file system")


def test_a_renderer_that_does_not_start_is_one_line(tmp_path):
    words = ["--task", "lever_pull", "--preset", "smoke", "--quiet", "--folder", str(tmp_path / "run")]
    done = typed("hdream_core.train", *words, MUJOCO_GL="bogus")
    one_line(done.returncode, done.stderr, "bogus")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("what", ["result", "buffer", "episode", "part", "config", "windows"])
def test_a_share_that_does_not_answer_is_not_called_damage(what, buffer, tmp_path, monkeypatch):
    """Else a user deletes what is whole, and a sweep gives up what another try would have read."""

    def stale(*_, **__):
        raise OSError(errno.ESTALE, "Stale file handle")

    path = save(result(), tmp_path / "r.h5")
    run_folder.prepare(make_config("mini_lever", "smoke"), tmp_path / "run")
    np.savez(tmp_path / "heldout.npz", error=np.zeros(3))
    job = Build("mini_lever", 50, workers=1, out=tmp_path / "b")
    readers = {
        "result": (sealed, "open_to_read", lambda: schema.load(path)),
        "buffer": (sealed, "open_to_read", lambda: validate(buffer)),
        "episode": (untrusted, "array", lambda: validate(buffer)),
        "part": (sealed, "open_to_read", lambda: build(job, show_progress=False)),
        "config": (Path, "read_bytes", lambda: run_folder.read_config(tmp_path / "run")),
        "windows": (Path, "read_bytes", lambda: gather._heldout(tmp_path / "heldout.npz")),
    }
    module, name, read = readers[what]
    monkeypatch.setattr(module, name, stale)
    with pytest.raises(OSError, match="Stale file handle"):
        read()


def test_lost_rows_and_lines_are_not_papered_over(tmp_path, capsys):
    """A file shorter than its checkpoint counts on (a power cut, a copy that broke off) is an error, not zeros."""
    for lost in ("replay/reward.raw", "metrics.jsonl"):
        run = tmp_path / lost.replace("/", "_")
        main([*FLAGS, "--folder", str(run)])
        (run / "done").unlink()
        os.truncate(run / lost, 7)
        refused(capsys, main, [*FLAGS, "--folder", str(run)], "lost", Path(lost).name)


def test_what_a_killed_writer_left_is_removed(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".checkpoint.next.pt.123.tmp").write_bytes(b"half")
    main([*FLAGS, "--folder", str(run)])
    assert not list(run.glob(".*.tmp"))
