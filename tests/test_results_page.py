"""The page of results quotes what is shipped."""

from pathlib import Path

import numpy as np

from analysis import kinds_of_dreams, summary
from analysis.results import load
from analysis.stats import cluster_interval, seed_interval, welch_interval
from hdream_core.agent import DreamerV2
from hdream_core.presets import make_config

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results.md"


def test_page_quotes_the_shipped_miniature():
    shipped, text = load(ROOT / "figures/data/finding1_mini_lever_cpu.h5"), PAGE.read_text()
    final = shipped.notes["final"]
    cells = [final["return"][str(method)] for method in shipped.axes["method"]]
    assert " | ".join(f"{x['mean']:.0f} [{x['low']:.0f}, {x['high']:.0f}]" for x in cells) in text
    assert {row["mean"] for name, row in final["success"].items() if name != "step"} == {0.02}
    early = shipped.data["return"][1][:, :, 1].mean(1)  # after 1,000 steps
    assert f"({early.min():.0f} to {early.max():.0f} after 1,000 steps)" in text
    area = dict(zip(map(str, shipped.axes["method"]), shipped.values("return").mean(-1), strict=True))
    spans = [seed_interval(area[m] - area["w_r=1"]) for m in area if m != "w_r=1"]
    assert " | ".join(f"{x.mean:+.1f} [{x.low:+.1f}, {x.high:+.1f}]" for x in spans) in text
    span, apart = (
        f(area["w_o=0,w_r=100"], area["w_r=100"]) for f in (lambda a, b: seed_interval(a - b), welch_interval)
    )
    assert f"(Finding 3): {span.mean:+.1f} [{span.low:+.1f}, {span.high:+.1f}]" in text and apart.low < 0 < apart.high
    verdicts = [summary.verdict(shipped, str(method)) for method in shipped.axes["method"][1:]]
    assert all("return not shown to differ at this scale" in v for v in verdicts)


def test_page_quotes_the_shipped_result():
    shipped, text = load(ROOT / "figures/data/finding1_lever_pull_quick.h5"), PAGE.read_text()
    final = shipped.notes["final"]
    for metric, digits in (("reward_error", 2), ("reward_error_median", 3), ("return_rank_correlation", 2)):
        row = " | ".join(f"{final[metric][f'w_r={w}']['mean']:.{digits}f}" for w in (1, 10, 100))
        assert f"| {row} |" in text, (metric, row)
    for method in ("w_r=10", "w_r=100"):
        paired = shipped.notes["paired"][method]
        assert f"{paired['mean']:+.2f} [{paired['low']:+.2f}, {paired['high']:+.2f}]" in text


def test_page_quotes_the_shipped_lever_pull_sweep():
    shipped, text = load(ROOT / "figures/data/finding1_lever_pull_cpu.h5"), PAGE.read_text()
    final, paired, methods = shipped.notes["final"], shipped.notes["paired"], [str(m) for m in shipped.axes["method"]]
    assert methods == ["w_r=1", "w_r=10", "w_r=100", "w_o=0,w_r=100", "harmony"]
    rows = (("reward_error", 2), ("reward_error_median", 3), ("return_rank_correlation", 2), ("return", 0))
    for metric, digits in rows:
        cells = [[f"{final[metric][m][end]:.{digits}f}" for end in ("mean", "low", "high")] for m in methods]
        assert "| " + " | ".join(f"{mean} [{low}, {high}]" for mean, low, high in cells) + " |" in text, metric
    for spans in ([paired[m] for m in methods[1:]], [paired[m]["over_seeds"] for m in methods[1:]]):
        assert " | ".join(f"{x['mean']:+.2f} [{x['low']:+.2f}, {x['high']:+.2f}]" for x in spans) in text
    assert f"better in {100 * paired['w_r=100']['share_of_windows_better']:.0f} % of the windows" in text
    each = ", ".join(f"{x:+.2f}" for x in paired["w_r=100"]["per_seed"][:2])
    assert f"{each} and {paired['w_r=100']['per_seed'][2]:+.2f}" in " ".join(text.split())
    ends = shipped.values("return")
    assert (ends[:, :, -1].mean(1) < ends[:, :, 0].mean(1)).all()  # "less than untrained ones"
    for method in ("w_r=10", "w_r=100", "harmony"):  # "both include zero"
        assert all(span["low"] < 0 < span["high"] for span in (paired[method], paired[method]["over_seeds"]))
    implicit = paired["w_o=0,w_r=100"]  # "in all three pairs of seeds", "excludes zero", "does not"
    assert min(implicit["per_seed"]) > 0 and implicit["low"] > 0 and implicit["over_seeds"]["low"] < 0
    medians = [final["reward_error_median"][m]["mean"] for m in methods[:3]]
    assert max(medians[1:]) < medians[0]
    assert all(final["success"][m]["mean"] == 0 for m in methods)


