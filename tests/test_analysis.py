"""Statistics against hand-computed cases, the result schema, and Finding 1 through its command."""

import json
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import figures.finding1
from analysis import collect, finding1, summary, sweep
from analysis.results import Result, ResultError, load, save
from analysis.stats import paired_interval, seed_interval
from hdream_core.config import ConfigError
from hdream_core.logger import read_metrics
from hdream_core.presets import make_config
from offline_buffers.build import Build, build


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


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_plan_only_starts_nothing_and_builds_nothing(tmp_path, capsys, monkeypatch, mode):
    monkeypatch.setattr(finding1, "build", lambda *_: pytest.fail("built a buffer"))
    finding1.main(["--task", "mini_lever", "--preset", "smoke", "--mode", mode, "--plan-only", *folders(tmp_path)])
    assert "3 runs" in capsys.readouterr().out and not (tmp_path / "runs").exists()


@pytest.mark.render
def test_finding1_on_real_metaworld_frames(tmp_path, capsys):
    """64 x 64 frames, the renderer in worker and training processes, states with NaN: all of it, once."""
    out = build(Build("lever_pull", 1000, workers=2, out=tmp_path / "b"), show_progress=False)
    command = ["--task", "lever_pull", "--preset", "smoke", "--mode", "offline", "--w-r", "1", "--buffer", str(out)]
    finding1.main([*command, *folders(tmp_path)])
    written = load(tmp_path / "results" / "finding1_lever_pull_smoke.h5")
    assert written.attributes["scale"] == "reduced" and written.attributes["render"] in ("fast", "paper")
    assert np.isfinite(written.values("reward_error")).all() and np.isfinite(written.values("return")).all()
    with pytest.raises(SystemExit):
        finding1.main([*command, "--set", "env.camera=corner", *folders(tmp_path / "other")])
    assert "frames have camera corner2, but the run asks for corner" in capsys.readouterr().err


