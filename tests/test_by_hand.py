"""What all results stand on, against loops and stubs whose values are plain: a wrong sign or a shift shows."""

import math

import numpy as np
import pytest
import torch

from analysis.models import dreams, hallucination, motion, representation, segments
from analysis.models.probes import ProbeConfig
from hdream_core import envs
from hdream_core.agent import OpenLoop
from hdream_core.config.fields import Config, EvalConfig
from hdream_core.config.presets import make_config
from hdream_core.data.replay import Replay
from hdream_core.data.store import EpisodeStore, Field
from hdream_core.dreamerv2.behavior import Behavior, Imagined
from hdream_core.dreamerv2.config import BehaviorConfig
from hdream_core.envs.vector import make_episodes
from hdream_core.nets import learner
from hdream_core.runs.evaluate import WINDOWS_AT_ONCE, heldout_predictions, policy_episodes
from hdream_core.runs.trainer import Trainer
from hdream_core.support.settings import flatten
from offline_buffers.behaviors import behavior_of, play
from tests.small import noise, small_agent

TABLE_1 = {
    "agent.model.rssm.deter": 1024,
    "agent.model.rssm.stoch": 32,
    "agent.model.rssm.classes": 32,
    "agent.model.rssm.kl_balance": 0.8,
    "agent.model.lr": 3e-4,
    "agent.model.grad_clip": 100.0,
    "agent.behavior.horizon": 15,
    "agent.behavior.gamma": 0.99,
    "agent.behavior.lam": 0.95,
    "agent.behavior.entropy": 1e-4,
    "agent.behavior.actor_lr": 8e-5,
    "agent.behavior.critic_lr": 8e-5,
    "agent.behavior.slow_update": 100,
    "train.batch": 50,
    "train.length": 50,
    "train.train_every": 5,
    "train.pretrain": 100,
    "train.prefill": 5000,
}


def smoke(**changes):
    return small_agent(**{"train.precision": "float32"} | changes)


def test_defaults_are_table_1():
    found = flatten(Config())
    assert {name: found[name] for name in TABLE_1} == TABLE_1


def test_losses_of_actor_and_critic_are_equations_7_and_9():
    """Values and gradients against a loop over one trajectory at a time."""
    horizon, n, size = 3, 2, 5
    config = BehaviorConfig(hidden=8, layers=1, lam=0.7, entropy=0.3)
    behavior = Behavior(config, size, 2)
    for p in behavior.slow_critic.parameters():  # it lags, so it is not the critic
        p.add_(0.1)
    feat = torch.randn(horizon + 1, n, size, requires_grad=True)
    entropy = torch.randn(horizon, n, requires_grad=True)
    discounts = torch.rand(horizon + 1, n)
    weights = torch.randn(size)
    model = smoke().model
    model.reward, model.discount = lambda x: x @ weights, lambda x: discounts
    actor_loss, critic_loss, _ = behavior.imagined_losses(model, Imagined(feat, entropy))

    actor_terms, critic_terms = [], []
    for i in range(n):
        value = [behavior.slow_critic(feat[t, i]).squeeze() for t in range(horizon + 1)]
        reward, gamma = [feat[t, i] @ weights for t in range(horizon + 1)], discounts[:, i]

        def target(t, value=value, reward=reward, gamma=gamma):
            if t == horizon:
                return value[horizon]
            return reward[t] + gamma[t] * ((1 - 0.7) * value[t + 1] + 0.7 * target(t + 1))

        reached = 1.0
        for t in range(horizon):
            predicted = behavior.critic(feat[t, i].detach()).squeeze()
            critic_terms.append(reached * 0.5 * (predicted - target(t).detach()) ** 2)
            if t < horizon - 1:
                actor_terms.append(-reached * (target(t + 1) + 0.3 * entropy[t, i]))
            reached = reached * gamma[t]
    critic = list(behavior.critic.parameters())
    for loss, terms, inputs in ((actor_loss, actor_terms, [feat, entropy]), (critic_loss, critic_terms, critic)):
        expected = torch.stack(terms).mean()
        assert loss.item() == pytest.approx(expected.item())
        for got, want in zip(*(torch.autograd.grad(one, inputs) for one in (loss, expected)), strict=True):
            torch.testing.assert_close(got, want)


def test_each_part_has_its_own_rate_and_its_gradient_is_clipped():
    rates = {"model.lr": 1e-3, "model.harmonizer_lr": 0.5, "behavior.actor_lr": 2e-3, "behavior.critic_lr": 3e-3}
    agent = small_agent("harmony", **rates)
    groups = {name: optimizer.adam.param_groups for name, optimizer in agent.optimizers.items()}
    assert [group["lr"] for group in groups["model"]] == [1e-3, 0.5]
    assert [group["weight_decay"] for group in groups["model"]] == [1e-6, 0.0]
    assert groups["actor"][0]["lr"] == 2e-3 and groups["critic"][0]["lr"] == 3e-3
    optimizer = agent.optimizers["critic"]
    optimizer.clip = 0.5
    optimizer.step(1e4 * agent.behavior.critic(torch.ones(3, agent.model.rssm.feat_dim)).square().mean())
    norm = torch.stack([p.grad.square().sum() for p in optimizer.parameters]).sum().sqrt()
    assert norm.item() == pytest.approx(0.5, rel=1e-3)


