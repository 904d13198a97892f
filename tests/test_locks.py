"""File systems without ``flock``: everything works, one process at a time, and a lock that nobody holds is named."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hdream_core.runs import folder as run_folder
from hdream_core.support import locks

ROOT = Path(__file__).resolve().parent.parent
# Read by Python before anything else: flock as a kernel without it answers. HDF5, which locks in C, is asked not to.
REFUSE = "import fcntl\ndef flock(*_): raise OSError({code}, 'as this file system answers')\nfcntl.flock = flock\n"
SMOKE = ["--task", "mini_lever", "--preset", "smoke", "--quiet", "--eval.context", "5", "--eval.horizon", "10"]


def refusing(folder: Path, code: int) -> dict[str, str]:
    (folder / "sitecustomize.py").write_text(REFUSE.format(code=code))
    return os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def command(*words: object, environment: dict[str, str]) -> subprocess.CompletedProcess:
    run = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(run, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)
def test_buffers_and_runs_need_no_flock(tmp_path, code):
    environment, buffer, run = refusing(tmp_path, code), tmp_path / "buffer", tmp_path / "run"
    build = ["--task", "mini_lever", "--steps", "300", "--workers", "1", "--out", buffer]
    done = command("offline_buffers.build", *build, environment=environment)
    assert done.returncode == 0, done.stderr
    done = command("hdream_core.train", *SMOKE, "--offline-buffer", buffer, "--folder", run, environment=environment)
    assert done.returncode == 0 and run_folder.is_done(run), done.stderr
    assert not list(tmp_path.rglob("*.held"))  # given back


def test_a_lock_without_flock_keeps_others_out_and_forgets_the_dead(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_has_flock", lambda lock: False)
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.3)
    lock = tmp_path / "lock"
    lock.touch()
    with locks.exclusive(lock, "at it"):
        code = (
            "import sys; from pathlib import Path; from hdream_core.support import locks\n"
            "locks._has_flock = lambda lock: False\n"
            "print(locks.is_held(Path(sys.argv[1])))"
        )
        seen = subprocess.run(
            [sys.executable, "-c", code, str(lock)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert seen.stdout == "True\n"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    held = tmp_path / "lock.held"
    held.write_text(f"{dead.pid}\n{os.uname().nodename}\n")
    with locks.exclusive(lock, "at it"):  # a process of this host that is gone holds nothing
        pass
    held.write_text("4711\nanother-host\n")
    expected = rf"another process is at it; .*if process 4711 of host another-host is gone, delete {held}"
    with pytest.raises(locks.BusyError, match=expected), locks.exclusive(lock, "at it"):
        pass
