"""``clean`` takes away what finished runs no longer need, after asking; ``collect`` makes a result of what is there."""

import io
import shlex
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from analysis import clean, collect, finding1
from analysis.results import schema
from hdream_core.config.presets import make_config
from hdream_core.runs import checkpoint
from hdream_core.runs.load import load_agent
from hdream_core.support import commandline
from hdream_core.train import train
from offline_buffers.build import Build, build
from offline_buffers.validate import validate
from tests.refusals import SWEEP, places, refused


@pytest.fixture
def run(runs):
    """The only run in the folder of the runs."""
    shutil.rmtree(runs / "online_smoke/mini_lever/w_r=10")
    return runs / "online_smoke/mini_lever/w_r=1/0"


def answer(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("said", ["n\n", "\n", "", "nonsense\n"])
def test_without_a_yes_nothing_goes(said, runs, monkeypatch, capsys):
    before = files(runs)
    answer(monkeypatch, said)
    clean.main(["--runs", str(runs)])
    assert files(runs) == before and "nothing was removed" in capsys.readouterr().out


def test_what_is_left_can_still_be_read(run, runs, monkeypatch, capsys):
    assert (run / "replay").exists() and (run / checkpoint.PREVIOUS).exists()
    metrics = (run / "metrics.jsonl").read_bytes()
    answer(monkeypatch, "y\n")
    clean.main(["--runs", str(runs)])
    said = capsys.readouterr().out
    assert "MiB" in said and "removed" in said
    assert not (run / "replay").exists() and not (run / checkpoint.PREVIOUS).exists()
    assert (run / "metrics.jsonl").read_bytes() == metrics and load_agent(run).updates == 0
    clean.main(["--runs", str(runs), "--yes"])
    assert "nothing to remove" in capsys.readouterr().out


def test_frames_may_stay_and_unfinished_runs_do(run, runs, capsys):
    clean.main(["--runs", str(runs), "--keep-replay", "--yes"])
    assert (run / "replay").exists() and not (run / checkpoint.PREVIOUS).exists()
    (run / "done").unlink()
    clean.main(["--runs", str(runs), "--yes"])
    assert (run / "replay").exists()


def test_what_runs_share_goes_with_the_last_of_them(run, runs, tmp_path, capsys):
    logs, buffer = run.parents[2] / "slurm", tmp_path / "buffer"
    logs.mkdir()
    (logs / "1_submission.sh").touch()
    build(Build("mini_lever", 100, workers=1, out=buffer), show_progress=False)
    offline = run.parent / "1"
    train(make_config("mini_lever", "smoke", changes={"offline_buffer": str(buffer)}), offline)
    (offline / "done").rename(offline / "not done")
    words = ["--runs", str(runs), "--yes", "--unpacked", str(buffer)]
    refused(capsys, clean.main, words, "is not finished and trains on it")
    clean.main(["--runs", str(runs), "--yes"])
    assert logs.exists() and (buffer / "unpacked").exists()
    (offline / "not done").rename(offline / "done")
    clean.main(["--runs", str(runs), "--yes"])
    assert not logs.exists() and (buffer / "unpacked").exists()
    clean.main(["--runs", str(runs), "--yes", "--unpacked", str(buffer)])
    assert not (buffer / "unpacked").exists()
    assert validate(buffer)  # the buffer itself is whole


def test_a_folder_beside_is_not_taken_for_jobs(run, tmp_path):
    shutil.move(run, tmp_path / "other" / "run")
    beside = tmp_path / "slurm"
    beside.mkdir()
    (beside / "1_submission.sh").touch()
    clean.main(["--runs", "other", "--yes"])
    assert beside.exists() and not (tmp_path / "other" / "run" / "replay").exists()


def test_a_run_whose_checkpoint_is_damaged_stays_whole_and_the_others_go(run, runs, capsys):
    other = shutil.copytree(run, run.parent / "7")
    (other / checkpoint.LATEST).write_bytes(b"no checkpoint")
    clean.main(["--runs", str(runs), "--yes"])
    assert "everything of this run stays" in capsys.readouterr().err
    assert (other / checkpoint.PREVIOUS).exists() and not (run / checkpoint.PREVIOUS).exists()


def test_collect_makes_a_result_and_starts_nothing(run, runs, tmp_path, capsys):
    before = files(runs)
    collect.main(["finding1", *SWEEP, "--w-r", "1", "10", *places(tmp_path)])
    found = schema.load(tmp_path / "results/finding1_mini_lever_smoke.h5")
    assert files(runs) == before and not found.attributes["complete"]
    assert list(np.isfinite(found.values("return")).all((1, 2))) == [True, False]


@pytest.mark.parametrize("how", ["command", "notebook"])
def test_a_result_notes_the_words_of_its_study_and_not_those_of_the_process(run, runs, tmp_path, monkeypatch, how):
    """A notebook's kernel has words of its own; a study made there notes the command that makes it again."""
    kernel = ["ipykernel_launcher.py", "-f", "kernel.json"]
    monkeypatch.setattr("sys.argv", list(kernel))
    folders = {name: tmp_path / name for name in ("runs", "results", "out")}
    job = finding1.Finding1("mini_lever", preset="smoke", w_r=(1.0,), set=("log.checkpoint_every=20",), **folders)
    if how == "command":
        collect.main(["finding1", *SWEEP, "--w-r", "1", *places(tmp_path)])
    else:
        finding1.run(replace(job, launcher="none"))
    said = schema.load(tmp_path / "results/finding1_mini_lever_smoke.h5").attributes["command"]
    program, _, module, *words = shlex.split(said)
    assert (program, module, sys.argv) == ("python", "analysis.finding1", kernel)
    again = commandline.parse(finding1.Finding1, words, "again")
    assert again == replace(job, launcher="none")
    if how == "command":
        assert words == [*SWEEP, "--w-r", "1", *places(tmp_path), "--launcher", "none"]


def test_collect_says_that_there_is_nothing_yet(tmp_path, capsys):
    words = ["finding1", *SWEEP, "--w-r", "1", *places(tmp_path)]
    refused(capsys, collect.main, words, "no run has evaluated yet")
    assert not list(tmp_path.iterdir())
