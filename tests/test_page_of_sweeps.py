"""The page of results and the README quote what is shipped: what finding1's sweeps gave."""

import numpy as np

from analysis.results import summary
from analysis.results.stats import seed_interval, welch_interval
from hdream_core.config.presets import make_config
from hdream_core.dreamerv2.agent import DreamerV2
from tests.quoted import PAGE, README, flowing, quote, shipped
from tests.small import METAWORLD


def test_page_quotes_the_shipped_miniature():
    found, text = shipped("finding1_mini_lever_cpu"), PAGE.read_text()
    final = found.notes["final"]
    cells = [final["return"][str(method)] for method in found.axes["method"]]
    assert " | ".join(quote(x, 0) for x in cells) in text
    assert {row["mean"] for name, row in final["success"].items() if name != "step"} == {0.02}
    early = found.data["return"][1][:, :, 1].mean(1)  # after 1,000 steps
    untrained = dict(zip(map(str, found.axes["method"]), found.data["return"][1][:, :, 0].mean(1), strict=True))
    told = f"returns {untrained['w_r=1']:.0f} ({untrained['w_o=0,w_r=100']:.0f} with w_o = 0); after 1,000 steps all "
    assert told + f"five methods are at {early.min():.0f} to {early.max():.0f}" in text
    gained = found.data["return"][1][:, :, -1] - found.data["return"][1][:, :, 0]
    gains = {str(m): seed_interval(gain) for m, gain in zip(found.axes["method"], gained, strict=True)}
    assert f"by {quote(gains['harmony'], 1, signed=True)}; of the others that is not shown" in " ".join(text.split())
    assert [m for m, gain in gains.items() if gain.low > 0] == ["harmony"]
    area = dict(zip(map(str, found.axes["method"]), found.values("return").mean(-1), strict=True))
    spans = [seed_interval(area[m] - area["w_r=1"]) for m in area if m != "w_r=1"]
    assert " | ".join(quote(x, 1, signed=True) for x in spans) in text
    span, apart = (
        f(area["w_o=0,w_r=100"], area["w_r=100"]) for f in (lambda a, b: seed_interval(a - b), welch_interval)
    )
    assert f"(Finding 3): {quote(span, 1, signed=True)}" in text and apart.low < 0 < apart.high
    verdicts = [summary.verdict(found, str(method)) for method in found.axes["method"][1:]]
    assert all("return not shown to differ at this scale" in v for v in verdicts)


def test_page_quotes_the_shipped_result():
    found, text = shipped("finding1_lever_pull_quick"), PAGE.read_text()
    final = found.notes["final"]
    for metric, digits in (("reward_error", 2), ("reward_error_median", 3), ("return_rank_correlation", 2)):
        row = " | ".join(f"{final[metric][f'w_r={w}']['mean']:.{digits}f}" for w in (1, 10, 100))
        assert f"| {row} |" in text, (metric, row)
    for method in ("w_r=10", "w_r=100"):
        paired = found.notes["paired"][method]
        assert quote(paired, 2, signed=True) in text


def test_page_quotes_the_shipped_lever_pull_sweep():
    found, text = shipped("finding1_lever_pull_cpu"), PAGE.read_text()
    final, paired, methods = found.notes["final"], found.notes["paired"], [str(m) for m in found.axes["method"]]
    assert methods == ["w_r=1", "w_r=10", "w_r=100", "w_o=0,w_r=100", "harmony"]
    rows = (("reward_error", 2), ("reward_error_median", 3), ("return_rank_correlation", 2), ("return", 0))
    for metric, digits in rows:
        cells = [[f"{final[metric][m][end]:.{digits}f}" for end in ("mean", "low", "high")] for m in methods]
        assert "| " + " | ".join(f"{mean} [{low}, {high}]" for mean, low, high in cells) + " |" in text, metric
    for spans in ([paired[m] for m in methods[1:]], [paired[m]["over_seeds"] for m in methods[1:]]):
        assert " | ".join(quote(x, 2, signed=True) for x in spans) in text
    assert f"better in {100 * paired['w_r=100']['share_of_windows_better']:.0f} % of the windows" in text
    each = ", ".join(f"{x:+.2f}" for x in paired["w_r=100"]["per_seed"][:2])
    assert f"{each} and {paired['w_r=100']['per_seed'][2]:+.2f}" in " ".join(text.split())
    returns = found.values("return")
    assert (returns[:, :, -1].mean(1) < returns[:, :, 0].mean(1)).all()  # "less than untrained ones"
    for method in ("w_r=10", "w_r=100", "harmony"):  # "both include zero"
        assert all(span["low"] < 0 < span["high"] for span in (paired[method], paired[method]["over_seeds"]))
    implicit = paired["w_o=0,w_r=100"]  # "in all three pairs of seeds", "excludes zero", "does not"
    assert min(implicit["per_seed"]) > 0 and implicit["low"] > 0 and implicit["over_seeds"]["low"] < 0
    medians = [final["reward_error_median"][m]["mean"] for m in methods[:3]]
    assert max(medians[1:]) < medians[0]
    assert all(final["success"][m]["mean"] == 0 for m in methods)


