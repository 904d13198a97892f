"""Results folders with links, as clusters have them: every command sees the same runs, each once."""

import os
import shutil
from pathlib import Path

import pytest

from analysis import claims, clean, collect, finding1, status
from analysis.results import schema
from figures import gallery
from hdream_core.runs import checkpoint
from hdream_core.runs.search import find_runs
from hdream_core.support.files import write_atomically
from tests.made_up import result
from tests.refusals import SWEEP, one_line, places, refused

RUNS = ("online_smoke/mini_lever/w_r=1/0", "online_smoke/mini_lever/w_r=10/0")


def moved(path: Path, target: str) -> Path:
    """Moves a folder or file to a place outside the runs, with a link where it was."""
    place = Path("scratch").absolute() / target
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, place)
    path.symlink_to(place)
    return place


def seen(root: Path) -> list[str]:
    return [os.path.relpath(row.folder, root) for row in status.table(root)]


LINKED = {
    "the runs folder": ("runs",),
    "a mode's folder": ("runs/online_smoke",),
    "a task's folder": ("runs/online_smoke/mini_lever",),
    "a method's folder": ("runs/online_smoke/mini_lever/w_r=10",),
    "a run's folder": (f"runs/{RUNS[1]}",),
    "a run's folder in a linked task's": (f"runs/{RUNS[1]}", "runs/online_smoke/mini_lever"),
    "a config": (f"runs/{RUNS[1]}/config.json",),
    "metrics": (f"runs/{RUNS[1]}/metrics.jsonl",),
}


@pytest.mark.parametrize("kind", LINKED)
def test_every_command_sees_the_runs_behind_a_link(kind, runs, capsys):
    for number, name in enumerate(LINKED[kind]):
        moved(Path(name), str(number))
    assert seen(runs) == sorted(RUNS)
    status.main(["--runs", "runs"])
    assert "2 done, 0 running, 0 failed, 0 waiting, 0 damaged" in capsys.readouterr().out
    collect.main(["finding1", *SWEEP, "--w-r", "1", "10", *places(Path())])
    found = schema.load("results/finding1_mini_lever_smoke.h5")
    assert list(found.axes["method"]) == ["w_r=1", "w_r=10"] and found.attributes["complete"]


def test_several_names_of_a_run_are_one_run(runs):
    place = moved(runs / RUNS[1], "a")
    (runs / "again").symlink_to(place)
    (runs / "first").symlink_to(runs.absolute() / RUNS[0])
    (runs / "all").symlink_to("online_smoke")
    assert seen(runs) == sorted(RUNS)


@pytest.mark.parametrize("target", [".", "..", "online_smoke", "self"])
def test_links_in_a_circle_end(target, runs):
    link = runs / "online_smoke" / "self"
    link.symlink_to(runs.absolute() / target if target != "self" else "self")
    assert seen(runs) == sorted(RUNS)


def test_links_to_nothing_are_named_and_what_runs_share_stays(runs, capsys):
    (runs / "online_smoke" / "hammer").symlink_to("/gone/hammer")
    status.main(["--runs", "runs"])
    said = capsys.readouterr()
    assert "2 done" in said.out and "hammer" in said.err and "/gone/hammer" in said.err
    logs = runs / "online_smoke" / "slurm"
    logs.mkdir()
    (logs / "1_submission.sh").touch()
    clean.main(["--runs", "runs", "--yes"])
    assert logs.exists() and not (runs / RUNS[0] / "replay").exists()
    with pytest.raises(SystemExit) as stop:
        clean.main(["--unpacked", "b", "--yes"])
    one_line(stop.value.code, capsys.readouterr().err)
    Path("l").symlink_to("nowhere")
    refused(capsys, status.main, ["--runs", "l"])


def test_a_run_is_not_made_behind_a_link_to_nothing(runs, capsys):
    shutil.rmtree(runs / "online_smoke")
    (runs / "online_smoke").symlink_to("/gone/online")
    words = [*SWEEP, "--w-r", "1", *places(Path())]
    refused(capsys, finding1.main, words, "runs/online_smoke is a link to nothing")


def test_clean_leaves_what_lies_elsewhere_unless_told(runs, capsys):
    place = moved(runs / RUNS[1], "a")
    clean.main(["--runs", "runs", "--yes"])
    said = capsys.readouterr().out
    assert (place / "replay").exists() and (place / checkpoint.PREVIOUS).exists()
    assert str(place) in said and "--follow-links" in said
    assert not (runs / RUNS[0] / "replay").exists()
    clean.main(["--runs", "runs", "--yes", "--follow-links"])
    assert str(place) in capsys.readouterr().out
    assert not (place / "replay").exists() and (place / checkpoint.LATEST).exists()


def test_clean_says_where_a_runs_folder_leads_that_is_itself_a_link(runs, capsys):
    place = moved(runs, "all")
    clean.main(["--runs", "runs", "--yes"])
    assert str(place) in capsys.readouterr().out and not (place / RUNS[0] / "replay").exists()


def test_clean_says_that_a_link_goes_and_its_frames_stay(runs, capsys):
    place = moved(runs / RUNS[0] / "replay", "frames")
    clean.main(["--runs", "runs", "--yes"])
    assert f"{place} stays" in capsys.readouterr().out
    assert place.exists() and not (runs / RUNS[0] / "replay").is_symlink()


def test_what_may_not_be_read_is_named(runs, monkeypatch):
    walk = os.walk

    def refusing(top, onerror=None, **options):
        onerror(PermissionError(13, "Permission denied", f"{top}/private"))
        return walk(top, onerror=onerror, **options)

    monkeypatch.setattr(os, "walk", refusing)
    found = find_runs(runs)
    assert len(found.folders) == 2 and found.unseen == ["runs/private: Permission denied"]


def test_a_result_behind_a_link_counts_once_and_is_written_where_it_lies(tmp_path, capsys):
    made, place = result(), tmp_path / "scratch" / "a.h5"
    made.attributes["study"] = "finding1"
    folder = tmp_path / "results"
    folder.mkdir()
    schema.save(made, place)
    (folder / "finding1_x.h5").symlink_to(place)
    (folder / "second.h5").symlink_to("finding1_x.h5")
    (tmp_path / "link").symlink_to("results")
    for where in (folder, tmp_path / "link"):
        assert [path.name for path in schema.files_of(where)] == ["finding1_x.h5"]
    assert [path.stem for _, path in gallery.redraw(folder, tmp_path / "out")] == ["finding1_x"]
    before = place.read_bytes()
    made.attributes["command"] = "another"
    schema.save(made, folder / "finding1_x.h5")
    assert (folder / "finding1_x.h5").is_symlink() and place.read_bytes() != before
    assert schema.load(folder / "finding1_x.h5").attributes["command"] == "another"
    (folder / "lost.h5").symlink_to("nowhere")
    refused(capsys, claims.main, ["--results", str(folder), "--out", str(tmp_path / "ledger")], "lost.h5")


def test_a_file_is_written_through_links_and_a_link_to_nothing_comes_to_life(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("there/file")
    for data in (b"first", b"second"):
        write_atomically(tmp_path / "one", data)
        assert (tmp_path / "there" / "file").read_bytes() == data
    assert (tmp_path / "one").is_symlink() and [path.name for path in (tmp_path / "there").iterdir()] == ["file"]
