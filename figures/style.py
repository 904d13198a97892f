"""One look for all figures: the paper's panels, colours that colour-blind readers can tell apart, an honest footer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib

if "matplotlib.pyplot" not in sys.modules:  # a notebook has chosen its own backend by now
    matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.results import Result, ResultError, using
from analysis.stats import ANY, Bounds, seed_interval
from hdream_core.commandline import Words

SHIPPED = Path(__file__).parent / "data"

# Okabe and Ito's palette, in the order of the methods that the paper compares.
COLORS = {
    "w_r=1": "#0072B2",
    "w_r=10": "#E69F00",
    "w_r=100": "#D55E00",
    "w_o=0,w_r=100": "#999999",
    "harmony": "#009E73",
    "unrectified": "#CC79A7",
    "harmony,w_d=1": "#56B4E9",
    "uw": "#CC79A7",
    "dwa": "#56B4E9",
    "nashmtl": "#000000",
}
SPARE = ("#CC79A7", "#56B4E9", "#F0E442", "#000000")
GROUP = 0.8  # width of a group of bars
HEAD, BARE_HEAD, FOOT, LINE = 0.5, 0.28, 0.38, 0.12  # inches: above (with legend, without), beneath, a line more
LABELS = {
    "harmony": "HarmonyDream",
    "unrectified": "Unrectified",
    "harmony,w_d=1": r"HarmonyDream, $w_d=1$",
    "w_o=0,w_r=100": r"$w_o=0$, $w_r=100$",
    "uw": "Uncertainty weighting",
    "dwa": "DWA",
    "nashmtl": "NashMTL",
}


def apply() -> None:
    """Sets fonts and lines so that a panel is legible at column width."""
    sns.set_theme(context="paper", style="ticks", font_scale=1.0)
    plt.rcParams.update(
        {
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 9,
            "axes.labelsize": 9,
            "legend.fontsize": 8,
            "legend.frameon": False,
            "figure.dpi": 100,
            "savefig.dpi": 200,
            "pdf.fonttype": 42,
        }
    )


def color(method: str, index: int) -> str:
    """A method's colour, the same in every figure."""
    return COLORS.get(method, SPARE[index % len(SPARE)])


def label(method: str) -> str:
    """A method's name as the paper writes it."""
    if method in LABELS:
        return LABELS[method]
    return f"$w_r={method[4:]}$" if method.startswith("w_r=") else method


def task(result: Result) -> str:
    """A result's task as a title has it."""
    return result.attributes["task"].replace("_", " ").title()


def bars(
    axes: Axes,
    result: Result,
    values: np.ndarray,
    groups: Sequence[str],
    within: Bounds = ANY,
) -> None:
    """Groups of bars, one a method: mean, 95 % interval over seeds, and every seed as a dot.

    Args:
        axes: to draw on.
        result: whose methods the bars are.
        values: ``(method, seed, group)``, NaN where missing.
        groups: their names.
        within: least and greatest value of the measure, see ``seed_interval``.
    """
    methods = [str(method) for method in result.axes["method"]]
    width = GROUP / len(methods)
    for i, method in enumerate(methods):
        at = np.arange(len(groups)) + (i - (len(methods) - 1) / 2) * width
        spans = np.array([seed_interval(values[i, :, j], within=within) for j in range(len(groups))])  # (groups, 3)
        axes.bar(at, spans[:, 0], width * 0.9, color=color(method, i), label=label(method))
        axes.vlines(at, spans[:, 1], spans[:, 2], color="0.15", linewidth=0.9)
        for seed in values[i]:
            axes.plot(at, seed, ".", color="0.15", markersize=3)
    axes.set_xticks(range(len(groups)), groups)


def points(axes: Axes, result: Result, values: np.ndarray, groups: Sequence[str]) -> None:
    """As ``bars``, with the mean as a point: for an axis that has no zero."""
    methods = [str(method) for method in result.axes["method"]]
    for i, method in enumerate(methods):
        at = np.arange(len(groups)) + (i - (len(methods) - 1) / 2) * GROUP / len(methods)
        spans = np.array([seed_interval(values[i, :, j]) for j in range(len(groups))])  # (groups, 3)
        axes.vlines(at, spans[:, 1], spans[:, 2], color=color(method, i), linewidth=1.2)
        axes.plot(at, spans[:, 0], "o", color=color(method, i), markersize=4, label=label(method))
        for seed in values[i]:
            axes.plot(at + 0.06, seed, ".", color=color(method, i), markersize=3, alpha=0.6)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_xlim(-0.5, len(groups) - 0.5)


