"""Finding 1 through its command: sweeps, skips, kills, refusals, what is said meanwhile."""

import importlib
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from analysis import finding1, status
from analysis.results.schema import load
from analysis.runs import estimate, study, sweep
from hdream_core import envs
from hdream_core.config.presets import make_config
from hdream_core.envs.opengl import RenderingError
from hdream_core.runs.metrics import read_metrics
from hdream_core.support import progress
from hdream_core.support.errors import ConfigError
from hdream_core.support.locks import exclusive
from hdream_core.support.settings import override
from offline_buffers.build import Build, build
from tests.refusals import SMOKE, one_line, places, refused, typed


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_finding1_command_writes_result_and_figure_and_skips_what_is_done(tmp_path, buffer, capsys, mode):
    command = [*SMOKE, "--mode", mode, "--w-r", "1", "100", "--implicit", "--harmony"]
    command += ["--set", "eval.context=5", "eval.horizon=10", "--workers", "2", *places(tmp_path)]
    if mode == "offline":
        command += ["--buffer", str(buffer)]
    finding1.main(command)
    printed = capsys.readouterr().out
    assert "4 runs of 80 steps" in printed and "about" in printed
    written = load(tmp_path / "results" / "finding1_mini_lever_smoke.h5")
    assert list(written.axes["method"]) == ["w_r=1", "w_r=100", "w_o=0,w_r=100", "harmony"]
    assert np.isfinite(written.values("return")).all()
    assert written.attributes["mode"] == mode and written.attributes["complete"]
    assert written.attributes["scale"] == "miniature"
    weights = written.values("weight/reward")[:, 0]
    assert (weights[1] == 100).all() and not np.allclose(weights[3], 1)
    analytic = written.values("analytic_weight/reward")[:, 0]
    assert np.isfinite(analytic[3]).all() and np.isnan(analytic[1]).all()
    assert np.isnan(written.values("loss/observation")[2]).all()  # the decoder-free model has no such loss
    if mode == "offline":
        assert written.attributes["buffer_sha256"]
        assert np.isfinite(written.values("window/error")).all()
        assert set(written.notes["differences"]["window/error"]) >= {"w_r=100", "harmony"}
    else:
        assert "window/error" not in written.data
    assert (tmp_path / "out" / "finding1_mini_lever_smoke.png").exists()
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("metrics.jsonl")}
    finding1.main(command)
    assert capsys.readouterr().out.count(" done ") == 4
    assert times == {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("metrics.jsonl")}


def test_a_buffer_is_checked_before_it_is_unpacked(packed, tmp_path, capsys):
    command = ["--task", "lever_pull", "--preset", "smoke", "--mode", "offline", "--buffer", str(packed)]
    for more in (["--plan-only"], []):
        words = [*command, *more, *places(tmp_path)]
        refused(capsys, finding1.main, words, "holds mini_lever, but the run's task is lever_pull")
    assert not (packed / "unpacked").exists() and not (tmp_path / "results").exists()


def test_only_what_trains_here_is_timed_here(tmp_path, capsys, monkeypatch):
    """Where results are collected or jobs submitted there may be no GL library."""

    def nothing_renders(*_, **__):
        raise RenderingError("no GL library")

    monkeypatch.setattr(envs, "make", nothing_renders)
    command = [*SMOKE, "--w-r", "1", *places(tmp_path)]
    finding1.main([*command, "--plan-only", "--launcher", "none"])
    assert "for what is left" not in capsys.readouterr().out
    finding1.main([*command, "--plan-only"])
    assert "no estimate, since nothing renders here (no GL library)" in capsys.readouterr().out
    assert refused(capsys, finding1.main, command) == "error: no GL library"


def test_another_camera_means_another_buffer(tmp_path, capsys):
    command = ["--task", "lever_pull", "--preset", "smoke", "--mode", "offline", "--plan-only", "--launcher", "none"]
    command, planned = [*command, *places(tmp_path)], {}
    for camera in ("corner", "corner2"):
        finding1.main([*command, "--set", f"env.camera={camera}"])
        planned[camera] = capsys.readouterr().out.split("offline on ")[1].split(",")[0]
    assert planned["corner"] == planned["corner2"] + "_corner"


