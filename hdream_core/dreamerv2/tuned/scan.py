"""The RSSM with the gradient of its recurrence written out: the equations of ``rssm`` in fewer operations.

Autograd records some forty small operations a step and adds up the weights' gradients step by step. Here a step is one
forward and one backward function; what does not depend on the previous state (``drive``, ``evidence``) is computed for
all steps at once before, and the weights' gradients in one product each after. The tests hold it to the plain RSSM.
As with any graph, backward comes before the optimiser's step; there are no second derivatives.

Shapes: T time, N batch, A action, E embedding, D deterministic state, L = S x K one-hot latents, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from hdream_core.dreamerv2.rssm import NORM_EPS, RSSM, State
from hdream_core.nets.distributions import draw_one_hot
from hdream_core.support.precision import product_dtype

aten = torch.ops.aten
Function = TypeVar("Function", bound=Callable[..., Any])
Wrapper = Callable[[Function], Function]


class Weights(NamedTuple):
    """Of one step: the transition to ``deter``, then the layers from it to the latents' logits.

    Matrices are ``(out, in)`` in the arithmetic's dtype; ``norm`` and ``norm_bias`` are float32.
    """

    stoch: Tensor  # (H, L)
    joint: Tensor  # (3 D, H + D)
    joint_bias: Tensor  # (3 D,)
    norm: Tensor  # (3 D,)
    norm_bias: Tensor  # (3 D,)
    hidden: Tensor  # (H, D)
    logits: Tensor  # (L, H)
    logits_bias: Tensor  # (L,)


class Saved(NamedTuple):
    """What a step's backward needs."""

    stoch: Tensor  # (N, L) before the step
    deter: Tensor  # (N, D) before the step, float32
    inputs: Tensor  # (N, H + D) of the joint layer
    joint: Tensor  # (N, 3 D) its output, float32
    mean: Tensor
    rstd: Tensor
    gates: tuple[Tensor, Tensor, Tensor, Tensor]  # reset, candidate before the reset, candidate, update; (N, D)
    new_deter: Tensor  # (N, D) in the arithmetic's dtype
    hidden: Tensor  # (N, H)
    probs: Tensor  # (N, S, K)


def step(w: Weights, stoch: Tensor, deter: Tensor, drive: Tensor, evidence: Tensor, classes: int) -> tuple[Any, ...]:
    """``(deter, stoch, logits, saved)`` after one step.

    Args:
        w: weights.
        stoch, deter: ``(N, L)`` and ``(N, D)``, already zeroed where an episode begins.
        drive: ``(N, H)``, the action's part of the input layer, with its bias.
        evidence: ``(N, H)``, the embedding's part of the hidden layer, with its bias; without one, the bias.
        classes: K.
    """
    dtype, size = drive.dtype, deter.shape[1]
    stoch = stoch.to(dtype)
    inputs = torch.cat([aten.elu_(torch.addmm(drive, stoch, w.stoch.T)), deter.to(dtype)], 1)
    joint = torch.addmm(w.joint_bias, inputs, w.joint.T).float()
    normed, mean, rstd = aten.native_layer_norm(joint, joint.shape[1:], w.norm, w.norm_bias, NORM_EPS)
    reset, raw, update = normed.split(size, 1)
    reset, update = reset.sigmoid(), (update - 1).sigmoid_()
    candidate = (reset * raw).tanh_()
    next_deter = torch.lerp(deter, candidate, update)
    new_deter = next_deter.to(dtype)
    hidden = aten.elu_(torch.addmm(evidence, new_deter, w.hidden.T))
    logits = torch.addmm(w.logits_bias, hidden, w.logits.T).float().unflatten(1, (-1, classes))
    probs = torch.softmax(logits, -1)
    gates = (reset, raw, candidate, update)
    saved = Saved(stoch, deter, inputs, joint, mean, rstd, gates, new_deter, hidden, probs)
    return next_deter, draw_one_hot(probs).flatten(1), logits, saved


class Gradients(NamedTuple):
    """Of one step; the last two feed the weights' gradients alone."""

    stoch: Tensor  # (N, L)
    deter: Tensor  # (N, D)
    drive: Tensor  # (N, H)
    evidence: Tensor  # (N, H)
    logits: Tensor  # (N, L)
    joint: Tensor  # (N, 3 D)
    normed: Tensor  # (N, 3 D)


