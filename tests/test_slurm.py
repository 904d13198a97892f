"""Sweeps on a real Slurm on this host: the same results as on one machine, whatever happens to the jobs."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from analysis.finding1 import main
from analysis.results import schema
from analysis.runs import launcher, slurm
from hdream_core.runs.metrics import read_metrics
from hdream_core.support.errors import ConfigError
from tests import slurm_cluster
from tests.refusals import SMOKE, one_line, places

LONG = ["--set", "train.steps=3000", "eval.every=1000", "log.checkpoint_every=500"]
ENDLESS = ["--set", "train.steps=1000000", "eval.every=1000000", "log.checkpoint_every=1000000"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, request):
    if why := slurm_cluster.missing():
        pytest.skip(f"no Slurm: {why}")
    cluster = slurm_cluster.Cluster(tmp_path_factory.mktemp("slurm"))
    request.addfinalizer(cluster.stop)
    try:
        cluster.start()
    except RuntimeError as error:  # a container that forbids a daemon what it needs, say
        pytest.skip(f"Slurm does not start here: {error}")
    return cluster


def start(cluster, folder: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "analysis.finding1", *SMOKE, *places(folder), "--launcher", "slurm", *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    heeds = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # even if this process ignores it
    return subprocess.Popen(command, env=cluster.environment | {"OMP_NUM_THREADS": "1"}, **pipes, **heeds)


def finish(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def wait_for(condition, seconds=90.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def run_folders(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "runs").rglob("config.json"))


def metrics(folder: Path) -> dict[str, bytes]:
    return {run.parent.name: (run / "metrics.jsonl").read_bytes() for run in run_folders(folder)}


def steps(folder: Path) -> int:
    """Environment steps that the only run beneath a folder has logged."""
    return max((row["step"] for run in run_folders(folder) for row in read_metrics(run / "metrics.jsonl")), default=0)


def test_the_result_is_that_of_one_machine(cluster, tmp_path):
    finish(start(cluster, tmp_path / "slurm", "--workers", "2", "--slurm-cpus-per-task", "1"))
    main([*SMOKE, *places(tmp_path / "local")])
    here, there = (schema.load(tmp_path / name / "results/finding1_mini_lever_smoke.h5") for name in ("local", "slurm"))
    assert there.attributes["complete"] and here.config == there.config and set(here.data) == set(there.data)
    assert here.notes == there.notes
    for name in here.data:
        if not name.startswith("seconds/"):  # which no two machines share
            np.testing.assert_array_equal(here.values(name), there.values(name))
    for name in here.axes:
        np.testing.assert_array_equal(here.axes[name], there.axes[name])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Metrics of the long run on this machine, from beginning to end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    main([*SMOKE, *places(folder), "--w-r", "1", *LONG])
    return metrics(folder)


@pytest.mark.parametrize("blow", ["warning", "requeue"])
def test_a_job_queued_again_half_way_ends_as_an_undisturbed_one(blow, cluster, tmp_path, undisturbed):
    process = start(cluster, tmp_path, "--w-r", "1", "--slurm-cpus-per-task", "1", *LONG)
    (folder,) = wait_for(lambda: run_folders(tmp_path))
    wait_for((folder / "checkpoint.pt").exists)
    wait_for(lambda: steps(tmp_path) >= 600)
    job = (folder / slurm.TICKET).read_text().strip()
    if blow == "warning":  # what Slurm sends before a job's time is over
        cluster.run(["scancel", "--signal=USR2", job])
    else:  # as if its node had gone
        cluster.run(["scontrol", "requeue", job])
        seen = []
        wait_for(lambda: seen.append(steps(tmp_path)) or seen[-1] >= 1500)
        assert min(seen) >= 480  # not from the beginning
    finish(process)
    assert metrics(tmp_path) == undisturbed
    assert ("saved at step" in (folder / "log.txt").read_text()) == (blow == "warning")


def test_a_job_whose_time_is_over_saves_itself_and_goes_on(cluster, tmp_path):
    """A minute, the least that Slurm gives; the warning comes 25 seconds before the end or somewhat earlier."""
    limits = ["--slurm-time", "1", "--slurm-signal-delay-s", "25", "--slurm-cpus-per-task", "1"]
    process = start(cluster, tmp_path, "--w-r", "1", *limits, *ENDLESS)
    (folder,) = wait_for(lambda: run_folders(tmp_path))
    job = wait_for(lambda: slurm._ticket(type("Run", (), {"folder": folder})))
    log = folder / "log.txt"
    saved = wait_for(lambda: re.search(r"saved at step (\d+)", log.read_text() if log.exists() else ""), 120)
    wait_for(lambda: steps(tmp_path) > int(saved[1]) + 50)
    assert "Restarts=1" in cluster.run(["scontrol", "show", "job", job]).stdout
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 130 and f"scancel {job.partition('_')[0]}" in out
    cluster.run(["scancel", job])


def test_an_interrupted_command_finds_its_jobs_again(cluster, tmp_path, undisturbed):
    first = start(cluster, tmp_path, "--w-r", "1", "--slurm-cpus-per-task", "1", *LONG)
    wait_for(lambda: steps(tmp_path) >= 100)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=300)
    said = err.partition("Exception ignored in")[0]  # by what a library was about to make: the figure's, say
    assert first.returncode == 130 and "scancel" in out and "Traceback" not in said, err
    finish(start(cluster, tmp_path, "--w-r", "1", *LONG))
    assert metrics(tmp_path) == undisturbed
    assert len(list((tmp_path / "runs").rglob("*_submitted.pkl"))) == 1


def test_a_cancelled_job_is_submitted_once_more_then_given_up(cluster, tmp_path):
    process = start(cluster, tmp_path, "--w-r", "1", "--slurm-cpus-per-task", "1", *LONG)
    seen = set()
    for _ in range(2):
        (folder,) = wait_for(lambda: run_folders(tmp_path))
        ticket = wait_for(lambda f=folder: (t := slurm._ticket(type("Run", (), {"folder": f}))) not in seen and t)
        seen.add(ticket)
        cluster.run(["scancel", ticket])
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1 and "1 of 1 runs failed" in err and "Traceback" not in err


def test_why_jobs_wait_for_ever_is_said(cluster, tmp_path):
    """Slurm takes jobs whose time is over the partition's, and has them wait, unless it is told to refuse them."""
    limit = ["scontrol", "update", "partition=main"]
    cluster.run([*limit, "MaxTime=10"])
    try:
        process = start(cluster, tmp_path, "--w-r", "1", "--slurm-time", "60")
        said = []
        for line in process.stdout:
            said.append(line)
            if "PartitionTimeLimit" in line:
                break
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=300)
    finally:
        cluster.run([*limit, "MaxTime=UNLIMITED"])
    assert "PartitionTimeLimit" in said[-1] and process.returncode == 130
    cluster.run(["scancel", *re.findall(r"scancel (\d+)", out)])