@pytest.mark.render
def test_finding1_on_real_metaworld_frames(tmp_path, capsys):
    """64 x 64 frames, the renderer in worker and training processes, states with NaN: all of it, once."""
    out = build(Build("lever_pull", 1000, workers=2, out=tmp_path / "b"), show_progress=False)
    command = ["--task", "lever_pull", "--preset", "smoke", "--mode", "offline", "--w-r", "1", "--buffer", str(out)]
    finding1.main([*command, *places(tmp_path)])
    written = load(tmp_path / "results" / "finding1_lever_pull_smoke.h5")
    assert written.attributes["scale"] == "reduced" and written.attributes["render"] in ("fast", "paper")
    assert np.isfinite(written.values("reward_error")).all() and np.isfinite(written.values("return")).all()
    words = [*command, "--set", "env.camera=corner", *places(tmp_path / "other")]
    refused(capsys, finding1.main, words, "has camera corner2, but the run asks for corner")


def test_killed_sweep_leaves_no_run_going_and_resumes(tmp_path):
    command = [sys.executable, "-m", "analysis.finding1", *SMOKE, "--w-r", "1", "10"]
    command += ["--set", "train.steps=1500", "log.checkpoint_every=50", *places(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = [tmp_path / f"runs/online_smoke/mini_lever/{m}/0/metrics.jsonl" for m in ("w_r=1", "w_r=10")]
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


def test_failing_run_is_named_and_the_others_finish(tmp_path, capsys):
    command = [*SMOKE, "--w-r", "1", "10", *places(tmp_path)]
    broken = tmp_path / "runs" / "online_smoke" / "mini_lever" / "w_r=1" / "0"
    broken.mkdir(parents=True)
    (broken / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(SystemExit) as stop:
        finding1.main(command)
    one_line(stop.value.code, capsys.readouterr().err, "1 of 2 runs failed: w_r=1, seed 0", expected=1)
    assert sweep.run_folder.is_done(tmp_path / "runs" / "online_smoke" / "mini_lever" / "w_r=10" / "0")
    written = load(tmp_path / "results" / "finding1_mini_lever_smoke.h5")
    assert written.axes["step"][-1] == 80 and np.isfinite(written.values("return")[1]).all()  # all that it reached


def test_a_first_look_shows_shipped_longer_runs_and_the_command_that_goes_on(tmp_path, capsys):
    command = ["--task", "mini_lever", "--preset", "quick", "--w-r", "1", "100", "--set", "train.steps=80"]
    command += ["agent.model.rssm.deter=8", "train.prefill=50", "eval.episodes=1", "train.pretrain=1"]
    finding1.main([*command, *places(tmp_path)])
    onward = capsys.readouterr().out.partition("python -m analysis.finding1 ")[2].splitlines()[0].split()
    finding1.main([*onward, "--plan-only"])
    planned = capsys.readouterr().out
    assert "online" in planned and "preset cpu" in planned and planned.count("mini_lever/w_r=100/") == 3
    caption = (tmp_path / "out" / "finding1_mini_lever_quick.txt").read_text()
    assert "finding1_mini_lever_quick.h5" in caption and "finding1_mini_lever_cpu.h5" in caption


@pytest.mark.parametrize("command", ["finding1 --w-r 1", "loss_scales --methods w_r=1"])
def test_metrics_damaged_for_a_while_do_not_end_the_runs(tmp_path, monkeypatch, command):
    """What tells how far the runs are must not end them."""
    execute = sweep.execute

    def disturbed(planned, workers, tick):
        for run in planned:
            sweep.run_folder.prepare(run.config, run.folder)
            (run.folder / "metrics.jsonl").write_bytes(b"damaged\n")
        tick()
        for run in planned:
            (run.folder / "metrics.jsonl").unlink()
        execute(planned, workers, tick)

    monkeypatch.setattr(sweep, "execute", disturbed)
    name, *flags = command.split()
    module = importlib.import_module(f"analysis.{name}")
    module.main([*SMOKE, *flags, *places(tmp_path)])
    assert load(tmp_path / "results" / f"{name}_mini_lever_smoke.h5").attributes["complete"]


def test_a_run_that_dies_is_marked_and_started_once_more(tmp_path, monkeypatch, capsys):
    """The first process of a run is killed as by the system; the sweep finishes all the same."""
    start, killed = sweep.start, []

    def start_and_kill(run):
        process = start(run)
        if not killed and run.config.method == "w_r=1":
            killed.append(run)
            process.kill()
        return process

    monkeypatch.setattr(sweep, "start", start_and_kill)
    finding1.main([*SMOKE, "--w-r", "1", "10", *places(tmp_path)])
    assert killed and load(tmp_path / "results" / "finding1_mini_lever_smoke.h5").attributes["complete"]
    status.main(["--runs", str(tmp_path / "runs")])
    assert "2 done, 0 running, 0 failed, 0 waiting" in capsys.readouterr().out


def test_status_tells_states_apart(tmp_path, capsys):
    folders = {name: tmp_path / name for name in ("done", "failed", "waiting", "running")}
    for folder in folders.values():
        sweep.run_folder.prepare(make_config("mini_lever", "smoke"), folder)
    sweep.run_folder.mark_done(folders["done"], sweep.run_folder.Seconds(1.0))
    sweep.run_folder.mark_failed(folders["failed"], -9)
    with exclusive(folders["running"] / "lock", "training"):
        assert {Path(row.folder).name: row.state for row in status.table(tmp_path)} == {name: name for name in folders}
    assert status.state_of(folders["running"]) == "waiting"
    refused(capsys, status.main, ["--runs", str(tmp_path / "none")], "holds no runs")


def test_runs_on_another_buffer_are_refused_with_the_flag_that_gives_room(tmp_path, capsys):
    changes = {"method": "w_r=1", "balancer.w_r": 1.0, "offline_buffer": str(tmp_path / "one")}
    folder = tmp_path / "runs/offline_smoke/mini_lever/w_r=1/0"
    sweep.run_folder.prepare(make_config("mini_lever", "smoke", changes=changes), folder)
    words = [*SMOKE, "--w-r", "1", "--mode", "offline", "--buffer", str(tmp_path / "other"), *places(tmp_path)]
    refused(capsys, finding1.main, words, "--runs", tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(10.0, "10 seconds"), (60.0, "1 minute "), (5400.0, "1.5 hours"), (np.nan, r"^warning: .*\d+ days.*--preset")],
)
def test_an_estimate_is_in_the_unit_that_fits_and_of_full_size_without_a_gpu_a_warning(seconds, said, monkeypatch):
    monkeypatch.setattr(estimate, "seconds_per_run", lambda config: (seconds, 0.0))
    told = estimate.in_words(make_config("lever_pull", "paper"), 1.0, 1, must_render=True)
    assert re.search(said, told) and "nan" not in told and "\n" not in told


def test_a_bar_says_what_takes_the_time_before_the_first_step(tmp_path):
    (run,) = sweep.plan([make_config("mini_lever", "smoke")], tmp_path)
    told = [sweep.doing([run])]
    sweep.run_folder.prepare(run.config, run.folder)
    for metrics in ("", '{"step": 20, "kind": "train"}\n'):
        (run.folder / "metrics.jsonl").write_text(metrics)
        told.append(sweep.doing([run]))
    sweep.run_folder.mark_done(run.folder, sweep.run_folder.Seconds(1.0))
    assert len({*told, sweep.doing([run])}) == 4 and "0 of 1" in told[2] and "1 of 1" in sweep.doing([run])


def test_a_log_file_gets_a_line_a_minute(tmp_path):
    """A run of seconds writes its first and its last line, and nothing that draws over itself."""
    words = [*SMOKE, "--train.steps", "400", "--eval.every", "400", "--folder", tmp_path / "run"]
    done = typed("hdream_core.train", *words)
    lines = done.stderr.splitlines()  # what draws over itself is lines, too
    assert done.returncode == 0 and 1 <= len(lines) <= 3 and "400/400" in lines[-1]


def test_lines_come_as_often_as_they_may(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    assert list(progress.progress_bar(range(5), desc="five")) == list(range(5))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 5 and all("five" in line for line in lines)


def test_status_says_age_pace_return_and_host_in_words_and_as_json(tmp_path, capsys):
    """A run set up 100 seconds before its last line, at a fourth of its steps then, needs 300 seconds more."""
    run = tmp_path / "one"
    config = override(make_config("mini_lever", "smoke"), {"train.steps": 400})
    sweep.run_folder.prepare(config, run)
    kinds = [("eval", 0, 3.0), ("eval", 50, 7.5), *(("train", step, None) for step in range(51, 101))]
    with open(run / "metrics.jsonl", "w") as file:
        for kind, step, value in kinds:
            file.write(json.dumps({"step": step, "kind": kind, "return": value, "filler": 0.123456789}) + "\n")
    now = time.time()
    os.utime(run / "config.json", (now - 160, now - 160))
    os.utime(run / "metrics.jsonl", (now - 60, now - 60))
    with exclusive(run / "lock", "training"):
        status.main(["--runs", str(tmp_path), "--json"])
        (found,) = json.loads(capsys.readouterr().out)
        status.main(["--runs", str(tmp_path)])
    text = capsys.readouterr().out
    assert (found["state"], found["step"], found["steps"], found["last_return"]) == ("running", 100, 400, 7.5)
    assert found["host"] == platform.node() and found["left"] == pytest.approx(300, abs=1)
    assert found["age"] == pytest.approx(60, abs=5)
    assert "100 of 400" in text and "5 minutes" in text and "1 minute ago" in text and "7.5" in text


def test_workers(monkeypatch):
    monkeypatch.setattr(sweep, "cores", lambda: 2)
    asked = {(0, 1): 1, (0, 2): 2, (0, 3): 3, (0, 4): 2, (0, 25): 2, (3, 10): 3, (9, 2): 2}
    assert {key: sweep.pick_workers(*key) for key in asked} == asked  # three on two cores take turns


def test_scale_is_derived_and_reduced_never_poses_as_paper():
    assert make_config("lever_pull", "paper").scale == "paper"
    assert make_config("lever_pull", "paper", "harmony", {"seed": 3, "train.steps": 500}).scale == "paper"
    for change in ({"model.depth": 16}, {"train.batch": 4}, {"behavior.starts": 9}, {"model.harmonizer_lr": 0.1}):
        assert make_config("lever_pull", "paper", changes=change).scale == "reduced"
    assert make_config("lever_pull", "cpu").scale == make_config("hammer", "smoke").scale == "reduced"
    assert make_config("mini_lever", "cpu").scale == "miniature"


def test_resolve_and_presets():
    preset, mode = study.resolve(finding1.Finding1(task="mini_lever"))
    assert (preset, mode) == ("quick", "online")
    with pytest.raises(ConfigError):
        study.resolve(finding1.Finding1(task="mini_lever", preset="paper"))
    job = finding1.Finding1(seeds=(0,))
    assert finding1.methods_of(job, "cpu") == ["w_r=1", "w_r=10", "w_r=100", "w_o=0,w_r=100", "harmony"]
    harmony = study.configs(job, finding1.methods_of(job, "paper"), "paper", None)[-1]
    assert harmony.balancer.kind == "harmony" and harmony.agent.model.harmonizer_lr is None and harmony.scale == "paper"
    assert json.dumps(harmony.train.steps) == "250000"
