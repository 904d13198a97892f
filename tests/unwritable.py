"""Folders that cannot be written, also for root, and commands that run as a user whom permissions bind."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.refusals import ROOT, SMOKE, one_line, typed  # noqa: F401

# Without these root may no more than the modes of files say.
BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def command(*words: object, cwd: Path, code: Path = ROOT, **environment: object) -> subprocess.CompletedProcess:
    """Runs ``python -m`` with the packages of ``code``, as a user whom permissions bind, away from home."""
    if BOUND and shutil.which(BOUND[0]) is None:
        pytest.skip("root has no setpriv to give its rights up")
    away = {"HDREAM_DATA": "", "XDG_CACHE_HOME": "", "HDREAM_CACHE": cwd / "cache"}
    return typed(*words, cwd=cwd, code=code, before=BOUND, **away | environment)


@contextlib.contextmanager
def read_only(folder: Path):
    """Takes away the right to write anything in a folder while the block runs, which must change nothing in it."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
        assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (folder, *folder.rglob("*"))} == before
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def refused(done: subprocess.CompletedProcess, *words: object) -> None:
    """Asserts that a command ended with one line and status 2, and that the line has all words in it."""
    one_line(done.returncode, done.stderr, *words)
