"""Makes parts of an update that run alone, for the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from hdream_core.nets.latents import State
from hdream_core.nets.learner import Learner

Work = Callable[[], Any]


def part(agent: Learner, forward: Any, modules: Iterable[nn.Module], *inputs: Tensor) -> Work:
    """Returns a function that computes the scalar ``forward(*inputs)`` and its gradients.

    The gradients are those of the inputs and of the modules' parameters.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]

    def work() -> tuple[()]:
        leaves = [x.detach().requires_grad_() for x in inputs]
        with agent.autocast():
            loss = forward(*(x.view_as(x) for x in leaves))  # views, because FlopCounterMode takes no leaves
        torch.autograd.grad(loss, [*leaves, *parameters], allow_unused=True)
        return ()

    return work


def optimizer_steps(agent: Learner) -> tuple[()]:
    """Clips the gradients that the last update left, and takes Adam's steps on them."""
    for optimizer in agent.optimizers.values():
        nn.utils.clip_grad_norm_(optimizer.parameters, optimizer.clip)
        optimizer.apply(torch.zeros((), device=agent.device))
    return ()


def first_states(agent: Learner, post: State) -> State:
    """Returns the first states of the batch, as many as imagination starts from; all of them if it starts from all."""
    return post.flatten().map(lambda x: x[: agent.config.agent.behavior.starts])
