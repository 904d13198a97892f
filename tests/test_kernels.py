"""The tuned forms against the plain ones: values and gradients, single parts and whole updates."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hdream_core.config.presets import make_config
from hdream_core.dreamerv2 import networks
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.dreamerv2.config import RSSMConfig
from hdream_core.dreamerv2.rssm import RSSM, State
from hdream_core.dreamerv2.tuned import imagination as dream
from hdream_core.dreamerv2.tuned import pixels
from hdream_core.dreamerv2.tuned.kernels import PLAIN, TUNED_CPU, TUNED_GPU, pick_kernels
from hdream_core.dreamerv2.tuned.scan import FusedRSSM
from hdream_core.nets import distributions
from hdream_core.nets.optimizer import in_layout_of
from tests.small import MINI, small_agent

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
    plain = RSSM(config, action_dim=3, embed_dim=6)
    fused = FusedRSSM(config, action_dim=3, embed_dim=6)
    fused.load_state_dict(plain.state_dict())
    return plain, fused


def test_a_dream_without_gradients_has_the_plain_ones_states():
    """With gradients a dream is part of an update, and ``FusedRSSM`` takes other steps."""
    actions, dreams = torch.randn(6, 5, 3), []
    for rssm in two_rssms():
        torch.manual_seed(2)
        with torch.no_grad():
            dreams.append(rssm.imagine(rssm.initial(6), actions))
    assert_alike(*dreams, 1e-5)


def error_in_bfloat16(run):
    """How far the gradients of a total by leaves, which ``run`` returns, are from those in float32."""
    found = []
    for bfloat16 in (True, False):
        torch.manual_seed(2)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            total, leaves = run()
        found.append(torch.autograd.grad(total, leaves))
    return max(((ours - truth).norm() / truth.norm()).item() for ours, truth in zip(*found, strict=True))


@pytest.mark.parametrize("kernels", [PLAIN, TUNED_CPU], ids=["plain", "tuned"])
@pytest.mark.parametrize("c_out", [3, 20])
def test_pixels_in_bfloat16_have_nearly_the_float32_loss_and_gradients(c_out, kernels):
    leaves = [torch.randn(8, 8, 5, 5), torch.randn(8, c_out, 5, 5) / 8, torch.randn(c_out)]
    leaves, target, losses = [x.requires_grad_() for x in leaves], torch.randn(8, c_out, 13, 13), []

    def run():
        image = kernels.conv_transpose(*leaves)
        losses.append(kernels.half_squared_error(image, target, 3))
        assert image.dtype == (torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32)
        return losses[-1], leaves

    assert error_in_bfloat16(run) < 0.02
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=0.02)


@pytest.mark.parametrize("rssm", two_rssms(), ids=["plain", "fused"])
def test_states_in_bfloat16_have_nearly_the_float32_gradients(rssm):
    """One step each, so that no latent falls to another class."""
    embed, action, is_first = torch.randn(64, 1, 6), torch.randn(64, 1, 3), torch.zeros(64, 1, dtype=torch.bool)
    weights = torch.randn(64, 1, 32)
    # The prior's layers have no part in this.
    parameters = [p for name, p in rssm.named_parameters() if not name.startswith("prior")]
    run = lambda: ((rssm.observe(embed, action, is_first)[0].feat * weights).sum(), parameters)  # noqa: E731
    assert error_in_bfloat16(run) < 0.02


def test_a_dream_in_bfloat16_has_nearly_the_float32_gradients():
    """Of one step, so that no latent falls to another class."""
    agent = small_agent()
    agent.behavior.config = SimpleNamespace(horizon=1)  # shorter than a run may have it
    start = State(torch.randn(64, 8), torch.softmax(torch.randn(64, 16), -1), torch.zeros(64, 4, 4))

    def run():
        imagined = agent.behavior.imagine(agent.model, start)
        return sum((x * torch.randn(x.shape)).sum() for x in imagined), list(agent.behavior.actor.parameters())

    assert error_in_bfloat16(run) < 0.03


def test_each_device_has_tuned_forms_of_its_own():
    assert pick_kernels("tuned", CPU) is TUNED_CPU and pick_kernels("tuned", CUDA) is TUNED_GPU
    assert pick_kernels("plain", CPU) is pick_kernels("plain", CUDA) is PLAIN


def curves(kernels, precision, updates, more, seed=0):
    """Loss curves of a small agent on made-up windows whose reward can be read off the image."""
    changes = {"train.kernels": kernels, "train.precision": precision, "train.threads": 0, "behavior.starts": 32} | more
    config = make_config("mini_lever", "cpu", changes=changes)
    torch.manual_seed(seed)
    agent = DreamerV2(config, MINI)
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
        rows.append([metrics[f"loss/{name}"].item() for name in (*agent.balancer.names, "actor", "critic")])
    return np.array(rows)


@pytest.mark.parametrize("changes", [{}, {"balancer.w_o": 0.0, "behavior.entropy": 0.1}, {"balancer.w_d": 0.0}])
def test_whole_updates_in_float32_agree(changes):
    tuned, plain = curves("tuned", "float32", 15, changes), curves("plain", "float32", 15, changes)
    np.testing.assert_allclose(tuned, plain, rtol=1e-4, atol=1e-6)
    still = curves("plain", "float32", 15, changes | {"model.lr": 1e-12, "behavior.actor_lr": 1e-12})
    assert np.abs(plain[-1] / still[-1] - 1).max() > 1e-2  # what was learned is in the curves that agree


@pytest.mark.parametrize("u", [None, 0.0, 1.0])
def test_action_sample_has_the_plain_ones_value_and_slopes(u, monkeypatch):
    """Also where the quantile or the action is clamped, at the ends of u and with means at the bounds."""
    if u is not None:
        monkeypatch.setattr(torch, "rand_like", lambda x: torch.full_like(x, u))
    torch.manual_seed(0)
    loc = torch.cat([torch.randn(400, 3).mul(2).tanh(), torch.tensor([[1.0, -1.0, 0.0]])]).requires_grad_()
    scale = torch.cat([torch.rand(400, 3).mul(2).add(0.1), torch.full((1, 3), 0.1)]).requires_grad_()
    torch.manual_seed(1)
    plain = distributions.TruncatedNormal(loc, scale).rsample()
    slopes = torch.autograd.grad(plain.sum(), (loc, scale))
    torch.manual_seed(1)
    ours, *our_slopes = dream.sample(loc.detach(), scale.detach())
    assert_alike([ours, *our_slopes], [plain.detach(), *slopes], 1e-3)
    if u is not None:
        clamped = slopes[0] == 0
        assert clamped.any() and torch.equal(our_slopes[0] == 0, clamped)


def test_gradients_get_the_layout_of_their_parameter():
    """PyTorch's fused Adam reads both in the order of memory, whatever their strides."""
    parameter = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(4, 3, 2, 2)
    ours = in_layout_of(parameter, gradient)
    assert ours.stride() == parameter.stride() and torch.equal(ours, gradient)
    assert in_layout_of(parameter, None) is None
