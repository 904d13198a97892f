"""Implements Denoised MDP's recurrent state-space model of two parts: observe, imagine, KL.

x is what the agent controls and what brings reward; y is what it does not control (Fig. 2b of Wang et al., 2022). Each
has a GRU of its own, and y's reads no action. A state has both side by side: ``deter`` is [x, y], ``stoch`` is [x, y],
and so the features are [deter of x, deter of y, stoch of x, stoch of y].

Shapes: B or N batch, T time, A action, E embedding, D deterministic state, Z latents.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from hdream_core.denoised_mdp.config import PartConfig, RSSMConfig
from hdream_core.denoised_mdp.networks import gaussian_stats
from hdream_core.nets.gaussian import gaussian_kl, sample_gaussian
from hdream_core.nets.latents import State, stack


class Part(nn.Module):
    """Predicts one part of the state, x or y, from its own past.

    Args:
        config: sizes.
        action_dim: length of an action's vector; 0 for y.
    """

    def __init__(self, config: PartConfig, action_dim: int):
        super().__init__()
        self.feat_dim = config.deter + config.stoch
        self.in_layer = nn.Linear(config.stoch + action_dim, config.deter)
        self.cell = nn.GRUCell(config.deter, config.deter)
        self.prior_layer = nn.Linear(config.deter, config.deter)
        self.prior_stats = nn.Linear(config.deter, 2 * config.stoch)

    def next_deter(
        self, deter: Float[Tensor, "N D"], stoch: Float[Tensor, "N Z"], *action: Float[Tensor, "N A"]
    ) -> Float[Tensor, "N D"]:
        """Computes the next deterministic state ``(N, D)``, in float32; x needs the action, y takes none."""
        x = F.elu(self.in_layer(torch.cat([stoch, *action], -1)))
        with torch.autocast(x.device.type, enabled=False):
            return self.cell(x.float(), deter)

    def prior(self, deter: Float[Tensor, "*n D"]) -> Float[Tensor, "*n 2 Z"]:
        """Returns means and standard deviations of the latents, ``(..., 2, Z)``, before a frame is seen."""
        return gaussian_stats(self.prior_stats(F.elu(self.prior_layer(deter))))

    def imagine_step(self, state: State, *action: Float[Tensor, "N A"]) -> State:
        """Samples the part's next prior for inputs ``(N, ...)``; x needs the action, y takes none."""
        deter = self.next_deter(state.deter, state.stoch, *action)
        stats = self.prior(deter)
        return State(deter, sample_gaussian(stats), stats)


