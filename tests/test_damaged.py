"""Damaged files of every kind that hdream reads: they are read or refused in one line, in bounded time and memory.

``HDREAM_SEED`` damages them otherwise, and ``HDREAM_TIMES`` so many times as often.
"""

import os
import random
import resource
import time

import pytest

from hdream_core.runs.trainer import Stopped
from hdream_core.support.errors import BAD_INPUT, UserError
from tests.targets import GROUPS, Target

SLOWEST = 60.0  # seconds that a reader may take on a busy machine; the process for unsealed files has 30
MEMORY = 2**10  # MiB that readers may take


def attack(target: Target, rng: random.Random) -> bool:
    """Damages the file and reads it; whether it was refused. Anything but a user's error goes through."""
    good, content = target.path.read_bytes(), target.content and target.content()
    target.damage(target.path, rng)
    start = time.monotonic()
    try:
        target.read()
        if target.content:
            assert target.content() == content
    except (UserError, Stopped):
        return True
    except SystemExit as stop:
        assert stop.code == BAD_INPUT
        return True
    finally:
        target.path.write_bytes(good)
        assert time.monotonic() - start < SLOWEST
    return False


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", GROUPS)
def test_damaged_files_are_read_or_refused(group, tmp_path):
    rng, often = random.Random(int(os.environ.get("HDREAM_SEED", "0"))), int(os.environ.get("HDREAM_TIMES", "1"))
    targets = group(tmp_path)
    before = peak()
    for name, target in targets.items():
        times = often * target.times
        refused = sum(attack(target, rng) for _ in range(times))
        print(f"{name}: {refused} of {times} damaged files refused")
        target.read()  # the good one
    assert peak() - before < MEMORY


def peak() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
