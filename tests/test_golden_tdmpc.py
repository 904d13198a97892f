"""TD-MPC against numbers that the authors' own code computed (``golden/README.md``), and against hand values."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from hdream_core.agent import make_agent
from hdream_core.config.presets import make_config
from hdream_core.data.store import EpisodeStore, Field
from hdream_core.spec import ActionSpec, Spec
from hdream_core.tdmpc import noise
from hdream_core.tdmpc.frames import in_unit_range, shift, shifted, stacks
from hdream_core.tdmpc.replay import PrioritizedReplay

GOLDEN = Path(__file__).parent / "golden" / "tdmpc.safetensors"
WITHIN = 1e-5  # of a number, or of an array's largest element
GRADIENTS_WITHIN = 3e-5  # of an array's largest element
LR = 3e-4
SPEC = Spec((64, 64, 3), ActionSpec("continuous", 3), 12)
EPISODE, HORIZON, REACH = 12, 3, 3
SIZES = {
    "agent.model.channels": 4,
    "agent.model.latent": 10,
    "agent.model.hidden": 16,
    "agent.planner.horizon": HORIZON,
    "agent.planner.samples": 60,
    "agent.planner.elites": 8,
    "agent.planner.iterations": 4,
    "train.length": 3 + HORIZON,
    "train.device": "cpu",
}


@pytest.fixture(scope="module")
def golden():
    """The file's arrays by name, with its scalars among them."""
    with safe_open(GOLDEN, "pt") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  the file is no mapping
        return arrays | json.loads(file.metadata()["expected"])


def part(golden, kind):
    return {key.removeprefix(f"{kind}/"): value for key, value in golden.items() if key.startswith(f"{kind}/")}


def close(ours, theirs, within=WITHIN):
    assert ours.shape == theirs.shape
    assert (ours.detach() - theirs).abs().max().item() <= within * theirs.abs().max().clamp(min=1e-6).item()


class Tape:
    """Plays recorded random numbers in place of drawn ones, each of the shape that is asked for."""

    def __init__(self, monkeypatch, normals=(), shifts=None, choice=None):
        self.normals, self.shifts, self.chosen = list(normals), shifts, choice
        for name in ("normal", "choice") + (("shifts",) if shifts is not None else ()):
            monkeypatch.setattr(noise, name, getattr(self, f"next_{name}"))

    def next_normal(self, *shape, device):
        return self.normals.pop(0).reshape(shape)

    def next_shifts(self, *shape, reach, device):
        assert reach == REACH
        return self.shifts.long().reshape(shape) - reach  # the file counts from the corner of the padded picture

    def next_choice(self, weights):
        return torch.tensor([self.chosen])


def agent_of(golden, **changes):
    agent = make_agent(make_config("lever_pull", "paper", "tdmpc", SIZES | changes), SPEC)
    for kind, target in (("weights", False), ("target_weights", True)):
        weights = part(golden, kind)
        policy = {name.removeprefix("policy."): w for name, w in weights.items() if name.startswith("policy.")}
        model = {name: w for name, w in weights.items() if not name.startswith("policy.")}
        if target:
            mine = agent.target.state_dict()
            agent.target.load_state_dict({name: w for name, w in model.items() if name in mine})
        else:
            agent.model.load_state_dict(model)
            agent.behavior.load_state_dict(policy)
    return agent


def row(index):
    """The row of our store of a transition of theirs: our episodes have a row more, the last frame."""
    return index // EPISODE * (EPISODE + 1) + index % EPISODE


@pytest.fixture
def replay(golden, tmp_path):
    """The file's two episodes in a store, and their priorities. Frames that it lacks are black, and never read."""
    fields = {
        "image": Field("|u1", (64, 64, 3)),
        "action": Field("<f4", (3,)),
        "reward": Field("<f4", ()),
        "is_terminal": Field("|b1", ()),
    }
    store = EpisodeStore(tmp_path / "store", fields)
    frames = golden["batch/frames"].movedim(2, -1).numpy()
    actions, rewards = (np.zeros((2, EPISODE + 1, *shape), np.float32) for shape in ((3,), ()))
    for i, window in enumerate(golden["per/index"].tolist()):
        episode, step = divmod(window, EPISODE)  # action and reward of a transition lie a row later here
        steps = slice(step + 1, step + 2 + HORIZON)
        actions[episode, steps] = golden["batch/action"][:, i]
        rewards[episode, steps] = golden["batch/reward"][:, i]
    for episode in range(2):
        image = np.zeros((EPISODE + 1, 64, 64, 3), np.uint8)
        image[: frames.shape[1]] = frames[episode]
        ends = np.zeros(EPISODE + 1, bool)
        store.append({"image": image, "action": actions[episode], "reward": rewards[episode], "is_terminal": ends})
    return PrioritizedReplay(make_config("lever_pull", "paper", "tdmpc", SIZES), store)


