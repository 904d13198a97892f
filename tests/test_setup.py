"""make and setup.sh: what a fresh machine runs first, in a copy with stand-ins for Python, pip and apt-get."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.refusals import ROOT, python, typed

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
    assert command[1:] == "-m analysis.finding1 --task lever_pull --preset quick".split()
    variables = ["TASK=hammer", "PRESET=smoke", "SEEDS=0 1", "MODE=offline", "WORKERS=2", "ARGS=-x"]
    given = run_make("-n", "finding1", *variables)
    expected = "--task hammer --preset smoke --mode offline --seeds 0 1 --workers 2 -x"
    assert " ".join(given.splitlines()[-1].split()).endswith(expected)


@needs_make
def test_the_miniature_asks_for_no_gl_library() -> None:
    assert "setup.sh gl" in run_make("-n", "finding1")
    assert "setup.sh gl" not in run_make("-n", "finding1", "TASK=mini_lever")


def test_check_gl_says_one_line() -> None:
    done = python(ROOT / "tools/check_gl.py")
    assert done.returncode in (0, 1), done.stderr
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["-m", "not gpu", "gpuuser/test_x.py"], False),
        (["gpuuser/test_x.py", "-k", "not gpu_only"], False),
        (["gpuuser/test_gpu.py"], True),
        (["gpuuser/test_gpu.py::test_it"], True),
    ],
)
def test_only_the_tests_that_need_a_gpu_see_it(words: list[str], seen: bool, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "gpuuser").mkdir()
    for name in ("test_x.py", "test_gpu.py"):
        body = f"import os\ndef test_it(): assert (os.environ.get('CUDA_VISIBLE_DEVICES') is None) == {seen}\n"
        (tmp_path / "gpuuser" / name).write_text(body)
    for name in ("CUDA_VISIBLE_DEVICES", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    done = typed("pytest", "-q", "-p", "tests.conftest", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


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


def setup(copy: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run setup.sh in `copy`, with the stand-ins before everything else."""
    taken = ("PYTHON", "EXTRAS", "CONSTRAINTS", "PIP_ARGS")
    clean = {name: value for name, value in os.environ.items() if name not in taken}
    clean |= {"PATH": f"{copy / 'bin'}:{os.environ['PATH']}"} | environment
    line = ["bash", "tools/setup.sh", *command]
    return subprocess.run(line, cwd=copy, env=clean, capture_output=True, text=True, check=False)


def log(copy: Path) -> list[str]:
    """What the stand-ins were asked for, once read forgotten."""
    path = copy / "log"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


@pytest.fixture
def installed(copy: Path) -> Path:
    """The same folder, after a first installation."""
    done = setup(copy, "venv")
    assert done.returncode == 0 and log(copy) == ["venv", "pip"], done.stderr
    return copy


BROKEN = "#!/bin/false\n"


@pytest.mark.parametrize(
    ("gone", "there", "asked", "said"),
    [
        ("", {}, [], "is up to date"),
        ("", {"pyproject.toml": "# changed\n"}, ["pip"], ""),
        ("", {"constraints.txt": "# changed\n"}, ["pip"], ""),
        (".venv/hdream-installed", {".venv/hdream-installing": ""}, ["venv", "pip"], "interrupted"),
        (".venv", {".venv/bin/half": ""}, ["venv", "pip"], ""),
        (".venv", {".venv/pyvenv.cfg": BROKEN}, ["venv", "pip"], ""),
        (".venv", {".venv/pyvenv.cfg": BROKEN, ".venv/bin/python": BROKEN}, ["venv", "pip"], ""),
    ],
)
def test_setup_installs_what_has_changed_or_is_broken(installed: Path, gone, there, asked, said) -> None:
    (installed / ".venv/half").touch()
    if gone:
        shutil.move(installed / gone, installed / "gone")
    for name, text in there.items():
        (installed / name).parent.mkdir(parents=True, exist_ok=True)
        with (installed / name).open("a") as file:
            file.write(text)
        (installed / name).chmod(0o755)
    done = setup(installed, "venv")
    assert (done.returncode, log(installed)) == (0, asked) and said in done.stdout
    assert (installed / ".venv/half").exists() == ("venv" not in asked)


