"""Makes the parts of an update separately, for the benchmark."""

from __future__ import annotations

import torch
from torch import Tensor

from hdream_core.nets.parts import Work, optimizer_steps, part
from hdream_core.tdmpc.agent import TDMPC


def parts(agent: TDMPC, batch: dict[str, Tensor]) -> dict[str, Work]:
    """Returns the parts of an update by name: each runs forward and backward on inputs like the update's.

    Args:
        agent: an agent that has taken an update.
        batch: windows.
    """
    model, policy = agent.model, agent.behavior
    prepared = agent.prepare(batch)
    stack, action, reward = model.steps_of(prepared)
    with torch.no_grad(), agent.autocast():
        start = model.encode(stack[0])
        rolled = model.roll(start, action)  # (h + 1, B, L)

    def targets() -> tuple[()]:
        with torch.no_grad(), agent.autocast():
            model.targets(stack[1:], reward, agent.target, policy)
        return ()

    def heads(z: Tensor) -> Tensor:
        return sum(model.values(z, action)).mean() + model.reward(z, action).mean()

    return {
        "encoder": part(agent, lambda: model.encode(model.steps_of(prepared)[0][0]).mean(), [model.encoder]),
        "targets": targets,
        "dynamics": part(agent, lambda z: model.roll(z, action).mean(), [model.dynamics], start),
        "heads": part(agent, heads, [model.q1, model.q2, model.reward], rolled[:-1]),
        "policy": part(agent, lambda: model.policy_loss(rolled, policy), [policy]),
        "optimiser": lambda: optimizer_steps(agent),
    }