def test_page_quotes_the_sweeps_of_the_other_tasks():
    text, methods = PAGE.read_text(), ("w_r=1", "w_r=10", "harmony")
    for task, words in (("handle_pull_side", "Handle Pull Side"), ("hammer", "Hammer")):
        shipped = load(ROOT / f"figures/data/finding1_{task}_cpu.h5")
        final, paired = shipped.notes["final"], shipped.notes["paired"]
        for metric, digits in (("reward_error", 2), ("return_rank_correlation", 2), ("return", 0)):
            cells = [[f"{final[metric][m][end]:.{digits}f}" for end in ("mean", "low", "high")] for m in methods]
            row = " | ".join(f"{mean} [{low}, {high}]" for mean, low, high in cells)
            assert (f"| {words}: open-loop reward error, mean | {row} |" if metric == "reward_error" else row) in text
        for spans in ([paired[m] for m in methods[1:]], [paired[m]["over_seeds"] for m in methods[1:]]):
            assert " | ".join(f"{x['mean']:+.2f} [{x['low']:+.2f}, {x['high']:+.2f}]" for x in spans) in text
        assert all(final["success"][m]["mean"] == 0 for m in methods)
    harmony = paired["harmony"]  # on Hammer: "over episodes and in two of three pairs of seeds"
    assert harmony["high"] < 0 < harmony["over_seeds"]["high"] and sum(x < 0 for x in harmony["per_seed"]) == 2
    returns = shipped.values("return").mean(1)
    assert f"the untrained ones ({returns[0, 0]:.0f})" in text and (returns[:, -1] > returns[:, 0]).all()


def percent(span):
    """``13 % [5, 22]``."""
    return f"{100 * span['mean']:.0f} % [{100 * span['low']:.0f}, {100 * span['high']:.0f}]"


def test_page_quotes_the_other_studies():
    text = " ".join(PAGE.read_text().split())
    scales = load(ROOT / "figures/data/loss_scales_lever_pull_cpu.h5").notes["final"]
    ratio = scales["log10 of L_o / L_r"]["w_r=1"]
    assert f"10 to the {ratio['mean']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}] times" in text
    for words, method in (("w_r = 1", "w_r=1"), ("w_r = 100", "w_r=100"), ("HarmonyDream", "harmony")):
        kinds = [f"{loss}, {s}" for s in ("untrained", "trained") for loss in ("observation", "reward", "dynamics")]
        cells = [percent(scales[f"gradient share of {kind}"][method]) for kind in kinds]
        assert f"| {words} | {' | '.join(cells)} |" in text, cells
    frames = load(ROOT / "figures/data/finding2_lever_pull_cpu.h5").notes["final"]
    for split, words in (("moving", "true reward moves"), ("still", "true reward stands still")):
        cases = ("only second right", "only first right", "both wrong", "both right")
        cells = [percent(frames[split][case]["over_seeds"]) for case in cases]
        assert f"| {frames[split]['windows']}, {words} | {' | '.join(cells)} |" in text
        kinds = (*kinds_of_dreams.MADE_UP, "made up by first, second right", "made up by second, first right")
        cells = [percent(frames[split][kind]["over_seeds"]) for kind in kinds]
        assert f"| {frames[split]['windows']}, {words} | {' | '.join(cells)} |" in text
    branches = load(ROOT / "figures/data/counterfactual_lever_pull_cpu.h5")
    averted, misses, apart = (
        [branches.notes["final"][f"reward/{name}"][m]["over_seeds"] for m in ("w_r=1", "w_r=100")]
        for name in ("averted_rate", "miss_rate", "discrimination")
    )
    assert f"in {percent(averted[0])} of the dreams with w_r = 1, in {percent(averted[1])} with w_r = 100" in text
    row = branches.notes["final"]["reward/averted_rate"]
    assert f"({row['cases']} cases of {row['episodes']} episodes" in text
    assert f"they miss {percent(misses[0])} and {percent(misses[1])}" in text
    assert " and ".join(f"{x['mean']:.2f} [{x['low']:.2f}, {x['high']:.2f}]" for x in apart) in text


