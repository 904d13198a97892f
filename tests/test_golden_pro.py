"""DreamerPro against numbers that the authors' own code computed (``golden/README.md``), and against hand values."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from hdream_core.dreamerpro import rssm
from hdream_core.dreamerpro.augment import random_shifts, shift
from hdream_core.dreamerpro.behavior import Behavior
from hdream_core.dreamerpro.config import BehaviorConfig, PrototypeConfig, RSSMConfig
from hdream_core.dreamerpro.distributions import gaussian_stats, tanh_normal
from hdream_core.dreamerpro.optimizer import Optimizer
from hdream_core.dreamerpro.prototypes import Prototypes, sinkhorn
from hdream_core.nets.distributions import half_squared_error
from hdream_core.nets.encoder import Encoder
from hdream_core.nets.gaussian import gaussian_kl
from hdream_core.nets.mlp import MLP

GOLDEN = Path(__file__).parent / "golden" / "dreamerpro.safetensors"
WITHIN = 1e-5  # of a number, or of an array's largest element
GRADIENTS_WITHIN = 3e-5  # of an array's largest element
CONSTANT = 0.5 * math.log(2 * math.pi)  # of a Gaussian of unit variance, which our losses lack
EPS = ("0.0125", "0.05")


@pytest.fixture(scope="module")
def golden():
    """The file's arrays by name, with its scalars among them."""
    with safe_open(GOLDEN, "pt") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  the file is no mapping
        return arrays | json.loads(file.metadata()["expected"])


def part(golden, kind):
    return {key.removeprefix(f"{kind}/"): value for key, value in golden.items() if key.startswith(f"{kind}/")}


def close(ours, theirs, within=WITHIN):
    assert ours.shape == theirs.shape
    assert (ours.detach() - theirs).abs().max().item() <= within * theirs.abs().max().clamp(min=1e-6).item()


def swapped(weight, stoch, before=0):
    """Turns input columns [before, stoch, deter] of the file's features into ours, [before, deter, stoch]."""
    return torch.cat([weight[:, :before], weight[:, before + stoch :], weight[:, before : before + stoch]], 1)


def prototypes(golden, eps, **changes):
    """The file's prototypes, projections and arrays, as leaves, and our module with them."""
    arrays = part(golden, "proto")
    module = Prototypes(PrototypeConfig(24, 8, sinkhorn_eps=float(eps), **{"freeze": 0} | changes), 20, 18)
    weights = {name: arrays[name] for name in ("obs_proj.weight", "obs_proj.bias", "feat_proj.bias")}
    weights |= {"feat_proj.weight": swapped(arrays["feat_proj.weight"], 6)}
    weights |= {"prototypes": arrays["prototypes_after_normalisation"]}
    module.load_state_dict(weights, strict=False)
    leaves = {name: arrays[name].clone().requires_grad_() for name in ("embed", "stoch", "deter")}
    feat = torch.cat([leaves["deter"], leaves["stoch"]], -1)
    return module, leaves, module.losses(leaves["embed"], feat, arrays["target_projection"])


@pytest.mark.parametrize("eps", EPS)
def test_losses_of_prototypes_and_all_their_gradients_are_the_authors(golden, eps):
    module, leaves, losses = prototypes(golden, eps)
    theirs = part(golden, f"proto_{eps}")
    found = {"swav": losses["swav"], "temp": losses["temporal"], "norm": losses["norm"]}
    assert {n: loss.item() for n, loss in found.items()} == pytest.approx({n: theirs[n] for n in found}, rel=WITHIN)
    inputs = leaves | {name: p for name, p in module.named_parameters() if p.requires_grad}
    for name, loss in found.items():
        wanted = {key.removeprefix(f"d_{name}_d_"): g for key, g in theirs.items() if key.startswith(f"d_{name}_d_")}
        assert wanted or (name, eps) == ("norm", "0.0125")
        gradients = torch.autograd.grad(loss, inputs.values(), retain_graph=True, allow_unused=True)
        for key, gradient in zip(inputs, gradients, strict=True):
            if key in wanted:
                expected = swapped(wanted[key], 6) if key == "feat_proj.weight" else wanted[key]
                close(torch.zeros_like(expected) if gradient is None else gradient, expected, GRADIENTS_WITHIN)


