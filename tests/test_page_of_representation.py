"""The page of results quotes what is shipped: what can be read off representations, and the reward error of E.10."""

import numpy as np

from analysis.results.stats import cluster_interval, seed_interval
from tests.quoted import PAGE, ends, flowing, quote, shipped


def cells_of(row, balanced):
    """The page's cells of one object: error with w_r = 1 and balanced, then balanced minus w_r = 1."""
    seeds, episodes = (row[balanced][f"paired_over_{over}"] for over in ("seeds", "episodes"))
    errors = [quote(row[method]["over_seeds"], 1) for method in ("w_r=1", balanced)]
    return [*errors, quote(seeds, 1, signed=True), ends(episodes, 1, signed=True)]


def test_page_quotes_state_regression_and_reward_mse():
    text = PAGE.read_text()
    final = shipped("state_regression_lever_pull_cpu").notes["final"]
    for kind, words in (("posterior", "posterior features"), ("open_loop", "open-loop features")):
        for prefix, probe in (("", "MLP"), ("linear/", "linear probe")):
            row = final[f"{prefix}{kind}"]["object"]
            cells = cells_of(row, "w_r=100")
            assert f"| {words}, {probe} | {' | '.join(cells)} |" in text, (words, probe, cells)
    hand = final["posterior"]["hand"]["w_r=100"]["paired_over_seeds"]
    assert quote(hand, 1, signed=True) in text
    final = shipped("reward_mse_lever_pull_cpu").notes["final"]
    for words, method in (("with w_o = 1", "w_r=100"), ("with w_o = 0", "w_o=0,w_r=100")):
        span = final[method]["over_seeds"]
        assert f"{quote(span, 2)} {words}" in text
    seeds, episodes = (final["w_o=0,w_r=100"][f"paired_over_{over}"] for over in ("seeds", "episodes"))
    error = shipped("reward_mse_lever_pull_cpu").values("window/error").mean(-1)  # (method, seed)
    assert "the three have {:+.2f}, {:+.2f} and {:+.2f}".format(*(error[1] - error[0])) in " ".join(text.split())
    assert f"{seeds['mean']:+.2f}, {ends(seeds, 2, signed=True)} over seeds" in text
    assert f"{ends(episodes, 2, signed=True)} over episodes" in text


def test_page_quotes_state_regression_on_unseen_episodes():
    text = PAGE.read_text()
    final = shipped("state_regression_unseen_lever_pull_cpu").notes["final"]
    for thing, name in (("object", "lever"), ("hand", "hand")):
        for kind, words in (("posterior", "posterior"), ("open_loop", "open loop")):
            row = final[kind][thing]
            cells = cells_of(row, "w_r=100")
            assert f"| {name}, {words} | {' | '.join(cells)} |" in text, (name, words, cells)


def test_page_quotes_the_whole_state_beside_the_lever():
    text = flowing(PAGE)
    found = shipped("state_regression_unseen_lever_pull_cpu")
    one, hundred = found.values("mlp/posterior").mean(2).sum(-1).mean(-1)  # (seed,) each: hand, lever and goal
    cells = [quote(x, 0) for x in map(seed_interval, (hundred, one))]
    gap = seed_interval(hundred - one)
    told = f"{cells[0]} against {cells[1]} ({quote(gap, 1, signed=True)} paired over seeds)"
    assert told in text


def test_page_quotes_the_regressions_of_the_other_tasks():
    text = PAGE.read_text()
    things = {
        "handle_pull_side": ("Handle Pull Side", {"object": "handle", "hand": "hand"}),
        "hammer": ("Hammer", {"object": "hammer", "object2": "nail", "hand": "hand"}),
    }
    for task, (words, names) in things.items():
        found = shipped(f"state_regression_unseen_{task}_cpu")
        for kind, label in (("posterior", "posterior"), ("open_loop", "open loop")):
            for thing, name in names.items():
                cells = cells_of(found.notes["final"][kind][thing], "w_r=10")
                assert f"| {words}: {name}, {label} | {' | '.join(cells)} |" in text, cells
        constants = dict(zip(found.axes["object"], found.values("constant/posterior").mean((0, 1, 2)), strict=True))
        for thing in set(names) - {"hand"}:
            assert f"{constants[thing]:.0f} for the {names[thing]}" in text


