"""DreamerPro through the loop: sizes, resume to the bit, export, evaluation, studies, and what it refuses."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from analysis import coefficients, dial, finding1, finding2, loss_scales, state_regression
from analysis.models.dreams import frames_and_rewards
from analysis.models.segments import Segments
from analysis.results import schema
from hdream_core.agent import make_agent
from hdream_core.config.presets import make_config, presets_for
from hdream_core.data.replay import random_batch
from hdream_core.data.sources import check_source
from hdream_core.runs.gradients import gradient_norms
from hdream_core.runs.load import export, load_agent
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.errors import ConfigError
from hdream_core.train import main as train_main
from hdream_core.train import train
from tests.refusals import refused
from tests.small import MINI, goes_on_to_the_same_bits, logs_all, trains_to_the_end

WALKER = Spec((64, 64, 3), ActionSpec("continuous", 6), 1000, 2)
LOSSES = {"swav", "temporal", "reward", "dynamics"}


def small(method="dreamerpro", task="mini_lever", **changes):
    return make_config(task, "smoke", method, {"eval.context": 5, "eval.horizon": 10} | changes)


def agent_of(method="dreamerpro", **changes):
    torch.manual_seed(0)
    return make_agent(small(method, **changes), MINI)


def test_the_paper_s_size_has_as_many_parameters_as_the_authors():
    config = make_config("dmc_walker_run", "paper", "harmony_dreamerpro")
    agent = make_agent(config, WALKER, "meta")
    trained = sum(p.numel() for p in agent.model.parameters() if p.requires_grad)
    assert round(trained / 1e6, 2) == 2.93 and agent.model.prototypes.prototypes.numel() == 80_000
    assert len(list(agent.balancer.parameters())) == 4 and set(agent.balancer.names) == LOSSES
    assert config.scale == "paper" and make_config("dmc_walker_run", "cpu", "dreamerpro").scale == "reduced"


def test_weights_are_constant_or_learned_and_the_authors_other_ones_have_names():
    def weights(method, **changes):
        agent = agent_of(method, **changes)
        found = agent.update(random_batch(2, 8, MINI))
        return {name.removeprefix("weight/"): w.item() for name, w in found.items() if name.startswith("weight/")}

    assert weights("dreamerpro") == dict.fromkeys(LOSSES, 1.0) == weights("harmony_dreamerpro")
    natural = {"agent.model.base_w_r": 1000.0, "balancer.w_norm": 1.0}
    assert weights("dreamerpro", **natural) == dict.fromkeys(LOSSES, 1.0) | {"reward": 1000.0, "norm": 1.0}
    assert weights("dreamerpro", **natural, **{"balancer.w_r": 10.0})["reward"] == 10
    assert weights("harmony_dreamerpro", **natural) == dict.fromkeys(LOSSES, 1.0) | {"norm": 1.0}
    agent = agent_of("harmony_dreamerpro", **{"balancer.w_norm": 1.0})
    assert set(agent.balancer.balanced) == LOSSES  # Eq. 17


def test_an_update_moves_everything_but_frozen_prototypes_and_slow_copies_follow():
    agent = agent_of(**{"agent.model.prototypes.freeze": 3, "agent.model.rssm.free_nats": 0.0})
    state = lambda: {name: value.clone() for name, value in agent.state_dict().items()}  # noqa: E731
    history = [state()]
    for seed in range(5):
        torch.manual_seed(seed)
        metrics = agent.update(random_batch(2, 8, MINI))
        history.append(state())
        assert not any(metrics[f"skipped/{part}"].item() for part in ("model", "actor", "critic"))
    first, last = history[0], history[-1]
    moved = {name for name in first if not torch.equal(first[name], last[name])}
    still = {name for name in first if name.startswith("behavior.slow_critic.")}  # copied each 100 updates
    assert moved == set(first) - still
    key = "model.prototypes.prototypes"
    drift = [(a[key] - b[key]).abs().max().item() for a, b in pairwise(history)]
    assert max(drift[:3]) < 1e-6 < 1e-5 < min(drift[3:])
    assert torch.allclose(last[key].norm(dim=-1), torch.ones(len(last[key])))
    for name in (name for name in first if name.startswith("model.target_encoder.")):
        fast = name.replace("target_encoder", "encoder")
        assert torch.equal(history[1][name], history[1][fast]) and not torch.equal(last[name], last[fast])


def test_measuring_gradients_changes_nothing_and_every_loss_reaches_the_shared_parameters():
    agent = agent_of("harmony_dreamerpro")
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    norms = gradient_norms(agent, random_batch(2, 8, MINI))
    assert set(norms) == LOSSES and all(norms[name] > 0 for name in LOSSES - {"dynamics"})
    assert all(torch.equal(value, before[name]) for name, value in agent.state_dict().items())
    agent = agent_of(**{"agent.model.rssm.free_nats": 0.0})  # below them the dynamics loss gives no gradient
    assert gradient_norms(agent, random_batch(2, 8, MINI))["dynamics"] > 0


@pytest.mark.parametrize(
    ("task", "method", "offline"),
    [
        ("mini_lever", "harmony_dreamerpro", False),
        ("mini_dial", "dreamerpro", False),
        ("mini_lever", "dreamerpro", True),
    ],
)
def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path, buffer, task, method, offline):
    more = {"train.steps": 200, "log.checkpoint_every": 50, "eval.every": 100, "log.gradients_every": 150}
    config = small(method, task, **more, offline_buffer=str(buffer) if offline else None)
    state, lines = goes_on_to_the_same_bits(config, tmp_path, (115, 160))
    assert state["agent"]["model.prototypes.updates"] > 0
    weights = {line["weight/reward"] for line in lines if line["kind"] == "train"}
    assert (len(weights) > 3) == method.startswith("harmony")
    logs_all(lines, LOSSES, "swav", offline)


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [pytest.param("lever_pull", marks=pytest.mark.render), pytest.param("dmc_walker_run", marks=pytest.mark.render)],
)
def test_other_suites_train(tmp_path, task):
    trains_to_the_end(task, "harmony_dreamerpro", tmp_path)


def test_an_exported_agent_predicts_and_acts_alike(tmp_path):
    train(small(**{"train.steps": 60}), tmp_path / "run")
    agent = load_agent(tmp_path / "run")
    again = load_agent(export(agent, tmp_path / "pro.safetensors"))
    batch = random_batch(2, 8, agent.spec)
    found = []
    for one in (agent, again):
        torch.manual_seed(0)
        found.append((one.features(batch), one.open_loop(batch, 3, samples=2).reward, one.losses(batch)["swav"]))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, atol=2e-2, rtol=2e-2)
    assert again.decode(found[0][0]) is None and not again.config.agent.decodes
    actions, memory = again.act(batch["image"][:, 0], None, explore=False)
    more, _ = again.act(batch["image"][:, 1], memory, explore=True)
    assert actions.shape == more.shape == (2, 2) and np.abs(np.concatenate([actions, more])).max() <= 1


@pytest.mark.parametrize(
    "task", ["lever_pull", "mini_lever", "mini_dial", "dmc_walker_run", "dmcr_walker_run", "dmcnbg_walker_run"]
)
def test_every_preset_can_be_trained_online_and_has_the_budget_of_its_name(task):
    others = presets_for(task, "dreamerv2")
    assert set(presets_for(task, "dreamerpro")) == set(others)
    for preset in others:
        config, other = (make_config(task, preset, method) for method in ("harmony_dreamerpro", "dreamerv2"))
        check_source(config)
        if preset != "paper":
            assert (config.train.steps, config.train.train_every) == (other.train.steps, other.train.train_every)
            assert config.eval.every == other.eval.every and config.eval.episodes == other.eval.episodes


def test_natural_backgrounds_have_the_authors_weight():
    for task, w_r in (("dmcnbg_walker_run", 1000), ("dmcr_walker_run", 1000), ("dmc_walker_run", 1)):
        for preset in presets_for(task, "dreamerpro"):
            assert make_config(task, preset, "dreamerpro").agent.model.base_w_r == w_r


def test_weights_of_losses_that_it_has_not_are_refused_in_a_line(capsys, tmp_path):
    with pytest.raises(ConfigError, match="w_o"):
        make_config("mini_lever", "smoke", "dreamerpro", {"balancer.w_o": 1.0})
    words = ["--task", "mini_lever", "--preset", "smoke", "--folder", str(tmp_path / "run")]
    refused(capsys, train_main, [*words, "--method", "dreamerpro", "--balancer.w-o", "0"], "w_o")
    refused(capsys, train_main, [*words, "--method", "harmony_dreamerpro", "--balancer.w-r", "10"], "w_r")
    refused(capsys, train_main, [*words, "--task", "mini_moves", "--method", "dreamerpro"], "mini_moves")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="discrete"):
        make_agent(small(), Spec((32, 32, 3), ActionSpec("discrete", 3), 50))


STUDY = ["--task", "mini_lever", "--preset", "smoke", "--mode", "online", "--method", "dreamerpro"]
SET = ["--set", "eval.context=5", "eval.horizon=10"]


def test_studies_that_show_frames_or_weigh_them_say_that_it_has_none(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(capsys, finding2.main, STUDY, "dreamerpro")
    refused(capsys, finding2.main, [*STUDY[:-2], "--methods", "w_r=1", "harmony_dreamerpro"], "harmony_dreamerpro")
    refused(capsys, dial.main, ["--task", "mini_dial", *STUDY[2:]], "dreamerpro")
    refused(capsys, finding1.main, [*STUDY, "--implicit"], "w_o")
    refused(capsys, loss_scales.main, [*STUDY, "--methods", "w_o=0,w_r=100"], "w_o")
    agent, window = agent_of(), {"image": np.zeros((12, 32, 32, 3), np.uint8), "action": np.zeros((12, 2), np.float32)}
    window |= {"reward": np.zeros(12, np.float32), "is_terminal": np.zeros(12, bool)}
    windows = Segments("mini_lever", [window], np.array([0]), np.array([0]), 12)
    with pytest.raises(ConfigError, match="dreamerpro"):
        frames_and_rewards(agent, windows, 5)
    assert not list(tmp_path.iterdir())


def test_finding1_leaves_the_decoder_free_model_out():
    job = finding1.Finding1(task="mini_lever", preset="cpu", method="dreamerpro")
    assert "w_o=0,w_r=100" not in finding1.methods_of(job, "cpu")
    assert "w_o=0,w_r=100" in finding1.methods_of(finding1.Finding1(task="mini_lever", preset="cpu"), "cpu")


def test_studies_read_it(tmp_path, monkeypatch, capsys):
    """Curves, losses and their gradients, positions, and coefficients, each with its figure."""
    monkeypatch.chdir(tmp_path)
    finding1.main([*STUDY, "--w-r", "1", "--harmony", *SET])
    loss_scales.main([*STUDY, "--methods", "w_r=1", "harmony", "--batches", "1", *SET])
    state_regression.main([*STUDY, "--methods", "w_r=1", "harmony", "--segments", "20", "--folds", "2", *SET])
    coefficients.main([*STUDY, *SET])
    told = capsys.readouterr().out
    assert all(loss in told for loss in LOSSES) and "observation " not in told
    names = ["finding1", "loss_scales", "state_regression", "coefficients"]
    results = [schema.load(tmp_path / "results" / f"{name}_dreamerpro_mini_lever_smoke.h5") for name in names]
    both = ["dreamerpro,w_r=1", "harmony_dreamerpro"]
    assert [set(r.methods) for r in results] == [set(both), set(both), set(both), {both[1]}]
    curves, scales, _, learned = results
    for loss in LOSSES:
        assert np.isfinite(curves.values(f"loss/{loss}")).all() and f"weight/{loss}" in learned.data
        assert np.isfinite(learned.values(f"analytic_weight/{loss}")).all()
    shares = np.stack([scales.values(f"gradient_share/{loss}") for loss in sorted(LOSSES)])
    np.testing.assert_allclose(shares.sum(0), 1.0)
    assert "gradient_share/observation" not in scales.data
    for name in names:
        assert list(tmp_path.rglob(f"{name}_dreamerpro_mini_lever_smoke.png")), name