def test_page_quotes_the_motion_of_the_lever_in_dreams():
    text, found = " ".join(PAGE.read_text().split()), load(ROOT / "figures/data/counterfactual_lever_pull_cpu.h5")
    row = found.notes["final"]["object/hallucination_rate"]
    seeds, episodes = (row["w_r=100"][f"paired_over_{over}"] for over in ("seeds", "episodes"))
    cells = [percent(row[method]["over_seeds"]) for method in ("w_r=1", "w_r=100")]
    told = f"it moves in {cells[0]} of the dreams with w_r = 1 and in {cells[1]} with w_r = 100: "
    told += f"{seeds['mean']:+.2f} [{seeds['low']:+.2f}, {seeds['high']:+.2f}] over seeds and "
    assert told + f"[{episodes['low']:+.2f}, {episodes['high']:+.2f}] over episodes. That is the reverse" in text
    seen, none = (100 * found.values(f"object/{name}") for name in ("seen", "floor"))
    assert f"finds {seen.min():.0f} to {seen.max():.0f} % of its motions" in text
    assert f"motion in {none.min():.0f} to {none.max():.0f} % of the windows that have none" in text
    spans = [f"{row.min():.1f} to {row.max():.1f} cm" for row in 100 * found.values("object/quiet")]
    assert f"{spans[0]} with w_r = 1 and {spans[1]} with w_r = 100" in text


def test_page_quotes_state_regression_and_reward_mse():
    text = PAGE.read_text()
    final = load(ROOT / "figures/data/state_regression_lever_pull_cpu.h5").notes["final"]
    for kind, words in (("posterior", "posterior features"), ("open_loop", "open-loop features")):
        for prefix, probe in (("", "MLP"), ("linear/", "linear probe")):
            row = final[f"{prefix}{kind}"]["object"]
            cells = [f"{s['mean']:.1f} [{s['low']:.1f}, {s['high']:.1f}]" for s in (row[m]["over_seeds"] for m in row)]
            seeds, episodes = (row["w_r=100"][f"paired_over_{over}"] for over in ("seeds", "episodes"))
            cells.append(f"{seeds['mean']:+.1f} [{seeds['low']:+.1f}, {seeds['high']:+.1f}]")
            cells.append(f"[{episodes['low']:+.1f}, {episodes['high']:+.1f}]")
            assert f"| {words}, {probe} | {' | '.join(cells)} |" in text, (words, probe, cells)
    hand = final["posterior"]["hand"]["w_r=100"]["paired_over_seeds"]
    assert f"{hand['mean']:+.1f} [{hand['low']:+.1f}, {hand['high']:+.1f}]" in text
    final = load(ROOT / "figures/data/reward_mse_lever_pull_cpu.h5").notes["final"]
    for words, method in (("with w_o = 1", "w_r=100"), ("with w_o = 0", "w_o=0,w_r=100")):
        span = final[method]["over_seeds"]
        assert f"{span['mean']:.2f} [{span['low']:.2f}, {span['high']:.2f}] {words}" in text
    seeds, episodes = (final["w_o=0,w_r=100"][f"paired_over_{over}"] for over in ("seeds", "episodes"))
    assert f"{seeds['mean']:+.2f}, [{seeds['low']:+.2f}, {seeds['high']:+.2f}] over seeds" in text
    assert f"[{episodes['low']:+.2f}, {episodes['high']:+.2f}] over episodes" in text


