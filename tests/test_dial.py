"""mini_dial: its dials, the price of its lever's place against closed forms, and the study through its command."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import dial
from analysis.ledger import judges_of_dial  # noqa: F401  lists its judges
from analysis.ledger.verdicts import IN_PART, JUDGES, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, ResultFiles
from analysis.models.information import POSTERIOR_SHARE, Price, price
from analysis.results import comparisons
from analysis.results.schema import Result, load
from hdream_core import envs
from hdream_core.envs.miniature import BLUE
from offline_buffers.behaviors import behavior_of, play
from tests.refusals import refused

GREY = 120  # of a plain background


def saved(env, x: float, y: float, tip: tuple[float, float] = (2.0, 30.0)) -> np.ndarray:
    """A state with the lever at rest at a place, and the tip somewhere else."""
    env.reset(options={"episode": 0})
    env.tip, env.lever_x, env.rest_y, env.lifted = np.array(tip), x, y, 0.0
    return env.save_state()


@given(seed=st.integers(0, 5), at=st.integers(0, 20), contrast=st.sampled_from([0.0, 0.1, 1.0]))
@settings(max_examples=15, deadline=None)
def test_states_restore_frames_and_rewards(seed, at, contrast):
    first, second = (envs.make("mini_dial", seed=s, contrast=contrast, background=3) for s in (seed, 77))
    first.reset()
    actions = np.random.default_rng(1).uniform(-1, 1, (30, 2))
    for action in actions[:at]:
        first.step(action)
    np.testing.assert_array_equal(second.restore_state(first.save_state())["image"], first.render_image())
    for action in actions[at:]:
        (one, *rest), (other, *same) = first.step(action), second.step(action)
        np.testing.assert_array_equal(one["image"], other["image"])
        assert rest == same and 0 <= rest[0] <= 1


@pytest.mark.parametrize("lever", [1, 3, 5])
@pytest.mark.parametrize("contrast", [0.0, 0.1, 1.0])
def test_dials_set_the_lever_and_nothing_else(lever, contrast):
    env = envs.make("mini_dial", lever=lever, contrast=contrast, background=0)
    empty = envs.make("mini_dial", lever=lever, contrast=0, background=0)
    changed = env.look_at(saved(env, 10, 8))[0].astype(int) - empty.look_at(saved(empty, 10, 8))[0]
    assert np.argwhere(changed.any(-1)).tolist() == [
        [y, x]
        for y in range(8 - lever // 2, 9 + lever // 2)
        for x in range(10 - lever // 2, 11 + lever // 2)
        if contrast
    ]
    expected = np.trunc(GREY + contrast * (np.array(BLUE) - GREY)) - GREY if contrast else np.zeros(3)
    np.testing.assert_array_equal(changed[8, 10], expected)


def test_the_reward_is_found_by_going_there():
    """It falls with the distance, is half its range beneath the lever at rest, and the expert earns it."""
    env = envs.make("mini_dial", seed=1, reward=2.0)
    near = [env.look_at(saved(env, 10, 10, tip=(10.0 + far, 12.5)))[1] for far in (0, 2, 4, 8, 16)]
    assert near[0] == pytest.approx(1.0) and near == sorted(near, reverse=True) and near[-1] < 0.01
    assert near[2] == pytest.approx(np.exp(-0.5))
    earned = {}
    for source in ("expert", "random"):
        episodes = []
        for k in range(10):
            env.reset(options={"episode": k})
            rng = np.random.default_rng(k)
            acts = env.expert_action if source == "expert" else lambda rng=rng: rng.uniform(-1, 1, 2)
            episodes.append(sum(env.step(acts())[1] for _ in range(50)))
        earned[source] = np.mean(episodes)
    assert earned["expert"] > 4 * earned["random"]


@pytest.mark.parametrize("contrast", [1.0, 0.2])
def test_the_price_is_that_of_the_closed_form(contrast):
    """Two episodes of one frame, plain grey, levers apart: 9 pixels differ twice; a tip beneath one of them is paid."""
    env = envs.make("mini_dial", contrast=contrast, reward=3.0, background=0)
    far, near = (
        price(env, [{"sim_state": saved(env, *place, tip)[None]} for place in ((8, 8), (20, 12))], 25, pairs=10)
        for tip in ((2.0, 30.0), (8.0, 10.5))
    )
    step = np.trunc(GREY + contrast * (np.array(BLUE) - GREY)) - GREY
    assert far.observation == pytest.approx(2 * 9 * np.square(step / 255).sum() / 4)
    gap = 3.0 * 0.5 * (1 - np.exp(-0.5 * (12**2 + 4**2) / 16))
    assert near.reward == pytest.approx(gap**2 / 4) and far.reward < 1e-6
    assert near.dynamics == far.dynamics == pytest.approx(POSTERIOR_SHARE * np.log(13 * 5) / 25)


def test_dimmer_levers_save_less_and_take_a_larger_weight():
    found = []
    for contrast in (1.0, 0.3, 0.1, 0.03):
        env = envs.make("mini_dial", seed=5, contrast=contrast)
        found.append(price(env, [play(env, behavior_of("scripted", 5, k), k) for k in range(20)], 25, pairs=200))
    saves, weights = [p.observation for p in found], [p.threshold() for p in found]
    assert saves == sorted(saves, reverse=True) and weights == sorted(weights)
    assert saves[0] / saves[1] == pytest.approx(1 / 0.09, rel=0.1)  # as the square of the contrast
    assert len({p.dynamics for p in found}) == 1 and len({p.reward for p in found}) == 1


@pytest.mark.parametrize(
    ("saves", "reward", "costs", "weight"),
    [(0.1, 0.01, 0.3, 20), (0.3, 0.01, 0.1, 0), (0.1, 0.0, 0.3, np.inf), (0.3, 0.0, 0.1, 0)],
)
def test_the_weight_makes_up_what_the_frames_do_not_save(saves, reward, costs, weight):
    assert Price(saves, reward, costs).threshold() == pytest.approx(weight)
    assert Price(saves, reward, costs).threshold(w_o=0) == pytest.approx(costs / reward if reward else np.inf)


def test_the_study_through_its_command(tmp_path, capsys):
    places = [f"--{place}={tmp_path / place}" for place in ("runs", "results", "out")]
    words = [*places, "--preset", "smoke", "--contrast", "1,0.1", "--w-r", "100", "--no-harmony"]
    dial.main([*words, "--plan-only"])
    assert "w_r* = 0" in capsys.readouterr().out and not (tmp_path / "runs").exists()
    dial.main(words)
    found = load(tmp_path / "results" / "dial_mini_dial_smoke.h5")
    assert found.methods == ["contrast=1,w_r=100", "contrast=0.1,w_r=100"]
    assert [found.config[method]["env"]["contrast"] for method in found.methods] == [1.0, 0.1]
    assert found.values("place_known").shape == (2, 1) and (found.values("place_known") <= 1).all()
    predicted = found.notes["prediction"]
    assert predicted["1"]["observation"] > 20 * predicted["0.1"]["observation"]
    assert predicted["1"]["w_r"] == 0 and found.notes["protocol"]["played"]["expert"] > 30
    assert (tmp_path / "out" / "dial_mini_dial_smoke.png").exists()


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        (["--task", "mini_lever"], "mini_lever"),
        (["--contrast", "2"], "contrast"),
        (["--contrast", "1", "1.0"], "contrast=1"),
        (["--w-r"], "--w-r"),
    ],
)
def test_refusals(odd, named, tmp_path, capsys):
    refused(capsys, dial.main, ["--preset", "smoke", f"--runs={tmp_path}", "--plan-only", *odd], named)


def judged(known, returns):
    """What both judges say of three seeds of w_r 1 and 100 at two contrasts, predicted to matter at 0.1 alone."""
    methods = [f"contrast={contrast},w_r={w_r}" for contrast in ("1", "0.1") for w_r in (1, 100)]
    spread = np.outer(1 + np.arange(4), [-0.01, 0.0, 0.01])  # (method, seed)
    data = {
        "place_known": (("method", "seed"), np.array(known)[:, None] + spread),
        "return": (("method", "seed", "step"), (np.array(returns)[:, None] + spread)[..., None]),
    }
    axes = {"method": np.array(methods), "seed": np.arange(3), "step": np.array([10])}
    found = Result({"study": "dial", "scale": "miniature", "task": "mini_dial"}, axes, data)
    found.notes["final"] = {"place_known": comparisons.by_method(found, found.values("place_known"))}
    found.notes["prediction"] = {"1": {"w_r": 0.0}, "0.1": {"w_r": 10.0}}
    files = ResultFiles([("dial.h5", comparisons.add(found))])
    return [JUDGES["dial_threshold"](3.0)(files)[0].verdict, JUDGES["dial_return"]()(files)[0].verdict]


def test_judges_ask_on_which_side_of_the_line_the_lever_is_known():
    assert judged([0.9, 0.9, 0.1, 0.9], [20, 20, 10, 20]) == [REPRODUCED, REPRODUCED]
    assert judged([0.9, 0.9, 0.9, 0.9], [20, 20, 20, 20]) == [IN_PART, NOT_SHOWN]
    assert judged([0.1, 0.1, 0.9, 0.1], [20, 20, 20, 20]) == [NOT_REPRODUCED, NOT_SHOWN]
    assert judged([0.9, 0.9, 0.1, 0.5], [20, 20, 20, 10]) == [NOT_SHOWN, NOT_REPRODUCED]
