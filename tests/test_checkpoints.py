"""Checkpoints of a run: damaged, lost, of another version, killed between two renames."""

import errno
from pathlib import Path

import pytest
import torch

from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.runs import checkpoint
from hdream_core.runs.checkpoint import CheckpointError, load
from hdream_core.runs.load import load_agent
from hdream_core.runs.trainer import Trainer
from hdream_core.train import train
from tests.small import run_until, smoke

SHORT = smoke(**{"train.steps": 200, "log.checkpoint_every": 50})
# Older versions have no such error.
ACCELERATOR = [torch.AcceleratorError("device-side assert")] if hasattr(torch, "AcceleratorError") else []


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[: len(data) // 3]
    elif how == "empty":
        data = bytearray()
    else:
        data[how % len(data)] ^= 1 << (how % 8)
    path.write_bytes(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run from beginning to end."""
    folder = tmp_path_factory.mktemp("whole")
    train(SHORT, folder)
    return folder


@pytest.mark.parametrize("how", ["cut", "empty", 123, 45_678, 3_000_001])
def test_damaged_checkpoint_gives_way_to_the_one_before(whole, tmp_path, capsys, how):
    """The run ends as if nothing had happened; numbers: which bit is flipped."""
    broken = tmp_path / "broken"
    run_until(SHORT, broken, 160)
    damage(broken / "checkpoint.pt", how)
    train(SHORT, broken)
    assert "checkpoint.pt: damaged" in capsys.readouterr().err
    assert (whole / "metrics.jsonl").read_bytes() == (broken / "metrics.jsonl").read_bytes()
    a, b = (load(folder / "checkpoint.pt")["agent"] for folder in (whole, broken))
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def bytes_of(folder, *patterns):
    return {path: path.read_bytes() for pattern in patterns for path in folder.rglob(pattern)}


def lacking(name):
    """Of another version."""

    def spoil(folder):
        state = load(folder / checkpoint.LATEST)
        del state[name]
        checkpoint.save(folder, state)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: [path.unlink() for path in folder.glob("checkpoint*")], "checkpoints are gone"),
        (
            lambda folder: [path.write_bytes(b"no checkpoint") for path in folder.glob("checkpoint*")],
            r"checkpoint\.pt: damaged.*previous\.pt: damaged.*to start over",
        ),
        (lacking("rngs"), "lacks 'rngs'"),
        (lacking("optimizers"), "lacks 'optimizers'"),
    ],
    ids=["gone", "damaged", "rngs", "optimizers"],
)
def test_a_run_that_cannot_go_on_is_one_line_and_nothing_is_lost(tmp_path, spoil, said):
    run_until(SHORT, tmp_path, 160)
    spoil(tmp_path)
    kept = "*.raw", "metrics.jsonl", "checkpoint*"
    before = bytes_of(tmp_path, *kept)
    with pytest.raises(CheckpointError, match=said):
        train(SHORT, tmp_path)
    assert before == bytes_of(tmp_path, *kept)


def test_kill_between_the_renames_of_a_checkpoint(tmp_path):
    checkpoint.save(tmp_path, {"step": 1})
    checkpoint.save(tmp_path, {"step": 2})
    assert [load(tmp_path / name)["step"] for name in (checkpoint.LATEST, checkpoint.PREVIOUS)] == [2, 1]
    (tmp_path / checkpoint.LATEST).rename(tmp_path / checkpoint.NEXT)
    assert checkpoint.load_run(tmp_path)["step"] == 2
    (tmp_path / checkpoint.NEXT).unlink()
    assert checkpoint.load_run(tmp_path)["step"] == 1
    assert checkpoint.load_run(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (Path, "read_bytes", OSError(errno.ESTALE, "Stale file handle")),
        (Path, "read_bytes", OSError(errno.EIO, "I/O")),
        (Path, "read_bytes", MemoryError("memory")),
        (torch, "load", torch.OutOfMemoryError("out of memory")),
        (torch, "load", RuntimeError("can't allocate memory")),
        *((DreamerV2, "load_state_dict", error) for error in [torch.OutOfMemoryError("CUDA memory"), *ACCELERATOR]),
    ],
)
def test_a_checkpoint_that_cannot_be_loaded_just_now_is_not_called_damaged(tmp_path, monkeypatch, owner, name, error):
    """A share that does not answer, memory or a device that is full: no reason to delete the good one.

    A sweep starts such a run again.
    """
    run_until(SHORT, tmp_path, 160)
    before, true = bytes_of(tmp_path, "checkpoint*"), getattr(owner, name)

    def fails(first, *args, **options):
        if owner is not Path or first.name == checkpoint.LATEST:
            raise error
        return true(first, *args, **options)

    monkeypatch.setattr(owner, name, fails)
    expected = (type(error), CheckpointError) if owner is not DreamerV2 else type(error)
    for loading in (Trainer(SHORT, tmp_path).resume, lambda: load_agent(tmp_path)):
        with pytest.raises(expected, match=r"memory|Stale|I/O|assert"):
            loading()
    monkeypatch.undo()
    assert len(before) == 2 and before == bytes_of(tmp_path, "checkpoint*")