def test_page_quotes_the_coefficients():
    text = " ".join(PAGE.read_text().split())
    ends = {}
    for task in ("lever_pull", "handle_pull_side"):
        found = load(ROOT / f"figures/data/coefficients_{task}_cpu.h5")
        learned, analytic = (found.values(f"{kind}/reward")[0, :, -1] for kind in ("weight", "analytic_weight"))
        ends[task] = seed_interval(learned), analytic.mean()
    cells = [f"{x.mean:.2f} [{x.low:.2f}, {x.high:.2f}]" for x, _ in ends.values()]
    assert f"ends at {cells[0]} on Lever Pull and at {cells[1]} on Handle Pull Side" in text
    assert "Eq. 13's ({:.2f} and {:.2f})".format(*(x for _, x in ends.values())) in text


def assert_rows_against_harmony(text, error, episode, names):
    """The page's rows of methods: reward error, and HarmonyDream's minus it, over seeds and over episodes."""
    for method, words in names.items():
        gap = error["harmony"] - error[method]
        mean, seeds = seed_interval(error[method].mean(1)), seed_interval(gap.mean(1))
        episodes = cluster_interval(gap.mean(0), episode)
        cells = [
            f"{mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]",
            f"{seeds.mean:+.2f} [{seeds.low:+.2f}, {seeds.high:+.2f}]",
            f"[{episodes.low:+.2f}, {episodes.high:+.2f}]",
        ]
        assert f"| {words} | {' | '.join(cells)} |" in text, (words, cells)


def test_page_quotes_the_ablations():
    text, found = PAGE.read_text(), load(ROOT / "figures/data/ablations_lever_pull_cpu.h5")
    methods, episode = [str(m) for m in found.axes["method"]], found.values("window/episode")
    error = dict(zip(methods, found.values("window/error"), strict=True))
    rows = {"unrectified": "unrectified (Eq. 4)", "harmony,w_d=1": "w_d fixed to 1 (E.4)", "w_r=10": "w_r = 10 (E.5)"}
    assert_rows_against_harmony(text, error, episode, rows | {"w_r=100": "w_r = 100 (E.5)"})
    ends = {
        name: dict(zip(methods, found.values(name)[..., -1], strict=True))
        for name in ("weight/reward", "loss/dynamics")
    }
    for name, method, digits in (
        ("weight/reward", "unrectified", 1),
        ("weight/reward", "harmony", 2),
        ("loss/dynamics", "harmony,w_d=1", 2),
        ("loss/dynamics", "harmony", 2),
    ):
        span = seed_interval(ends[name][method])
        assert f"{span.mean:.{digits}f} [{span.low:.{digits}f}, {span.high:.{digits}f}]" in text


def test_readme_says_in_short_what_the_page_says():
    text = " ".join((ROOT / "README.md").read_text().split())
    sizes = []
    for preset in ("cpu", "paper"):
        agent = DreamerV2(make_config("lever_pull", preset), 64, 4)
        sizes.append(sum(p.numel() for p in agent.model.parameters()) / 1e6)
    assert f"world models of {sizes[0]:.1f} million parameters (the paper's have {sizes[1]:.0f})" in text
    found = load(ROOT / "figures/data/loss_scales_lever_pull_cpu.h5")
    train = found.config["w_r=1"]["train"]
    assert f"trained by {train['steps'] // train['train_every']} updates" in text
    final = found.notes["final"]
    first, last = (final[f"gradient share of reward, {stage}"]["w_r=1"]["mean"] for stage in ("untrained", "trained"))
    ratio = final["log10 of L_o / L_r"]["w_r=1"]["mean"]
    assert f"10 to the {ratio:.2f} times" in text
    assert f"the largest share, {100 * first:.0f} %, and falls to {100 * last:.0f} %" in text


