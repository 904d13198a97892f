"""Processes that wait to be timed. Taking turns, they share the machine's good and bad minutes."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from hdream_core.processes import keep_freed_memory

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
        self._pipe.send((what, *args))

    def wait(self) -> Any:
        """The answer to what was asked last.

        Raises:
            RuntimeError: if the work failed.
        """
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError("a benchmark's process ended unexpectedly; is there enough memory?") from None
        if isinstance(answer, Exception):
            raise RuntimeError(f"a benchmark failed: {answer}") from answer
        return answer

    def ask(self, what: str, *args: Any) -> Any:
        """``names``; of a piece of work what it returns (``call``), its mean ``seconds`` over so many calls, its
        ``flops``; or ``peak_mb`` so far."""
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
        pipe.send(error)
        return
    answers = {
        "names": lambda: list(work),
        "call": lambda name: work[name](),
        "seconds": lambda name, times: _seconds(work[name], times),
        "flops": lambda name: _flops(work[name]),
        "peak_mb": _peak_mb,
    }
    while True:
        try:
            what, *rest = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(answers[what](*rest))
        except Exception as error:
            pipe.send(error)


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


def _peak_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


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
