"""Implements the RSSM with a hand-written gradient of its recurrence: the equations of ``rssm`` in fewer operations.

Autograd records some forty small operations a step and adds up the weights' gradients step by step. Here a step is one
forward and one backward function. The parts that do not depend on the previous state (``from_action``,
``from_embed``) are computed beforehand, for all steps at once. The gradient of each weight is computed afterwards, in
one product. Tests compare this with the plain RSSM. Call backward before the optimiser's step. Second derivatives are
not supported.

Shapes: T time, N batch, A action, E embedding, D deterministic state, L = S x K one-hot latents, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from hdream_core.dreamerv2.rssm import RSSM
from hdream_core.nets.distributions import draw_one_hot
from hdream_core.nets.gru import NORM_EPS
from hdream_core.nets.latents import State
from hdream_core.support.precision import product_dtype

aten = torch.ops.aten
Function = TypeVar("Function", bound=Callable[..., Any])
Wrapper = Callable[[Function], Function]


class Weights(NamedTuple):
    """Holds the weights of one step: the transition to ``deter``, then the layers from it to the latents' logits.

    Matrices are ``(out, in)`` in the dtype of products; ``norm`` and ``norm_bias`` are float32.
    """

    stoch: Tensor  # (H, L) the input layer's columns for the latents
    joint: Tensor  # (3 D, H + D) the GRU's linear layer
    joint_bias: Tensor  # (3 D,)
    norm: Tensor  # (3 D,)
    norm_bias: Tensor  # (3 D,)
    hidden: Tensor  # (H, D) the hidden layer's columns for deter
    logits: Tensor  # (L, H)
    logits_bias: Tensor  # (L,)


class Saved(NamedTuple):
    """Keeps what the backward pass of a step needs."""

    stoch: Tensor  # (N, L) before the step
    deter: Tensor  # (N, D) before the step, float32
    joint_inputs: Tensor  # (N, H + D)
    joint: Tensor  # (N, 3 D) outputs of the joint layer, float32
    mean: Tensor  # (N, 1) of LayerNorm
    rstd: Tensor  # (N, 1) of LayerNorm
    gates: tuple[Tensor, Tensor, Tensor, Tensor]  # reset, candidate before the reset, candidate, update; (N, D)
    new_deter: Tensor  # (N, D) after the step, in the dtype of products
    hidden: Tensor  # (N, H)
    probs: Tensor  # (N, S, K)


def step(
    weights: Weights, stoch: Tensor, deter: Tensor, from_action: Tensor, from_embed: Tensor, classes: int
) -> tuple[Any, ...]:
    """Takes one step; returns ``(deter, stoch, logits, saved)``.

    Args:
        weights: weights of the step.
        stoch, deter: ``(N, L)`` and ``(N, D)``, already zeroed where an episode begins.
        from_action: ``(N, H)``, the contribution of the action to the input layer, with its bias.
        from_embed: ``(N, H)``, the contribution of the embedding to the hidden layer, with its bias; for the prior, the
            bias alone.
        classes: K.
    """
    dtype, deter_dim = from_action.dtype, deter.shape[1]
    stoch = stoch.to(dtype)
    joint_inputs = torch.cat([aten.elu_(torch.addmm(from_action, stoch, weights.stoch.T)), deter.to(dtype)], 1)
    joint = torch.addmm(weights.joint_bias, joint_inputs, weights.joint.T).float()  # (N, 3 D)
    normed, mean, rstd = aten.native_layer_norm(joint, joint.shape[1:], weights.norm, weights.norm_bias, NORM_EPS)
    reset, raw, update = normed.split(deter_dim, 1)  # (N, D) each
    reset, update = reset.sigmoid(), (update - 1).sigmoid_()
    candidate = (reset * raw).tanh_()
    next_deter = torch.lerp(deter, candidate, update)
    new_deter = next_deter.to(dtype)
    hidden = aten.elu_(torch.addmm(from_embed, new_deter, weights.hidden.T))  # (N, H)
    logits = torch.addmm(weights.logits_bias, hidden, weights.logits.T).float().unflatten(1, (-1, classes))
    probs = torch.softmax(logits, -1)  # (N, S, K)
    gates = (reset, raw, candidate, update)
    saved = Saved(stoch, deter, joint_inputs, joint, mean, rstd, gates, new_deter, hidden, probs)
    return next_deter, draw_one_hot(probs).flatten(1), logits, saved


class Gradients(NamedTuple):
    """Holds the gradients of one step; the last three are needed only for the weights' gradients."""

    stoch: Tensor  # (N, L) before the step
    deter: Tensor  # (N, D) before the step
    from_action: Tensor  # (N, H)
    from_embed: Tensor  # (N, H)
    logits: Tensor  # (N, L)
    joint: Tensor  # (N, 3 D)
    normed: Tensor  # (N, 3 D)


