"""``--launcher slurm`` without a Slurm: what a plan shows, and what is said where a program is missing or refuses.

The programs are stand-ins, so that this runs alike where Slurm is installed and where it is not.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.finding1 import Finding1, main
from analysis.runs import slurm, slurm_jobs, study, sweep
from hdream_core.runs import folder as run_folder
from hdream_core.support.errors import ConfigError
from tests.refusals import SMOKE, one_line, places, python, typed


def words(folder: Path, *more: str) -> list[str]:
    return [*SMOKE, "--launcher", "slurm", *places(folder), *more]


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("lock")}


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that is all of PATH, with a Slurm that answers, and takes every job as number 7."""
    folder = tmp_path / "bin"
    folder.mkdir()
    put(folder, "squeue", "exit 0")
    put(folder, "srun", "exit 0")
    put(folder, "sbatch", "echo Submitted batch job 7")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.05)
    return folder


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def refused(capsys, folder: Path, *more: str) -> str:
    """The one line that a command ends with which must not begin anything."""
    before = files(folder)
    with pytest.raises(SystemExit) as stop:
        main(words(folder, *more))
    said = one_line(stop.value.code, capsys.readouterr().err)
    assert files(folder) == before
    return said


def test_a_plan_needs_no_slurm_and_shows_the_jobs(tmp_path):
    asked = ["--slurm-partition", "fast", "--slurm-time", "240", "--slurm-mem", "3GB", "--slurm-cpus-per-task", "8"]
    asked += ["--slurm-gpus-per-node", "a100:1", "--slurm", 'additional_parameters={"qos": "high"}']
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    asked = words(tmp_path, "--workers", "2", "--plan-only", *asked)
    done = typed("analysis.finding1", *asked, PATH=tmp_path / "empty")
    assert done.returncode == 0, done.stderr
    summary, script = done.stdout.split("#!/bin/bash")
    for label, value in {"partition": "fast", "time": "240", "memory": "3GB", "CPUs": "8", "GPUs": "a100:1"}.items():
        assert re.search(rf"^  {label} .*\b{value}\b", summary, re.MULTILINE), summary
    assert "hdream_core.train" in summary
    lines = ["--array=0-2%2", "--partition=fast", "--time=240", "--mem=3GB", "--cpus-per-task=8", "--requeue"]
    lines += ["--gpus-per-node=a100:1", "--qos=high"]
    assert {f"#SBATCH {line}" for line in lines} <= set(map(str.strip, script.splitlines()))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_plan_asks_no_program(programs, tmp_path, capsys):
    for name in slurm.PROGRAMS:
        put(programs, name, f"echo {name} >>{tmp_path}/asked; exit 1")
    main(words(tmp_path, "--plan-only", "--w-r", "1"))
    assert "--array" not in capsys.readouterr().out  # one run is one job
    assert not (tmp_path / "asked").exists() and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time", "4:00:00"),
        ("time", 0),
        ("signal_delay_s", "soon"),
        ("cpus_per_task", "many"),
        ("cpus_per_task", 0),
        ("cpus_per_task", True),
        ("array_parallelism", 0),
        ("nodes", 2),
        ("ntasks_per_node", 4),
        ("setup", "module load cuda"),
        ("setup", [1]),
        ("srun_args", "--mpi=none"),
        ("additional_parameters", "qos"),
        ("partition", ""),
        ("partition", ["a", "b"]),
        ("comment", "one\ntwo"),
        ("colour", "red"),
        *(("additional_parameters", {name: "2"}) for name in ("array", "output", "open-mode", "ntasks")),
    ],
)
def test_a_parameter_of_another_kind_or_that_a_sweep_sets_itself_is_named(name, value):
    named = next(iter(value)).replace("-", "_") if isinstance(value, dict) else name
    with pytest.raises(ConfigError, match=named):
        slurm_jobs.checked({name: value})


@pytest.mark.parametrize(
    ("name", "content"), [*((name, None) for name in slurm.PROGRAMS), ("squeue", b"\x7fELF of another machine")]
)
def test_a_program_that_is_missing_or_cannot_be_run_is_named(name, content, programs, tmp_path, capsys):
    (programs / name).write_bytes(content) if content else (programs / name).unlink()
    assert re.search(rf"\b{name}\b", refused(capsys, tmp_path))


@pytest.mark.parametrize("when", ["at once", "late"])
def test_slurms_own_words_are_handed_on(when, programs, tmp_path, capsys):
    """At once, when it is asked whether it would take the jobs, or late, when it is to take them."""
    takes = "" if when == "at once" else 'case "$*" in *--test-only*) exit 0 ;; esac; '
    lines = ["sbatch: error: invalid partition specified: nowhere", "sbatch: error: Batch job submission failed: No"]
    put(programs, "sbatch", f"{takes}printf '%s\\n' {' '.join(map(repr, lines))} >&2; exit 1")
    said = refused(capsys, tmp_path)
    assert "invalid partition specified: nowhere" in said and "submission failed: No" in said
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.name not in ("slurm", "lock", "online_smoke")]


def test_a_run_that_had_failed_still_has_when_slurm_refuses_it(programs, tmp_path, capsys):
    put(programs, "sbatch", 'case "$*" in *--test-only*) exit 0 ;; esac; echo no >&2; exit 1')
    job = Finding1("mini_lever", preset="smoke", seeds=(0,), runs=tmp_path / "runs")
    (run,) = sweep.plan(study.configs(job, ["w_r=1"], "smoke", None), job.runs)
    run_folder.prepare(run.config, run.folder)
    run_folder.mark_failed(run.folder, 74)
    refused(capsys, tmp_path, "--w-r", "1")
    assert run_folder.failure_of(run.folder) == 74 and run.config == run_folder.read_config(run.folder)


@pytest.mark.parametrize("text", ["exec /bin/sleep 30", "echo 'squeue: error: no controller' >&2; exit 1"])
def test_a_queue_that_does_not_answer(text, programs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(slurm, "ANSWER_SECONDS", 0.2)
    put(programs, "squeue", text)
    said = refused(capsys, tmp_path)
    assert "squeue" in said and ("no controller" in said) == ("controller" in text)


def test_nodes_that_are_down_just_now_do_not_count(programs, tmp_path):
    put(programs, "sbatch", "echo 'allocation failure: Requested node configuration is not available' >&2; exit 1")
    slurm.check(slurm_jobs.checked({}), 2)


def test_a_users_defaults_for_squeue_hide_no_jobs(programs, monkeypatch):
    monkeypatch.setenv("SQUEUE_PARTITION", "other")
    put(programs, "squeue", 'if [ -z "$SQUEUE_PARTITION" ]; then echo "7_0 Priority"; echo 8; fi')
    assert slurm._queue() == {"7_0": "Priority", "8": ""}


LOGS_FIRST = """
import logging, sys
class Closes(logging.StreamHandler):  # as that of absl, which DM Control imports
    def close(self): sys.exit("a handler of another package was closed")
logging.getLogger().addHandler(Closes())
from pathlib import Path
from %s import slurm_jobs
slurm_jobs.executor(Path("logs"), {})
logging.getLogger().handlers.clear()
"""


def test_log_handlers_of_others_stay(tmp_path):
    code = LOGS_FIRST % slurm_jobs.__name__.rpartition(".")[0]
    done = python("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
