"""analysis.rivals: what learning costs, against numbers by hand, and the study through its command."""

import numpy as np
import pytest

from analysis import rivals
from analysis.ledger.entries import read_claims
from analysis.ledger.verdicts import REPRODUCED, ResultFiles
from analysis.results import costs
from analysis.results.schema import load
from hdream_core.runs import folder as run_folder
from tests import made_up
from tests.refusals import places

METHODS = ("w_r=1", "harmony", "tdmpc")


def learned(device: str = "Some processor, 2 cores"):
    """Three methods and two seeds; the last makes five times as many updates. Updates begin just before step 40."""
    found = made_up.policies_of([[1, 2], [5, 6], [3, 3.5]], METHODS)
    found.attributes |= {"device": device, "study": "rivals"}
    found.axes["log_step"] = np.array([40, 80, 100])
    made = np.array([[2, 8, 12], [2, 8, 12], [10, 40, 60]], float)
    found.data |= {
        "updates": (("method", "seed", "log_step"), np.repeat(made[:, None], 2, 1)),
        "seconds/wall": (("method", "seed"), np.full((3, 2), 240.0)),
        "seconds/cpu": (("method", "seed"), np.array([[60, 120], [60, 120], [180, 180]], float)),
    }
    return found


def test_updates_are_interpolated_and_seconds_spread_over_them():
    found = learned()  # evaluated at steps 0, 50 and 100
    np.testing.assert_allclose(costs.updates(found)[:, 0], [[0, 3.5, 12], [0, 3.5, 12], [0, 17.5, 60]])
    np.testing.assert_allclose(costs.seconds(found)[0], [[0, 17.5, 60], [0, 35, 120]])
    assert costs.lines(found)["tdmpc"] == "60 updates in 3 minutes"
    found.data["return"][1][0, 1, 2] = np.nan  # a run that has not come there yet
    assert np.isnan(costs.updates(found)[0, 1]).tolist() == [False, False, True]


@pytest.mark.parametrize(("device", "measured"), [("A GPU", costs.CORES), ("A processor, 2 cores", costs.CLOCK)])
def test_where_a_gpu_computes_or_cores_were_not_timed_the_wall_clock_counts(device, measured):
    found = learned(device)
    if measured == costs.CLOCK:
        del found.data[costs.CORES]
    assert costs.clock(found) == costs.CLOCK
    np.testing.assert_allclose(costs.seconds(found)[..., -1], 240)


def test_without_lines_of_metrics_no_cost_is_told():
    found = made_up.policies_of([[1, 2], [5, 6]])
    assert costs.lines(found) == {} and np.isnan(costs.updates(found)).all()


def test_claims_about_rivals_are_judged_by_their_area():
    (claim,) = (claim for claim in read_claims() if claim.entry.name == "fig_9a")
    found = learned()
    found.data["return"] = (("method", "seed", "step"), np.repeat([[[1.0], [1.1]], [[5], [5.1]], [[3], [3.2]]], 3, -1))
    (finding,) = claim.judge(ResultFiles([("file.h5", found)]))
    assert finding.verdict != REPRODUCED  # of two seeds
    three = made_up.policies_of([[1, 1.1, 1], [5, 5.1, 5.2], [3, 3.2, 3.1]], METHODS)
    three.attributes["study"] = "rivals"
    (finding,) = claim.judge(ResultFiles([("file.h5", three)]))
    assert finding.verdict == REPRODUCED and finding.value.mean == pytest.approx(2.0)


def test_methods_are_trained_compared_and_drawn_by_the_command(tmp_path, capsys):
    words = ["--preset", "smoke", "--methods", "w_r=1", "harmony_dreamerpro", "tdmpc", *places(tmp_path)]
    rivals.main(words)
    source = tmp_path / "results" / "rivals_mini_lever_smoke.h5"
    found, said = load(source), capsys.readouterr().out
    assert "tdmpc: 80 updates in" in said and (tmp_path / "out" / f"{source.stem}.png").exists()
    for method, took in zip(found.methods, costs.seconds(found)[:, 0, -1], strict=True):
        (run,) = (tmp_path / "runs").glob(f"*/mini_lever/{method}/0")
        assert took == run_folder.seconds(run).cpu > 0