def test_prototypes_are_normalised_as_the_authors_do(golden):
    arrays = part(golden, "proto")
    module = Prototypes(PrototypeConfig(24, 8), 20, 18)
    assert torch.allclose(module.prototypes.norm(dim=-1), torch.ones(24))
    module.load_state_dict({"prototypes": arrays["prototypes"]}, strict=False)
    encoders = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    module.after_update(*encoders)
    close(module.prototypes, arrays["prototypes_after_normalisation"])


def test_frozen_prototypes_have_no_gradient_until_the_counter_says_so(golden):
    module, _, losses = prototypes(golden, "0.05", freeze=2)
    (gradient,) = torch.autograd.grad(losses["swav"], module.prototypes)
    assert not gradient.any()
    module.updates.fill_(2)
    arrays = part(golden, "proto")
    feat = torch.cat([arrays["deter"], arrays["stoch"]], -1)
    thawed = module.losses(arrays["embed"], feat, arrays["target_projection"])["swav"]
    assert thawed.item() == losses["swav"].item()
    (gradient,) = torch.autograd.grad(thawed, module.prototypes)
    close(gradient, golden["proto_0.05/d_swav_d_prototypes"], GRADIENTS_WITHIN)


def test_targets_copy_first_and_then_follow_slowly():
    module, fast, slow = Prototypes(PrototypeConfig(4, 2), 3, 3), torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    module.after_update(fast, slow)
    assert torch.equal(fast.weight, slow.weight) and torch.equal(module.obs_proj.weight, module.target_proj.weight)
    before = slow.weight.clone()
    with torch.no_grad():
        fast.weight += 1.0
    module.after_update(fast, slow)
    assert torch.allclose(slow.weight, before + 0.05) and module.updates == 2


@pytest.mark.parametrize("eps", EPS)
def test_assignments_are_the_authors(golden, eps):
    for scores, targets in (("scores", "targets"), ("small_scores", "small")):
        ours = sinkhorn(golden[f"sinkhorn/{scores}"].flatten(1).T, float(eps), 3)  # samples, prototypes
        close(ours.T.reshape_as(golden[f"sinkhorn_{eps}/{targets}"]), golden[f"sinkhorn_{eps}/{targets}"])
        assert torch.allclose(ours.sum(1), torch.ones(len(ours)), atol=1e-5)


def test_latents_and_their_divergence_are_the_authors(golden):
    arrays, x = part(golden, "kl"), golden["std/x"]
    close(gaussian_stats(torch.cat([x, x])[None])[0, 1], golden["std/sigmoid2"])
    for case, names in (("above", ("post", "prior")), ("below", ("post", "prior"))):
        stats = {n: [arrays[f"{case}_{n}_{s}"].clone().requires_grad_() for s in ("mean", "std")] for n in names}
        post, prior = (torch.stack(stats[n], -2) for n in names)
        close(gaussian_kl(post, prior), arrays[f"{case}_value"])
        loss, plain = rssm.RSSM(RSSMConfig(8, 8, 6), 1, 1).kl_loss(post, prior)
        assert loss.item() == pytest.approx(golden[f"kl_{case}/loss"], rel=WITHIN)
        assert plain.item() == pytest.approx(golden[f"kl_{case}/mean_value"], rel=WITHIN)
        gradients = torch.autograd.grad(loss, [*stats["post"], *stats["prior"]])
        for name, gradient in zip(("post_mean", "post_std", "prior_mean", "prior_std"), gradients, strict=True):
            if case == "above":
                close(gradient, arrays[f"above_d_loss_d_{name}"], GRADIENTS_WITHIN)
            else:
                assert not gradient.any()


