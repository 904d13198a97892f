"""What the notebooks call: exported models, recorded stretches, rollouts beside the simulator, controls."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis import claims, demo, notebook
from analysis.models.balance import follow
from analysis.models.probes import ProbeConfig
from analysis.models.representation import KINDS, regress
from analysis.notebook import Explorer, Record, Rollout, Setting, load_slice, widgets
from analysis.results.schema import load
from analysis.runs import study
from hdream_core.balancers import Harmony
from hdream_core.data.minari_layout import DatasetError
from offline_buffers.build import Build, build

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ipywidgets, on its own classes


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    """Models and stretches of the miniature, made by the command that makes the shipped ones."""
    root = tmp_path_factory.mktemp("demo")
    build(Build("mini_lever", 600, workers=1, out=root / "buffer"), show_progress=False)
    command = ["--task", "mini_lever", "--preset", "smoke", "--mode", "offline", "--buffer", str(root / "buffer")]
    command += ["--runs", str(root / "runs"), "--folder", str(root / "data"), "--stretches", "2", "--rows", "51"]
    command += ["--methods", "w_r=1", "w_o=0,w_r=100", "--set", "eval.context=5", "eval.horizon=10", "train.steps=40"]
    study.main(demo.Demo, demo.run, command)
    models = {path.stem.removeprefix("mini_lever_"): path for path in sorted((root / "data").glob("*.safetensors"))}
    return Explorer(models, root / "data" / "mini_lever_slice.h5")


def test_demo_exports_models_and_stretches(explorer):
    assert set(explorer.agents) == {"w_r=1", "w_o=0,w_r=100"} and len(explorer.stretches) == 2
    assert explorer.facts["git_commit"] and explorer.facts["source"] == "scripted"
    segments = explorer.segments(20, every=10)
    assert len(segments) == 2 * 4 and segments.rows("image").shape[:2] == (8, 20)


def test_rollout_without_a_push_is_the_record(explorer):
    rows, windows = explorer.stretches[1], explorer.segments(28, every=3)
    played, record = explorer.rollout(1, start=3, context=8, horizon=20), explorer.record(1, 3, 28)
    all_recorded = explorer.as_recorded(windows, context=8)
    assert len(all_recorded) == len(windows)
    (i,) = np.flatnonzero((windows.episode == 1) & (windows.start == 3))
    for found in (played, all_recorded[i]):
        assert found.true_reward == pytest.approx(rows["reward"][3:31], abs=1e-5)
        assert (found.true_image == rows["image"][3:31]).all()
        for name in explorer.agents:
            assert found.dreamed_image[name].shape == found.true_image.shape and len(found.dreamed_reward[name]) == 28
            assert (found.dreamed_reward[name][:8] == rows["reward"][3:11]).all()  # what was seen is not dreamed
        assert (found.dreamed_image["w_o=0,w_r=100"] == 128).all()  # a model without a decoder dreams no frames
    assert (record.image == rows["image"][3:31]).all() and (record.reward == rows["reward"][3:31]).all()
    assert set(record.where) == set(played.where) == {"tip", "lever"}
    for thing, where in record.where.items():
        assert where.shape == (28, 2) and where == pytest.approx(played.where[thing], abs=1e-4)


def test_push_alters_actions_truth_and_dreams(explorer):
    plain, pushed = (explorer.rollout(0, 0, 5, 20, push) for push in ((0, 0), (1, 0)))
    assert (pushed.action[:, 0] >= plain.action[:, 0]).all() and np.abs(pushed.action).max() <= 1
    assert (pushed.action[:, 1] == plain.action[:, 1]).all()
    assert not np.allclose(plain.true_reward, pushed.true_reward)
    assert (plain.dreamed_reward["w_r=1"][5:] != pushed.dreamed_reward["w_r=1"][5:]).any()
    moved = (plain.where["tip"] != pushed.where["tip"]).any(-1)
    assert moved[5:].any() and not moved[:5].any()
    with pytest.raises(ValueError, match="51 rows"):
        explorer.rollout(0, 10, 15, 35)


def test_pushes_that_avert_a_reward(explorer):
    windows = explorer.segments(28, every=2)
    reward = windows.rows("reward")
    level = float(np.median(reward[:, 8:].max(1)))
    settings = explorer.averting(windows, push=1.0, level=level, context=8)
    assert settings and all(setting.push[0] in (-1.0, 1.0) for setting in settings)
    for setting in settings:
        recorded = explorer.stretches[setting.stretch]["reward"][setting.start :][:28]
        assert recorded[7] <= level < recorded[8:].max()
        assert explorer.rollout(*setting).true_reward[8:].max() <= level


def made(true: list[float], **dreamed: list[float]) -> Rollout:
    """A rollout with one frame of context."""
    nothing = np.zeros((len(true), 4, 4, 3), np.uint8)
    rewards = {name: np.array(values, float) for name, values in dreamed.items()}
    images = dict.fromkeys(dreamed, nothing)
    return Rollout(1, np.zeros((len(true) - 1, 2)), nothing, np.array(true, float), images, rewards)


def test_kinds_say_which_model_is_wrong():
    rises, flat = [0, 0, 5, 5], [0, 0, 0, 0]
    found = [
        made(rises, a=flat, b=rises),
        made(rises, a=rises, b=flat),
        made(rises, a=flat, b=flat),
        made(rises, a=rises, b=rises),
        made(flat, a=rises, b=flat),  # its true reward stands still
    ]
    kinds = notebook.right_and_wrong(found, {"tolerance": 1.0, "share": 0.8})
    assert {name: np.flatnonzero(of).tolist() for name, of in kinds.items()} == {
        "only b right": [0],
        "only a right": [1],
        "both wrong": [2],
        "both right": [3],
    }
    anyway = notebook.dreamed_anyway([made(flat, a=rises, b=flat), made(flat, a=rises, b=rises)], level=3.0)
    assert [of.tolist() for of in anyway.values()] == [[True, False], [False, False], [False, True], [False, False]]
    assert next(iter(anyway)) == "only a dreams of the reward"
    assert notebook.tally(kinds, ["a", "b"]).endswith("a is wrong in 2, b in 2: about as often.")
    assert notebook.tally(anyway, ["a", "b"]).endswith("a is wrong in 2, b in 1: here **a** is wrong more often.")
    assert "a dreams of up to 0.0 and is off by 3.33" in notebook.in_words(found[0])
    assert notebook.in_words(found[0]).endswith("More wrong here: **a**.")
    assert notebook.in_words(found[2]).endswith("Both are about as wrong.")


def test_the_typical_rollout_is_the_median_of_its_kind():
    found = [made([0, 0, 0], a=[0, far, 0], b=[0, 0, 0]) for far in (9, 1, 5, 2)]
    kinds = {"some": np.array([True, True, True, False]), "none": np.zeros(4, bool)}
    assert notebook.typical(found, kinds) == {"some": 2}


def test_settings_are_those_of_the_controls():
    assert str(Setting(3, 20, push=(-0.8, 0, 0))) == "episode 3, step 20, context 15, push x -0.8"
    assert str(Setting(0, 5, 10)).endswith("context 10, no push")


def test_pictures_are_small(explorer):
    found = explorer.rollout(0, 0, 5, 20, (1, 0))
    picture = notebook.picture(found, "a title", recorded=explorer.stretches[0]["reward"][:25], level=2.0)
    assert picture.mode == "P" and picture.width <= 900
    line = Image.new("RGB", (400, 300), "white")
    line.paste((0x00, 0x9E, 0x73), (0, 100, 400, 102))
    assert notebook.smaller(line).convert("RGB").getpixel((5, 100)) == pytest.approx((0x00, 0x9E, 0x73), abs=8)


def test_positions_are_read_as_the_study_reads_them(explorer):
    windows, small = explorer.segments(25, every=25), ProbeConfig(hidden=8, layers=1, updates=5)
    agent = explorer.agents["w_r=1"]
    errors = regress(agent, windows, 5, small, seeds=1, folds=2)
    table = notebook.probe_errors({"w_r=1": notebook.read_positions(agent, windows, small, 2, 5)}, windows, 5)
    for kind in KINDS:
        for j, thing in enumerate(windows.positions()):
            row = table.loc[notebook.probes.NAMES[kind], thing]
            for probe, column in (("mlp", "w_r=1"), ("linear", "w_r=1, linear"), ("constant", "constant")):
                assert row[column] == pytest.approx(errors[f"{probe}/{kind}"][..., j].mean(), rel=1e-4)
    averaged = notebook.read_positions(agent, windows, small, 2, 5, probes=["linear"], samples=3)
    assert list(averaged) == ["linear"] and averaged["linear"]["open_loop"]["lever"].shape == (4, 20, 2)


def test_words_about_probes_name_what_is_worse():
    rows = pd.DataFrame({"constant": [10.0, 10.0], "a": [4.0, 12.0], "b": [6.0, 9.0]})
    rows.index = pd.MultiIndex.from_tuples([("seen", "hand"), ("imagined", "hand")])
    told = notebook.probes_in_words(rows, ["a", "b"])
    assert "**a**: hand seen." in told and "**b**: hand imagined." in told
    assert "hand imagined with a (12 against 10)" in told and "with b (" not in told


def test_the_studies_are_told_from_their_files():
    result = load(claims.SHIPPED / "state_regression_unseen_lever_pull_cpu.h5")
    table = notebook.study_errors(result)
    for j, thing in enumerate(map(str, result.axes["object"])):
        row = table.loc[notebook.probes.NAMES["posterior"], thing]
        assert float(row["constant"]) == pytest.approx(
            np.nanmean(result.values("constant/posterior")[..., j]), rel=5e-3
        )
        values = np.nanmean(result.values("mlp/posterior")[0, ..., j], (1, 2)).mean()
        assert float(row[str(result.axes["method"][0])].split()[0]) == pytest.approx(values, rel=5e-3)
        gap = result.notes["final"]["posterior"][thing][str(result.axes["method"][1])]
        ends = [gap[f"paired_over_{over}"][end] for over in ("seeds", "episodes") for end in ("low", "high")]
        assert (row["lower"] == "not shown") == (min(ends) < 0 < max(ends))
    branches, windows = (load(claims.SHIPPED / f"{name}_lever_pull_cpu.h5") for name in ("counterfactual", "finding2"))
    rates = notebook.rates(branches, windows)
    assert set(rates.columns) == {*map(str, branches.axes["method"]), "of"}
    gap = np.abs(windows.values("dreamed_reward") - windows.values("true_reward")) <= 1
    still = np.ptp(windows.values("true_reward"), axis=-1) <= 1
    share = 100 * (gap.mean(-1) >= 0.8)[..., still].mean((1, 2))
    row = rates.loc["finding2", "is right, reward stands still"]
    assert [float(row[m].split()[0]) for m in map(str, windows.axes["method"])] == pytest.approx(share, abs=0.06)


def test_every_figure_has_its_verdicts_once(tmp_path):
    rows = notebook.ledger()
    names = [path.stem for path in sorted(claims.SHIPPED.glob("coefficients_*.h5"))]
    drawn = [("coefficients", tmp_path / f"{name}.png") for name in names]
    drawn += [("finding2", tmp_path / "finding2_lever_pull_cpu.png"), ("coefficients", tmp_path / "of_all.png")]
    found = notebook.item("coefficients", drawn, rows)
    assert [path.stem for _, path in found] == ["of_all", *names]  # what several files share comes first
    shared, *others = (text for text, _ in found)
    for row in rows[rows["result"].str.startswith("coefficients_")].itertuples():
        assert f"**{row.verdict}**. {row.ours}" in shared
    assert all(text.endswith("- Verdicts: above.") for text in others)
    ((text, _),) = notebook.item("finding2", drawn, rows)
    assert "Fig. 3" in text and "finding2_lever_pull_cpu.h5" in text


def parts(box):
    """The controls and what they show."""
    controls, view = box.children
    (stretch, start, context), push, agents = *(part.children for part in controls.children[:2]), controls.children[2]
    player, table, _ = view.children
    button, frame = player.children
    return {"stretch": stretch, "start": start, "context": context, "push": push, "agents": agents} | {
        "button": button, "frame": frame, "table": table, "link": player.link
    }  # fmt: skip


def cells(table, name):
    """A row of the table, without its name."""
    row = next(row for row in re.findall(r"<tr>(.*?)</tr>", table.value) if f"<th>{name}" in row)
    return re.findall(r"<td>(.*?)</td>", row)


def test_controls_begin_where_the_recorded_reward_rises_most(explorer):
    begin = explorer.eventful(8, 20)

    def rise(setting):
        reward = explorer.record(setting.stretch, setting.start, 28).reward
        return reward[8:].max() - reward[7]

    windows = explorer.segments(28, every=5)
    every = [Setting(int(i), int(start)) for i, start in zip(windows.episode, windows.start, strict=True)]
    assert rise(begin) == max(map(rise, every))
    assert begin.push[0] in (-0.8, 0.8)
    shown = parts(widgets.spurious_correlations(explorer, horizon=20))
    first = explorer.eventful(15, 20)
    assert (shown["stretch"].value, shown["start"].value) == (first.stretch, first.start)
    assert [axis.value for axis in shown["push"]] == list(first.push[:2])


def test_controls_play_when_they_are_moved(explorer, monkeypatch):
    played = []
    plain = explorer.rollout
    monkeypatch.setattr(explorer, "rollout", lambda *args: played.append(args) or plain(*args))
    shown = parts(widgets.spurious_correlations(explorer, horizon=20))
    assert len(played) == 1
    assert shown["link"].source == (shown["button"], "value") and shown["link"].target == (shown["frame"], "value")
    shown["stretch"].value = 1
    assert played[-1][0] == 1
    for context in (10, 25):  # the play button runs through all steps
        shown["context"].value = context
        assert shown["start"].max == 51 - 20 - context
        assert shown["button"].max == shown["frame"].max == context + 20 - 1
    count = len(played)
    for chosen in ((), ("w_r=1",)):  # the simulator alone, and one agent beside it
        shown["agents"].value = chosen
        assert shown["table"].value.count("<img") == 2 + len(chosen)
    assert len(played) == count + 2


def test_numbers_stand_beneath_the_pictures_and_follow_the_frame(explorer):
    shown = parts(widgets.spurious_correlations(explorer, horizon=20))
    stretch, start, context = (shown[name].value for name in ("stretch", "start", "context"))
    push = [axis.value for axis in shown["push"]]
    found, record = explorer.rollout(stretch, start, context, 20, push), explorer.record(stretch, start, context + 20)
    for step in (context - 1, context + 12):
        shown["frame"].value = step
        rewards = [record.reward, found.true_reward, *found.dreamed_reward.values()]
        assert [float(cell) for cell in cells(shown["table"], "reward")] == pytest.approx(
            [values[step] for values in rewards], abs=0.006
        )
        for thing in ("tip", "lever"):
            told = [[float(x) for x in cell.split(", ")] for cell in cells(shown["table"], thing)[:2]]
            assert told[0] == pytest.approx(record.where[thing][step], abs=0.06)
            assert told[1] == pytest.approx(found.where[thing][step], abs=0.06)
        assert shown["table"].value.count("<img") == 2 + len(explorer.agents)


def test_a_picture_of_a_push_has_the_record_in_it():
    frames, reward = np.zeros((20, 8, 8, 3), np.uint8), np.arange(20.0)
    path = {"hand": np.zeros((20, 3)), "lever": np.ones((20, 3))}
    found = Rollout(5, np.zeros((15, 2)), frames, reward, {"a": frames}, {"a": reward}, path)
    record = Record(frames, reward + 1, {name: where + 1 for name, where in path.items()})
    figure = notebook.pictures.draw(found, record=record)
    *_, paths, rewards = figure.axes
    assert len(figure.axes) == 3 * 4 + 2  # recorded, pushed, dreamed
    assert {"pushed", "recorded", "a"} == {text.get_text() for text in rewards.get_legend().get_texts()}
    assert {"hand", "lever"} == {text.get_text() for text in paths.get_legend().get_texts()}
    assert any(line.get_linestyle() == ":" and line.get_ydata()[0] == 1 for line in rewards.lines)


def test_damaged_slices_and_missing_models_are_one_line(tmp_path, monkeypatch):
    (tmp_path / "x.h5").write_bytes(b"junk")
    with pytest.raises(DatasetError, match="not a slice"):
        load_slice(tmp_path / "x.h5")
    monkeypatch.setattr(notebook.slices, "DATA", tmp_path)
    (tmp_path / "lever_pull_slice.h5").touch()  # a slice without models
    (tmp_path / "hammer_w_r=1.safetensors").touch()  # a model without a slice
    assert notebook.shipped_tasks() == {}
    with pytest.raises(DatasetError, match="holds no models of hammer"):
        Explorer.shipped("hammer")


def test_follow_reaches_the_analytic_weights():
    losses = {"observation": np.full(6, 50.0), "reward": np.full(6, 0.3)}
    learned, analytic = follow(Harmony(("observation", "reward")), losses, lr=0.05, updates_per_value=300)
    for name in losses:
        assert learned[name][-1] == pytest.approx(analytic[name][-1], rel=0.02)
        assert analytic[name] == pytest.approx(2 / (losses[name] + np.sqrt(losses[name] ** 2 + 4 * losses[name])))