class RSSM(nn.Module):
    """Infers states by ``q(x_t, y_t | x_{t-1}, y_{t-1}, a_{t-1}, o_t)`` and predicts x and y, each from itself.

    Args:
        config: sizes and constants.
        action_dim: length of an action's vector.
        embed_dim: length of an encoded frame.
    """

    def __init__(self, config: RSSMConfig, action_dim: int, embed_dim: int):
        super().__init__()
        self.config = config
        self.x, self.y = Part(config.x, action_dim), Part(config.y, 0)
        self.feat_dim = self.x.feat_dim + self.y.feat_dim
        deter, stoch = config.x.deter + config.y.deter, config.x.stoch + config.y.stoch
        self.post_layer = nn.Linear(deter + embed_dim, deter)
        self.post_stats = nn.Linear(deter, 2 * stoch)

    def initial(self, batch_size: int, device: torch.device | str = "cpu") -> State:
        """Returns the all-zero state before an episode's first frame, ``(batch_size, ...)``."""
        x, y = self.config.x, self.config.y
        deter, stoch = (torch.zeros(batch_size, n, device=device) for n in (x.deter + y.deter, x.stoch + y.stoch))
        return State(deter, stoch, torch.stack([stoch, stoch], -2))

    def split(self, state: State) -> tuple[State, State]:
        """Returns the states of x and of y, each ``(..., D)``, ``(..., Z)`` and ``(..., 2, Z)``."""
        deter, stoch = ((getattr(self.config.x, n), getattr(self.config.y, n)) for n in ("deter", "stoch"))
        fields = (x.split(sizes, -1) for x, sizes in zip(state, (deter, stoch, stoch), strict=True))
        x, y = zip(*fields, strict=True)
        return State(*x), State(*y)

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
            is_first: ``(B, T)`` bool. Where it is True, the previous state and action are zeroed. Windows begin so; the
                authors keep the action there.

        Returns:
            The posterior states ``(B, T, ...)`` and the priors' means and standard deviations ``(B, T, 2, Z)``.
        """
        state, posts = self.initial(len(embed), embed.device), []
        for inputs in zip(embed.unbind(1), action.unbind(1), is_first.unbind(1), strict=True):
            state = self.observe_step(state, *inputs)
            posts.append(state)
        post = stack(posts)  # (B, T, ...)
        # The recurrence does not use the priors' statistics, so they are computed for all steps at once.
        x, y = self.split(post)
        return post, torch.cat([self.x.prior(x.deter), self.y.prior(y.deter)], -1)

    def observe_step(
        self, state: State, embed: Float[Tensor, "B E"], action: Float[Tensor, "B A"], is_first: Bool[Tensor, " B"]
    ) -> State:
        """Samples the next posterior of x and y together, for inputs ``(B, ...)``."""
        keep = (~is_first).to(action.dtype)[:, None]  # (B, 1)
        x, y = self.split(State(state.deter * keep, state.stoch * keep, state.stats))
        deter = torch.cat([self.x.next_deter(x.deter, x.stoch, action * keep), self.y.next_deter(y.deter, y.stoch)], -1)
        hidden = F.elu(self.post_layer(torch.cat([deter, embed.to(deter.dtype)], -1)))
        stats = gaussian_stats(self.post_stats(hidden))
        return State(deter, sample_gaussian(stats), stats)

    def imagine_step(self, state: State, action: Float[Tensor, "N A"]) -> State:
        """Samples the next priors of x and y, for inputs ``(N, ...)``."""
        x, y = self.split(state)
        pairs = zip(self.x.imagine_step(x, action), self.y.imagine_step(y), strict=True)
        return State(*(torch.cat(pair, -1) for pair in pairs))

    def imagine(self, state: State, action: Float[Tensor, "N T A"]) -> State:
        """Predicts open loop from ``(N, ...)`` with actions ``(N, T, A)``; returns states ``(N, T, ...)``."""
        states = []
        for action_t in action.unbind(1):
            state = self.imagine_step(state, action_t)
            states.append(state)
        return stack(states)

    def kl_loss(
        self, post: Float[Tensor, "B T 2 Z"], prior: Float[Tensor, "B T 2 Z"]
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Computes ``KL_x + beta KL_y`` in nats, averaged over batch and time; also both, as they are, to log.

        KL_x of each step counts as the free nats where it is below them; there it gives no gradient.
        """
        sizes = self.config.x.stoch, self.config.y.stoch
        x, y = (gaussian_kl(*pair) for pair in zip(post.split(sizes, -1), prior.split(sizes, -1), strict=True))
        loss = x.clamp(min=self.config.free_nats).mean() + self.config.beta * y.mean()
        return loss, {"kl": (x + y).detach().mean(), "kl_x": x.detach().mean(), "kl_y": y.detach().mean()}


def split_features(
    feat: Float[Tensor, "*n F"], config: RSSMConfig
) -> tuple[Float[Tensor, "*n x"], Float[Tensor, "*n y"]]:
    """Splits features ``(..., F)`` into those of x and of y; each begins with the deterministic state."""
    sizes = config.x.deter, config.y.deter, config.x.stoch, config.y.stoch
    x_deter, y_deter, x_stoch, y_stoch = feat.split(sizes, -1)
    return torch.cat([x_deter, x_stoch], -1), torch.cat([y_deter, y_stoch], -1)
