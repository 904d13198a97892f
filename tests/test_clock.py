"""The clock is environment steps that were played, and episodes of any length are learned from."""

import numpy as np
import pytest

from hdream_core.config import agents
from hdream_core.config.presets import METHODS, make_config
from hdream_core.data.replay import NoWindowError
from hdream_core.envs import registry
from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs.metrics import read_metrics
from hdream_core.runs.trainer import Trainer
from hdream_core.support.errors import ConfigError
from hdream_core.train import train
from offline_buffers.build import Build, build
from offline_buffers.validate import validate
from tests.small import run_until


@pytest.fixture
def toy(monkeypatch):
    """Registers a suite of short terminal episodes, and the fake agent for it; makes its configs."""
    monkeypatch.setitem(registry._SUITES, "toy", "tests.fake.suite")
    monkeypatch.setitem(agents.AGENTS, "fake", "tests.fake")
    monkeypatch.setitem(METHODS, "fake", ("fake", {"balancer.kind": "fixed"}))
    return lambda **changes: make_config("toy", "smoke", "fake", {"train.windows": "stream"} | changes)


@pytest.mark.parametrize(("repeat", "every"), [(1, 5), (2, 5), (3, 5), (2, 10), (7, 5)])
def test_clock_counts_what_was_played(tmp_path, toy, repeat, every):
    config = toy(**{"env.action_repeat": repeat, "train.train_every": every, "train.steps": 400})
    run_folder.prepare(config, tmp_path)
    trainer = Trainer(config, tmp_path)
    trainer.run()
    rows = trainer.source.collector.rows
    in_store = sum(trainer.source.store.episode(i)["reward"].sum() for i in range(trainer.source.store.episodes))
    played = in_store + sum(row["reward"] for row in rows)  # the reward of a step is the environment steps it took
    assert trainer.step == played and 400 <= trainer.step < 400 + repeat
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert sum(line["length"] for line in lines if line["kind"] == "episode") == in_store
    # One update a stride after the prefill and its 2 updates, or one an action where actions are longer than strides.
    strides = (trainer.step - 50) / max(every, repeat)
    assert trainer.agent.updates == pytest.approx(2 + strides, abs=0.5 * strides)
    assert [line["step"] // 100 for line in lines if line["kind"] == "eval"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("repeat", "every"), [(1, 5), (2, 5), (2, 2)])
def test_updates_may_wait_for_the_end_of_the_episode(tmp_path, toy, repeat, every):
    """There are as many, and a run that dies among them goes on to the same end."""
    changes = {"env.action_repeat": repeat, "train.train_every": every, "train.steps": 201, "train.updates": "episode"}
    config, taken = toy(**changes), []
    run_folder.prepare(config, tmp_path / "whole")
    trainer = Trainer(config, tmp_path / "whole")
    update = trainer.update
    trainer.update = lambda batch: taken.append((trainer.step, trainer.source.between_episodes)) or update(batch)
    trainer.run()
    assert all(between or step >= 201 for step, between in taken) and len({step for step, _ in taken}) > 5
    first = taken[0][0]  # where the prefill's last episode ended
    ends = [line["step"] for line in read_metrics(tmp_path / "whole" / "metrics.jsonl") if line["kind"] == "episode"]
    assert first == min(end for end in ends if end >= 50)
    assert len(taken) == pytest.approx(2 + (trainer.step - first) / every, abs=2)
    run_until(config, tmp_path / "killed", 120)
    train(config, tmp_path / "killed")
    metrics = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "killed")]
    assert metrics[0] == metrics[1]


def test_short_episodes_are_learned_from_by_stream_windows(tmp_path, toy):
    config = toy(**{"train.steps": 300, "train.length": 12})
    run_folder.prepare(config, tmp_path)
    trainer, batches = Trainer(config, tmp_path), []
    update = trainer.update
    trainer.update = lambda batch: batches.append(batch) or update(batch)
    trainer.run()
    terminal = np.stack([batch["is_terminal"].numpy() for batch in batches])
    first = np.stack([batch["is_first"].numpy() for batch in batches])
    assert max(trainer.source.store.lengths) < 12 and len(batches) > 20
    assert terminal.sum() > 50 and first[..., 0].all() and first[..., 1:].sum() > 50
    assert first[..., 1:][terminal[..., :-1]].all()  # what follows a terminal row is a new episode's first


