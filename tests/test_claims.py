"""The ledger and its command on the shipped results."""

import json
import re
import shutil

import h5py
import pytest

from analysis import claims
from analysis.ledger import algebra, atari, changes, judged, missing, page, timing
from analysis.ledger.rows import CLAIMS, LEDGER
from analysis.ledger.verdicts import (
    NOT_MEASURED,
    NOT_REPRODUCED,
    NOT_SHOWN,
    REPRODUCED,
    UNDECIDABLE,
    VERDICTS,
    Shelf,
)
from analysis.results.schema import SHIPPED, ResultError, load, save
from tests.made_up import policies_of


@pytest.fixture(scope="module")
def rows():
    """The ledger of the shipped results."""
    shelf = Shelf((path.name, load(path)) for path in sorted(claims.SHIPPED.glob("*.h5")))
    return judged.table(shelf)


def test_missing_results_are_not_measured():
    found = {claim.name: claim.judge(Shelf([])) for claim in CLAIMS}
    computed = {name for name, findings in found.items() if findings[0].verdict != NOT_MEASURED}
    assert computed == {"prop_3_1", "prop_3_1_scale", "eq_13", "eq_5_scale", "fig_4", "cost"}
    assert all(len(found[name]) == 1 for name in found if name not in computed)


def test_claims_are_distinct_and_say_their_rule():
    for field in ("name", "text"):
        assert len({getattr(claim, field) for claim in CLAIMS}) == len(CLAIMS)
    assert all(claim.rule and claim.source and claim.text for claim in CLAIMS)
    assert all(claim.rule.startswith("not attempted: ") for claim in missing.CLAIMS)


def test_verdicts_keep_their_places_in_files():
    old = ("reproduced", "reproduced in part", "not reproduced", "not shown at this scale", "not measured")
    assert VERDICTS[: len(old)] == old


def test_algebra_is_judged_against_what_the_paper_says(monkeypatch):
    """A balancer that settles elsewhere, or a closed form that is another, is not reproduced."""
    judged = {claim.name: claim.judge for claim in algebra.CLAIMS}
    assert all(judge(Shelf([]))[0].verdict == REPRODUCED for judge in judged.values())
    minimised = algebra._minimised
    monkeypatch.setattr(algebra, "_minimised", lambda rectified, loss: minimised(not rectified, loss))
    assert all(judge(Shelf([]))[0].verdict == NOT_REPRODUCED for judge in judged.values())
    monkeypatch.setattr(algebra, "_minimised", lambda rectified, loss: 1.05 * minimised(rectified, loss))
    for name in ("prop_3_1", "prop_3_1_scale", "eq_13", "eq_5_scale"):
        assert judged[name](Shelf([]))[0].verdict == NOT_REPRODUCED


@pytest.mark.parametrize(("share", "expected"), [(0.0099, REPRODUCED), (0.0101, NOT_REPRODUCED)])
def test_cost_is_judged_where_it_was_measured_whole(share, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "DATA", tmp_path)
    with pytest.raises(ResultError, match=r"performance_cpu\.json: is missing"):
        timing.CLAIMS[0].judge(Shelf([]))
    for (name, _), preset in zip(timing.TIMINGS, ("cpu", "paper"), strict=True):
        harmonizers = {"share_of_update": share, "extra_s": 0.001}
        timed = {"harmonizers": harmonizers, "about": {"settings": {"preset": preset}, "device": "a machine"}}
        (tmp_path / name).write_text(json.dumps(timed))
    cpu, gpu = timing.CLAIMS[0].judge(Shelf([]))
    assert (cpu.verdict, cpu.scale) == (expected, "reduced") and (gpu.verdict, gpu.scale) == (NOT_MEASURED, "paper")
    assert "was not measured" in gpu.ours and "was not measured" not in cpu.ours


def test_every_check_of_table_2_is_in_the_ledger(rows):
    found = load(claims.SHIPPED / "atari_table.h5").notes["checks"]
    table = rows[rows["kind"] == "arithmetic of Table 2"]
    assert len(table) == len(found) == len(atari.CLAIMS)
    assert (table.verdict == UNDECIDABLE).sum() == sum(row["holds"] == "open" for row in found)
    assert NOT_SHOWN not in set(table.verdict) and NOT_MEASURED not in set(table.verdict)


def test_changes_are_of_claims_and_rows_that_there_are(rows):
    names = {claim.name for claim in CLAIMS}
    assert all(set(change.claims) <= names for change in changes.CHANGES)
    used = {note for notes in rows["notes"] for note in notes}
    assert used == {change.footnote for change in changes.CHANGES}