def test_page_quotes_finding3():
    text, found = " ".join(PAGE.read_text().split()), load(ROOT / "figures/data/finding3_lever_pull_cpu.h5")
    methods = [str(m) for m in found.axes["method"]]
    for kind, words in (("posterior", "posterior features"), ("open_loop", "open-loop features")):
        spans = [seed_interval(values.mean(-1)) for values in found.values(f"mlp/{kind}")]
        cells = [f"{x.mean:.0f} [{x.low:.0f}, {x.high:.0f}]" for x in spans]
        assert f"| {words} | {' | '.join(cells)} |" in text, cells
    error = dict(zip(methods, found.values("mlp/posterior"), strict=True))
    for one, other in (("w_o=0,w_r=100", "w_r=100"), ("w_r=100", "w_r=1")):
        gap = error[one] - error[other]
        seeds, episodes = seed_interval(gap.mean(1)), cluster_interval(gap.mean(0), found.axes["episode"])
        told = f"{seeds.mean:+.1f} [{seeds.low:+.1f}, {seeds.high:+.1f}] over seeds and "
        assert told + f"[{episodes.low:+.1f}, {episodes.high:+.1f}] over episodes" in text
    assert f"a constant has {found.values('constant/posterior').mean():.0f} square" in text


def test_page_quotes_the_multitask_balancers():
    text, found = PAGE.read_text(), load(ROOT / "figures/data/multitask_lever_pull_cpu.h5")
    methods, episode = [str(m) for m in found.axes["method"]], found.values("window/episode")
    error = dict(zip(methods, found.values("window/error"), strict=True))
    names = {"w_r=1": "w_r = 1", "uw": "uncertainty weighting", "dwa": "DWA", "nashmtl": "NashMTL"}
    assert_rows_against_harmony(text, error, episode, names)
    assert (error["harmony"] - error["uw"]).mean(1).max() < 0  # "in all three pairs of seeds"
    assert not found.values("balancer/solver_failures")[methods.index("nashmtl")].any()
    for loss, method, digits in (("observation", "uw", 0), ("dynamics", "nashmtl", -1)):
        span = seed_interval(found.values(f"weight/{loss}")[methods.index(method), :, -1])
        told = [f"{round(x, digits):.0f}" for x in span]
        assert f"{told[0]} [{told[1]}, {told[2]}]" in text, told


def test_page_quotes_state_regression_on_unseen_episodes():
    text = PAGE.read_text()
    final = load(ROOT / "figures/data/state_regression_unseen_lever_pull_cpu.h5").notes["final"]
    for thing, name in (("object", "lever"), ("hand", "hand")):
        for kind, words in (("posterior", "posterior"), ("open_loop", "open loop")):
            row = final[kind][thing]
            cells = [f"{s['mean']:.1f} [{s['low']:.1f}, {s['high']:.1f}]" for s in (row[m]["over_seeds"] for m in row)]
            seeds, episodes = (row["w_r=100"][f"paired_over_{over}"] for over in ("seeds", "episodes"))
            cells.append(f"{seeds['mean']:+.1f} [{seeds['low']:+.1f}, {seeds['high']:+.1f}]")
            cells.append(f"[{episodes['low']:+.1f}, {episodes['high']:+.1f}]")
            assert f"| {name}, {words} | {' | '.join(cells)} |" in text, (name, words, cells)


def test_page_says_what_harmonys_gradients_would_be_with_eq_13():
    text = " ".join(PAGE.read_text().split())
    scales, learned = (load(ROOT / f"figures/data/{n}_lever_pull_cpu.h5") for n in ("loss_scales", "coefficients"))
    losses, harmony = ("observation", "reward", "dynamics"), [str(m) for m in scales.axes["method"]].index("harmony")
    norms = np.stack([scales.values(f"gradient_norm/{loss}")[harmony, :, 1] for loss in losses])  # (loss, seed)
    pull = norms * np.stack([learned.values(f"analytic_weight/{loss}")[0, :, -1] for loss in losses])
    shares = 100 * (pull / pull.sum(0)).mean(1)
    assert "the same gradients would have {:.0f}, {:.0f} and {:.0f} %".format(*shares) in text
    too_high = []
    for task in ("lever_pull", "handle_pull_side", "hammer"):
        found = load(ROOT / f"figures/data/coefficients_{task}_cpu.h5")
        ends = [found.values(f"{kind}/observation")[0, :, -1] for kind in ("weight", "analytic_weight")]
        too_high.append((ends[0] / ends[1]).mean())
    assert "three times too high ({:.2f}, {:.2f} and, on Hammer, {:.2f} times Eq. 13's)".format(*too_high) in text


