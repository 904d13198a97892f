"""Imagination with its gradient written out: the equations of ``Behavior.imagine`` in fewer operations.

As in ``scan``: a dream is one node of the graph, and the actor's weights get their gradients in one product each after
the last step. The tests hold it to the plain form.

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
from hdream_core.dreamerv2.rssm import State
from hdream_core.dreamerv2.tuned import scan
from hdream_core.dreamerv2.tuned.scan import FusedRSSM
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets.distributions import TruncatedNormal, normal_density

aten = torch.ops.aten


class FusedBehavior(Behavior):
    """A ``Behavior`` whose dreams are one node of the graph; for world models with a ``FusedRSSM``."""

    def imagine(self, model: WorldModel, start: State) -> Imagined:
        """As ``Behavior.imagine``."""
        rssm = model.rssm
        assert isinstance(rssm, FusedRSSM)
        step = rssm.prior_step()
        dtype = step.weights.stoch.dtype
        layers = [x.to(dtype) for layer in self.actor.hidden for x in (layer.weight, layer.bias)]
        output = self.actor.output.weight, self.actor.output.bias  # in float32, as MLP has it
        inputs = start.stoch, start.deter, self.config.horizon, step, rssm.wrap_step()
        feat, loc, scale = _Dream.apply(*inputs, *layers, *output)
        return Imagined(feat, TruncatedNormal(loc, scale).entropy())


class _Saved(NamedTuple):
    """What the backward of a step needs."""

    layers: list[Tensor]  # the actor's input and its layers' outputs, (N, .)
    loc: Tensor  # (N, A)
    spread: Tensor  # (N, A) sigmoid of half the actor's second output
    by_loc: Tensor  # (N, A) derivative of the sampled action by loc
    by_scale: Tensor  # (N, A) and by scale
    step: scan.Saved


def _advance(
    step: scan.PriorStep, actor: Sequence[Tensor], feat: Tensor, deter: Tensor, stoch: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, _Saved]:
    """``(feat, deter, stoch, scale, saved)`` after an action of the policy at ``feat``."""
    layers = [feat.to(step.weights.stoch.dtype)]
    for weight, bias in zip(actor[:-2:2], actor[1:-2:2], strict=True):
        layers.append(aten.elu_(torch.addmm(bias, layers[-1], weight.T)))
    mean, std = _linear(layers[-1].float(), *actor[-2:]).chunk(2, 1)
    loc, spread = mean.tanh(), (std / 2).sigmoid_()
    scale = 2 * spread + 0.1
    action, *slopes = sample(loc, scale)
    deter, stoch, _, saved = step.forward(stoch, deter, action)
    return torch.cat([deter, stoch], 1), deter, stoch, scale, _Saved(layers, loc, spread, *slopes, saved)


def _retreat(
    step: scan.PriorStep, actor: Sequence[Tensor], s: _Saved, feat: Tensor, loc: Tensor, scale: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """The gradient of the state before a step, ``(N, F)``, and those of the actor's layers' outputs, from the gradients
    of the state after it and of the policy's loc and scale.
    """
    size = s.step.deter.shape[1]
    deter, stoch = feat.split([size, feat.shape[1] - size], 1)
    g, action = step.backward(s.step, deter, stoch)
    grad_mean = aten.tanh_backward(torch.addcmul(loc, action, s.by_loc), s.loc)
    grad_std = aten.sigmoid_backward(torch.addcmul(scale, action, s.by_scale), s.spread)
    layers = _through_layers(torch.cat([grad_mean, grad_std], 1), s.layers, actor)
    return torch.cat([g.deter, g.stoch], 1), layers


class _Dream(torch.autograd.Function):
    """``apply(stoch, deter, horizon, step, wrap, *actor)``: feat ``(H + 1, N, F)``; loc and scale ``(H, N, A)``."""

    @staticmethod
    def forward(ctx: Any, stoch: Tensor, deter: Tensor, horizon: int, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        step, wrap, *actor = inputs
        ctx.step, ctx.wrap, ctx.actor, ctx.saved = step, wrap, actor, []
        feats, scales, advance = [torch.cat([deter, stoch], 1)], [], wrap(_advance)
        for _ in range(horizon):
            feat, deter, stoch, scale, saved = advance(step, actor, feats[-1], deter, stoch)
            ctx.saved.append(saved)
            feats.append(feat)
            scales.append(scale)
        return torch.stack(feats), torch.stack([s.loc for s in ctx.saved]), torch.stack(scales)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, feat: Tensor, loc: Tensor, scale: Tensor) -> tuple[Tensor | None, ...]:
        step, actor, retreat = ctx.step, ctx.actor, ctx.wrap(_retreat)
        state = feat[-1]  # (N, F), the gradient that has come down to a state
        grads: list[list[Tensor]] = []  # for each step, last to first, those of the actor's layers' outputs
        for t in reversed(range(len(ctx.saved))):
            before, layers = retreat(step, actor, ctx.saved[t], state, loc[t], scale[t])
            state = feat[t] + before
            grads.append(layers)
        # The features that the policy reads get no gradient from it, so neither does the start through the policy.
        inputs = scan.merge(s.layers for s in reversed(ctx.saved))
        outputs = scan.merge(grads)
        inputs[-1] = inputs[-1].float()
        weights = [x for i, g in zip(inputs, outputs, strict=True) for x in (g.T @ i, g.sum(0))]
        size = ctx.saved[0].step.deter.shape[1]
        return state[:, size:], state[:, :size], None, None, None, *weights


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return F.linear(x, weight, bias)


def _through_layers(grad: Tensor, layers: list[Tensor], actor: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of the outputs of the actor's layers, first layer to last, given that of the last, ``(N, 2 A)``."""
    grads = [grad]
    grad = (grad @ actor[-2]).to(layers[-1].dtype)
    for i in reversed(range(1, len(layers))):
        grad = aten.elu_backward(grad, 1, 1, 1, True, layers[i])
        grads.append(grad)
        if i > 1:
            grad = grad @ actor[2 * (i - 1)]
    return grads[::-1]


def sample(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``TruncatedNormal(loc, scale).rsample()`` with its derivatives by loc and by scale, all ``(N, A)``.

    With ``x = loc + scale z``, ``z = Phi^-1(q)`` and ``q = Phi(alpha) + u (Phi(beta) - Phi(alpha))``, implicitly:
    ``dx/dloc = 1 - ((1 - u) phi(alpha) + u phi(beta)) / phi(z)``, and by scale with alpha and beta before their phi.
    """
    edge = TruncatedNormal.EDGE
    normal = TruncatedNormal(loc, scale)
    u = torch.rand_like(loc)
    exact = normal.cdf_alpha + u * normal.mass
    quantile = exact.clamp(edge, 1 - edge)
    z = torch.special.ndtri(quantile)
    wide = loc + scale * z
    action = wide.clamp(-1 + edge, 1 - edge)
    inside = (wide == action).float()  # a clamped value has no slope
    moves = (exact == quantile).float() / normal_density(z)
    low, high = (1 - u) * normal_density(normal.alpha), u * normal_density(normal.beta)
    by_loc = 1 - moves * (low + high)
    by_scale = z - moves * (low * normal.alpha + high * normal.beta)
    return action, by_loc * inside, by_scale * inside