def plain_log(axes: Axes) -> None:
    """A logarithmic y-axis with plain numbers at its ticks, which are enough where it spans little."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    narrow = high / low < 20
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7) if narrow else (1, 3)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def steps_axis(axes: Axes, last: float, result: Result | None = None) -> None:
    """An x-axis in environment steps; of an offline result, a clock that its updates drive."""
    axes.set_xlim(0, max(last, 1))
    offline = result is not None and result.attributes.get("mode") == "offline"
    axes.set_xlabel("Environment steps (offline: clock)" if offline else "Environment steps")
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=True)


def frame(figure: Figure, title: str, result: Result, source: Path, note: str = "") -> None:
    """Around the panels of a figure of constrained layout: title and legend above; beneath, what was measured, at which
    scale, and the file that it comes from.

    Args:
        figure: whose legend is that of the first panel with labels and no legend of its own.
        title: of the figure.
        result: that it shows.
        source: the result's file.
        note: further words for the footer.
    """
    height = figure.get_figheight()
    known = [axes.get_legend_handles_labels() for axes in figure.axes if not axes.get_legend()]
    handles, labels = next((pair for pair in known if pair[1]), ([], []))
    head, foot = HEAD if labels else BARE_HEAD, FOOT + (LINE * (1 + note.count("\n")) if note else 0)
    figure.get_layout_engine().set(rect=(0, foot / height, 1, 1 - (head + foot) / height))
    figure.text(0.5, 1 - 0.06 / height, title, fontsize=10, ha="center", va="top")
    if labels:
        anchor = (0.5, 1 - 0.22 / height)
        figure.legend(handles, labels, loc="upper center", ncols=len(labels), bbox_to_anchor=anchor, columnspacing=1.2)
    text = f"{origin(result)}\nSource: {source.name}"
    figure.text(
        0.01, 0.04 / height, f"{note}\n{text}" if note else text, fontsize=6.5, color="0.35", va="bottom", ha="left"
    )


def origin(result: Result) -> str:
    """Scale, mode and seeds of a result in a line."""
    a, seeds = result.attributes, len(result.axes.get("seed", ()))
    if not seeds:
        return f"Scale: {a['scale']}; nothing trained."
    spread = f"{seeds} seeds, mean and 95 % interval" if seeds > 1 else "one seed, no interval"
    state = (
        "" if a.get("complete", True) else f" RUNS NOT COMPLETE: at {reached(result):,} of {planned(result):,} steps."
    )
    return f"Scale: {a['scale']} (preset {a['preset']}), {a.get('mode', '')}; {spread}.{state}"


def planned(result: Result) -> int:
    """Environment steps that the longest run of a result was to have."""
    return max(config["train"]["steps"] for config in result.config.values())


def reached(result: Result) -> int:
    """Environment steps of the latest evaluation or line of training metrics in a result; 0 if there is none."""
    return int(max((steps[-1] for name in ("step", "log_step") if len(steps := result.axes.get(name, ()))), default=0))


def main(study: str, draw: Callable[[Path, Path], Path]) -> None:
    """Entry point of a figure: draws the given result files, or the shipped ones."""
    parser = Words(prog=f"python -m figures.{study}", description=f"Draw results of {study}.")
    parser.add_argument("files", nargs="*", type=Path, help="result files; default: the shipped ones in figures/data")
    parser.add_argument("--out", type=Path, default=Path("figures/out"), help="folder of the figures (%(default)s)")
    chosen = parser.parse_args()
    for file in chosen.files or sorted(SHIPPED.glob(f"{study}*.h5")):
        try:
            with using(file):
                print(draw(file, chosen.out))
        except (ResultError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)


def save(figure: Figure, out: Path, stem: str) -> Path:
    """Writes PNG and PDF, each whole or not at all; returns the PNG's path."""
    out.mkdir(parents=True, exist_ok=True)
    for suffix in ("pdf", "png"):
        temporary = out / f".{stem}.{suffix}.tmp"
        figure.savefig(temporary, format=suffix)
        temporary.replace(out / f"{stem}.{suffix}")
    plt.close(figure)
    return out / f"{stem}.png"
