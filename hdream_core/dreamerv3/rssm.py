"""Implements DreamerV3's recurrent state-space model: a learned initial state, mixed categoricals, free nats per step.

Shapes: B or N batch, T time, A action, E embedding, D deterministic state, S categorical variables of K classes.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.dreamerv3.config import RSSMConfig
from hdream_core.dreamerv3.distributions import unimix
from hdream_core.dreamerv3.networks import hidden_layer, layer_norm, output_layer
from hdream_core.nets.distributions import categorical_kl, sample_one_hot
from hdream_core.nets.latents import State, stack


class GRUCell(nn.Module):
    """Updates the state by a GRU of one joint linear layer and LayerNorm, whose update gate has a bias of -1."""

    def __init__(self, input_dim: int, deter_dim: int):
        super().__init__()
        self.linear = hidden_layer(deter_dim + input_dim, 3 * deter_dim)
        self.norm = layer_norm(3 * deter_dim)

    def forward(self, x: Float[Tensor, "N inputs"], deter: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Maps the inputs ``(N, inputs)`` and the state ``(N, D)`` to the next state ``(N, D)``."""
        reset, candidate, update = self.norm(self.linear(torch.cat([deter, x], -1))).float().chunk(3, -1)
        candidate = torch.tanh(torch.sigmoid(reset) * candidate)
        update = torch.sigmoid(update - 1)
        return update * candidate + (1 - update) * deter


class RSSM(nn.Module):
    """Infers states by ``q(z_t | z_{t-1}, a_{t-1}, o_t)`` and predicts them by ``p(z_t | z_{t-1}, a_{t-1})``.

    Args:
        config: sizes.
        action_dim: length of an action's vector.
        embed_dim: length of an encoded frame.
    """

    def __init__(self, config: RSSMConfig, action_dim: int, embed_dim: int):
        super().__init__()
        self.config = config
        self.stoch_dim = stoch_dim = config.stoch * config.classes
        self.feat_dim = config.deter + stoch_dim
        self.in_layer, self.in_norm = hidden_layer(stoch_dim + action_dim, config.units), layer_norm(config.units)
        self.cell = GRUCell(config.units, config.deter)
        self.prior_layer, self.prior_norm = hidden_layer(config.deter, config.units), layer_norm(config.units)
        self.prior_logits = output_layer(config.units, stoch_dim)
        self.post_layer = hidden_layer(config.deter + embed_dim, config.units)
        self.post_norm = layer_norm(config.units)
        self.post_logits = output_layer(config.units, stoch_dim)
        self.initial_deter = nn.Parameter(torch.zeros(config.deter))  # before the tanh

    def initial(self, batch_size: int, device: torch.device | str | None = None) -> State:
        """Returns the learned state before an episode's first frame, ``(batch_size, ...)``; the latents are the mode.

        Args:
            batch_size: how many.
            device: is that of the weights; accepted as by other agents.
        """
        deter = torch.tanh(self.initial_deter).expand(batch_size, -1)
        logits = self._prior(deter)
        mode = F.one_hot(logits.argmax(-1), self.config.classes).to(logits.dtype)
        return State(deter, mode.flatten(-2), logits)

    def observe(
        self,
        embed: Float[Tensor, "B T E"],
        action: Float[Tensor, "B T A"],
        is_first: Bool[Tensor, "B T"],
    ) -> tuple[State, Float[Tensor, "B T S K"]]:
        """Computes the posterior of every step of a sequence, from the initial state on.

        Args:
            embed: ``(B, T, E)`` encoded frames.
            action: ``(B, T, A)``, ``action[:, t]`` LED TO ``embed[:, t]``.
            is_first: ``(B, T)`` bool. Where it is True, the previous state is the initial one and the action zero.

        Returns:
            The posterior states ``(B, T, ...)`` and the prior's logits ``(B, T, S, K)``.
        """
        state, posts = (initial := self.initial(len(embed))), []
        for inputs in zip(embed.unbind(1), action.unbind(1), is_first.unbind(1), strict=True):
            state = self.observe_step(state, *inputs, initial=initial)
            posts.append(state)
        post = stack(posts)  # (B, T, ...)
        # The recurrence does not use the prior's logits, so they are computed for all steps at once.
        return post, self._prior(post.deter)

    def observe_step(
        self,
        state: State,
        embed: Float[Tensor, "B E"],
        action: Float[Tensor, "B A"],
        is_first: Bool[Tensor, " B"],
        initial: State | None = None,
    ) -> State:
        """Samples the next posterior, ``z_t ~ q(z_t | z_{t-1}, a_{t-1}, o_t)``, for inputs ``(B, ...)``."""
        initial = initial or self.initial(len(embed))
        first = is_first[:, None]  # (B, 1)
        before = [torch.where(first, a, b) for a, b in ((initial.deter, state.deter), (initial.stoch, state.stoch))]
        deter = self._next_deter(*before, torch.where(first, 0, action))
        hidden = F.silu(self.post_norm(self.post_layer(torch.cat([deter, embed.to(deter.dtype)], -1))))
        return self._state(deter, self._mixed(self.post_logits(hidden)))

    def imagine_step(self, state: State, action: Float[Tensor, "N A"]) -> State:
        """Samples the next prior, ``z_t ~ p(z_t | z_{t-1}, a_{t-1})``, for inputs ``(N, ...)``."""
        deter = self._next_deter(state.deter, state.stoch, action)
        return self._state(deter, self._prior(deter))

    def imagine(self, state: State, action: Float[Tensor, "N T A"]) -> State:
        """Predicts open loop from ``(N, ...)`` with actions ``(N, T, A)``; returns states ``(N, T, ...)``."""
        states = []
        for action_t in action.unbind(1):
            state = self.imagine_step(state, action_t)
            states.append(state)
        return stack(states)

    def kl_loss(
        self, post_logits: Float[Tensor, "B T S K"], prior_logits: Float[Tensor, "B T S K"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Computes ``L_d`` (Eq. 15) with free nats for each step, and the plain KL; in nats, averaged over the steps.

        ``L_d = alpha max(1, KL[sg(post) || prior]) + (1 - alpha) max(1, KL[post || sg(prior)])`` with
        ``alpha = prior_share``.
        """
        share, free = self.config.prior_share, self.config.free_nats
        train_prior = categorical_kl(post_logits.detach(), prior_logits)  # (B, T)
        train_post = categorical_kl(post_logits, prior_logits.detach())
        loss = share * train_prior.clamp(min=free) + (1 - share) * train_post.clamp(min=free)
        return loss.mean(), train_prior.detach().mean()

    def _next_deter(self, deter: Tensor, stoch: Tensor, action: Tensor) -> Tensor:
        action = action / action.abs().clamp(min=1).detach()
        return self.cell(F.silu(self.in_norm(self.in_layer(torch.cat([stoch, action], -1)))), deter)

    def _prior(self, deter: Tensor) -> Tensor:
        return self._mixed(self.prior_logits(F.silu(self.prior_norm(self.prior_layer(deter)))))

    def _mixed(self, logits: Tensor) -> Tensor:
        return unimix(logits.unflatten(-1, (self.config.stoch, self.config.classes)), self.config.unimix)

    def _state(self, deter: Tensor, logits: Tensor) -> State:
        return State(deter, sample_one_hot(logits).flatten(-2), logits)
