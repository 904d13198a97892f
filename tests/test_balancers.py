"""Prop. 3.1, Eqs. 3 to 5, 12 and 13; names are checked; nothing but torch is needed."""

import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hdream_core.balancers import (
    BalancerError,
    DynamicWeightAverage,
    FixedWeights,
    Harmony,
    NashMTL,
    UncertaintyWeighting,
    analytic_weight,
)

NAMES = ("observation", "reward", "dynamics")
ROOT = Path(__file__).parents[1]
losses_of = st.floats(1e-3, 1e3)
LEARNING = {  # the balancers that find weights themselves
    "harmony": Harmony,
    "uw": partial(UncertaintyWeighting, dimensions={"dynamics": 2}),
    "dwa": partial(DynamicWeightAverage, temperature=0.5, window=2),
    "nashmtl": NashMTL,
}


def losses(*values):
    return dict(zip(NAMES, map(torch.tensor, values), strict=True))


def descended(balancer, named):
    """The weights that descent ends at."""
    optimizer = torch.optim.Adam(balancer.parameters(), lr=0.1, betas=(0.9, 0.9))
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
    for _ in range(700):
        total, weights = balancer(named)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        decay.step()
    return weights


@pytest.mark.parametrize("rectified", [True, False])
def test_descent_on_s_reaches_the_analytic_weight(rectified):
    values = [10 ** (i / 2) for i in range(-6, 7)]  # 0.001 to 1000
    named = {f"loss{i}": torch.tensor(value) for i, value in enumerate(values)}
    weights = descended(Harmony(named, rectified), named)
    for name, value in zip(named, values, strict=True):
        assert weights[name].item() == pytest.approx(analytic_weight(value, rectified), rel=0.01)


@given(losses_of)
def test_analytic_weights_satisfy_the_papers_equations(loss):
    sigma = 1 / analytic_weight(loss, rectified=True)
    assert -loss / sigma**2 + 1 / (1 + sigma) == pytest.approx(0, abs=1e-6)  # the condition above Eq. 12
    assert sigma == pytest.approx((loss + math.sqrt(loss**2 + 4 * loss)) / 2)  # Eq. 12
    assert loss / sigma == pytest.approx(2 / (1 + math.sqrt(1 + 4 / loss)))  # Sec. 3: the harmonised scale, under 1
    assert loss / sigma < 1
    assert analytic_weight(loss, rectified=False) * loss == pytest.approx(1)  # Prop. 3.1


def test_harmony_is_equation_5_and_equation_4():
    values, s = (50.0, 0.01, 2.0), (3.0, -1.0, 0.5)
    for rectified in (True, False):
        balancer = Harmony(NAMES, rectified)
        for name, x in zip(NAMES, s, strict=True):
            balancer.s[name].data.fill_(x)
        total, weights = balancer(losses(*values))
        sigma = [math.exp(x) for x in s]
        regulariser = [math.log(1 + x) if rectified else math.log(x) for x in sigma]
        want = sum(loss / x + r for loss, x, r in zip(values, sigma, regulariser, strict=True))
        assert total.item() == pytest.approx(want, rel=1e-6)
        assert [weights[name].item() for name in NAMES] == pytest.approx([1 / x for x in sigma], rel=1e-6)


def test_harmony_starts_at_weight_one_and_can_start_at_the_optimum():
    balancer = Harmony(NAMES)
    assert all(weight.item() == 1 for weight in balancer(losses(5.0, 5.0, 5.0))[1].values())
    balancer.start_at({"observation": 40.0, "reward": 0.02, "dynamics": 3.0})
    weights = balancer(losses(5.0, 5.0, 5.0))[1]
    assert weights["observation"].item() == pytest.approx(analytic_weight(40.0), rel=1e-5)
    assert weights["reward"].item() == pytest.approx(analytic_weight(0.02), rel=1e-5)


