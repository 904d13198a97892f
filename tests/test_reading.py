"""Result files as who has xarray, pandas or h5py alone sees them, and shipped ones as the present code makes them."""

import io
import json
import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
import xarray

from analysis import finding3, loss_scales, reward_mse, state_regression
from analysis.results import comparisons, kinds_of_dreams, wrong_dreams
from analysis.results.schema import SHIPPED, ResultError, _without_nan, load, save
from analysis.results.variables import LABELS
from tests.made_up import result, span
from tests.test_project import ROOT

PAGE = ROOT / "docs" / "reading_results.md"
FIRST = sorted((ROOT / "tests/golden/schema1").glob("*.h5"))
LARGEST_TABLE = 10**6  # rows of all variables of a group together
GROUPS = ("windows", "branches", "pictures", "intervals")


def same(one, other):
    """Two results hold the same, to the bit and to the dtype."""
    assert one.attributes == other.attributes and one.config == other.config and one.notes == other.notes
    for mine, yours in ((one.axes, other.axes), (one.data, other.data)):
        assert mine.keys() == yours.keys()
    for name, values in one.axes.items():
        np.testing.assert_array_equal(values, other.axes[name])
    for name, (axes, values) in one.data.items():
        assert (axes, values.dtype) == (other.data[name][0], other.values(name).dtype), name
        np.testing.assert_array_equal(values, other.values(name))


@pytest.mark.parametrize("number", range(5))
def test_examples_of_the_page_run_as_they_stand(number, tmp_path):
    """Without a display; every one prints a number or leaves a picture."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(code) == 5
    (tmp_path / "figures").symlink_to(ROOT / "figures")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "DISPLAY"))}
    done = subprocess.run([sys.executable, "-c", code[number]], cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"\d", done.stdout) or list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.h5")), ids=lambda path: path.stem)
def test_xarray_opens_every_shipped_result(path):
    mine = load(path)
    assert path.stat().st_size < 1_000_000
    with xarray.open_dataset(path) as found:
        assert found.attrs["schema_version"] == 2 and json.loads(found.attrs["config"]) == mine.config
        assert "variant" in found.dims or found.attrs["study"] == "examples"
        if any(name.startswith("weight/") for name in mine.data):
            assert list(found.loss.values) == [loss for loss in LABELS["loss"] if f"weight/{loss}" in mine.data]
    with xarray.open_datatree(path) as tree:
        for group in tree.children:
            assert group in GROUPS
        for node in tree.subtree:
            for name, variable in node.to_dataset(inherit=False).variables.items():
                assert variable.attrs["long_name"], name
                assert not set(variable.attrs) & {"_FillValue", "scale_factor"}
            if node.name not in ("windows", "branches", "pictures"):
                assert np.prod(list(node.to_dataset(inherit=False).sizes.values())) < LARGEST_TABLE


def test_the_table_of_a_shipped_result_is_tidy():
    path = SHIPPED / "finding1_lever_pull_cpu.h5"
    mine = load(path)
    with xarray.open_dataset(path) as found:
        table = found.to_dataframe()
    assert not table.index.duplicated().any() and set(map(str, table.dtypes)) == {"float64"}
    at = list(mine.axes["method"]).index("w_r=10")
    for loss in ("reward", "dynamics"):
        row = table.xs(("w_r=10", 2, 4000, loss), level=("variant", "seed", "log_step", "loss"))
        assert set(row["loss_value"]) == {mine.values(f"loss/{loss}")[at, 2, -1]}
    with xarray.open_dataset(path, group="intervals") as spans:
        one = spans.success.sel(variant="w_r=10")
        assert one.attrs["confidence"] == 0.95 and "Student" in one.attrs["method"]
        stored = mine.notes["final"]["success"]["w_r=10"]
        expected = [np.nan if stored[bound] is None else stored[bound] for bound in ("mean", "low", "high")]
        np.testing.assert_array_equal(one.sel(bound=["mean", "low", "high"]), expected)


@pytest.mark.parametrize("path", FIRST, ids=lambda path: path.stem)
def test_a_file_of_schema_1_reads_as_its_successor(path, tmp_path):
    successor = load(SHIPPED / path.name)
    found = load(path)
    for notes in (found.notes, successor.notes):  # intervals have tables of their own since
        for table in ("paired", *comparisons.TABLES):
            notes.pop(table, None)
    same(found, successor)
    same(load(save(load(path), tmp_path / "r.h5")), load(path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "r.h5").write_bytes(data)
    with pytest.raises(ResultError, match=r"r\.h5.*has changed"):
        load(tmp_path / "r.h5")


def test_the_seal_stands_behind_the_content(tmp_path):
    data = save(result(), tmp_path / "r.h5").read_bytes()
    assert data.startswith(b"\x89HDF") and data.endswith(b"\n")
    content, _, digest = data.rpartition(b"hdream sha256 ")
    with h5py.File(io.BytesIO(content)) as file:  # whole without it
        assert file["success"].shape == (2, 2, 3)
    assert len(digest) == 65


def _odd(found, name):
    cell = ("method", "seed", "step"), np.full((2, 2, 3), np.nan)
    match name:
        case "nothing measured":
            found.data["weight/reward"] = cell
        case "other losses":
            found.data |= {f"loss/{loss}": cell for loss in ("depth", "reward", "actor", "total")}
        case "no step yet":
            found.axes["step"] = np.zeros(0, np.int64)
            found.data = {f"loss/{loss}": (cell[0], np.zeros((2, 2, 0))) for loss in ("reward", "dynamics")}
        case "names that meet":
            found.data |= dict.fromkeys(("a/b", "a_b", "seed", "windows", "loss", "weight", "config", "notes"), cell)
        case "whole numbers":
            found.data |= {"loss/reward": (("seed",), np.array([1, 2])), "weight/reward": cell}
            found.data["weight/dynamics"] = (("seed",), np.array([3, 4]))
        case "other axes":
            found.data |= {"weight/reward": cell, "weight/dynamics": (("seed",), np.zeros(2))}
        case "intervals":
            found.notes = {"final": {"interval": "t, 95 %", "x": {"w_r=1": span(0, 1) | {"sd": 2.0}, "deep": {}}}}
            found.notes |= {"paired": {"w_r=100": span(1, 2) | {"over_seeds": span(3, 4)}}, "empty": {}, "none": None}
            found.notes["final"]["w_r=1"] = {"w_r=1": span(0, 5), "success/{loss}": span(0, 6)}
        case "long texts":
            found.config, found.notes = {"w_r=1": {"text": "\u00e9" * 200_000}}, {"text": ["x" * 100_000]}
        case "one variant":
            found.axes["method"] = np.array(["reward"])
            found.data = {"loss/reward": (cell[0], np.ones((1, 2, 3)))}
            found.notes = {"final": {"posterior": {"reward": span(0, 1)}}}


ODD = """
    nothing odd, nothing measured, other losses, no step yet, names that meet, whole numbers, other axes, intervals,
    long texts, one variant
