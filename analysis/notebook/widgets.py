"""Controls for notebooks: choose a moment, alter the actions, watch dream and simulator part ways."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import ipywidgets as widgets
from IPython.display import display

from analysis.notebook import Explorer, picture, shipped_tasks


def with_task(show: Callable[[Explorer], widgets.Widget]) -> widgets.Widget:
    """A chooser of the tasks that models ship for, above what ``show`` makes of the chosen one's explorer."""
    chooser, place = widgets.Dropdown(options=list(shipped_tasks()), description="task"), widgets.VBox()

    def choose(_: object = None) -> None:
        place.children = (show(Explorer.shipped(chooser.value)),)

    chooser.observe(choose, "value")
    choose()
    return widgets.VBox([chooser, place])


def spurious_correlations(explorer: Explorer, horizon: int = 35) -> widgets.Widget:
    """Sliders for episode, step, context length and push; whenever one is let go, it plays, dreams and draws anew.

    The controls may be moved from any thread: JupyterLab does so from another than the cells'.

    Args:
        explorer: models, recorded stretches and the simulator.
        horizon: steps played and dreamed.
    """
    rows = min(len(stretch["reward"]) for stretch in explorer.stretches)

    def slider(name: str, low: int, high: int, value: int) -> widgets.IntSlider:
        return widgets.IntSlider(value, low, high, description=name, continuous_update=False)

    stretch = slider("episode", 0, len(explorer.stretches) - 1, 0)
    context = slider("context", 1, min(30, rows - horizon), 15)
    start = slider("step", 0, max(rows - horizon - context.value, 0), 0)
    push = [
        widgets.FloatSlider(0, min=-1, max=1, step=0.1, description=f"push {axis}", continuous_update=False)
        for axis in "xyz"[: min(3, explorer.stretches[0]["action"].shape[1])]
    ]
    agents = widgets.SelectMultiple(options=list(explorer.agents), value=list(explorer.agents), description="agents")
    output, one_plays = widgets.Output(), threading.RLock()

    def keep_inside(change: dict) -> None:
        start.max = max(rows - horizon - context.value, 0)

    def play(_: object = None) -> None:
        with one_plays, output:
            output.clear_output(wait=True)
            seen, values = context.value, [axis.value for axis in push]
            first = min(start.value, max(rows - horizon - seen, 0))  # another thread may be moving the context
            found = explorer.rollout(stretch.value, first, seen, horizon, values)
            images, rewards = ({n: d[n] for n in agents.value} for d in (found.dreamed_image, found.dreamed_reward))
            shown = dataclasses.replace(found, dreamed_image=images, dreamed_reward=rewards)
            display(picture(shown))

    context.observe(keep_inside, "value")
    for control in (stretch, start, context, agents, *push):  # a slider that is let go plays anew
        control.observe(play, "value")
    play()
    controls = widgets.VBox([widgets.HBox([stretch, start, context]), widgets.HBox(push), agents])
    return widgets.VBox([controls, output])
