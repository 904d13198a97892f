"""What only a GPU runs: compiled steps and recorded updates against the plain ones."""

import gc

import jaxtyping
import numpy as np
import pytest
import torch

from hdream_core.config.presets import make_config
from hdream_core.data.replay import random_batch
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.dreamerv2.player import Understudy
from hdream_core.support.cuda_graph import WARM_UP, Recorded

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.filterwarnings("default"),  # the compiler's own
]
SIZE, ACTION = 64, 4


@pytest.fixture(autouse=True)
def _no_shape_checks():
    """The hook that checks shapes in tests stands in the compiler's way."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


LOGGED = ("loss/", "weight/", "grad_norm/")


def curves(updates, method="dreamerv2", **changes):
    """Losses of a small agent's first updates, ``(updates, losses)``, and the agent."""
    config = make_config("lever_pull", "quick", method, {"behavior.starts": None, "train.batch": 4} | changes)
    torch.manual_seed(0)
    agent = DreamerV2(config, SIZE, ACTION)
    batch = random_batch(config.train.batch, config.train.length, SIZE, ACTION)
    torch.manual_seed(1)
    rows = [agent.update(batch) for _ in range(updates)]
    names = [name for name in rows[0] if name.startswith(LOGGED)]
    return np.array([[row[name].item() for name in names] for row in rows]), agent


@pytest.mark.parametrize("method", ["dreamerv2", "harmony", "dwa", "nashmtl"])
def test_recorded_float32_updates_are_the_plain_ones(method):
    precise = {"train.precision": "float32"}
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        tuned, agent = curves(12, method, **precise)
        plain, _ = curves(12, method, **precise, **{"train.kernels": "plain"})
    assert bool(agent._learn._recordings) == agent.balancer.on_device
    # Roundings differ, and now and then one of a million sampled latents falls to another class.
    np.testing.assert_allclose(tuned, plain, rtol=2e-2)
    np.testing.assert_allclose(tuned[:4], plain[:4], rtol=1e-3)


def test_recorded_bfloat16_updates_learn_what_float32_ones_do():
    tuned, _ = curves(12)
    plain, _ = curves(12, **{"train.precision": "float32", "train.kernels": "plain"})
    assert np.abs(tuned / plain - 1).mean() < 0.03


def test_imagining_from_some_states_is_recorded_too():
    tuned, agent = curves(8, **{"behavior.starts": 32})
    assert np.isfinite(tuned).all() and agent._learn._recordings


def test_a_replay_draws_new_numbers_and_sees_new_inputs():
    double = Recorded(lambda x: [2 * x, torch.rand(3, device=x.device)], torch.device("cuda"))
    found = [double(torch.full((2,), float(i))) for i in range(WARM_UP + 3)]
    assert [f[0][0].item() for f in found] == [2.0 * i for i in range(WARM_UP + 3)]
    assert len({f[1][0].item() for f in found}) == len(found)


def test_recorded_actions_follow_the_seed():
    config = make_config("lever_pull", "quick")
    agent = DreamerV2(config, SIZE, ACTION)
    images = np.random.default_rng(0).integers(0, 256, (12, 1, SIZE, SIZE, 3), np.uint8)

    def play():
        torch.manual_seed(3)
        state, actions = None, []
        for image in images:
            action, state = agent.act(image, state, explore=True)
            actions.append(action)
        return np.concatenate(actions)

    first, second = play(), play()  # the first begins unrecorded
    np.testing.assert_allclose(first, second, atol=1e-2)
    assert np.array_equal(second, play())


def test_recorded_training_goes_on_from_a_checkpoint():
    """Long enough for updates to be recorded with the moments that were loaded, and for wrong ones to show."""
    updates, more = 8, 8
    whole, expected = curves(updates + more)
    _, agent = curves(updates)
    state, rng = agent.training_state(), torch.cuda.get_rng_state()
    again = DreamerV2(agent.config, SIZE, ACTION)
    again.load_training_state(state)
    torch.cuda.set_rng_state(rng)
    batch = random_batch(agent.config.train.batch, agent.config.train.length, SIZE, ACTION)
    rows = [again.update(batch) for _ in range(more)]
    assert again.updates == updates + more and again._learn._recordings
    names = [name for name in rows[0] if name.startswith(LOGGED)]
    found = np.array([[row[name].item() for name in names] for row in rows])
    # The libraries' sums are not in a fixed order on a GPU, so the rest is nearly that of the whole run.
    for name in ("loss/observation", "loss/reward", "loss/dynamics"):
        at = names.index(name)
        np.testing.assert_allclose(found[:, at], whole[updates:, at], rtol=0.1)
    moved, apart = 0.0, 0.0
    for name, mine in again.model.named_parameters():
        theirs, before = expected.model.get_parameter(name), state["agent"][f"model.{name}"]
        moved += float((theirs - before).square().sum())
        apart += float((mine - theirs).square().sum())
    assert apart < 0.1 * moved


def test_a_second_agent_is_recorded_after_the_first_is_gone():
    """Whose graphs are destroyed when Python pleases, and not while the second's are recorded."""
    for _ in range(3):
        found, agent = curves(8)
        assert np.isfinite(found).all() and agent._learn._recordings
        del agent
    gc.collect()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() < 2**28


@pytest.mark.parametrize("method", ["dreamerv2", "dwa"])
def test_a_recorded_update_that_is_not_finite_changes_nothing(method):
    _, agent = curves(8, method)
    batch = random_batch(agent.config.train.batch, agent.config.train.length, SIZE, ACTION)
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    spoiled = batch | {"reward": np.full_like(batch["reward"], np.nan)}
    agent.update(spoiled)
    after = agent.model.state_dict()
    assert all(torch.equal(value, before[f"model.{name}"]) for name, value in after.items())
    assert agent.optimizers["model"].skipped.item() == 1
    assert all(np.isfinite(agent.update(batch)[name].item()) for name in ("loss/total", "grad_norm/model"))
    assert agent.optimizers["model"].skipped.item() == 0


def test_an_understudy_plays_with_the_weights_of_its_last_refresh():
    config = make_config("lever_pull", "quick", changes={"behavior.starts": None, "train.batch": 4})
    agent = DreamerV2(config, SIZE, ACTION)
    batch = random_batch(config.train.batch, config.train.length, SIZE, ACTION)
    understudy = Understudy(agent.player, seed=5)
    image = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    state = None
    for _ in range(10):
        understudy.refresh()
        agent.update(batch)
        mine, theirs = understudy.behavior.actor.output.weight, agent.behavior.actor.output.weight
        assert not torch.equal(mine, theirs)
        action, state = understudy.act(image, state, explore=True)
        assert np.isfinite(action).all()
    understudy.refresh()
    torch.cuda.synchronize()
    assert torch.equal(mine, theirs)
    # Its numbers are its own: how much it plays does not change what the agent draws.
    torch.manual_seed(1)
    expected = torch.rand(3, device="cuda")
    torch.manual_seed(1)
    understudy.act(image, state, explore=True)
    assert torch.equal(torch.rand(3, device="cuda"), expected)
