"""Pictures come out the same whatever backend and settings their user has, and none that fails ends a run."""

import gc
import os
import shutil
import subprocess
import sys

import matplotlib
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

import figures.finding1
import figures.gallery
import figures.shared.curves
from analysis import finding1
from analysis.results.schema import load, save
from analysis.runs import compare, sweep
from hdream_core.runs import folder as run_folder
from hdream_core.support.drawing import Drawing, look
from offline_buffers.build import Build, build
from tests.made_up import result
from tests.test_project import PACKAGES, ROOT, imported_modules

MISSING = ("nonsense", "module://nonsense")
SWEEP = ["--task", "mini_lever", "--preset", "smoke", "--w-r", "1"]
SWEEP += ["--set", "train.steps=120", "eval.every=40", "eval.episodes=1", "log.checkpoint_every=40"]


def command(module, *words, cwd, **environment):
    """As a user types it, with the environment's own choice of a backend left out."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "DISPLAY"))}
    inherited |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    line = [sys.executable, "-m", module, *map(str, words)]
    return subprocess.run(line, cwd=cwd, env=inherited, capture_output=True, text=True)


def pixels(path):
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A result, and its picture as this process draws it."""
    folder = tmp_path_factory.mktemp("drawn")
    path = save(result(), folder / "finding1_lever_pull_smoke.h5")
    return path, pixels(figures.finding1.draw(path, folder))


SETTINGS = b"""
text.usetex: True
font.size: 30
lines.linewidth: 9
lines.markeredgewidth: 5
axes.grid: True
path.sketch: 1, 100, 2
figure.autolayout: True
savefig.bbox: tight
savefig.dpi: 20
backend: TkAgg
"""
BROKEN, NO_TEXT = b"no colon\nfont.size: x\nbackend: nonsense\n", b"\xff\xfe\x00"
BACKENDS = ("", *MISSING, "module://matplotlib_inline.backend_inline", "TkAgg", "widget", "pdf")


@pytest.mark.parametrize(
    ("environment", "file", "content"),
    [
        *(({"MPLBACKEND": backend}, None, b"") for backend in BACKENDS),
        *(({}, "matplotlibrc", content) for content in (SETTINGS, BROKEN, NO_TEXT)),
        ({"MPLCONFIGDIR": "elsewhere"}, "elsewhere/matplotlibrc", SETTINGS),
        *(({"MATPLOTLIBRC": "named"}, "named", content) for content in (SETTINGS, NO_TEXT)),
        ({"MPLCONFIGDIR": "file"}, "file", b""),  # no folder, and one that cannot be written
        ({"MPLCONFIGDIR": "/proc/none"}, None, b""),
    ],
)
def test_no_backend_and_no_settings_change_a_picture(tmp_path, drawn, environment, file, content):
    path, expected = drawn
    for folder in ("figures/out", "elsewhere"):  # that of an earlier picture does not hide the package
        (tmp_path / folder).mkdir(parents=True)
    if file:
        (tmp_path / file).write_bytes(content)
    done = command("figures.finding1", path, cwd=tmp_path, **environment)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert not done.stderr or "MPLBACKEND" not in environment
    assert (pixels(tmp_path / "figures/out/finding1_lever_pull_smoke.png") == expected).all()


def test_other_commands_that_draw_need_no_backend(tmp_path):
    """The table, a study and its picture at once; many pictures in processes of their own; a buffer's picture."""
    missing = {"cwd": tmp_path, "MPLBACKEND": "nonsense"}
    assert command("analysis.atari_table", **missing).returncode == 0
    results, out = tmp_path / "results", tmp_path / "out"
    for name in ("again", "third"):
        (results / f"{name}.h5").write_bytes((results / "atari_table.h5").read_bytes())
    done = command("figures", "--results", results, "--out", out, **missing)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in out.glob("*.png")} == {"atari_table", "again", "third"}
    build(Build("mini_lever", 50, workers=1, out=tmp_path / "b"), show_progress=False)
    assert command("offline_buffers.describe", "b", **missing).returncode == 0
    assert (tmp_path / "b/describe.png").read_bytes().startswith(b"\x89PNG")
    code = "import sys, offline_buffers.describe; assert not {'matplotlib.pyplot', 'seaborn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_sweep_ends_with_its_runs_whatever_draws(tmp_path):
    """With a matplotlib that is broken only the picture is missing; with a backend that is missing it is drawn."""
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib/__init__.py").write_text('raise ImportError("broken")')
    done = command("analysis.finding1", *SWEEP, cwd=tmp_path, MPLBACKEND="nonsense")
    assert load(tmp_path / "results/finding1_mini_lever_smoke.h5").attributes["complete"]
    assert "results/finding1_mini_lever_smoke.h5" in done.stdout and "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("error: ") and "ImportError" in last
    assert last.endswith("python -m figures.finding1 results/finding1_mini_lever_smoke.h5 --out figures/out")
    shutil.rmtree(tmp_path / "matplotlib")
    done = command("analysis.finding1", *SWEEP, cwd=tmp_path, MPLBACKEND="nonsense")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures/out/finding1_mini_lever_smoke.png").exists()


