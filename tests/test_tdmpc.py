"""TD-MPC through the loop: sizes, windows, priorities, resume to the bit, export, evaluation, studies, and refusals."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from analysis import ablations, dial, finding1, finding2, loss_scales, state_regression
from analysis.results import schema
from hdream_core.agent import make_agent
from hdream_core.config.presets import make_config, presets_for
from hdream_core.data.replay import NoWindowError, random_batch
from hdream_core.data.sources import check_source
from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import load, save
from hdream_core.runs.gradients import gradient_norms
from hdream_core.runs.load import export, load_agent
from hdream_core.runs.trainer import Trainer
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.errors import ConfigError
from hdream_core.tdmpc.frames import stacks
from hdream_core.tdmpc.replay import PrioritizedReplay
from hdream_core.train import main as train_main
from hdream_core.train import train
from tests.refusals import refused
from tests.small import METAWORLD, MINI, goes_on_to_the_same_bits, logs_all, trains_to_the_end
from tests.test_replay import store_of

LOSSES = {"consistency": 2.0, "reward": 0.5, "value": 0.1}
LENGTH, STEPS = 6, 3  # rows of a window here: a stack of 3 frames and 3 steps


def small(task="mini_lever", **changes):
    return make_config(task, "smoke", "tdmpc", {"eval.context": 5, "eval.horizon": 10} | changes)


def agent_of(**changes):
    torch.manual_seed(0)
    return make_agent(small(**changes), MINI)


def test_the_paper_s_size_has_as_many_parameters_as_the_authors():
    config = make_config("lever_pull", "paper", "tdmpc")
    agent = make_agent(config, METAWORLD, "meta")
    networks = [*agent.model.parameters(), *agent.behavior.parameters()]
    assert round(sum(p.numel() for p in networks) / 1e6, 2) == 1.55
    assert config.scale == "paper" and make_config("lever_pull", "cpu", "tdmpc").scale == "reduced"
    assert not any(p.requires_grad for p in agent.target.parameters())


def test_weights_are_the_authors_or_those_of_the_balancer():
    def weights(**changes):
        found = agent_of(**changes).update(random_batch(2, LENGTH, MINI))
        return {name.removeprefix("weight/"): w.item() for name, w in found.items() if name.startswith("weight/")}

    assert weights() == pytest.approx(LOSSES)
    assert weights(**{"balancer.w_r": 10.0}) == pytest.approx(LOSSES | {"reward": 10.0})
    assert weights(**{"balancer.kind": "harmony"}) == dict.fromkeys(LOSSES, 1.0)  # where learned ones start


def test_an_update_moves_everything_but_the_targets_which_follow():
    agent = agent_of()
    state = lambda: {name: value.clone() for name, value in agent.state_dict().items()}  # noqa: E731
    history = [state()]
    for seed in range(3):
        torch.manual_seed(seed)
        metrics = agent.update(random_batch(2, LENGTH, MINI))
        history.append(state())
        assert not any(metrics[f"skipped/{part}"].item() for part in ("model", "actor"))
        assert metrics["priority"].shape == (2,) and metrics["priority"].min() > 0
    moved = [{name for name in a if not torch.equal(a[name], b[name])} for a, b in pairwise(history)]
    targets = {name for name in history[0] if name.startswith("target.")}
    assert moved[0] | moved[1] | moved[2] >= set(history[0]) - {"schedule.horizon", "schedule.std"}
    assert not moved[1] & targets and moved[2] & targets == targets  # at every second update
    name = "encoder.convs.0.weight"
    old, slow, fast = (history[i][f"{part}.{name}"] for i, part in ((0, "target"), (1, "target"), (1, "model")))
    assert torch.allclose(slow, 0.99 * old + 0.01 * fast, atol=1e-7)


def test_measuring_gradients_changes_nothing_and_every_loss_reaches_the_shared_parameters():
    agent = agent_of()
    agent.update(random_batch(2, LENGTH, MINI))  # rewards and values begin at zero, without a gradient to what is below
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    norms = gradient_norms(agent, random_batch(2, LENGTH, MINI))
    assert set(norms) == set(LOSSES) and all(norm > 0 for norm in norms.values())
    assert all(torch.equal(value, before[name]) for name, value in agent.state_dict().items())


def test_importance_weighs_windows():
    agent, batch = agent_of(), random_batch(2, LENGTH, MINI)

    def losses(*importance):
        torch.manual_seed(0)
        found = agent.losses(batch | {"importance": np.float32(importance)})
        return torch.stack([found[name] for name in LOSSES])

    assert torch.allclose(losses(1, 0.25), losses(1, 0) + 0.25 * losses(0, 1))


def test_stacks_repeat_the_first_frame_of_an_episode():
    image = torch.arange(6, dtype=torch.uint8).reshape(1, 6, 1, 1, 1)
    is_first = torch.tensor([[True, False, False, True, False, False]])
    found = stacks(image, is_first, 3)[0, :, 0, 0].tolist()
    assert found == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [3, 3, 3], [3, 3, 4], [3, 4, 5]]


def replay_of(tmp_path, lengths, episodes=None, capacity=None, **changes):
    return PrioritizedReplay(small(**changes), store_of(tmp_path, lengths), episodes, capacity)


def test_priorities_by_hand(tmp_path):
    """New steps get the greatest priority; the last ones of an episode none; chance and importance follow them."""
    replay = replay_of(tmp_path, [8, 4, 6])
    rng = np.random.default_rng(0)
    assert replay.can_sample(LENGTH)
    drawn = replay.starts(rng, 1000, LENGTH)
    # Of 8 rows, 7 steps: 3 of them are too near the end. 4 rows have none. Of 6 rows, 2 steps.
    expected = [1, 1, 1, 1, 0, 0, 0, 0] + [0] * 4 + [1, 1, 0, 0, 0, 0]
    assert replay.priorities.tolist() == expected and set(drawn) == {0, 1, 2, 3, 12, 13}
    replay.reprioritise(np.array([0, 1, 12, 1]), np.array([4.0, 9.0, np.nan, 2.0], np.float32))
    wanted = [4 + 1e-6, 2 + 1e-6, 1, 1, 1, 1]
    assert replay.priorities[[0, 1, 2, 3, 12, 13]] == pytest.approx(wanted, rel=1e-6)
    chances = np.array(wanted) ** 0.6 / (np.array(wanted) ** 0.6).sum()
    found = np.bincount(replay.starts(rng, 100_000, LENGTH), minlength=18)[[0, 1, 2, 3, 12, 13]] / 100_000
    assert np.abs(found - chances).max() < 5e-3
    batch = replay.windows(np.array([0, 1, 13]), LENGTH)
    importance = (6 * chances[[0, 1, 5]]) ** -0.4
    assert batch["importance"] == pytest.approx(importance / importance.max())
    flat = replay_of(tmp_path / "flat", [8], **{"agent.replay.priority": 0.0})
    assert set(flat.starts(rng, 100, LENGTH)) == {0, 1, 2, 3}


def test_windows_lie_in_an_episode_with_the_frames_before_them(tmp_path):
    replay = replay_of(tmp_path, [8, 9])
    rows = replay.rows(np.array([0, 1, 3, 8, 12]), LENGTH)
    assert rows.tolist() == [
        [0, 0, 0, 1, 2, 3],
        [0, 0, 1, 2, 3, 4],
        [1, 2, 3, 4, 5, 6],
        [8, 8, 8, 9, 10, 11],
        [10, 11, 12, 13, 14, 15],
    ]
    for start in (-1, 14, 17):
        with pytest.raises(ValueError, match="does not hold"):
            replay.rows(np.array([start]), LENGTH)
    with pytest.raises(NoWindowError, match="4 rows"):
        replay_of(tmp_path / "short", [4, 3]).starts(np.random.default_rng(0), 2, LENGTH)


def test_new_episodes_get_the_greatest_priority_and_old_ones_leave(tmp_path):
    replay, rng = replay_of(tmp_path, [8, 8], capacity=16), np.random.default_rng(0)
    replay.starts(rng, 2, LENGTH)
    replay.reprioritise(np.array([0, 9]), np.array([3.0, 5.0], np.float32))
    replay.store.append(replay.store.episode(0))
    assert set(replay.starts(rng, 1000, LENGTH)) == {8, 9, 10, 11, 16, 17, 18, 19}
    assert replay.priorities[[0, 9, 16]] == pytest.approx([0, 5, 5])
    held = replay_of(tmp_path / "split", [8, 8, 8], episodes=[0, 2])
    assert set(held.starts(rng, 1000, LENGTH)) == {0, 1, 2, 3, 16, 17, 18, 19}


@pytest.mark.parametrize(
    "bad", [np.ones(99, np.float32), np.ones(3), np.ones((2, 2), np.float32), -np.ones(3, np.float32), [np.nan] * 3]
)
def test_priorities_that_do_not_fit_the_store_are_refused(tmp_path, bad):
    with pytest.raises(ValueError, match="priorities"):
        replay_of(tmp_path, [8]).restore(np.asarray(bad) if np.ndim(bad) > 1 else np.array(bad))


@pytest.mark.parametrize(("task", "offline"), [("mini_lever", False), ("mini_dial", False), ("mini_lever", True)])
def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path, buffer, task, offline):
    more = {"train.steps": 200, "log.checkpoint_every": 50, "eval.every": 100, "log.gradients_every": 150}
    config = small(task, **more, offline_buffer=str(buffer) if offline else None)
    # online the second kill is among the updates after an episode
    state, lines = goes_on_to_the_same_bits(config, tmp_path, (115, 150))
    assert len(state["rngs"]["replay"]["priorities"].unique()) > 20
    logs_all(lines, LOSSES, "value", offline)


def test_updates_wait_for_the_end_of_the_episode_and_schedules_follow_the_clock(tmp_path):
    config = small(**{"train.steps": 180, "agent.planner.schedule": 200})
    run_folder.prepare(config, tmp_path)
    trainer = Trainer(config, tmp_path)
    update, act, taken, seen = trainer.update, trainer.agent.player.act, [], []

    def play(image, memory, explore):
        action, after = act(image, memory, explore)
        if explore and memory is None:
            seen.append((trainer.step, len(after.mean), after.std))
        return action, after

    trainer.update = lambda batch: taken.append((trainer.step, trainer.source.between_episodes)) or update(batch)
    trainer.agent.player.act = play
    trainer.run()
    at = {step: sum(1 for other, _ in taken if other == step) for step, _ in taken}
    assert at == {50: 50, 100: 50, 150: 50, 180: 30}  # as many as the prefill's, then one for each action
    assert all(between for step, between in taken if step < 180)
    assert [step for step, _, _ in seen] == [50, 100, 150]
    assert [std for _, _, std in seen] == pytest.approx([0.5 - 0.45 * step / 200 for step in (50, 100, 150)])
    assert [horizon for _, horizon, _ in seen] == [1, 2, 2]  # 1 to 3


def test_a_checkpoint_without_priorities_is_one_line(tmp_path, capsys):
    config = small()
    train(config, tmp_path)
    (tmp_path / "done").unlink()
    state = load(tmp_path / "checkpoint.pt")
    del state["rngs"]["replay"]["priorities"]
    for _ in range(2):  # the latest and the one before
        save(tmp_path, state)
    words = ["--config", str(tmp_path), "--folder", str(tmp_path)]
    refused(capsys, train_main, words, "priorities")


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [pytest.param("lever_pull", marks=pytest.mark.render), pytest.param("dmc_walker_run", marks=pytest.mark.render)],
)
def test_other_suites_train(tmp_path, task):
    trains_to_the_end(task, "tdmpc", tmp_path)


def test_an_exported_agent_predicts_and_plans_alike(tmp_path):
    train(small(), tmp_path / "run")
    agent = load_agent(tmp_path / "run")
    again = load_agent(export(agent, tmp_path / "tdmpc.safetensors"))
    batch = random_batch(2, 8, agent.spec)
    pairs = [(a.features(batch), a.open_loop(batch, 3, samples=2), a) for a in (agent, again)]
    for ours, theirs in zip((pairs[0][0], *pairs[0][1]), (pairs[1][0], *pairs[1][1]), strict=True):
        assert torch.allclose(ours, theirs, atol=2e-2, rtol=2e-2)
    assert pairs[0][1].feat.shape == (4, 5, 6) and pairs[0][1].observed.shape == (4, 3, 6)
    assert again.decode(pairs[0][0]) is None and not again.config.agent.decodes
    assert (int(again.schedule.horizon), float(again.schedule.std)) == pytest.approx((3, 0.05), rel=1e-3)
    copied = again.player.copy()
    assert len(copied.parameters()) == len(again.player.parameters())
    for player in (again.player, copied):
        actions, memory = player.act(batch["image"][:, 0], None, explore=False)
        more, memory = player.act(batch["image"][:, 1], memory, explore=True)
        assert actions.shape == more.shape == (2, 2) and np.abs(np.concatenate([actions, more])).max() <= 1
        assert memory.stack.shape == (2, 32, 32, 9) and memory.mean.shape == (3, 2, 2)


def test_a_plan_begins_with_the_latest_frames_and_with_the_last_plan_one_step_on(monkeypatch):
    agent, image = agent_of(), torch.from_numpy(random_batch(2, 4, MINI)["image"])
    agent.schedule.follow(10**6)
    begun, plan, memory = [], agent.player.plan, None
    monkeypatch.setattr(agent.player, "plan", lambda z, mean, *more: (begun.append(mean), plan(z, mean, *more))[1])
    is_first = torch.tensor([[True, False, False, False]]).expand(2, -1)
    for step in range(4):
        earlier, (_, memory) = memory, agent.player.act(image[:, step].numpy(), memory, explore=False)
        assert torch.equal(memory.stack, stacks(image[:, : step + 1], is_first[:, : step + 1], 3)[:, -1])
        if earlier is not None:
            assert torch.equal(begun[-1][:-1], earlier.mean[1:]) and earlier.mean.any()
        assert not begun[-1][-1].any()


def test_open_loop_follows_the_dynamics_from_the_last_frame_seen():
    agent, batch = agent_of(), random_batch(2, 6, MINI)
    found = agent.open_loop(batch, 4)
    z = agent.features(batch)[:, 3]
    assert torch.allclose(found.observed[:, -1], z, atol=1e-6)
    with torch.no_grad():
        for step in (4, 5):
            action = torch.from_numpy(batch["action"][:, step])
            assert torch.allclose(found.reward[:, step - 4], agent.model.reward(z, action)[:, 0], atol=1e-6)
            z = agent.model.dynamics(z, action)
            assert torch.allclose(found.feat[:, step - 4], z, atol=1e-6)
    with pytest.raises(ValueError, match="context of 6"):
        agent.open_loop(batch, 6)


@pytest.mark.parametrize("task", ["lever_pull", "mini_lever", "mini_dial", "dmc_walker_run", "dmcr_walker_run"])
def test_every_preset_can_be_trained_online_for_as_many_steps_as_others(task):
    others = presets_for(task, "dreamerv2")
    assert set(presets_for(task, "tdmpc")) == set(others)
    for preset in others:
        config, other = (make_config(task, preset, method) for method in ("tdmpc", "dreamerv2"))
        check_source(config)
        repeat = 2 if task.startswith("dmc") else 1
        assert config.train.train_every == repeat and config.train.updates == "episode"  # one update for each action
        assert config.eval.every == other.eval.every and config.eval.episodes == other.eval.episodes
        if preset != "paper":
            assert config.train.steps == other.train.steps


def test_what_it_cannot_do_is_refused_in_a_line(capsys, tmp_path):
    words = ["--task", "mini_lever", "--preset", "smoke", "--method", "tdmpc", "--folder", str(tmp_path / "run")]
    refused(capsys, train_main, [*words, "--balancer.w-o", "1"], "w_o")
    refused(capsys, train_main, [*words, "--balancer.w-d", "1"], "w_d")
    refused(capsys, train_main, [*words, "--train.windows", "stream"], "train.windows")
    refused(capsys, train_main, [*words, "--train.oversample-ends"], "oversample_ends")
    refused(capsys, train_main, [*words, "--train.length", "3"], "train.length is 3")
    refused(capsys, train_main, [*words, "--agent.planner.elites", "22"], "elites is 22")
    refused(capsys, train_main, [*words, "--task", "mini_moves"], "mini_moves")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="discrete"):
        make_agent(small(), Spec((32, 32, 3), ActionSpec("discrete", 3), 50))


STUDY = ["--task", "mini_lever", "--preset", "smoke", "--mode", "online", "--method", "tdmpc"]
SET = ["--set", "eval.context=5", "eval.horizon=10"]


def test_studies_that_show_frames_or_learn_weights_say_that_it_has_none(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(capsys, finding2.main, STUDY, "tdmpc")
    refused(capsys, dial.main, ["--task", "mini_dial", *STUDY[2:]], "tdmpc")
    refused(capsys, finding1.main, [*STUDY, "--harmony"], "tdmpc")
    refused(capsys, finding1.main, [*STUDY, "--implicit"], "w_o")
    assert not list(tmp_path.iterdir())
    full = finding1.Finding1(task="mini_lever", preset="cpu", method="tdmpc")
    assert finding1.methods_of(full, "cpu") == ["w_r=1", "w_r=10", "w_r=100"]


def test_studies_read_it(tmp_path, monkeypatch):
    """Curves, alone and beside another agent, losses and their gradients, and positions, each with its figure."""
    monkeypatch.chdir(tmp_path)
    finding1.main([*STUDY, "--w-r", "1", *SET])
    ablations.main([*STUDY[:-2], "--methods", "harmony", "tdmpc", *SET])
    loss_scales.main([*STUDY, "--methods", "w_r=1", "--batches", "1", *SET])
    state_regression.main([*STUDY, "--methods", "w_r=1", "--segments", "20", "--folds", "2", *SET])
    own = [f"{name}_tdmpc_mini_lever_smoke" for name in ("finding1", "loss_scales", "state_regression")]
    names = [*own, "ablations_mini_lever_smoke"]
    curves, scales, regression, beside = (schema.load(tmp_path / "results" / f"{name}.h5") for name in names)
    assert [set(r.methods) for r in (curves, scales, regression)] == [{"tdmpc,w_r=1"}] * 3
    assert set(beside.methods) == {"harmony", "tdmpc"} and np.isfinite(beside.values("return")).all()
    for loss in LOSSES:
        assert np.isfinite(curves.values(f"loss/{loss}")).all()
    shares = np.stack([scales.values(f"gradient_share/{loss}") for loss in LOSSES])
    np.testing.assert_allclose(shares.sum(0), 1.0, rtol=1e-6)
    for name in names:
        assert list(tmp_path.rglob(f"{name}.png")), name
