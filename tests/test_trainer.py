"""The loop: one clock, alignment from the environment to the loss, updates that are not finite, refusals."""

import gymnasium
import numpy as np
import pytest
import torch

from hdream_core.config.presets import make_config, presets_for
from hdream_core.data.collector import Collector, store_fields
from hdream_core.data.replay import Replay
from hdream_core.data.sources import check_source
from hdream_core.data.store import EpisodeStore
from hdream_core.nets.optimizer import Optimizer
from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import load
from hdream_core.runs.metrics import read_metrics
from hdream_core.runs.trainer import Trainer
from hdream_core.runs.update_metrics import UpdateMetrics
from hdream_core.spec import ActionSpec, Spec
from hdream_core.support.batch import to_device
from hdream_core.train import main, train
from tests.small import smoke


def test_clock_is_environment_steps_in_both_modes(tmp_path, buffer):
    for name, path in (("online", None), ("offline", str(buffer))):
        config = smoke(offline_buffer=path, **{"train.steps": 100, "eval.every": 50})
        train(config, tmp_path / name)
        lines = read_metrics(tmp_path / name / "metrics.jsonl")
        assert [line["step"] for line in lines if line["kind"] == "eval"] == [0, 50, 100]
        updates = max(line.get("updates", 0) for line in lines)
        # Offline every 5 steps are an update; online the prefill's 50 steps end with the 2 pretraining updates.
        assert updates == (20 if path else 2 + 10)


class EchoEnv(gymnasium.Env):
    """The reward equals the action that led to the frame, and the frame shows it as brightness."""

    time_limit, action_repeat, terminates, look, task = 10, 1, False, {}, "echo"
    observation_space = gymnasium.spaces.Dict(
        image=gymnasium.spaces.Box(0, 255, (32, 32, 3), np.uint8), state=gymnasium.spaces.Box(-1, 1, (1,), np.float64)
    )
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def _obs(self, value):
        return {"image": np.full((32, 32, 3), round(127.5 + 127.5 * value), np.uint8), "state": np.array([value])}

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return self._obs(0.0), {"success": False}

    def step(self, action):
        self.t += 1
        value = float(action[0])
        return self._obs(value), value, False, self.t == self.time_limit, {"success": False, "env_steps": 1}


def test_action_alignment_from_environment_to_batch_and_loss(tmp_path):
    """reward[t] == action[t] in every sampled row but an episode's first, and a model can learn it without images."""
    env = EchoEnv()
    store = EpisodeStore(tmp_path, store_fields(env))
    Collector(env, store, np.random.default_rng(0)).collect(None, 400)
    batch = Replay(store).sample(np.random.default_rng(1), 64, 6)
    reset = (batch["image"] == 128).all((2, 3, 4)) & (batch["action"][..., 0] == 0)
    np.testing.assert_allclose(batch["reward"][~reset], batch["action"][..., 0][~reset], atol=1e-6)
    np.testing.assert_allclose(batch["image"][..., 0, 0, 0] / 127.5 - 1, batch["reward"], atol=0.01)
    assert not batch["reward"][reset].any()

    from hdream_core.dreamerv2.agent import DreamerV2

    changes = {"balancer.w_o": 0.0, "balancer.w_r": 10.0, "model.lr": 3e-3, "model.rssm.deter": 32, "model.hidden": 32}
    agent = DreamerV2(
        make_config("mini_lever", "smoke", changes=changes), Spec((32, 32, 3), ActionSpec("continuous", 1), 50)
    )
    rng = np.random.default_rng(2)
    for _ in range(400):
        agent.update(Replay(store).sample(rng, 16, 6))
    test = to_device(Replay(store).sample(rng, 64, 6), agent.device)
    dream = agent.open_loop(test, context=2)  # must know the rewards from the actions alone
    truth = test["reward"][:, 2:]
    correlation = torch.corrcoef(torch.stack([dream.reward.flatten(), truth.flatten()]))[0, 1]
    assert correlation > 0.9


def test_diverged_run_stops_with_one_line(tmp_path, capsys):
    command = ["--task", "mini_lever", "--preset", "smoke", "--agent.model.lr", "1e30", "--train.steps", "1500"]
    with pytest.raises(SystemExit):
        main([*command, "--eval.every", "5000", "--folder", str(tmp_path), "--quiet"])
    error = capsys.readouterr().err
    assert " loss was not finite in" in error and error.count("\n") == 1 and not run_folder.is_done(tmp_path)


