"""Checkpoints of a run: damaged, lost, of another version, killed between two renames."""

import errno
from pathlib import Path

import pytest
import torch

from hdream_core.config.presets import make_config
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


def test_lost_checkpoints_are_no_reason_to_start_over(tmp_path):
    config = make_config("mini_lever", "smoke")
    train(config, tmp_path)
    metrics = (tmp_path / "metrics.jsonl").read_bytes()
    for name in ("done", "checkpoint.pt", "checkpoint.previous.pt"):
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="checkpoints are gone"):
        train(config, tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == metrics


@pytest.mark.parametrize(("lost", "said"), [("rngs", "lacks 'rngs'"), ("optimizers", "lacks 'optimizers'")])
def test_a_checkpoint_of_another_version_is_one_line_and_nothing_is_lost(tmp_path, lost, said):
    config = make_config("mini_lever", "smoke", changes={"train.steps": 300, "log.checkpoint_every": 100})
    run_until(config, tmp_path, 160)
    state = checkpoint.load(tmp_path / "checkpoint.pt")
    del state[lost]
    checkpoint.save(tmp_path, state)
    before = bytes_of(tmp_path, "*.raw", "metrics.jsonl")
    with pytest.raises(CheckpointError, match=said):
        train(config, tmp_path)
    assert before == bytes_of(tmp_path, "*.raw", "metrics.jsonl")


def test_kill_between_the_renames_of_a_checkpoint(tmp_path):
    checkpoint.save(tmp_path, {"step": 1})
    checkpoint.save(tmp_path, {"step": 2})
    assert [load(tmp_path / name)["step"] for name in (checkpoint.LATEST, checkpoint.PREVIOUS)] == [2, 1]
    (tmp_path / checkpoint.LATEST).rename(tmp_path / checkpoint.NEXT)
    assert checkpoint.load_run(tmp_path)["step"] == 2
    (tmp_path / checkpoint.NEXT).unlink()
    assert checkpoint.load_run(tmp_path)["step"] == 1
    assert checkpoint.load_run(tmp_path / "nowhere") is None


def test_only_damaged_checkpoints_are_named_and_kept(tmp_path):
    config = smoke()
    run_until(config, tmp_path, 60)
    for name in (checkpoint.LATEST, checkpoint.PREVIOUS):
        (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: damaged.*previous\.pt: damaged.*to start over"):
        Trainer(config, tmp_path).resume()
    assert (tmp_path / checkpoint.LATEST).exists()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), *ACCELERATOR])
def test_a_full_device_is_not_called_a_damaged_checkpoint(tmp_path, monkeypatch, error):
    """A sweep starts such a run again, and its user does not delete it."""
    config = smoke()
    run_until(config, tmp_path, 60)

    def full(*_, **__):
        raise error

    monkeypatch.setattr(DreamerV2, "load_training_state", full)
    with pytest.raises(type(error)):
        Trainer(config, tmp_path).resume()
    monkeypatch.undo()
    monkeypatch.setattr(DreamerV2, "load_state_dict", full)
    with pytest.raises(type(error)):
        load_agent(tmp_path)


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (Path, "read_bytes", OSError(errno.ESTALE, "Stale file handle")),
        (Path, "read_bytes", OSError(errno.EIO, "I/O")),
        (Path, "read_bytes", MemoryError("memory")),
        (torch, "load", torch.OutOfMemoryError("out of memory")),
        (torch, "load", RuntimeError("can't allocate memory")),
    ],
)
def test_a_checkpoint_that_cannot_be_read_just_now_is_not_called_damaged(tmp_path, monkeypatch, owner, name, error):
    """A share that does not answer, memory that is full: no reason to go back a checkpoint and delete the good one."""
    run_until(SHORT, tmp_path, 160)
    before, read = bytes_of(tmp_path, "checkpoint*"), getattr(owner, name)

    def fails(path, *args, **options):
        if owner is torch or path.name == checkpoint.LATEST:
            raise error
        return read(path, *args, **options)

    monkeypatch.setattr(owner, name, fails)
    with pytest.raises((type(error), CheckpointError), match=r"memory|Stale|I/O"):
        Trainer(SHORT, tmp_path).resume()
    monkeypatch.undo()
    assert len(before) == 2 and before == bytes_of(tmp_path, "checkpoint*")
