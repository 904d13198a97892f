"""The authors' scores seed by seed: aggregates against naive loops, the shipped result, and damaged files."""

import hashlib
import json

import numpy as np
import pytest

from analysis import atari_scores
from analysis.ledger import judges_without_runs  # noqa: F401  lists its judges
from analysis.ledger.verdicts import IN_PART, JUDGES, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED, ResultFiles
from analysis.results import atari_runs
from analysis.results.schema import SHIPPED, load
from analysis.results.stats import Interval
from tests.refusals import refused


def normalised(seed=0, games=4):
    return np.random.default_rng(seed).lognormal(0, 1, (2, games, 5))


def test_aggregates_are_those_of_naive_loops():
    values = normalised()
    found = atari_runs.aggregates(values)
    for i, method in enumerate(atari_runs.FILES):
        runs = sorted(float(x) for game in values[i] for x in game)
        expected = {
            "mean": sum(runs) / len(runs),
            "median": float(np.median([sum(game) / len(game) for game in values[i]])),
            "iqm": sum(runs[5:-5]) / 10,
            "optimality_gap": sum(max(0.0, 1 - x) for x in runs) / len(runs),
        }
        assert {name: found[name][method].mean for name in expected} == pytest.approx(expected)
        for name in expected:
            assert found[name][method].low <= expected[name] <= found[name][method].high
    gap = found["mean"]["difference"]
    assert gap.mean == pytest.approx(values[1].mean() - values[0].mean()) and gap.low < gap.mean < gap.high


def test_the_probability_of_improvement_is_that_of_a_naive_loop():
    base, ours = np.round(normalised(1), 0)
    wins = [(x > y) + 0.5 * (x == y) for g in range(4) for x in ours[g] for y in base[g]]
    assert atari_runs.probability_of_improvement(ours, base) == pytest.approx(np.mean(wins))
    assert atari_runs.probability_of_improvement(base, base) == pytest.approx(0.5)
    assert atari_runs.improvement(np.stack([base, base + 100])) == Interval(1.0, 1.0, 1.0)


def test_intervals_resample_the_seeds_of_each_game_alone():
    """Games that differ, and seeds that do not, leave nothing to resample."""
    values = np.repeat(normalised()[..., :1], 5, -1)
    for row in atari_runs.aggregates(values).values():
        assert all(i.low == pytest.approx(i.mean) and i.high == pytest.approx(i.mean) for i in row.values())
    wide = np.ones((2, 1, 5)) * np.array([0.0, 1, 2, 3, 4])
    mean = atari_runs.aggregates(wide)["mean"]["dreamerv3"]
    half = 1.96 * np.sqrt(2 / 5)  # of the mean of five draws of a variance of 2
    assert (mean.high - mean.low) / 2 == pytest.approx(half, rel=0.1)


def test_games_matched_counts_a_tolerance():
    scores = np.array([[[100.0] * 5, [100.0] * 5, [-20.0] * 5], [[100.0] * 5, [96.0] * 5, [-20.5] * 5]])
    assert atari_runs.games_matched(scores).mean == 1 and atari_runs.games_matched(scores, 0.05).mean == 3


def test_the_game_and_the_run_that_the_gain_hangs_on():
    values = np.ones((2, 4, 5))
    values[1, 2, 3] = 11.0  # one run of one game makes all of the gain
    game, run = atari_runs.influences(values, ["p", "q", "r", "s"])
    assert (game.what, run.what) == ("r", "r, harmony_dreamerv3, seed 3")
    assert game.share == run.share == pytest.approx(1) and game.left == run.left == pytest.approx(0)


def test_seeds_needed_grow_with_the_square_of_an_interval():
    assert atari_runs.seeds_needed(Interval(1.0, -1.0, 3.0), 5) == 20
    assert atari_runs.seeds_needed(Interval(0.0, -1.0, 1.0), 5) == np.inf


def published(folder, change=lambda held: None):
    """Two files of the published form with made-up numbers; returns their hashes by name."""
    found = {}
    names = load(SHIPPED / "atari_scores.h5").axes["game"]
    games = [{"Chopper Com.": "chopper_command"}.get(str(n), str(n).lower().replace(" ", "_")) for n in names]
    for i, name in enumerate(atari_runs.FILES.values()):
        scores = np.random.default_rng(i).integers(0, 1000, (26, 5, 20)).tolist()
        held = {"steps": list(range(20_000, 400_001, 20_000)), "score": dict(zip(games, scores, strict=True))}
        if i:
            change(held)
        text = json.dumps(held)
        (folder / name).write_text(text)
        found[name] = hashlib.sha256(text.encode()).hexdigest()
    return found