def test_killed_sweep_leaves_no_run_going_and_resumes(tmp_path):
    command = [
        sys.executable,
        "-m",
        "analysis.finding1",
        "--task",
        "mini_lever",
        "--preset",
        "smoke",
        "--w-r",
        "1",
        "10",
    ]
    command += ["--set", "train.steps=1500", "log.checkpoint_every=50", *folders(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = [
        tmp_path / "runs" / "online_smoke" / "mini_lever" / m / "0" / "metrics.jsonl" for m in ("w_r=1", "w_r=10")
    ]
    while not all(any(line["step"] >= 200 for line in read_metrics(path)) for path in metrics):
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.05)
    process.kill()
    process.wait()
    time.sleep(1)
    sizes = [path.stat().st_size for path in metrics]
    time.sleep(2)
    assert sizes == [path.stat().st_size for path in metrics]  # nobody writes on
    subprocess.run(command, check=True, capture_output=True)
    written = load(tmp_path / "results" / "finding1_mini_lever_smoke.h5")
    assert written.attributes["complete"] and written.axes["step"][-1] == 1500


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--preset", "paperr"], "no preset 'paperr'"),
        (["--set", "model.dept=3"], "model.depth"),
        (["--set", "model.depth"], "expected name=value"),
        (["--set", "model.depth=x"], "must be of type int"),
        (["--w-r", "1", "1"], "different values"),
        (["--w-r", "-5"], "must be finite and above 0"),
        (["--set", "seed=4"], "use its own flag"),
        (["--set", "balancer.w_o=0"], "use its own flag"),
        (["--seeds", "-1"], "seed is -1"),
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


def test_workers(monkeypatch):
    monkeypatch.setattr(sweep, "cores", lambda: 2)
    asked = {(0, 1): 1, (0, 2): 2, (0, 3): 3, (0, 4): 2, (0, 25): 2, (3, 10): 3, (9, 2): 2}
    assert {key: sweep.pick_workers(*key) for key in asked} == asked  # three on two cores take turns


def sweep_result(error, returns):
    """A result of two methods with given per-seed held-out errors ``(method, seed, window)`` and final returns."""
    r = result()
    error, returns = np.asarray(error, float), np.asarray(returns, float)
    r.axes |= {"seed": np.arange(error.shape[1]), "window": np.arange(error.shape[2]), "step": np.array([0, 50, 100])}
    curve = np.stack([returns, returns, np.full_like(returns, np.nan)], -1)  # nobody has reached the last step
    r.data = {"return": (("method", "seed", "step"), curve), "window/error": (("method", "seed", "window"), error)}
    r.data["window/episode"] = (("window",), np.repeat(np.arange(error.shape[2] // 2), 2).astype(float))
    r.notes = {"final": collect.final_intervals(r), "paired": collect.paired_differences(r)}
    return r


def test_final_intervals_take_the_last_step_that_every_run_reached():
    r = sweep_result(np.zeros((2, 2, 4)), [[1, 3], [5, 7]])
    assert r.notes["final"]["return"]["step"] == 50
    assert r.notes["final"]["return"]["w_r=1"]["mean"] == 2 and r.notes["final"]["return"]["w_r=100"]["mean"] == 6


def test_verdict_needs_both_episodes_and_seeds():
    rng = np.random.default_rng(0)
    base = rng.gamma(1.0, 1.0, (1, 3, 200))
    better = np.concatenate([base, base - 0.3 + rng.normal(0, 0.1, base.shape)])
    shown = sweep_result(better, [[1, 2, 3], [10, 11, 12]])
    paired = shown.notes["paired"]["w_r=100"]
    assert paired["mean"] == pytest.approx((better[1] - better[0]).mean())
    assert paired["per_seed"] == pytest.approx((better[1] - better[0]).mean(1).tolist())
    assert paired["high"] < 0 and paired["share_of_windows_better"] > 0.9
    text = summary.verdict(shown, "w_r=100")
    assert text.startswith("against w_r=1: return higher") and text.endswith(", lower")
    # The same mean difference, but the seeds disagree wildly: episodes alone would call it lower.
    seeds = np.array([-2.0, 0.2, 0.9])[None, :, None]
    torn = sweep_result(np.concatenate([base, base + seeds + rng.normal(0, 0.1, base.shape)]), [[1, 5, 9], [2, 5, 11]])
    assert torn.notes["paired"]["w_r=100"]["high"] < 0
    text = summary.verdict(torn, "w_r=100")
    assert "return not shown to differ" in text and text.endswith("not shown to differ at this scale")


def test_verdict_of_one_seed_says_so():
    one = sweep_result(np.stack([np.ones((1, 40)), np.full((1, 40), 0.5)]), [[1], [2]])
    text = summary.verdict(one, "w_r=100")
    assert "one seed has no interval" in text and text.endswith("lower in this one run")


def test_summary_of_a_file_is_that_of_the_result(tmp_path):
    one = sweep_result(np.stack([np.ones((1, 40)), np.full((1, 40), 0.5)]), [[1], [2]])
    assert summary.lines(load(save(one, tmp_path / "r.h5"))) == summary.lines(one)


def test_readme_quotes_the_shipped_result():
    root = Path(__file__).parents[1]
    shipped, text = load(root / "figures/data/finding1_lever_pull_quick.h5"), (root / "README.md").read_text()
    final = shipped.notes["final"]
    for metric, digits in (("reward_error", 2), ("reward_error_median", 3), ("return_rank_correlation", 2)):
        row = " | ".join(f"{final[metric][f'w_r={w}']['mean']:.{digits}f}" for w in (1, 10, 100))
        assert f"| {row} |" in text, (metric, row)
    for method in ("w_r=10", "w_r=100"):
        paired = shipped.notes["paired"][method]
        assert f"{paired['mean']:+.2f} [{paired['low']:+.2f}, {paired['high']:+.2f}]" in text


def test_scale_is_derived_and_reduced_never_poses_as_paper():
    assert make_config("lever_pull", "paper").scale == "paper"
    assert make_config("lever_pull", "paper", "harmony", {"seed": 3, "train.steps": 500}).scale == "paper"
    for change in ({"model.depth": 16}, {"train.batch": 4}, {"behavior.starts": 9}, {"model.harmonizer_lr": 0.1}):
        assert make_config("lever_pull", "paper", changes=change).scale == "reduced"
    assert make_config("lever_pull", "cpu").scale == make_config("hammer", "smoke").scale == "reduced"
    assert make_config("mini_lever", "cpu").scale == "miniature"


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


def test_figure_command(tmp_path):
    path = save(result(), tmp_path / "finding1_lever_pull_smoke.h5")
    command = [sys.executable, "-m", "figures.finding1", "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("finding1_lever_pull_smoke.png")
    (tmp_path / "odd.h5").write_bytes(path.read_bytes()[:2000])
    bad = subprocess.run([*command, str(tmp_path / "odd.h5")], capture_output=True, text=True)
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and "odd.h5" in bad.stderr
