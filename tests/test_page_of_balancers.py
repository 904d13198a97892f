"""The page of results quotes what is shipped: what balancers learn, and their models."""

import numpy as np

from analysis.results.stats import cluster_interval, seed_interval
from tests.quoted import PAGE, ends, flowing, quote, shipped


def test_page_quotes_the_coefficients():
    text = flowing(PAGE)
    end = {}
    for task in ("lever_pull", "handle_pull_side"):
        found = shipped(f"coefficients_{task}_cpu")
        learned, analytic = (found.values(f"{kind}/reward")[0, :, -1] for kind in ("weight", "analytic_weight"))
        end[task] = seed_interval(learned), analytic.mean()
    cells = [quote(x, 2) for x, _ in end.values()]
    assert f"ends at {cells[0]} on Lever Pull and at {cells[1]} on Handle Pull Side" in text
    assert "Eq. 13's ({:.2f} and {:.2f})".format(*(x for _, x in end.values())) in text


def assert_rows_against_harmony(text, error, episode, names):
    """The page's rows of methods: reward error, and HarmonyDream's minus it, over seeds and over episodes."""
    for method, words in names.items():
        gap = error["harmony"] - error[method]
        mean, seeds = seed_interval(error[method].mean(1)), seed_interval(gap.mean(1))
        episodes = cluster_interval(gap.mean(0), episode)
        cells = [quote(mean, 2), quote(seeds, 2, signed=True), ends(episodes, 2, signed=True)]
        assert f"| {words} | {' | '.join(cells)} |" in text, (words, cells)


def test_page_quotes_the_ablations():
    text, found = PAGE.read_text(), shipped("ablations_lever_pull_cpu")
    methods, episode = [str(m) for m in found.axes["method"]], found.values("window/episode")
    error = dict(zip(methods, found.values("window/error"), strict=True))
    rows = {"unrectified": "unrectified (Eq. 4)", "harmony,w_d=1": "w_d fixed to 1 (E.4)", "w_r=10": "w_r = 10 (E.5)"}
    assert_rows_against_harmony(text, error, episode, rows | {"w_r=100": "w_r = 100 (E.5)"})
    end = {
        name: dict(zip(methods, found.values(name)[..., -1], strict=True))
        for name in ("weight/reward", "loss/dynamics")
    }
    for name, method, digits in (
        ("weight/reward", "unrectified", 1),
        ("weight/reward", "harmony", 2),
        ("loss/dynamics", "harmony,w_d=1", 2),
        ("loss/dynamics", "harmony", 2),
    ):
        span = seed_interval(end[name][method])
        assert quote(span, digits) in text


def test_page_quotes_the_multitask_balancers():
    text, found = PAGE.read_text(), shipped("multitask_lever_pull_cpu")
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


def test_page_says_that_nashmtl_collapsed():
    text, found = flowing(PAGE), shipped("multitask_lever_pull_cpu")
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


def test_page_says_what_harmonys_gradients_would_be_with_eq_13():
    text = flowing(PAGE)
    scales, learned = (shipped(f"{n}_lever_pull_cpu") for n in ("loss_scales", "coefficients"))
    losses, harmony = ("observation", "reward", "dynamics"), [str(m) for m in scales.axes["method"]].index("harmony")
    norms = np.stack([scales.values(f"gradient_norm/{loss}")[harmony, :, 1] for loss in losses])  # (loss, seed)
    pull = norms * np.stack([learned.values(f"analytic_weight/{loss}")[0, :, -1] for loss in losses])
    shares = 100 * (pull / pull.sum(0)).mean(1)
    assert "the same gradients would have {:.0f}, {:.0f} and {:.0f} %".format(*shares) in text
    too_high = []
    for task in ("lever_pull", "handle_pull_side", "hammer"):
        found = shipped(f"coefficients_{task}_cpu")
        end = [found.values(f"{kind}/observation")[0, :, -1] for kind in ("weight", "analytic_weight")]
        too_high.append((end[0] / end[1]).mean())
    assert "three times too high ({:.2f}, {:.2f} and, on Hammer, {:.2f} times Eq. 13's)".format(*too_high) in text


def test_page_quotes_the_orders_of_magnitude_at_other_scales():
    text, ratios = flowing(PAGE), []
    for name in ("finding1_lever_pull_paper", "finding1_mini_lever_cpu"):
        found = shipped(name)
        ratio = np.log10(found.values("loss/observation")[0] / found.values("loss/reward")[0])  # of w_r = 1
        ratios.append(np.nanmean(ratio[:, found.axes["log_step"] > found.axes["log_step"][-1] / 2]))
    told = (
        "it is 10 to the {:.1f} in the second half of 21,500 steps (above), on the miniature 10 to the {:.2f}".format(
            *ratios
        )
    )
    assert told in text
