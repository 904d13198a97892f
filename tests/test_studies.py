"""Every study of trained models through its command, on one small buffer and the same few runs."""

import importlib
import json

import numpy as np
import pytest

from analysis import collect, finding2, loss_scales
from analysis.results import kinds_of_dreams, wrong_dreams
from analysis.results.measures import LOSSES
from analysis.results.schema import load
from analysis.runs import study, sweep
from hdream_core.runs import folder as run_folder
from offline_buffers.build import Build, build
from tests.refusals import SMOKE, places, refused

STUDIES = """
    finding1 loss_scales state_regression finding2 counterfactual finding3 reward_mse coefficients ablations multitask
"""
OF_C4 = ("state_regression", "finding2", "counterfactual", "reward_mse")  # on a buffer where nothing else is asked for
SET = ["--set", "eval.heldout_fraction=0.4", "eval.context=5", "eval.horizon=10", "train.steps=40"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a buffer; runs gather there, so that each is trained once for all tests of this file."""
    root = tmp_path_factory.mktemp("studies")
    build(Build("mini_lever", 3000, workers=1, out=root / "buffer"), show_progress=False)
    return root


def words(folder, results):
    """A command's words but for its settings."""
    where = {"runs": folder / "runs", "results": results, "out": folder / "out", "buffer": folder / "buffer"}
    return [*SMOKE, "--mode", "offline", *(f"--{name}={place}" for name, place in where.items())]


def run(name, folder, *more):
    importlib.import_module(f"analysis.{name}").main([*words(folder, folder / "results"), *more, *SET])
    assert (folder / "out" / f"{name}_mini_lever_smoke.png").exists()
    return load(folder / "results" / f"{name}_mini_lever_smoke.h5")


def test_state_regression(folder, capsys):
    found = run("state_regression", folder)
    assert list(found.axes["object"]) == ["tip", "lever"] and list(found.axes["method"]) == ["w_r=1", "w_r=100"]
    assert found.values("mlp/posterior").shape == (2, 1, 1, 10, 2)  # (method, seed, probe seed, episode, object)
    constant = found.values("constant/posterior")
    for probe in ("mlp", "linear", "shuffled", "constant"):
        for kind in ("posterior", "open_loop"):
            errors = found.values(f"{probe}/{kind}")
            assert np.isfinite(errors).all()  # every episode is held out once
            assert probe == "constant" or (errors[0] != errors[1]).any()
    np.testing.assert_array_equal(constant[0], constant[1])  # no features in it: it cannot differ between models
    assert found.notes["protocol"]["data"] == "agents"
    assert "mean squared distance, px^2" in capsys.readouterr().out
    run("state_regression", folder, "--data", "unseen", "--methods", "w_r=1")
    unseen = load(folder / "results" / "state_regression_unseen_mini_lever_smoke.h5")
    assert unseen.notes["protocol"]["data"] == "unseen" and unseen.values("mlp/posterior").shape[0] == 1


def test_counterfactual_and_its_reference_predictors(folder, capsys):
    found = run("counterfactual", folder, "--episodes", "24", "--branches", "26")
    assert wrong_dreams.in_words("reward/hallucination_rate") in capsys.readouterr().out
    simulator, blind, weight = 0, 1, found.values("branch/weight")
    assert weight.mean() == pytest.approx(1)
    recorded = list(found.axes["alternative"]).index("recorded")
    for event in ("reward", "object"):
        happened = found.values(f"{event}/happened")  # (alternative, branch)
        assert not np.nansum(happened[list(found.axes["alternative"]).index("halt")] * (event == "object"))
        for rate, truth in (("hallucination", 0), ("miss", 1), ("averted", 0)):
            rates = found.values(f"reference/{event}/{rate}_rate")  # (reference, alternative)
            assert np.nan_to_num(rates[simulator]).max() == 0  # the simulator as its own model is never wrong
            for j in range(len(happened)):  # one that ignores actions dreams the record: by a naive loop
                cases = [b for b in range(happened.shape[1]) if happened[j, b] == truth]
                if rate == "averted":
                    cases = [b for b in cases if happened[recorded, b] == 1]
                wrong = [happened[recorded, b] != truth for b in cases]
                expected = np.average(wrong, weights=weight[cases]) if cases else np.nan
                assert rates[blind, j] == pytest.approx(expected, nan_ok=True)
        probability = found.values(f"{event}/probability")
        assert (np.isnan(probability) == np.isnan(happened)).all()
        assert set(np.unique(probability[np.isfinite(probability)])) <= {0.0, 0.5, 1.0}  # of two samples
    happened = found.values("reward/happened")
    assert not (happened[1:] == 1).any()  # what touches nothing brings nothing about
    cases = wrong_dreams.of_actions(found, "reward", "hallucination")
    assert cases.wrong.shape[-1] == len(cases.episode) == (happened[1:] == 0).sum()
    assert wrong_dreams.of_actions(found, "reward", "miss").wrong.shape[-1] == (happened[0] == 1).sum()
    gap = wrong_dreams.discrimination(found, "reward").wrong
    chosen = [b for b in range(happened.shape[1]) if happened[0, b] == 1 and np.isfinite(happened[1:, b]).any()]
    probability = found.values("reward/probability")[1, 0]
    expected = [probability[0, b] - np.nanmean(probability[1:, b]) for b in chosen]
    assert gap[1, 0] == pytest.approx(expected)
    averted = wrong_dreams.of_actions(found, "reward", "averted")
    assert averted.wrong.shape[-1] == ((happened[1:] == 0) & (happened[0] == 1)).sum() > 0
    blind_averted = found.values("reference/reward/averted_rate")[blind]
    assert np.nanmin(blind_averted) == 1  # by definition: it dreams what was averted


def test_finding2_counts_windows_as_a_naive_loop_does(folder, capsys):
    found = run("finding2", folder)
    true, dreamed = found.values("true_reward"), found.values("dreamed_reward")[:, 0]  # one seed
    counted: dict[str, list] = {split: [] for split in kinds_of_dreams.SPLITS}
    level = found.notes["protocol"]["level"]
    for w in range(len(true)):
        hit = [np.mean([abs(d - t) <= 1.0 for d, t in zip(one[w], true[w], strict=True)]) >= 0.8 for one in dreamed]
        case = {(0, 1): 0, (1, 0): 1, (0, 0): 2, (1, 1): 3}[tuple(map(int, hit))]
        counted["all"].append(case)
        counted["moving" if max(true[w]) - min(true[w]) > 1.0 else "still"].append(case)
        if max(true[w]) - min(true[w]) <= 1.0 and max(true[w]) <= level:
            counted["still and low"].append(case)
    for split, cases in counted.items():
        row = found.notes["final"][split]
        assert row["windows"] == len(cases)
        for case, name in enumerate(kinds_of_dreams.CASES):
            if cases:
                assert row[name]["over_seeds"]["mean"] == pytest.approx(cases.count(case) / len(cases))
    for name, dream in zip(kinds_of_dreams.MADE_UP, dreamed, strict=True):
        invented = [sum(d > t + 1.0 for d, t in zip(dream[w], true[w], strict=True)) > 7 for w in range(len(true))]
        assert found.notes["final"]["all"][name]["over_seeds"]["mean"] == pytest.approx(np.mean(invented))
    assert found.values("picture/true").dtype == np.uint8
    assert found.values("picture/dreamed").shape[:3] == (2, len(found.axes["case"]), 8)
    chosen, every = kinds_of_dreams.choose(found), kinds_of_dreams.kinds(found)
    assert chosen and list(found.axes["case"]) == list(chosen)
    assert all(every[name][0, window] for name, window in chosen.items())
    assert "only w_r=100 right" in capsys.readouterr().out


def test_case_of_is_the_table_of_four():
    first, second = np.array([0, 1, 0, 1], bool), np.array([1, 0, 0, 1], bool)
    cases = kinds_of_dreams.case_of(np.stack([first, second]))
    assert [kinds_of_dreams.CASES[i] for i in cases] == list(kinds_of_dreams.CASES)


def test_finding3(folder, capsys):
    found = run("finding3", folder, "--methods", "w_r=1", "w_o=0,w_r=100")
    assert np.isfinite(found.values("mlp/open_loop")).all() and np.isfinite(found.values("reward_error")).all()
    assert "sd" in capsys.readouterr().out


def test_loss_scales_measures_losses_and_gradients(folder):
    found = run("loss_scales", folder, "--methods", "w_r=1", "w_r=100", "w_o=0,w_r=100")
    shares = np.stack([found.values(f"gradient_share/{loss}") for loss in LOSSES])
    assert shares.shape == (3, 3, 1, 2)  # loss, method, seed, stage
    assert np.isnan(found.values("loss/observation")[2]).all()  # without a decoder there is no such loss
    reward, norm = (found.values(f"gradient_{name}/reward")[:, 0] for name in ("share", "norm"))
    assert (reward[1] > reward[0]).all()  # a hundredfold weight pulls harder
    assert norm[0, 0] == norm[1, 0]  # one seed begins with the same weights
    assert found.notes["dimensions"]["observation"] == 32 * 32 * 3


def test_loss_scales_reads_gradients_that_runs_measured_while_they_trained(tmp_path):
    methods = ("w_r=1", "w_r=100", "harmony", "w_o=0,w_r=100")
    where = ("--runs", str(tmp_path / "runs"), "--results", str(tmp_path))
    words = [*SMOKE, "--mode", "online", "--set", "log.gradients_every=20", *where]
    loss_scales.main([*words, "--methods", *methods])
    found = load(tmp_path / "loss_scales_mini_lever_smoke.h5")
    shares, analytic = (
        np.stack([found.values(f"{kind}_share_curve/{loss}") for loss in LOSSES]) for kind in ("gradient", "analytic")
    )
    assert np.nansum(shares, 0) == pytest.approx(1) and np.nansum(analytic[:, 2], 0) == pytest.approx(1)
    first, hundredfold, without = (shares[:, i] for i in (0, 1, 3))
    assert (hundredfold[1] > first[1]).all() and np.isnan(without[0]).all()
    pulls = np.stack([found.values(f"gradient_curve/{loss}")[0] for loss in LOSSES])
    assert first == pytest.approx(pulls / pulls.sum(0))  # all weights are 1
    assert found.values("success").shape[-1] == len(found.axes["step"])


def test_reward_mse(folder, capsys):
    found = run("reward_mse", folder)
    assert found.attributes["study"] == "reward_mse" and found.attributes["scale"] == "miniature"
    assert found.attributes["buffer_sha256"] and json.dumps(found.config["w_r=100"])
    assert found.values("window/error").shape == (2, 1, 20) and found.notes["paper"]["w_r=100"] == 0.379
    final = found.notes["final"]
    assert final["w_r=100"]["paired_over_seeds"]["mean"] == 0
    apart = final["w_o=0,w_r=100"]["over_seeds"]["mean"] - final["w_r=100"]["over_seeds"]["mean"]
    assert final["w_o=0,w_r=100"]["paired_over_seeds"]["mean"] == pytest.approx(apart)
    assert "paper 0.416" in capsys.readouterr().out


def test_coefficients_log_learned_and_analytic_weights(folder, capsys):
    found = run("coefficients", folder)
    for loss in LOSSES:
        analytic, mean = found.values(f"analytic_weight/{loss}"), found.values(f"loss/{loss}")
        assert analytic == pytest.approx(2 / (mean + np.sqrt(mean**2 + 4 * mean)), rel=1e-5)
    assert "Eq. 13" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["finding1", "coefficients", "ablations", "multitask"])
