"""Makes the parts of an update separately, for the benchmark."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hdream_core.config.fields import Config
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.dreamerv2.behavior import Imagined
from hdream_core.dreamerv2.tuned.kernels import without_each
from hdream_core.nets.latents import State
from hdream_core.nets.parts import Work, first_states, optimizer_steps, part
from hdream_core.spec import Spec
from hdream_core.support.batch import to_device
from hdream_core.support.precision import pick_device


def parts(agent: DreamerV2, batch: dict[str, Tensor]) -> dict[str, Work]:
    """Returns the parts of an update by name: each runs forward and backward on inputs like the update's.

    Args:
        agent: an agent that has taken an update.
        batch: windows.
    """
    batch = to_device(batch, agent.device)
    with torch.no_grad(), agent.autocast():
        embed = agent.model.encode(batch["image"])  # (B, T, E)
        post, _ = agent.model.rssm.observe(embed, batch["action"], batch["is_first"])
        imagined = agent.behavior.imagine(agent.model, first_states(agent, post))
    behavior_parts = _behavior_parts(agent, post, imagined)
    return _model_parts(agent, batch, embed, post) | behavior_parts | {"optimiser": lambda: optimizer_steps(agent)}


def without(config: Config, spec: Spec) -> dict[str, Callable[[], DreamerV2]]:
    """Returns functions that make agents with one file's tuned kernels replaced by plain ones, by that file's name."""
    variants = without_each(pick_device(config.train.device))
    return {name: lambda k=kernels: DreamerV2(config, spec, kernels=k) for name, kernels in variants.items()}


def _model_parts(agent: DreamerV2, batch: dict[str, Tensor], embed: Tensor, post: State) -> dict[str, Work]:
    model, feat = agent.model, post.feat
    image = model.preprocess(batch["image"]).flatten(0, 1)  # (B * T, C, H, W)
    heads = [head for head in (model.reward_head, model.discount_head) if head is not None]

    def observe(embed: Tensor) -> Tensor:
        post, prior_logits = model.rssm.observe(embed, batch["action"], batch["is_first"])
        return model.rssm.kl_loss(post.stats, prior_logits)[0] + post.feat.mean()

    def decode(feat: Tensor) -> Tensor:
        return model.kernels.half_squared_error(model.decoder(feat), image, 3)

    model_parts = {
        "encoder": part(agent, lambda: model.encode(batch["image"]).float().mean(), [model.encoder]),
        "observe": part(agent, observe, [model.rssm], embed),
        "heads": part(agent, lambda x: sum(head(x).mean() for head in heads), heads, feat),
    }
    if model.decoder is not None:
        model_parts["decoder"] = part(agent, decode, [model.decoder], feat.flatten(0, 1))
    return model_parts


def _behavior_parts(agent: DreamerV2, post: State, imagined: Imagined) -> dict[str, Work]:
    model, behavior, start = agent.model, agent.behavior, first_states(agent, post)

    def imagine() -> Tensor:
        rollout = behavior.imagine(model, start)
        return rollout.feat.mean() + rollout.entropy.mean()

    def actor_critic(feat: Tensor) -> Tensor:
        return sum(behavior.imagined_losses(model, imagined._replace(feat=feat))[:2])

    return {
        "imagination": part(agent, imagine, [behavior.actor]),
        "actor_critic": part(agent, actor_critic, [behavior.critic], imagined.feat),
    }
