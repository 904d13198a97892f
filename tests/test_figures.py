"""Figures are drawn from result files alone."""

import subprocess
import sys

import pytest

import figures.finding1
from analysis.results import ResultError, save
from tests.test_results import result


def test_figure_is_drawn_without_torch(tmp_path):
    path = save(result(), tmp_path / "finding1_lever_pull_smoke.h5")
    code = (
        "import sys; from pathlib import Path; import figures.finding1 as f;"
        f"f.draw(Path({str(path)!r}), Path({str(tmp_path)!r}));"
        "assert not {'torch', 'hdream_core'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "finding1_lever_pull_smoke.png").stat().st_size > 10_000
    assert (tmp_path / "finding1_lever_pull_smoke.pdf").read_bytes().startswith(b"%PDF")


def test_draw_needs_a_result_file(tmp_path):
    with pytest.raises(ResultError):
        figures.finding1.draw(tmp_path / "none.h5", tmp_path)


def test_figure_command(tmp_path):
    path = save(result(), tmp_path / "finding1_lever_pull_smoke.h5")
    command = [sys.executable, "-m", "figures.finding1", "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("finding1_lever_pull_smoke.png")
    (tmp_path / "odd.h5").write_bytes(path.read_bytes()[:2000])
    bad = subprocess.run([*command, str(tmp_path / "odd.h5")], capture_output=True, text=True)
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and "odd.h5" in bad.stderr