def test_slurm_refuses_in_one_line(cluster, tmp_path):
    process = start(cluster, tmp_path, "--slurm-partition", "nowhere")
    _, err = process.communicate(timeout=300)
    one_line(process.returncode, err, "nowhere")
    assert not list(tmp_path.iterdir())


def test_flags_of_slurm_are_gathered():
    assert launcher.expand(["--task", "x", "--slurm-time", "5", "--slurm-mem=3GB"]) == [
        *["--task", "x", "--slurm", "time=5", "mem=3GB"]
    ]
    assert launcher.expand(["--slurm", "a=1", "--slurm-gpus-per-node", "2"]) == ["--slurm", "gpus_per_node=2", "a=1"]
    assert launcher.expand(["--w-r", "1"]) == ["--w-r", "1"]
    settings = [
        "cpus_per_task=8",
        'setup=["module load cuda"]',
        'additional_parameters={"qos": "high"}',
        "exclusive=true",
    ]
    assert dict(map(launcher.setting, settings)) == {
        "cpus_per_task": 8, "setup": ["module load cuda"], "additional_parameters": {"qos": "high"}, "exclusive": True,
    }  # fmt: skip
    with pytest.raises(ConfigError, match="must be JSON"):
        launcher.setting("setup=[module load cuda]")
    with pytest.raises(ConfigError, match="value is missing"):
        launcher.expand(["--slurm-time", "--task", "x"])


@pytest.mark.parametrize(
    "name, settings, message", [("local", ["time=5"], "is for"), ("slurm", ["time"], "name=value")]
)
def test_settings_that_mean_nothing(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        launcher.pick(name, settings, 0, 1)
