"""Imagines with a hand-written gradient: the equations of ``Behavior.imagine`` in fewer operations.

As in ``scan``, an imagined rollout is one node of the autograd graph. After the last step, the gradient of each of the
actor's weights is computed in one product. Tests compare this with the plain rollout.

Shapes: H horizon, N start states, A action, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from hdream_core.dreamerv2.behavior import Behavior, Imagined
from hdream_core.dreamerv2.tuned import scan
from hdream_core.dreamerv2.tuned.scan import FusedRSSM
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets.distributions import TruncatedNormal, normal_density
from hdream_core.nets.latents import State

aten = torch.ops.aten


class FusedBehavior(Behavior):
    """Imagines a rollout as one node of the autograd graph; needs a ``FusedRSSM``."""

    def imagine(self, model: WorldModel, start: State) -> Imagined:
        """Imagines as ``Behavior.imagine`` does."""
        rssm = model.rssm
        assert isinstance(rssm, FusedRSSM)
        prior_step = rssm.prior_step()
        dtype = prior_step.weights.stoch.dtype
        layers = [x.to(dtype) for layer in self.actor.hidden for x in (layer.weight, layer.bias)]
        output = self.actor.output.weight, self.actor.output.bias  # in float32, as MLP has it
        inputs = start.stoch, start.deter, self.config.horizon, prior_step, rssm.wrap_step()
        feat, loc, scale = _Rollout.apply(*inputs, *layers, *output)
        return Imagined(feat, TruncatedNormal(loc, scale).entropy())


class _Saved(NamedTuple):
    """Keeps what the backward pass of a step needs."""

    layers: list[Tensor]  # the actor's input and its hidden layers' outputs, (N, .)
    loc: Tensor  # (N, A)
    std_sigmoid: Tensor  # (N, A) sigmoid of half the actor's second output
    by_loc: Tensor  # (N, A) derivative of the sampled action by loc
    by_scale: Tensor  # (N, A) derivative of the sampled action by scale
    step: scan.Saved


def _step(
    prior_step: scan.PriorStep, actor: Sequence[Tensor], feat: Tensor, deter: Tensor, stoch: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, _Saved]:
    """Takes a step with an action of the policy at ``feat``; returns ``(feat, deter, stoch, scale, saved)``."""
    layers = [feat.to(prior_step.weights.stoch.dtype)]
    for weight, bias in zip(actor[:-2:2], actor[1:-2:2], strict=True):
        layers.append(aten.elu_(torch.addmm(bias, layers[-1], weight.T)))
    mean, std = _linear(layers[-1].float(), *actor[-2:]).chunk(2, 1)  # (N, A) each
    loc, std_sigmoid = mean.tanh(), (std / 2).sigmoid_()
    scale = 2 * std_sigmoid + 0.1
    action, by_loc, by_scale = sample(loc, scale)
    deter, stoch, _, saved = prior_step.forward(stoch, deter, action)
    return torch.cat([deter, stoch], 1), deter, stoch, scale, _Saved(layers, loc, std_sigmoid, by_loc, by_scale, saved)


def _step_backward(
    prior_step: scan.PriorStep,
    actor: Sequence[Tensor],
    saved: _Saved,
    grad_feat: Tensor,
    grad_loc: Tensor,
    grad_scale: Tensor,
) -> tuple[Tensor, list[Tensor]]:
    """Computes the gradients of the state before a step, ``(N, F)``, and of the outputs of the actor's layers.

    They follow from those of the state after it, ``(N, F)``, and of the policy's loc and scale, ``(N, A)``.
    """
    deter_dim = saved.step.deter.shape[1]
    grad_deter, grad_stoch = grad_feat.split([deter_dim, grad_feat.shape[1] - deter_dim], 1)
    grad, grad_action = prior_step.backward(saved.step, grad_deter, grad_stoch)
    grad_mean = aten.tanh_backward(torch.addcmul(grad_loc, grad_action, saved.by_loc), saved.loc)
    grad_std = aten.sigmoid_backward(torch.addcmul(grad_scale, grad_action, saved.by_scale), saved.std_sigmoid)
    grad_layers = _actor_backward(torch.cat([grad_mean, grad_std], 1), saved.layers, actor)
    return torch.cat([grad.deter, grad.stoch], 1), grad_layers


class _Rollout(torch.autograd.Function):
    """Imagines a rollout: ``apply(stoch, deter, horizon, prior_step, wrap, *actor)``; the actor alone gets gradients.

    Returns feat ``(H + 1, N, F)``, and the policy's loc and scale ``(H, N, A)``.
    """

    @staticmethod
    def forward(ctx: Any, stoch: Tensor, deter: Tensor, horizon: int, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        prior_step, wrap, *actor = inputs
        ctx.prior_step, ctx.wrap, ctx.actor, ctx.steps = prior_step, wrap, actor, []
        feats, scales, wrapped_step = [torch.cat([deter, stoch], 1)], [], wrap(_step)
        for _ in range(horizon):
            feat, deter, stoch, scale, saved = wrapped_step(prior_step, actor, feats[-1], deter, stoch)
            ctx.steps.append(saved)
            feats.append(feat)
            scales.append(scale)
        return torch.stack(feats), torch.stack([saved.loc for saved in ctx.steps]), torch.stack(scales)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_feat: Tensor, grad_loc: Tensor, grad_scale: Tensor) -> tuple[Tensor | None, ...]:
        steps, wrapped_backward = ctx.steps, ctx.wrap(_step_backward)
        grad_state = grad_feat[-1]  # (N, F), of the state after step t
        step_grads: list[list[Tensor]] = []  # for each step, last to first: of the outputs of the actor's layers
        for t in reversed(range(len(steps))):
            before, grads = wrapped_backward(
                ctx.prior_step, ctx.actor, steps[t], grad_state, grad_loc[t], grad_scale[t]
            )
            grad_state = grad_feat[t] + before
            step_grads.append(grads)
        inputs = scan.merge(saved.layers for saved in reversed(steps))  # for each layer (H * N, .)
        grads = scan.merge(step_grads)  # for each layer (H * N, .), of its outputs
        inputs[-1] = inputs[-1].float()
        weights = [grad for x, g in zip(inputs, grads, strict=True) for grad in (g.T @ x, g.sum(0))]
        return None, None, None, None, None, *weights


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return F.linear(x, weight, bias)


def _actor_backward(grad: Tensor, layers: list[Tensor], actor: Sequence[Tensor]) -> list[Tensor]:
    """Returns the gradients of the actor's layers' outputs, first to last, from that of the last, ``(N, 2 A)``."""
    grads = [grad]
    grad = (grad @ actor[-2]).to(layers[-1].dtype)
    for i in reversed(range(1, len(layers))):
        grad = aten.elu_backward(grad, 1, 1, 1, True, layers[i])
        grads.append(grad)
        if i > 1:
            grad = grad @ actor[2 * (i - 1)]
    return grads[::-1]


def sample(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Computes ``TruncatedNormal(loc, scale).rsample()`` and its derivatives by loc and by scale, all ``(N, A)``.

    The sample is ``x = loc + scale z`` with ``z = Phi^-1(q)`` and ``q = Phi(alpha) + u (Phi(beta) - Phi(alpha))``. By
    implicit differentiation ``dx/dloc = 1 - ((1 - u) phi(alpha) + u phi(beta)) / phi(z)``. ``dx/dscale`` is ``z`` minus
    the same fraction with ``alpha`` and ``beta`` as factors of their ``phi``.
    """
    edge = TruncatedNormal.EDGE
    normal = TruncatedNormal(loc, scale)
    u = torch.rand_like(loc)
    unclamped_quantile = normal.cdf_alpha + u * normal.mass
    quantile = unclamped_quantile.clamp(edge, 1 - edge)
    z = torch.special.ndtri(quantile)
    unclamped_action = loc + scale * z
    action = unclamped_action.clamp(-1 + edge, 1 - edge)
    # The derivative of a clamped value is 0.
    inside = (unclamped_action == action).float()
    dz_dq = (unclamped_quantile == quantile).float() / normal_density(z)
    at_alpha, at_beta = (1 - u) * normal_density(normal.alpha), u * normal_density(normal.beta)
    by_loc = 1 - dz_dq * (at_alpha + at_beta)
    by_scale = z - dz_dq * (at_alpha * normal.alpha + at_beta * normal.beta)
    return action, by_loc * inside, by_scale * inside
