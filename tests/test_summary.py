"""Intervals and verdicts of a sweep, by the rule written down beforehand."""

import numpy as np
import pytest

from analysis.results import comparisons, summary
from analysis.results.schema import load, save
from analysis.results.stats import Interval, seed_interval
from tests.made_up import result


def sweep_result(error, returns):
    """A result of two methods with given per-seed held-out errors ``(method, seed, window)`` and final returns."""
    r = result()
    error, returns = np.asarray(error, float), np.asarray(returns, float)
    r.axes |= {"seed": np.arange(error.shape[1]), "window": np.arange(error.shape[2]), "step": np.array([0, 50, 100])}
    curve = np.stack([returns, returns, np.full_like(returns, np.nan)], -1)  # nobody has reached the last step
    r.data = {"return": (("method", "seed", "step"), curve), "window/error": (("method", "seed", "window"), error)}
    r.data["window/episode"] = (("window",), np.repeat(np.arange(error.shape[2] // 2), 2).astype(float))
    r.notes = {"final": comparisons.final_intervals(r)}
    return comparisons.add(r)


def test_final_intervals_take_the_last_step_that_every_run_reached():
    r = sweep_result(np.zeros((2, 2, 4)), [[1, 3], [5, 7]])
    assert r.notes["final"]["return"]["step"] == 50
    assert r.notes["final"]["return"]["w_r=1"]["mean"] == 2 and r.notes["final"]["return"]["w_r=100"]["mean"] == 6


def test_verdict_needs_both_episodes_and_seeds():
    rng = np.random.default_rng(0)
    base = rng.gamma(1.0, 1.0, (1, 3, 200))
    better = np.concatenate([base, base - 0.3 + rng.normal(0, 0.1, base.shape)])
    shown = sweep_result(better, [[1, 2, 3], [10, 11, 13]])
    seeds, episodes = comparisons.difference(shown, "window/error", "w_r=100", "w_r=1")
    assert [seeds.mean, episodes.mean] == pytest.approx([(better[1] - better[0]).mean()] * 2) and episodes.high < 0
    assert seeds == seed_interval((better[1] - better[0]).mean(1))
    back = comparisons.difference(shown, "window/error", "w_r=1", "w_r=100")
    assert back == [Interval(-span.mean, -span.high, -span.low) for span in (seeds, episodes)]
    text = summary.verdict(shown, "w_r=100")
    assert text.startswith("against w_r=1: return higher") and text.endswith(", lower")
    # The same mean difference, but the seeds disagree wildly: episodes alone would call it lower.
    seeds = np.array([-2.0, 0.2, 0.9])[None, :, None]
    torn = sweep_result(np.concatenate([base, base + seeds + rng.normal(0, 0.1, base.shape)]), [[1, 5, 9], [2, 5, 11]])
    assert comparisons.difference(torn, "window/error", "w_r=100", "w_r=1")[1].high < 0
    text = summary.verdict(torn, "w_r=100")
    assert "return not shown to differ" in text and text.endswith("not shown to differ at this scale")


@pytest.mark.parametrize("windows", [40, 4])
def test_a_summary_of_one_seed_says_so_and_never_nan(windows, tmp_path):
    """Four windows of two episodes are too few for an interval, as is one seed."""
    one = sweep_result(np.stack([np.ones((1, windows)), np.full((1, windows), 0.5)]), [[1], [2]])
    lines = summary.lines(one)
    assert "nan" not in "\n".join(lines).lower() and "_" not in lines[0].replace("w_r", "")
    assert "one seed has no interval" in lines[-1] and (lines[-1].endswith("lower in this one run") or windows == 4)
    assert summary.lines(load(save(one, tmp_path / "r.h5"))) == lines