@pytest.mark.parametrize("kind", sorted(set(LEARNING) - {"nashmtl"}))
def test_a_fixed_loss_adds_its_weight_times_itself_and_the_others_are_balanced_without_it(kind):
    """As E.4's ablation does: no sigma, no regulariser."""
    two, rng = ("observation", "dynamics"), np.random.default_rng(0)
    ours, theirs = LEARNING[kind](NAMES, fixed={"reward": 100.0}), LEARNING[kind](two)
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    means = {"observation": 40.0, "reward": 0.02, "dynamics": 3.0}
    assert ours.analytic_weights(means) == theirs.analytic_weights(means) | {"reward": 100.0}
    for step in range(8):
        if step == 4:
            ours.start_at(means)
            theirs.start_at(means)
        row = losses(*rng.uniform(0.1, 3, 3))
        total, weights = ours(row | {"reward": row["reward"].requires_grad_()})
        rest, expected = theirs({name: row[name] for name in two})
        assert list(weights) == list(NAMES) and weights == expected | {"reward": torch.tensor(100.0)}
        assert total.item() == pytest.approx(rest.item() + 100 * row["reward"].item(), rel=1e-6)
        assert torch.autograd.grad(total, row["reward"])[0].item() == 100
    assert abs(expected["dynamics"].item() - 1) > 0.01


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"colour": 1.0}, "colour is fixed"),
        ({"dynamics": 0.0}, "above 0"),
        ({"reward": math.nan}, "reward is nan"),
        (dict.fromkeys(NAMES, 1.0), "all losses are fixed"),
    ],
)
@pytest.mark.parametrize("kind", LEARNING)
def test_unusable_fixed_weights_are_refused(kind, fixed, message):
    with pytest.raises(BalancerError, match=message):
        LEARNING[kind](NAMES, fixed=fixed)


@pytest.mark.parametrize("kind", LEARNING)
def test_names_and_weights_keep_their_order_whatever_is_fixed(kind):
    balancer = LEARNING[kind](NAMES, fixed={"reward": 100, "observation": 0.5})
    balancer.attach([torch.nn.Parameter(torch.ones(()))])
    total, weights = balancer(losses(4.0, 0.01, 0.0))
    assert balancer.names == NAMES and balancer.balanced == ("dynamics",)
    assert [(name, weight.item()) for name, weight in weights.items()] == list(zip(NAMES, (0.5, 100, 1), strict=True))
    assert total.item() == pytest.approx(2 + 1 + (math.log(2) if kind == "harmony" else 0), rel=1e-6)


@pytest.mark.parametrize("make", [Harmony, lambda names: UncertaintyWeighting(names, {"reward": 1})])
def test_learned_weights_stay_in_float32_under_autocast(make):
    balancer = make(["reward"])
    balancer.s["reward"].data.fill_(1e-4)  # smaller than bfloat16 resolves beside 1
    with torch.autocast("cpu", torch.bfloat16):
        total, weights = balancer({"reward": torch.tensor(1.0, dtype=torch.bfloat16)})
    assert total.dtype == weights["reward"].dtype == torch.float32
    assert 0 < 1 - weights["reward"].item() < 2e-4


@given(*[st.floats(0.1, 1e3)] * 6)
def test_fixed_weights_is_equation_3(l_o, l_r, l_d, w_o, w_r, w_d):
    total, weights = FixedWeights(w_o, w_r, w_d)(losses(l_o, l_r, l_d))
    assert total.item() == pytest.approx(w_o * l_o + w_r * l_r + w_d * l_d, rel=1e-5)
    assert weights["reward"].item() == pytest.approx(w_r, rel=1e-6)


def test_zero_weight_removes_the_loss():
    assert FixedWeights(w_o=0).names == ("reward", "dynamics")
    assert FixedWeights(discount=5.0).names == (*NAMES, "discount")


@pytest.mark.parametrize("given_names", [("observation", "reward"), (*NAMES, "discount")])
@pytest.mark.parametrize("balancer", [FixedWeights(), Harmony(NAMES)])
def test_names_must_match(balancer, given_names):
    with pytest.raises(BalancerError, match="was given losses"):
        balancer({name: torch.tensor(1.0) for name in given_names})