def test_measuring_gradients_leaves_a_run_as_it_is(tmp_path):
    for every in (0, 20):
        train(smoke(**{"log.gradients_every": every}), tmp_path / str(every))
    plain, measured = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("0", "20"))
    gradients = [line for line in measured if line["kind"] == "gradients"]
    assert plain == [line for line in measured if line not in gradients]
    assert [line["step"] for line in gradients] == [60, 80]  # from the end of the prefill, and at the end of the run
    assert all(line["gradient_curve/reward"] > 0 for line in gradients)


@pytest.mark.parametrize("steps", [46, 50])
def test_an_online_run_that_is_not_refused_learns(tmp_path, steps):
    """The clock goes by fives, so 46 steps end at 50, where the prefill does."""
    train(smoke(**{"train.steps": steps, "train.prefill": 50}), tmp_path)
    assert load(tmp_path / "checkpoint.pt")["updates"] == 2


@pytest.mark.parametrize(
    ("task", "preset"),
    [(t, p) for t in ("lever_pull", "mini_lever", "dmc_walker_run", "dmcr_walker_run") for p in presets_for(t)],
)
def test_every_preset_can_be_trained_online(task, preset):
    check_source(make_config(task, preset))


def test_updates_that_are_not_finite_are_left_out_and_counted(tmp_path, buffer, monkeypatch):
    """NaN in the data: the weights stay as they were, and the run goes on."""
    config = smoke(offline_buffer=str(buffer), **{"train.steps": 60, "log.every": 20})
    run_folder.prepare(config, tmp_path)
    trainer = Trainer(config, tmp_path)
    learn = trainer.update

    def update(batch):
        if trainer.agent.updates in range(3, 6):
            batch["reward"][0, 1] = np.nan
        return learn(batch)

    monkeypatch.setattr(trainer, "update", update)
    trainer.run()
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if line["kind"] == "train"]
    assert sum(line["skipped/model"] for line in lines) == 3 and all(np.isfinite(line["loss/reward"]) for line in lines)
    assert all(torch.isfinite(p).all() for p in trainer.agent.parameters())


def test_updates_in_a_row_are_counted_over_lines_and_the_loss_is_named():
    nan, window, told = float("nan"), UpdateMetrics(), []
    for line in ([1, 1, 0], [0, 1, 1], [1, 1], [0]):  # updates that were skipped, a line of the log each
        for skipped in line:
            losses = {"loss/observation": 1.0, "loss/reward": nan if skipped else 1.0, "loss/dynamics": 2.0}
            window.add({name: torch.tensor(value) for name, value in (losses | {"skipped/model": skipped}).items()})
        told.append((window.close()["model"], window.not_finite))
    assert told == [(0, ""), (2, "reward loss"), (4, "reward loss"), (0, "")]


@pytest.mark.parametrize("nothing", [0.0, -6e-9])
@pytest.mark.parametrize("method", ["harmony", "uw"])
def test_a_loss_that_is_nothing_ends_no_run(tmp_path, buffer, monkeypatch, method, nothing):
    """As the KL of a posterior that fell onto its prior, which rounding may take under 0: no weight settles at it."""
    config = smoke(method, offline_buffer=str(buffer))
    run_folder.prepare(config, tmp_path)
    trainer = Trainer(config, tmp_path)
    learn = trainer.update

    def update(batch):
        return learn(batch) | ({"loss/observation": torch.tensor(nothing)} if trainer.agent.updates > 8 else {})

    monkeypatch.setattr(trainer, "update", update)
    trainer.run()
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if line["kind"] == "train"]
    known = [line["analytic_weight/observation"] for line in lines]
    assert run_folder.is_done(tmp_path) and known[0] > 0 and known[-1] is None and lines[-1]["loss/observation"] <= 0


@pytest.mark.parametrize("fused", [False, True])
def test_optimizer_leaves_everything_as_it_was(fused):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = Optimizer([weight], clip=10.0, fused=fused, lr=0.1)
    optimizer.step((weight**2).sum())
    before, moments = weight.detach().clone(), {k: v.clone() for k, v in optimizer.adam.state[weight].items()}
    for _ in range(3):
        assert optimizer.step((weight * float("nan")).sum())["skipped"] == 1
    assert torch.equal(weight, before)
    assert all(torch.equal(value, moments[name]) for name, value in optimizer.adam.state[weight].items())
    assert optimizer.step((weight**2).sum())["skipped"] == 0
    assert not torch.equal(weight, before)
