"""Gives all figures one look: colours for colour-blind readers, sizes for print, and a footer with the scale."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.results.schema import SHIPPED, Result, ResultError, files_of, using
from figures.shared import options, words
from hdream_core.support import drawing
from hdream_core.support.commandline import OneLineParser
from hdream_core.support.drawing import Artist, Figure, Line2D, matplotlib
from hdream_core.support.errors import exit_on_user_error
from hdream_core.support.files import write_atomically

OUT = Path("figures/out")
WIDTH = 6.8  # inches: both columns of a journal's page, so that fonts are printed as large as they are set

# Okabe and Ito's palette, in the order of the methods that the paper compares.
COLORS = {
    "w_r=1": "#0072B2",
    "w_r=10": "#E69F00",
    "w_r=100": "#D55E00",
    "w_o=0,w_r=100": "#CC79A7",
    "harmony": "#009E73",
    "unrectified": "#CC79A7",
    "harmony,w_d=1": "#56B4E9",
    "uw": "#CC79A7",
    "dwa": "#56B4E9",
    "nashmtl": "#000000",
    "w_r=1000": "#CC79A7",
    "tdmpc": "#D55E00",
    "denoised_mdp": "#56B4E9",
}
# Dashes of methods whose curves may cover others.
DASHES = {
    "unrectified": (0, (5, 1.5, 1, 1.5)),
    "harmony,w_d=1": (0, (2.5, 1.5)),
    "dwa": (0, (2.5, 1.5)),
    "harmony_denoised_mdp": (0, (1, 1.2)),
}
OTHER_AGENT = (0, (5, 1.5, 1, 1.5))  # of HarmonyDream with another agent: the colour is the same
# Dashes of losses; those that learn frames first.
LOSSES = {"observation": "-", "swav": "-", "temporal": (0, (5, 1.5, 1, 1.5)), "reward": "--", "dynamics": ":"}
LOSSES |= {"consistency": ":", "value": (0, (5, 1.5, 1, 1.5))}
SPARE = ("#CC79A7", "#56B4E9", "#F0E442", "#000000")
SMALL = 7  # points, of the smallest text
LABEL = 8  # points, of the axes' labels
INK = "0.1"  # colour of the truth
HEAD, LINE = 0.28, 0.125  # inches: above, of the title; of a line of text
LABELS = {
    "harmony": "HarmonyDream",
    "unrectified": "Unrectified",
    "harmony,w_d=1": r"HarmonyDream, $w_d=1$",
    "w_o=0,w_r=100": r"$w_o=0$, $w_r=100$",
    "uw": "Uncertainty weighting",
    "dwa": "DWA",
    "nashmtl": "NashMTL",
}
AGENTS = {"dreamerv3": "DreamerV3", "dreamerpro": "DreamerPro", "tdmpc": "TD-MPC", "denoised_mdp": "Denoised MDP"}

# Fonts and lines by which everything is legible in print at full page width.
GREY = "0.15"
DATELESS = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # the same picture is the same file
CYCLE = "#4C72B0 #DD8452 #55A868 #C44E52 #8172B3 #937860 #DA8BC3 #8C8C8C #CCB974 #64B5CD"
LOOK = {
    "axes.axisbelow": True,
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color"), GREY),
    "axes.prop_cycle": matplotlib.cycler(color=CYCLE.split()),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": 8.5,
    "axes.labelsize": LABEL,
    "font.size": 9.6,
    **{f"{axis}tick.labelsize": 7.5 for axis in "xy"},
    **{f"{axis}tick.{which}.width": 0.8 for axis in "xy" for which in ("major", "minor")},
    **{f"{axis}tick.{which}.size": size for axis in "xy" for which, size in (("major", 3), ("minor", 1.5))},
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.8,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "patch.linewidth": 0.8,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "svg.hashsalt": "hdream",
    "pdf.fonttype": 42,
}
LETTERS = [name for name in LOOK if name.endswith(("titlesize", "labelsize", "fontsize", "font.size"))]


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Gives what is drawn in a block, or in a function that it decorates, the look of all figures, and then ends it."""
    with drawing.look(_settings()):
        yield


def apply() -> None:
    """Gives the look to all that a notebook draws itself from here on."""
    matplotlib.rcParams.update(LOOK)


def scale() -> float:
    """Returns how many times their usual size letters have."""
    return (options.chosen().font_size or LABEL) / LABEL


def small() -> float:
    """Returns the size of the smallest letters in points."""
    return SMALL * scale()


def beside() -> dict[str, Any]:
    """Returns how a word at a curve's end is written."""
    return {"ha": "right", "va": "bottom", "fontsize": small(), "color": "0.3"}


def _settings() -> dict[str, Any]:
    """The look with letters of the chosen size."""
    return LOOK | {name: scale() * LOOK[name] for name in LETTERS}


def chosen_width(width: float) -> float:
    """Returns a figure's width in inches: the given one, unless the options say another."""
    return options.chosen().width or width


def figure(width: float, height: float) -> drawing.Drawing:
    """Makes an empty figure of constrained layout.

    Args:
        width: in inches, unless the options say another.
        height: in inches, for letters of the usual size; larger ones make it higher.
    """
    return drawing.Drawing(chosen_width(width), height * max(1.0, scale()), _settings(), layout="constrained")


