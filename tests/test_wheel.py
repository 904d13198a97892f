"""The wheel, installed where nobody can write: it judges as the checkout does, and writes where it is called."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.__main__ import COMMANDS
from analysis.results.schema import CONTENTS, SHIPPED
from tests.test_project import PACKAGES
from tests.unwritable import ROOT, SMOKE, command, read_only, refused

pytest.importorskip("setuptools", minversion="77")
HELP = """
import contextlib, importlib, io, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        module.main()
    assert module.__file__.startswith(sys.path[1]), module.__file__
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the wheel installed in it; built from a copy, for setuptools leaves a build folder."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "out") if package != "offline_buffers" else None
        shutil.copytree(ROOT / package, source / package, ignore=ignored or shutil.ignore_patterns("data"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    with read_only(folder / "site"):
        yield folder / "site"


def test_pages_are_those_of_the_checkout(site, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "figures").symlink_to(ROOT / "docs" / "figures")
    for name in ("claims", "report"):
        done = command(f"analysis.{name}", "--out", "out", cwd=tmp_path, code=site)
        assert done.returncode == 0, done.stderr
    pages = [path for path in tmp_path.glob("**/*") if path.suffix in (".md", ".html") and "figures" not in path.parts]
    assert sorted(path.name for path in pages) == ["claims.html", "claims.md", "presets.md", "results.md"]
    assert [path.name for path in pages if path.read_bytes() != (ROOT / "docs" / path.name).read_bytes()] == []


def test_a_copy_in_another_repository_claims_no_commit_of_it(site, tmp_path):
    inside = shutil.copytree(site, tmp_path / "lib")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], [*identity, "commit", "--quiet", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    code = "from hdream_core.support.provenance import git_state; print(*git_state())"
    done = subprocess.run([sys.executable, "-c", code], cwd=inside, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["unknown", "False"]


def test_every_file_that_git_has_of_the_packages_is_installed(site):
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.skip("not a git repository")
    assert [name for name in listed.stdout.splitlines() if not (site / name).exists()] == []


def test_contents_name_what_ships():
    """After new results: add their names to ``figures/data/contents.txt``."""
    assert (SHIPPED / CONTENTS).read_text().split() == sorted(path.name for path in SHIPPED.glob("*.h5"))


@pytest.mark.parametrize(
    "name",
    [
        "analysis/data/performance_gpu.json",
        *(f"analysis/ledger/{name}.toml" for name in ("claims", "changes")),
        *(f"figures/data/{name}" for name in (CONTENTS, "finding1_hammer_cpu.h5")),
    ],
)
def test_a_file_that_a_verdict_needs_and_that_is_gone_is_one_line(name, site, tmp_path):
    broken = shutil.copytree(site, tmp_path / "lib")
    (broken / name).parent.chmod(0o755)
    (broken / name).unlink()
    refused(command("analysis.claims", "--out", "out", cwd=tmp_path, code=broken), Path(name).name)
    assert not (tmp_path / "out").exists()


def test_every_command_of_the_wheel_says_what_it_does(site, tmp_path):
    modules = [command.module for command in COMMANDS.values()]
    names = [f"{name}.__main__" if name in ("figures", "hdream_core.benchmark") else name for name in modules]
    (tmp_path / "tell_all.py").write_text(HELP)
    done = command("tell_all", *names, cwd=tmp_path, code=site)
    assert done.returncode == 0, done.stderr


def test_a_study_of_the_wheel_leaves_all_it_makes_in_the_current_folder(site, tmp_path):
    done = command("analysis.finding1", *SMOKE, "--mode", "offline", "--w-r", "1", cwd=tmp_path, code=site)
    assert done.returncode == 0, done.stderr
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    buffer = "offline_buffers/data/mini_lever_scripted_5000_seed0"
    assert {f"{buffer}/data/main_data.hdf5", "results/finding1_mini_lever_smoke.h5"} <= made
    valid = command("offline_buffers.validate", buffer, cwd=tmp_path, code=site)
    assert valid.returncode == 0, valid.stderr


def test_another_default_place_can_be_named(site, tmp_path):
    words = ["offline_buffers.build", "--task", "mini_lever", "--steps", "50", "--workers", "1"]
    done = command(*words, cwd=tmp_path, code=site, HDREAM_DATA=tmp_path / "big")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "big/offline_buffers/data/mini_lever_scripted_50_seed0/data/metadata.json").exists()
    assert not (tmp_path / "offline_buffers").exists()
    (tmp_path / "file").touch()
    refused(command(*words, cwd=tmp_path, code=site, HDREAM_DATA=tmp_path / "file"), tmp_path / "file", "HDREAM_DATA")
