"""The page of results quotes what is shipped: the miniature, online, apart from its sweep of weights."""

import numpy as np

from analysis.ledger.judges_of_models import regression, whole_state
from analysis.ledger.verdicts import NOT_SHOWN, REPRODUCED, Shelf
from analysis.results.stats import seed_interval
from tests.quoted import PAGE, flowing, percent, quote, shipped
from tests.test_page_of_representation import cells_of


def test_page_quotes_the_multitask_balancers_of_the_miniature():
    text, found = flowing(PAGE), shipped("multitask_mini_lever_cpu")
    methods, returns = [str(m) for m in found.axes["method"]], found.values("return")  # (method, seed, step)
    names = {"harmony": "HarmonyDream", "w_r=1": "w_r = 1", "uw": "uncertainty weighting", "dwa": "DWA"}
    area = dict(zip(methods, returns.mean(-1), strict=True))
    for method, words in (names | {"nashmtl": "NashMTL"}).items():
        last = seed_interval(returns[methods.index(method), :, -1])
        cells = [quote(last, 0), quote(seed_interval(area[method]), 1)]
        if method != "harmony":
            cells.append(quote(seed_interval(area["harmony"] - area[method]), 1, signed=True))
        assert f"| {words} | {' | '.join(cells)} |" in text, (words, cells)
    assert (area["harmony"] > area["uw"]).all()  # "in all five pairs of seeds"
    before = shipped("finding1_mini_lever_cpu")
    then = dict(zip(map(str, before.axes["method"]), before.values("return").mean(-1), strict=True))
    told = quote(seed_interval(then["harmony"] - then["w_r=1"]), 1, signed=True)
    assert f"there HarmonyDream was ahead of w_r = 1 by {told}" in text
    assert f"have {quote(seed_interval(then['harmony'] - area['uw']), 1, signed=True)}" in text
    assert before.attributes["git_commit"] != found.attributes["git_commit"]
    gained = returns[methods.index("uw"), :, -1] - returns[methods.index("uw"), :, 0]
    told = quote(seed_interval(area["dwa"] - area["uw"]), 1, signed=True)
    assert f"({quote(seed_interval(gained), 1, signed=True)}) and which DWA beats, too ({told})" in text
    share = 100 * found.values("success").mean(1).max()
    assert f"in at most {share:.0f} % of a method's episodes at any evaluation" in text
    end = {
        name: dict(zip(methods, found.values(name)[..., -1].mean(1), strict=True))
        for name in found.data
        if name.startswith(("loss/", "weight/"))
    }
    loss = {name: end[f"loss/{name}"] for name in ("observation", "reward", "dynamics")}
    assert f"to a dynamics loss of {loss['dynamics']['nashmtl']:.5f}" in text
    others = sorted(value for method, value in loss["observation"].items() if method != "nashmtl")
    told = f"observation loss {loss['observation']['nashmtl']:.0f}, of the others {others[0]:.0f} to {others[-1]:.0f}"
    assert told in text
    assert f"a weight of {end['weight/observation']['uw']:.0f} and has the largest dynamics loss" in text
    assert f"({loss['dynamics']['uw']:.1f}; w_r = 1: {loss['dynamics']['w_r=1']:.1f})" in text
    told = f"{loss['reward']['harmony']:.2f} against {loss['reward']['w_r=1']:.2f} with w_r = 1, its weight at "
    told += f"{end['weight/reward']['harmony']:.1f}, and that of the observation loss at "
    assert told + f"{end['weight/observation']['harmony']:.2f}" in text
    assert max(loss["dynamics"], key=loss["dynamics"].__getitem__) == "uw"
    assert {round(row["mean"], 2) for name, row in found.notes["final"]["success"].items() if name != "step"} == {
        0,
        0.02,
    }


