"""A good file of every kind that hdream reads, with what reads it: what ``test_damaged`` damages.

``odd`` ones are changed in what they say, with a right seal, digest and syntax.
"""

import contextlib
import random
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import figures
from analysis import collect, finding1, status
from analysis.claims import Claims
from analysis.claims import run as judge
from analysis.results.schema import load, save
from analysis.runs.gather import _heldout
from figures import gallery
from hdream_core.config.presets import make_config
from hdream_core.data.minari_layout import read_metadata
from hdream_core.data.offline import open_buffer
from hdream_core.data.sources import Offline
from hdream_core.data.store import EpisodeStore, Field
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.runs import folder as run_folder
from hdream_core.runs.load import export, load_agent
from hdream_core.runs.metrics import read_metrics
from hdream_core.runs.trainer import Stopped
from hdream_core.support import sealed
from hdream_core.support.errors import UserError
from hdream_core.train import train
from offline_buffers import describe, validate
from offline_buffers.build import Build, build
from offline_buffers.build import main as build_main
from tests import damage
from tests.handmade import handmade
from tests.made_up import result
from tests.refusals import SMOKE, places
from tests.small import MINI

FLAGS = ["--task", "mini_lever"]
Damage = Callable[[Path, random.Random], None]


def _bytes(path: Path, rng: random.Random) -> None:
    path.write_bytes(damage.broken(path.read_bytes(), rng))


def _json(path: Path, rng: random.Random) -> None:
    """One line of JSON, or the whole file if it is one object."""
    whole = not path.name.endswith(".jsonl")
    lines = [path.read_text()] if whole else path.read_text().splitlines()
    at = rng.randrange(len(lines))
    lines[at] = damage.odd_json(lines[at], rng)
    path.write_text("\n".join(lines) + "\n")


@dataclass(frozen=True)
class Target:
    """A good file, what reads it, and what is done to it."""

    path: Path
    read: Callable[[], object]
    damage: Damage = _bytes
    times: int = 60  # in the suite
    content: Callable[[], object] | None = None  # where a digest is to show every change


def _values(arrays: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: np.asarray(values).tobytes() for name, values in arrays.items()}


def _of_runs(folder: Path) -> dict[str, Target]:
    changes = {"train.steps": 120, "log.checkpoint_every": 40, "eval.every": 60, "eval.episodes": 1}
    config, run = make_config("mini_lever", "smoke", "harmony", changes), folder / "run"
    stop = threading.Event()
    stop.set()
    with contextlib.suppress(Stopped):  # once it has updated the model a few times
        train(config, run, stop=stop)
    begun = shutil.copytree(run, folder / "begun")
    agent = DreamerV2(config, MINI)
    (run / "metrics.jsonl").write_text('{"step": 0, "kind": "eval", "return": 1.5}\n' * 20)
    (run / "done").write_text("12.5\n")
    windows = {name: np.arange(9.0) for name in ("start", "episode", "error", "dreamed_return", "true_return")}
    np.savez(run / "heldout.npz", **windows)

    def go_on() -> None:
        copy = shutil.copytree(begun, folder / "going_on", dirs_exist_ok=True)
        try:
            train(config, copy)
        finally:
            shutil.rmtree(copy)

    def weights(source: Path) -> dict[str, bytes]:
        return _values(load_agent(source).model.state_dict())

    exported = export(agent, folder / "a.safetensors")
    return {
        "export": Target(exported, lambda: load_agent(exported), content=lambda: weights(exported)),
        "checkpoint": Target(run / "checkpoint.pt", lambda: load_agent(run), content=lambda: weights(run)),
        "odd checkpoint": Target(begun / "checkpoint.pt", go_on, damage.odd_checkpoint, times=15),
        "config": Target(run / "config.json", lambda: run_folder.read_config(run)),
        "odd config": Target(run / "config.json", lambda: run_folder.read_config(run), _json),
        "spec": Target(run / "spec.json", lambda: load_agent(run), times=15),
        "odd spec": Target(run / "spec.json", lambda: load_agent(run), _json, times=25),
        "provenance": Target(run / "provenance.json", lambda: run_folder.read_provenance(run)),
        "metrics": Target(run / "metrics.jsonl", lambda: read_metrics(run / "metrics.jsonl")),
        "odd metrics": Target(run / "metrics.jsonl", lambda: read_metrics(run / "metrics.jsonl"), _json),
        "windows": Target(run / "heldout.npz", lambda: _heldout(run / "heldout.npz")),
        "done": Target(run / "done", lambda: run_folder.seconds(run)),
    }


def _of_commands(folder: Path) -> dict[str, Target]:
    """Files of a finished run, read by the commands that a user types."""
    words = [*SMOKE, "--w-r", "1", *places(folder)]
    finding1.main(words)
    (run,) = (path.parent for path in (folder / "runs").rglob("config.json"))

    def read() -> None:
        try:
            collect.main(["finding1", *words])
            source = f"run:{run}"
            build_main([*FLAGS, "--source", source, "--out", str(folder / "buffer")])
        finally:
            shutil.rmtree(folder / "buffer", ignore_errors=True)
            status.main(["--runs", str(folder / "runs")])

    return {
        "config, collected": Target(run / "config.json", read, _json, times=4),
        "metrics, collected": Target(run / "metrics.jsonl", read, _json, times=8),
        "provenance, collected": Target(run / "provenance.json", read, _json, times=8),
        "done, collected": Target(run / "done", read, times=4),
        "layout, collected": Target(run / "replay" / "layout.json", read, _json, times=4),
    }