def color(method: str, index: int) -> str:
    """Returns a method's colour, the same in every figure."""
    return COLORS.get(_kind(method), SPARE[index % len(SPARE)])


def dash(method: str) -> str | tuple[int, tuple[float, ...]]:
    """Returns the dashes of a method's curves."""
    return DASHES.get(method, OTHER_AGENT if _other(method) else DASHES.get(_kind(method), "-"))


def label(method: str) -> str:
    """Returns a method's name as the paper writes it."""
    agent, comma, weights = method.partition(",")
    if agent.removeprefix("harmony_") in AGENTS:
        name = AGENTS[agent.removeprefix("harmony_")]
        return f"{'Harmony ' if _other(method) else ''}{name}{comma and f', {label(weights)}'}"
    return LABELS.get(method, f"$w_r={method[4:]}$" if method.startswith("w_r=") else method)


def _kind(method: str) -> str:
    """Returns how a method weighs losses, without its agent: ``w_r=10`` of ``other,w_r=10``."""
    agent, comma, weights = method.partition(",")
    if comma and agent in AGENTS:
        return weights
    return "harmony" if agent.startswith("harmony_") else method


def _other(method: str) -> str:
    """Returns the agent that HarmonyDream is combined with: ``other`` of ``harmony_other``, or nothing."""
    return method.partition(",")[0].partition("harmony_")[2]


def handles(result: Result) -> list[Line2D]:
    """Returns a legend of a result's methods."""
    return [
        Line2D([], [], color=color(method, i), linestyle=dash(method), marker="o", markersize=3, label=label(method))
        for i, method in enumerate(result.methods)
    ]


def frame(
    figure: drawing.Drawing,
    title: str,
    shown: Mapping[Path, Result],
    note: str = "",
    legend: Sequence[Artist] = (),
) -> None:
    """Adds title and legend above the panels, and below them the scale at which the results were measured.

    It also sets the caption: how to read the figure, and which files and commands it comes from.

    Args:
        figure: whose panels are drawn.
        title: of the figure.
        shown: its results by file.
        note: how to read it.
        legend: its entries.
    """
    figure.caption = words.caption(title, shown, note)
    width, height = figure.get_size_inches()
    letters = int(width * 72 / (0.54 * small()))  # a letter is about half as wide as high
    inside = options.chosen().caption == "inside"
    lines = [*note.splitlines(), *words.origins(shown)] if inside else [words.short_origins(shown)]
    text = "\n".join(textwrap.fill(part, letters) for part in lines)
    height += LINE * scale() * text.count("\n")
    figure.set_size_inches(width, height)
    rows = _legend(figure, legend, 1 - 0.2 * scale() / height) if legend else 0
    head, foot = (HEAD + 0.17 * rows) * scale(), 0.1 + LINE * scale() * (1 + text.count("\n"))
    figure.get_layout_engine().set(rect=(0, foot / height, 1, 1 - (head + foot) / height))
    figure.text(0.5, 1 - 0.05 / height, title, fontsize=9.5 * scale(), ha="center", va="top")
    figure.text(0.01, 0.04 / height, text, fontsize=small(), color="0.3", va="bottom", ha="left", linespacing=1.15)


def _legend(figure: Figure, entries: Sequence[Artist], top: float) -> int:
    """Draws a legend in as few rows as it fits in; returns how many."""
    for rows in range(1, len(entries) + 1):
        found = figure.legend(
            handles=list(entries),
            loc="upper center",
            ncols=-(-len(entries) // rows),
            bbox_to_anchor=(0.5, top),
            columnspacing=1.2,
            handlelength=2.2,
            labelspacing=0.3,
        )
        if found.get_window_extent().width <= figure.bbox.width or rows == len(entries):
            break
        found.remove()
    return rows


def main(study: str, draw: Callable[[Path, Path], Path]) -> None:
    """Draws the result files of a command line, or the shipped ones."""
    parser = OneLineParser(prog=f"python -m figures.{study}", description=f"Draw results of {study}.")
    parser.add_argument("files", nargs="*", type=Path, help="result files; default: the shipped ones in figures/data")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the figures (%(default)s)")
    options.add_flags(parser, WIDTH, LABEL)
    with exit_on_user_error("the others are not drawn"):
        chosen = parser.parse_args()
        with options.using(options.read(chosen)):
            files = chosen.files or [path for path in files_of(SHIPPED) if path.name.startswith(study)]
            _draw_each(files, draw, chosen.out)


def _draw_each(files: Sequence[Path], draw: Callable[[Path, Path], Path], out: Path) -> None:
    """Draws every file that can be drawn, and then reports the others."""
    failed = []
    for file in files:
        try:
            with using(file):
                print(draw(file, out))
        except ResultError as error:
            failed.append(str(error))
    if failed:
        raise ResultError("; ".join(failed))


def save(figure: drawing.Drawing, out: Path, stem: str) -> Path:
    """Writes a figure in the chosen formats, and its caption where it is to be a file, each whole or not at all.

    Returns:
        The first of the pictures.
    """
    out.mkdir(parents=True, exist_ok=True)
    chosen = options.chosen()
    paths = [out / f"{stem}.{kind}" for kind in chosen.formats]
    for path in paths:
        figure.write(path, metadata=DATELESS.get(path.suffix))
    if chosen.caption == "file":
        write_atomically(out / f"{stem}.txt", figure.caption.encode())
    return paths[0]
