"""The page of results quotes what is shipped: how loud losses are, and how often dreams are wrong."""

from analysis.results import kinds_of_dreams
from tests.quoted import PAGE, ends, flowing, percent, quote, shipped

TASKS = {"lever_pull": "", "handle_pull_side": "Handle Pull Side: ", "hammer": "Hammer: "}  # as rows begin


def test_page_quotes_how_often_dreams_are_right_and_make_rewards_up():
    text = flowing(PAGE)
    for task, words in TASKS.items():
        frames = shipped(f"finding2_{task}_cpu").notes["final"]
        for split, moves in (("moving", "moves"), ("still", "stands still"), ("still and low", "low and still")):
            right = ("only second right", "only first right", "both wrong", "both right")
            made_up = (*kinds_of_dreams.MADE_UP, "made up by first, second right", "made up by second, first right")
            for kinds in (made_up,) if split == "still and low" else (right, made_up):
                cells = [percent(frames[split][kind]["over_seeds"]) for kind in kinds]
                assert f"| {words}{frames[split]['windows']}, true reward {moves} | {' | '.join(cells)} |" in text
            cells = []
            for gap in (frames[split]["difference"], frames[split]["difference in made up"]):
                cells += [quote(gap["over_seeds"], 2, True), ends(gap["over_episodes"], 2, True)]
            name = task.replace("_", " ").title()
            assert f"| {name}, true reward {moves} | {' | '.join(cells)} |" in text, cells
    gap = shipped("finding2_hammer_cpu").notes["final"]["all"]["difference"]
    assert f"together have {quote(gap['over_seeds'], 2, True)} over seeds and" in text
    assert f"{ends(gap['over_episodes'], 2, True)} over episodes; but the rule" in text
    held = []
    for task in TASKS:  # "by both intervals"; "those of the other tasks are not shown to"
        found = shipped(f"finding2_{task}_cpu")
        gap = found.notes["final"]["still and low"]["difference in made up"]
        assert (min(gap["over_seeds"]["low"], gap["over_episodes"]["low"]) > 0) == (task == "handle_pull_side")
        split = kinds_of_dreams.splits(found)
        held.append(f"{100 * (1 - split['still and low'].sum() / split['still'].sum()):.0f} %")
    assert f"on Handle Pull Side and Hammer ({' and '.join(held[1:])})" in text


def assert_gradient_rows(text, scales, balanced, task=""):
    """The page's rows of methods: shares of the three losses in the gradient, before and after training."""
    methods = {"w_r=1": "w_r = 1", balanced: balanced.replace("=", " = "), "harmony": "HarmonyDream"}
    kinds = [f"{loss}, {s}" for s in ("untrained", "trained") for loss in ("observation", "reward", "dynamics")]
    for method, words in methods.items():
        cells = [percent(scales[f"gradient share of {kind}"][method]) for kind in kinds]
        assert f"| {task}{words} | {' | '.join(cells)} |" in text, cells


def test_page_quotes_loss_scales():
    text, scales = flowing(PAGE), shipped("loss_scales_lever_pull_cpu").notes["final"]
    assert f"10 to the {quote(scales['log10 of L_o / L_r']['w_r=1'], 2)} times" in text
    assert_gradient_rows(text, scales, "w_r=100")


def test_page_quotes_loss_scales_of_the_other_tasks():
    text, ratios = flowing(PAGE), []
    for task, name in (("handle_pull_side", "Handle Pull Side"), ("hammer", "Hammer")):
        scales = shipped(f"loss_scales_{task}_cpu").notes["final"]
        ratios.append(quote(scales["log10 of L_o / L_r"]["w_r=1"], 2))
        assert_gradient_rows(text, scales, "w_r=10", f"{name}, ")
    told = f"10 to the {ratios[0]} on Handle Pull Side, which by the rule is not two orders, and 10 to the {ratios[1]}"
    assert told in text