def test_page_quotes_the_ablations_of_the_miniature():
    text, found = flowing(PAGE), shipped("ablations_mini_lever_cpu")
    methods, returns = [str(m) for m in found.axes["method"]], found.values("return")  # (method, seed, step)
    area = dict(zip(methods, returns.mean(-1), strict=True))
    names = {"unrectified": "unrectified (Eq. 4)", "harmony,w_d=1": "w_d fixed to 1 (E.4)", "w_r=10": "w_r = 10 (E.5)"}
    for method, words in (
        {"harmony": "HarmonyDream"} | names | {"w_r=100": "w_r = 100 (E.5)", "w_r=1": "w_r = 1"}
    ).items():
        cells = [quote(seed_interval(returns[methods.index(method), :, -1]), 0), quote(seed_interval(area[method]), 1)]
        cells.append(
            "" if method == "harmony" else quote(seed_interval(area["harmony"] - area[method]), 1, signed=True)
        )
        assert f"| {words}, ablations | {' | '.join(cells)} |".replace("  |", " |") in text, (words, cells)
    for method in methods[:1] + methods[2:]:  # "none of it is shown"
        span = seed_interval(area["harmony"] - area[method])
        assert span.low < 0 < span.high
    reward = dict(zip(methods, found.values("weight/reward")[..., -1], strict=True))
    told = f"{quote(seed_interval(reward['unrectified']), 1)} against {quote(seed_interval(reward['harmony']), 1)}"
    assert told + " at the end" in text
    dynamics = dict(zip(methods, found.values("loss/dynamics")[..., -1], strict=True))
    told = (
        f"{quote(seed_interval(dynamics['harmony,w_d=1']), 2)} against {quote(seed_interval(dynamics['harmony']), 2)}"
    )
    assert told in text


def test_page_quotes_the_coefficients_of_the_miniature():
    text, found = flowing(PAGE), shipped("coefficients_mini_lever_cpu")
    told = []
    for loss, digits in (("observation", 3), ("reward", 2), ("dynamics", 3)):
        learned, analytic = (found.values(f"{kind}/{loss}")[0, :, -1] for kind in ("weight", "analytic_weight"))
        told.append(f"{quote(seed_interval(learned), digits)} and {analytic.mean():.{digits}f} ({loss})")
    assert f"learned and Eq. 13's are {', '.join(told)}" in text


def test_page_quotes_wrong_dreams_on_the_miniature():
    text, found = flowing(PAGE), shipped("counterfactual_mini_lever_cpu")
    final = found.notes["final"]
    branches = f"of {len(found.axes['branch'])} recorded branches {final['reward/miss_rate']['cases']} bring a reward"
    assert f"{branches}, and in {final['object/miss_rate']['cases']} the lever moves" in text
    for rate, words in (("reward/miss_rate", "with w_r = 1 and"), ("object/hallucination_rate", "and")):
        one, hundred = (percent(final[rate][method]["over_seeds"], 1) for method in ("w_r=1", "w_r=100"))
        assert f"{one} {words} {hundred}" in text
    told = quote(final["object/discrimination"]["w_r=100"]["paired_over_seeds"], 2, signed=True)
    assert f"a difference of {told} in the probability of motion" in text


def test_page_quotes_the_regression_on_the_miniature():
    text, found = flowing(PAGE), shipped("state_regression_mini_lever_cpu")
    for thing in ("lever", "tip"):
        for kind, words in (("posterior", "posterior"), ("open_loop", "open loop")):
            cells = cells_of(found.notes["final"][kind][thing], "w_r=100")
            assert f"| Miniature: {thing}, {words} | {' | '.join(cells)} |" in text, cells
    protocol = found.notes["protocol"]
    assert f"{protocol['episodes']} of them with {protocol['segments']:,} segments" in text
    things = [str(thing) for thing in found.axes["object"]]
    constants = dict(zip(things, np.nanmean(found.values("constant/open_loop"), (0, 1, 2)), strict=True))
    assert f"a constant, which has {constants['lever']:.1f}." in text
    assert (
        f"decoded worse (a constant has {np.nanmean(found.values('constant/posterior')[..., things.index('tip')]):.0f})"
        in text
    )
    dreamed = found.notes["final"]["open_loop"]["lever"]
    assert dreamed["w_r=1"]["over_seeds"]["mean"] > constants["lever"]  # "no better than by a constant"
    for kind in ("posterior", "open_loop"):
        errors = found.values(f"mlp/{kind}").mean(2)  # (method, seed, episode, object)
        gap = errors[1] - errors[0]
        assert (np.nanmean(gap[..., things.index("lever")], -1) < 0).all()  # "in all five pairs of seeds"
        (finding,) = regression(kind)(Shelf([("file.h5", found)]))
        assert finding.verdict == REPRODUCED
    (finding,) = whole_state("posterior")(Shelf([("file.h5", found)]))
    assert f"{quote(finding.value, 1, signed=True)} over seeds and" in text and finding.verdict == REPRODUCED
    (finding,) = whole_state("open_loop")(Shelf([("file.h5", found)]))
    assert finding.verdict == NOT_SHOWN
