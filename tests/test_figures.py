"""Figures are drawn from result files alone."""

import subprocess
import sys
from pathlib import Path

import pytest

import figures.finding1
from analysis.results import ResultError, save
from figures import style
from figures.page import PAPER
from tests.test_project import LIGHT
from tests.test_results import result

# Of hdream_core a figure needs what reads result files without trust and command lines; none needs torch or mujoco.
FREE = (
    "assert not {'torch', 'mujoco'} & set(sys.modules);"
    f"assert {{m for m in sys.modules if m.startswith('hdream_core')}} <= {LIGHT}"
)


def test_figure_is_drawn_without_torch(tmp_path):
    path = save(result(), tmp_path / "finding1_lever_pull_smoke.h5")
    code = (
        "import sys; from pathlib import Path; import figures.finding1 as f;"
        f"f.draw(Path({str(path)!r}), Path({str(tmp_path)!r}));"
        f"{FREE}"
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


def test_all_figures_are_redrawn_without_torch(tmp_path):
    """The shipped results through the command: every one of them, a page that shows them, and no torch."""
    code = (
        "import runpy, sys; sys.argv = ['figures', '--out', sys.argv[1]];"
        "runpy.run_module('figures', run_name='__main__');"
        f"{FREE}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=style.SHIPPED.parent.parent,
    )
    shipped = {path.stem for path in style.SHIPPED.glob("*.h5")}
    assert shipped == {path.stem for path in tmp_path.glob("*.png")} == {path.stem for path in tmp_path.glob("*.pdf")}
    page = (tmp_path / "README.md").read_text()
    assert all(f"({name}.png)" in page for name in shipped) and "In the paper" in page
    assert len(done.stdout.splitlines()) == len(shipped) + 1


def test_a_damaged_result_leaves_the_others_drawn(tmp_path):
    found = result()
    found.attributes["study"] = "finding1"
    for name in ("a", "z"):
        save(found, tmp_path / f"finding1_{name}.h5")
    whole = (tmp_path / "finding1_a.h5").read_bytes()
    (tmp_path / "finding1_m.h5").write_bytes(whole[:2000])
    command = [sys.executable, "-m", "figures", "--results", str(tmp_path), "--out", str(tmp_path / "out")]
    bad = subprocess.run(command, capture_output=True, text=True)
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and "finding1_m.h5" in bad.stderr
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == {"finding1_a", "finding1_z"}


def test_nothing_to_draw_is_one_line(tmp_path):
    for folder, message in ((tmp_path / "none", "no such folder"), (tmp_path, "holds no result")):
        command = [sys.executable, "-m", "figures", "--results", str(folder), "--out", str(tmp_path)]
        bad = subprocess.run(command, capture_output=True, text=True)
        assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and message in bad.stderr


def test_every_study_with_a_figure_is_on_the_page():
    drawn = {path.stem for path in Path(style.__file__).parent.glob("*.py") if "style.main(" in path.read_text()}
    assert drawn - {"style"} == set(PAPER)
