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
        ([(0.1, 0.5), (-0.1, 0.6)], 1, NOT_SHOWN),  # both intervals must leave out zero
        ([(0.1, 0.5), (0.2, 0.6)], 1, REPRODUCED),
        ([(np.nan, np.nan)], 1, NOT_SHOWN),  # a single seed shows nothing
    ],
)
def test_rule_of_verdicts(spans, want, expected):
    assert judges.verdict([Interval(0.0, low, high) for low, high in spans], want) == expected
    assert judges.verdict([{"mean": 0.0, "low": low, "high": high} for low, high in spans], want) == expected


def policies_of(returns):
    found = result()
    returns = np.asarray(returns, float)  # (method, seed)
    found.attributes |= {"study": "finding1", "preset": "cpu"}
    found.axes["seed"] = np.arange(returns.shape[1])
    found.data = {"return": (("method", "seed", "step"), np.repeat(returns[..., None], 3, -1))}
    return found


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([[1, 2, 3], [11, 12, 13]], REPRODUCED),
        ([[11, 12, 13], [1, 2, 3]], NOT_REPRODUCED),
        ([[1, 2, 3], [3, 1, 3]], NOT_SHOWN),
        ([[1], [9]], NOT_SHOWN),
    ],
)
def test_policies_are_compared_in_pairs_of_seeds(returns, expected):
    (finding,) = judges.policies("return", None)(Shelf([("file.h5", policies_of(returns))]))
    assert finding.verdict == expected and finding.source == "file.h5" and finding.scale == "reduced"
    assert finding.value.mean == pytest.approx(np.mean(returns[1]) - np.mean(returns[0]))


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
    found = policies_of([[1, 2, 3], [11, 12, 13]])
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