def batch_of(golden, replay):
    replay.restore(ours(golden["per/priorities"]))
    windows = replay.windows(np.array([row(i) for i in golden["per/index"].tolist()]), 3 + HORIZON)
    return {name: torch.from_numpy(x) for name, x in windows.items()}


def ours(priorities):
    """Their priorities of transitions, by row of our store."""
    values = np.zeros(2 * (EPISODE + 1), np.float32)
    values[[row(i) for i in range(2 * EPISODE)]] = priorities.numpy()
    return values


def test_windows_are_drawn_and_weighed_as_theirs(golden, replay):
    rng = np.random.default_rng(0)
    replay.starts(rng, 3, 3 + HORIZON)
    assert np.array_equal(replay.priorities, ours(golden["per/priorities_after_adding"]))
    assert np.count_nonzero(replay.priorities) == sum(golden["per/new_priorities_nonzero_rows"])
    batch = batch_of(golden, replay)
    assert torch.allclose(batch["importance"], golden["per/weights"], rtol=WITHIN)
    drawn = np.bincount(replay.starts(rng, 200_000, 3 + HORIZON), minlength=2 * (EPISODE + 1)) / 200_000
    assert np.abs(drawn - ours(golden["per/sampling_probabilities"])).max() < 5e-3
    assert not drawn[replay.priorities == 0].any()
    # A window's first stack is the file's frames t-2, t-1 and t, the first one repeated.
    for i, window in enumerate(golden["per/index"].tolist()):
        episode, step = divmod(window, EPISODE)
        frames = golden["batch/frames"][episode, [max(step - back, 0) for back in (2, 1, 0)]]  # (3, 3, 64, 64)
        first = stacks(batch["image"], batch["is_first"], 3)[i, 2]
        assert torch.equal(first, frames.flatten(0, 1).movedim(0, -1))


@pytest.mark.parametrize("kind", ["update", "update_augmented"])
def test_an_update_is_the_authors(golden, replay, monkeypatch, kind):
    agent, batch, theirs = agent_of(golden), batch_of(golden, replay), part(golden, kind)
    shifts = theirs["shift"] if "shift" in theirs else torch.full((4, 3, 2), REACH)
    tape = Tape(monkeypatch, [theirs["policy_noise"]] * 2 + [theirs["policy_loss_noise"]], shifts)
    weighed, plain = batch["importance"], batch | {"importance": torch.ones(3)}
    losses = {name: loss.item() for name, loss in agent.losses(plain).items()}
    assert losses == pytest.approx({name: theirs[f"{name}_loss"] for name in losses}, rel=WITHIN)
    total = sum(weight * losses[name] for name, weight in (("consistency", 2), ("reward", 0.5), ("value", 0.1)))
    assert total == pytest.approx(theirs["total_loss"], rel=WITHIN)
    assert not torch.allclose(weighed, torch.ones(3))
    metrics = agent.update(batch)
    assert metrics["loss/total"].item() == pytest.approx(theirs["weighted_loss"], rel=WITHIN)
    assert metrics["grad_norm/model"].item() == pytest.approx(theirs["grad_norm"], rel=GRADIENTS_WITHIN)
    # The policy's loss reads the model after Adam's step, which amplifies rounding where gradients are near zero.
    assert metrics["loss/actor"].item() == pytest.approx(theirs["pi_loss"], rel=1e-4)
    starts = np.array([row(i) for i in golden["per/index"].tolist()])
    replay.reprioritise(starts, metrics["priority"].numpy())
    close(torch.from_numpy(replay.priorities[starts]), theirs["priorities_after"])
    assert not tape.normals
    if kind == "update":
        check_what_the_update_left(agent, golden)


def check_what_the_update_left(agent, golden):
    """Gradients (the clip does not act), parameters after Adam, and the slow copies."""
    parameters = dict(agent.model.named_parameters())
    parameters |= {f"policy.{name}": p for name, p in agent.behavior.named_parameters()}
    for kind in ("gradient", "policy_gradient"):
        for name, gradient in part(golden, kind).items():
            close(parameters[name].grad, gradient, GRADIENTS_WITHIN if kind == "gradient" else 1e-3)
    for name, after in part(golden, "after").items():
        assert (parameters[name] - after).abs().max() < 1e-3 * LR, name
    target = dict(agent.target.named_parameters())
    for name, after in part(golden, "target_after").items():
        if not name.startswith("policy."):  # which no target reads
            assert (target[name] - after).abs().max() < 1e-3 * LR, name
            assert not torch.equal(after, golden[f"target_weights/{name}"])


