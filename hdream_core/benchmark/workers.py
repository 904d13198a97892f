"""Processes that wait to be timed. Taking turns, they share the machine's good and bad minutes."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from hdream_core.support.errors import UserError
from hdream_core.support.processes import keep_freed_memory


class BenchmarkError(UserError, RuntimeError):
    """A benchmark could not be taken; the message is one line for the user."""


Work = Callable[[], Any]
WARM_UP = 2  # calls: the first allocates, and a process that was idle has lost its place in the caches


class Worker:
    """A process of its own with named pieces of work.

    Args:
        make: called in the process with ``args``; returns the work by name. Must be importable.
        keep_memory: as runs do (``processes.keep_freed_memory``).
    """

    def __init__(self, make: Callable[..., Mapping[str, Work]], *args: Any, keep_memory: bool = True):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, args, keep_memory), daemon=True)
        self._process.start()
        theirs.close()

    def start(self, what: str, *args: Any) -> None:
        """Asks without waiting; ``wait`` has the answer."""
        with contextlib.suppress(BrokenPipeError):  # it ended at its own work's making; ``wait`` says why
            self._pipe.send((what, *args))

    def wait(self) -> Any:
        """The answer to what was asked last.

        Raises:
            BenchmarkError: if the work failed.
        """
        try:
            failure, answer = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise BenchmarkError("a benchmark's process ended unexpectedly; is there enough memory?") from None
        if failure:
            raise BenchmarkError(f"a benchmark failed: {failure}")
        return answer

    def ask(self, what: str, *args: Any) -> Any:
        """Asks and waits.

        Args:
            what: ``"names"`` of the work; ``"call"``, what it returns; ``"seconds"``, the mean over so many calls;
                ``"flops"``, floating-point operations; ``"memory_mb"`` and ``"peak_mb"``, the process's resident
                memory now and at most; ``"gpu_peak_mb"``, of tensors on a GPU.
            args: name of the work, and for seconds the number of calls.
        """
        self.start(what, *args)
        return self.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()  # which ends the process
        self._process.join(10)


def _serve(pipe: Connection, make: Callable[..., Mapping[str, Work]], args: tuple[Any, ...], keep_memory: bool) -> None:
    if keep_memory:
        keep_freed_memory()
    try:
        work = make(*args)
    except Exception as error:
        pipe.send((_line(error), None))
        return
    answers = {
        "names": lambda: list(work),
        "call": lambda name: work[name](),
        "seconds": lambda name, times: _seconds(work[name], times),
        "flops": lambda name: _flops(work[name]),
        "memory_mb": lambda: _status_mb("VmRSS"),
        "peak_mb": lambda: _status_mb("VmHWM"),
        "gpu_peak_mb": lambda: torch.cuda.max_memory_allocated() / 2**20,
    }
    while True:
        try:
            what, *rest = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((None, answers[what](*rest)))
        except Exception as error:
            pipe.send((_line(error), None))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _seconds(work: Work, times: int) -> float:
    _finish()
    start = time.perf_counter()
    for _ in range(times):
        work()
    _finish()
    return (time.perf_counter() - start) / times


def _finish() -> None:
    """Waits for a GPU's queue."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _flops(work: Work) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def _status_mb(name: str) -> float:
    """A line of Linux's /proc/self/status; getrusage's maximum would begin at the parent's. NaN elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith(f"{name}:")), math.nan)


def in_turns(workers: Mapping[str, Worker], name: str, rounds: int, times: int) -> dict[str, list[float]]:
    """Seconds of the same work in every worker: ``rounds`` of them, each ``times`` calls on end, one after another."""
    for worker in workers.values():
        worker.ask("seconds", name, WARM_UP)
    taken: dict[str, list[float]] = {label: [] for label in workers}
    for _ in range(rounds):
        for label, worker in workers.items():
            taken[label].append(worker.ask("seconds", name, times))
    return taken


def side_by_side(workers: Sequence[Worker], name: str, rounds: int, times: int) -> list[float]:
    """Seconds of a piece of work while all workers are at it, the mean over workers for each round."""
    taken = []
    for _ in range(rounds):
        for worker in workers:
            worker.start("seconds", name, times)
        taken.append(sum(worker.wait() for worker in workers) / len(workers))
    return taken


def paired_ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Median over rounds of slow / fast, each round's two taken next to each other."""
    return median(a / b for a, b in zip(slow, fast, strict=True))