def step_backward(w: Weights, s: Saved, deter: Tensor, stoch: Tensor, logits: Tensor | None) -> Gradients:
    """Gradients of a step from those of its three outputs."""
    dtype = s.hidden.dtype
    # Straight through: the sample's gradient is the probabilities'.
    through = aten._softmax_backward_data(stoch.view_as(s.probs), s.probs, -1, torch.float32)
    logits = (through if logits is None else through + logits).flatten(1).to(dtype)
    evidence = aten.elu_backward(logits @ w.logits, 1, 1, 1, True, s.hidden)
    deter = deter + evidence @ w.hidden
    reset, raw, candidate, update = s.gates
    through_candidate = aten.tanh_backward(deter * update, candidate)
    normed = torch.cat(
        [
            aten.sigmoid_backward(through_candidate * raw, reset),
            through_candidate * reset,
            aten.sigmoid_backward(deter * (candidate - s.deter), update),
        ],
        1,
    )
    shape = s.joint.shape[1:]
    joint = aten.native_layer_norm_backward(
        normed, s.joint, shape, s.mean, s.rstd, w.norm, w.norm_bias, [True, False, False]
    )[0].to(dtype)
    inputs = joint @ w.joint
    size = w.stoch.shape[0]
    drive = aten.elu_backward(inputs[:, :size], 1, 1, 1, True, s.inputs[:, :size])
    previous = torch.addcmul(deter, deter, update, value=-1) + inputs[:, size:]
    return Gradients((drive @ w.stoch).float(), previous, drive, evidence, logits, joint, normed)


