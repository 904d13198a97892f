"""The tuned forms against the plain ones: values and gradients, single parts and whole updates."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from hdream_core import distributions, dream, networks, pixels
from hdream_core.agent import DreamerV2
from hdream_core.config import RSSMConfig
from hdream_core.kernels import PLAIN, TUNED, pick
from hdream_core.presets import make_config
from hdream_core.rssm import RSSM
from hdream_core.scan import FusedRSSM

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def gradients(f, *inputs):
    """The value of ``f`` and the gradients of a fixed random projection of it."""
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    value = f(*inputs)
    torch.manual_seed(7)
    return [value, *torch.autograd.grad((value * torch.randn(value.shape)).sum(), inputs)]


def assert_alike(ours, theirs, rtol=1e-4):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol * b.abs().max().item())


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 3),
    c_in=st.integers(1, 8),
    c_out=st.sampled_from([1, 3, 16, 17, 20]),
    k=st.integers(2, 6),
    h=st.integers(1, 7),
)
def test_transposed_convolution_has_the_plain_ones_values_and_gradients(n, c_in, c_out, k, h):
    torch.manual_seed(0)
    inputs = torch.randn(n, c_in, h, h), torch.randn(c_in, c_out, k, k), torch.randn(c_out)
    assert_alike(gradients(pixels.conv_transpose, *inputs), gradients(networks.conv_transpose, *inputs))


def test_transposed_convolution_follows_autocast():
    x, weight, bias = torch.randn(2, 8, 5, 5), torch.randn(8, 20, 5, 5), torch.randn(20)
    with torch.autocast("cpu", torch.bfloat16):
        out = pixels.conv_transpose(x, weight, bias)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), networks.conv_transpose(x, weight, bias), rtol=0.05, atol=0.3)


@pytest.mark.parametrize("shape, dims", [((70, 3, 8, 8), 3), ((5, 7), 0), ((4,), 0)])
def test_squared_error_has_the_plain_ones_value_and_gradient(shape, dims):
    prediction, target = torch.randn(shape), torch.randn(shape)
    ours = gradients(lambda x: pixels.half_squared_error(x, target, dims), prediction)
    assert_alike(ours, gradients(lambda x: distributions.half_squared_error(x, target, dims), prediction), 1e-6)


def test_squared_error_of_an_image_batch_keeps_its_digits():
    """One float32 accumulator over 25 million pixels would be off by far more."""
    prediction, target = torch.rand(2000, 3, 64, 64), torch.rand(2000, 3, 64, 64)
    exact = 0.5 * (prediction.double() - target).square().sum() / 2000
    assert pixels.half_squared_error(prediction, target, 3).item() == pytest.approx(exact.item(), rel=2e-6)


def two_rssms():
    config = RSSMConfig(deter=12, hidden=10, stoch=4, classes=5)
    torch.manual_seed(0)
    plain = RSSM(config, action=3, embed=6)
    fused = FusedRSSM(config, action=3, embed=6)
    fused.load_state_dict(plain.state_dict())
    return plain, fused


def test_fused_observe_has_the_plain_ones_states_and_gradients():
    torch.manual_seed(1)
    embed, action = torch.randn(4, 9, 6), torch.randn(4, 9, 3)
    is_first = torch.zeros(4, 9, dtype=torch.bool)
    is_first[:, 0] = is_first[1, 4] = is_first[3, 8] = True  # an episode may also begin within the sequence
    weights = [torch.randn(4, 9, 12), torch.randn(4, 9, 20), torch.randn(4, 9, 4, 5), torch.randn(4, 9, 4, 5)]

    def run(rssm):
        inputs = embed.clone().requires_grad_(), action.clone().requires_grad_()
        torch.manual_seed(2)
        post, prior = rssm.observe(*inputs, is_first)
        total = sum((x * w).sum() for x, w in zip((*post, prior), weights, strict=True))
        return [*post, prior], torch.autograd.grad(total, [*inputs, *rssm.parameters()])

    (states, grads), (fused_states, fused_grads) = map(run, two_rssms())
    assert_alike(fused_states, states, 1e-5)
    assert_alike(fused_grads, grads)


def test_fused_dream_has_the_plain_ones_states_and_gradients():
    torch.manual_seed(1)
    actions = torch.randn(6, 5, 3)
    weights = torch.randn(6, 5, 32)

    def run(rssm):
        a = actions.clone().requires_grad_()
        start = rssm.initial(6)._replace(deter=torch.linspace(-1, 1, 72).view(6, 12).requires_grad_())
        torch.manual_seed(2)
        states = rssm.imagine(start, a)
        return [*states], torch.autograd.grad((states.feat * weights).sum(), [a, start.deter])

    (states, grads), (fused_states, fused_grads) = map(run, two_rssms())
    assert_alike(fused_states, states, 1e-5)
    assert_alike(fused_grads, grads)


def test_tuned_forms_are_for_the_cpu():
    assert pick("tuned", CPU) is TUNED
    assert pick("plain", CPU) is pick("tuned", CUDA) is PLAIN


def curves(kernels, precision, updates, seed=0):
    """Loss curves of a small agent on made-up windows whose reward can be read off the image."""
    changes = {"train.kernels": kernels, "train.precision": precision, "train.threads": 0, "behavior.starts": 32}
    config = make_config("mini_lever", "cpu", changes=changes)
    torch.manual_seed(seed)
    agent = DreamerV2(config, image_size=32, action=2)
    rng, rows = np.random.default_rng(0), []
    torch.manual_seed(seed + 1)
    for _ in range(updates):
        image = np.kron(rng.integers(0, 256, (6, 8, 4, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        first = np.zeros((6, 8), bool)
        first[:, 0] = True
        batch = {
            "image": image,
            "action": rng.uniform(-1, 1, (6, 8, 2)).astype(np.float32),
            "reward": image[:, :, 0, 0, 0].astype(np.float32) / 25,
            "is_first": first,
            "is_terminal": np.zeros((6, 8), bool),
        }
        metrics = agent.update(batch)
        rows.append([metrics[f"loss/{name}"].item() for name in ("observation", "reward", "dynamics", "critic")])
    return np.array(rows)


def test_whole_updates_in_float32_agree():
    tuned, plain = curves("tuned", "float32", 20), curves("plain", "float32", 20)
    np.testing.assert_allclose(tuned, plain, rtol=1e-4, atol=1e-6)
    assert F.mse_loss(torch.tensor(plain[0]), torch.tensor(plain[-1])) > 0.01  # and the curves do move


def test_action_sample_has_the_plain_ones_value_and_slopes():
    torch.manual_seed(0)
    loc, scale = torch.randn(400, 3).mul(2).tanh().requires_grad_(), torch.rand(400, 3).mul(2).add(0.1).requires_grad_()
    torch.manual_seed(1)
    plain = distributions.TruncatedNormal(loc, scale).rsample()
    slopes = torch.autograd.grad(plain.sum(), (loc, scale))
    torch.manual_seed(1)
    ours, *our_slopes = dream.sample(loc.detach(), scale.detach())
    assert_alike([ours, *our_slopes], [plain.detach(), *slopes], 1e-3)


def test_fused_imagination_has_the_plain_ones_dream_and_gradients():
    changes = {"train.precision": "float32", "behavior.horizon": 6}
    plain, fused = (
        DreamerV2(make_config("mini_lever", "smoke", changes=changes | {"train.kernels": kernels}), 32, 2)
        for kernels in ("plain", "tuned")
    )
    fused.load_state_dict(plain.state_dict())
    assert type(plain.behavior) is not type(fused.behavior)

    def run(agent):
        start = agent.model.rssm.initial(7)._replace(deter=torch.linspace(-1, 1, 56).view(7, 8))
        torch.manual_seed(3)
        imagined = agent.behavior.imagine(agent.model, start)
        torch.manual_seed(4)
        total = sum((x * torch.randn(x.shape)).sum() for x in imagined)
        return [*imagined], torch.autograd.grad(total, list(agent.behavior.actor.parameters()))

    (dream_, grads), (fused_dream, fused_grads) = run(plain), run(fused)
    assert_alike(fused_dream, dream_, 1e-5)
    assert_alike(fused_grads, grads)