def test_setup_keeps_the_environment_when_pip_fails(installed: Path) -> None:
    (installed / "constraints.txt").write_text("")
    failed = setup(installed, "venv", PIP_FAILS="1")
    assert failed.returncode != 0 and "install.log" in failed.stderr and log(installed) == ["pip"]
    assert setup(installed, "venv").returncode == 0 and log(installed) == ["pip"]


def test_setup_says_which_python_is_missing(copy: Path) -> None:
    done = setup(copy, "python", PYTHON=str(copy / "bin/python3"), VERSION="10")
    assert done.returncode != 0 and done.stderr.count("\n") == 1 and "Python 3.11 to 3.13" in done.stderr


def test_setup_installs_a_gl_library_as_root_once_and_tells_others_how(copy: Path) -> None:
    user = setup(copy, "gl", USER_ID="1000")
    assert user.returncode != 0 and log(copy) == []
    assert user.stderr == "hdream: run: sudo apt-get install libegl1 libgl1-mesa-dri libgl1 libosmesa6\n"
    assert setup(copy, "gl").returncode == 0
    update, install = log(copy)
    assert update == "apt-get update" and "libegl1 libgl1-mesa-dri" in install
    assert setup(copy, "gl").stdout == "hdream: renders off screen with EGL\n" and log(copy) == []


def test_setup_goes_on_without_slurm(copy: Path) -> None:
    """Its stand-in apt-get installs nothing, or cannot; what a machine has of Slurm is hidden."""
    hidden = {"PATH": f"{copy / 'bin'}:{hide(copy, 'munged slurmctld slurmd sbatch squeue'.split())}"}
    (copy / "tools/setup.sh").write_text((copy / "tools/setup.sh").read_text().replace(":/usr/sbin:/sbin", ""))
    assert setup(copy, "slurm", **hidden).returncode == 0
    assert "slurm-wlm munge" in log(copy)[-1]
    user = setup(copy, "slurm", USER_ID="1000", **hidden)
    assert user.returncode == 0 and "slurm-wlm munge" in user.stdout and log(copy) == []
    (copy / "bin/apt-get").write_text("#!/bin/bash\nexit 100\n")
    failed = setup(copy, "slurm", **hidden)
    assert failed.returncode == 0 and len(failed.stdout.splitlines()) == 2


def hide(copy: Path, names: list[str]) -> Path:
    """A folder with links to every program of PATH but those."""
    folder = copy / "programs"
    folder.mkdir()
    for path in (path for place in os.environ["PATH"].split(":") for path in Path(place).glob("*")):
        if path.name not in names and not (folder / path.name).is_symlink():
            (folder / path.name).symlink_to(path)
    return folder


def test_the_oldest_python_can_be_asked_for(copy: Path) -> None:
    for minor in (11, 13):
        script = copy / f"bin/python3.{minor}"
        script.write_text(f'#!/bin/bash\nVERSION={minor} exec {copy}/bin/python3 "$@"\n')
        script.chmod(0o755)
    said = [setup(copy, "python", *more).stdout.strip() for more in ([], ["lowest"])]
    assert said == ["python3", "python3.11"]


def test_setup_can_make_another_environment(copy: Path) -> None:
    done = setup(copy, "venv", ".venv-lowest", CONSTRAINTS="constraints.txt")
    assert ".venv-lowest" in done.stdout and not (copy / ".venv").exists()
    assert (copy / ".venv-lowest/hdream-installed").exists()


def test_every_requirement_has_a_lowest_version() -> None:
    """And PyTorch the tested one, so that no old build with its CUDA libraries is downloaded."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    said = python(ROOT / "tools/lowest.py").stdout.splitlines()
    lowest = {found.name: found for found in map(Requirement, said)}
    for line in map(Requirement, (text for text in needed if not text.startswith("hdream["))):
        (version,) = (str(one.version) for one in lowest[line.name].specifier)
        assert version in line.specifier and lowest[line.name].marker == line.marker
        assert line.name == "torch" or version in {one.version for one in line.specifier if one.operator == ">="}
    tested = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch==")]
    assert [line for line in said if line.startswith("torch==")] == tested


def test_a_requirement_without_a_lowest_version_is_named(tmp_path: Path) -> None:
    for name in ("tools/lowest.py", "constraints.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    text = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(re.sub(r'"h5py>=[0-9.]+"', '"h5py"', text))
    done = python("tools/lowest.py", cwd=tmp_path)
    assert done.returncode != 0 and "h5py" in done.stderr and "Traceback" not in done.stderr
