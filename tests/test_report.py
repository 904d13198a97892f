"""The page of results and the README's part: made from the shipped results, and from no others."""

import shutil

import numpy as np
import pytest

from analysis import report
from analysis.ledger.report import page, texts
from analysis.report import BEGIN, END, Report
from analysis.results import comparisons
from analysis.results.schema import SHIPPED, load, save
from analysis.results.stats import Interval, seed_interval
from tests.made_up import errors_of, policies_of
from tests.unwritable import ROOT, command, refused

PAGE, README = ROOT / "docs" / "results.md", ROOT / "README.md"


@pytest.fixture
def folder(tmp_path):
    """A folder as a checkout has it, with the shipped results in it."""
    shutil.copytree(SHIPPED, tmp_path / "results")
    shutil.copy(README, tmp_path)
    return tmp_path


def test_shipped_page_and_readme_are_what_the_command_writes(folder):
    """After new results, or other sentences: ``python -m analysis.report``."""
    text = README.read_text()
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    (folder / "README.md").write_text(f"{before}\nsomething else\n{after}")
    done = command("analysis.report", "--results", "results", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "docs" / "results.md").read_bytes() == PAGE.read_bytes()
    assert (folder / "README.md").read_bytes() == README.read_bytes()


def all_alike(found):
    for _, values_ in found.data.values():
        values_[1:] = values_[0]
    comparisons.add(found)


def swapped(found):
    for row in found.notes["final"]["posterior"].values():
        row["w_r=1"], row["w_r=100"] = row["w_r=100"], row["w_r=1"]


def without_constant(found):
    del found.data["constant/posterior"]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("finding1_hammer_cpu", all_alike, ["Finding 1: a larger reward weight", "docs/results.md"]),
        ("state_regression_mini_lever_cpu", swapped, ["Object positions", "docs/results.md"]),
        ("multitask_lever_pull_cpu", all_alike, ["Other multi-task balancers", "docs/results.md"]),
        ("finding3_hammer_cpu", without_constant, ["Finding 3", "constant/posterior"]),
        ("loss_scales_hammer_cpu", None, ["Loss scales", "loss_scales_hammer_cpu.h5"]),
        ("atari_table", None, ["Atari", "atari_table.h5"]),
        ("finding1_lever_pull_cpu", None, ["trained", "finding1_lever_pull_cpu.h5"]),
    ],
)
def test_a_result_that_no_longer_bears_a_sentence_out_or_is_gone_is_named_by_section(name, change, words, folder):
    path = folder / "results" / f"{name}.h5"
    if change is None:
        path.unlink()
        (folder / "results" / "contents.txt").unlink()
    else:
        found = load(path)
        change(found)
        save(found, path)
    with pytest.raises(page.ReportError) as caught:
        report.run(Report(folder / "results", folder / "docs", folder / "README.md"))
    assert all(word in str(caught.value) for word in words), caught.value
    assert not (folder / "docs").exists() and (folder / "README.md").read_bytes() == README.read_bytes()


def test_a_result_that_its_list_names_and_that_is_gone_is_one_line(folder):
    (folder / "results" / "finding3_hammer_cpu.h5").unlink()
    done = command("analysis.report", "--results", "results", cwd=folder)
    refused(done, "finding3_hammer_cpu.h5", "docs/results.md", "section")
    assert not (folder / "docs").exists()


def test_a_condition_that_fails_names_section_and_sentence():
    written = page.Page("page.md", page.Results(SHIPPED))
    assert written.section("One") == "## One" and written.demand(True, "It holds.") == "It holds."
    with pytest.raises(page.ReportError, match=r"page\.md, section 'One': .*'It does not\.'"):
        written.demand(False, "It does not.")


def test_unknown_names_in_a_template_are_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    for text in ("{{ nothing }}", "{{ result('atari_table').nothing }}", "{{ result('atari_table').nothing.more }}"):
        (tmp_path / "a.jinja").write_text("{{ section('One') }}" + text)
        with pytest.raises(page.ReportError, match=r"'One'.*nothing"):
            page.render("a.jinja", page.Page("page.md", page.Results(SHIPPED)))


@pytest.mark.parametrize(
    "text", [BEGIN, END, f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n", f"{BEGIN}\n{END}\n" * 2]
)
def test_marks_that_do_not_frame_one_part_are_refused(text, tmp_path):
    (tmp_path / "mine.md").write_text(text)
    with pytest.raises(page.ReportError, match=r"mine\.md"):
        report.run(Report(out=tmp_path / "docs", readme=tmp_path / "mine.md"))
    assert not (tmp_path / "docs").exists() and (tmp_path / "mine.md").read_text() == text


def test_a_readme_is_written_only_where_it_is_marked_or_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert report.outside(None, report.DOCS) is None  # an installed package, called anywhere
    (tmp_path / "README.md").write_text("of another project")
    assert report.outside(None, report.DOCS) is None
    (tmp_path / "README.md").write_text(f"a\n{BEGIN}\nold\n{END}\nb\n")
    assert report.outside(None, report.DOCS)[1:] == (f"a\n{BEGIN}\n", f"{END}\nb\n")
    assert report.outside(None, tmp_path / "elsewhere") is None
    for name in ("README.md", "nope.md", "."):
        (tmp_path / "README.md").write_bytes(b"\xff")
        refused(command("analysis.report", "--readme", name, cwd=tmp_path), name)
    assert not (tmp_path / "docs").exists()


def test_numbers_are_written_with_digits_signs_and_what_is_shown():
    span = Interval(0.584, 0.451, 0.744)
    assert texts.interval(span, 2) == "0.58 [0.45, 0.74]" and texts.mean(span, 1) == "0.6"
    assert texts.interval(span._asdict(), 2, True) == "+0.58 [+0.45, +0.74]"
    assert texts.interval({"mean": 1.0, "low": None, "high": None}, 1) == "1.0"
    assert texts.percent(span) == "58 % [45, 74]"
    assert texts.gap(texts.Difference(span), 1) == "**+0.6 [+0.5, +0.7]**"
    assert texts.gap(texts.Difference(span, Interval(0.6, -0.1, 1.2)), 1) == "+0.6 [+0.5, +0.7] [-0.1, +1.2]"
    assert texts.row("a", 1) == "| a | 1 |" and texts.head("", "b") == "|  | b |\n|---|---|"


def test_differences_are_paired_and_shown_if_all_intervals_are_on_one_side():
    online = policies_of([[1, 2, 3], [2, 4, 4]])
    gap = texts.difference(online, "area/return", "w_r=100", "w_r=1")
    assert gap == (seed_interval(np.array([1, 2, 1])), None) and gap.sign == 0
    assert texts.each(online, "area/return", "w_r=100", "w_r=1") == [1, 2, 1]
    offline = errors_of([[3, 3.1, 3.2], [1, 1, 1.2]], ["w_r=1", "uw"])
    gap = texts.difference(offline, "window/error", "uw", "w_r=1")
    assert gap.seeds.high < 0 and gap.sign == gap._replace(episodes=Interval(-2, -3, -1)).sign == -1
    assert gap._replace(episodes=Interval(-2, -3, 0.1)).sign == 0
    assert gap._replace(episodes=Interval(-2, np.nan, np.nan)).sign == 0  # too few episodes for an interval
