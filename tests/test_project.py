"""The frame around the code: one-way imports, one set of requirements."""

from __future__ import annotations

import ast
import graphlib
import importlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from analysis.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("hdream_core", "analysis", "offline_buffers", "figures")
FORBIDDEN: dict[str, set[str]] = {
    "hdream_core": {"analysis", "figures", "offline_buffers"},
    "offline_buffers": {"analysis", "figures"},
    "figures": {"torch"},
    "analysis": set(),
}
# Of hdream_core, what a figure may load: readers of files without trust and of command lines, and the count of cores.
LIGHT_NAMES = ("commandline", "drawing", "errors", "extras", "files", "numbers", "processes", "sealed", "untrusted")
LIGHT = {"hdream_core", "hdream_core.support", *(f"hdream_core.support.{name}" for name in LIGHT_NAMES)}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def imported_modules(source: str, package: str) -> set[str]:
    """Absolute names of the modules that `source`, a module of `package`, imports anywhere in its text."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                module = importlib.util.resolve_name("." * node.level + module, package)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            literals = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            names.update(literal for literal in literals if isinstance(literal, str))
    return names


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn as nn", {"torch"}),
        ("def f():\n    from analysis import stats", {"analysis"}),
        ("from ..analysis import stats", {"figures"}),
        ("from . import style", {"figures"}),
        ("import importlib\nimportlib.import_module('hdream_core.envs')", {"importlib", "hdream_core"}),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, expected: set[str]) -> None:
    assert {name.partition(".")[0] for name in imported_modules(source, "figures.sub")} == expected


@pytest.mark.parametrize("package", PACKAGES)
def test_import_direction(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths, f"{package} holds no Python file"
    wrong = []
    for path in paths:
        parent = ".".join(path.relative_to(ROOT).parent.parts)
        for name in sorted(imported_modules(path.read_text(), parent)):
            if name.partition(".")[0] in FORBIDDEN[package]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "; ".join(wrong)


def parts_of(package: str) -> dict[str, set[str]]:
    """Which parts of a package (folders, and modules that stand alone) each of them imports when it runs."""
    root, graph = ROOT / package, {}
    names = {path.stem if path.is_file() else path.name for path in root.iterdir()}
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = [ast.Pass()]
        part = path.relative_to(root).parts[0].removesuffix(".py")
        found = {
            name.split(".")[1] for name in imported_modules(ast.unparse(tree), "") if name.startswith(f"{package}.")
        }
        graph.setdefault(part, set()).update(found & names - {part})
    return graph


@pytest.mark.parametrize("package", PACKAGES)
def test_parts_of_a_package_import_in_one_direction(package: str) -> None:
    tuple(graphlib.TopologicalSorter(parts_of(package)).static_order())  # raises CycleError, naming the circle


def test_what_stands_directly_in_analysis_can_be_typed() -> None:
    typed = {name for name, command in COMMANDS.items() if command.module.startswith("analysis.")}
    assert {path.stem for path in (ROOT / "analysis").glob("[!_]*.py")} == typed
    for name in typed:
        assert callable(importlib.import_module(f"analysis.{name}").main)


def test_figures_import_only_results_of_analysis() -> None:
    for path in (ROOT / "figures").rglob("*.py"):
        names = imported_modules(path.read_text(), "")
        assert not {name for name in names if name.startswith("analysis.") and name.split(".")[1] != "results"}, path


def test_nothing_of_the_core_names_an_agent() -> None:
    graph = parts_of("hdream_core")
    assert {part for part, imports in graph.items() if "dreamerv2" in imports} == set()  # found by name alone
    assert graph["balancers"] == graph["support"] == set()


def test_figures_load_without_torch_even_indirectly() -> None:
    modules = ["figures"] + [f"figures.{path.stem}" for path in (ROOT / "figures").glob("[!_]*.py")]
    code = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        "print(*(m for m in sys.modules if m.partition('.')[0] in ('torch', 'hdream_core', 'mujoco')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= LIGHT


def test_every_package_is_installed_and_documented() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    here = {path.parent.name: path for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}
    assert {pattern.rstrip("*") for pattern in config["include"]} == set(here) == set(PACKAGES)
    for name, path in here.items():
        module = importlib.import_module(name)
        assert module.__doc__ and Path(str(module.__file__)).resolve() == path, f"another {name} shadows this one"


def by_name(requirements: list[str]) -> dict[str, Requirement]:
    """Requirements under their normalised names, one each."""
    parsed = [Requirement(text) for text in dict.fromkeys(requirements)]
    named = {canonicalize_name(requirement.name): requirement for requirement in parsed}
    assert len(named) == len(parsed), "one package is required twice, with different ranges"
    return named


def all_requirements(*extras: str) -> dict[str, Requirement]:
    """Runtime requirements and those of `extras`."""
    return by_name(PROJECT["dependencies"] + [text for extra in extras for text in brought(extra)])


def brought(extra: str) -> list[str]:
    """What an extra brings, with what the extras bring that it names."""
    texts = [(text, re.fullmatch(r"hdream\[(\w+)\]", text)) for text in EXTRAS[extra]]
    return [one for text, own in texts for one in (brought(own[1]) if own else [text])]


def pins() -> dict[str, Version]:
    """Package name to version, as `constraints.txt` has it."""
    found: dict[str, Version] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            written, separator, version = line.partition("==")
            name = canonicalize_name(written)
            assert separator and name not in found, f"constraints.txt: {line!r} is no exact pin, or the second one"
            found[name] = Version(version)
            assert found[name].local is None, f"constraints.txt: {line!r} is a local version, not on every index"
    return found


def test_environment_yml_names_the_requirements_of_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == "hdream"
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert sorted(entry.partition("=")[0] for entry in conda) == ["pip", "python"]
    (python,) = (entry.partition("=")[2] for entry in conda if entry.startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)
    assert by_name(pip) == all_requirements("test", "dmc", "atari", "notebooks")


def test_constraints_satisfy_every_requirement() -> None:
    pinned = pins()
    for name, requirement in all_requirements(*EXTRAS).items():
        assert name in pinned, f"constraints.txt does not pin {name}"
        assert requirement.specifier.contains(pinned[name]), f"{name}=={pinned[name]} is not in {requirement}"


def test_constraints_pin_what_the_pinned_packages_need() -> None:
    pinned, missing = pins(), set()
    for name, version in pinned.items():
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        # PyTorch's GPU builds need CUDA packages that its CPU build does not, and pin them themselves.
        if name == "torch" or Version(Version(distribution.version).public) != version:
            continue
        for text in distribution.requires or ():
            needed = Requirement(text)
            wanted = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if wanted and canonicalize_name(needed.name) not in pinned:
                missing.add(f"{needed.name} (for {name})")
    assert not missing, f"constraints.txt does not pin: {', '.join(sorted(missing))}"
