"""Times work in several processes in turns, so that a slow minute of the machine slows all of them."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from hdream_core.support.errors import UserError
from hdream_core.support.processes import keep_freed_memory


class BenchmarkError(UserError, RuntimeError):
    """Reports that a benchmark failed; the message is one line for the user."""


Work = Callable[[], Any]


class Worker:
    """Runs named pieces of work in a process of its own.

    Args:
        make: called in the process with ``args``; returns the work by name. Must be importable.
        keep_memory: keep freed memory, as runs do (``processes.keep_freed_memory``).
    """

    def __init__(self, make: Callable[..., Mapping[str, Work]], *args: Any, keep_memory: bool = True):
        context = multiprocessing.get_context("spawn")
        self._pipe, child_pipe = context.Pipe()
        self._process = context.Process(target=_serve, args=(child_pipe, make, args, keep_memory), daemon=True)
        self._process.start()
        child_pipe.close()

    def start(self, what: str, *args: Any) -> None:
        """Sends a request without waiting; ``wait`` returns its answer."""
        with contextlib.suppress(BrokenPipeError):  # ``make`` failed and the process ended; ``wait`` says why
            self._pipe.send((what, *args))

    def wait(self) -> Any:
        """Returns the answer to the last request.

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
        """Sends a request and returns its answer.

        Args:
            what: ``"names"``: names of the work. ``"call"``: return value of a piece. ``"seconds"``: its mean time over
                some calls. ``"flops"``: its floating-point operations. ``"memory_mb"``, ``"peak_mb"``: resident memory
                of the process, current and peak. ``"gpu_peak_mb"``: peak memory of tensors on a GPU.
            args: name of the piece of work, and for ``"seconds"`` the number of calls.
        """
        self.start(what, *args)
        return self.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()  # ends the process
        self._process.join(10)


def _serve(pipe: Connection, make: Callable[..., Mapping[str, Work]], args: tuple[Any, ...], keep_memory: bool) -> None:
    """Answers requests as ``(failure, answer)`` until the pipe is closed."""
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
    """Returns the mean time of a call. PyTorch's timer first calls the work twice, and waits for a GPU."""
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    return timer.timeit(times).mean


def _flops(work: Work) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def _status_mb(name: str) -> float:
    """Reads a size in MiB from /proc/self/status; NaN off Linux. The peak of getrusage would start at the parent's."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith(f"{name}:")), math.nan)


def in_turns(workers: Mapping[str, Worker], name: str, rounds: int, times: int) -> dict[str, list[float]]:
    """Times work in all workers in turn, ``times`` calls a turn; returns the seconds of a call by worker and round."""
    seconds: dict[str, list[float]] = {label: [] for label in workers}
    for _ in range(rounds):
        for label, worker in workers.items():
            seconds[label].append(worker.ask("seconds", name, times))
    return seconds


def side_by_side(workers: Sequence[Worker], name: str, rounds: int, times: int) -> list[float]:
    """Times a piece of work in all workers at once; returns per round the seconds of a call, averaged over workers."""
    seconds = []
    for _ in range(rounds):
        for worker in workers:
            worker.start("seconds", name, times)
        seconds.append(sum(worker.wait() for worker in workers) / len(workers))
    return seconds


def paired_ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Returns the median over rounds of slow / fast, each ratio from one round."""
    return median(a / b for a, b in zip(slow, fast, strict=True))
