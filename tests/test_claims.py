"""The ledger, its files and its command on the shipped results."""

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from analysis import claims
from analysis.ledger import entries, judged, judges_without_runs, page
from analysis.ledger.verdicts import (
    JUDGES,
    NOT_MEASURED,
    NOT_REPRODUCED,
    NOT_SHOWN,
    REPRODUCED,
    UNDECIDABLE,
    VERDICTS,
    ResultFiles,
)
from analysis.results.schema import SHIPPED, ResultError, load, save
from hdream_core.support.errors import ConfigError
from tests.made_up import policies_of
from tests.refusals import refused

DOCS = Path(__file__).parents[1] / "docs"
MINIATURE = "finding1_mini_lever_cpu.h5"
CLAIM = """
[[runs]]
name = "fig_0"
text = "a is better"
source = "Fig. 0"
expected = "better"
rule = "It must be."
judge = "compared"
arguments = { method = "balanced weight", by = ["return"], reference = "w_r=1" }
"""
CHANGE = '[[change]]\ntext = "x."\nclaims = ["fig_0"]\nfiles = ["f.h5"]\nwithout = "reproduced"\n'


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of the pages and the file, as the command writes them from the shipped results beside the figures."""
    folder = tmp_path_factory.mktemp("ledger")
    (folder / "figures").symlink_to(DOCS / "figures")
    claims.main(["--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def rows():
    """The ledger of the shipped results."""
    return judged.judged(SHIPPED)


def judge_of(name, **arguments):
    return JUDGES[name](**arguments)(ResultFiles([]))


def test_missing_results_are_not_measured():
    found = {claim.entry.name: claim.judge(ResultFiles([])) for claim in entries.read_claims()}
    computed = {name for name, findings in found.items() if findings[0].verdict != NOT_MEASURED}
    assert computed == {"prop_3_1", "prop_3_1_scale", "eq_13", "eq_5_scale", "fig_4", "c_3", "cost"}
    assert all(len(found[name]) == 1 for name in found if name not in computed)


def test_claims_have_texts_of_their_own_and_judges_are_all_used():
    shipped = [claim.entry for claim in entries.read_claims()]
    assert len({entry.text for entry in shipped}) == len(shipped)
    assert {entry.judge for entry in shipped} == set(JUDGES)


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        ("compared", "comparde", "compared"),
        ('judge = "compared"\n', "", "judge"),
        ('rule = "It must be."', 'rule = ""', "rule"),
        ('source = "Fig. 0"', "source = 0", "source"),
        ("expected", "expects", "expects"),
        ('method = "balanced weight", ', "", "method"),
        ("reference =", "of = 1, reference =", "of"),
        ('"balanced weight"', "3", "method"),
        ('["return"]', '"return"', "by"),
        ("[[runs]]", CLAIM + "[[timing]]", "two"),
    ],
)
def test_a_wrong_claim_is_one_line_that_names_it(was, becomes, named, tmp_path):
    path = tmp_path / "some.toml"
    path.write_text(CLAIM)
    (claim,) = entries.read_claims(path)
    assert claim.judge(ResultFiles([("f.h5", policies_of([[1, 2, 3], [11, 12, 14]]))]))[0].verdict == REPRODUCED
    path.write_text(CLAIM.replace(was, becomes, 1))
    with pytest.raises(ConfigError, match=rf"^some\.toml: claim fig_0: .*\b{named}\b") as error:
        entries.read_claims(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [("fig_0", "fig_9", "fig_9"), ('"reproduced"', '"maybe"', "maybe"), ("files", "file", "file")],
)
def test_a_wrong_change_is_one_line_that_names_what_is_wrong(was, becomes, named, tmp_path):
    path = tmp_path / "some.toml"
    path.write_text(CHANGE)
    (change,) = entries.read_changes(["fig_0"], path)
    concerned = [("fig_0", "e.h5, f.h5"), ("fig_0", ""), ("fig_0", "e.h5"), ("a", "f.h5")]
    assert [change.concerns(*row) for row in concerned] == [True, False, False, False]
    path.write_text(CHANGE + CHANGE.replace(was, becomes, 1))
    with pytest.raises(ConfigError, match=rf"^some\.toml: change 2: .*\b{named}\b"):
        entries.read_changes(["fig_0"], path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (CLAIM.replace("compared", "none"), "fig_0"),
        ("[[runs]", "]"),
        (CLAIM.replace("runs", "run"), "run"),
        ("runs = 1", "runs"),
        ("[[runs]]\njudge = 'compared'", "1"),
    ],
)
def test_the_command_says_in_one_line_that_a_file_of_the_ledger_is_wrong(text, named, tmp_path, monkeypatch, capsys):
    path = tmp_path / "some.toml"
    path.write_text(text)
    monkeypatch.setattr(entries.read_claims, "__defaults__", (path,))
    refused(capsys, claims.main, ["--out", str(tmp_path / "out")], "some.toml: ", named)
    assert not (tmp_path / "out").exists()


def test_algebra_is_judged_against_what_the_paper_says(monkeypatch):
    """A balancer that settles elsewhere, or a closed form that is another, is not reproduced."""
    judges = [(name, {"rectified": flag}) for name in ("closed_form", "loss_scale") for flag in (True, False)]
    assert all(judge_of(name, **flag)[0].verdict == REPRODUCED for name, flag in [*judges, ("bounded", {})])
    minimised = judges_without_runs._minimised
    monkeypatch.setattr(judges_without_runs, "_minimised", lambda rectified, loss: minimised(not rectified, loss))
    assert all(judge_of(name, **flag)[0].verdict == NOT_REPRODUCED for name, flag in [*judges, ("bounded", {})])
    monkeypatch.setattr(judges_without_runs, "_minimised", lambda rectified, loss: 1.05 * minimised(rectified, loss))
    assert all(judge_of(name, **flag)[0].verdict == NOT_REPRODUCED for name, flag in judges)


@pytest.mark.parametrize(("share", "expected"), [(0.0099, REPRODUCED), (0.0101, NOT_REPRODUCED)])
def test_cost_is_judged_where_it_was_measured_whole(share, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(judges_without_runs, "DATA", tmp_path)
    with pytest.raises(ResultError, match=r"performance_cpu\.json"):
        judge_of("cost")
    for name, preset in zip(judges_without_runs.TIMINGS, ("cpu", "paper"), strict=True):
        harmonizers = {"share_of_update": share, "extra_s": 0.001}
        timed = {"harmonizers": harmonizers, "about": {"settings": {"preset": preset}, "device": "a machine"}}
        (tmp_path / name).write_text(json.dumps(timed))
    cpu, gpu = judge_of("cost")
    assert (cpu.verdict, cpu.scale) == (expected, "reduced") and (gpu.verdict, gpu.scale) == (NOT_MEASURED, "paper")


def test_every_check_of_table_2_is_in_the_ledger(rows):
    found = load(SHIPPED / "atari_table.h5").notes["checks"]
    table = rows[rows["kind"] == entries.GROUPS["table_2"]]
    table = table[table["result"] == "atari_table.h5"]
    assert len(table) == len(found)
    assert (table.verdict == UNDECIDABLE).sum() == sum(row["holds"] == "open" for row in found)
    assert NOT_SHOWN not in set(table.verdict) and NOT_MEASURED not in set(table.verdict)


def test_every_change_is_of_a_row_and_names_results_that_ship(rows):
    changes = entries.read_changes(rows["name"])
    assert {note for notes in rows["notes"] for note in notes} == {change.footnote for change in changes}
    shipped = set(", ".join(rows["result"]).split(", "))
    assert {name for change in changes for name in change.files} <= shipped


def test_rows_know_what_came_after_their_result(rows):
    by = rows.set_index(["name", "result"])
    assert by.loc[("finding_3", MINIATURE), "without"] == [NOT_SHOWN]
    assert by.loc[("finding_1_return", MINIATURE), "notes"] and not by.loc[("finding_1_return", MINIATURE), "without"]
    unseen, agents = (f"state_regression_{data}lever_pull_cpu.h5" for data in ("unseen_", ""))
    assert (
        by.loc[("fig_2c_state", unseen), "without"] == [NOT_SHOWN] and not by.loc[("fig_2c_state", agents), "without"]
    )
    for name, file in (
        ("fig_2c_state", unseen.replace("lever_pull", "hammer")),
        ("d_2_near_zero", "multitask_mini_lever_cpu.h5"),
    ):
        assert not by.loc[(name, file), "notes"]  # rules that stood before


def test_a_verdict_that_would_be_the_present_one_is_no_other(monkeypatch):
    change = entries.Change("x.", files=["f.h5"], without=REPRODUCED)
    monkeypatch.setattr(entries, "read_changes", lambda names: [change])
    for returns, without in (([[1, 2, 3], [11, 12, 14]], []), ([[1, 2, 3], [3, 1, 3]], [REPRODUCED])):
        found = judged.table(ResultFiles([("f.h5", policies_of(returns))])).set_index("name").loc["finding_1_return"]
        assert found.without == without and len(found.notes) == 1


def test_the_head_counts_claims_results_and_findings(rows):
    outcomes, *findings = page.headline(rows).rstrip(".").split(". ")
    assert sum(int(n) for part in outcomes.split(", ") for n in re.findall(r"^\d+", part)) == rows["name"].nunique()
    for sentence, name in zip(findings, ("Finding 1", "Finding 2", "Finding 3"), strict=True):
        of = rows[rows["source"].str.startswith(name) & ~rows["claim"].str.endswith(("(ours)", "(exploratory)"))]
        assert sentence == f"{name}: {page.counted(of)}"


def test_the_page_has_a_row_a_claim_with_its_verdicts_first(rows, written):
    text = (written / "claims.md").read_text()
    assert len(text.partition("## Rules")[0].split()) < 32 * rows["name"].nunique()
    lines = [line.split(" | ") for line in text.splitlines() if "](claims.html#" in line and line.startswith("| ")]
    assert len(lines) == rows["name"].nunique()
    for line, (name, some) in zip(lines, rows.groupby("name", sort=False), strict=True):
        assert f"[{some['claim'].iloc[0]}](claims.html#{name})" in line[1] and all(v in line[0] for v in some.verdict)
        assert line[0].count("*") == (2 if some["without"].map(bool).any() else some["notes"].map(bool).any())
    assert all(f". {rule}\n" in text for rule in rows["rule"])
    _, foot = text.rsplit("## ", 1)
    assert foot.count("\n- ") == rows[rows["without"].map(bool)]["name"].nunique()


def test_the_page_for_browsers_has_a_row_a_result_with_all_that_is_known(rows, written):
    text = (written / "claims.html").read_text()
    lines = re.findall(r"<tr.*</td></tr>", text)
    assert len(lines) == len(rows) and [name for name in rows["name"].unique() if f'<tr id="{name}">' not in text] == []
    plain = [re.sub(r"<[^>]*>", "", line) for line in lines]
    for line, row in zip(plain, rows.itertuples(), strict=True):
        told = (row.verdict, row.claim, row.source, row.rule, row.ours, row.scale, *row.notes, *row.result.split(", "))
        assert [words for words in told if html.escape(words, quote=False) not in line] == []
    for target in set(re.findall(r'href="([^"]+)"', text)):
        assert (DOCS / target).exists(), target
    assert "http" not in text and " src=" not in text  # one file that needs no network


def test_documents_are_what_the_command_writes_from_the_shipped_results(written):
    """After new results: ``python -m analysis.claims --out docs``."""
    for name in ("claims.md", "claims.html"):
        assert (DOCS / name).read_text() == (written / name).read_text()
    ours, theirs = load(DOCS / "claims.h5"), load(written / "claims.h5")
    assert ours.notes == theirs.notes and len(ours.notes["rows"]) == len(ours.axes["row"])
    assert all(np.array_equal(ours.values(name), theirs.values(name), equal_nan=True) for name in ours.data)
    old = ["reproduced", "reproduced in part", "not reproduced", "not shown at this scale", "not measured"]
    assert theirs.notes["verdicts"] == list(VERDICTS) and list(VERDICTS[: len(old)]) == old  # files have the places


def test_brief_has_a_line_a_claim(rows, tmp_path, capsys):
    claims.main(["--out", str(tmp_path), "--brief"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[1:]] == list(rows["claim"].unique())


def test_pages_of_other_results_link_to_them_where_they_lie(tmp_path):
    save(policies_of([[1, 2, 3], [11, 12, 14]]), tmp_path / "in" / "a <b> c.h5")
    claims.run(claims.Claims(tmp_path / "in", tmp_path / "out"))
    for name in ("claims.md", "claims.html"):
        text = (tmp_path / "out" / name).read_text()
        assert "../in/a%20%3Cb%3E%20c.h5" in text and "figures/" not in text
    assert "<b> c" not in text


def test_results_of_preset_smoke_are_left_out_and_named(tmp_path, capsys):
    shutil.copytree(SHIPPED, tmp_path / "results")
    whole = len(judged.judged(tmp_path / "results"))
    assert not capsys.readouterr().err
    found = load(tmp_path / "results" / MINIATURE)
    found.attributes["preset"] = "smoke"
    save(found, tmp_path / "results" / "finding1_mini_lever_smoke.h5")
    assert len(judged.judged(tmp_path / "results")) == whole
    said = capsys.readouterr().err
    assert "finding1_mini_lever_smoke.h5" in said and said.count("\n") == 1


def test_bad_folders_and_files_are_one_line(tmp_path, capsys):
    (tmp_path / "odd.h5").write_bytes(b"junk")
    for folder, named in ((tmp_path / "none", tmp_path / "none"), (tmp_path, "odd.h5")):
        refused(capsys, claims.main, ["--results", str(folder), "--out", str(tmp_path / "out")], named)