def test_page_quotes_the_regressions_of_the_other_tasks_on_the_agents_episodes():
    text = PAGE.read_text()
    for task, words, names in (
        ("handle_pull_side", "Handle Pull Side", {"object": "handle"}),
        ("hammer", "Hammer", {"object": "hammer", "hand": "hand"}),
    ):
        found = shipped(f"state_regression_{task}_cpu")
        for kind, label in (("posterior", "posterior"), ("open_loop", "open loop")):
            for thing, name in names.items():
                cells = cells_of(found.notes["final"][kind][thing], "w_r=10")
                assert f"| {words}: {name}, {label}, agents' | {' | '.join(cells)} |" in text, cells
        constants = dict(
            zip(found.axes["object"], np.nanmean(found.values("constant/posterior"), (0, 1, 2)), strict=True)
        )
        assert f"{constants['object']:.1f} " in text
        column = list(found.axes["object"]).index("object")
        assert constants["object"] < np.nanmean(found.values("mlp/posterior")[..., column], (1, 2, 3)).min()  # not read


def gap_of(found, kind, one, other):
    """Difference of two methods' errors: over seeds, and over episodes, as the page has them."""
    error = dict(zip(map(str, found.axes["method"]), found.values(f"mlp/{kind}"), strict=True))
    gap = error[one] - error[other]  # (seed, episode)
    seeds, episodes = seed_interval(gap.mean(1)), cluster_interval(gap.mean(0), found.axes["episode"])
    return quote(seeds, 1, signed=True), f"{ends(episodes, 1, signed=True)} over episodes"


def assert_finding3_table(text, found, digits):
    for kind, words in (("posterior", "posterior features"), ("open_loop", "open-loop features")):
        cells = [quote(seed_interval(values.mean(-1)), digits) for values in found.values(f"mlp/{kind}")]
        assert f"| {words} | {' | '.join(cells)} |" in text, cells
    return f"{found.values('constant/posterior').mean():.0f}"  # what a constant has


def test_page_quotes_finding3():
    text, found = flowing(PAGE), shipped("finding3_lever_pull_cpu")
    assert f"a constant has {assert_finding3_table(text, found, 0)} square" in text
    for one, other in (("w_o=0,w_r=100", "w_r=100"), ("w_r=100", "w_r=1")):
        assert " over seeds and ".join(gap_of(found, "posterior", one, other)) in text


def test_page_quotes_finding3_on_handle_pull_side():
    text, found = flowing(PAGE), shipped("finding3_handle_pull_side_cpu")
    assert f"a constant has {assert_finding3_table(text, found, 1)} square" in text
    assert " over seeds and ".join(gap_of(found, "posterior", "w_o=0,w_r=100", "w_r=100")) in text
    seen, _ = gap_of(found, "posterior", "w_r=100", "w_r=1")
    told = f"w_r = 100 against w_r = 1 has {seen} over seeds and, from dreams, "
    assert told + " over seeds and ".join(gap_of(found, "open_loop", "w_r=100", "w_r=1")) in text


def test_page_quotes_finding3_on_hammer():
    text, found = flowing(PAGE), shipped("finding3_hammer_cpu")
    assert f"a constant has at {assert_finding3_table(text, found, 0)}" in text
    assert " over seeds and ".join(gap_of(found, "posterior", "w_o=0,w_r=100", "w_r=100")) in text


def test_page_quotes_reward_errors_of_the_other_tasks():
    text = PAGE.read_text()
    for task, words in (("handle_pull_side", "Handle Pull Side"), ("hammer", "Hammer")):
        final = shipped(f"reward_mse_{task}_cpu").notes["final"]
        cells = [quote(final[method]["over_seeds"], 2) for method in ("w_r=100", "w_o=0,w_r=100")]
        seeds, episodes = (final["w_o=0,w_r=100"][f"paired_over_{over}"] for over in ("seeds", "episodes"))
        cells += [quote(seeds, 2, signed=True), ends(episodes, 2, signed=True)]
        assert f"| {words} | {' | '.join(cells)} |" in text, cells
        assert all(span["low"] < 0 < span["high"] for span in (seeds, episodes))  # "on neither is it shown"