def test_changes_are_found_by_claim_and_by_file():
    for claim, source, word in (
        ("fig_2c", changes.UNSEEN, "data were chosen after"),
        ("fig_2c", changes.AGENTS, "widened"),
        ("finding_3", changes.MINIATURE, "not shown at this scale"),
        ("fig_23", "a.h5, b.h5", "in pairs"),
    ):
        assert any(word in change.footnote for change in changes.changes_of(claim, source))
    for claim, source in (  # rules that stood before, and a row without a result
        ("fig_2c_state", "state_regression_unseen_hammer_cpu.h5"),
        ("fig_3", "finding2_hammer_cpu.h5"),
        ("d_2_near_zero", "multitask_mini_lever_cpu.h5"),
        ("fig_23", ""),
    ):
        assert changes.changes_of(claim, source) == []


def test_changes_name_results_that_ship(rows):
    shipped = set(", ".join(rows["result"]).split(", "))
    assert {name for change in changes.CHANGES for name in change.files} <= shipped


def test_rows_that_an_earlier_rule_judges_otherwise_are_counted(rows):
    differs = set(rows[rows["differs"]]["name"])
    assert {"finding_1_return_others", "finding_3", "fig_9b_nashmtl", "fig_2c"} <= differs
    assert not {"finding_1_return", "fig_3"} & differs
    both = rows[rows["name"] == "fig_2c_state"].set_index("result")["differs"]
    assert both[changes.UNSEEN] and not both[changes.AGENTS]  # not shown, as by the paper's protocol
    _, said = page.preamble(rows)
    assert f"In {rows['differs'].sum()} of them the verdict is another" in said[-1]
    assert f"{rows['notes'].map(bool).sum()} of the {len(rows)} rows" in said[-1]


def test_a_verdict_before_that_is_the_present_one_does_not_differ(monkeypatch):
    change = changes.Change("x", earlier=REPRODUCED)
    monkeypatch.setattr(judged, "changes_of", lambda claim, source: [change] if source == "f.h5" else [])
    for returns, differs in (([[1, 2, 3], [11, 12, 14]], False), ([[1, 2, 3], [3, 1, 3]], True)):
        found = judged.table(Shelf([("f.h5", policies_of(returns))])).set_index("name").loc["finding_1_return"]
        assert found.differs == differs and found.notes == ["x Verdict before: reproduced."]


def test_head_counts_by_kind(rows):
    counts, _ = page.preamble(rows)
    assert [line.split(":")[0] for line in counts] == list(LEDGER)
    for line, (kind, some) in zip(counts, LEDGER.items(), strict=True):
        of_kind = rows[rows["kind"] == kind]
        assert re.search(rf"{len(some)} claims?, {len(of_kind)} rows", line)
        assert sum(map(int, re.findall(r"(\d+) [rnc]", line.split("rows: ")[1]))) == len(of_kind)


def test_pages_have_one_preamble_and_one_list_of_footnotes(rows):
    text, browsed = page.markdown(rows), page.html(rows)
    plain = re.sub(r"<[^>]*>", "", browsed)
    counts, said = page.preamble(rows)
    for line in (*counts, *said):
        assert line in text and line.replace("`", "") in plain
    notes = page.footnotes(rows)
    for note, number in notes.items():
        assert f"\n{number}. {note}\n" in text
    cited = {int(n) for marks in re.findall(r" \[([\d, ]+)\] \| \S+ \|\n", text) for n in marks.split(", ")}
    cited |= {int(n) for marks in re.findall(r" \[([\d, ]+)\] \| \S+, \S+ \|\n", text) for n in marks.split(", ")}
    assert cited == set(notes.values())


def test_command_writes_the_ledger_of_the_shipped_results(tmp_path, capsys):
    claims.main(["--out", str(tmp_path)])
    assert "ledger:" in capsys.readouterr().out
    text, browsed = (tmp_path / "claims.md").read_text(), (tmp_path / "claims.html").read_text()
    found = load(tmp_path / "claims.h5")
    rows = found.notes["rows"]
    assert len(rows) == len(found.axes["row"]) >= len(CLAIMS)
    for claim in CLAIMS:
        assert claim.text in text
    assert browsed.count("<tr") == len(rows) + 1
    assert all(set(row) == {"name", "kind", "notes", *claims.PRINTED} for row in rows)
    assert text.count("\n|") == len(rows) + 2  # a row each, head and rule
    with h5py.File(tmp_path / "claims.h5") as file:
        assert json.loads(file.attrs["notes"])["verdicts"] == list(VERDICTS)


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
    assert page.brief(rows) in (root / "README.md").read_text()


def test_results_of_preset_smoke_are_left_out_and_named(tmp_path, capsys):
    shutil.copytree(SHIPPED, tmp_path / "results")
    whole = len(judged.judged(tmp_path / "results"))
    assert not capsys.readouterr().err
    found = load(tmp_path / "results" / "finding1_mini_lever_cpu.h5")
    found.attributes["preset"] = "smoke"
    save(found, tmp_path / "results" / "finding1_mini_lever_smoke.h5")
    assert len(judged.judged(tmp_path / "results")) == whole
    said = capsys.readouterr().err
    assert "1 file" in said and "finding1_mini_lever_smoke.h5" in said and said.count("\n") == 1
