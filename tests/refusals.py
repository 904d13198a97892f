"""Commands as a user types them, and the one line that they end with where they refuse."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SMOKE = ["--task", "mini_lever", "--preset", "smoke"]
SWEEP = [*SMOKE, "--set", "log.checkpoint_every=20"]  # of the fixture ``swept``


def places(folder: Path) -> list[str]:
    """The flags by which a study writes into a folder alone."""
    return [f"--{name}={folder / name}" for name in ("runs", "results", "out")]


def typed(module: str, *words: object, **how: Any) -> subprocess.CompletedProcess:
    """Runs ``python -m``; see ``python``."""
    return python("-m", module, *words, **how)


def python(*words: object, cwd: Path = ROOT, code: Path | str = ROOT, before=(), **environment: object):
    """Runs Python with the packages of ``code``; its exit status and what it printed. ``before`` starts it."""
    line = [*before, sys.executable, *map(str, words)]
    clean = os.environ | {"PYTHONPATH": str(code)} | {name: str(value) for name, value in environment.items()}
    return subprocess.run(line, cwd=cwd, env=clean, capture_output=True, text=True, timeout=300)


def one_line(status: int | str | None, said: str, *named: object, expected: int = 2) -> str:
    """The line that a command ended with, which alone is an error and names what it is about."""
    lines = said.strip().splitlines()
    assert status == expected and "Traceback" not in said, said
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:], said
    assert all(str(name) in lines[-1] for name in named), (named, lines[-1])
    return lines[-1]


def refused(capsys, command, words, *named: object, status: int = 2) -> str:
    """The one line that a command says, called with its words; it names what it is about."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        command(words)
    said = [line for line in capsys.readouterr().err.splitlines() if "step/s" not in line]  # without a bar
    assert len(said) == 1, said
    return one_line(stop.value.code, said[0], *named, expected=status)