def test_a_sweep_is_drawn_from_its_first_evaluation_on(name, tmp_path, monkeypatch, capsys):
    """When nothing has been learned, and so nothing logged, yet."""

    def begin(planned, workers, tick):
        for run in planned:
            run_folder.prepare(run.config, run.folder)
            (run.folder / "metrics.jsonl").write_text('{"step": 0, "kind": "eval", "return": 1.0, "success": 0.0}\n')
        tick()

    monkeypatch.setattr(sweep, "execute", begin)
    importlib.import_module(f"analysis.{name}").main([*SMOKE, *places(tmp_path)])
    assert (tmp_path / "out" / f"{name}_mini_lever_smoke.png").exists()
    assert "cannot write or draw" not in "".join(capsys.readouterr())


def test_ablations(folder):
    found = run("ablations", folder, "--methods", "w_r=1", "unrectified", "harmony,w_d=1")
    assert found.config["unrectified"]["balancer"]["rectified"] is False
    assert (found.values("weight/dynamics")[2] == 1).all()
    assert np.isfinite(found.values("analytic_weight/dynamics")[2]).all()
    assert (found.values("weight/reward")[2] != 1).any()


def test_multitask(folder, capsys):
    found = run("multitask", folder, "--methods", "w_r=1", "uw", "dwa", "nashmtl")
    assert "solver failures of NashMTL: 0" in capsys.readouterr().out
    low, high = (found.values(f"weight_{end}/reward") for end in ("min", "max"))
    assert (low <= found.values("weight/reward")).all() and (high >= found.values("weight/reward")).all()
    weights = np.stack([found.values(f"weight/{loss}") for loss in LOSSES])
    assert (weights[:, 0] == 1).all() and (weights[:, 3] != 1).all()
    assert (weights[2, 1] == 1).all() and (weights[:2, 1] != 1).any()  # uw does not weigh the dynamics
    logged = [found.values(f"loss/{loss}") for loss in LOSSES]
    logged += [found.values(f"analytic_weight/{name}")[of] for name, of in (("observation", 1), ("reward", 2))]
    assert all(np.isfinite(values).all() for values in logged)


