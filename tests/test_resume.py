"""A run that was interrupted goes on to the same end; a folder belongs to one run, and to one process at a time."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import load
from hdream_core.runs.metrics import read_metrics
from hdream_core.support import locks
from hdream_core.support.errors import ConfigError
from hdream_core.train import main, train
from offline_buffers.build import Build, build
from tests.small import run_until, smoke


@pytest.mark.parametrize(("method", "period"), [("dwa", "balancer.dwa_window"), ("nashmtl", "balancer.nash_every")])
def test_resumed_run_equals_an_undisturbed_one_to_the_bit(tmp_path, method, period):
    """With balancers that remember more than parameters; ``test_faults`` kills HarmonyDream anywhere, in both modes."""
    changes = {"train.steps": 400, "log.checkpoint_every": 100, "eval.every": 100, "train.prefill": 100, period: 4}
    changes |= {"log.gradients_every": 100}
    config, whole, broken = smoke(method=method, **changes), tmp_path / "whole", tmp_path / "broken"
    train(config, whole)
    for step in (135, 260, 395):
        run_until(config, broken, step)
    train(config, broken)
    assert (whole / "metrics.jsonl").read_bytes() == (broken / "metrics.jsonl").read_bytes()
    assert len({line.get("weight/reward") for line in read_metrics(whole / "metrics.jsonl")}) > 3  # they do move
    a, b = (load(folder / "checkpoint.pt")["agent"] for folder in (whole, broken))
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items())


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_length_that_no_update_ends_at_resumes_from_its_end(tmp_path, buffer, mode):
    """The clock then goes beyond the length; a run killed in its last evaluation has its checkpoint there."""
    config = smoke(offline_buffer=str(buffer) if mode == "offline" else None, **{"train.steps": 83})
    train(config, tmp_path)
    metrics = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "done").unlink()
    train(config, tmp_path)
    assert run_folder.is_done(tmp_path) and (tmp_path / "metrics.jsonl").read_bytes() == metrics
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["step"] == 85


def test_folder_of_another_run_is_refused(tmp_path):
    run_folder.prepare(smoke(), tmp_path)
    with pytest.raises(ConfigError, match=r"model\.depth=2, not 3"):
        run_folder.prepare(smoke(**{"model.depth": 3}), tmp_path)


def test_running_run_refuses_a_second_process(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.1)
    taken = locks.exclusive(tmp_path / "lock", "training this run")
    with taken, pytest.raises(ConfigError, match="another process is training this run"):
        train(smoke(), tmp_path)
    train(smoke(), tmp_path)  # and it is free afterwards
    assert run_folder.is_done(tmp_path)


def test_config_of_another_run_starts_the_same_run(tmp_path):
    train(smoke(method="harmony"), tmp_path / "first")
    for where in ("first", "first/config.json"):
        folder = tmp_path / where.replace("/", "_") / "again"
        main(["--config", str(tmp_path / where), "--folder", str(folder), "--quiet"])
        assert (folder / "metrics.jsonl").read_bytes() == (tmp_path / "first" / "metrics.jsonl").read_bytes()


def test_run_keeps_to_the_frames_it_started_with(tmp_path):
    config = smoke()
    run_until(config, tmp_path, 60)
    assert run_folder.read_provenance(tmp_path)["render"] == "numpy"
    facts = run_folder.read_provenance(tmp_path) | {"render": "paper"}
    (tmp_path / "provenance.json").write_text(json.dumps(facts))
    with pytest.raises(ConfigError, match="started with render paper, here it would go on with numpy"):
        train(config, tmp_path)


def test_a_buffer_is_known_by_what_it_holds(tmp_path, monkeypatch):
    """By any spelling, from any folder, moved: the run goes on. Another is refused; a finished run needs none."""
    monkeypatch.chdir(tmp_path)
    buffers = {name: Build("mini_lever", 600, seed=seed, workers=1, out=Path(name)) for seed, name in enumerate("bc")}
    for job in buffers.values():
        build(job, show_progress=False)
    of = lambda path: smoke(offline_buffer=path, **{"train.steps": 200, "log.checkpoint_every": 50})  # noqa: E731
    run = tmp_path / "run"
    run_until(of("b"), run, 60)
    for path in ("b/", "./b", str(tmp_path / "b")):
        assert run_folder.check_same(of(path), run)
    with pytest.raises(ConfigError, match="holds a run with offline_buffer=b, not c"):
        train(of("c"), run)
    (tmp_path / "elsewhere").mkdir()
    Path("b").rename(tmp_path / "elsewhere" / "moved")
    monkeypatch.chdir(tmp_path / "elsewhere")
    train(of("moved"), run)
    shutil.rmtree("moved")
    train(of("b"), run)  # done: nothing is read
    assert run_folder.is_done(run)
