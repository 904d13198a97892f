"""Kills at random points: nothing is lost, and the end is the same.

Kills hit forked children, so that hundreds cost seconds. Each test prints its seed.
"""

import filecmp
import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from tqdm import tqdm

import figures.finding1
from analysis.results import schema
from analysis.results.schema import save
from hdream_core.config.presets import make_config
from hdream_core.runs import checkpoint
from hdream_core.runs.metrics import read_metrics
from hdream_core.train import train
from offline_buffers.build import Build, build
from offline_buffers.validate import validate
from tests.made_up import result

MODES = ("online", "offline")


@pytest.fixture
def rng():
    seed = int(os.environ.get("HDREAM_SEED", random.SystemRandom().randrange(2**32)))
    print(f"seed {seed}")
    return random.Random(seed)


def killed(work, seconds: float | None = None) -> bool:
    """Does ``work`` in a forked process and kills it after some time, if one is given; whether it was at work."""
    tqdm.set_lock(threading.RLock())  # its own lock is shared by forks: one killed while it holds it stops all
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(seconds)
    child.kill()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)  # it did not end by itself, with an error
    return child.exitcode != 0


def survive(work, kills: int, longest: float, rng: random.Random, check=lambda: None, finished=lambda: None) -> None:
    """Starts ``work`` again and again, killed at random points, until it was killed ``kills`` times, then lets it end.

    ``check`` is called after each start, ``finished`` whenever the work came to its end; where nothing is left to do
    then, ``finished`` has to clear it away. So the count does not depend on how fast the machine is.
    """
    hits = 0
    for _ in range(50 * kills):
        if killed(work, rng.uniform(0, longest)):
            hits += 1
        else:
            finished()
        check()
        if hits == kills:
            break
    assert hits == kills, f"the work ended by itself nearly always: {hits} kills"
    assert not killed(work)
    check()
    finished()


def same_files(ours: Path, theirs: Path, names) -> None:
    for name in names:
        assert filecmp.cmp(ours / name, theirs / name, shallow=False), name


def settings(mode: str, buffer: Path):
    changes = {"train.steps": 300, "eval.every": 50, "eval.context": 5, "eval.horizon": 10, "log.checkpoint_every": 25}
    if mode == "offline":
        changes["offline_buffer"] = str(buffer)
    return make_config("mini_lever", "smoke", "harmony", changes)


@pytest.mark.parametrize("mode", MODES)
def test_training_killed_anywhere_ends_the_same(mode, buffer, tmp_path, rng):
    config = settings(mode, buffer)
    start = time.monotonic()
    train(config, tmp_path / "whole")
    whole = time.monotonic() - start
    names = ["metrics.jsonl", *(["heldout.npz"] if mode == "offline" else ["replay/image.raw", "replay/reward.raw"])]

    def finished() -> None:
        same_files(tmp_path / "killed", tmp_path / "whole", names)
        ours, theirs = (checkpoint.load(tmp_path / name / "checkpoint.pt")["agent"] for name in ("killed", "whole"))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        shutil.rmtree(tmp_path / "killed")

    # Long enough to reach the next checkpoint now and then, short enough not to be done after a few.
    survive(lambda: train(config, tmp_path / "killed"), 40, whole / 4, rng, finished=finished)


def test_checkpoints_killed_while_written(tmp_path, rng):
    """There is always one that can be read, never older than the last that was finished."""
    state = {"tensor": torch.arange(200_000.0)}

    def write() -> None:
        at = (checkpoint.load_run(tmp_path) or {"step": 0})["step"]
        for step in range(at + 1, at + 60):
            checkpoint.save(tmp_path, state | {"step": step})
            (tmp_path / "finished").write_text(str(step))

    def check() -> None:
        finished = tmp_path / "finished"
        if finished.exists() and (text := finished.read_text()):
            assert checkpoint.load_run(tmp_path)["step"] >= int(text)

    survive(write, 50, 0.15, rng, check)


def test_results_and_figures_killed_while_written(tmp_path, rng):
    path = save(result(), tmp_path / "finding1_x.h5")

    def write() -> None:
        for _ in range(30):
            save(result(), path)
            figures.finding1.draw(path, tmp_path)

    figures.finding1.draw(path, tmp_path)  # fonts are read once, in the parent

    def check() -> None:
        schema.load(path)
        picture = (tmp_path / "finding1_x.png").read_bytes()
        assert picture.startswith(b"\x89PNG") and picture.endswith(b"IEND\xaeB`\x82")

    survive(write, 40, 1.0, rng, check)


def test_metrics_killed_while_written(tmp_path, rng):
    """Whole lines stay whole, in order, and no reader meets half a line."""
    from hdream_core.runs.metrics import Metrics

    def write() -> None:
        logger = Metrics(tmp_path)
        known = read_metrics(tmp_path / "metrics.jsonl")
        kept = (tmp_path / "metrics.jsonl").read_bytes().rfind(b"\n") + 1 if known else 0
        logger.rewind(kept)
        for step in range(len(known), len(known) + 300):
            logger.write("train", step, {f"loss/{i}": step / 7 for i in range(30)})

    def check() -> None:
        steps = [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")]
        assert steps == list(range(len(steps)))

    survive(write, 50, 0.08, rng, check)


def test_buffers_killed_while_built(tmp_path, rng, monkeypatch):
    """Parts that are there are whole; the buffer is complete or not there, and in the end the same."""
    # Starting other processes would take longer than the whole build.
    monkeypatch.setattr("offline_buffers.sources.ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    start = time.monotonic()
    build(Build("mini_lever", 300, workers=1, out=tmp_path / "whole"), show_progress=False)
    longest = (time.monotonic() - start) / 2
    job = Build("mini_lever", 300, workers=1, out=tmp_path / "killed")

    def finished() -> None:
        ours, theirs = (tmp_path / name / "data" for name in ("killed", "whole"))
        facts = [json.loads((folder / "metadata.json").read_text())["hdream"]["sha256"] for folder in (ours, theirs)]
        assert facts[0] == facts[1] and validate(tmp_path / "killed") == 6
        shutil.rmtree(tmp_path / "killed")

    survive(lambda: build(job, show_progress=False), 50, longest, rng, finished=finished)