def test_a_replay_too_small_for_its_windows_is_one_line(tmp_path, toy):
    with pytest.raises(ConfigError, match=r"train\.capacity is 15; .* need 23 or more"):
        Trainer(toy(**{"train.capacity": 15, "train.length": 12}), tmp_path)
    # Episode windows longer than the latest episode: found when it comes.
    config = toy(**{"train.windows": "episode", "train.length": 5, "train.capacity": 1, "train.steps": 400})
    with pytest.raises(NoWindowError, match="take shorter windows"):
        train(config, tmp_path)


def test_a_run_that_cannot_learn_says_so(tmp_path, toy):
    """Episode windows longer than any episode: known at the end alone, since episodes may end early."""
    config = toy(**{"train.windows": "episode", "train.length": 12, "train.steps": 200})
    with pytest.raises(ConfigError, match=r"nothing was learned.*train\.windows=stream"):
        train(config, tmp_path)
    assert not run_folder.is_done(tmp_path)


def test_discrete_actions_are_one_hot_from_play_to_batch(tmp_path, toy):
    """And a buffer of a suite with a look of its own is built from the run, validated and trained on."""
    changes = {"env.discrete": True, "train.steps": 300, "train.length": 8}
    config = toy(**changes)
    train(config, tmp_path / "run")
    trainer = Trainer(config, tmp_path / "run")
    trainer.resume()
    batch = trainer.source.replay.sample(np.random.default_rng(0), 16, 8)
    chosen = batch["action"][~batch["is_first"]]
    assert trainer.agent.spec.action.kind == "discrete" and (chosen.sum(-1) == 1).all() and set(chosen.flat) == {0, 1}
    out = tmp_path / "buffer"
    build(Build("toy", source=f"run:{tmp_path / 'run'}", out=out), show_progress=False)
    assert validate(out) == trainer.source.store.episodes
    offline = {"offline_buffer": str(out), "eval.context": 1, "eval.horizon": 1}
    with pytest.raises(ConfigError, match="has action_repeat 2, but the run asks for 4"):
        train(toy(**changes, **offline, **{"env.action_repeat": 4}), tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    train(toy(**changes, **offline), tmp_path / "offline")
    assert run_folder.is_done(tmp_path / "offline")


@pytest.mark.parametrize("every", [5, 7, 40])
def test_a_killed_run_of_short_episodes_resumes_to_the_bit(tmp_path, toy, every):
    """It is saved where an episode ends, within a stride of the clock as well: else hours might be lost."""
    config = toy(**{"train.steps": 400, "train.length": 12, "log.checkpoint_every": 30, "train.train_every": every})
    train(config, tmp_path / "whole")
    run_until(config, tmp_path / "killed", 250)
    saved = checkpoint.load_run(tmp_path / "killed")
    assert saved["step"] >= 250 - 30 - every - 16 and (every == 5 or saved["midway"] or saved["step"] % every <= 1)
    train(config, tmp_path / "killed")
    whole, killed = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "killed"))
    assert whole == killed


def test_prefill_goes_on_until_a_window_can_be_drawn(tmp_path, toy):
    config = toy(**{"train.prefill": 0, "train.length": 8, "train.steps": 100})
    run_folder.prepare(config, tmp_path)
    trainer, seen = Trainer(config, tmp_path), []
    trainer.progress = lambda step, latest: seen.append((step, trainer.agent.updates))
    trainer.run()
    before = [step for step, updates in seen if updates == 0]
    assert before == sorted(before) and len(before) > 1  # the bar moves through the prefill
    assert trainer.agent.updates > 2
