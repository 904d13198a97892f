"""Makes the parts of an update separately, for the benchmark."""

from __future__ import annotations

import torch
from torch import Tensor

from hdream_core.dreamerv3.agent import DreamerV3
from hdream_core.dreamerv3.behavior import Imagined
from hdream_core.dreamerv3.distributions import TwoHot
from hdream_core.nets.latents import State
from hdream_core.nets.parts import Work, optimizer_steps, part
from hdream_core.support.batch import to_device


def parts(agent: DreamerV3, batch: dict[str, Tensor]) -> dict[str, Work]:
    """Returns the parts of an update by name: each runs forward and backward on inputs like the update's.

    Args:
        agent: an agent that has taken an update.
        batch: windows.
    """
    batch = to_device(batch, agent.device)
    with torch.no_grad(), agent.autocast():
        embed = agent.model.encode(batch["image"])  # (B, T, E)
        post, _ = agent.model.rssm.observe(embed, batch["action"], batch["is_first"])
        start, goes_on = _starts(agent, post)
        imagined = agent.behavior.imagine(agent.model, start)
    behavior_parts = _behavior_parts(agent, post, imagined, goes_on)
    return _model_parts(agent, batch, embed, post) | behavior_parts | {"optimiser": lambda: optimizer_steps(agent)}


def _model_parts(agent: DreamerV3, batch: dict[str, Tensor], embed: Tensor, post: State) -> dict[str, Work]:
    model, feat = agent.model, post.feat
    image = model.preprocess(batch["image"]).flatten(0, 1)  # (B * T, C, H, W)
    heads = [model.reward_head, model.continue_head]

    def observe(embed: Tensor) -> Tensor:
        post, prior_logits = model.rssm.observe(embed, batch["action"], batch["is_first"])
        return model.rssm.kl_loss(post.stats, prior_logits)[0] + post.feat.mean()

    def decode(feat: Tensor) -> Tensor:
        return (model.decoder(feat).float() - image).square().flatten(1).sum(-1).mean()

    def read(feat: Tensor) -> Tensor:
        return TwoHot(model.reward_head(feat)).nll(batch["reward"]).mean() + model.continue_head(feat).mean()

    model_parts = {
        "encoder": part(agent, lambda: model.encode(batch["image"]).float().mean(), [model.encoder]),
        "observe": part(agent, observe, [model.rssm], embed),
        "heads": part(agent, read, heads, feat),
    }
    if model.decoder is not None:
        model_parts["decoder"] = part(agent, decode, [model.decoder], feat.flatten(0, 1))
    return model_parts


def _behavior_parts(agent: DreamerV3, post: State, imagined: Imagined, goes_on: Tensor) -> dict[str, Work]:
    model, behavior, start = agent.model, agent.behavior, _starts(agent, post)[0]

    def imagine() -> Tensor:
        rollout = behavior.imagine(model, start)
        return rollout.feat.mean() + behavior.actor.policy(rollout.feat[:-1].detach()).entropy().mean()

    def actor_critic(feat: Tensor) -> Tensor:
        return sum(behavior.imagined_losses(model, imagined._replace(feat=feat), goes_on)[:2])

    return {
        "imagination": part(agent, imagine, [behavior.actor]),
        "actor_critic": part(agent, actor_critic, [behavior.critic], imagined.feat),
    }


def _starts(agent: DreamerV3, post: State) -> tuple[State, Tensor]:
    """The first states of the batch, as many as imagination starts from, and that they go on."""
    start = post.flatten().map(lambda x: x[: agent.config.agent.behavior.starts])
    return start, torch.ones(len(start.deter), device=agent.device)
