"""Implements the recurrent state-space model with Gaussian latents: observe, imagine, KL.

Shapes: B or N batch, T time, A action, E embedding, D deterministic state, Z latents.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.dreamerpro.config import RSSMConfig
from hdream_core.dreamerpro.distributions import gaussian_stats
from hdream_core.nets.gaussian import gaussian_kl, sample_gaussian
from hdream_core.nets.gru import GRUCell
from hdream_core.nets.latents import State, stack
from hdream_core.nets.mlp import init_weights


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
        self.feat_dim = config.deter + config.stoch
        self.in_layer = nn.Linear(config.stoch + action_dim, config.hidden)
        self.cell = GRUCell(config.hidden, config.deter)
        self.prior_layer = nn.Linear(config.deter, config.hidden)
        self.prior_stats = nn.Linear(config.hidden, 2 * config.stoch)
        self.post_layer = nn.Linear(config.deter + embed_dim, config.hidden)
        self.post_stats = nn.Linear(config.hidden, 2 * config.stoch)
        self.apply(init_weights)

    def initial(self, batch_size: int, device: torch.device | str = "cpu") -> State:
        """Returns the all-zero state before an episode's first frame, ``(batch_size, ...)``."""
        deter, stoch = (torch.zeros(batch_size, n, device=device) for n in (self.config.deter, self.config.stoch))
        return State(deter, stoch, torch.stack([stoch, stoch], -2))

    def observe(
        self,
        embed: Float[Tensor, "B T E"],
        action: Float[Tensor, "B T A"],
        is_first: Bool[Tensor, "B T"],
    ) -> tuple[State, Float[Tensor, "B T 2 Z"]]:
        """Computes the posterior of every step of a sequence, from the initial state on.

        Args:
            embed: ``(B, T, E)`` encoded frames.
            action: ``(B, T, A)``, ``action[:, t]`` LED TO ``embed[:, t]``.
            is_first: ``(B, T)`` bool. Where it is True, the previous state is zeroed. The action is not, as in the
                authors' code: before an episode's first frame it is zero anyway.

        Returns:
            The posterior states ``(B, T, ...)`` and the prior's means and standard deviations ``(B, T, 2, Z)``.
        """
        state, posts = self.initial(len(embed), embed.device), []
        for inputs in zip(embed.unbind(1), action.unbind(1), is_first.unbind(1), strict=True):
            state = self.observe_step(state, *inputs)
            posts.append(state)
        post = stack(posts)  # (B, T, ...)
        # The recurrence does not use the prior's statistics, so they are computed for all steps at once.
        return post, self._prior(post.deter)

    def observe_step(
        self, state: State, embed: Float[Tensor, "B E"], action: Float[Tensor, "B A"], is_first: Bool[Tensor, " B"]
    ) -> State:
        """Samples the next posterior, ``z_t ~ q(z_t | z_{t-1}, a_{t-1}, o_t)``, for inputs ``(B, ...)``."""
        keep = (~is_first).to(action.dtype)[:, None]  # (B, 1)
        deter = self._next_deter(state.deter * keep, state.stoch * keep, action)
        hidden = F.elu(self.post_layer(torch.cat([deter, embed.to(deter.dtype)], -1)))
        return self._state(deter, gaussian_stats(self.post_stats(hidden)))

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
        self, post: Float[Tensor, "B T 2 Z"], prior: Float[Tensor, "B T 2 Z"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Computes ``L_KL`` with KL balancing, and the plain KL; in nats, averaged over batch and time.

        ``balance * KL[sg(post) || prior] + (1 - balance) * KL[post || sg(prior)]``, each of the two means no less than
        the free nats.
        """
        balance, free_nats = self.config.kl_balance, self.config.free_nats
        train_prior = gaussian_kl(post.detach(), prior).mean()
        train_post = gaussian_kl(post, prior.detach()).mean()
        loss = balance * train_prior.clamp(min=free_nats) + (1 - balance) * train_post.clamp(min=free_nats)
        return loss, train_prior.detach()

    def _next_deter(self, deter: Tensor, stoch: Tensor, action: Tensor) -> Tensor:
        return self.cell(F.elu(self.in_layer(torch.cat([stoch, action], -1))), deter)

    def _prior(self, deter: Tensor) -> Tensor:
        return gaussian_stats(self.prior_stats(F.elu(self.prior_layer(deter))))

    def _state(self, deter: Tensor, stats: Tensor) -> State:
        return State(deter, sample_gaussian(stats), stats)
