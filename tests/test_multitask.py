"""UW, DWA and NashMTL (D.2): closed forms, naive loops, failures, unusable settings."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import root

from hdream_core.balancers import DynamicWeightAverage, NashMTL, UncertaintyWeighting
from hdream_core.balancers.nash_mtl import bargain
from tests.test_balancers import NAMES, descended, losses

# Uncertainty weighting


def test_uw_is_the_formula_of_d2():
    balancer = UncertaintyWeighting(NAMES, {"observation": 12288, "reward": 1})
    balancer.s["observation"].data.fill_(-4.0)
    balancer.s["reward"].data.fill_(0.5)
    total, weights = balancer(losses(60.0, 0.01, 3.0))
    sigma_o, sigma_r = math.exp(-4.0), math.exp(0.5)
    want = 60 / sigma_o + 12288 * math.log(sigma_o) + 0.01 / sigma_r + math.log(sigma_r) + 3
    assert total.item() == pytest.approx(want, rel=1e-6)
    assert weights["observation"].item() == pytest.approx(1 / sigma_o, rel=1e-6)
    assert weights["dynamics"].item() == 1


def test_descent_on_uw_leaves_every_weighted_loss_at_its_dimension():
    balancer, values = UncertaintyWeighting(NAMES, {"observation": 12288, "reward": 1}), losses(60.0, 0.02, 3.0)
    weights = descended(balancer, values)
    assert weights["observation"].item() * 60 == pytest.approx(12288, rel=0.01)
    assert weights["reward"].item() * 0.02 == pytest.approx(1, rel=0.01)
    analytic = balancer.analytic_weights({"observation": 60.0, "reward": 0.02, "dynamics": 3.0})
    assert analytic == {"observation": 12288 / 60, "reward": 50.0, "dynamics": 1.0}
    balancer.start_at({"observation": 60.0, "reward": 0.02, "dynamics": 3.0})
    for name, weight in balancer(values)[1].items():
        assert weight.item() == pytest.approx(analytic[name], rel=1e-5)


# Dynamic weight average


def naive_dwa(rows, temperature, window):
    """The weights after each row, from whole lists."""
    found = []
    for t in range(1, len(rows) + 1):
        if t < 2 * window:
            found.append(np.ones(len(rows[0])))
            continue
        lately, before = rows[t - window : t], rows[t - 2 * window : t - window]
        r = np.array(
            [sum(x) / sum(y) for x, y in zip(zip(*lately, strict=True), zip(*before, strict=True), strict=True)]
        )
        found.append(len(r) * np.exp(r / temperature) / np.exp(r / temperature).sum())
    return np.array(found)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.floats(0.3, 5), st.integers(0, 2**31))
def test_dwa_against_a_naive_loop(window, temperature, seed):
    rows = np.random.default_rng(seed).uniform(0.1, 3, (25, 3)) * [100, 1, 0.01]
    balancer, found = DynamicWeightAverage(NAMES, temperature, window), []
    for row in rows:
        total, weights = balancer(losses(*row))
        found.append([weights[name].item() for name in NAMES])
        assert total.item() == pytest.approx(np.dot(found[-1], row), rel=1e-5)
    np.testing.assert_allclose(found, naive_dwa(rows, temperature, window), rtol=1e-4)
    np.testing.assert_allclose(np.sum(found, 1), 3, rtol=1e-5)


def test_dwa_leaves_the_weights_alone_where_a_loss_is_nothing_all_along():
    balancer = DynamicWeightAverage(NAMES, window=2)
    for _ in range(8):
        _, weights = balancer(losses(4.0, 0.0, 1.0))
    assert {name: weight.item() for name, weight in weights.items()} == balancer.analytic_weights({})


# NashMTL


def quadratics(gradients):
    """A shared parameter and losses that have these gradients there, each with a head of its own."""
    shared = torch.nn.Parameter(torch.zeros(len(gradients[0])))
    heads = [torch.nn.Parameter(torch.ones(())) for _ in gradients]
    rows = [torch.tensor(g, dtype=torch.float32) for g in gradients]
    return shared, lambda: {
        f"loss{i}": head * (shared @ row + 1) for i, (head, row) in enumerate(zip(heads, rows, strict=True))
    }


def nash(gradients, **options):
    shared, make = quadratics(gradients)
    balancer = NashMTL([f"loss{i}" for i in range(len(gradients))], **options)
    balancer.attach([shared])
    return balancer, shared, make


def test_dwa_forgets_an_update_that_was_left_out():
    ours, theirs = DynamicWeightAverage(NAMES, window=2), DynamicWeightAverage(NAMES, window=2)
    for step in range(8):
        losses = {name: torch.tensor(float(step + i + 1)) for i, name in enumerate(NAMES)}
        if step == 5:
            ours(losses | {NAMES[0]: torch.tensor(float("nan"))})
        assert ours(losses)[0] == theirs(losses)[0], step


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(0, 4), st.floats(0, 5), st.integers(0, 2**31))
def test_bargain_satisfies_its_equation_and_is_the_one_scipy_finds(k, more, spread, seed):
    """For one loss, too, whose weight is 1."""
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((k, k + more)) * 10 ** rng.uniform(-spread, spread, (k, 1))
    gram = g @ g.T
    alpha, matrix = bargain(torch.from_numpy(gram)).numpy(), gram / np.linalg.norm(gram)
    assert (alpha > 0).all()
    np.testing.assert_allclose(alpha * (matrix @ alpha), 1, atol=1e-6)
    start = np.log(alpha) + rng.uniform(-0.3, 0.3, k)
    other = root(lambda x: np.exp(x) * (matrix @ np.exp(x)) - 1, start, tol=1e-12)
    if other.success:
        np.testing.assert_allclose(np.exp(other.x), alpha, rtol=1e-4)


@given(st.integers(1, 3), st.floats(-4, 4), st.floats(-4, 4), st.integers(0, 2**31))
def test_gradients_that_cancel_have_no_bargain(size, a, b, seed):
    g = np.random.default_rng(seed).standard_normal(size) * [[10**a], [-(10**b)]]
    assert bargain(torch.from_numpy(g @ g.T)) is None


@pytest.mark.parametrize(
    "gradients", [[[3.0, 0.0, 1.0], [0.01, 0.02, 0.0], [0.0, -1.0, 0.5]], [[1e4, 0.0], [0.0, 1e-4]], [[3.0, 4.0]]]
)
def test_losses_contribute_alike_and_heads_get_their_weighted_gradient(gradients):
    """Weights of 100,000,000 to 1 are not clipped."""
    balancer, shared, make = nash(gradients)
    values = make()
    total, weights = balancer(values)
    alpha = np.array([weight.item() for weight in weights.values()])
    assert total.item() == pytest.approx(sum(alpha), rel=1e-5)  # all losses are 1 here
    (joint,) = torch.autograd.grad(total, shared)
    parts = [a * np.dot(g, joint.numpy()) for a, g in zip(alpha, gradients, strict=True)]
    np.testing.assert_allclose(parts, parts[0], rtol=1e-4)
    assert joint.norm().item() == pytest.approx(sum(parts) ** 0.5, rel=1e-5)


def test_fixed_loss_takes_no_part_in_the_bargain():
    balancer, shared, make = nash([[3.0, 0.0], [5.0, 5.0], [1.0, 1.0]], fixed={"loss1": 0.5})
    two, _, make_two = nash([[3.0, 0.0], [1.0, 1.0]])
    (joint,) = torch.autograd.grad(balancer(make())[0], shared)
    weights = {name: weight.item() for name, weight in balancer(make())[1].items()}
    first, second = (weight.item() for weight in two(make_two())[1].values())
    assert weights == pytest.approx({"loss0": first, "loss1": 0.5, "loss2": second})
    np.testing.assert_allclose(joint, [3 * first + 2.5 + second, 2.5 + second], rtol=1e-5)
    assert list(weights) == ["loss0", "loss1", "loss2"] and balancer.analytic_weights({}) == {"loss1": 0.5}


def test_loss_without_a_shared_gradient_keeps_its_weight_and_the_others_bargain_without_it():
    balancer, shared, make = nash([[3.0, 0.0], [0.0, 0.1], [0.0, 0.0]])
    two, _, make_two = nash([[3.0, 0.0], [0.0, 0.1]])
    want = two(make_two())[1]
    elsewhere = torch.nn.Parameter(torch.ones(()))
    for absent in (make()["loss2"], elsewhere * 2, torch.tensor(2.0)):  # gradient 0, elsewhere, none at all
        weights = balancer(make() | {"loss2": absent})[1]
        assert weights["loss2"].item() == 1
        assert all(weights[name].item() == pytest.approx(want[name].item()) for name in want)
    assert balancer.failures == 0
    alone = NashMTL(["loss2"])
    alone.attach([shared])
    assert alone({"loss2": elsewhere * 2})[1]["loss2"].item() == 1 and alone.failures == 0


def test_failures_are_counted_and_the_last_good_weights_stay():
    balancer, shared, make = nash([[3.0, 0.0], [0.0, 0.1]])
    good = balancer(make())[1]
    broken = {name: shared.sum() * math.nan for name in good}
    against = {"loss0": shared[0] * 3, "loss1": shared[0] * -1.5}
    for count, values in ((1, against), (2, broken), (2, make())):
        weights = balancer(values)[1]
        assert {name: weight.item() for name, weight in weights.items()} == pytest.approx(
            {name: weight.item() for name, weight in good.items()}
        )
        assert balancer.diagnostics()["solver_failures"].item() == count


def test_max_norm_bounds_the_shared_gradient():
    gradients = [[3.0, 0.0], [1.0, 1.0]]
    balancer, shared, make = nash(gradients, max_norm=0.5)
    free, _, _ = nash(gradients)
    free.attach([shared])
    (joint,) = torch.autograd.grad(balancer(make())[0], shared)
    (unbound,) = torch.autograd.grad(free(make())[0], shared)
    assert joint.norm().item() == pytest.approx(0.5, rel=1e-5) and unbound.norm() > 0.5
    torch.testing.assert_close(joint, unbound * 0.5 / unbound.norm())


def test_weights_are_kept_between_solutions():
    shared, balancer, found = torch.nn.Parameter(torch.zeros(2)), NashMTL("ab", every=3), []
    balancer.attach([shared])
    for t in range(8):
        values = {"a": shared @ torch.tensor([1.0, 0.1 * t]), "b": shared @ torch.tensor([0.0, 2.0 + t])}
        found.append([weight.item() for weight in balancer(values)[1].values()])
    assert found[0] == found[1] == found[2] != found[3] == found[5] != found[6]
