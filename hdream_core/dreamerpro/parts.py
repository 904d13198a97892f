"""Makes the parts of an update separately, for the benchmark."""

from __future__ import annotations

import torch
from torch import Tensor

from hdream_core.dreamerpro.agent import DreamerPro
from hdream_core.dreamerpro.augment import random_shifts
from hdream_core.dreamerpro.behavior import Imagined
from hdream_core.nets.latents import State
from hdream_core.nets.parts import Work, first_states, optimizer_steps, part
from hdream_core.support.batch import to_device


def parts(agent: DreamerPro, batch: dict[str, Tensor]) -> dict[str, Work]:
    """Returns the parts of an update by name: each runs forward and backward on inputs like the update's.

    Args:
        agent: an agent that has taken an update.
        batch: windows.
    """
    views = {name: torch.cat([values] * 2) for name, values in to_device(batch, agent.device).items()}
    model = agent.model
    with torch.no_grad(), agent.autocast():
        embed = model.encode(views["image"])  # (2 B, T, E)
        post, _ = model.rssm.observe(embed, views["action"], views["is_first"])
        imagined = agent.behavior.imagine(model, first_states(agent, post))
    behavior_parts = _behavior_parts(agent, post, imagined)
    return _model_parts(agent, views, embed, post) | behavior_parts | {"optimiser": lambda: optimizer_steps(agent)}


def _model_parts(agent: DreamerPro, views: dict[str, Tensor], embed: Tensor, post: State) -> dict[str, Work]:
    model, feat, shape = agent.model, post.feat, embed.shape[:2]
    image = model.preprocess(views["image"])  # (2 B, T, C, H, W)
    target = model.prototypes.project(embed)

    def encode() -> Tensor:
        frames = random_shifts(image, model.config.shift).flatten(0, 1)
        with torch.no_grad():
            model.prototypes.project(model.target_encoder(frames).unflatten(0, shape))
        return model.encoder(frames).float().mean()

    def observe(embed: Tensor) -> Tensor:
        post, prior = model.rssm.observe(embed, views["action"], views["is_first"])
        return model.rssm.kl_loss(post.stats, prior)[0] + post.feat.mean()

    def assign(embed: Tensor, feat: Tensor) -> Tensor:
        losses = model.prototypes.losses(embed, feat, target)
        return losses["swav"] + losses["temporal"]

    return {
        "encoder": part(agent, encode, [model.encoder]),
        "observe": part(agent, observe, [model.rssm], embed),
        "prototypes": part(agent, assign, [model.prototypes], embed, feat),
        "heads": part(agent, lambda x: model.reward(x).mean(), [model.reward_head], feat),
    }


def _behavior_parts(agent: DreamerPro, post: State, imagined: Imagined) -> dict[str, Work]:
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
