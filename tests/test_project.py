"""The frame around the code: one-way imports, one set of requirements, and documents that tell the truth."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("hdream_core", "analysis", "offline_buffers", "figures")
FORBIDDEN: dict[str, set[str]] = {
    "hdream_core": {"analysis", "figures"},
    "offline_buffers": {"analysis", "figures"},
    "figures": {"hdream_core", "torch"},
    "analysis": set(),
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


# ---- imports


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


def test_figures_load_without_torch_even_indirectly() -> None:
    modules = ["figures"] + [f"figures.{path.stem}" for path in (ROOT / "figures").glob("[!_]*.py")]
    code = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(loaded & {'torch', 'hdream_core', 'mujoco'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_importable_and_documented(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None, f"{package} has no __init__.py, so it would not be installed"
    assert Path(module.__file__).resolve().parent == ROOT / package, f"another {package} shadows this one"
    assert module.__doc__


def test_every_package_is_installed() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert {pattern.rstrip("*") for pattern in config["include"]} == set(PACKAGES)
    here = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}
    assert here == set(PACKAGES)


# ---- requirements


def by_name(requirements: list[str]) -> dict[str, Requirement]:
    """Requirements under their normalised names, one each."""
    parsed = [Requirement(text) for text in dict.fromkeys(requirements)]
    named = {canonicalize_name(requirement.name): requirement for requirement in parsed}
    assert len(named) == len(parsed), "one package is required twice, with different ranges"
    return named


def all_requirements(*extras: str) -> dict[str, Requirement]:
    """Runtime requirements and those of `extras`."""
    return by_name(PROJECT["dependencies"] + [text for extra in extras for text in EXTRAS[extra]])


def pins() -> dict[str, Version]:
    """Package name to version, as `constraints.txt` has it."""
    found: dict[str, Version] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        written, separator, version = line.partition("==")
        name = canonicalize_name(written)
        assert separator, f"constraints.txt: {line!r} is not an exact pin"
        assert name not in found, f"constraints.txt pins {name} twice"
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
    here, there = by_name(pip), all_requirements("test", "notebooks")
    assert {name: str(requirement) for name, requirement in here.items()} == {
        name: str(requirement) for name, requirement in there.items()
    }


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


# ---- documents


def test_citation_parses_and_agrees_with_pyproject() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert str(citation["version"]) == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert paper["title"] == "HarmonyDream: Task Harmonization Inside World Models"
    names = [author["family-names"] for author in paper["authors"]]
    assert names == ["Ma", "Wu", "Feng", "Xiao", "Li", "Hao", "Wang", "Long"]


def documents() -> Iterator[tuple[str, str]]:
    """Name and text of each document that shows commands; README.md must be there."""
    yield "README.md", (ROOT / "README.md").read_text()
    for path in [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("*/README.md"))]:
        if path.parent.name != ".venv":
            yield str(path.relative_to(ROOT)), path.read_text()


def runs_as_command(module: str) -> bool:
    """Whether `python -m module` exists; a module of ours must also do something when it is run."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return False
    if spec is None:
        return False
    if spec.submodule_search_locations is not None:
        return importlib.util.find_spec(f"{module}.__main__") is not None
    ours = module.partition(".")[0] in PACKAGES
    return not ours or "__main__" in Path(str(spec.origin)).read_text()


@pytest.mark.parametrize(
    ("module", "expected"),
    [("pip", True), ("venv", True), ("hdream_core", False), ("analysis.no_such_study", False)],
)
def test_commands_are_told_from_other_modules(module: str, expected: bool) -> None:
    assert runs_as_command(module) is expected


def test_documented_python_commands_exist() -> None:
    for name, text in documents():
        for module in set(re.findall(r"\bpython3? -m ([A-Za-z_][\w.]*\w)(?!\S*<)", text)):
            assert runs_as_command(module), f"{name} shows `python -m {module}`, which does not exist"


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, text in documents():
        for target in set(re.findall(r"(?:`|^\s*(?:\$ )?)make ([a-z][a-z0-9-]*)", text, re.MULTILINE)):
            assert target in targets, f"{name} shows `make {target}`, which does not exist"


def test_documented_files_exist() -> None:
    for name, text in documents():
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if "://" not in target:
                path = (ROOT / name).parent / target
                assert path.exists(), f"{name} links to {target}, which does not exist"


# ---- shell


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.mark.parametrize("name", ["tools/setup.sh", ".ci/run"])
def test_shell_scripts_parse_and_are_executable(name: str) -> None:
    subprocess.run(["bash", "-n", ROOT / name], check=True)
    assert os.access(ROOT / name, os.X_OK)


def run_make(*arguments: str) -> str:
    """What make prints, in an environment without the variables that the Makefile takes."""
    taken = "TASK PRESET MODE SEEDS WORKERS ARGS EXTRAS CONSTRAINTS PIP_ARGS MAKEFLAGS MFLAGS".split()
    clean = {name: value for name, value in os.environ.items() if name not in taken}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=True).stdout


@needs_make
def test_make_alone_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    listed = re.findall(r"^  ([a-z0-9-]+) ", run_make(), re.MULTILINE)
    assert set(phony[1].split()) <= set(listed)


@needs_make
def test_make_finding1_hands_its_variables_on() -> None:
    command = run_make("-n", "finding1").splitlines()[-1].split()
    assert command[1:] == "-m analysis.finding1 --task lever_pull --preset auto".split()
    variables = ["TASK=hammer", "PRESET=smoke", "SEEDS=0 1", "MODE=offline", "WORKERS=2", "ARGS=-x"]
    given = run_make("-n", "finding1", *variables)
    expected = "--task hammer --preset smoke --mode offline --seeds 0 1 --workers 2 -x"
    assert " ".join(given.splitlines()[-1].split()).endswith(expected)


