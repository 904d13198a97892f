"""The package with PyTorch alone beside it: the balancers work, and a command says in one line what it lacks."""

import math
import subprocess
import sys

import pytest

from hdream_core.support import extras
from tests.test_project import ROOT

# Stands for an environment without the extras: what they bring cannot be found.
WITHOUT = """
import runpy, sys
from importlib.abc import MetaPathFinder
class Nothing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nothing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in {missing!r} else found(name, *more)
sys.argv = ["-m"]
{code}
"""
MISSING = (*extras.NEEDED["analysis"], "pandas", "matplotlib", "gymnasium", "metaworld", "mujoco", "jaxtyping", "numpy")


def without(code):
    """A process in which nothing but PyTorch is installed runs some code."""
    text = WITHOUT.format(missing=MISSING, code=code)
    return subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)


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
    done = without(f"import {package}")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "hdream[analysis]" in done.stderr
    assert "tyro" in done.stderr


def test_a_library_raises_what_it_lacks():
    done = without("sys.argv = ['mine.py']\nimport hdream_core.config")
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("ImportError: training needs")