def step_backward(
    weights: Weights, saved: Saved, grad_deter: Tensor, grad_stoch: Tensor, grad_logits: Tensor | None
) -> Gradients:
    """Computes the gradients of a step from those of its three outputs."""
    dtype = saved.hidden.dtype
    # Straight through: the sample has the gradient of the probabilities.
    through_sample = aten._softmax_backward_data(grad_stoch.view_as(saved.probs), saved.probs, -1, torch.float32)
    grad_logits = (through_sample if grad_logits is None else through_sample + grad_logits).flatten(1).to(dtype)
    grad_embed = aten.elu_backward(grad_logits @ weights.logits, 1, 1, 1, True, saved.hidden)
    grad_deter = grad_deter + grad_embed @ weights.hidden
    reset, raw, candidate, update = saved.gates
    grad_candidate = aten.tanh_backward(grad_deter * update, candidate)  # before the tanh
    grad_normed = torch.cat(
        [
            aten.sigmoid_backward(grad_candidate * raw, reset),
            grad_candidate * reset,
            aten.sigmoid_backward(grad_deter * (candidate - saved.deter), update),
        ],
        1,
    )
    shape = saved.joint.shape[1:]
    grad_joint = aten.native_layer_norm_backward(
        grad_normed, saved.joint, shape, saved.mean, saved.rstd, weights.norm, weights.norm_bias, [True, False, False]
    )[0].to(dtype)
    grad_inputs = grad_joint @ weights.joint  # (N, H + D)
    hidden_dim = weights.stoch.shape[0]
    input_layer = saved.joint_inputs[:, :hidden_dim]
    grad_action = aten.elu_backward(grad_inputs[:, :hidden_dim], 1, 1, 1, True, input_layer)
    previous_deter = torch.addcmul(grad_deter, grad_deter, update, value=-1) + grad_inputs[:, hidden_dim:]
    previous_stoch = (grad_action @ weights.stoch).float()
    return Gradients(previous_stoch, previous_deter, grad_action, grad_embed, grad_logits, grad_joint, grad_normed)


