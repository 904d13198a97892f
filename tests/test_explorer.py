"""The explorer's controls: where it begins, record beside push, numbers beneath pictures, a play button."""

import re

import numpy as np
import pytest

from analysis import notebook
from analysis.notebook import Record, Rollout, widgets
from tests.test_explore import explorer  # noqa: F401  (a fixture)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ipywidgets, on its own classes


def parts(box):
    """The controls and what they show."""
    controls, view = box.children
    (stretch, start, context), push, agents = *(part.children for part in controls.children[:2]), controls.children[2]
    player, table, output = view.children
    button, frame = player.children
    return {"stretch": stretch, "start": start, "context": context, "push": push, "agents": agents} | {
        "button": button, "frame": frame, "table": table, "output": output
    }  # fmt: skip


def cells(table, name):
    """A row of the table, without its name."""
    row = next(row for row in re.findall(r"<tr>(.*?)</tr>", table.value) if f"<th>{name}" in row)
    return re.findall(r"<td>(.*?)</td>", row)


def test_without_a_push_the_path_is_the_recorded_one(explorer):  # noqa: F811
    found, record = explorer.rollout(1, 3, 8, 20), explorer.record(1, 3, 28)
    assert (record.image == found.true_image).all() and record.reward == pytest.approx(found.true_reward, abs=1e-5)
    assert set(record.where) == set(found.where) == {"tip", "lever"}
    for thing, where in record.where.items():
        assert where.shape == found.where[thing].shape == (28, 2)
        assert where == pytest.approx(found.where[thing], abs=1e-4)
    pushed = explorer.rollout(1, 3, 8, 20, (-1, 0))
    assert (pushed.where["tip"][:8] == found.where["tip"][:8]).all()
    assert (pushed.where["tip"][8:] != found.where["tip"][8:]).any()


def test_it_begins_where_the_recorded_reward_rises_most(explorer):  # noqa: F811
    begin = explorer.eventful(8, 20)

    def rise(setting):
        reward = explorer.record(setting.stretch, setting.start, 28).reward
        return reward[8:].max() - reward[7]

    windows = explorer.segments(28, every=5)
    every = [notebook.Setting(int(i), int(start)) for i, start in zip(windows.episode, windows.start, strict=True)]
    assert rise(begin) == max(map(rise, every))
    assert begin.push[0] in (-0.8, 0.8)
    shown = parts(widgets.spurious_correlations(explorer, horizon=20))
    first = explorer.eventful(15, 20)
    assert (shown["stretch"].value, shown["start"].value) == (first.stretch, first.start)
    assert [axis.value for axis in shown["push"]] == list(first.push[:2])


def test_numbers_stand_beneath_the_pictures_and_follow_the_frame(explorer):  # noqa: F811
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


def test_the_play_button_runs_through_all_steps(explorer):  # noqa: F811
    box = widgets.spurious_correlations(explorer, horizon=20)
    shown = parts(box)
    assert shown["button"].max == shown["frame"].max == shown["context"].value + 20 - 1
    source, target = box.children[1].children[0].link.source, box.children[1].children[0].link.target
    assert source == (shown["button"], "value") and target == (shown["frame"], "value")
    shown["context"].value = 10
    assert shown["button"].max == shown["frame"].max == 29
    shown["agents"].value = ("w_r=1",)
    assert shown["table"].value.count("<img") == 3


def test_a_picture_of_a_push_has_the_record_in_it():
    frames, reward = np.zeros((20, 8, 8, 3), np.uint8), np.arange(20.0)
    path = {"hand": np.zeros((20, 3)), "lever": np.ones((20, 3))}
    found = Rollout(5, np.zeros((15, 2)), frames, reward, np.zeros(15), {"a": frames}, {"a": reward}, path)
    record = Record(frames, reward + 1, {name: where + 1 for name, where in path.items()})
    figure = notebook.figure.draw(found, record=record)
    *_, paths, rewards = figure.axes
    assert len(figure.axes) == 3 * 4 + 2  # recorded, pushed, dreamed
    assert {"pushed", "recorded", "a"} == {text.get_text() for text in rewards.get_legend().get_texts()}
    assert {"hand", "lever"} == {text.get_text() for text in paths.get_legend().get_texts()}
    assert any(line.get_linestyle() == ":" and line.get_ydata()[0] == 1 for line in rewards.lines)