def test_values_of_sequences_are_the_authors(golden, monkeypatch):
    agent, theirs = agent_of(golden), part(golden, "value")
    frames = golden["batch/frames"][0, 3:6].flatten(0, 1).movedim(0, -1)[None]
    z = agent.model.encode(frames)
    close(z, theirs["latent"])
    Tape(monkeypatch, [theirs["policy_noise"]])
    value = agent.player.value(z[:, None].expand(-1, 6, -1), theirs["actions"][:, None])
    close(value[0], theirs["estimate"])


@pytest.mark.parametrize(("kind", "step"), [("plan_train", 15_000), ("plan_eval", 20_000)])
def test_plans_are_the_authors(golden, monkeypatch, kind, step):
    agent, theirs = agent_of(golden, **{"agent.planner.horizon": 5}), part(golden, kind)
    agent.schedule.follow(step)
    assert float(agent.schedule.std) == pytest.approx(theirs["std_floor"])
    explore = kind == "plan_train"
    rounds = zip(theirs["noise"], theirs["value_noise"], strict=True)
    normals = [*theirs["policy_noise"], *(x for pair in rounds for x in pair)]
    normals += [theirs["action_noise"]] if explore else []
    tape = Tape(monkeypatch, normals, choice=golden["plan/chosen_elite"])
    start = torch.zeros(HORIZON, 1, 3)
    if explore:
        start[:-1] = theirs["previous_mean"][1:, None]
    frames = golden["batch/frames"][0, 3:6].flatten(0, 1).movedim(0, -1)[None]
    with torch.no_grad():
        action, mean = agent.player.plan(agent.model.encode(frames), start, theirs["std_floor"], explore)
    close(mean[:, 0], theirs["mean"])
    close(action[0], theirs["action"])
    assert not tape.normals


def test_schedules_are_the_authors(golden):
    schedule = agent_of(golden, **{"agent.planner.horizon": 5}).schedule
    found = []
    for step in (0, 200, 6249, 6250, 12_500, 25_000, 30_000):
        schedule.follow(step)
        found.append((float(schedule.std), float(schedule.horizon)))
    std, horizon = zip(*found, strict=True)
    wanted = golden["schedule/std_at_0_200_12500_25000_30000"]
    assert [std[i] for i in (0, 1, 4, 5, 6)] == pytest.approx(wanted)
    assert list(horizon[:6]) == golden["schedule/horizon_at_0_200_6249_6250_12500_25000"] and horizon[6] == 5


def test_shifts_are_the_authors_and_those_of_grid_sample(golden):
    theirs = part(golden, "augment")
    picture = theirs["input"].movedim(1, -1).expand(3, -1, -1, -1)
    moved = in_unit_range(shift(picture, theirs["shift"].long() - REACH))
    close(moved[:, :3] * 255, theirs["output"] * (255 if theirs["output"].max() <= 1 else 1))
    # And by sampling the padded picture at the centres of the pixels that a shift moves there.
    padded = F.pad(in_unit_range(picture), (REACH,) * 4, mode="replicate")
    side = padded.shape[-1]
    axis = (2 * torch.arange(64) + 1) / side - 1
    x, y = (axis + 2 * theirs["shift"][:, i, None] / side for i in (0, 1))
    grid = torch.stack([x[:, None, :].expand(-1, 64, -1), y[:, :, None].expand(-1, -1, 64)], -1)
    close(moved, F.grid_sample(padded, grid, align_corners=False))


def test_each_picture_is_shifted_by_every_number_of_pixels_in_reach():
    torch.manual_seed(0)
    ramp = torch.arange(64, dtype=torch.uint8)
    picture = torch.stack(torch.meshgrid(ramp, ramp, indexing="xy"), -1).expand(500, -1, -1, -1)  # x and y as colours
    middle = shifted(picture)[:, 32, 32].long() - 32  # (500, 2)
    for axis in (0, 1):
        assert set(middle[:, axis].tolist()) == set(range(-REACH, REACH + 1))
    assert len({tuple(pair) for pair in middle.tolist()}) > 40
