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


@pytest.mark.parametrize("c_out", [3, 20])
def test_pixels_in_bfloat16_have_nearly_the_float32_loss_and_gradients(c_out):
    torch.manual_seed(0)
    inputs = torch.randn(8, 8, 5, 5), torch.randn(8, c_out, 5, 5) / 8, torch.randn(c_out)
    target = torch.randn(8, c_out, 13, 13)

    def run(kernels, bfloat16):
        leaves = [x.clone().requires_grad_() for x in inputs]
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            image = kernels.conv_transpose(*leaves)
            loss = kernels.half_squared_error(image, target, 3)
        assert image.dtype == (torch.bfloat16 if bfloat16 else torch.float32)
        return [loss.detach(), *torch.autograd.grad(loss, leaves)]

    truth = run(PLAIN, bfloat16=False)
    assert relative_error(run(TUNED_CPU, bfloat16=True), truth) < 0.02
    assert relative_error(run(PLAIN, bfloat16=True), truth) < 0.02


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


def test_fused_observe_has_the_plain_ones_states_and_gradients():
    """Also those of the state that it starts from."""
    torch.manual_seed(1)
    before = torch.randn(4, 12), torch.softmax(torch.randn(4, 20), -1)
    embed, action = torch.randn(4, 9, 6), torch.randn(4, 9, 3)
    is_first = torch.zeros(4, 9, dtype=torch.bool)
    is_first[0, 0] = is_first[1, 4] = is_first[3, 8] = True  # an episode may also begin within the sequence
    weights = [torch.randn(4, 9, 12), torch.randn(4, 9, 20), torch.randn(4, 9, 4, 5), torch.randn(4, 9, 4, 5)]

    def run(rssm):
        inputs = [x.clone().requires_grad_() for x in (embed, action, *before)]
        start = State(inputs[2], inputs[3], torch.zeros(4, 4, 5))
        torch.manual_seed(2)
        post, prior = rssm.observe(inputs[0], inputs[1], is_first, start)
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


@pytest.mark.parametrize("changes", [{}, {"balancer.w_o": 0.0}, {"balancer.w_d": 0.0}])
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


def relative_error(ours, truth):
    return max(((a.float() - b).norm() / b.norm()).item() for a, b in zip(ours, truth, strict=True) if b.norm() > 0)


def test_fused_gradients_in_bfloat16_are_as_close_as_the_plain_ones():
    """One step each, so that no latent falls to another class."""
    torch.manual_seed(1)
    embed, action, is_first = torch.randn(64, 1, 6), torch.randn(64, 1, 3), torch.zeros(64, 1, dtype=torch.bool)
    start = State(torch.randn(64, 12), torch.softmax(torch.randn(64, 20), -1), torch.zeros(64, 4, 5))
    weights = torch.randn(64, 1, 32)

    def run(rssm, bfloat16):
        torch.manual_seed(2)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            post, _ = rssm.observe(embed, action, is_first, start)
        # The prior's layers have no part in this.
        parameters = [p for name, p in rssm.named_parameters() if not name.startswith("prior")]
        return torch.autograd.grad((post.feat * weights).sum(), parameters)

    plain, fused = two_rssms()
    truth = run(plain, bfloat16=False)
    assert relative_error(run(fused, bfloat16=True), truth) < 0.02
    assert relative_error(run(plain, bfloat16=True), truth) < 0.02


def test_a_dream_in_bfloat16_has_nearly_the_float32_gradients():
    """Of one step, so that no latent falls to another class."""
    agent = small_agent()
    agent.behavior.config = SimpleNamespace(horizon=1)  # shorter than a run may have it
    torch.manual_seed(5)
    start = State(torch.randn(64, 8), torch.softmax(torch.randn(64, 16), -1), torch.zeros(64, 4, 4))

    def run(bfloat16):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            imagined = agent.behavior.imagine(agent.model, start)
        torch.manual_seed(4)
        total = sum((x * torch.randn(x.shape)).sum() for x in imagined)
        return torch.autograd.grad(total, list(agent.behavior.actor.parameters()))

    assert relative_error(run(True), run(False)) < 0.03


def test_gradients_get_the_layout_of_their_parameter():
    """PyTorch's fused Adam reads both in the order of memory, whatever their strides."""
    parameter = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(4, 3, 2, 2)
    ours = in_layout_of(parameter, gradient)
    assert ours.stride() == parameter.stride() and torch.equal(ours, gradient)
    assert in_layout_of(parameter, None) is None


def test_fused_imagination_has_the_plain_ones_dream_and_gradients():
    changes = {"train.precision": "float32", "behavior.horizon": 6}
    plain, fused = (
        DreamerV2(make_config("mini_lever", "smoke", changes=changes | {"train.kernels": kernels}), MINI)
        for kernels in ("plain", "tuned")
    )
    fused.load_state_dict(plain.state_dict())
    assert type(plain.behavior) is not type(fused.behavior)

    def run(agent):
        deter = torch.linspace(-1, 1, 56).view(7, 8).requires_grad_()
        stoch = torch.linspace(0, 1, 112).view(7, 16).requires_grad_()
        start = State(deter, stoch, torch.zeros(7, 4, 4))
        torch.manual_seed(3)
        imagined = agent.behavior.imagine(agent.model, start)
        torch.manual_seed(4)
        total = sum((x * torch.randn(x.shape)).sum() for x in imagined)
        return [*imagined], torch.autograd.grad(total, [deter, stoch, *agent.behavior.actor.parameters()])

    (dream_, grads), (fused_dream, fused_grads) = run(plain), run(fused)
    assert_alike(fused_dream, dream_, 1e-5)
    assert_alike(fused_grads, grads)
