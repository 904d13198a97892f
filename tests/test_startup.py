"""What a command imports: nothing heavy before its help or a refusal, and what is not installed is one line."""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.__main__ import COMMANDS
from hdream_core import envs
from hdream_core.config.presets import METHODS, make_config, presets_for
from hdream_core.runs import folder as run_folder
from hdream_core.support import extras

HEAVY = ("torch", "mujoco", "metaworld", "scipy.stats", "scipy.optimize", "sklearn", "matplotlib")
ROOT = Path(__file__).resolve().parent.parent
DRAW = ("style.main(", "paper.main(")  # what a figure's own command calls
FIGURES = [f"figures.{p.stem}" for p in (ROOT / "figures").glob("[!_]*.py") if any(w in p.read_text() for w in DRAW)]
MODULES = ["analysis", *(command.module for command in COMMANDS.values()), *FIGURES]
MODULES.sort(key=lambda module: module.startswith("figures"))  # what they import stays
BAD = [
    ("analysis.finding1", "--task nope"),
    ("analysis.finding1", "--preset nope"),
    ("analysis.finding1", "--seeds nope"),
    ("analysis.finding1", "--w-r 1 1"),
    ("analysis.finding1", "--set train.stepz=1"),
    ("analysis.finding1", "--preset quick --mode offline --buffer {tmp}"),
    ("analysis.multitask", "--methods nope"),
    ("analysis.finding2", "--methods harmony"),
    ("analysis.counterfactual", "--task dmc_walker_run"),
    ("analysis.state_regression", "--segments 0"),
    ("analysis.reward_mse", "--results /dev/null/there"),
    ("analysis.collect", "nope"),
    ("analysis.claims", "--results {tmp}/nope"),
    ("analysis.report", "--results {tmp}/nope"),
    ("analysis.status", "--runs {tmp}"),
    ("analysis.clean", "--runs {tmp}"),
    ("analysis.demo", "--task nope"),
    ("analysis.examples", "--suite nope"),
    ("analysis.examples", "--suite dmcr --tasks nope"),
    ("hdream_core.train", "--task nope"),
    ("hdream_core.train", "--method nope"),
    ("hdream_core.train", "--train.batch 0"),
    ("hdream_core.train", "--offline-buffer {tmp}"),
    ("hdream_core.benchmark", "--rounds 0"),
    ("offline_buffers.build", "--task nope"),
    ("offline_buffers.build", "--source nope"),
    ("offline_buffers.validate", "{tmp}"),
    ("offline_buffers.describe", "{tmp}"),
    ("figures", "--results {tmp}/nope"),
    ("analysis", "nope"),
]
CODE = """
import json, runpy, sys
found = []
for module, words in json.loads(sys.argv[1]):
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    found.append([module, words, status, [name for name in json.loads(HEAVY) if name in sys.modules]])
print("FOUND" + json.dumps(found))
"""