def test_the_command_writes_summaries_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(atari_runs, "SHA256", published(tmp_path))
    atari_scores.main([f"--{name}={tmp_path}" for name in ("scores", "results", "out")])
    found = load(tmp_path / "atari_scores.h5")
    assert found.values("score").shape == (2, 26, 20) and "seed" not in found.axes
    raw = json.loads((tmp_path / "harmony.json").read_text())["score"]["pong"]
    pong = list(found.axes["game"]).index("Pong")
    assert found.values("score")[1, pong] == pytest.approx(np.mean(raw, 0))
    assert found.values("score_sd")[1, pong] == pytest.approx(np.std(raw, 0, ddof=1))
    assert (tmp_path / "atari_scores.png").exists() and "probability of improvement" in capsys.readouterr().out


def drop(held):
    held["score"].pop("pong")


def shorten(held):
    held["score"]["pong"][2].pop()


def spoil(held):
    held["score"]["pong"][1][7] = None


def scramble(held):
    held["steps"][3] = 0


@pytest.mark.parametrize(
    ("change", "named"), [(drop, "25 games"), (shorten, "pong"), (spoil, "pong"), (scramble, "steps")]
)
def test_damaged_files_are_one_line(tmp_path, monkeypatch, capsys, change, named):
    monkeypatch.setattr(atari_runs, "SHA256", published(tmp_path, change))
    refused(
        capsys, atari_scores.main, ["--scores", str(tmp_path), f"--results={tmp_path / 'r'}"], "harmony.json", named
    )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("content", [None, b"", b"[1, 2]", b"\xff\xfe", b'{"steps": 1, "score": 2}'])
def test_what_is_no_such_file_is_one_line(tmp_path, capsys, content):
    published(tmp_path)
    (tmp_path / "dreamerv3.json").unlink()
    if content is not None:
        (tmp_path / "dreamerv3.json").write_bytes(content)
    refused(capsys, atari_scores.main, ["--scores", str(tmp_path)], "dreamerv3.json")


def test_other_numbers_are_not_the_authors(tmp_path, capsys):
    published(tmp_path)
    refused(capsys, atari_scores.main, ["--scores", str(tmp_path)], "sha256")


def test_the_shipped_result_says_what_a_reader_found():
    """Numbers that somebody else computed from the same two files."""
    notes = load(SHIPPED / "atari_scores.h5").notes
    rows = notes["aggregates"]
    percent = {n: [round(100 * rows[n][m]["mean"], 1) for m in ("harmony_dreamerv3", "dreamerv3")] for n in rows}
    assert percent["mean"] == [136.5, 107.4] and percent["median"] == [67.1, 41.6]
    assert [round(rows["iqm"][m]["mean"], 2) for m in ("harmony_dreamerv3", "dreamerv3")] == [0.61, 0.47]
    gap = rows["iqm"]["difference"]
    assert [round(gap[end], 2) for end in ("low", "high")] == [0.06, 0.22]
    assert [notes["matched"][t]["mean"] for t in ("0", "0.05")] == [20, 22]
    assert round(notes["improvement"]["mean"], 2) == 0.64
    assert [round(x) for x in notes["range"]["Gopher"]] == [870, 33436]


def told(**notes):
    """What the two judges say of a result with other notes."""
    found = load(SHIPPED / "atari_scores.h5")
    found.notes |= notes
    files = ResultFiles([("atari_scores.h5", found)])
    return [JUDGES["atari_runs_higher"]()(files)[0].verdict, JUDGES["atari_runs_matched"](23)(files)[0].verdict]


def test_judges_ask_for_all_aggregates_and_for_the_count():
    def gaps(*lows):
        rows = zip(("mean", "median", "iqm"), lows, strict=True)
        return {kind: {"difference": {"mean": 0.2, "low": low, "high": 0.4}} for kind, low in rows}

    def counts(exact, low, high):
        return {key: {"mean": exact, "low": low, "high": high} for key in ("0", "0.05")}

    assert told(aggregates=gaps(0.1, 0.1, 0.1), matched=counts(23, 20, 24)) == [REPRODUCED, REPRODUCED]
    assert told(aggregates=gaps(0.1, -0.1, 0.1), matched=counts(21, 18, 23)) == [IN_PART, IN_PART]
    assert told(aggregates=gaps(-0.1, -0.1, -0.1), matched=counts(20, 18, 22)) == [NOT_SHOWN, NOT_REPRODUCED]
    assert told() == [IN_PART, IN_PART]