class Observe(torch.autograd.Function):
    """Observes a whole sequence: ``apply(stoch, deter, from_action, from_embed, keep, classes, wrap, *weights)``.

    ``from_action`` and ``from_embed`` are ``(T, N, H)``. ``keep`` is ``(T, N, 1)`` with 0 where an episode begins.
    ``wrap`` is what ``FusedRSSM.wrap_step`` returns. Returns ``deter``, ``stoch`` and ``logits``, ``(T, N, ...)``.
    """

    @staticmethod
    def forward(ctx: Any, stoch: Tensor, deter: Tensor, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        from_action, from_embed, keep, classes, wrap, *weights = inputs
        ctx.weights, ctx.keep, ctx.wrap, ctx.steps = Weights(*weights), keep, wrap, []
        wrapped_step = wrap(step)
        deters, stochs, logits = [], [], []
        for t in range(len(from_action)):
            deter, stoch, logit, saved = wrapped_step(
                ctx.weights, stoch * keep[t], deter * keep[t], from_action[t], from_embed[t], classes
            )
            ctx.steps.append(saved)
            deters.append(deter)
            stochs.append(stoch)
            logits.append(logit)
        return torch.stack(deters), torch.stack(stochs), torch.stack(logits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_deter: Tensor, grad_stoch: Tensor, grad_logits: Tensor) -> tuple[Tensor | None, ...]:
        weights, steps, grads = ctx.weights, ctx.steps, []
        wrapped_backward = ctx.wrap(step_backward)
        carry_stoch, carry_deter = torch.zeros_like(grad_stoch[0]), torch.zeros_like(grad_deter[0])
        for t in reversed(range(len(steps))):
            grad = wrapped_backward(
                weights, steps[t], grad_deter[t] + carry_deter, grad_stoch[t] + carry_stoch, grad_logits[t]
            )
            carry_stoch, carry_deter = grad.stoch * ctx.keep[t], grad.deter * ctx.keep[t]
            grads.append(grad)
        from_action, from_embed, logits, joint, normed = merge(grad[2:] for grad in reversed(grads))
        stoch, joint_inputs, joint_outputs, mean, rstd, new_deter, hidden = merge(
            (s.stoch, s.joint_inputs, s.joint, s.mean, s.rstd, s.new_deter, s.hidden) for s in steps
        )
        norm, norm_bias = aten.native_layer_norm_backward(
            normed, joint_outputs, normed.shape[1:], mean, rstd, weights.norm, weights.norm_bias, [False, True, True]
        )[1:]
        grad_weights = Weights(
            stoch=from_action.T @ stoch,
            joint=joint.T @ joint_inputs,
            joint_bias=joint.sum(0),
            norm=norm,
            norm_bias=norm_bias,
            hidden=from_embed.T @ new_deter,
            logits=logits.T @ hidden,
            logits_bias=logits.sum(0),
        )
        shape = (len(steps), -1, weights.stoch.shape[0])  # (T, N, H)
        inputs = from_action.view(shape), from_embed.view(shape), None, None, None
        return None, None, *inputs, *grad_weights  # the initial state is constant


def merge(steps: Iterable[Sequence[Tensor]]) -> list[Tensor]:
    """Concatenates each tensor over all steps, to ``(T * N, ...)``."""
    return [torch.cat(rows) for rows in zip(*steps, strict=True)]


class PriorStep(NamedTuple):
    """Takes a step of the prior with frozen weights: neither weights nor logits get a gradient."""

    weights: Weights
    action: Tensor  # (H, A) the input layer's columns for the action
    action_bias: Tensor  # (H,) of the input layer
    hidden_bias: Tensor  # (H,) of the hidden layer
    classes: int

    def forward(self, stoch: Tensor, deter: Tensor, action: Tensor) -> tuple[Any, ...]:
        """Takes a step with ``action`` ``(N, A)``; returns ``(deter, stoch, logits, saved)``."""
        from_action = torch.addmm(self.action_bias, action.to(self.action.dtype), self.action.T)
        bias = self.hidden_bias.expand(len(action), -1)
        return step(self.weights, stoch, deter, from_action, bias, self.classes)

    def backward(self, saved: Saved, grad_deter: Tensor, grad_stoch: Tensor) -> tuple[Gradients, Tensor]:
        """Computes the gradients of a step, and that of its action ``(N, A)``."""
        grad = step_backward(self.weights, saved, grad_deter, grad_stoch, None)
        return grad, (grad.from_action @ self.action).float()


class FusedRSSM(RSSM):
    """Observes a sequence as one node of the autograd graph."""

    def wrap_step(self) -> Wrapper:
        """Returns a hook that may compile a step, which is a pure function of tensors. Here it is the identity."""
        return lambda function: function

    def observe(self, embed: Tensor, action: Tensor, is_first: Tensor) -> tuple[State, Tensor]:
        state = self.initial(len(embed), embed.device)
        keep = (~is_first).to(action.dtype).T[..., None]  # (T, B, 1)
        action_weight = self.in_layer.weight[:, self.stoch_dim :]  # (H, A)
        from_action = F.linear(action.transpose(0, 1) * keep, action_weight, self.in_layer.bias)  # (T, B, H)
        embed_weight = self.post_layer.weight[:, self.config.deter :]  # (H, E)
        from_embed = F.linear(embed.transpose(0, 1), embed_weight, self.post_layer.bias)  # (T, B, H)
        weights = self._weights(self.post_layer, self.post_logits)
        inputs = state.stoch, state.deter, from_action, from_embed, keep, self.config.classes, self.wrap_step()
        deter, stoch, logits = Observe.apply(*inputs, *weights)  # (T, B, ...)
        post = State(deter, stoch, logits).map(lambda x: x.transpose(0, 1))
        return post, self._prior_logits(post.deter)

    def rollout_step(self) -> Callable[[State, Tensor], State]:
        if torch.is_grad_enabled():
            return self.imagine_step  # imagination with gradients has its own module, ``imagination``
        prior = self.prior_step()
        return lambda state, action: State(*prior.forward(state.stoch, state.deter, action)[:3])

    def prior_step(self) -> PriorStep:
        """Returns ``imagine_step`` with the current weights, which get no gradients."""
        weights = Weights(*(w.detach() for w in self._weights(self.prior_layer, self.prior_logits)))
        dtype = weights.stoch.dtype
        action_weight = self.in_layer.weight[:, self.stoch_dim :]  # (H, A)
        action, action_bias, hidden_bias = (
            w.detach().to(dtype) for w in (action_weight, self.in_layer.bias, self.prior_layer.bias)
        )
        return PriorStep(weights, action, action_bias, hidden_bias, self.config.classes)

    def _weights(self, hidden: nn.Linear, logits: nn.Linear) -> Weights:
        """Returns the weights of a step that ends in the given layers, in the dtype of products."""
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
