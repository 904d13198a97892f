"""One update, whole and in parts: tuned beside plain, and beside the floor that its arithmetic sets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from hdream_core.benchmark.workers import Work, Worker, in_turns, paired_ratio, side_by_side
from hdream_core.config.fields import BalancerConfig, Config
from hdream_core.data.prefetch import as_tensors
from hdream_core.data.replay import random_batch
from hdream_core.dreamerv2.agent import DreamerV2, make_balancer
from hdream_core.dreamerv2.behavior import Imagined
from hdream_core.dreamerv2.rssm import State
from hdream_core.support.cuda_graph import WARM_UP, Recorded
from hdream_core.support.precision import autocast, native_bfloat16, pick_device

MATRIX = {"cpu": 1024, "cuda": 8192}  # rows and columns of the products that measure the machine's rate
PRODUCTS = 20
BALANCES = 200  # the balancers' microseconds need many calls


def plain(config: Config) -> Config:
    """The same run in float32 and with the plain forms."""
    return replace(config, train=replace(config.train, kernels="plain", precision="float32"))


def measure(config: Config, size: int, action: int, rounds: int, times: int) -> dict[str, float]:
    """Seconds of the tuned and the plain update and of their parts, the floor, memory, and what harmonizers cost.

    Args:
        config: of the run; its precision and threads are those of the tuned update.
        size: pixels per side.
        action: number of action dimensions.
        rounds: turns of each process; the medians are over them.
        times: updates on end in a turn.
    """
    args = size, action
    with (
        Worker(make_parts, config, *args) as tuned,
        Worker(make_parts, plain(config), *args, keep_memory=False) as reference,
        Worker(make_products, config.train.threads) as products,
    ):
        workers = {"tuned": tuned, "plain": reference}
        rate = {name: _rate(products, name, rounds) for name in products.ask("names")}
        best = max(rate.values())
        found = {f"matrix.{name}_gflops": value / 1e9 for name, value in rate.items()}
        for name in tuned.ask("names"):
            whole = name == "update"
            taken = in_turns(workers, name, rounds if whole else max(rounds // 2, 1), times)
            key = "update" if whole else f"update.parts.{name}"
            flops = reference.ask("flops", name)
            found |= {f"{key}.{label}_s": median(seconds) for label, seconds in taken.items()}
            found |= {f"{key}.floor_s": flops / best, f"{key}.gflop": flops / 1e9}
            found[f"{key}.speedup"] = paired_ratio(taken["plain"], taken["tuned"])
            if whole:
                found["update.over_floor"] = found["update.tuned_s"] / found["update.floor_s"]
                found["memory.peak_mb"] = tuned.ask("peak_mb")
                found["memory.plain_peak_mb"] = reference.ask("peak_mb")
                if torch.cuda.is_available():
                    found["memory.gpu_peak_mb"] = tuned.ask("gpu_peak_mb")
    return found | _harmonizers(config.train.threads, rounds, found["update.tuned_s"])


def measure_threads(config: Config, size: int, action: int, rounds: int, times: int) -> dict[str, float]:
    """Two runs at once: one thread each side by side, one after the other with two threads, or as one batched model.

    The batched model is bounded from above: one model on twice the batch has the arithmetic of two members with a
    leading axis, in products twice as large, which is the best that such an axis could do.
    """
    one, two = (replace(config, train=replace(config.train, threads=n)) for n in (1, 2))
    starts = config.behavior.starts
    double = replace(
        one,
        train=replace(one.train, batch=2 * one.train.batch),
        behavior=replace(one.behavior, starts=starts and 2 * starts),
    )
    with (
        Worker(make_parts, one, size, action) as first,
        Worker(make_parts, one, size, action) as second,
        Worker(make_parts, two, size, action) as threaded,
        Worker(make_parts, double, size, action) as batched,
    ):
        pair, single, alone, both = [], [], [], []
        for _ in range(rounds):
            pair += side_by_side([first, second], "update", 1, times)
            single += side_by_side([threaded], "update", 1, times)
            alone += side_by_side([first], "update", 1, times)
            both += side_by_side([batched], "update", 1, max(times // 2, 1))
    return {
        "threads.batched_model_advantage_at_most": 2 * paired_ratio(alone, both),
        "threads.two_runs_updates_per_s": 2 / median(pair),
        "threads.one_run_of_two_threads_updates_per_s": 1 / median(single),
        "threads.two_runs_advantage": 2 * paired_ratio(single, pair),
    }


def _rate(products: Worker, name: str, rounds: int) -> float:
    products.ask("seconds", name, 2)
    return (
        PRODUCTS * 2 * MATRIX[pick_device().type] ** 3 / median(products.ask("seconds", name, 1) for _ in range(rounds))
    )


def make_products(threads: int) -> dict[str, Work]:
    """Matrix products in each arithmetic that this device has."""
    torch.set_num_threads(threads or torch.get_num_threads())
    device = pick_device()
    dtypes = [torch.float32] + [torch.bfloat16] * native_bfloat16(device)
    rows = MATRIX[device.type]
    pairs = {dtype: torch.randn(2, rows, rows, device=device, dtype=dtype) for dtype in dtypes}
    return {
        str(dtype).removeprefix("torch."): lambda ab=pair: [ab[0] @ ab[1] for _ in range(PRODUCTS)]
        for dtype, pair in pairs.items()
    }


def make_parts(config: Config, size: int, action: int) -> dict[str, Work]:
    """The update, and each part of it forwards and backwards on inputs like the update's."""
    torch.set_num_threads(config.train.threads or torch.get_num_threads())
    torch.manual_seed(0)
    agent = DreamerV2(config, size, action)
    recorded = agent.kernels.recorded
    batch = as_tensors(random_batch(config.train.batch, config.train.length, size, action), pin=recorded)
    agent.update(batch)
    data = agent.to_device(batch)
    with torch.no_grad(), autocast(config.train.precision, agent.device):
        embed = agent.model.encode(data["image"])
        post, _ = agent.model.rssm.observe(embed, data["action"], data["is_first"])
        dream = agent.behavior.imagine(agent.model, _starts(agent, post))
    parts = _model_parts(agent, data, embed, post) | _behavior_parts(agent, post, dream)
    parts |= {"optimiser": lambda: _step(agent)}
    if recorded:  # as the whole update is; and the recording itself is not to be timed
        parts = {name: Recorded(part, agent.device) for name, part in parts.items()}
    work = {"update": lambda: agent.update(batch), "data": lambda: agent.to_device(batch)} | parts
    for part in work.values() if recorded else ():
        for _ in range(WARM_UP + 1):
            part()
    return work


