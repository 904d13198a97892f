"""Table 2 as data: its aggregates against naive sums, the checks of the paper's sentences, the command, the figure."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.text import Text

import figures.atari_table
import figures.shared.style
from analysis import atari_table
from analysis.atari_table import TABLE
from analysis.results import atari
from analysis.results.atari import BASE, METHODS, ORIGINAL, OURS, STATISTICS, Table
from analysis.results.atari_checks import checks
from analysis.results.schema import ResultError, load, save
from tests.made_up import result as other_result
from tests.refusals import refused


@pytest.fixture(scope="module")
def table():
    return atari.read_table(TABLE)


@pytest.fixture(scope="module")
def judged(table):
    return {check.name: check for check in checks(table)}


def changed(table, column, scores):
    """The table with one column of scores replaced."""
    return Table(table.scores.assign(**{column: scores}), table.printed)


def naive(column):
    """A column's sorted human-normalised scores by a plain loop over the file."""
    found = []
    with TABLE.open() as file:
        for row in csv.DictReader(file):
            if not row["game"].startswith("Human M"):
                low, high = int(row["random"]), int(row["human"])
                found.append((int(row[column]) - low) / (high - low))
    return sorted(found)


def test_the_table_is_the_printed_one(table):
    assert table.scores.shape == (26, 8) and list(table.scores.index[[0, -1]]) == ["Alien", "Up N Down"]
    cells = {
        ("Alien", "random"): 228, ("Private Eye", "human"): 69571, ("Demon Attack", "iris"): 2034,
        ("Boxing", "twm"): 78, ("Pong", "random"): -21, ("Crazy Climber", ORIGINAL): 97190,
        ("Crazy Climber", BASE): 78969, ("Gopher", OURS): 13043, ("James Bond", OURS): 317,
        ("Freeway", "simple"): 17, ("Seaquest", "human"): 42055, ("Up N Down", OURS): 10874,
    }  # fmt: skip
    assert {cell: table.scores.at[cell] for cell in cells} == cells
    assert list(table.printed.loc["mean"]) == "0% 100% 33% 96% 105% 112% 108% 136.5%".split()
    assert list(table.printed.loc["median"]) == "0% 100% 13% 51% 29% 49% 42% 67.1%".split()


@pytest.mark.parametrize("column", METHODS)
def test_aggregates_against_a_naive_loop(table, column):
    values = naive(column)
    expected = {
        "mean": sum(values) / 26,
        "median": (values[12] + values[13]) / 2,
        "iqm": sum(values[6:20]) / 14,  # a quarter of 26 is 6.5, so 6 go at each end
    }
    assert {name: table.statistic(name, column) for name in STATISTICS} == pytest.approx(expected)
    assert table.statistic("mean", "human") == 1 and table.statistic("median", "random") == 0


def test_percentages_know_their_precision():
    assert atari.percent("136.5%") == pytest.approx((1.365, 0.0005))
    assert atari.percent("33%") == pytest.approx((0.33, 0.005))


def test_differences_are_paired_over_games(table):
    # Ours is everywhere a human's tenth above the base: whichever games are drawn, so are all aggregates.
    tenth = (table.scores["human"] - table.scores["random"]) / 10
    shifted = changed(table, OURS, table.scores[BASE] + tenth)
    for gain in atari.gains(shifted, OURS, BASE).values():
        assert gain == pytest.approx((0.1, 0.1, 0.1))
    for gain in atari.gains(table, OURS, BASE).values():
        assert gain.low < gain.mean < gain.high
    assert atari.gains(table, OURS, BASE) == atari.gains(table, OURS, BASE)


def test_bootstrap_has_the_spread_of_a_mean_over_games(table):
    values = table.normalised[[BASE]].to_numpy().T
    spread = atari.resampled(values)["mean"].std()
    assert spread == pytest.approx(values.std() / 26**0.5, rel=0.03)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_rounding_range_holds_whatever_was_rounded(table, statistic):
    low, high = atari.rounding_range(table, statistic, OURS)
    assert low < table.statistic(statistic, OURS) < high
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = table.scores + rng.choice([-0.5, 0.0, 0.5], table.scores.shape)
        assert low - 1e-12 <= Table(scores, table.printed).statistic(statistic, OURS) <= high + 1e-12
    # Above the human, less random play lowers the normalised score; below, it raises it: by hand for one game.
    one = Table(table.scores.loc[["Boxing"]], table.printed)  # random 0, human 12, ours 80
    assert atari.rounding_range(one, statistic, OURS) == pytest.approx((80 / 13, 80 / 11), rel=0.01)


