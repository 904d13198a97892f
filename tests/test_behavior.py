"""Appendix A: lambda-returns, what the actor's and the critic's losses reach."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from hdream_core.data.replay import random_batch
from hdream_core.dreamerv2.behavior import lambda_return
from tests.small import MINI, small_agent


def naive_return(reward, value, gamma, lam, t):
    """Eq. 8 read literally, for one trajectory; the last value is the bootstrap."""
    if t == len(reward):
        return value[t]
    return reward[t] + gamma * ((1 - lam) * value[t + 1] + lam * naive_return(reward, value, gamma, lam, t + 1))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.floats(0, 1), st.floats(0, 1), st.integers(0, 100))
def test_lambda_return_is_equation_8(horizon, gamma, lam, seed):
    rng = np.random.default_rng(seed)
    reward, value = rng.normal(size=(horizon, 2)), rng.normal(size=(horizon + 1, 2))
    got = lambda_return(
        torch.tensor(reward), torch.tensor(value), torch.full((horizon, 2), gamma, dtype=torch.float64), lam
    )
    want = [[naive_return(reward[:, n], value[:, n], gamma, lam, t) for n in range(2)] for t in range(horizon)]
    np.testing.assert_allclose(got.numpy(), want, atol=1e-10)


def agent_and_start(**changes):
    agent = small_agent(**{"behavior.horizon": 4} | changes)
    return agent, agent.model.rssm.initial(5)


def test_actor_loss_flows_from_rewards_through_dynamics_to_the_actor_alone():
    agent, start = agent_and_start(**{"behavior.entropy": 0.0})
    torch.nn.init.normal_(agent.behavior.actor.output.weight)
    actor_loss, critic_loss, _ = agent.behavior.losses(agent.model, start)
    actor = list(agent.behavior.actor.parameters())
    gradients = torch.autograd.grad(actor_loss, actor, retain_graph=True)
    assert all(g.abs().sum() > 0 for g in gradients)
    critic = list(agent.behavior.critic.parameters())
    assert all(g is None for g in torch.autograd.grad(actor_loss, critic, retain_graph=True, allow_unused=True))
    assert all(g is None for g in torch.autograd.grad(critic_loss, actor, retain_graph=True, allow_unused=True))
    model = [p for p in agent.model.parameters() if p.requires_grad]
    assert all(g is None for g in torch.autograd.grad(critic_loss, model, allow_unused=True))


def test_behaviour_update_leaves_no_trace_on_the_world_model():
    agent, start = agent_and_start()
    before = {name: p.clone() for name, p in agent.model.named_parameters()}
    actor_loss, critic_loss, _ = agent.behavior.losses(agent.model, start)
    agent.optimizers["actor"].step(actor_loss)
    agent.optimizers["critic"].step(critic_loss)
    for name, p in agent.model.named_parameters():
        assert p.grad is None, name
        assert torch.equal(p, before[name]), name


def test_slow_critic_follows_at_its_interval():
    """Appendix A's target stands still between, then is the critic."""
    agent, _ = agent_and_start(**{"behavior.slow_update": 3})
    slow = lambda: agent.behavior.slow_critic.output.bias.item()  # noqa: E731
    seen = [slow()]
    for _ in range(7):
        agent.update(random_batch(2, 6, MINI))
        seen.append(slow())
        if agent.updates % 3 == 0:
            assert slow() == agent.behavior.critic.output.bias.item()
    assert [a != b for a, b in itertools.pairwise(seen)] == [False, False, True, False, False, True, False]


def test_shape_annotations_are_checked_here():
    with pytest.raises(TypeCheckError):
        lambda_return(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3, 2), 0.95)  # one value too few
