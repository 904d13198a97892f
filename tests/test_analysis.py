"""Statistics against hand-computed cases, the result schema, and Finding 1 through its command."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

import figures.finding1
from analysis import finding1, sweep
from analysis.results import Result, ResultError, load, save
from analysis.stats import paired_interval, seed_interval
from hdream_core.config import ConfigError


def test_seed_interval_by_hand():
    # Values 1, 2, 3: mean 2, standard deviation 1, t(0.975, 2) = 4.30265.
    mean, low, high = seed_interval(np.array([1.0, 2.0, 3.0]))
    assert (mean, low, high) == pytest.approx((2, 2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), rel=1e-5)
    assert seed_interval(np.array([1.0, np.nan, 3.0])).mean == 2
    one = seed_interval(np.array([5.0]))
    assert one.mean == 5 and np.isnan(one.low) and np.isnan(one.high)
    assert np.isnan(seed_interval(np.array([np.nan])).mean)


def test_paired_interval_resamples_clusters():
    # Within a cluster all values agree, so the interval is that of four clusters, not of 400 windows.
    cluster = np.repeat(np.arange(4), 100)
    difference = np.repeat([0.0, 1.0, 2.0, 3.0], 100)
    mean, low, high = paired_interval(difference, cluster)
    assert mean == 1.5
    assert low == pytest.approx(0.5, abs=0.26) and high == pytest.approx(2.5, abs=0.26)
    alone = paired_interval(difference, np.arange(400))
    assert alone.high - alone.low < 0.5 * (high - low)
    assert paired_interval(np.full(10, 2.0), np.arange(10)) == (2, 2, 2)


def result():
    attributes = {
        "schema_version": 1, "paper": "p", "study": "s", "command": "c", "git_commit": "0", "git_dirty": False,
        "package_versions": "{}", "device": "d", "created_utc": "now", "scale": "reduced", "preset": "smoke",
        "task": "lever_pull", "buffer_sha256": "", "wall_seconds": 1.0, "mode": "offline",
    }  # fmt: skip
    axes = {"method": np.array(["w_r=1", "w_r=100"]), "seed": np.array([0, 1]), "step": np.array([0, 50, 100])}
    values = np.arange(12.0).reshape(2, 2, 3)
    values[1, 1, 2] = np.nan
    data = {"return": (("method", "seed", "step"), values), "success": (("method", "seed", "step"), values / 12)}
    return Result(attributes, axes, data, {"w_r=1": {"train": {"steps": 100}}}, {"note": [1.5]})


def test_results_round_trip_with_dimension_scales(tmp_path):
    path = save(result(), tmp_path / "r.h5")
    again = load(path)
    assert again.attributes == result().attributes
    assert again.config == result().config and again.notes == result().notes
    for name, (axes, values) in result().data.items():
        assert again.data[name][0] == axes
        np.testing.assert_array_equal(again.data[name][1], values)
    np.testing.assert_array_equal(again.axes["method"], result().axes["method"])
    with h5py.File(path) as file:
        assert file["data/return"].dims[2].label == "step"
        np.testing.assert_array_equal(file["data/return"].dims[2][0], [0, 50, 100])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r.attributes.pop("device"), "attribute device is missing"),
        (lambda r: r.attributes.update(scale="huge"), "scale is 'huge'"),
        (lambda r: r.attributes.update(schema_version=2), "schema_version is 2"),
        (lambda r: r.attributes.update(git_dirty="no"), "attribute git_dirty"),
        (lambda r: r.data.update(x=(("method",), np.zeros(3))), r"data/x has shape \(3,\)"),
        (lambda r: r.data.update(x=(("colour",), np.zeros(3))), "axis 'colour'"),
    ],
)
def test_schema_is_checked_and_nothing_is_written(tmp_path, spoil, message):
    spoiled = result()
    spoil(spoiled)
    with pytest.raises(ResultError, match=message):
        save(spoiled, tmp_path / "r.h5")
    assert not list(tmp_path.iterdir())


def test_load_names_the_file(tmp_path):
    with pytest.raises(ResultError, match="no such result"):
        load(tmp_path / "none.h5")
    (tmp_path / "bad.h5").write_bytes(b"junk")
    with pytest.raises(ResultError, match=r"bad\.h5: not a result file"):
        load(tmp_path / "bad.h5")


def test_figure_is_drawn_without_torch(tmp_path):
    path = save(result(), tmp_path / "finding1_lever_pull_smoke.h5")
    code = (
        "import sys; from pathlib import Path; import figures.finding1 as f;"
        f"f.draw(Path({str(path)!r}), Path({str(tmp_path)!r}));"
        "assert not {'torch', 'hdream_core'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "finding1_lever_pull_smoke.png").stat().st_size > 10_000
    assert (tmp_path / "finding1_lever_pull_smoke.pdf").read_bytes().startswith(b"%PDF")


def folders(tmp_path):
    return [f"--{name}={tmp_path / name}" for name in ("runs", "results", "out")]


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_finding1_command_writes_result_and_figure_and_skips_what_is_done(tmp_path, capsys, mode):
    command = [
        "--task",
        "mini_lever",
        "--preset",
        "smoke",
        "--mode",
        mode,
        "--w-r",
        "1",
        "100",
        "--implicit",
        "--harmony",
    ]
    command += ["--set", "eval.context=5", "eval.horizon=10", "--workers", "2", *folders(tmp_path)]
    if mode == "offline":
        from offline_buffers.build import Build, build

        command += [
            "--buffer",
            str(build(Build("mini_lever", 300, workers=1, out=tmp_path / "b"), show_progress=False)),
        ]
    finding1.main(command)
    printed = capsys.readouterr().out
    assert "4 runs of 80 steps" in printed and "about" in printed
    written = load(tmp_path / "results" / "finding1_mini_lever_smoke.h5")
    assert list(written.axes["method"]) == ["w_r=1", "w_r=100", "w_o=0,w_r=100", "harmony"]
    assert np.isfinite(written.values("return")).all()
    assert (
        written.attributes["mode"] == mode
        and written.attributes["scale"] == "miniature"
        and written.attributes["complete"]
    )
    weights = written.values("weight/reward")[:, 0]
    assert (weights[1] == 100).all() and not np.allclose(weights[3], 1)
    analytic = written.values("analytic_weight/reward")[:, 0]
    assert np.isfinite(analytic[3]).all() and np.isnan(analytic[1]).all()
    assert np.isnan(written.values("loss/observation")[2]).all()  # the decoder-free model has no such loss
    if mode == "offline":
        assert written.attributes["buffer_sha256"]
        assert np.isfinite(written.values("window/error")).all()
        assert set(written.notes["paired"]) >= {"w_r=100", "harmony", "reference"}
    else:
        assert "window/error" not in written.data
    assert (tmp_path / "out" / "finding1_mini_lever_smoke.png").exists()
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("metrics.jsonl")}
    finding1.main(command)
    assert capsys.readouterr().out.count(" done ") == 4
    assert times == {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("metrics.jsonl")}


def test_plan_only_starts_nothing(tmp_path, capsys):
    finding1.main(["--task", "mini_lever", "--preset", "smoke", "--plan-only", *folders(tmp_path)])
    assert "3 runs" in capsys.readouterr().out and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--preset", "paperr"], "no preset 'paperr'"),
        (["--set", "model.dept=3"], "model.depth"),
        (["--set", "model.depth"], "expected name=value"),
        (["--set", "model.depth=x"], "must be of type int"),
        (["--w-r", "1", "1"], "different values"),
        (["--w-r", "-5"], "must be finite and 0 or more"),
        (["--mode", "offline", "--buffer", "nowhere"], "no complete buffer"),
    ],
)
def test_bad_input_is_one_line_and_exit_two(tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit) as stop:
        finding1.main(["--task", "mini_lever", "--preset", "smoke", *flags, *folders(tmp_path)])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_failing_run_is_named_and_the_others_finish(tmp_path, capsys):
    command = ["--task", "mini_lever", "--preset", "smoke", "--w-r", "1", "10", *folders(tmp_path)]
    broken = tmp_path / "runs" / "online_smoke" / "mini_lever" / "w_r=1" / "0"
    broken.mkdir(parents=True)
    (broken / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(SystemExit) as stop:
        finding1.main(command)
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert "1 of 2 runs failed: w_r=1, seed 0" in error and "Traceback" not in error
    assert sweep.runs.is_done(tmp_path / "runs" / "online_smoke" / "mini_lever" / "w_r=10" / "0")


def test_workers():
    cores = sweep.cores()
    assert sweep.pick_workers(3, 10) == 3 and sweep.pick_workers(9, 2) == 2
    assert sweep.pick_workers(0, 100) == cores
    assert sweep.pick_workers(0, 1) == 1


def test_resolve_and_presets():
    preset, mode = finding1.resolve(finding1.Finding1(task="mini_lever"))
    assert (preset, mode) == ("quick", "online")
    with pytest.raises(ConfigError):
        finding1.resolve(finding1.Finding1(task="mini_lever", preset="paper"))
    methods = [c.method for c in finding1.configs(finding1.Finding1(seeds=(0,)), "cpu", None)]
    assert methods == ["w_r=1", "w_r=10", "w_r=100", "w_o=0,w_r=100", "harmony"]
    harmony = finding1.configs(finding1.Finding1(seeds=(0,)), "paper", None)[-1]
    assert harmony.balancer.kind == "harmony" and harmony.model.harmonizer_lr is None and harmony.scale == "paper"
    assert json.dumps(harmony.train.steps) == "250000"


def test_draw_needs_a_result_file(tmp_path):
    with pytest.raises(ResultError):
        figures.finding1.draw(tmp_path / "none.h5", tmp_path)
