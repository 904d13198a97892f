"""What ``test_golden`` cannot tell: free nats, draws, decoder-free models, open loop, and the full-size shapes."""

import pytest
import torch

from hdream_core.config.fields import Config
from hdream_core.config.presets import make_config
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.dreamerv2.config import RSSMConfig
from hdream_core.dreamerv2.rssm import RSSM
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.nets.distributions import TruncatedNormal, categorical_kl, sample_one_hot
from tests.small import METAWORLD, noise, small_agent


def test_free_nats_apply_to_the_mean():
    rssm = RSSM(RSSMConfig(deter=8, hidden=8, stoch=3, classes=4, free_nats=1e3), action_dim=2, embed_dim=5)
    post, prior = (torch.randn(2, 6, 3, 4, requires_grad=True) for _ in range(2))
    loss, kl = rssm.kl_loss(post, prior)
    assert loss.item() == pytest.approx(1e3) and kl.item() < 1e3
    assert all(g.abs().max() == 0 for g in torch.autograd.grad(loss, (post, prior)))
    # An element under the limit still gets its gradient as long as the mean is above it.
    limited, free = (
        RSSM(RSSMConfig(deter=8, hidden=8, stoch=3, classes=4, free_nats=nats), action_dim=2, embed_dim=5)
        for nats in (0.1, 0.0)
    )
    prior.data[0, 0] = post.data[0, 0]
    prior.data[0, 0, 0, 0] += 0.3
    each = categorical_kl(post, prior)
    assert 0.001 < each[0, 0] < 0.1 < each.mean()
    got, want = (torch.autograd.grad(rssm.kl_loss(post, prior)[0], prior)[0] for rssm in (limited, free))
    assert want[0, 0].abs().max() > 1e-4
    torch.testing.assert_close(got, want)


def test_one_hot_samples_have_the_right_frequencies_and_straight_through_gradients():
    logits = torch.tensor([[0.5, -1.0, 2.0, 0.0]]).repeat(20_000, 1)[:, None].requires_grad_()
    sample = sample_one_hot(logits)
    assert torch.allclose(sample.sum(-1), torch.ones(()), atol=1e-5)
    torch.testing.assert_close(sample.mean(0)[0], torch.softmax(logits[0, 0], -1), atol=0.02, rtol=0)
    weight = torch.randn(4)
    (got,) = torch.autograd.grad((sample * weight).sum(), logits)
    (want,) = torch.autograd.grad((torch.softmax(logits, -1) * weight).sum(), logits)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 0.5), (0.95, 0.1), (-1.0, 2.0)])
def test_truncated_normal_against_scipy(loc, scale):
    from scipy.stats import truncnorm

    policy = TruncatedNormal(torch.full((50_000, 1), loc), torch.full((50_000, 1), scale))
    reference = truncnorm((-1 - loc) / scale, (1 - loc) / scale, loc, scale)
    sample = policy.rsample()
    assert sample.abs().max() <= 1
    assert sample.mean().item() == pytest.approx(reference.mean(), abs=0.01)
    assert sample.std().item() == pytest.approx(reference.std(), abs=0.01)
    assert policy.entropy()[0].item() == pytest.approx(reference.entropy(), abs=1e-3)


def test_decoder_free_model_builds_no_decoder():
    agent = small_agent(**{"balancer.w_o": 0.0, "balancer.w_r": 100.0})
    assert agent.model.decoder is None
    losses, _, _ = agent.model.losses(noise())
    assert set(losses) == {"reward", "dynamics"}
    with pytest.raises(ValueError, match="no decoder"):
        agent.model.decode(torch.zeros(1, agent.model.rssm.feat_dim))


def test_discount_head_output_is_used_without_another_gamma():
    agent = small_agent(**{"model.discount_head": True})
    feat = torch.randn(7, agent.model.rssm.feat_dim)
    torch.testing.assert_close(agent.model.discount(feat), torch.sigmoid(agent.model.discount_head(feat).squeeze(-1)))
    plain = small_agent().model.discount(feat)
    assert plain.unique().tolist() == [pytest.approx(0.99)]


def test_unknown_loss_and_missing_reward_are_refused():
    config = make_config("mini_lever", "smoke").agent.model
    with pytest.raises(ValueError, match="no loss 'colour'"):
        WorldModel(config, ("reward", "colour"), (32, 32, 3), 2, 0.99)
    with pytest.raises(ValueError, match="reward loss needs a weight"):
        WorldModel(config, ("observation", "dynamics"), (32, 32, 3), 2, 0.99)


def test_open_loop_sees_only_the_context():
    agent = small_agent()
    batch = noise(8)
    torch.manual_seed(0)
    dream = agent.open_loop(batch, context=3, samples=2)
    assert dream.reward.shape == (4, 5) and dream.observed.shape[:2] == (4, 3)
    changed = dict(batch, image=batch["image"].clone())
    changed["image"][:, 3:] = 0
    torch.manual_seed(0)
    again = agent.open_loop(changed, context=3, samples=2)
    torch.testing.assert_close(dream.reward, again.reward)
    with pytest.raises(ValueError, match="does not fit"):
        agent.open_loop(batch, context=8)


def test_full_size_shapes():
    """Layer by layer what the authors' code has (Meta-world: 64 x 64, 4 actions)."""
    agent = DreamerV2(Config(), METAWORLD)
    shapes = {name: tuple(p.shape) for name, p in agent.model.named_parameters()}
    assert [shapes[f"encoder.convs.{i}.weight"] for i in range(4)] == [
        (48, 3, 4, 4), (96, 48, 4, 4), (192, 96, 4, 4), (384, 192, 4, 4),
    ]  # fmt: skip
    assert agent.model.encoder.embed_dim == 1536
    assert [shapes[f"decoder.convs.{i}.weight"] for i in range(4)] == [
        (1536, 192, 5, 5), (192, 96, 5, 5), (96, 48, 6, 6), (48, 3, 6, 6),
    ]  # fmt: skip
    assert shapes["decoder.linear.weight"] == (1536, 2048)
    assert agent.model.rssm.feat_dim == 2048
    assert shapes["rssm.in_layer.weight"] == (1024, 1024 + 4)
    assert shapes["rssm.cell.linear.weight"] == (3072, 2048)
    assert shapes["rssm.post_layer.weight"] == (1024, 1024 + 1536)
    assert shapes["rssm.prior_logits.weight"] == shapes["rssm.post_logits.weight"] == (1024, 1024)
    for head, outputs in ((agent.model.reward_head, 1), (agent.behavior.actor, 8), (agent.behavior.critic, 1)):
        assert [tuple(layer.weight.shape) for layer in head.hidden] == [(400, 2048)] + [(400, 400)] * 3
        assert tuple(head.output.weight.shape) == (outputs, 400)
    reconstruction = agent.model.decoder(torch.zeros(2, 2048))
    assert reconstruction.shape == (2, 3, 64, 64)