def _model_parts(agent: DreamerV2, data: dict[str, Tensor], embed: Tensor, post: State) -> dict[str, Work]:
    model, feat = agent.model, post.feat
    image = model.preprocess(data["image"]).flatten(0, 1)
    heads = [h for h in (model.reward_head, model.discount_head) if h is not None]

    def observe(embed: Tensor) -> Tensor:
        post, prior = model.rssm.observe(embed, data["action"], data["is_first"])
        return model.rssm.kl_loss(post.logits, prior)[0] + post.feat.mean()

    def decode(feat: Tensor) -> Tensor:
        return model.kernels.half_squared_error(model.decoder(feat), image, 3)

    parts = {
        "encoder": _part(agent, lambda: model.encode(data["image"]).float().mean(), [model.encoder]),
        "observe": _part(agent, observe, [model.rssm], embed),
        "heads": _part(agent, lambda x: sum(head(x).mean() for head in heads), heads, feat),
    }
    if model.decoder is not None:
        parts["decoder"] = _part(agent, decode, [model.decoder], feat.flatten(0, 1))
    return parts


def _behavior_parts(agent: DreamerV2, post: State, dream: Imagined) -> dict[str, Work]:
    model, behavior, start = agent.model, agent.behavior, _starts(agent, post)

    def imagine() -> Tensor:
        imagined = behavior.imagine(model, start)
        return imagined.feat.mean() + imagined.entropy.mean()

    def actor_critic(feat: Tensor) -> Tensor:
        return sum(behavior.imagined_losses(model, dream._replace(feat=feat))[:2])

    return {
        "imagination": _part(agent, imagine, [behavior.actor]),
        "actor_critic": _part(agent, actor_critic, [behavior.critic], dream.feat),
    }


def _part(agent: DreamerV2, forward: Any, modules: Iterable[nn.Module], *inputs: Tensor) -> Work:
    """``forward(*inputs)``, a scalar, and its gradients for the inputs and the modules' parameters."""
    parameters = [p for module in modules for p in module.parameters()]

    def work() -> tuple[()]:
        leaves = [x.detach().requires_grad_() for x in inputs]
        with autocast(agent.config.train.precision, agent.device):
            loss = forward(*(x.view_as(x) for x in leaves))  # views: the counter of operations takes no leaves
        torch.autograd.grad(loss, [*leaves, *parameters], allow_unused=True)
        return ()

    return work


def _starts(agent: DreamerV2, post: State) -> State:
    return post.flatten().map(lambda x: x[: agent.config.behavior.starts])


def _step(agent: DreamerV2) -> tuple[()]:
    """Clipping and Adam, on the gradients that the last update left."""
    for name, module in (("model", agent.model), ("actor", agent.behavior.actor), ("critic", agent.behavior.critic)):
        nn.utils.clip_grad_norm_(module.parameters(), 100.0)
        agent.optimizers[name].adam.step()
    return ()


def _harmonizers(threads: int, rounds: int, update_s: float) -> dict[str, float]:
    """What HarmonyDream adds to an update: its loss and gradient, and three more scalars for Adam."""
    with Worker(make_balancers, threads) as worker:
        taken = {
            name: median(worker.ask("seconds", name, BALANCES) for _ in range(rounds)) for name in ("fixed", "harmony")
        }
    extra = taken["harmony"] - taken["fixed"]
    return {"harmonizers.extra_s": extra, "harmonizers.share_of_update": extra / update_s}


def make_balancers(threads: int) -> dict[str, Work]:
    """A balancer's total, its gradient and Adam's step, for fixed weights and for HarmonyDream."""
    torch.set_num_threads(threads or torch.get_num_threads())
    return {kind: _balance(kind) for kind in ("fixed", "harmony")}


def _balance(kind: Any) -> Work:
    balancer = make_balancer(BalancerConfig(kind=kind)).to(pick_device())
    losses = {name: torch.rand((), device=pick_device(), requires_grad=True) for name in balancer.names}
    mine = list(balancer.parameters())
    adam = torch.optim.Adam(mine, fused=True) if mine else None

    def work() -> None:
        total, _ = balancer(losses)
        gradients = torch.autograd.grad(total, [*losses.values(), *mine])
        for parameter, gradient in zip(mine, itertools.islice(gradients, len(losses), None), strict=True):
            parameter.grad = gradient
        if adam:
            adam.step()

    return work