def test_page_quotes_the_orders_of_magnitude_at_other_scales():
    text, ratios = " ".join(PAGE.read_text().split()), []
    for name in ("finding1_lever_pull_paper", "finding1_mini_lever_cpu"):
        found = load(ROOT / f"figures/data/{name}.h5")
        ratio = np.log10(found.values("loss/observation")[0] / found.values("loss/reward")[0])  # of w_r = 1
        ratios.append(np.nanmean(ratio[:, found.axes["log_step"] > found.axes["log_step"][-1] / 2]))
    assert "it is 10 to the {:.1f} by 20,000 steps (above), on the miniature 10 to the {:.2f}".format(*ratios) in text


def test_page_says_that_nashmtl_collapsed():
    text, found = " ".join(PAGE.read_text().split()), load(ROOT / "figures/data/multitask_lever_pull_cpu.h5")
    methods = [str(m) for m in found.axes["method"]]
    end = {
        name: dict(zip(methods, found.values(f"loss/{name}")[..., -1].mean(1), strict=True))
        for name in ("dynamics", "observation")
    }
    told = f"dynamics loss is {end['dynamics']['nashmtl']:.4f} at the end (w_r = 1: {end['dynamics']['w_r=1']:.1f})"
    assert told in text
    others = sorted(value for name, value in end["observation"].items() if name != "nashmtl")
    told = f"{end['observation']['nashmtl']:.0f} where others have {others[0]:.0f} to {others[-1]:.0f}"
    assert told in text
    dwa = [found.values(f"weight_{which}/{loss}")[methods.index("dwa")] for which in ("min", "max")
           for loss in ("observation", "reward", "dynamics")]  # fmt: skip
    assert f"between {np.nanmin(dwa):.2f} and {np.nanmax(dwa):.1f} in single updates" in text


def test_page_quotes_the_whole_state_beside_the_lever():
    text = " ".join(PAGE.read_text().split())
    found = load(ROOT / "figures/data/state_regression_unseen_lever_pull_cpu.h5")
    one, hundred = found.values("mlp/posterior").mean(2).sum(-1).mean(-1)  # (seed,) each: hand, lever and goal
    cells = [f"{x.mean:.0f} [{x.low:.0f}, {x.high:.0f}]" for x in map(seed_interval, (hundred, one))]
    gap = seed_interval(hundred - one)
    told = f"{cells[0]} against {cells[1]} ({gap.mean:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}] paired over seeds)"
    assert told in text


def test_page_quotes_the_regressions_of_the_other_tasks():
    text = PAGE.read_text()
    things = {
        "handle_pull_side": ("Handle Pull Side", {"object": "handle", "hand": "hand"}),
        "hammer": ("Hammer", {"object": "hammer", "object2": "nail", "hand": "hand"}),
    }
    for task, (words, names) in things.items():
        found = load(ROOT / f"figures/data/state_regression_unseen_{task}_cpu.h5")
        for kind, label in (("posterior", "posterior"), ("open_loop", "open loop")):
            for thing, name in names.items():
                row = found.notes["final"][kind][thing]
                spans = [row[method]["over_seeds"] for method in ("w_r=1", "w_r=10")]
                cells = [f"{x['mean']:.1f} [{x['low']:.1f}, {x['high']:.1f}]" for x in spans]
                seeds, episodes = (row["w_r=10"][f"paired_over_{over}"] for over in ("seeds", "episodes"))
                cells += [f"{seeds['mean']:+.1f} [{seeds['low']:+.1f}, {seeds['high']:+.1f}]"]
                cells += [f"[{episodes['low']:+.1f}, {episodes['high']:+.1f}]"]
                assert f"| {words}: {name}, {label} | {' | '.join(cells)} |" in text, cells
        constants = dict(zip(found.axes["object"], found.values("constant/posterior").mean((0, 1, 2)), strict=True))
        for thing in set(names) - {"hand"}:
            assert f"{constants[thing]:.0f} for the {names[thing]}" in text