def test_no_failure_of_a_picture_ends_a_sweep(tmp_path, monkeypatch, capsys):
    """It is tried while runs go on, what is wrong is said once, and in the end the result is told first."""
    errors = [ValueError("odd"), MemoryError(), OSError(28, "full"), AssertionError(), KeyError(1), KeyError(1)]
    tried = []

    def fail(*_):
        load(tmp_path / "results/finding1_mini_lever_smoke.h5")  # is there, and whole
        tried.append(errors[min(len(tried), len(errors) - 1)])
        raise tried[-1]

    def run(planned, workers, tick):
        for one in planned:
            run_folder.prepare(one.config, one.folder)
        for step in range(len(errors)):
            with open(planned[0].folder / "metrics.jsonl", "a") as file:
                file.write(f'{{"step": {step}, "kind": "eval", "return": 1.0, "success": 0.0}}\n')
            tick()

    monkeypatch.setattr(compare, "REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(sweep, "execute", run)
    monkeypatch.setattr(figures.shared.curves, "draw", fail)
    with pytest.raises(SystemExit) as stop:
        finding1.main([*SWEEP, *(f"--{place}={tmp_path / place}" for place in ("runs", "results", "out"))])
    said = capsys.readouterr()
    assert stop.value.code == 1 and tried == [*errors, errors[-1]]
    assert str(tmp_path / "results/finding1_mini_lever_smoke.h5") in said.out
    lines = [line for line in said.err.splitlines() if "python -m figures.finding1" in line]
    assert len(lines) == len(errors) and lines[-1].startswith("error: ")


def test_a_picture_that_cannot_be_written_leaves_the_result(tmp_path):
    (tmp_path / "out/atari_table.png").mkdir(parents=True)
    done = command("analysis.atari_table", "--out", "out", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "out/atari_table.png" in done.stderr
    load(tmp_path / "results/atari_table.h5")
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_one_file_that_cannot_be_drawn_leaves_the_others(tmp_path, drawn, monkeypatch):
    found, results = load(drawn[0]), tmp_path / "results"
    found.attributes["study"] = "finding1"
    whole = [save(found, results / f"{name}.h5") for name in "az"]
    (results / "damaged.h5").write_bytes(whole[0].read_bytes()[:2000])
    for out, words in (("all", ("figures", "--results", results)), ("some", ("figures.finding1", *results.glob("*")))):
        done = command(*words, "--out", out, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and "damaged.h5" in done.stderr
        assert {path.stem for path in (tmp_path / out).glob("*.png")} == {"a", "z"}
    (results / "damaged.h5").unlink()
    plain = figures.finding1.draw

    def odd(source, out):
        if source.stem == "a":
            raise AssertionError
        return plain(source, out)

    monkeypatch.setattr(figures.finding1, "draw", odd)
    with pytest.raises(ValueError, match=r"a\.h5"):
        figures.gallery.redraw(results, tmp_path / "out")
    assert (tmp_path / "out/z.png").exists()


def test_a_look_ends_and_leaves_the_users_own(tmp_path, drawn):
    path, expected = drawn
    with matplotlib.rc_context({"font.size": 31, "axes.grid": True}):
        before = dict(matplotlib.rcParams.copy())
        assert (pixels(figures.finding1.draw(path, tmp_path)) == expected).all()
        with look({"font.size": 5}):
            assert matplotlib.rcParams["font.size"] == 5 and not matplotlib.rcParams["axes.grid"]
            figure = Drawing(2, 1, {"font.size": 5})
            figure.subplots().set_title("a title")
        shown = figure._repr_png_()
        assert dict(matplotlib.rcParams.copy()) == before
    assert figure._repr_png_() == shown and shown.startswith(b"\x89PNG")


def test_a_long_lived_process_does_not_gather_figures(tmp_path, drawn):
    path, _ = drawn
    for _ in range(4):
        figures.finding1.draw(path, tmp_path)
    for _ in range(2):  # finalizers take the first
        gc.collect()
    assert not [each for each in gc.get_objects() if type(each) is Drawing]


CELL = """
import numpy as np
from analysis.notebook import Rollout, pictures
frames, reward = np.zeros((20, 8, 8, 3), np.uint8), np.arange(20.0)
found = Rollout(5, np.zeros((19, 2)), frames, reward, {"w_r=1": frames}, {"w_r=1": reward})
pictures.draw(found)
"""
PICTURE = "from analysis import notebook\nnotebook.picture(found, 'a title')"
OWN = "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jupyter_client's event loops
@pytest.mark.parametrize("before", ["", "%matplotlib inline"])
def test_a_notebook_shows_figures_with_and_without_a_backend(tmp_path, before):
    """Those of this project's, and the user's own, whose backend is still the notebook's."""
    sources = [before + CELL, PICTURE, OWN]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell in notebook.cells:
        assert any("image/png" in output.get("data", {}) for output in cell.outputs), cell.source


def test_matplotlib_has_one_door_and_pyplot_none():
    own = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            names = imported_modules(path.read_text(), "")
            if found := {name for name in names if name.partition(".")[0] in ("matplotlib", "seaborn")}:
                own[str(path.relative_to(ROOT))] = found
    assert set(own) == {"hdream_core/support/drawing.py"}
    assert not [name for names in own.values() for name in names if "pyplot" in name]
