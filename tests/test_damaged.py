"""Damaged files of every kind that hdream reads: they are read or refused in one line, in bounded time and memory.

``python -m tests.test_damaged SECONDS`` goes on damaging files for as long as it is told, and prints what it did.
"""

import contextlib
import io
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hdream_core.runs.trainer import Stopped
from hdream_core.support.errors import BAD_INPUT, UserError
from tests.targets import GROUPS, Target, targets

SLOWEST = 60.0  # seconds that a reader may take on a busy machine; the process for unsealed files has 30
MEMORY = 2**10  # MiB that readers may take beyond what good files took


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
def test_damaged_files_are_read_or_refused(group, tmp_path, record_property):
    seed = int(os.environ.get("HDREAM_SEED", "0"))  # the same damage in every run; the fuzzer beneath goes on searching
    print(f"seed {seed}")
    rng = random.Random(seed)
    for name, target in group(tmp_path).items():
        refused = sum(attack(target, rng) for _ in range(target.times))
        print(f"{name}: {refused} of {target.times} damaged files refused")
        record_property("damaged", target.times)
        target.read()  # the good one


def peak() -> float:
    """MiB that this process has held at most."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def fuzz(seconds: float) -> None:
    """Damages files of every kind in turn until time is over, prints how many; raises what is no user's error."""
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        found = targets(Path(folder))
        counts, refused, took = (dict.fromkeys(found, 0.0) for _ in range(3))
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            for target in found.values():
                target.read()
        before, end = peak(), time.monotonic() + seconds
        while time.monotonic() < end:
            for name, target in found.items():
                start = time.monotonic()
                while time.monotonic() < start + 0.5:  # a fair share of the time for each
                    begun = time.monotonic()
                    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                        refused[name] += attack(target, rng)
                    counts[name] += 1
                    took[name] = max(took[name], time.monotonic() - begun)
    for name in found:
        print(f"{name:<34} {counts[name]:>7.0f} damaged, {refused[name]:>7.0f} refused, slowest {took[name]:6.2f} s")
    more = peak() - before
    print(f"{sum(counts.values()):.0f} files, memory at most {peak():.0f} MiB, {more:.0f} of it for damaged ones")
    assert more < MEMORY


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    fuzz(float(sys.argv[1]))
