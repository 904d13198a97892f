"""Finding 3: what is lost without observations: return, reward error and object positions, every seed a dot."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from analysis.results import load
from figures import style

PANELS = {
    "return": "Episode return",
    "reward_error": "Open-loop reward error",
    "mlp/posterior": "Object position, posterior features",
    "mlp/open_loop": "Object position, open-loop features",
}


def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.finding3``; returns the PNG's path."""
    result = load(source)
    style.apply()
    found = [name for name in PANELS if name in result.data]
    rows = -(-len(found) // 2)
    figure, grid = plt.subplots(rows, 2, figsize=(7.2, 2.4 * rows + 0.5), squeeze=False, layout="constrained")
    unit = "px$^2$" if result.attributes["task"] == "mini_lever" else "cm$^2$"
    for axes, name in zip(grid.flat, found, strict=False):
        values = result.values(name)  # (method, seed, episode) of probes, (method, seed, step) of runs
        style.bars(axes, result, (values.mean(-1) if name.startswith("mlp/") else values[..., -1])[..., None], [""])
        axes.set_title(PANELS[name])
        if name.startswith("mlp/"):
            axes.axhline(result.values(f"constant/{name[4:]}").mean(), color="0.4", linestyle="--", linewidth=1)
            axes.set_ylabel(f"Mean squared distance ({unit})")
        axes.tick_params(axis="x", length=0)
    note = f"Dashed: the best constant. Positions: MLP probe, {len(result.axes['episode'])} episodes never trained on."
    style.frame(figure, f"Finding 3: without observations, {style.task(result)}", result, Path(source), note)
    return style.save(figure, out, Path(source).stem)


if __name__ == "__main__":
    style.main("finding3", draw)