def test_states_are_the_authors(golden, monkeypatch):
    monkeypatch.setattr(rssm, "sample_gaussian", lambda stats: stats[..., 0, :])
    arrays = part(golden, "rssm")
    model = rssm.RSSM(RSSMConfig(12, 16, 6), 3, 20)
    model.load_state_dict({name: w for name, w in arrays.items() if name.endswith((".weight", ".bias"))})
    assert model.cell.norm.eps == golden["rssm/cell_norm_eps"]
    first = torch.zeros(3, 5, dtype=torch.bool)
    for is_first in (first, first.index_fill(1, torch.tensor(0), True)):  # a window's start changes nothing
        post, prior = model.observe(arrays["embed"], arrays["action"], is_first)
        close(post.deter, arrays["post_deter"])
        close(post.stats, torch.stack([arrays["post_mean"], arrays["post_std"]], -2))
        close(prior, torch.stack([arrays["prior_mean"], arrays["prior_std"]], -2))
        assert model.kl_loss(post.stats, prior)[0].item() == pytest.approx(golden["rssm/kl_loss"], rel=WITHIN)
    starts = first.index_fill(1, torch.tensor(3), True)  # in a stream, an episode may start in mid-window
    again, _ = model.observe(arrays["embed"], arrays["action"], starts)
    alone, _ = model.observe(arrays["embed"][:, 3:], arrays["action"][:, 3:], first[:, 3:])
    assert torch.equal(again.deter[:, 3:], alone.deter)


def test_frames_are_encoded_as_the_authors_do(golden):
    arrays = part(golden, "encoder")
    encoder = Encoder((64, 64, 3), 2)
    encoder.load_state_dict({name: w for name, w in arrays.items() if name.startswith("convs.")})
    image = arrays["image"][:, 0].movedim(-1, 1) / 255 - 0.5
    ours = encoder(image).unflatten(-1, (16, 2, 2)).movedim(1, -1).flatten(1)  # theirs is flattened H, W, C
    close(ours, arrays["output"][:, 0])


def test_rewards_are_the_authors_without_the_constant(golden):
    arrays = part(golden, "reward_head")
    head = MLP(18, 1, 12, 4)
    weights = {name: w for name, w in arrays.items() if name.endswith((".weight", ".bias"))}
    head.load_state_dict(weights)  # the head alone, so that the features' order does not matter
    mean = head(arrays["feature"]).squeeze(-1)
    close(mean, arrays["mean"])
    expected = arrays["nll"].mean().item() - CONSTANT
    assert half_squared_error(mean, arrays["reward"]).item() == pytest.approx(expected, rel=WITHIN, abs=1e-6)


def test_shifts_are_the_authors(golden):
    arrays = part(golden, "shift")
    impulse = arrays["impulse"].expand(7, 1, 1, -1, -1)
    close(shift(impulse, arrays["impulse_delta"])[:, 0, 0], arrays["impulse_output"])
    image = arrays["image"].movedim(-1, 2) / 255 - 0.5
    close(shift(image, arrays["delta"]), arrays["output"].movedim(-1, 2))


def test_shifts_are_one_for_a_window_and_another_for_the_next():
    ramp = torch.arange(32.0).expand(6, 4, 1, 32, 32)  # a pixel's value is its column
    moved = ramp - random_shifts(ramp, 3.0)
    inner = moved[..., 4:-4, 4:-4].flatten(1)
    assert torch.allclose(inner.std(1), torch.zeros(6), atol=1e-4)
    assert len(inner[:, 0].round(decimals=3).unique()) == 6 and inner.abs().max() <= 3.0001
    assert torch.equal(random_shifts(ramp, 0.0), ramp)


