"""What only a GPU runs: compiled steps and captured updates against the plain ones."""

import gc

import jaxtyping
import numpy as np
import pytest
import torch

from hdream_core.config.presets import make_config
from hdream_core.data.replay import random_batch
from hdream_core.dreamerv2.agent import DreamerV2
from hdream_core.runs.async_player import AsyncPlayer
from hdream_core.support.cuda_graph import WARM_UP, Captured, capture
from tests.small import METAWORLD

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.filterwarnings("default"),  # the compiler's own
]


@pytest.fixture(autouse=True)
def _no_shape_checks():
    """The hook that checks shapes in tests stands in the compiler's way."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


LOGGED = ("loss/", "weight/", "grad_norm/")


def curves(updates, method="dreamerv2", **changes):
    """Losses of a small agent's first updates, ``(updates, losses)``, the agent, and its captured update."""
    config = make_config("lever_pull", "quick", method, {"behavior.starts": None, "train.batch": 4} | changes)
    torch.manual_seed(0)
    agent = DreamerV2(config, METAWORLD)
    torch.manual_seed(1)
    found, _, update = learn(agent, updates)
    return found, agent, update


def learn(agent, updates):
    """Losses of an agent's next updates, ``(updates, losses)``, their names, and its captured update."""
    batch = random_batch(agent.config.train.batch, agent.config.train.length, METAWORLD)
    update = capture(agent.update, agent.device, agent.capturable)
    rows = [update(batch) for _ in range(updates)]
    names = [name for name in rows[0] if name.startswith(LOGGED)]
    return np.array([[row[name].item() for name in names] for row in rows]), names, update


@pytest.mark.parametrize("method", ["dreamerv2", "harmony", "dwa", "nashmtl"])
def test_captured_float32_updates_are_the_plain_ones(method):
    precise = {"train.precision": "float32"}
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        tuned, agent, update = curves(12, method, **precise)
        plain, *_ = curves(12, method, **precise, **{"train.kernels": "plain"})
    assert isinstance(update, Captured) == agent.balancer.on_device == agent.capturable
    assert not agent.capturable or update._graphs
    # Roundings differ, and now and then one of a million sampled latents falls to another class.
    np.testing.assert_allclose(tuned, plain, rtol=2e-2)
    np.testing.assert_allclose(tuned[:4], plain[:4], rtol=1e-3)


def test_captured_bfloat16_updates_learn_what_float32_ones_do():
    tuned, *_ = curves(12)
    plain, *_ = curves(12, **{"train.precision": "float32", "train.kernels": "plain"})
    assert np.abs(tuned / plain - 1).mean() < 0.03


def test_imagining_from_some_states_is_captured_too():
    tuned, _, update = curves(8, **{"behavior.starts": 32})
    assert np.isfinite(tuned).all() and update._graphs


def test_a_replay_draws_new_numbers_and_sees_new_inputs():
    double = Captured(lambda x: [2 * x, torch.rand(3, device=x.device)], torch.device("cuda"))
    found = [double(torch.full((2,), float(i))) for i in range(WARM_UP + 3)]
    assert [f[0][0].item() for f in found] == [2.0 * i for i in range(WARM_UP + 3)]
    assert len({f[1][0].item() for f in found}) == len(found)


def test_captured_actions_follow_the_seed():
    config = make_config("lever_pull", "quick")
    agent = DreamerV2(config, METAWORLD)
    images = np.random.default_rng(0).integers(0, 256, (12, 1, *METAWORLD.image), np.uint8)

    def play():
        torch.manual_seed(3)
        state, actions = None, []
        for image in images:
            action, state = agent.act(image, state, explore=True)
            actions.append(action)
        return np.concatenate(actions)

    first, second = play(), play()  # the first begins uncaptured
    np.testing.assert_allclose(first, second, atol=1e-2)
    assert np.array_equal(second, play())


def test_captured_training_goes_on_from_a_checkpoint():
    """Long enough for updates to be captured with the moments that were loaded, and for wrong ones to show."""
    updates, more = 8, 8
    whole, expected, _ = curves(updates + more)
    _, agent, _ = curves(updates)
    state, rng = agent.training_state(), torch.cuda.get_rng_state()
    again = DreamerV2(agent.config, METAWORLD)
    again.load_training_state(state)
    torch.cuda.set_rng_state(rng)
    found, names, update = learn(again, more)
    assert again.updates == updates + more and update._graphs
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


def test_a_second_agent_is_captured_after_the_first_is_gone():
    """Whose graphs are destroyed when Python pleases, and not while the second's are captured."""
    for _ in range(3):
        found, agent, update = curves(8)
        assert np.isfinite(found).all() and update._graphs
        del agent, update
    gc.collect()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() < 2**28


@pytest.mark.parametrize("method", ["dreamerv2", "dwa"])
def test_a_captured_update_that_is_not_finite_changes_nothing(method):
    _, agent, update = curves(8, method)
    batch = random_batch(agent.config.train.batch, agent.config.train.length, METAWORLD)
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    spoiled = batch | {"reward": np.full_like(batch["reward"], np.nan)}
    assert update(spoiled)["skipped/model"].item() == 1
    after = agent.model.state_dict()
    assert all(torch.equal(value, before[f"model.{name}"]) for name, value in after.items())
    again = update(batch)
    assert all(np.isfinite(again[name].item()) for name in ("loss/total", "grad_norm/model"))
    assert again["skipped/model"].item() == 0


def test_an_async_player_acts_with_the_weights_of_its_last_refresh():
    config = make_config("lever_pull", "quick", changes={"behavior.starts": None, "train.batch": 4})
    agent = DreamerV2(config, METAWORLD)
    batch = random_batch(config.train.batch, config.train.length, METAWORLD)
    update = capture(agent.update, agent.device, agent.capturable)
    beside = AsyncPlayer(agent.player, agent.device, seed=5)
    image = np.zeros((1, *METAWORLD.image), np.uint8)
    state = None
    for _ in range(10):
        beside.refresh()
        update(batch)
        mine, theirs = beside.player.behavior.actor.output.weight, agent.behavior.actor.output.weight
        assert not torch.equal(mine, theirs)
        action, state = beside.act(image, state, explore=True)
        assert np.isfinite(action).all()
    beside.refresh()
    torch.cuda.synchronize()
    assert torch.equal(mine, theirs)
    # Its numbers are its own: how much it plays does not change what the agent draws.
    torch.manual_seed(1)
    expected = torch.rand(3, device="cuda")
    torch.manual_seed(1)
    beside.act(image, state, explore=True)
    assert torch.equal(torch.rand(3, device="cuda"), expected)
