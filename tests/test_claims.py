"""The ledger: rules of verdicts on made-up results, and its command on the shipped ones."""

import json

import h5py
import numpy as np
import pytest

from analysis import claims, judges, ledger
from analysis.judges import NOT_MEASURED, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, Shelf
from analysis.results import load, save
from analysis.stats import Interval
from tests.test_results import result


@pytest.mark.parametrize(
    ("spans", "want", "expected"),
    [
        ([(0.1, 0.5)], 1, REPRODUCED),
        ([(0.1, 0.5)], -1, NOT_REPRODUCED),
        ([(-0.5, -0.1)], -1, REPRODUCED),
        ([(-0.1, 0.5)], 1, NOT_SHOWN),
        ([(0.1, 0.5), (-0.1, 0.6)], 1, NOT_SHOWN),  # all intervals must leave out zero
        ([(0.1, 0.5), (0.2, 0.6)], 1, REPRODUCED),
        ([(np.nan, np.nan)], 1, NOT_SHOWN),
    ],
)
def test_rule_of_verdicts(spans, want, expected):
    found = [Interval(0.0, low, high) for low, high in spans]
    assert judges.verdict(found, want, seeds=3) == expected
    assert judges.verdict(found, want, seeds=2) == NOT_SHOWN  # two seeds show nothing


def test_rule_of_no_worse():
    assert judges.verdict([Interval(0, -0.04, 0.3)], 1, 3, margin=0.05) == REPRODUCED
    assert judges.verdict([Interval(0, -0.06, 0.3)], 1, 3, margin=0.05) == NOT_SHOWN
    assert judges.verdict([Interval(0, -0.3, -0.06)], 1, 3, margin=0.05) == NOT_REPRODUCED
    assert judges.verdict([Interval(0, -0.3, 0.04)], -1, 3, margin=0.05) == REPRODUCED


def policies_of(returns, methods=("w_r=1", "w_r=100"), mode="online"):
    found = result()
    returns = np.asarray(returns, float)  # (method, seed)
    found.attributes |= {"study": "finding1", "preset": "cpu", "mode": mode}
    found.axes |= {"seed": np.arange(returns.shape[1]), "method": np.array(methods)}
    found.data = {"return": (("method", "seed", "step"), np.repeat(returns[..., None], 3, -1))}
    return found


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([[1, 2, 3], [11, 12, 14]], REPRODUCED),
        ([[11, 12, 14], [1, 2, 3]], NOT_REPRODUCED),
        ([[1, 2, 3], [3, 1, 3]], NOT_SHOWN),
        ([[1], [9]], NOT_SHOWN),
    ],
)
def test_policies_are_compared_in_pairs_of_seeds(returns, expected):
    (finding,) = judges.curves("return", None, "w_r=1")(Shelf([("file.h5", policies_of(returns))]))
    assert finding.verdict == expected and finding.source == "file.h5" and finding.scale == "reduced"
    assert finding.value.mean == pytest.approx(np.mean(returns[1]) - np.mean(returns[0]))


def test_area_under_the_curve_counts_not_the_end():
    found = policies_of([[1, 2, 3], [11, 12, 14]])
    found.data["return"][1][:, :, -1] = 50.0  # all end alike
    (finding,) = judges.curves("return", None, "w_r=1")(Shelf([("file.h5", found)]))
    assert finding.verdict == REPRODUCED


def test_what_cannot_be_judged_is_left_out():
    judge = judges.curves("return", None, "w_r=1")
    unfinished = policies_of([[1, 2, 3], [11, 12, 14]])
    unfinished.attributes["complete"] = False
    offline = policies_of([[1, 2, 3], [11, 12, 14]], mode="offline")
    others = policies_of([[1, 2, 3], [11, 12, 14]], methods=("w_r=10", "w_r=100"))
    for found in (unfinished, offline, others):
        assert judge(Shelf([("file.h5", found)])) == [judges.MISSING]


def test_the_best_of_several_references_is_taken():
    found = policies_of([[1, 2, 3], [11, 12, 14], [8, 9, 10]], ("w_r=10", "w_r=100", "harmony"))
    found.attributes["study"] = "ablations"
    (finding,) = judges.curves("return", "harmony", "w_r=10|w_r=100", study="ablations")(Shelf([("f", found)]))
    assert "w_r=100" in finding.ours and "w_r=10 " not in finding.ours and finding.verdict == NOT_REPRODUCED


def test_dreams_need_seeds_and_episodes_to_agree():
    rng = np.random.default_rng(0)
    found = policies_of([[0, 0, 0], [0, 0, 0]], mode="offline")
    base = rng.gamma(1.0, 1.0, (3, 60))
    found.axes["window"] = np.arange(60)
    found.data["window/episode"] = (("window",), np.repeat(np.arange(10), 6).astype(float))
    judge = judges.dreams(None, "w_r=1")
    for shift, expected in ((np.array([0.3, 0.31, 0.33]), REPRODUCED), (np.array([2.0, 0.1, -0.9]), NOT_SHOWN)):
        errors = np.stack([base, base - shift[:, None]])
        found.data["window/error"] = (("method", "seed", "window"), errors)
        (finding,) = judge(Shelf([("file.h5", found)]))
        assert finding.verdict == expected


