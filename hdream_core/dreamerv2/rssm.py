"""Implements the recurrent state-space model with discrete latents: observe, imagine, KL (Eqs. 1 and 2).

Shapes: B or N batch, T time, A action, E embedding, D deterministic state, S categorical variables of K classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.dreamerv2.config import RSSMConfig
from hdream_core.nets.distributions import categorical_kl, sample_one_hot
from hdream_core.nets.gru import GRUCell
from hdream_core.nets.latents import State, stack
from hdream_core.nets.mlp import init_weights


class RSSM(nn.Module):
    """Infers states by ``q(z_t | z_{t-1}, a_{t-1}, o_t)`` and predicts them by ``p(z_t | z_{t-1}, a_{t-1})``.

    The paper calls ``q`` the representation model (posterior) and ``p`` the transition model (prior).
    """

    def __init__(self, config: RSSMConfig, action_dim: int, embed_dim: int):
        super().__init__()
        self.config = config
        self.stoch_dim = stoch_dim = config.stoch * config.classes
        self.feat_dim = config.deter + stoch_dim
        self.in_layer = nn.Linear(stoch_dim + action_dim, config.hidden)
        self.cell = GRUCell(config.hidden, config.deter)
        self.prior_layer = nn.Linear(config.deter, config.hidden)
        self.prior_logits = nn.Linear(config.hidden, stoch_dim)
        self.post_layer = nn.Linear(config.deter + embed_dim, config.hidden)
        self.post_logits = nn.Linear(config.hidden, stoch_dim)
        self.apply(init_weights)

    def initial(self, batch_size: int, device: torch.device | str = "cpu") -> State:
        """Returns the all-zero state before an episode's first frame, ``(batch_size, ...)``."""
        config = self.config
        return State(
            torch.zeros(batch_size, config.deter, device=device),
            torch.zeros(batch_size, config.stoch * config.classes, device=device),
            torch.zeros(batch_size, config.stoch, config.classes, device=device),
        )

    def observe(
        self,
        embed: Float[Tensor, "B T E"],
        action: Float[Tensor, "B T A"],
        is_first: Bool[Tensor, "B T"],
    ) -> tuple[State, Float[Tensor, "B T S K"]]:
        """Computes the posterior of every step of a sequence, from the initial state on.

        Args:
            embed: ``(B, T, E)`` encoded images.
            action: ``(B, T, A)``, ``action[:, t]`` LED TO ``embed[:, t]``.
            is_first: ``(B, T)`` bool. Where it is True, the previous state and the action are zeroed.

        Returns:
            The posterior states ``(B, T, ...)`` and the prior's logits ``(B, T, S, K)``.
        """
        state, posts = self.initial(len(embed), embed.device), []
        for inputs in zip(embed.unbind(1), action.unbind(1), is_first.unbind(1), strict=True):
            state = self.observe_step(state, *inputs)
            posts.append(state)
        post = stack(posts)  # (B, T, ...)
        # The recurrence does not use the prior's logits, so they are computed for all steps at once.
        return post, self._prior_logits(post.deter)

    def observe_step(
        self, state: State, embed: Float[Tensor, "B E"], action: Float[Tensor, "B A"], is_first: Bool[Tensor, " B"]
    ) -> State:
        """Samples the next posterior, ``z_t ~ q(z_t | z_{t-1}, a_{t-1}, o_t)``, for inputs ``(B, ...)``."""
        keep = (~is_first).to(action.dtype)[:, None]  # (B, 1)
        deter = self._next_deter(state.deter * keep, state.stoch * keep, action * keep)
        hidden = F.elu(self.post_layer(torch.cat([deter, embed.to(deter.dtype)], -1)))
        return self._state(deter, self._unflatten(self.post_logits(hidden)))

    def imagine_step(self, state: State, action: Float[Tensor, "N A"]) -> State:
        """Samples the next prior, ``z_t ~ p(z_t | z_{t-1}, a_{t-1})``, for inputs ``(N, ...)``."""
        deter = self._next_deter(state.deter, state.stoch, action)
        return self._state(deter, self._prior_logits(deter))

    def imagine(self, state: State, action: Float[Tensor, "N T A"]) -> State:
        """Predicts open loop from ``(N, ...)`` with actions ``(N, T, A)``; returns states ``(N, T, ...)``."""
        states, step = [], self.rollout_step()
        for action_t in action.unbind(1):
            state = step(state, action_t)
            states.append(state)
        return stack(states)

    def rollout_step(self) -> Callable[[State, Tensor], State]:
        """Returns the function that takes the steps of a rollout: ``imagine_step``, or a faster one.

        Gradients flow through states and actions. They are not guaranteed to reach the weights, so the model must not
        be trained on the rollout.
        """
        return self.imagine_step

    def kl_loss(
        self, post_logits: Float[Tensor, "B T S K"], prior_logits: Float[Tensor, "B T S K"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Computes ``L_d`` with KL balancing, and the plain KL; in nats, averaged over batch and time.

        ``L_d = balance * KL[sg(post) || prior] + (1 - balance) * KL[post || sg(prior)]``. Free nats apply to each of
        the two means, as in DreamerV2, and not to each element, as in DreamerV3.

        Args:
            post_logits, prior_logits: ``(B, T, S, K)``.
        """
        balance, free_nats = self.config.kl_balance, self.config.free_nats
        train_prior = categorical_kl(post_logits.detach(), prior_logits).mean()
        train_post = categorical_kl(post_logits, prior_logits.detach()).mean()
        loss = balance * train_prior.clamp(min=free_nats) + (1 - balance) * train_post.clamp(min=free_nats)
        return loss, train_prior.detach()

    def _next_deter(self, deter: Tensor, stoch: Tensor, action: Tensor) -> Tensor:
        return self.cell(F.elu(self.in_layer(torch.cat([stoch, action], -1))), deter)

    def _prior_logits(self, deter: Tensor) -> Tensor:
        return self._unflatten(self.prior_logits(F.elu(self.prior_layer(deter))))

    def _unflatten(self, logits: Tensor) -> Tensor:
        return logits.float().unflatten(-1, (self.config.stoch, self.config.classes))

    def _state(self, deter: Tensor, logits: Tensor) -> State:
        return State(deter, sample_one_hot(logits).flatten(-2), logits)
