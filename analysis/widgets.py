"""Controls for notebooks: choose a moment, alter the actions, watch dream and simulator part ways."""

from __future__ import annotations

import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import display

import figures.rollout
from analysis.explore import Explorer


def spurious_correlations(explorer: Explorer, horizon: int = 35) -> widgets.Widget:
    """Sliders for episode, step, context length and push; a button plays, dreams and draws.

    Args:
        explorer: models, recorded stretches and the simulator.
        horizon: steps played and dreamed.
    """
    rows = min(len(stretch["reward"]) for stretch in explorer.stretches)

    def slider(name: str, low: int, high: int, value: int) -> widgets.IntSlider:
        return widgets.IntSlider(value, low, high, description=name, continuous_update=False)

    stretch = slider("episode", 0, len(explorer.stretches) - 1, 0)
    context = slider("context", 1, 30, 15)
    start = slider("step", 0, max(rows - horizon - context.value, 0), 0)
    push = [
        widgets.FloatSlider(0, min=-1, max=1, step=0.1, description=f"push {axis}", continuous_update=False)
        for axis in "xyz"[: min(3, explorer.stretches[0]["action"].shape[1])]
    ]
    agents = widgets.SelectMultiple(options=list(explorer.agents), value=list(explorer.agents), description="agents")
    output = widgets.Output()

    def keep_inside(change: dict) -> None:
        start.max = max(rows - horizon - context.value, 0)

    def play(_: object = None) -> None:
        with output:
            output.clear_output(wait=True)
            values = [axis.value for axis in push]
            found = explorer.rollout(stretch.value, start.value, context.value, horizon, values)
            chosen = {name: found.dreamed_image[name] for name in agents.value}
            rewards = {name: found.dreamed_reward[name] for name in agents.value}
            figure = figures.rollout.draw(
                type(found)(**{**vars(found), "dreamed_image": chosen, "dreamed_reward": rewards})
            )
            display(figure)
            plt.close(figure)

    context.observe(keep_inside, "value")
    button = widgets.Button(description="play and dream")
    button.on_click(play)
    play()
    controls = widgets.VBox(
        [widgets.HBox([stretch, start, context]), widgets.HBox(push), widgets.HBox([agents, button])]
    )
    return widgets.VBox([controls, output])