"""


@pytest.mark.parametrize("name", [" ".join(name.split()) for name in ODD.split(",")])
def test_odd_results_come_back_as_they_were(name, tmp_path):
    found = result()
    _odd(found, name)
    path = save(found, tmp_path / "r.h5")
    same(load(path), found)
    with h5py.File(path) as file:
        assert "success" not in file or [scale[0].name for scale in file["success"].dims] == [
            "/variant",
            "/seed",
            "/step",
        ]
    with xarray.open_datatree(path) as tree:
        assert tree.attrs["task"] == "lever_pull"


FINAL = dict.fromkeys(("finding1", "coefficients", "ablations", "multitask"), comparisons.final_intervals) | {
    "loss_scales": loss_scales.final,
    "finding2": kinds_of_dreams.frequencies,
    "finding3": finding3.final,
    "counterfactual": wrong_dreams.intervals,
    "state_regression": state_regression.intervals,
    "reward_mse": reward_mse.intervals,
}


def leaves(notes, where=""):
    """The numbers and words of notes by where they stand in them."""
    if not isinstance(notes, dict | list) or not notes:
        return {where: notes}
    items = notes.items() if isinstance(notes, dict) else enumerate(notes)
    return {place: leaf for name, inner in items for place, leaf in leaves(inner, f"{where}/{name}").items()}


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.h5")), ids=lambda path: path.stem)
def test_notes_follow_from_the_arrays(path):
    """The same words, and the same numbers but for the last digits that a processor decides."""
    result = load(path)
    study = result.attributes["study"]
    if study.startswith("atari_") or study == "examples":  # tested apart
        return
    tables = {"final": FINAL[study]} | comparisons.TABLES
    made = json.loads(json.dumps(_without_nan({name: table(result) for name, table in tables.items()})))
    found, kept = leaves(made), leaves({name: result.notes.get(name, {}) for name in tables})
    expected = {k: pytest.approx(v, rel=1e-6, abs=1e-9) if isinstance(v, float) else v for k, v in kept.items()}
    assert found.keys() == expected.keys()
    assert {name: leaf for name, leaf in found.items() if leaf != expected[name]} == {}


def test_a_regression_read_back_prints_each_object_beside_its_own_constant():
    found = load(SHIPPED / "state_regression_unseen_lever_pull_cpu.h5")
    printed = state_regression.lines(found)
    for name, best in zip(found.axes["object"], found.values("constant/posterior").mean((0, 1, 2)), strict=True):
        assert any(f" {name:<8} constant {best:.3g};" in line for line in printed)
