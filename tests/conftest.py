"""Shared by all tests: small, deterministic, one thread."""

import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LP_NUM_THREADS", "1")

# Forked children could not use a GPU that their parent has used, so the tests that need one have a run of their own.
# A worker of xdist has what the process that started it decided.
if "PYTEST_XDIST_WORKER" not in os.environ and "test_gpu.py" not in {Path(w.partition("::")[0]).name for w in sys.argv}:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import pytest
import torch
from hypothesis import settings

# Examples are the same in every run, and a busy machine is no failure; ``--hypothesis-profile=default`` searches anew.
settings.register_profile("hdream", deadline=None, derandomize=True)
settings.load_profile("hdream")


@pytest.fixture(autouse=True)
def _one_thread_and_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def buffer(tmp_path_factory):
    """Ten episodes of the miniature, which nobody changes; training may have unpacked them."""
    from offline_buffers.build import Build, build

    return build(Build("mini_lever", 500, workers=1, out=tmp_path_factory.mktemp("buffer") / "b"), show_progress=False)


@pytest.fixture
def packed(buffer, tmp_path):
    """A copy to be changed, as it was built."""
    return Path(shutil.copytree(buffer, tmp_path / "shared" / "b", ignore=shutil.ignore_patterns("unpacked*")))


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """The folder of two finished runs, of w_r = 1 and of w_r = 10, which nobody changes."""
    from analysis import finding1
    from tests.refusals import SWEEP, places

    folder = tmp_path_factory.mktemp("swept")
    finding1.main([*SWEEP, "--w-r", "1", "10", *places(folder)])
    return folder / "runs"


@pytest.fixture
def runs(swept, tmp_path, monkeypatch):
    """A copy to be changed, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(swept, tmp_path / "runs").name)


@pytest.fixture
def drawn(monkeypatch):
    """Figures that were drawn, which are kept here instead of written."""
    from figures.shared import style

    kept = []

    def keep(figure, out, stem):
        figure.draw_without_rendering()
        kept.append(figure)
        return out / f"{stem}.png"

    monkeypatch.setattr(style, "save", keep)
    return kept