def outcomes(calls: list[tuple[str, list[str]]]) -> list:
    """Module, words, exit status and heavy imports of calls, one after another in one fresh process."""
    code = f"HEAVY = {json.dumps(json.dumps(HEAVY))}\n{CODE}"
    command = [sys.executable, "-W", "ignore", "-c", code, json.dumps(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.rpartition("FOUND")[2])


def test_help_imports_nothing_heavy_and_matplotlib_for_figures_alone():
    for module, _, status, loaded in outcomes([(name, ["--help"]) for name in MODULES]):
        assert status == 0 and set(loaded) <= ({"matplotlib"} if module.startswith("figures") else set()), module


def test_refusals_import_nothing_heavy(tmp_path):
    calls = [(module, words.format(tmp=tmp_path).split()) for module, words in BAD]
    for module, words, status, loaded in outcomes(calls):
        assert status == 2 and set(loaded) <= {"matplotlib"}, f"{module} {' '.join(words)}"


@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stderr too"])
def test_output_that_nobody_reads_ends_a_command_quietly(both, tmp_path):
    """As in ``... | head -1``: the reader is gone before anything is written."""
    run = tmp_path / "runs"
    run_folder.prepare(make_config("mini_lever", "smoke"), run)
    calls = ["analysis", "analysis nope", "analysis.status --runs {run}", "analysis.status --help", "figures --help"]
    calls += ["analysis.status --runs {run} --json", "analysis.collect --help", "analysis.collect nope"]
    calls += ["hdream_core.train --help", "offline_buffers.validate {tmp}"]
    for call in calls:
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", *call.format(run=run, tmp=tmp_path).split()]
        done = subprocess.run(command, stdout=writer, stderr=writer if both else subprocess.PIPE, text=True)
        os.close(writer)
        said = done.stderr or ""
        assert done.returncode in (0, 2, 128 + signal.SIGPIPE), call
        assert "roken pipe" not in said and said.count("\n") == (done.returncode == 2 and not both), call


@pytest.mark.parametrize("package", ["analysis", "hdream_core", "offline_buffers"])
def test_a_package_lists_its_commands(package):
    done = subprocess.run([sys.executable, "-m", package], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr
    for name, command in COMMANDS.items():
        if command.module.startswith(package):
            (line,) = (line for line in done.stdout.splitlines() if line.split()[:1] in ([name], [command.module]))
            assert command.text and line.endswith(command.text) and command.item in line


def said(*words, status=0):
    """What a command prints, on one long line."""
    wide = os.environ | {"COLUMNS": "1000"}
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, env=wide)
    assert done.returncode == status
    return " ".join((done.stdout + done.stderr).split())


def test_tasks_presets_and_methods_are_listed_on_the_command_line():
    listed = set(said("hdream_core.tasks").replace(",", " ").replace(";", " ").split())
    assert listed >= {*envs.tasks(), *METHODS, *presets_for("mini_lever"), *presets_for("lever_pull")}
    told = said("analysis.finding1", "--help")
    for name, (text, _) in presets_for("lever_pull").items():
        assert f"{name} {text[:40]}" in told
    assert all(method in told for method in METHODS)
    for command in ("analysis.finding1", "hdream_core.train", "offline_buffers.build"):
        assert "hdream_core.tasks" in said(command, "--task", "nope", status=2)


def test_sizes_in_the_help_are_those_of_the_table():
    for name in ("counterfactual", "state_regression", "reward_mse", "loss_scales"):
        told = said(f"analysis.{name}", "--help")
        for by in importlib.import_module(f"analysis.{name}").SIZES.values():
            assert ", ".join(f"{size} for {preset}" for preset, size in by.items()) in told


MISSING = (*extras.NEEDED["analysis"], "pandas", "matplotlib", "gymnasium", "metaworld", "mujoco", "jaxtyping", "numpy")


def without(code):
    """A process in which nothing but PyTorch can be imported runs some code."""
    code = f"import sys\nsys.modules |= dict.fromkeys({MISSING!r})\n{code}"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_balancers_need_pytorch_alone():
    done = without(
        "sys.argv = ['mine.py']\nimport torch\nfrom hdream_core.balancers import Harmony\n"
        "total, weights = Harmony(['reward'])({'reward': torch.tensor(2.0)})\n"
        "print(total.item(), weights['reward'].item())"
    )
    assert done.returncode == 0, done.stderr
    total, weight = map(float, done.stdout.split())
    assert weight == pytest.approx(1) and total == pytest.approx(2 + math.log(2))  # Eq. 5 with s = 0


@pytest.mark.parametrize("package", ["analysis", "figures", "offline_buffers", "hdream_core"])
def test_a_command_names_the_extra_in_one_line(package):
    done = without(f"sys.argv = ['-m']\nimport {package}")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "hdream[analysis]" in done.stderr
    assert "tyro" in done.stderr


def test_a_library_raises_what_it_lacks():
    done = without("sys.argv = ['mine.py']\nimport hdream_core.config")
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("ImportError: training needs")
