"""The mechanism on the miniature with dials: what models know of the lever, and returns, by w_r and contrast."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.results.schema import Result, load
from analysis.results.stats import read_interval
from figures.shared import marks, style
from hdream_core.support.drawing import Axes, Line2D

ITEM = "Secs. 2 and 3, our own test"
SHOWS = (  # in the paper
    "No such figure: the paper argues from the sizes of the losses that w_r decides what a model encodes. Here the "
    "weight at which it should begin to is predicted from frames and rewards, and beside it stands what models do."
)

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")  # of the contrasts, Okabe and Ito's
ASIDE = 0.07  # of an order of magnitude, between contrasts
KNOWN = "place_known"


@style.look()
def draw(source: Path, out: Path) -> Path:
    """Draws a result of ``analysis.dial``; returns the PNG's path."""
    source, result = Path(source), load(source)
    played = result.notes["protocol"]["played"]
    returns = _last(result.values("return")) / played["expert"]
    figure = style.figure(style.WIDTH, 3.1)
    left, right = figure.subplots(1, 2)
    _panel(left, result, result.values(KNOWN), KNOWN)
    left.set_ylabel("Share of the lever's variance\nthat a probe reads off")
    _panel(right, result, returns, "return", 1 / played["expert"])
    right.set_ylabel("Return, as a share of the expert's")
    right.axhline(played["random"] / played["expert"], color="0.5", linewidth=0.8, linestyle=":", zorder=0)
    lines = "Dashed: the predicted w_r*, from which a model should know the place. Dotted: random actions."
    note = f"{marks.note(figure)} {lines}"
    title = "What a model encodes, by weight and visibility: Mini Dial"
    style.frame(figure, title, {source: result}, note, _legend(result))
    return style.save(figure, out, source.stem)


def _legend(result: Result) -> list[Line2D]:
    shown = zip(COLORS, _contrasts(result), strict=False)
    labels = {color: f"contrast {name}: $w_r^*={_threshold(result, name):.2g}$" for color, name in shown}
    return [Line2D([], [], color=color, marker="o", markersize=3, label=label) for color, label in labels.items()]


def _last(values: np.ndarray) -> np.ndarray:
    """Returns the last evaluation that every run has reached, ``(method, seed)`` of ``(method, seed, step)``."""
    return values[..., np.flatnonzero(np.isfinite(values).all((0, 1)))[-1]]


def _panel(axes: Axes, result: Result, values: np.ndarray, name: str, unit: float = 1.0) -> None:
    """Draws ``(method, seed)`` values over w_r, a colour for each contrast, HarmonyDream at the right."""
    weights = sorted({float(text[4:]) for text in map(_weighting, result.methods) if text.startswith("w_r=")})
    places = {f"w_r={w_r:g}": float(np.log10(w_r)) for w_r in weights}
    places["harmony"] = max(places.values()) + 0.8
    marks.limit(axes, np.append(values, (0.0, 1.0)))
    contrasts = _contrasts(result)
    for k, (contrast, color) in enumerate(zip(contrasts, COLORS, strict=False)):
        aside, line = ASIDE * (k - (len(contrasts) - 1) / 2), []
        for i, method in enumerate(result.methods):
            if method.partition(",")[0] != f"contrast={contrast}":
                continue
            at = places[_weighting(method)] + aside
            span = read_interval(result.notes["final"][name][method])
            marks.spread(axes, at, values[i], type(span)(*(unit * end for end in span)), color, aside=ASIDE / 3)
            line += [(at, values[i].mean())] if _weighting(method) != "harmony" else []
        axes.plot(*zip(*line, strict=True), color=color, linewidth=1)
        if threshold := _threshold(result, contrast):
            axes.axvline(np.log10(threshold) + aside / 4, color=color, linewidth=1, linestyle="--", zorder=0)
    axes.set_xticks([*places.values()], [*(f"{w_r:g}" for w_r in weights), "Harmony-\nDream"])
    axes.set_xlabel("Reward-loss weight $w_r$")


def _contrasts(result: Result) -> list[str]:
    """Returns the contrasts, the clearest first."""
    return sorted(result.notes["prediction"], key=float, reverse=True)


def _threshold(result: Result, contrast: str) -> float:
    return result.notes["prediction"][contrast]["w_r"]


def _weighting(method: str) -> str:
    return method.partition(",")[2]


if __name__ == "__main__":
    style.main("dial", draw)
