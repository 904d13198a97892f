"""The parts of an update, each by itself, for the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from hdream_core.config.fields import Config
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.dreamerv2.behavior import Imagined
from hdream_core.dreamerv2.rssm import State
from hdream_core.dreamerv2.tuned.kernels import without_each
from hdream_core.spec import Spec
from hdream_core.support.batch import to_device
from hdream_core.support.precision import autocast, pick_device

Work = Callable[[], Any]


def parts(agent: DreamerV2, batch: dict[str, Tensor]) -> dict[str, Work]:
    """Returns each part of an update, forwards and backwards on inputs like the update's, by name.

    Args:
        agent: that has taken an update.
        batch: windows.
    """
    data = to_device(batch, agent.device)
    with torch.no_grad(), _precision(agent):
        embed = agent.model.encode(data["image"])
        post, _ = agent.model.rssm.observe(embed, data["action"], data["is_first"])
        imagined = agent.behavior.imagine(agent.model, _starts(agent, post))
    behavior = _behavior_parts(agent, post, imagined)
    return _model_parts(agent, data, embed, post) | behavior | {"optimiser": lambda: _step(agent)}


def without(config: Config, spec: Spec) -> dict[str, Callable[[], DreamerV2]]:
    """Returns makers of agents that run with all tuned forms but one file's, by what is left out."""
    found = without_each(pick_device(config.train.device))
    return {name: lambda k=kernels: DreamerV2(config, spec, kernels=k) for name, kernels in found.items()}


def _model_parts(agent: DreamerV2, data: dict[str, Tensor], embed: Tensor, post: State) -> dict[str, Work]:
    model, feat = agent.model, post.feat
    image = model.preprocess(data["image"]).flatten(0, 1)
    heads = [h for h in (model.reward_head, model.discount_head) if h is not None]

    def observe(embed: Tensor) -> Tensor:
        post, prior = model.rssm.observe(embed, data["action"], data["is_first"])
        return model.rssm.kl_loss(post.logits, prior)[0] + post.feat.mean()

    def decode(feat: Tensor) -> Tensor:
        return model.kernels.half_squared_error(model.decoder(feat), image, 3)

    found = {
        "encoder": _part(agent, lambda: model.encode(data["image"]).float().mean(), [model.encoder]),
        "observe": _part(agent, observe, [model.rssm], embed),
        "heads": _part(agent, lambda x: sum(head(x).mean() for head in heads), heads, feat),
    }
    if model.decoder is not None:
        found["decoder"] = _part(agent, decode, [model.decoder], feat.flatten(0, 1))
    return found


def _behavior_parts(agent: DreamerV2, post: State, imagined: Imagined) -> dict[str, Work]:
    model, behavior, start = agent.model, agent.behavior, _starts(agent, post)

    def imagine() -> Tensor:
        rollout = behavior.imagine(model, start)
        return rollout.feat.mean() + rollout.entropy.mean()

    def actor_critic(feat: Tensor) -> Tensor:
        return sum(behavior.imagined_losses(model, imagined._replace(feat=feat))[:2])

    return {
        "imagination": _part(agent, imagine, [behavior.actor]),
        "actor_critic": _part(agent, actor_critic, [behavior.critic], imagined.feat),
    }


def _part(agent: DreamerV2, forward: Any, modules: Iterable[nn.Module], *inputs: Tensor) -> Work:
    """``forward(*inputs)``, a scalar, and its gradients for the inputs and the modules' parameters."""
    parameters = [p for module in modules for p in module.parameters()]

    def work() -> tuple[()]:
        leaves = [x.detach().requires_grad_() for x in inputs]
        with _precision(agent):
            loss = forward(*(x.view_as(x) for x in leaves))  # views: the counter of operations takes no leaves
        torch.autograd.grad(loss, [*leaves, *parameters], allow_unused=True)
        return ()

    return work


def _precision(agent: DreamerV2) -> Any:
    return autocast(agent.config.train.precision, agent.device)


def _starts(agent: DreamerV2, post: State) -> State:
    return post.flatten().map(lambda x: x[: agent.config.agent.behavior.starts])


def _step(agent: DreamerV2) -> tuple[()]:
    """Clipping and Adam, on the gradients that the last update left."""
    for name, module in (("model", agent.model), ("actor", agent.behavior.actor), ("critic", agent.behavior.critic)):
        nn.utils.clip_grad_norm_(module.parameters(), 100.0)
        agent.optimizers[name].adam.step()
    return ()
