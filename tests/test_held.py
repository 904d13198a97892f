"""A result file that is there: the same settings add to it, and others are refused and change nothing."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from analysis import atari_table, finding1, loss_scales
from analysis.results.schema import load, save
from tests.refusals import SMOKE, refused, typed

NAME = "finding1_mini_lever_smoke"
WORDS = [*SMOKE, "--w-r", "1", "--set", "eval.context=5", "eval.horizon=10"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which seed 0, and then seed 1, were asked for."""
    root = tmp_path_factory.mktemp("held")
    first, second = (typed("analysis.finding1", *WORDS, "--seeds", seed, cwd=root) for seed in (0, 1))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert " holds " not in first.stdout and f"results/{NAME}.h5 holds 1 " in second.stdout
    return root


@pytest.fixture
def there(trained, tmp_path, monkeypatch):
    """The same folder, to be changed."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bytes_of(folder):
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith(".") and p.name != "lock"]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_seed_is_added_to_those_of_the_result(there, capsys):
    found = load(f"results/{NAME}.h5")
    assert list(found.axes["seed"]) == [0, 1] and np.isfinite(found.values("return")).all()
    assert found.attributes["complete"]
    commands = found.attributes["command"].split(" && ")
    assert [command.split("--seeds ")[1] for command in commands] == ["0", "1"]
    metrics = {p: h for p, h in bytes_of(there).items() if p.endswith("metrics.jsonl")}
    for seed in ("0", "1"):  # the very same commands again: nothing is trained, nothing is lost
        finding1.main([*WORDS, "--seeds", seed])
        again = load(f"results/{NAME}.h5")
        assert list(again.axes["seed"]) == [0, 1] and again.attributes["command"] == found.attributes["command"]
    np.testing.assert_array_equal(again.values("return"), found.values("return"))
    assert metrics == {p: h for p, h in bytes_of(there).items() if p.endswith("metrics.jsonl")}
    finding1.main([*WORDS, "--seeds", "0", "1"])  # which asks for all of it
    assert " && " not in load(f"results/{NAME}.h5").attributes["command"]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["train.steps=120", "--seeds", "0"], "train.steps=80, not 120"),
        (["train.steps=120", "--seeds", "2"], "train.steps=80, not 120"),
        (["train.batch=3", "--runs", "others"], "train.batch"),
        (["--runs", "others"], "w_r=1, seed 0"),
        (["--w-r", "10", "--seeds", "0"], "w_r=10, seed 1"),
        (["--w-r", "10", "1"], "w_r=10 w_r=1"),
        (["--mode", "offline"], "an online result"),
        (["train.steps=120", "--launcher", "none"], "train.steps"),
        (["train.steps=120", "--plan-only"], "train.steps"),
    ],
)
def test_what_differs_is_refused_before_anything_starts(there, capsys, more, named):
    before = bytes_of(there)
    refused(capsys, finding1.main, [*WORDS, *more], f"results/{NAME}.h5", named, "--results", "--replace")
    assert bytes_of(there) == before


@pytest.mark.parametrize("change", ["cut", "older", "no seeds"])
def test_a_damaged_result_is_named_and_kept(there, capsys, change):
    path = there / "results" / f"{NAME}.h5"
    if change == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        found = load(path)
        if change == "older":
            found.config["w_r=1"]["train"]["no_such_setting"] = 3
        else:
            found.axes = {"method": found.axes["method"]}
            found.data = {}
        save(found, path)
    before = bytes_of(there)
    refused(capsys, finding1.main, [*WORDS, "--seeds", "0"], f"results/{NAME}.h5", "--replace")
    assert bytes_of(there) == before
    finding1.main([*WORDS, "--seeds", "0", "--replace"])
    assert list(load(path).axes["seed"]) == [0]


def test_another_folder_has_its_own_figure(there):
    figures = bytes_of(there / "figures")
    finding1.main([*WORDS, "train.steps=100", "--seeds", "0", "--runs", "r", "--results", "other"])
    assert load(f"other/{NAME}.h5").config["w_r=1"]["train"]["steps"] == 100
    assert (there / "other" / f"{NAME}.png").exists() and bytes_of(there / "figures") == figures
    finding1.main([*WORDS, "train.steps=100", "--seeds", "0", "--runs", "r", "--replace"])
    assert list(load(f"results/{NAME}.h5").axes["seed"]) == [0] and bytes_of(there / "figures") != figures


def test_sizes_of_a_study_are_settings_too(there, capsys):
    words = [*SMOKE, "--mode", "online", "--methods", "w_r=1"]
    words += ["--set", "eval.context=5", "eval.horizon=10"]
    loss_scales.main([*words, "--seeds", "0", "--batches", "1"])
    more = [*words, "--seeds", "0", "--batches", "2"]
    refused(capsys, loss_scales.main, more, "loss_scales_mini_lever_smoke.h5", "--batches 1, not 2", "--replace")
    loss_scales.main([*words, "--seeds", "1", "--batches", "1"])
    path = there / "results" / "loss_scales_mini_lever_smoke.h5"
    found = load(path)
    assert list(found.axes["seed"]) == [0, 1] and np.isfinite(found.values("gradient_norm/reward")).all()
    del found.notes["asked"]  # as files were
    save(found, path)
    refused(capsys, loss_scales.main, [*words, "--seeds", "0", "--batches", "1"], "--batches", "--replace")


def test_two_commands_at_once_make_one_result(tmp_path):
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda seed: typed("analysis.finding1", *WORDS, "--seeds", seed, cwd=tmp_path), (2, 3)))
    assert [command.returncode for command in done] == [0, 0], done
    found = load(tmp_path / "results" / f"{NAME}.h5")
    assert list(found.axes["seed"]) == [2, 3] and np.isfinite(found.values("return")).all()


def test_another_table_does_not_replace_the_papers(tmp_path, capsys):
    places = ["--results", str(tmp_path), "--out", str(tmp_path)]
    other = tmp_path / "other.csv"
    text = atari_table.TABLE.read_text()
    row = next(line for line in text.splitlines() if line.startswith("Alien"))
    assert row.startswith("Alien,228,")  # the random policy's score
    other.write_text(text.replace(row, row.replace("228", "229", 1)))
    atari_table.main(places)
    atari_table.main(places)
    before = load(tmp_path / "atari_table.h5").values("random")
    refused(capsys, atari_table.main, ["--table", str(other), *places], "atari_table.h5", "--replace")
    np.testing.assert_array_equal(load(tmp_path / "atari_table.h5").values("random"), before)
    atari_table.main(["--table", str(other), *places, "--replace"])
    assert (load(tmp_path / "atari_table.h5").values("random") != before).any()