def test_page_quotes_finding_2_on_handle_pull_side():
    text, final = flowing(PAGE), shipped("counterfactual_handle_pull_side_cpu").notes["final"]
    row = final["reward/discrimination"]
    told = f"by {quote(row['w_r=10']['over_seeds'], 2)}, with w_r = 1 by {quote(row['w_r=1']['over_seeds'], 2)}: "
    told += f"{quote(row['w_r=10']['paired_over_seeds'], 2, True)} over seeds and "
    told += f"{ends(row['w_r=10']['paired_over_episodes'], 2, True)} over episodes "
    assert told + f"({row['cases']} branches of {row['episodes']} episodes)" in text
    averted, misses = (
        [percent(final[f"reward/{name}_rate"][method]["over_seeds"]) for method in ("w_r=10", "w_r=1")]
        for name in ("averted", "miss")
    )
    assert f"averted rewards are dreamed of in {averted[0]} against {averted[1]}" in text
    assert f"rewards that come are missed in {misses[0]} against {misses[1]}" in text
    for name in ("averted", "miss"):  # "each of them not shown over seeds"
        span = final[f"reward/{name}_rate"]["w_r=10"]["paired_over_seeds"]
        assert span["mean"] < 0 < span["high"]
    rises = (shipped("counterfactual_handle_pull_side_cpu").values("reward/happened")[0] == 1).sum()
    told = f"moves by 5 cm in {final['object/miss_rate']['cases']} (a reward rises in {rises})"
    assert told in text


def test_page_quotes_finding_2_on_hammer():
    text, found = flowing(PAGE), shipped("counterfactual_hammer_cpu")
    final = found.notes["final"]
    row, apart = final["reward/miss_rate"], final["reward/discrimination"]
    told = f"{percent(row['w_r=1']['over_seeds'])} of the dreams with w_r = 1 and in "
    told += (
        f"{percent(row['w_r=10']['over_seeds'])} with w_r = 10: {quote(row['w_r=10']['paired_over_seeds'], 2, True)} "
    )
    told += f"over seeds and {ends(row['w_r=10']['paired_over_episodes'], 2, True)} over episodes "
    assert told + f"({row['cases']} cases of {row['episodes']} episodes)" in text
    assert f"in {apart['cases']} branches of {apart['episodes']} episodes only" in text
    cells = [quote(apart[method]["over_seeds"], 2) for method in ("w_r=10", "w_r=1")]
    assert " against ".join(cells) in text
    assert f"move in up to {100 * found.values('object/floor').max():.0f} % of the windows" in text


def test_page_quotes_the_rates_of_wrong_dreams():
    text, branches = flowing(PAGE), shipped("counterfactual_lever_pull_cpu")
    averted, misses, apart = (
        [branches.notes["final"][f"reward/{name}"][m]["over_seeds"] for m in ("w_r=1", "w_r=100")]
        for name in ("averted_rate", "miss_rate", "discrimination")
    )
    assert f"in {percent(averted[0])} of the dreams with w_r = 1, in {percent(averted[1])} with w_r = 100" in text
    row = branches.notes["final"]["reward/averted_rate"]
    assert f"({row['cases']} cases of {row['episodes']} episodes" in text
    assert f"they miss {percent(misses[0])} and {percent(misses[1])}" in text
    assert " and ".join(quote(x, 2) for x in apart) in text


def test_page_quotes_the_motion_of_the_lever_in_dreams():
    text, found = flowing(PAGE), shipped("counterfactual_lever_pull_cpu")
    row = found.notes["final"]["object/hallucination_rate"]
    seeds, episodes = (row["w_r=100"][f"paired_over_{over}"] for over in ("seeds", "episodes"))
    cells = [percent(row[method]["over_seeds"]) for method in ("w_r=1", "w_r=100")]
    told = f"it moves in {cells[0]} of the dreams with w_r = 1 and in {cells[1]} with w_r = 100: "
    told += f"{quote(seeds, 2, signed=True)} over seeds and "
    assert told + f"{ends(episodes, 2, signed=True)} over episodes. That points against Finding 2" in text
    seen, none = (100 * found.values(f"object/{name}") for name in ("seen", "floor"))
    assert f"finds {seen.min():.0f} to {seen.max():.0f} % of its motions" in text
    assert f"motion in {none.min():.0f} to {none.max():.0f} % of the windows that have none" in text
    spans = [f"{row.min():.1f} to {row.max():.1f} cm" for row in 100 * found.values("object/quiet")]
    assert f"{spans[0]} with w_r = 1 and {spans[1]} with w_r = 100" in text