class Observe(torch.autograd.Function):
    """A whole sequence: ``apply(stoch, deter, drive, evidence, keep, classes, wrap, *weights)``.

    ``drive`` and ``evidence`` are ``(T, N, H)``, ``keep`` is ``(T, N, 1)`` with 0 where an episode begins, ``wrap`` of
    ``FusedRSSM.wrap_step``. Returns ``deter``, ``stoch`` and ``logits``, ``(T, N, ...)``.
    """

    @staticmethod
    def forward(ctx: Any, stoch: Tensor, deter: Tensor, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        drive, evidence, keep, classes, wrap, *weights = inputs
        ctx.weights, ctx.keep, ctx.wrap, ctx.steps = Weights(*weights), keep, wrap, []
        advance = wrap(step)
        deters, stochs, logits = [], [], []
        for t in range(len(drive)):
            deter, stoch, logit, saved = advance(
                ctx.weights, stoch * keep[t], deter * keep[t], drive[t], evidence[t], classes
            )
            ctx.steps.append(saved)
            deters.append(deter)
            stochs.append(stoch)
            logits.append(logit)
        return torch.stack(deters), torch.stack(stochs), torch.stack(logits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, deter: Tensor, stoch: Tensor, logits: Tensor) -> tuple[Tensor | None, ...]:
        w, steps, grads = ctx.weights, ctx.steps, []
        retreat = ctx.wrap(step_backward)
        carry_stoch, carry_deter = torch.zeros_like(stoch[0]), torch.zeros_like(deter[0])
        for t in reversed(range(len(steps))):
            g = retreat(w, steps[t], deter[t] + carry_deter, stoch[t] + carry_stoch, logits[t])
            carry_stoch, carry_deter = g.stoch * ctx.keep[t], g.deter * ctx.keep[t]
            grads.append(g)
        drive, evidence, logit, joint, normed = merge(g[2:] for g in reversed(grads))
        before, inputs, outputs, mean, rstd, new_deter, hidden = merge(
            (s.stoch, s.inputs, s.joint, s.mean, s.rstd, s.new_deter, s.hidden) for s in steps
        )
        norm, norm_bias = aten.native_layer_norm_backward(
            normed, outputs, normed.shape[1:], mean, rstd, w.norm, w.norm_bias, [False, True, True]
        )[1:]
        weights = Weights(
            stoch=drive.T @ before,
            joint=joint.T @ inputs,
            joint_bias=joint.sum(0),
            norm=norm,
            norm_bias=norm_bias,
            hidden=evidence.T @ new_deter,
            logits=logit.T @ hidden,
            logits_bias=logit.sum(0),
        )
        shape = (len(steps), -1, w.stoch.shape[0])
        return carry_stoch, carry_deter, drive.view(shape), evidence.view(shape), None, None, None, *weights


def merge(steps: Iterable[Sequence[Tensor]]) -> list[Tensor]:
    """The same tensors of all steps in one, each ``(T * N, ...)``."""
    return [torch.cat(rows) for rows in zip(*steps, strict=True)]


class PriorStep(NamedTuple):
    """One step inside a model that is not to change: no gradient for weights and logits."""

    weights: Weights
    action: Tensor  # (H, A) the action's columns of the input layer
    action_bias: Tensor  # (H,)
    bias: Tensor  # (H,) of the hidden layer
    classes: int

    def forward(self, stoch: Tensor, deter: Tensor, action: Tensor) -> tuple[Any, ...]:
        """``(deter, stoch, logits, saved)`` after ``action`` ``(N, A)``."""
        drive = torch.addmm(self.action_bias, action.to(self.action.dtype), self.action.T)
        return step(self.weights, stoch, deter, drive, self.bias.expand(len(action), -1), self.classes)

    def backward(self, saved: Saved, deter: Tensor, stoch: Tensor) -> tuple[Gradients, Tensor]:
        """Gradients of the step, and of its action ``(N, A)``."""
        g = step_backward(self.weights, saved, deter, stoch, None)
        return g, (g.drive @ self.action).float()


class FusedRSSM(RSSM):
    """An ``RSSM`` whose ``observe`` is one node of the graph."""

    def wrap_step(self) -> Wrapper:
        """Returns a hook that may compile a step, a pure function of tensors; here the identity."""
        return lambda function: function

    def observe(
        self, embed: Tensor, action: Tensor, is_first: Tensor, state: State | None = None
    ) -> tuple[State, Tensor]:
        state = state or self.initial(len(embed), embed.device)
        keep = (~is_first).to(action.dtype).T[..., None]  # (T, B, 1)
        drive = F.linear(action.transpose(0, 1) * keep, self.in_layer.weight[:, self.stoch_dim :], self.in_layer.bias)
        embed_weight = self.post_layer.weight[:, self.config.deter :]
        evidence = F.linear(embed.transpose(0, 1), embed_weight, self.post_layer.bias)
        weights = self._weights(self.post_layer, self.post_logits)
        inputs = state.stoch, state.deter, drive, evidence, keep, self.config.classes, self.wrap_step()
        fields = Observe.apply(*inputs, *weights)
        post = State(deter=fields[0], stoch=fields[1], logits=fields[2]).map(lambda x: x.transpose(0, 1))
        return post, self._prior_logits(post.deter)

    def imagination(self) -> Callable[[State, Tensor], State]:
        if torch.is_grad_enabled():
            return self.imagine_step  # imagination that is differentiated is in ``imagination``
        prior = self.prior_step()
        return lambda state, action: State(*prior.forward(state.stoch, state.deter, action)[:3])

    def prior_step(self) -> PriorStep:
        """``imagine_step`` with the weights as they are now."""
        weights = Weights(*(w.detach() for w in self._weights(self.prior_layer, self.prior_logits)))
        dtype = weights.stoch.dtype
        others = self.in_layer.weight[:, self.stoch_dim :], self.in_layer.bias, self.prior_layer.bias
        return PriorStep(weights, *(w.detach().to(dtype) for w in others), self.config.classes)

    def _weights(self, hidden: nn.Linear, logits: nn.Linear) -> Weights:
        """Those of a step that ends in the given layers, in the dtype of the products."""
        dtype = product_dtype(self.in_layer.weight)
        joint, norm = self.cell.linear, self.cell.norm
        return Weights(
            stoch=self.in_layer.weight[:, : self.stoch_dim].to(dtype),
            joint=joint.weight.to(dtype),
            joint_bias=joint.bias.to(dtype),
            norm=norm.weight,
            norm_bias=norm.bias,
            hidden=hidden.weight[:, : self.config.deter].to(dtype),
            logits=logits.weight.to(dtype),
            logits_bias=logits.bias.to(dtype),
        )
