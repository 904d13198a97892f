"""Files that somebody made to do harm are refused in one line, in bounded memory, and reach nothing outside."""

import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from analysis.results.schema import ResultError, load, save
from analysis.runs.gather import _heldout
from hdream_core.config.files import to_dict
from hdream_core.config.presets import make_config
from hdream_core.data.minari_layout import DatasetError, read_metadata
from hdream_core.data.offline import open_buffer
from hdream_core.data.store import EpisodeStore, Field, StoreError
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs import load as loading
from hdream_core.runs.checkpoint import CheckpointError
from hdream_core.runs.load import export, load_agent
from hdream_core.runs.metrics import read_metrics
from hdream_core.support import sealed, untrusted
from hdream_core.support.errors import ConfigError
from tests.made_up import result, span
from tests.small import MINI, small_agent

MEMORY = 200 * 2**20  # bytes that reading a small file may take


def refuses(read, error, match):
    """``read`` raises the error, in one line, without taking the memory."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=match) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "how",
    """fill gzip chunk external virtual link config text object list attribute twice cycle deep names scale metrics
    note""".split(),
)
def test_hostile_result_files(how, tmp_path):
    good = result()
    good.notes["final"] = {"interval": "t, 95 %", "success": {"w_r=1": span(0, 1), "w_r=100": span(0, 1)}}
    path = save(good, tmp_path / "r.h5")
    (tmp_path / "secret").write_bytes(b"x" * 96)
    with h5py.File(path, "a") as file:
        match how:
            case "fill":  # a shape without values
                file.create_dataset("x", shape=(10**6, 10**6), dtype="f8", chunks=(1000, 1000), fillvalue=1.0)
            case "gzip":  # zeros that unpack to far more than a result may hold
                file.create_dataset("x", shape=(2, 2**26), dtype="f8", chunks=(1, 2**20), compression="gzip")
                file["x"][0, :] = 0
                file["x"][1, :] = 0
            case "chunk":  # a piece that is unpacked whole for four values
                file.create_dataset("x", shape=(4,), maxshape=(None,), dtype="f8", chunks=(2**27,), compression="gzip")
                file["x"][:] = 0
            case "list":  # 2,000 strings take as much as 2,000 times the longest
                del file["variant"]
                file.create_dataset("variant", data=["x" * 40_000] + ["y"] * 1999, dtype=h5py.string_dtype())
            case "attribute":
                file.attrs.create("task", ["x" * 100] * 100, dtype=h5py.string_dtype())
            case "names":
                file["success"].attrs["metric"] = "..x"
            case "external":
                file.create_dataset("x", shape=(12,), dtype="f8", external=[(str(tmp_path / "secret"), 0, 96)])
            case "virtual":
                layout = h5py.VirtualLayout((12,), "f8")
                layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (12,))
                file.create_virtual_dataset("x", layout)
            case "link":
                file["x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
            case "config":
                file.attrs["config"] = "x" * 2**25
            case "text":
                file.create_dataset("x", shape=(), dtype="S300000000")
            case "twice":
                file.create_dataset("x", data=np.zeros(10), compression="gzip", chunks=(10,))
                file["y"] = file["x"]
            case "scale":  # a dimension that is a link to another file
                file["success"].dims[0].detach_scale(file["variant"])
                del file["variant"]
                file["variant"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
            case "metrics":  # one variable that stands for more metrics than memory has room for
                file.create_dataset("x", data=np.arange(2**20)).make_scale("x")
                file.create_dataset("y", data=np.zeros(2**20), compression="gzip").dims[0].attach_scale(file["x"])
                file["y"].attrs["metric"] = "{x}"
            case "note":  # an interval in the place of a text
                file["intervals/success"].attrs["note"] = '["interval"]'
            case "object":
                file.create_dataset("x", data=["a"], dtype=h5py.string_dtype())
            case "cycle":
                file["x"] = file
            case "deep":
                file.create_group("/".join("x" * 50))
    sealed.seal(path)  # by whoever made it hostile
    refuses(lambda: load(path), ResultError, r"r\.h5")


@pytest.mark.parametrize("how", ["value", "attribute", "cut", "appended", "seal"])
def test_a_result_that_is_not_what_was_written(how, tmp_path):
    path = save(result(), tmp_path / "r.h5")
    data = path.read_bytes()
    match how:
        case "cut":
            path.write_bytes(data[:-200])
        case "appended":
            path.write_bytes(data + b"\n")
        case "seal":
            path.write_bytes(data[:-3] + b"0\n")
        case _:  # with HDF5, which cuts the seal off
            with h5py.File(path, "a") as file:
                if how == "value":
                    file["success"][0, 0, 0] = 1.0
                else:
                    file.attrs["task"] = "hammer"
    refuses(lambda: load(path), ResultError, "has changed")


@pytest.mark.parametrize(
    "facts, match",
    [
        ({"sha256": "../../../../../../tmp/x".ljust(64, "/")}, "no SHA-256"),
        ({"sha256": 3}, "sha256"),
        ({"task": None}, "task"),
    ],
)
def test_hostile_metadata_of_a_buffer(facts, match, packed, tmp_path):
    path = packed / "data" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["hdream"] |= facts
    path.write_text(json.dumps(metadata))
    before = sorted(tmp_path.rglob("*"))
    refuses(lambda: open_buffer(packed), DatasetError, match)
    assert [p for p in sorted(tmp_path.rglob("*")) if p.name != "unpacked.lock"] == before
    path.write_text("[" * 100_000)
    refuses(lambda: read_metadata(packed), DatasetError, "JSON")


def test_hostile_buffer_claims_more_than_it_holds(packed):
    with h5py.File(packed / "data" / "main_data.hdf5", "a") as file:
        del file["episode_0/rewards"]
        file["episode_0"].create_dataset("rewards", shape=(10**12,), dtype="f4", chunks=(1000,))
    sealed.seal(packed / "data" / "main_data.hdf5")
    refuses(lambda: open_buffer(packed), DatasetError, "claims")


@pytest.mark.parametrize("layout", [[["|O", []]], [["<f4", [-1]]], [["<f4", [10**9, 10**6]]], 3, {"../x": ["<f4", []]}])
def test_hostile_layout_of_a_store(layout, tmp_path):
    store = EpisodeStore(tmp_path, {"x": Field("<f4", ())})
    store.append({"x": np.zeros(5, np.float32)})
    found = {"x": layout[0]} if isinstance(layout, list) else layout
    (tmp_path / "layout.json").write_text(json.dumps(found))

    def read():
        again = EpisodeStore(tmp_path)
        again.rewind(store.position())
        again.windows("x", np.array([0]), 2)

    refuses(read, StoreError, "layout|too few")


def test_hostile_checkpoints(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.write_text, (tmp_path / "ran", "code"))

    torch.save({"agent": Evil()}, tmp_path / "evil.pt")
    refuses(lambda: checkpoint.load(tmp_path / "evil.pt"), CheckpointError, "damaged")
    assert not (tmp_path / "ran").exists()
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 2**29)
    refuses(lambda: checkpoint.load(tmp_path / "bomb.pt"), CheckpointError, "damaged")


def test_a_hostile_checkpoint_does_not_pose_as_large_weights(tmp_path):
    """Few numbers, expanded to the shapes of a model that would take the memory."""
    config = make_config("mini_lever", "smoke", changes={"model.hidden": 2048, "behavior.hidden": 2048})
    run_folder.prepare(config, tmp_path)
    with torch.device("meta"):
        shapes = {
            name: value.shape for name, value in DreamerV2(config, MINI, torch.device("meta")).state_dict().items()
        }
    checkpoint.save(tmp_path, {"agent": {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}})
    assert (tmp_path / "checkpoint.pt").stat().st_size < 100_000
    refuses(lambda: load_agent(tmp_path), CheckpointError, "more numbers than there are")


def test_hostile_exports(tmp_path):
    agent = small_agent()
    path = export(agent, tmp_path / "a.safetensors")
    assert load_agent(path).config == agent.config
    weights = {name: value.half().contiguous() for name, value in agent.state_dict().items()}
    for section, name, value in (("model", "depth", 10**6), ("model", "depth", 900), ("behavior", "hidden", 60_000)):
        nested = to_dict(agent.config)
        nested["agent"][section][name] = value
        texts = {"config": json.dumps(nested), "spec": json.dumps(MINI.to_dict())}
        save_file(weights, path, metadata=texts)
        refuses(lambda: load_agent(path), CheckpointError, "not what was written")
        save_file(weights, path, metadata=texts | {"sha256": loading._digest(texts, weights)})
        refuses(lambda: load_agent(path), CheckpointError, "a.safetensors")


@pytest.mark.parametrize("field", ["task", "method", "preset"])
def test_configs_do_not_name_other_folders(field, tmp_path):
    config = make_config("mini_lever", "smoke")
    run_folder.prepare(config, tmp_path / "run")
    data = json.loads((tmp_path / "run/config.json").read_text()) | {field: "../../elsewhere"}
    (tmp_path / "run/config.json").write_text(json.dumps(data))
    refuses(lambda: run_folder.read_config(tmp_path / "run"), ConfigError, field)


def test_hostile_windows(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    for method, content in ((zipfile.ZIP_STORED, header.getvalue()), (zipfile.ZIP_DEFLATED, b"\0" * 2**28)):
        with zipfile.ZipFile(tmp_path / "h.npz", "w", method) as archive:
            archive.writestr("error.npy", content)
        refuses(lambda: _heldout(tmp_path / "h.npz"), ResultError, "claims")
    np.savez(tmp_path / "h.npz", error=np.array([object()], dtype=object))
    refuses(lambda: _heldout(tmp_path / "h.npz"), ResultError, "claims")


@pytest.mark.parametrize("line", ["[]", "{", '{"step": "x", "kind": "eval"}', '{"step": 1}', "\udcff", "[" * 50_000])
def test_damaged_metrics_name_the_line(line, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 0, "kind": "eval"}\n' + line.encode("utf-8", "surrogateescape") + b"\n")
    refuses(lambda: read_metrics(path), ConfigError, "line 2")


def test_json_and_names():
    assert untrusted.json_value("[1]") == [1] and untrusted.plain_name("w_o=0,w_r=100", "x") == "w_o=0,w_r=100"
    for bad in ("..", "a/b", "", "/", "a\0", None, 3, "x" * 201, "-x"):
        with pytest.raises(ValueError, match="a name has"):
            untrusted.plain_name(bad, "it")
