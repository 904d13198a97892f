"""The benchmark command: what it counts and writes. Times themselves are not asserted: machines differ."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from hdream_core.agent import parts_module
from hdream_core.benchmark.__main__ import nested, table
from hdream_core.benchmark.experience import make_sampler
from hdream_core.benchmark.update import make_parts, make_without, plain
from hdream_core.benchmark.workers import BenchmarkError, Worker, paired_ratio, side_by_side
from hdream_core.config.presets import make_config
from tests.small import MINI


def make_product(n):
    a, b = torch.randn(2, n, n)
    return {"product": lambda: a @ b, "failure": lambda: 1 / 0}


def test_worker_times_and_counts_its_work():
    with Worker(make_product, 32) as one, Worker(make_product, 32) as two:
        assert one.ask("names") == ["product", "failure"]
        assert one.ask("flops", "product") == 2 * 32**3
        assert one.ask("seconds", "product", 3) > 0
        assert 10 < one.ask("memory_mb") <= one.ask("peak_mb")
        assert all(s > 0 for s in side_by_side([one, two], "product", 2, 5))
        with pytest.raises(BenchmarkError, match="ZeroDivisionError: division by zero"):
            one.ask("seconds", "failure", 1)
        assert one.ask("seconds", "product", 1) > 0  # and it goes on


def make_nothing():
    raise ValueError("no such thing")


def test_worker_whose_work_cannot_be_made_says_why():
    with Worker(make_nothing) as worker:
        worker._process.join(60)
        with pytest.raises(BenchmarkError, match="ValueError: no such thing"):
            worker.ask("names")


def test_paired_ratio_is_taken_round_by_round():
    assert paired_ratio([2, 30, 8], [1, 10, 2]) == 3


DREAMER = {"encoder", "observe", "heads", "imagination", "actor_critic"}


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("dreamerv2", DREAMER | {"decoder"}),
        ("dreamerv3", DREAMER | {"decoder"}),
        ("harmony_dreamerpro", DREAMER | {"prototypes"}),
        ("harmony_denoised_mdp", DREAMER | {"decoder"}),
        ("tdmpc", {"encoder", "targets", "dynamics", "heads", "policy"}),
    ],
)
def test_parts_are_the_whole_update(method, names):
    """Nothing of an update is missing from its parts, and little is counted twice."""
    config = make_config("mini_lever", "smoke", method, changes={"train.precision": "float32"})
    with Worker(make_parts, plain(config), MINI) as worker:
        flops = {name: worker.ask("flops", name) for name in worker.ask("names")}
    whole = flops.pop("update")
    assert set(flops) == names | {"data", "optimiser"}
    assert flops["optimiser"] == flops["data"] == 0
    assert sum(flops.values()) == pytest.approx(whole, rel=0.1)


def test_each_tuned_file_can_be_left_out():
    config = make_config("mini_lever", "smoke", changes={"train.precision": "float32"})
    names = ["all", *parts_module("dreamerv2").without(config, MINI)]
    assert names == ["all", "scan", "imagination", "pixels", "fused_adam"]
    for name in names:
        metrics = make_without(config, MINI, name)["update"]()
        assert metrics["skipped/model"] == 0 and metrics["loss/total"].isfinite(), name


def test_decoder_free_model_has_no_decoder_part():
    config = make_config("mini_lever", "smoke", changes={"balancer.w_o": 0.0})
    assert "decoder" not in make_parts(config, MINI)


def test_sampler_reads_the_store(tmp_path):
    from tests.test_replay import store_of

    store = store_of(tmp_path, [12, 9])
    np.save(tmp_path / "episodes.npy", store.position())
    config = make_config("mini_lever", "smoke")
    batch = make_sampler(config, tmp_path)["sample"]()
    assert batch["reward"].shape == (config.train.batch, config.train.length)


def test_nesting_and_table():
    found = nested({"update.tuned_s": 0.1, "update.parts.decoder.tuned_s": 0.05, "replay.share_of_update": 0.01})
    assert found == {
        "update": {"tuned_s": 0.1, "parts": {"decoder": {"tuned_s": 0.05}}},
        "replay": {"share_of_update": 0.01},
    }
    assert "1.00%" in table({"replay": found["replay"]})


def test_command_writes_what_it_promises(tmp_path):
    out = tmp_path / "bench.json"
    words = "--task mini_lever --preset smoke --rounds 1 --updates 1 --curve-updates 3 --online-steps 20".split()
    words += ["--parts", "update", "threads", "curves", "replay", "env", "online", "--json", str(out)]
    command = [sys.executable, "-m", "hdream_core.benchmark", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    update = found["update"]
    assert update["speedup"] == pytest.approx(update["plain_s"] / update["tuned_s"])
    assert update["speedup_of_kernels"] == pytest.approx(update["same_precision_s"] / update["tuned_s"])
    assert update["floor_s"] == pytest.approx(update["gflop"] / max(found["matrix"].values()))
    assert found["replay"]["sample_s"] > 0 and found["memory"]["peak_mb"] > 0
    assert found["replay"]["share_of_update"] == pytest.approx(found["replay"]["sample_s"] / update["tuned_s"])
    assert 0 <= found["curves"]["float32_mean"] <= found["curves"]["float32_max"] < 1e-4
    assert found["curves"]["float32_noise_max"] > 0 and found["curves"]["float32_updates_alike"] == 3
    assert found["render"]["numpy_fps"] > 0
    assert found["online"]["hours_of_250000_steps"] == pytest.approx(250 / 3.6 / found["online"]["steps_per_s"])
    assert found["about"]["settings"]["preset"] == "smoke"
    assert "whole update" in done.stdout and "decoder" in done.stdout
