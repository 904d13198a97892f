"""Times an update, as a whole and in parts: tuned, plain, and the floor that its arithmetic sets."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from statistics import median
from typing import Any, Literal

import torch
from torch import Tensor

from hdream_core.agent import make_agent, parts_module
from hdream_core.benchmark.workers import Work, Worker, in_turns, paired_ratio, side_by_side
from hdream_core.config.balancer import BalancerConfig, make_balancer
from hdream_core.config.fields import Config
from hdream_core.data.prefetch import as_tensors
from hdream_core.data.replay import random_batch
from hdream_core.spec import Spec
from hdream_core.support.batch import to_device
from hdream_core.support.cuda_graph import WARM_UP, capture
from hdream_core.support.precision import native_bfloat16, pick_device
from hdream_core.support.settings import flatten, override

MATRIX = {"cpu": 1024, "cuda": 8192}  # rows and columns of the products that measure the machine's rate
PRODUCTS = 20  # products in a call
BALANCER_CALLS = 200  # many, because one takes microseconds


def plain(config: Config, precision: Literal["auto", "float32", "bfloat16"] = "float32") -> Config:
    """Returns the same config with plain kernels, in float32 or another precision."""
    return replace(config, train=replace(config.train, kernels="plain", precision=precision))


def measure(config: Config, spec: Spec, rounds: int, times: int) -> dict[str, float]:
    """Measures an update and its parts, tuned and plain: seconds and the floor. Adds memory and the harmonizers' cost.

    Two things make a tuned update faster: its kernels, and bfloat16 if the processor has it. So the plain update is
    timed twice. ``plain_s`` and ``speedup`` compare with float32, for both gains. ``same_precision_s`` and
    ``speedup_of_kernels`` compare with the run's own precision, for the gain of the kernels alone.

    Args:
        config: config of the run; the tuned update uses its precision and threads.
        spec: spec of its environment.
        rounds: turns of each process; medians are taken over them.
        times: updates in a turn.
    """
    with (
        Worker(make_parts, config, spec) as tuned,
        Worker(make_parts, plain(config), spec, keep_memory=False) as reference,
        Worker(make_parts, plain(config, config.train.precision), spec, keep_memory=False) as same_precision,
        Worker(make_products, config.train.device, config.train.threads) as products,
    ):
        workers = {"tuned": tuned, "plain": reference, "same_precision": same_precision}
        rates = {name: _rate(products, name, rounds) for name in products.ask("names") if name != "flops"}
        best_rate = max(rates.values())
        numbers = {f"matrix.{name}_gflops": rate / 1e9 for name, rate in rates.items()}
        for name in tuned.ask("names"):
            whole = name == "update"
            seconds = in_turns(workers, name, rounds if whole else max(rounds // 2, 1), times)
            key = "update" if whole else f"update.parts.{name}"
            flops = reference.ask("flops", name)
            numbers |= {f"{key}.{label}_s": median(values) for label, values in seconds.items()}
            numbers |= {f"{key}.floor_s": flops / best_rate, f"{key}.gflop": flops / 1e9}
            numbers[f"{key}.speedup"] = paired_ratio(seconds["plain"], seconds["tuned"])
            numbers[f"{key}.speedup_of_kernels"] = paired_ratio(seconds["same_precision"], seconds["tuned"])
            if whole:
                numbers["update.over_floor"] = numbers["update.tuned_s"] / numbers["update.floor_s"]
                numbers["memory.peak_mb"] = tuned.ask("peak_mb")
                numbers["memory.plain_peak_mb"] = reference.ask("peak_mb")
                if torch.cuda.is_available():
                    numbers["memory.gpu_peak_mb"] = tuned.ask("gpu_peak_mb")
    return numbers | _harmonizers(config, rounds, numbers["update.tuned_s"])


def measure_threads(config: Config, spec: Spec, rounds: int, times: int) -> dict[str, float]:
    """Measures three ways to train two models: side by side on one thread each, in turn on two threads, or batched.

    The gain of batching two models is bounded from above by one model on twice the batch. It has the arithmetic of two
    models with a leading axis, in products twice as large, which is the best that such an axis can reach.
    """
    one_thread, two_threads = (replace(config, train=replace(config.train, threads=n)) for n in (1, 2))
    double = override(one_thread, {"train.batch": 2 * one_thread.train.batch})
    starts = "agent.behavior.starts"  # where an agent limits it, it doubles with the batch
    if (count := flatten(one_thread).get(starts)) is not None:
        double = override(double, {starts: 2 * count})
    with (
        Worker(make_parts, one_thread, spec) as first,
        Worker(make_parts, one_thread, spec) as second,
        Worker(make_parts, two_threads, spec) as threaded,
        Worker(make_parts, double, spec) as batched,
    ):
        pair_s, threaded_s, alone_s, batched_s = [], [], [], []  # seconds of an update, for each round
        for _ in range(rounds):
            pair_s += side_by_side([first, second], "update", 1, times)
            threaded_s += side_by_side([threaded], "update", 1, times)
            alone_s += side_by_side([first], "update", 1, times)
            batched_s += side_by_side([batched], "update", 1, max(times // 2, 1))
    return {
        "threads.batched_model_advantage_at_most": 2 * paired_ratio(alone_s, batched_s),
        "threads.two_runs_updates_per_s": 2 / median(pair_s),
        "threads.one_run_of_two_threads_updates_per_s": 1 / median(threaded_s),
        "threads.two_runs_advantage": 2 * paired_ratio(threaded_s, pair_s),
    }


def _rate(products: Worker, name: str, rounds: int) -> float:
    """Returns the floating-point operations per second of matrix products in a dtype."""
    seconds = median(products.ask("seconds", name, 1) for _ in range(rounds))
    return products.ask("call", "flops") / seconds


def make_products(device_name: str, threads: int) -> dict[str, Work]:
    """Makes matrix products in each dtype that a device has natively, and ``flops``, the operations of a call."""
    torch.set_num_threads(threads or torch.get_num_threads())
    device = pick_device(device_name)
    dtypes = [torch.float32] + [torch.bfloat16] * native_bfloat16(device)
    rows = MATRIX[device.type]
    pairs = {dtype: torch.randn(2, rows, rows, device=device, dtype=dtype) for dtype in dtypes}
    work = {
        str(dtype).removeprefix("torch."): lambda pair=pair: [pair[0] @ pair[1] for _ in range(PRODUCTS)]
        for dtype, pair in pairs.items()
    }
    return work | {"flops": lambda: PRODUCTS * 2 * rows**3}


def make_parts(config: Config, spec: Spec) -> dict[str, Work]:
    """Makes the update, and each of the parts that the agent has."""
    agent, batch = make_agent_and_batch(config, spec)
    update = capture(agent.update, agent.device, agent.capturable)
    work = {"update": lambda: update(batch), "data": lambda: to_device(batch, agent.device)}
    module = parts_module(config.agent.name)
    parts = module.parts(agent, batch) if module else {}
    if agent.capturable:
        parts = {name: capture(part, agent.device) for name, part in parts.items()}
        for part in (work["update"], *parts.values()):  # capture them now, so that the capture is not timed
            for _ in range(WARM_UP + 1):
                part()
    return work | parts


def make_agent_and_batch(config: Config, spec: Spec) -> tuple[Any, dict[str, Tensor]]:
    """Makes an agent that has taken an update, and a batch of noise."""
    torch.set_num_threads(config.train.threads or torch.get_num_threads())
    torch.manual_seed(0)
    agent = make_agent(config, spec)
    batch = as_tensors(random_batch(config.train.batch, config.train.length, spec), pin=agent.device.type == "cuda")
    agent.update(batch)
    return agent, batch


def measure_kernels(config: Config, spec: Spec, rounds: int, times: int) -> dict[str, float]:
    """Measures the gain of each tuned file alone: the time of an update without it over the time with all.

    Returns:
        ``kernels.without_<file>``, ratios above 1 where the file saves time; nothing for an agent without such files.
    """
    module = parts_module(config.agent.name)
    names = ["all", *module.without(config, spec)] if hasattr(module, "without") else []
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(make_without, config, spec, name)) for name in names}
        seconds = in_turns(workers, "update", rounds, times)
    return {f"kernels.without_{name}": paired_ratio(seconds[name], seconds["all"]) for name in names[1:]}


def make_without(config: Config, spec: Spec, name: str) -> dict[str, Work]:
    """Makes the update of an agent without one tuned file, or with all of them for ``all``."""
    agent, batch = make_agent_and_batch(config, spec)
    if name != "all":
        agent = parts_module(config.agent.name).without(config, spec)[name]()
    update = capture(agent.update, agent.device, agent.capturable)
    for _ in range(WARM_UP + 1):
        update(batch)
    return {"update": lambda: update(batch)}


def _harmonizers(config: Config, rounds: int, update_s: float) -> dict[str, float]:
    """Measures what HarmonyDream adds to an update: its loss and gradient, and three more parameters for Adam."""
    with Worker(make_balancers, config.train.device, config.train.threads) as worker:
        seconds = {
            name: median(worker.ask("seconds", name, BALANCER_CALLS) for _ in range(rounds))
            for name in ("fixed", "harmony")
        }
    extra = seconds["harmony"] - seconds["fixed"]
    return {"harmonizers.extra_s": extra, "harmonizers.share_of_update": extra / update_s}


def make_balancers(device_name: str, threads: int) -> dict[str, Work]:
    """Makes the total, gradient and Adam step of two balancers: ``fixed`` and ``harmony``."""
    torch.set_num_threads(threads or torch.get_num_threads())
    return {kind: _balance(kind, pick_device(device_name)) for kind in ("fixed", "harmony")}


def _balance(kind: Any, device: torch.device) -> Work:
    balancer = make_balancer(BalancerConfig(kind=kind), ("observation", "reward", "dynamics"), (64, 64, 3)).to(device)
    losses = {name: torch.rand((), device=device, requires_grad=True) for name in balancer.names}
    parameters = list(balancer.parameters())
    adam = torch.optim.Adam(parameters, fused=True) if parameters else None

    def work() -> None:
        total, _ = balancer(losses)
        gradients = torch.autograd.grad(total, [*losses.values(), *parameters])
        for parameter, gradient in zip(parameters, itertools.islice(gradients, len(losses), None), strict=True):
            parameter.grad = gradient
        if adam:
            adam.step()

    return work
