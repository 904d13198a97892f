"""Metrics on disk: whole lines, null for NaN, and the same numbers in TensorBoard."""

import contextlib
import json
import threading

import pytest

from hdream_core.runs import folder as run_folder
from hdream_core.runs.metrics import Metrics, read_metrics
from hdream_core.runs.trainer import Stopped
from hdream_core.support.errors import ConfigError
from hdream_core.train import train
from tests.small import smoke


def test_logger_drops_what_was_cut_short_and_writes_null_for_nan(tmp_path):
    logger = Metrics(tmp_path)
    logger.write("eval", 0, {"a": 1.0, "b": float("nan")})
    with open(logger.path, "a") as file:
        file.write('{"step": 5, "kin')
    assert read_metrics(logger.path) == [{"step": 0, "kind": "eval", "a": 1.0, "b": None}]
    assert json.loads(logger.path.read_text().splitlines()[0])["b"] is None


@pytest.mark.parametrize("length", [1, 70_000])
def test_progress_is_the_step_of_the_last_whole_line_and_reads_no_more_than_it_must(tmp_path, length):
    path = tmp_path / "metrics.jsonl"
    assert run_folder.progress_of(tmp_path) == 0
    line = json.dumps({"step": 5, "kind": "train", "x" * length: 1.0})
    path.write_text("not read\n" * 10_000 + f"{line}\n")
    assert run_folder.progress_of(tmp_path) == 5
    path.write_text("not read\n" * 10_000 + f"{line}\n\n" + '{"step": 7, "ki')
    assert run_folder.progress_of(tmp_path) == 5
    path.write_text('{"step": 7')
    assert run_folder.progress_of(tmp_path) == 0
    path.write_text(f"{line}\ndamaged\n")
    with pytest.raises(ConfigError, match="last line is damaged"):
        run_folder.progress_of(tmp_path)


def test_tensorboard_gets_the_same_numbers(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(smoke(**{"log.tensorboard": True}), tmp_path)
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if line["kind"] == "eval"]
    points = events.Scalars("eval/return")
    assert [point.step for point in points] == [line["step"] for line in lines]
    assert [point.value for point in points] == pytest.approx([line["return"] for line in lines], rel=1e-5)


@pytest.mark.parametrize("stopped", [False, True])
def test_tensorboard_has_every_point_when_a_run_ends(tmp_path, monkeypatch, stopped):
    """Its writer keeps points in hand, which a process that ends takes along."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    in_hand, written = [], []

    class Writer:
        def __init__(self, folder, purge_step):
            pass

        def add_scalar(self, name, value, step):
            in_hand.append((name, step))

        def close(self):
            written.extend(in_hand)
            in_hand.clear()

    monkeypatch.setattr(tensorboard, "SummaryWriter", Writer)
    stop = threading.Event()
    (stop.set if stopped else stop.clear)()
    with contextlib.suppress(Stopped):
        train(smoke(**{"log.tensorboard": True}), tmp_path, stop=stop)
    assert not in_hand and ("eval/return", 0) in written and (("eval/return", 80) in written) != stopped