def test_page_quotes_the_sweeps_of_the_other_tasks():
    text = PAGE.read_text()
    for task, words in (("handle_pull_side", "Handle Pull Side"), ("hammer", "Hammer")):
        found = shipped(f"finding1_{task}_cpu")
        final, paired, methods = found.notes["final"], found.notes["paired"], [str(m) for m in found.axes["method"]]
        assert methods == ["w_r=1", "w_r=10", "w_r=100", "w_o=0,w_r=100", "harmony"]
        for metric, digits in (("reward_error", 2), ("return_rank_correlation", 2), ("return", 0)):
            cells = [[f"{final[metric][m][end]:.{digits}f}" for end in ("mean", "low", "high")] for m in methods]
            row = " | ".join(f"{mean} [{low}, {high}]" for mean, low, high in cells)
            assert (f"| {words}: open-loop reward error, mean | {row} |" if metric == "reward_error" else row) in text
        for spans in ([paired[m] for m in methods[1:]], [paired[m]["over_seeds"] for m in methods[1:]]):
            assert " | ".join(quote(x, 2, signed=True) for x in spans) in text
        assert paired["w_r=10"]["low"] < 0 < paired["w_r=10"]["high"]  # "not shown"


def test_page_says_what_came_out_on_hammer():
    text, found = flowing(PAGE), shipped("finding1_hammer_cpu")
    paired, methods = found.notes["paired"], [str(m) for m in found.axes["method"]]
    harmony = paired["harmony"]  # "over episodes and in two of three pairs of seeds"
    assert harmony["high"] < 0 < harmony["over_seeds"]["high"] and sum(x < 0 for x in harmony["per_seed"]) == 2
    heavy = paired["w_r=100"]  # "in all three pairs of seeds, though at the level that the rule has ..."
    assert min(heavy["per_seed"]) > 0 and seed_interval(np.array(heavy["per_seed"]), 0.975).low < 0
    success, returns = (found.values(name)[..., -1] for name in ("success", "return"))
    won = [(methods[i], float(returns[i, j])) for i, j in np.argwhere(success == 1)]
    assert [method for method, _ in won] == ["w_r=100", "w_o=0,w_r=100"] and success.sum() == 2
    assert {f"{value:.0f}" for _, value in won} == {"256"} and "with returns of 256 in both" in text
    before, after = (found.values("return").mean(1)[:, at] for at in (0, -1))
    assert f"the untrained ones ({before[0]:.0f})" in text
    assert [m for m, x, y in zip(methods, before, after, strict=True) if y > x] == ["w_r=1", "w_r=10", "harmony"]


def test_readme_says_in_short_what_the_page_says():
    text = flowing(README)
    sizes = []
    for preset in ("cpu", "paper"):
        agent = DreamerV2(make_config("lever_pull", preset), METAWORLD)
        sizes.append(sum(p.numel() for p in agent.model.parameters()) / 1e6)
    assert f"world models of {sizes[0]:.1f} million parameters (the paper's have {sizes[1]:.0f})" in text
    found = shipped("loss_scales_lever_pull_cpu")
    train = found.config["w_r=1"]["train"]
    assert f"trained by {train['steps'] // train['train_every']} updates" in text
    final = found.notes["final"]
    first, last = (final[f"gradient share of reward, {stage}"]["w_r=1"]["mean"] for stage in ("untrained", "trained"))
    ratio = final["log10 of L_o / L_r"]["w_r=1"]["mean"]
    assert f"10 to the {ratio:.2f} times" in text
    row = shipped("counterfactual_handle_pull_side_cpu").notes["final"]["reward/discrimination"]["w_r=10"]
    assert f"a difference of {quote(row['paired_over_seeds'], 2, signed=True)} in the probability of a reward" in text
    assert f"the largest share, {100 * first:.0f} %, and falls to {100 * last:.0f} %" in text