@pytest.mark.parametrize("decay", ["1e-06", "0.01"])
def test_optimiser_is_the_authors(golden, decay):
    arrays = part(golden, "adam")
    p = torch.nn.Parameter(arrays["start"].clone())
    optimizer = Optimizer([p], 100, 3e-4, float(decay))
    for gradient, after, norm in zip(arrays["gradients"], arrays[f"wd_{decay}"], arrays["gradient_norm"], strict=True):
        assert optimizer.step((p * gradient).sum())["grad_norm"].item() == pytest.approx(norm.item(), rel=WITHIN)
        assert (p.detach() - after).abs().max() <= 1e-3 * 3e-4


def test_an_update_that_is_not_finite_changes_nothing_and_a_saved_optimiser_goes_on(golden):
    gradients, start = golden["adam/gradients"], golden["adam/start"]
    pair = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    one, other = (Optimizer([p], 100, 3e-4) for p in pair)
    for gradient in gradients[:2]:
        one.step((pair[0] * gradient).sum()), other.step((pair[1] * gradient).sum())
    assert other.step((pair[1] * torch.full_like(start, torch.nan)).sum())["skipped"].item() == 1
    assert torch.equal(*pair)
    loaded = Optimizer([pair[1]], 100, 3e-4)
    loaded.load_state_dict(other.state_dict())
    one.step((pair[0] * gradients[2]).sum()), loaded.step((pair[1] * gradients[2]).sum())
    assert torch.equal(*pair)


def test_returns_and_the_losses_of_actor_and_critic_are_the_authors(golden):
    behavior, arrays = Behavior(BehaviorConfig(), 1, 1), part(golden, "returns")
    reward = arrays["reward"].clone().requires_grad_()
    target = behavior.targets(reward, arrays["value"])
    close(target, arrays["target"])
    actor = behavior.actor_loss(target, golden["actor/entropy"][:-1])
    assert actor.item() == pytest.approx(golden["actor/loss"], rel=WITHIN)
    close(torch.autograd.grad(actor, reward)[0], golden["actor/d_loss_d_reward"], GRADIENTS_WITHIN)
    value = golden["critic/value"].clone().requires_grad_()
    critic = behavior.critic_loss(value[:-1], arrays["target"])
    weight = arrays["weight"][:-1].mean().item()
    assert critic.item() + CONSTANT * weight == pytest.approx(golden["critic/loss"], rel=WITHIN)
    close(torch.autograd.grad(critic, value)[0], golden["critic/d_loss_d_value"], GRADIENTS_WITHIN)


def test_policies_are_the_authors(golden):
    arrays = part(golden, "policy")
    policy = tanh_normal(torch.cat([arrays["mean_raw"], arrays["std_raw"]], -1))
    close(policy.mean, arrays["mean_before_tanh"])
    close(policy.std, arrays["std_before_tanh"])
    close(policy.log_prob(torch.atanh(arrays["action"])), arrays["log_prob"], 1e-4)


def test_a_policy_s_entropy_and_mode_are_those_of_its_density():
    """Of one action, by the density on a fine grid of (-1, 1)."""
    policy = tanh_normal(torch.tensor([[0.4, 0.1], [1.5, -1.0]]))
    action = torch.linspace(-1, 1, 20_003)[1:-1]
    log_p = policy.log_prob(torch.atanh(action)[:, None, None].expand(-1, 2, 1))  # (grid, 2)
    step = 2 / 20_002
    assert torch.allclose((log_p.exp() * step).sum(0), torch.ones(2), atol=1e-3)
    entropy = -(log_p.exp() * log_p * step).sum(0)
    assert torch.allclose(policy.entropy(40_000), entropy, atol=0.02)
    best = action[log_p.argmax(0)]
    assert torch.allclose(policy.mode(5000)[:, 0], best, atol=0.03)
    assert tanh_normal(torch.zeros(3, 8)).rsample().abs().max() < 1