BALANCERS = {"fixed": FixedWeights, **{kind: partial(make, NAMES) for kind, make in LEARNING.items()}}
BALANCERS["harmony, one fixed"] = lambda: Harmony(NAMES, fixed={"reward": 1.0})


@pytest.mark.parametrize(
    ("loss", "got"),
    [
        (torch.ones(3, 4), ", got shape (3, 4)"),
        (torch.ones(1), ", got shape (1,)"),
        (0.5, ", got a float"),
        (1, ", got an int"),
        (torch.tensor(3), " of floating point, got torch.int64"),
        (torch.tensor(True), " of floating point, got torch.bool"),
        (torch.tensor(1j), " of floating point, got torch.complex64"),
    ],
)
@pytest.mark.parametrize("kind", BALANCERS)
def test_losses_must_be_scalar_tensors_of_floating_point(kind, loss, got):
    with pytest.raises(BalancerError) as caught:
        BALANCERS[kind]()(losses(1.0, 1.0, 1.0) | {"reward": loss})
    assert str(caught.value) == f"loss 'reward' must be a scalar tensor{got}"


@pytest.mark.parametrize("kind", BALANCERS)
def test_nan_passes_through(kind):
    """An update that is not finite is skipped elsewhere."""
    balancer = BALANCERS[kind]()
    balancer.attach([torch.nn.Parameter(torch.ones(()))])
    assert balancer(losses(1.0, math.nan, 1.0))[0].isnan()


@pytest.mark.parametrize("kind", sorted(set(BALANCERS) - {"nashmtl"}))
def test_an_update_waits_for_nothing(kind):
    """Meta tensors hold no numbers: whoever asks for one, as a synchronisation does, gets an error."""
    balancer = BALANCERS[kind]().to("meta")
    total, weights = balancer({name: torch.ones((), device="meta") for name in NAMES})
    assert balancer.on_device and total.is_meta and all(weight.is_meta for weight in weights.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedWeights(w_r=-1.0), "must be finite"),
        (lambda: FixedWeights(w_r=math.inf), "must be finite"),
        (lambda: FixedWeights(w_r=math.nan), "must be finite"),
        (lambda: analytic_weight(0.0), "positive"),
        (lambda: UncertaintyWeighting(NAMES, {"colour": 3}), "colour"),
        (lambda: UncertaintyWeighting(NAMES, {"reward": 0}), "reward is 0"),
        (lambda: UncertaintyWeighting(NAMES, {"reward": 1}, fixed={"reward": 1.0}), "reward is given"),
        (lambda: DynamicWeightAverage(NAMES, temperature=0.0), "temperature"),
        (lambda: DynamicWeightAverage(NAMES, window=0), "window"),
        (lambda: NashMTL(NAMES, every=0), "every"),
        (lambda: NashMTL(NAMES, max_norm=0.0), "max_norm"),
        (lambda: NashMTL(NAMES)(losses(1.0, 1.0, 1.0)), "attach"),
    ],
)
def test_unusable_weights_and_settings_are_refused(make, message):
    with pytest.raises(BalancerError, match=message):
        make()


def test_balancers_load_torch_alone():
    """And the file of Harmony, loaded by path as another Dreamer would vendor it, nothing of hdream."""
    code = (
        "import sys, runpy, torch; sys.modules['numpy'] = None; before = set(sys.modules);"  # torch may load NumPy
        "runpy.run_path('hdream_core/balancers/harmony.py'); print(*set(sys.modules) - before);"
        "import hdream_core.balancers; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    of_file, of_package = (
        {name for name in line.split() if name.partition(".")[0] not in {"torch", *sys.stdlib_module_names}}
        for line in done.stdout.split("\n")[:2]
    )
    package = "hdream_core.balancers"
    files = {f"{package}.{path.stem}" for path in (ROOT / "hdream_core" / "balancers").glob("[!_]*.py")}
    light = {f"hdream_core.support{name}" for name in ("", ".errors", ".extras")}
    assert not of_file and of_package == {"hdream_core", package, *files, *light}