def test_matches_are_counted_game_by_game(table):
    ours, base = (list(map(int, table.scores[column])) for column in (OURS, BASE))
    for tolerance, expected in ((0.0, 19), (0.05, 22), (0.063, 23), (0.157, 23), (0.158, 24)):
        counted = sum(a >= b - tolerance * b for a, b in zip(ours, base, strict=True))
        assert atari.matched(table, table.scores[BASE], tolerance) == counted == expected
    # 22274 of 23753 in Kung Fu Master is the fourth greatest shortfall, 203 of 241 in Demon Attack the third.
    tolerances = atari.tolerances_for(table, table.scores[BASE], 23)
    assert tolerances == pytest.approx((1 - 22274 / 23753, 1 - 203 / 241))
    assert atari.tolerances_for(table, table.scores[BASE], 26)[1] == np.inf


EXPECTED = {  # some of what is found, the answer, and words of its remark
    "state_of_the_art": (
        {"rank by mean": 1, "rank by median": 1, "rank by iqm": 1, "methods that the table has": 6},
        "yes",
    ),
    "consistently": ({"higher": 18, "equal": 1, "lower": 7, "lower by over 5 %": 4}, "no", "7 of 26"),
    "gain_in_mean": (
        {"gain": 28.8, "gain over the original": 24.3, "share of Gopher": 0.503, "gain without Gopher": 14.9},
        "yes",
        "Gopher alone carries 50 % of it",
    ),
    "games": (26, "yes"),
    "unleash_potentials": ({"mean": 28.8, "median": 25.5, "iqm": 19.4}, "yes"),
    "columns_as_reported": (None, "open", "cannot be checked"),
    "reproduced_comparable": ({"games within 5 %": 7}, "open", "no difference is shown"),
    "crazy_climber": (
        {
            "largest loss": "Crazy Climber",
            "share of the mean's gap": 0.626,
            "gap in mean": -4.5,
            "gap in mean with the original's score there": -1.7,
            "gap in median": -7.4,
            "gap in median with the original's score there": -7.4,
        },
        "in part",
        "yes for the mean; no for the median",
    ),
    "significantly_improves": ({}, "in part", "shown for mean, iqm; not shown for median"),
    "matches_or_surpasses": (
        {
            "reproduced, as printed": 19,
            "reproduced, 5 % tolerance": 22,
            "original, as printed": 19,
            "original, 5 % tolerance": 20,
            "lower of the two, as printed": 22,
            "lower of the two, 5 % tolerance": 24,
            "reproduced, tolerance that gives 23": "6.2 % to 15.8 %",
        },
        "no",
    ),
    "harmony_mean": ({"from the scores": 136.75, "their rounding allows": "134.2 to 139.7"}, "yes"),
    "harmony_median": ({"from the scores": 67.05}, "yes"),
    "other_aggregates": (14, "yes"),
    "bold": ({"Harmony DreamerV3": 12, "TWM (2023)": 8, "SimPLe (2020)": 1}, "open", "no bold type"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_check(judged, name):
    check, (ours, answer, *remark) = judged[name], EXPECTED[name]
    assert ({key: check.ours[key] for key in ours} if isinstance(ours, dict) else check.ours) == ours
    assert check.holds == answer and "".join(remark) in check.remark and check.claim and check.where
    json.dumps([check.stated, check.ours, check.holds])  # plain values


def test_checks_follow_the_scores_not_the_paper(table):
    def judge(tried):
        return {check.name: check for check in checks(tried)}

    better = judge(changed(table, OURS, table.scores[[BASE, ORIGINAL]].max(axis=1) * 1.2))
    assert better["significantly_improves"].holds == "yes" and better["consistently"].ours["lower"] == 0
    assert better["matches_or_surpasses"].ours["reproduced, as printed"] == 26
    assert better["matches_or_surpasses"].holds == better["harmony_mean"].holds == "no"  # 26 is not 23 either
    worse = judge(changed(table, OURS, table.scores["simple"]))
    assert worse["significantly_improves"].holds == "open"
    assert {worse[name].holds for name in ("state_of_the_art", "unleash_potentials", "gain_in_mean")} == {"no"}
    printed = table.printed.copy()
    printed.loc["median", "iris"] = "30%"
    spoiled = judge(Table(table.scores, printed))["other_aggregates"]
    assert spoiled.ours == 13 and spoiled.holds == "no"


DAMAGES = {
    "a letter": (lambda text: text.replace("13043", "13o43"), "row 'Gopher', column harmony_dreamerv3 is '13o43'"),
    "a hole": (lambda text: text.replace(",13043", ","), "row 'Gopher', column harmony_dreamerv3 is ''"),
    "not finite": (lambda text: text.replace("13043", "inf"), "expected a number"),
    "a short row": (lambda text: text.replace(",49%,42%,67.1%", ""), "row 'Human Median', column dreamerv3_original"),
    "a long row": (lambda text: text.replace("13043", "13043,1"), "not a CSV table"),
    "no header": (lambda text: text.partition("\n")[2], "expected game,random,human"),
    "an aggregate lost": (lambda text: text.replace("Human Median", "Median"), "row 'Human Median' is missing"),
    "no percentage": (lambda text: text.replace("136.5%", "136.5"), "is '136.5'; expected a percentage"),
    "a game lost": (lambda text: text.replace("Pong,-21,15,13,19,15,18,18,19\n", ""), "25 rows of games; expected 26"),
    "a game twice": (lambda text: text.replace("Hero,", "Krull,"), "row 'Krull' stands twice"),
    "no range": (lambda text: text.replace("Boxing,0,12", "Boxing,0,0"), "row 'Boxing': human is not more than 1"),
    "empty": (lambda text: "", "not a CSV table"),
    "binary": (lambda text: "\xff\xfe\x00game", "not a CSV table"),
    "missing": (None, "no such table"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_table_is_one_line_and_status_2(tmp_path, capsys, damage):
    spoil, message = DAMAGES[damage]
    text, path = TABLE.read_text(), tmp_path / "odd.csv"
    if spoil:
        path.write_text(spoil(text), "latin-1")
        assert spoil(text) != text
    words = ["--table", str(path), "--results", str(tmp_path), "--out", str(tmp_path)]
    refused(capsys, atari_table.main, words, message, "odd.csv")
    assert list(tmp_path.iterdir()) == ([path] if spoil else [])


def test_command_writes_a_valid_result_and_draws_it_without_torch(tmp_path, capsys, table):
    atari_table.main(["--results", str(tmp_path), "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "matches_or_surpasses" in printed and "holds   no\n" in printed and "rank by mean: 1;" in printed
    found = load(tmp_path / "atari_table.h5")
    attributes = {"study": "atari_table", "scale": "paper", "preset": "none", "task": "atari100k", "buffer_sha256": ""}
    assert {name: found.attributes[name] for name in attributes} == attributes
    assert tuple(found.axes["method"]) == METHODS and list(found.axes["game"]) == list(table.scores.index)
    expected = table.normalised[list(METHODS)].to_numpy().T
    np.testing.assert_array_equal(found.values("human_normalised"), expected)
    np.testing.assert_allclose(found.values("mean"), expected.mean(1))
    np.testing.assert_allclose(found.values("median_printed"), [0.13, 0.51, 0.29, 0.49, 0.42, 0.671])
    for name in STATISTICS:
        assert (found.values(f"{name}_low") < found.values(name)).all()
        assert (found.values(name) < found.values(f"{name}_high")).all()
    assert [check["name"] for check in found.notes["checks"]] == list(EXPECTED)
    assert "seeds cannot be resampled" in found.notes["caution"]
    code = (
        "import runpy, sys; sys.argv[0] = 'figures.atari_table';"
        "runpy.run_module('figures.atari_table', run_name='__main__');"
        "assert not {'torch', 'mujoco'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "atari_table.h5"), "--out", str(tmp_path / "again")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("atari_table.png")
    for folder in ("out", "again"):
        assert (tmp_path / folder / "atari_table.png").stat().st_size > 10_000
        assert (tmp_path / folder / "atari_table.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("outlier", [True, False])
def test_a_bar_is_cut_only_if_it_dwarfs_the_rest_and_says_so(tmp_path, monkeypatch, table, outlier):
    if not outlier:
        table = changed(table, OURS, table.scores[OURS].mask(table.scores.index == "Gopher", 5000.0))
    attributes = other_result().attributes | {"study": "atari_table"}
    path = save(atari_table.result(table, attributes), tmp_path / "atari_table.h5")
    monkeypatch.setattr(figures.shared.style, "save", lambda figure, *_: figure)
    figure = figures.atari_table.draw(path, tmp_path)
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert [text for text in texts if "cut" in text] == (["+376.4 (bar cut)"] if outlier else [])
    assert {"19 games: score equal or higher", "3 games: lower by at most 5 %", "+103.6", "−6.6"} <= set(texts)
    assert "26 games" in figure.caption and "reduced" in figure.caption


def test_figure_refuses_another_studys_result(tmp_path):
    with pytest.raises(ResultError, match="not of atari_table"):
        figures.atari_table.draw(save(other_result(), tmp_path / "r.h5"), tmp_path)
