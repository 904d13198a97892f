"""Denoised MDP: its equations by hand, and the agent through the loop, exports, evaluations and studies."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analysis import coefficients, finding1, finding2, loss_scales, state_regression
from analysis.results import schema
from figures.shared import style
from hdream_core.agent import make_agent
from hdream_core.config.presets import make_config, presets_for
from hdream_core.data.replay import random_batch
from hdream_core.data.sources import check_source
from hdream_core.denoised_mdp import rssm
from hdream_core.denoised_mdp.behavior import Imagined
from hdream_core.denoised_mdp.config import PartConfig, RSSMConfig
from hdream_core.denoised_mdp.networks import gaussian_stats, tanh_normal
from hdream_core.runs.gradients import gradient_norms
from hdream_core.runs.load import export, load_agent
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.errors import ConfigError
from hdream_core.train import main as train_main
from hdream_core.train import train
from tests.refusals import refused
from tests.small import MINI, goes_on_to_the_same_bits, logs_all, noise, trains_to_the_end

WALKER = Spec((64, 64, 3), ActionSpec("continuous", 6), 1000, 2)
LOSSES = {"observation", "reward", "dynamics"}
WIDE = {"agent.model.depth": 8, "agent.model.embed": 64, "agent.model.rssm.free_nats": 0.0}  # no ReLU is dead


def small(method="denoised_mdp", task="mini_lever", **changes):
    return make_config(task, "smoke", method, {"eval.context": 5, "eval.horizon": 10} | changes)


def agent_of(method="denoised_mdp", **changes):
    torch.manual_seed(0)
    return make_agent(small(method, **changes), MINI)


def seeded(f):
    torch.manual_seed(0)
    return f()


def constant(mlp, value):
    """Makes a network of one output return the same number everywhere."""
    torch.nn.init.zeros_(mlp.output.weight)
    torch.nn.init.constant_(mlp.output.bias, value)


def test_the_paper_s_size_has_as_many_parameters_as_the_authors():
    config = make_config("dmc_walker_run", "paper", "harmony_denoised_mdp")
    agent = make_agent(config, WALKER, "meta")
    model, behavior = agent.model, agent.behavior
    parts = [[model.encoder], [model.decoder], [model.reward_x, model.reward_y], [behavior.actor], [behavior.critic]]
    millions = [sum(p.numel() for net in nets for p in net.parameters()) / 1e6 for nets in parts]
    assert [round(n, 2) for n in millions] == [1.74, 3.85, 0.43, 0.54, 0.38]
    assert sum(p.numel() for p in model.rssm.parameters()) / 1e6 == pytest.approx(0.55, abs=0.01)
    assert model.rssm.feat_dim == 280 and set(agent.balancer.names) == set(agent.balancer.s) == LOSSES
    assert config.scale == "paper" and make_config("dmc_walker_run", "cpu", "denoised_mdp").scale == "reduced"


def test_dynamics_is_clamped_at_each_step_for_x_and_weighed_for_y():
    """KL of normals of variance 1 is half the squared distance of their means: 2 and 8 for x, 0.5 and 2 for y."""
    means = torch.tensor([[[2.0, 1.0], [4.0, 2.0]]])  # (B, T, [x, y])
    post, prior = (torch.stack([m, torch.ones(1, 2, 2)], -2).requires_grad_() for m in (means, torch.zeros(1, 2, 2)))
    part = PartConfig(3, 1)
    loss, logged = rssm.RSSM(RSSMConfig(part, part, free_nats=3.0, beta=0.25), 1, 1).kl_loss(post, prior)
    assert loss.item() == pytest.approx((3 + 8) / 2 + 0.25 * (0.5 + 2) / 2)
    assert [logged[name].item() for name in ("kl_x", "kl_y", "kl")] == pytest.approx([5, 1.25, 6.25])
    (gradient,) = torch.autograd.grad(loss, post)
    assert gradient[0, :, 0].tolist() == [[0.0, 0.125], [2.0, 0.25]]  # none below the free nats


def test_latents_and_policy_follow_from_the_outputs():
    stats = gaussian_stats(torch.tensor([1.0, 0.0])).flatten().tolist()
    assert stats == pytest.approx([1, np.log(2) + 0.1])
    policy = tanh_normal(torch.tensor([[10.0, -2.0, 0.0, 3.0]]))
    assert policy.mean.tolist()[0] == pytest.approx([5 * np.tanh(2), -5 * np.tanh(0.4)])
    assert policy.std.tolist()[0] == pytest.approx([5.0001, np.log(1 + np.exp(3) * (np.exp(5) - 1)) + 1e-4])


def test_frames_and_rewards_are_half_squared_errors_summed_over_pixels():
    agent, batch = agent_of(), noise()
    model = agent.model
    for parameter in model.decoder.convs[-1].parameters():
        torch.nn.init.zeros_(parameter)
    constant(model.reward_x, 1.0)
    constant(model.reward_y, 2.0)
    batch |= {"reward": torch.full((2, 6), 5.0)}
    losses = agent.losses(batch)
    error = 0.5 * (batch["image"].double() / 255 - 0.5).square().sum((-3, -2, -1)).mean()
    assert losses["observation"].item() == pytest.approx(error.item(), rel=1e-5)
    assert losses["reward"].item() == pytest.approx(0.5 * (5 - 3) ** 2)


def test_returns_and_the_losses_of_actor_and_critic():
    """Reward 1 and value 4 of three states: the last return is 1 + 4 / 2, the first 1 + (4 + 3) / 4."""
    agent = agent_of(**{"agent.behavior.gamma": 0.5, "agent.behavior.lam": 0.5})
    constant(agent.model.reward_x, 1.0)
    constant(agent.model.reward_y, 100.0)  # y's share of the reward is not imagined
    constant(agent.behavior.critic, 4.0)
    imagined = Imagined(torch.randn(3, 2, agent.model.rssm.x.feat_dim), torch.zeros(3, 2))
    actor, critic, logged = agent.behavior.imagined_losses(agent.model, imagined)
    assert actor.item() == pytest.approx(-(2.75 + 0.5 * 3) / 2)  # each step from the first counts half
    assert critic.item() == pytest.approx((0.5 * 1.25**2 + 0.5 * 0.5 * 1**2) / 2)
    assert logged["imagined_reward"].item() == 1 and logged["target"].item() == pytest.approx((2.75 + 3) / 2)


def test_states_follow_the_equations(monkeypatch):
    """Two steps by hand, means in place of samples. x and y have other sizes, so that none passes for the other."""
    monkeypatch.setattr(rssm, "sample_gaussian", lambda stats: stats[..., 0, :])
    model = seeded(lambda: rssm.RSSM(RSSMConfig(PartConfig(3, 2), PartConfig(5, 4)), 2, 6))
    embed, action = torch.randn(1, 3, 6), torch.randn(1, 3, 2)
    post, prior = model.observe(embed, action, torch.tensor([[True, False, False]]))
    deter, stoch = [torch.zeros(1, n) for n in (3, 5)], [torch.zeros(1, n) for n in (2, 4)]
    for t in range(3):
        led = torch.cat([stoch[0], action[:, t] * (t > 0)], -1), stoch[1]
        parts = list(zip((model.x, model.y), led, deter, strict=True))
        deter = [part.cell(F.elu(part.in_layer(x)), before) for part, x, before in parts]
        raw = [
            part.prior_stats(F.elu(part.prior_layer(h))).chunk(2, -1)
            for (part, *_), h in zip(parts, deter, strict=True)
        ]
        means, stds = zip(*raw, strict=True)
        expected = torch.stack([torch.cat(means, -1), F.softplus(torch.cat(stds, -1)) + 0.1], -2)
        assert torch.allclose(prior[:, t], expected, atol=1e-6)
        mean, std = model.post_stats(F.elu(model.post_layer(torch.cat([*deter, embed[:, t]], -1)))).chunk(2, -1)
        assert torch.allclose(post.deter[:, t], torch.cat(deter, -1), atol=1e-6)
        assert torch.allclose(post.stats[:, t], torch.stack([mean, F.softplus(std) + 0.1], -2), atol=1e-6)
        stoch = mean.split((2, 4), -1)


def test_imagination_steps_x_by_the_policy_and_leaves_the_start_out(monkeypatch):
    monkeypatch.setattr(rssm, "sample_gaussian", lambda stats: stats[..., 0, :])
    agent, batch = agent_of(), noise(3)
    model, behavior = agent.model, agent.behavior
    start = model.rssm.observe(model.encode(batch["image"]), batch["action"], batch["is_first"])[0].flatten()
    found = seeded(lambda: behavior.imagine(model, start))
    x = model.rssm.split(start)[0]
    action = seeded(lambda: behavior.policy(x.feat).rsample())
    assert torch.allclose(found.feat[0], model.rssm.x.imagine_step(x, action).feat, atol=1e-6)
    assert len(found.feat) == behavior.config.horizon


def test_actions_reach_x_alone_and_the_policy_reads_x_alone():
    agent, batch = agent_of(), noise(8)
    predicted = []
    for action in (batch["action"], -batch["action"]):
        action = torch.cat([batch["action"][:, :4], action[:, 4:]], 1)
        predicted.append(seeded(lambda a=action: agent.open_loop(batch | {"action": a}, 4)).feat)
    x, y = zip(*(rssm.split_features(feat, agent.model.config.rssm) for feat in predicted), strict=True)
    assert not torch.equal(*x) and torch.equal(*y)
    swapped = torch.cat([x[0], y[0]], -1)[..., torch.tensor([*range(8), *range(12, 20), *range(8, 12), *range(20, 24)])]
    assert torch.equal(swapped, predicted[0])  # [deter of x, deter of y, stoch of x, stoch of y]
    other = predicted[0].clone()
    other[..., 8:16], other[..., 20:] = 1.0, 1.0  # another y
    acted = [
        seeded(lambda f=feat: agent.behavior.act(f[0], explore=True)) for feat in (predicted[0], other, predicted[1])
    ]
    assert torch.equal(acted[0], acted[1]) and not torch.equal(acted[0], acted[2])
    rewards, alone = agent.model.reward(torch.stack([predicted[0], other])), agent.model.controlled_reward(x[0])
    assert not torch.allclose(rewards[0], rewards[1]) and not torch.allclose(rewards[0], alone)


def test_imagination_is_that_of_x_with_gradients_through_its_dynamics_alone():
    agent, batch = agent_of(), noise()
    start = agent.model.losses(batch)[1].detach().flatten()
    actor, _, _ = agent.behavior.losses(agent.model, start)
    names, parameters = zip(*agent.model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(actor, parameters, allow_unused=True)
    reached = {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None}
    assert reached and all(name.startswith(("rssm.x.", "reward_x.")) for name in reached)


def test_a_first_step_forgets_state_and_action(monkeypatch):
    monkeypatch.setattr(rssm, "sample_gaussian", lambda stats: stats[..., 0, :])
    agent, batch = agent_of(), noise(8)
    batch["is_first"][:] = False
    batch["is_first"][:, 5] = True
    whole = agent.features(batch)
    fresh = {name: values[:, 5:].clone() for name, values in batch.items()}
    fresh["action"][:, 0] = 0.0
    assert torch.allclose(agent.features(fresh), whole[:, 5:], atol=1e-6)
    batch["is_first"][:] = False
    assert not torch.allclose(agent.features(batch)[:, 5:], whole[:, 5:], atol=1e-6)


def test_training_adds_noise_and_an_evaluation_plays_the_most_probable_of_its_samples():
    agent = agent_of(**{"agent.behavior.samples": 500})
    actor = agent.behavior.actor
    torch.nn.init.zeros_(actor.output.weight)
    with torch.no_grad():
        actor.output.bias.copy_(torch.tensor([0.5, 5.0, -12.0, -12.0]))  # two means, and two small deviations
    act = lambda explore: agent.behavior.act(torch.randn(2000, 24), explore)  # noqa: E731
    centre = torch.tanh(5 * torch.tanh(torch.tensor([0.1, 1.0])))
    assert (act(False) - centre).abs().max() < 0.01
    explored = act(True)
    assert explored[:, 0].std().item() == pytest.approx(0.3, rel=0.1) and explored.abs().max() == 1
    with torch.no_grad():
        actor.output.bias.copy_(torch.tensor([0.5, 5.0, 0.0, 0.0]))
    with_wide_policy = act(False)
    assert (with_wide_policy.abs() > 0.99).float().mean() > 0.9  # its density is largest at the bounds


def test_weights_are_constant_or_learned():
    def weights(method, **changes):
        agent = agent_of(method, **changes)
        found = agent.update(random_batch(2, 8, MINI))
        return {name.removeprefix("weight/"): w.item() for name, w in found.items() if name.startswith("weight/")}

    assert weights("denoised_mdp") == dict.fromkeys(LOSSES, 1.0) == weights("harmony_denoised_mdp")
    more = weights("denoised_mdp", **{"balancer.w_r": 100.0, "balancer.w_d": 0.5})
    assert more == {"observation": 1.0, "reward": 100.0, "dynamics": 0.5}
    agent = agent_of(**{"balancer.w_o": 0.0})
    assert agent.model.decoder is None and "loss/observation" not in agent.update(random_batch(2, 8, MINI))
    assert agent.decode(agent.features(noise())) is None


def test_an_update_moves_everything():
    agent = agent_of("harmony_denoised_mdp", **WIDE)
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    for _ in range(2):
        metrics = agent.update(random_batch(2, 8, MINI))
        assert not any(metrics[f"skipped/{part}"].item() for part in ("model", "actor", "critic"))
    assert {name for name, value in agent.state_dict().items() if torch.equal(value, before[name])} == set()


def test_measuring_gradients_changes_nothing_and_every_loss_reaches_the_shared_parameters():
    agent = agent_of("harmony_denoised_mdp", **WIDE)
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    norms = gradient_norms(agent, random_batch(2, 8, MINI))
    assert set(norms) == LOSSES and all(norm > 0 for norm in norms.values())
    assert all(torch.equal(value, before[name]) for name, value in agent.state_dict().items())
    heads = {id(p) for part in (agent.model.rssm.x, agent.model.rssm.y) for p in part.prior_layer.parameters()}
    assert not heads & {id(p) for p in agent.shared_parameters()}


@pytest.mark.parametrize(
    ("task", "method", "offline"),
    [
        ("mini_lever", "harmony_denoised_mdp", False),
        ("mini_dial", "denoised_mdp", False),
        ("mini_lever", "denoised_mdp", True),
    ],
)
def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path, buffer, task, method, offline):
    more = {"train.steps": 200, "log.checkpoint_every": 50, "eval.every": 100, "log.gradients_every": 150}
    config = small(method, task, **more, offline_buffer=str(buffer) if offline else None)
    _, lines = goes_on_to_the_same_bits(config, tmp_path, (115, 160))
    weights = {line["weight/reward"] for line in lines if line["kind"] == "train"}
    assert (len(weights) > 3) == method.startswith("harmony")
    logs_all(lines, LOSSES, "observation", offline)


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [pytest.param(name, marks=pytest.mark.render) for name in ("lever_pull", "dmc_walker_run", "dmcr_walker_run")],
)
def test_other_suites_train(tmp_path, task):
    trains_to_the_end(task, "harmony_denoised_mdp", tmp_path)


def test_an_exported_agent_predicts_and_acts_alike(tmp_path):
    train(small(**{"train.steps": 60}), tmp_path / "run")
    agent = load_agent(tmp_path / "run")
    again = load_agent(export(agent, tmp_path / "denoised.safetensors"))
    batch = random_batch(2, 8, agent.spec)
    found = []
    for one in (agent, again):
        torch.manual_seed(0)
        feat = one.features(batch)
        found.append((feat, one.open_loop(batch, 3, samples=2).reward, one.decode(feat)))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, atol=2e-2, rtol=2e-2)
    assert found[0][2].shape == (2, 8, 32, 32, 3)
    actions, memory = again.act(batch["image"][:, 0], None, explore=False)
    more, _ = again.act(batch["image"][:, 1], memory, explore=True)
    assert actions.shape == more.shape == (2, 2) and np.abs(np.concatenate([actions, more])).max() <= 1


@pytest.mark.parametrize(
    "task", ["lever_pull", "mini_lever", "mini_dial", "dmc_walker_run", "dmcr_walker_run", "dmcnbg_walker_run"]
)
def test_every_preset_can_be_trained_online_and_has_the_budget_of_its_name(task):
    others = presets_for(task, "dreamerv2")
    assert set(presets_for(task, "denoised_mdp")) == set(others)
    for preset in others:
        config, other = (make_config(task, preset, method) for method in ("harmony_denoised_mdp", "dreamerv2"))
        check_source(config)
        assert config.eval.every == other.eval.every and config.eval.episodes == other.eval.episodes
        if preset != "paper":
            assert (config.train.steps, config.train.train_every) == (other.train.steps, other.train.train_every)


def test_what_it_cannot_do_is_refused_in_a_line(capsys, tmp_path):
    words = ["--task", "mini_lever", "--preset", "smoke", "--folder", str(tmp_path / "run")]
    refused(capsys, train_main, [*words, "--method", "harmony_denoised_mdp", "--balancer.w-r", "10"], "w_r")
    refused(capsys, train_main, [*words, "--method", "denoised_mdp", "--agent.model.rssm.beta", "-1"], "beta", "-1")
    refused(capsys, train_main, [*words, "--task", "mini_moves", "--method", "denoised_mdp"], "mini_moves")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="discrete"):
        make_agent(small(), Spec((32, 32, 3), ActionSpec("discrete", 3), 50))


STUDY = ["--task", "mini_lever", "--preset", "smoke", "--mode", "online", "--method", "denoised_mdp"]
SET = ["--set", "eval.context=5", "eval.horizon=10"]


def test_studies_read_it(tmp_path, monkeypatch, capsys):
    """Curves, losses and their gradients, positions, and coefficients, each with its figure."""
    monkeypatch.chdir(tmp_path)
    finding1.main([*STUDY, "--w-r", "1", "--harmony", *SET])
    loss_scales.main([*STUDY, "--methods", "w_r=1", "harmony", "--batches", "1", *SET])
    state_regression.main([*STUDY, "--methods", "w_r=1", "harmony", "--segments", "20", "--folds", "2", *SET])
    coefficients.main([*STUDY, *SET])
    told = capsys.readouterr().out
    assert all(loss in told for loss in LOSSES)
    names = ["finding1", "loss_scales", "state_regression", "coefficients"]
    results = [schema.load(tmp_path / "results" / f"{name}_denoised_mdp_mini_lever_smoke.h5") for name in names]
    both = ["denoised_mdp,w_r=1", "harmony_denoised_mdp"]
    assert [set(r.methods) for r in results] == [set(both), set(both), set(both), {both[1]}]
    curves, scales, _, learned = results
    for loss in LOSSES:
        assert np.isfinite(curves.values(f"loss/{loss}")).all() and f"weight/{loss}" in learned.data
        assert np.isfinite(learned.values(f"analytic_weight/{loss}")).all()
    shares = np.stack([scales.values(f"gradient_share/{loss}") for loss in sorted(LOSSES)])
    np.testing.assert_allclose(shares.sum(0), 1.0)
    for name in names:
        assert list(tmp_path.rglob(f"{name}_denoised_mdp_mini_lever_smoke.png")), name


def test_finding2_compares_its_predicted_frames(tmp_path, monkeypatch, buffer):
    monkeypatch.chdir(tmp_path)
    words = ["--task", "mini_lever", "--preset", "smoke", "--method", "denoised_mdp", "--buffer", str(buffer)]
    finding2.main([*words, "--methods", "w_r=1", "w_r=10", *SET])
    result = schema.load(tmp_path / "results" / "finding2_denoised_mdp_mini_lever_smoke.h5")
    assert set(result.methods) == {"denoised_mdp,w_r=1", "denoised_mdp,w_r=10"}
    assert list(tmp_path.rglob("finding2_denoised_mdp_mini_lever_smoke.png"))


def test_harmony_of_two_agents_looks_different_in_one_figure():
    methods = ["harmony", "harmony_denoised_mdp", "harmony_dreamerpro", "w_r=1", "denoised_mdp"]
    assert len({style.label(method) for method in methods}) == 5
    assert style.color("harmony", 0) == style.color("harmony_denoised_mdp", 1)
    assert style.dash("harmony") != style.dash("harmony_denoised_mdp")