def test_discount_head_learns_gamma_until_the_end_and_zero_at_it():
    agent = smoke(**{"model.discount_head": True})
    batch = noise()
    batch["is_terminal"][1, -1] = True
    losses, post, _ = agent.model.losses(batch)
    p = torch.sigmoid(agent.model.discount_head(post.feat).squeeze(-1)).detach().double().numpy()
    target = np.full((2, 6), agent.config.agent.behavior.gamma)
    target[1, -1] = 0
    want = -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p))
    assert losses["discount"].item() == pytest.approx(want, rel=1e-5)


def test_policy_by_hand():
    """The mean is tanh of the first outputs; the standard deviation is 2 sigmoid(x / 2) + 0.1 of the others."""
    behavior = smoke().behavior
    outputs = torch.tensor([0.4, -1.5, 0.7, -2.0])
    with torch.no_grad():
        behavior.actor.output.weight.zero_()
        behavior.actor.output.bias.copy_(outputs)
    policy = behavior.policy(torch.randn(3, behavior.actor.hidden[0].in_features))
    for i, (mean, std) in enumerate([(0.4, 0.7), (-1.5, -2.0)]):
        np.testing.assert_allclose(policy.loc.detach()[:, i], math.tanh(mean), rtol=1e-6)
        np.testing.assert_allclose(policy.scale.detach()[:, i], 2 / (1 + math.exp(-std / 2)) + 0.1, rtol=1e-6)


def test_a_terminal_start_has_the_discount_of_the_data():
    """Its successors are worth nothing, whatever the discount head predicts there; another start has gamma."""
    agent = smoke(**{"model.discount_head": True, "behavior.horizon": 3})
    is_terminal = torch.tensor([True, False])
    start = agent.model.true_discount(is_terminal)
    assert start.tolist() == [0.0, pytest.approx(0.99)]
    assert smoke().model.true_discount(is_terminal) is None
    feat, entropy = torch.randn(4, 2, agent.model.rssm.feat_dim), torch.zeros(3, 2)
    _, critic_loss, _ = agent.behavior.imagined_losses(agent.model, Imagined(feat, entropy), start)
    with torch.no_grad():
        reward, value = agent.model.reward(feat), agent.behavior.slow_critic(feat)[..., 0]
        discount = torch.cat([start[None], agent.model.discount(feat)[1:]])
        target, want = value[3], 0.0
        fast, weight = agent.behavior.critic(feat)[..., 0], torch.ones(4, 2)
        for t in range(1, 4):
            weight[t] = weight[t - 1] * discount[t - 1]
        for t in (2, 1, 0):
            target = reward[t] + discount[t] * (0.05 * value[t + 1] + 0.95 * target)
            want += (weight[t] * 0.5 * (fast[t] - target) ** 2).sum() / 6
    assert weight[1:, 0].abs().sum() == 0 and critic_loss.item() == pytest.approx(want.item(), rel=1e-5)


def test_acting_follows_what_was_done():
    """The filter that acts is told its own actions; it explores by sampling and exploits by the mode."""
    agent = smoke()
    rssm = agent.model.rssm
    torch.nn.init.normal_(agent.behavior.actor.output.weight)
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 32, 32, 3), np.uint8)
    for explore in (False, True):
        torch.manual_seed(3)
        memory, acted = None, []
        for image in images:
            action, memory = agent.act(image, memory, explore)
            acted.append(action)
        torch.manual_seed(3)
        latent, last = rssm.initial(2), torch.zeros(2, 2)
        with torch.no_grad():
            for t, image in enumerate(images):
                embed = agent.model.encode(torch.from_numpy(image)[:, None])[:, 0]
                latent = rssm.observe_step(latent, embed, last, torch.full((2,), t == 0))
                policy = agent.behavior.policy(latent.feat)
                last = policy.rsample() if explore else policy.mode
                np.testing.assert_allclose(acted[t], last.numpy(), atol=1e-6)


