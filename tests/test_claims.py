"""The ledger and its command on the shipped results."""

import json

import h5py
import pytest

from analysis import claims, ledger
from analysis.results import load, save
from analysis.verdicts import NOT_MEASURED, REPRODUCED, VERDICTS, Shelf
from tests.test_judges import policies_of


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
        assert json.loads(file["notes"][()])["verdicts"] == list(VERDICTS)


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
    for name in ("claims.md", "claims.html"):
        assert (root / "docs" / name).read_text() == (tmp_path / name).read_text()
    assert claims.brief(rows) in (root / "README.md").read_text()
