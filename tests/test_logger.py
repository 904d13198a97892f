"""Metrics on disk: whole lines, null for NaN, and the same numbers in TensorBoard."""

import json

import pytest

from hdream_core.logger import Logger, read_metrics
from hdream_core.train import train
from tests.small import smoke


def test_logger_drops_what_was_cut_short_and_writes_null_for_nan(tmp_path):
    logger = Logger(tmp_path)
    logger.write("eval", 0, {"a": 1.0, "b": float("nan")})
    with open(logger.path, "a") as file:
        file.write('{"step": 5, "kin')
    assert read_metrics(logger.path) == [{"step": 0, "kind": "eval", "a": 1.0, "b": None}]
    assert json.loads(logger.path.read_text().splitlines()[0])["b"] is None


def test_tensorboard_gets_the_same_numbers(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(smoke(**{"log.tensorboard": True}), tmp_path)
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if line["kind"] == "eval"]
    points = events.Scalars("eval/return")
    assert [point.step for point in points] == [line["step"] for line in lines]
    assert [point.value for point in points] == pytest.approx([line["return"] for line in lines], rel=1e-5)