def test_evaluating_leaves_trainings_numbers_alone_and_plays_other_episodes(tmp_path):
    run = Trainer(make_config("mini_lever", "smoke", changes={"eval.episodes": 3}), tmp_path)
    before = torch.get_rng_state()
    policy_episodes(run.agent, run.source.eval_envs(), seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    frames, _ = run.source.eval_envs().reset()
    env = envs.make("mini_lever", seed=run.config.seed)
    trained_on = [env.reset(options={"episode": i})[0]["image"] for i in range(30)]
    assert not any(np.array_equal(a, b) for a in frames["image"] for b in trained_on)
    run.source.close()


def test_success_is_that_of_any_step():
    """An environment in which only the second step succeeds."""
    several = make_episodes("mini_lever", 2, False, seed=3)
    step, calls = several.step, []

    def once(actions):
        calls.append(len(calls))
        observed, reward, terminated, truncated, info = step(actions)
        return observed, reward, terminated, truncated, info | {"success": np.full(2, len(calls) == 2)}

    several.step = once
    assert policy_episodes(smoke(), several, seed=0)["success"] == 1.0


def test_heldout_dreams_by_hand(tmp_path, monkeypatch):
    """A model whose dreams are the truth and one more, or three more: errors 1 and 9, in over a batch of windows."""
    rows, windows = 40, WINDOWS_AT_ONCE + 7
    fields = {"image": Field("|u1", (4, 4, 3)), "action": Field("<f4", (2,)), "reward": Field("<f4", ())}
    store = EpisodeStore(tmp_path, fields | {"is_terminal": Field("|b1", ())})
    rng = np.random.default_rng(0)
    zeros = {"image": np.zeros((rows, 4, 4, 3), np.uint8), "action": np.zeros((rows, 2), np.float32)}
    for _ in range(3):
        reward = rng.normal(size=rows).astype(np.float32)
        store.append(zeros | {"reward": reward, "is_terminal": np.zeros(rows, bool)})
    agent = smoke()

    def open_loop(batch, context, samples):
        truth = batch["reward"][:, context:]
        reward = torch.cat([truth + 1 + 2 * i for i in range(samples)])
        return OpenLoop(torch.zeros(len(reward), 1), reward, torch.zeros(1))

    monkeypatch.setattr(learner, "open_loop", lambda model, *given: open_loop(*given))
    config = EvalConfig(context=5, horizon=10, samples=2)
    before = torch.get_rng_state()
    found = heldout_predictions(agent, Replay(store, None, 1000, False), config, windows, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(found.start) == windows
    for w in (0, 1, WINDOWS_AT_ONCE, windows - 1):
        episode, start = divmod(int(found.start[w]), rows)
        truth = store.episode(episode)["reward"][start + 5 : start + 15]
        assert found.episode[w] == episode
        assert found.error[w] == pytest.approx((1 + 9) / 2, rel=1e-5)
        assert found.true_return[w] == pytest.approx(truth.sum(), abs=1e-4)
        assert found.dreamed_return[w] == pytest.approx(truth.sum() + 10 * 2, abs=1e-4)


@pytest.fixture(scope="module")
def windows():
    env = envs.make("mini_lever", seed=5)
    episodes = [segments._rows(play(env, behavior_of("scripted", 5, i), i)) for i in range(9)]
    return segments.draw("mini_lever", episodes, 60, 20, seed=0)


def test_dreams_follow_the_altered_actions(windows, monkeypatch):
    agent = smoke()

    def open_loop(batch, context, samples=1):
        reward = batch["action"][:, context:, 0].repeat(samples, 1)
        feat = reward[..., None].repeat(1, 1, agent.model.rssm.feat_dim)
        return OpenLoop(feat, reward, torch.full((len(reward), context, feat.shape[-1]), 7.0))

    class Probe:  # displacement is what the features are
        def read(self, feat):
            seen = feat.shape[1] - 15
            assert 0 < seen <= motion.SMOOTH and (feat[:, :seen] == 7).all()
            return feat[:, seen:, 0]

    monkeypatch.setattr(learner, "open_loop", lambda model, *given: open_loop(*given))
    action = np.random.default_rng(0).uniform(-1, 1, (len(windows), 15, 2)).astype(np.float32)
    found = hallucination.dream(agent, windows, 5, action, Probe(), samples=3)
    for values in (found.reward, found.displacement):
        np.testing.assert_allclose(values, np.repeat(action[None, :, :, 0], 3, 0))
    np.testing.assert_allclose(dreams.rewards(agent, windows, 5), windows.rows("action")[:, 5:, 0])


@pytest.mark.parametrize("of_episode", [False, True])
def test_probes_read_off_what_is_there_and_are_judged_on_episodes_not_seen(of_episode, windows, monkeypatch):
    """Features that are the positions, or say which episode it is: that tells nothing of episodes not seen."""
    positions = np.concatenate(list(windows.positions().values()), -1)  # (N, T, D)
    code = np.eye(len(windows.episodes))[windows.episode][:, None].repeat(positions.shape[1], 1)
    unrelated = np.random.default_rng(0).normal(size=(*positions.shape[:2], 3))
    feat = np.concatenate([code if of_episode else positions, unrelated], -1).astype(np.float32)
    found = representation.Features(feat, feat[:, 5:])
    monkeypatch.setattr(representation, "features", lambda agent, segments, context: found)
    errors = representation.regress(None, windows, 5, ProbeConfig(hidden=32, layers=2, updates=300), 1, 3)
    for kind in representation.KINDS:
        constant = np.nanmean(errors[f"constant/{kind}"])
        share = {probe: np.nanmean(errors[f"{probe}/{kind}"]) / constant for probe in ("linear", "mlp", "shuffled")}
        if of_episode:
            assert share["linear"] > 0.7 and share["mlp"] > 0.7
        else:
            assert share["linear"] < 1e-2 and share["mlp"] < 0.3 and share["shuffled"] > 0.7