@pytest.mark.parametrize("name", STUDIES.split())
def test_plans_start_nothing_and_build_nothing(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "build", lambda *_: pytest.fail("built a buffer"))
    own = "offline" if name in OF_C4 else "online"
    for more, mode in (([], own), (["--mode", "offline"], "offline")):
        importlib.import_module(f"analysis.{name}").main([*SMOKE, f"--runs={tmp_path / 'runs'}", "--plan-only", *more])
        assert f"{name}: mini_lever, {mode}" in capsys.readouterr().out and not (tmp_path / "runs").exists()


def test_a_run_killed_in_its_last_evaluation_is_finished_first(folder):
    """It has reached its last step, and yet it is not done."""
    run("reward_mse", folder)
    done = next((folder / "runs").rglob("w_r=100/0/done"))
    done.unlink()
    assert run("reward_mse", folder).attributes["complete"] and done.exists()


def test_the_other_mode_does_not_replace_a_result(folder, capsys):
    run("reward_mse", folder)
    command = [*SMOKE, "--mode", "online", "--results", str(folder / "results"), "--runs", str(folder / "elsewhere")]
    refused(capsys, finding2.main, command, "holds an offline result")


def test_collect_reads_the_seeds_that_are_finished(folder, tmp_path, capsys):
    run("loss_scales", folder, "--methods", "w_r=1", "w_r=100")
    asked = [*words(folder, tmp_path), "--methods", "w_r=1", "w_r=100", *SET]
    capsys.readouterr()
    collect.main(["loss_scales", *asked, "--seeds", "0,7"])
    assert list(load(tmp_path / "loss_scales_mini_lever_smoke.h5").axes["seed"]) == [0]
    assert "seeds 7" in capsys.readouterr().out and not list((folder / "runs").rglob("w_r=1/7"))
    refused(capsys, collect.main, ["loss_scales", *asked, "--seeds", "7"], "w_r=1, seed 7")


@pytest.mark.parametrize("odd", [[], ["nope"], ["atari_table"], ["claims"], ["finding1", "--seeds", "x"]])
def test_collect_refuses_in_one_line_what_it_cannot_collect(odd, capsys):
    refused(capsys, collect.main, odd)