def _of_results(folder: Path) -> dict[str, Target]:
    """Results are read by drawing their figures and judging the claims that they speak to."""

    def target(source: Path, change: Damage, times: int) -> Target:
        alone = folder / source.stem
        alone.mkdir(exist_ok=True)

        def read() -> None:
            gallery.redraw(alone, folder / "out")
            judge(Claims(alone, folder / "out"))

        path = save(load(source), alone / source.name)

        def content() -> dict[str, bytes]:
            return _values({name: found for name, (_, found) in load(path).data.items()})

        return Target(path, read, change, times, content if change is _bytes else None)

    shipped = {path.stem: path for path in sorted((Path(figures.__file__).parent / "data").glob("*.h5"))}
    example = result()
    example.attributes["study"] = "finding1"
    unsealed = target(save(example, folder / "unsealed.h5"), _bytes, 8)
    with h5py.File(unsealed.path, "a") as file:  # HDF5 cuts the seal off
        for name in sealed.SEAL_ATTRIBUTE:
            del file.attrs[name]
    return {
        "result": target(shipped["atari_table"], _bytes, 30),
        "unsealed": unsealed,
        **{f"odd {name}": target(path, damage.odd_hdf5, 2) for name, path in shipped.items()},
    }


def _seed(path: Path, rng: random.Random) -> None:
    path.write_text(str(rng.randrange(1, 2**32)))


def _wrong_episodes(buffer: Path, folder: Path) -> Target:
    """Episodes with right hashes and odd arrays. What ``validate`` passes must train, its rewards as they are."""
    seed = folder / "seed"
    seed.write_text("0")

    def read() -> None:
        rng, wrong, asked = random.Random(int(seed.read_text())), folder / "wrong", {}

        def change(episodes: list[dict[str, np.ndarray]]) -> None:
            if seed.read_text() != "0":
                damage.odd_episodes(episodes, rng)
            asked.update(enumerate(episode.get("rewards") for episode in episodes))

        shutil.rmtree(wrong, ignore_errors=True)
        validate.validate(handmade(buffer, wrong, change))
        changes = {"train.length": 10, "eval.context": 5, "eval.horizon": 5, "offline_buffer": str(wrong)}
        try:
            store = Offline(make_config("mini_lever", "smoke", changes=changes)).store
        except UserError as error:
            raise AssertionError("validate passed what training refuses") from error
        for index, rewards in asked.items():
            np.testing.assert_array_equal(store.episode(index)["reward"][1:], rewards.astype(np.float32))

    return Target(seed, read, _seed)


def _of_data(folder: Path) -> dict[str, Target]:
    buffer = build(Build("mini_lever", 100, workers=1, out=folder / "buffer"), show_progress=False)

    def read_buffer() -> None:
        shutil.rmtree(buffer / "unpacked", ignore_errors=True)
        opened = open_buffer(buffer)
        _ = opened.spec, opened.look

    store = EpisodeStore(folder / "store", {"x": Field("<f4", (3,))})
    store.append({"x": np.zeros((50, 3), np.float32)})
    rows = (folder / "store/x.raw").read_bytes()

    def read_store() -> None:
        (folder / "store/x.raw").write_bytes(rows)  # a store cuts off what its layout says is beyond the episodes
        again = EpisodeStore(folder / "store")
        again.rewind(store.position())
        again.episode(0)

    def look() -> None:
        describe.main([str(buffer), "--out", str(folder / "describe.png")])
        validate.main([str(buffer)])
        build_main([*FLAGS, "--steps", "100", "--workers", "1", "--out", str(buffer)])

    def open_again() -> None:
        store = open_buffer(other).store
        store.windows("reward", np.array(store.starts), min(store.lengths))

    other = Path(shutil.copytree(buffer, folder / "other"))
    open_buffer(other)
    (listed,) = other.glob("unpacked/*/episodes.npy")
    metadata, main, layout = buffer / "data/metadata.json", buffer / "data/main_data.hdf5", folder / "store/layout.json"
    return {
        "metadata": Target(metadata, lambda: read_metadata(buffer)),
        "odd metadata": Target(metadata, read_buffer, _json),
        "odd metadata, looked at": Target(metadata, look, _json, times=5),
        "build": Target(buffer / "build.json", look, times=5),
        "buffer": Target(
            main, read_buffer, content=lambda: _values({"r": open_buffer(buffer).store.episode(0)["reward"]})
        ),
        "odd buffer": Target(main, read_buffer, damage.odd_hdf5),
        "wrong episodes": _wrong_episodes(buffer, folder),
        "odd buffer, looked at": Target(main, look, damage.odd_hdf5, times=5),
        "unpacked": Target(listed, open_again),
        "layout": Target(layout, read_store),
        "odd layout": Target(layout, read_store, _json),
    }


GROUPS = (_of_runs, _of_commands, _of_results, _of_data)