def counterfactual_of(hallucinations, misses):
    """Made-up rates: paired differences to w_r = 1 with the given ends over seeds."""
    found = policies_of([[0, 0, 0], [0, 0, 0]], mode="offline")
    found.attributes["study"] = "counterfactual"
    found.notes = {"final": {"reference": "w_r=1"}}
    for name, (low, high) in (("hallucination", hallucinations), ("miss", misses)):
        span = {"mean": (low + high) / 2, "low": low, "high": high}
        row = {f"paired_over_{over}": span for over in ("seeds", "episodes")} | {"over_seeds": span}
        found.notes["final"][f"reward/{name}_rate"] = {"cases": 9, "w_r=1": row, "w_r=100": row}
    return found


def test_a_model_that_dreams_of_nothing_does_not_win():
    judge = judges.wrong_dreams("reward", "hallucination")
    for misses, expected in (((-0.1, 0.04), REPRODUCED), ((-0.1, 0.1), NOT_SHOWN), ((0.2, 0.4), NOT_SHOWN)):
        (finding,) = judge(Shelf([("file.h5", counterfactual_of((-0.3, -0.1), misses))]))
        assert finding.verdict == expected
    (finding,) = judges.wrong_dreams("reward", "miss", 0.05)(
        Shelf([("file.h5", counterfactual_of((-0.3, -0.1), (-0.1, 0.04)))])
    )
    assert finding.verdict == REPRODUCED  # no more misses, within the margin


def test_a_probe_that_sees_motion_everywhere_or_nowhere_is_not_judged():
    found = counterfactual_of((-0.3, -0.1), (-0.1, 0.0))
    found.notes["final"] |= {name.replace("reward", "object"): row for name, row in found.notes["final"].items()}
    for floor, seen, expected in ((0.1, 0.8, REPRODUCED), (0.9, 0.9, NOT_MEASURED), (0.1, 0.2, NOT_MEASURED)):
        for key, value in (("floor", floor), ("seen", seen)):
            found.data[f"object/{key}"] = (("method", "seed"), np.full((2, 3), value))
        (finding,) = judges.wrong_dreams("object", "hallucination")(Shelf([("file.h5", found)]))
        assert finding.verdict == expected


def test_missing_results_are_not_measured():
    for claim in ledger.CLAIMS:
        for finding in claim.judge(Shelf([])):
            assert finding.verdict in (NOT_MEASURED, REPRODUCED)
    computed = {c.name for c in ledger.CLAIMS if c.judge(Shelf([]))[0].verdict == REPRODUCED}
    assert computed == {"prop_3_1", "eq_13", "fig_4", "cost"}


def test_claims_are_distinct_and_say_their_rule():
    assert len({claim.name for claim in ledger.CLAIMS}) == len(ledger.CLAIMS)
    assert all(claim.rule and claim.source and claim.text for claim in ledger.CLAIMS)


def test_command_writes_the_ledger_of_the_shipped_results(tmp_path, capsys):
    claims.main(["--out", str(tmp_path)])
    assert "ledger:" in capsys.readouterr().out
    text, page = (tmp_path / "claims.md").read_text(), (tmp_path / "claims.html").read_text()
    found = load(tmp_path / "claims.h5")
    rows = found.notes["rows"]
    assert len(rows) == len(found.axes["row"]) >= len(ledger.CLAIMS)
    for claim in ledger.CLAIMS:
        assert claim.text in text
    assert page.count("<tr") == len(rows) + 1
    assert text.count("\n|") == len(rows) + 2  # a row each, head and rule
    with h5py.File(tmp_path / "claims.h5") as file:
        assert json.loads(file["notes"][()])["verdicts"] == list(judges.VERDICTS)


def test_results_of_preset_smoke_are_left_out(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    found = policies_of([[1, 2, 3], [11, 12, 14]])
    found.attributes["preset"] = "smoke"
    save(found, tmp_path / "in" / "finding1_lever_pull_smoke.h5")
    rows = claims.run(claims.Claims(tmp_path / "in", tmp_path / "out"))
    assert (rows[rows["name"] == "finding_1_return"].verdict == NOT_MEASURED).all()


def refused(capsys, folder):
    with pytest.raises(SystemExit) as stop:
        claims.main(["--results", str(folder), "--out", str(folder / "out")])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1
    return error


def test_bad_folders_and_files_are_one_line(tmp_path, capsys):
    assert "no such folder" in refused(capsys, tmp_path / "none")
    (tmp_path / "odd.h5").write_bytes(b"junk")
    assert "odd.h5" in refused(capsys, tmp_path)


def test_documents_hold_the_ledger_of_the_shipped_results(tmp_path):
    """After new results: ``python -m analysis.claims --out docs``, and its ``--brief`` table into the README."""
    rows = claims.run(claims.Claims(out=tmp_path))
    root = claims.SHIPPED.parent.parent
    assert (root / "docs" / "claims.md").read_text() == (tmp_path / "claims.md").read_text()
    assert claims.brief(rows) in (root / "README.md").read_text()
