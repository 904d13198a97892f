"""Makes controls for notebooks: choose a moment, alter the actions, compare predictions with the simulator."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
from IPython.display import display

from analysis.models.segments import CONTEXT
from analysis.notebook import Explorer, Record, Rollout, moment, picture, shipped_tasks


def with_task(show: Callable[[Explorer], widgets.Widget]) -> widgets.Widget:
    """Returns a menu of the tasks with shipped models, above what ``show`` returns for the chosen task's explorer."""
    chooser, place = widgets.Dropdown(options=list(shipped_tasks()), description="task"), widgets.VBox()

    def choose(_: object = None) -> None:
        place.children = (show(Explorer.shipped(chooser.value)),)

    chooser.observe(choose, "value")
    choose()
    return widgets.VBox([chooser, place])


def spurious_correlations(explorer: Explorer, horizon: int = 35) -> widgets.Widget:
    """Returns controls of episode, step, context and push, and below them the rollout that they give.

    It starts where the recorded reward rises most, with the hand pushed aside. When a slider is released, simulator and
    models run again. The play button steps through the rollout, with reward and positions below the frames. The
    controls may be used from any thread, as JupyterLab does.

    Args:
        explorer: models, recorded stretches and the simulator.
        horizon: steps played and predicted.
    """
    rows = min(len(stretch["reward"]) for stretch in explorer.stretches)
    begin = explorer.eventful(min(CONTEXT, rows - horizon), horizon)

    def slider(name: str, low: int, high: int, value: int) -> widgets.IntSlider:
        return widgets.IntSlider(value, low, high, description=name, continuous_update=False)

    stretch = slider("episode", 0, len(explorer.stretches) - 1, begin.stretch)
    context = slider("context", 1, min(30, rows - horizon), begin.context)
    start = slider("step", 0, max(rows - horizon - context.value, 0), begin.start)
    push = [
        widgets.FloatSlider(value, min=-1, max=1, step=0.1, description=f"push {axis}", continuous_update=False)
        for axis, value in zip("xyz"[: min(3, explorer.stretches[0]["action"].shape[1])], begin.push, strict=False)
    ]
    agents = widgets.SelectMultiple(
        options=list(explorer.agents), value=list(explorer.agents), description="agents", rows=len(explorer.agents)
    )
    player, table, show = _player(explorer.task)
    output, one_plays = widgets.Output(), threading.RLock()

    def keep_inside(change: dict) -> None:
        start.max = max(rows - horizon - context.value, 0)

    def play(_: object = None) -> None:
        with one_plays, output:
            output.clear_output(wait=True)
            seen, values = context.value, [axis.value for axis in push]
            first = min(start.value, max(rows - horizon - seen, 0))  # another thread may be changing the context
            found = explorer.rollout(stretch.value, first, seen, horizon, values)
            images, rewards = ({n: d[n] for n in agents.value} for d in (found.dreamed_image, found.dreamed_reward))
            shown = dataclasses.replace(found, dreamed_image=images, dreamed_reward=rewards)
            record = explorer.record(stretch.value, first, seen + horizon)
            show(shown, record)
            display(picture(shown, record=record))

    context.observe(keep_inside, "value")
    for control in (stretch, start, context, agents, *push):  # runs again when a slider is released
        control.observe(play, "value")
    play()
    controls = widgets.VBox([widgets.HBox([stretch, start, context]), widgets.HBox(push), agents])
    return widgets.VBox([controls, widgets.VBox([player, table, output])])


def _player(task: str) -> tuple[widgets.Widget, widgets.HTML, Callable[[Rollout, Record], None]]:
    """Returns a play button with its slider, the table that they control, and a function that sets the rollout.

    The first rollout starts at the step where pushed and recorded reward differ most.
    """
    button = widgets.Play(min=0, max=1, interval=250, description="play")
    frame = widgets.IntSlider(0, 0, 1, description="frame")
    table, current = widgets.HTML(), []

    def draw(_: object = None) -> None:
        if current:
            found, record = current[-1]
            table.value = moment(task, found, record, min(frame.value, len(found.true_reward) - 1))

    def show(found: Rollout, record: Record) -> None:
        first = not current
        current[:] = [(found, record)]
        button.max = frame.max = len(found.true_reward) - 1
        if first:
            apart = np.abs(found.true_reward - record.reward)
            frame.value = button.value = int(apart.argmax()) if apart.any() else found.context
        draw()

    frame.observe(draw, "value")
    link = widgets.jslink((button, "value"), (frame, "value"))
    row = widgets.HBox([button, frame])
    row.link = link  # keeps the link alive
    return row, table, show