@needs_make
def test_the_miniature_asks_for_no_gl_library() -> None:
    assert "setup.sh gl" in run_make("-n", "finding1")
    assert "setup.sh gl" not in run_make("-n", "finding1", "TASK=mini_lever")


def test_check_gl_says_one_line() -> None:
    command = [sys.executable, ROOT / "tools/check_gl.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert len(done.stdout.splitlines()) == 1


# ---- setup.sh, in a copy, with a stand-in for Python, pip and apt-get


STAND_IN_PYTHON = """\
#!/bin/bash
# A Python whose pip only records its arguments. VERSION is its minor version.
case "$*" in
    *version_info*"(3, "*) [ "${VERSION:-11}" -ge 11 ] && [ "${VERSION:-11}" -le 13 ] ;;
    --version) echo "Python 3.${VERSION:-11}.0" ;;
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo "venv" >>log ;;
    "-m pip --version") ;;
    "-m pip install"*) echo "pip" >>log; exit "${PIP_FAILS:-0}" ;;
    tools/check_gl.py) if [ -e gl ]; then echo EGL; else echo "EGL: nothing"; exit 1; fi ;;
esac
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with setup.sh and what it reads, and a stand-in python3 and apt-get in `bin`."""
    (tmp_path / "tools").mkdir()
    for name in ("tools/setup.sh", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    scripts = {
        "python3": STAND_IN_PYTHON,
        "apt-get": '#!/bin/bash\necho "apt-get $*" >>log\ncase "$*" in *" install "*) touch gl ;; esac\n',
        "apt-cache": "#!/bin/bash\n",
        "id": '#!/bin/bash\necho "${USER_ID:-0}"\n',
    }
    for name, text in scripts.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def setup(copy: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run setup.sh in `copy`, with the stand-ins before everything else."""
    taken = ("PYTHON", "EXTRAS", "CONSTRAINTS", "PIP_ARGS")
    clean = {name: value for name, value in os.environ.items() if name not in taken}
    clean |= {"PATH": f"{copy / 'bin'}:{os.environ['PATH']}"} | environment
    return subprocess.run(
        ["bash", "tools/setup.sh", command], cwd=copy, env=clean, capture_output=True, text=True, check=False
    )


def log(copy: Path) -> list[str]:
    """What the stand-ins were asked for, once read forgotten."""
    path = copy / "log"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_setup_installs_once(copy: Path) -> None:
    first = setup(copy, "venv")
    assert first.returncode == 0, first.stderr
    assert log(copy) == ["venv", "pip"]
    second = setup(copy, "venv")
    assert second.stdout == "hdream: .venv is up to date\n"
    assert log(copy) == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_setup_installs_again_when_the_requirements_change(copy: Path, name: str) -> None:
    setup(copy, "venv")
    log(copy)
    with (copy / name).open("a") as file:
        file.write("# changed\n")
    assert setup(copy, "venv").returncode == 0
    assert log(copy) == ["pip"]


def test_setup_starts_afresh_after_an_interrupted_install(copy: Path) -> None:
    setup(copy, "venv")
    (copy / ".venv/hdream-installed").unlink()
    (copy / ".venv/hdream-installing").touch()
    (copy / ".venv/half").touch()
    log(copy)
    assert "interrupted" in setup(copy, "venv").stdout
    assert log(copy) == ["venv", "pip"]
    assert not (copy / ".venv/half").exists()


@pytest.mark.parametrize("content", [[], ["pyvenv.cfg"], ["pyvenv.cfg", "bin/python"]])
def test_setup_replaces_a_broken_environment(copy: Path, content: list[str]) -> None:
    (copy / ".venv/bin").mkdir(parents=True)
    for name in content:
        (copy / ".venv" / name).write_text("#!/bin/false\n")
        (copy / ".venv" / name).chmod(0o755)
    assert setup(copy, "venv").returncode == 0
    assert log(copy) == ["venv", "pip"]


def test_setup_keeps_the_environment_when_pip_fails(copy: Path) -> None:
    setup(copy, "venv")
    (copy / "constraints.txt").write_text("")
    log(copy)
    failed = setup(copy, "venv", PIP_FAILS="1")
    assert failed.returncode != 0
    assert "install.log" in failed.stderr
    assert log(copy) == ["pip"]
    assert setup(copy, "venv").returncode == 0
    assert log(copy) == ["pip"]


def test_setup_says_which_python_is_missing(copy: Path) -> None:
    done = setup(copy, "python", PYTHON=str(copy / "bin/python3"), VERSION="10")
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert "Python 3.11 to 3.13" in done.stderr


def test_setup_installs_a_gl_library_as_root_once(copy: Path) -> None:
    assert setup(copy, "gl").returncode == 0
    update, install = log(copy)
    assert update == "apt-get update"
    assert "libegl1 libgl1-mesa-dri" in install
    assert setup(copy, "gl").stdout == "hdream: renders off screen with EGL\n"
    assert log(copy) == []


def test_setup_tells_others_which_gl_library_to_install(copy: Path) -> None:
    done = setup(copy, "gl", USER_ID="1000")
    assert done.returncode != 0
    assert done.stderr == ("hdream: run: sudo apt-get install libegl1 libgl1-mesa-dri libgl1 libosmesa6\n")
    assert log(copy) == []
