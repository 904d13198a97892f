"""Makes the parts of an update separately, for the benchmark."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hdream_core.config.fields import Config
from hdream_core.nets.parts import Work, part
from hdream_core.spec import Spec
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
        "optimiser": lambda: _optimizer_steps(agent),
    }


def without(config: Config, spec: Spec) -> dict[str, Callable[[], TDMPC]]:
    """Returns no agents: nothing of this agent has an implementation beside the plain one."""
    return {}


def _optimizer_steps(agent: TDMPC) -> tuple[()]:
    """Clips the gradients that the last update left, and takes Adam's steps on them."""
    for name, module in (("model", agent.model), ("actor", agent.behavior)):
        nn.utils.clip_grad_norm_(module.parameters(), agent.optimizers[name].clip)
        agent.optimizers[name].apply(torch.zeros((), device=agent.device))
    return ()
