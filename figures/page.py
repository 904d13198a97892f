"""The page of all figures: each of ours beside what the paper's figure shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.results.schema import Result, load
from figures import coefficients
from figures.shared import words

# Figures that are arranged as in the paper, by module: the paper's item, and what it shows there.
FIGURES = {
    "fig2": (
        "Fig. 2",
        "(a) Policies by weight of the reward loss, (b) the losses on a log axis, (c) errors of state regression with "
        "the original and the balanced weight, side by side.",
    ),
    "fig3": (
        "Fig. 3",
        "Frames of one trajectory above the dreams of two models of it, with their rewards marked correct or "
        "incorrect.",
    ),
    "fig22": ("Fig. 22", "Policies by weight of the reward loss, a panel a task; the paper has Hammer there."),
    "fig23": ("Fig. 23", "Learned coefficients, a panel a task; the paper has Lever Pull and Handle Pull Side."),
}
# Study: the paper's item, and what it shows there. In the paper's order.
PAPER = {
    "finding1": (
        "Figs. 2a and 22",
        "Success of online DreamerV2 agents over 250,000 steps on Lever Pull, Handle Pull Side and Hammer with w_r = "
        "1, 10 and 100, and with w_o = 0. In the paper larger reward weights learn far faster, and w_o = 0 does badly "
        "with a high variance.",
    ),
    "loss_scales": (
        "Fig. 2b",
        "The three losses through training on a log axis. In the paper the reward loss lies two orders of magnitude "
        "beneath the observation loss. The gradients are our addition.",
    ),
    "state_regression": (
        "Fig. 2c",
        "Error of regressing object positions from the representation, original weight against balanced weight. In the "
        "paper the balanced weight's is lower on all three tasks. Controls and open-loop features are ours.",
    ),
    "finding2": (
        "Fig. 3",
        "One trajectory in which the model with w_r = 1 dreams that the lever goes up with the arm, with rewards "
        "marked correct or incorrect, and the model with w_r = 100 does not. Ours says how often that is so.",
    ),
    "counterfactual": (
        "Finding 2 (ours)",
        "The paper has only the pictures of Fig. 3. Here recorded states are branched in the simulator, altered "
        "actions are played there and in the dreams, and wrong dreams are counted.",
    ),
    "finding3": (
        "Finding 3",
        "The decoder-free curve of Fig. 2a: inferior results with a high variance. Ours adds what its representation "
        "and its dreams are worth.",
    ),
    "coefficients": (
        "Figs. 4 (right) and 23",
        "Learned coefficients exp(-s) on Lever Pull and Handle Pull Side; in the paper the reward's is higher on Lever "
        "Pull. The analytic value of Eq. 13 is our addition.",
    ),
    "multitask": (
        "Fig. 9b",
        "HarmonyDream against uncertainty weighting, DWA and NashMTL; in the paper it is the best of them, with "
        "NashMTL about as good on Lever Pull.",
    ),
    "ablations": (
        "Figs. 15 to 18",
        "HarmonyDream against its unrectified form, a fixed w_d = 1 and tuned weights; in the paper slightly to "
        "clearly better than each.",
    ),
    "reward_mse": (
        "E.10",
        "Open-loop reward error with (0.379) and without (0.416) observation modelling, on 20,000 segments, 35 frames "
        "seen and 15 rewards predicted.",
    ),
    "atari_table": (
        "Table 2",
        "Scores of six methods on Atari 100K. In the paper Harmony DreamerV3 has a mean of 136.5 % and matches or "
        "surpasses DreamerV3 in 23 of 26 games.",
    ),
}


def listing() -> str:
    """Returns the commands that draw a figure each, a line each."""
    lines = [f"  python -m figures.{name:<17} {item}" for name, (item, _) in (FIGURES | PAPER).items()]
    return "\n".join(["one figure, arranged as in the paper, or with all that a study measured:", *lines])


def caption(sources: Sequence[Path]) -> str:
    """What a figure of ours shows: tasks, size, and the commands that made its results."""
    results = [load(source) for source in sources]
    tasks = ", ".join(f"`{result.attributes['task']}`" for result in results)
    made = "; ".join(
        f"`{source.name}`: `{result.attributes['command']}`" for source, result in zip(sources, results, strict=True)
    )
    sizes = "; ".join(dict.fromkeys(map(_size, results)))
    return f"*Ours:* {tasks}, {sizes}, from {made}"


def _size(result: Result) -> str:
    a, seeds = result.attributes, len(result.axes.get("seed", ()))
    many = f"{seeds} seed{'' if seeds == 1 else 's'}"
    trained = f"{a.get('mode', '')}, preset `{a['preset']}`, {many}" if seeds else "nothing trained"
    if a.get("complete", True):
        length = words.length(result) if seeds else ""
        return f"{trained}{', ' if length else ''}{length} (scale: {a['scale']})"
    return f"{trained}, cut off before their end (scale: {a['scale']})"


def write(
    drawn: Sequence[tuple[str, Path]], out: Path, results: Path, of_the_paper: Sequence[tuple[str, Path]] = ()
) -> Path:
    """Writes ``README.md`` beside the figures.

    Args:
        drawn: study and picture of each figure.
        out: their folder.
        results: folder of the result files that they were drawn from.
        of_the_paper: name and picture of those that are arranged as in the paper, which come first.
    """
    files = [path for path in (results / f"{picture.stem}.h5" for _, picture in drawn) if path.exists()]
    shared = coefficients.of_all_tasks([path for path in files if path.stem.startswith("coefficients_")])
    sources = shared | {path.stem: [path] for path in files}
    lines = [
        "# Figures",
        "",
        "Ours, and what the paper's show. Drawn by `python -m figures` from the result files.",
        "",
    ]
    for name, picture in of_the_paper:
        item, text = FIGURES[name]
        lines += [f"## {item}: `figures.{name}`", "", f"*In the paper:* {text}", ""]
        lines += [_shown(picture), "", f"*Ours:* arranged as in the paper.{_beside(picture)}", ""]
    for study, (item, text) in PAPER.items():
        pictures = sorted((path for name, path in drawn if name == study), key=lambda path: path.stem not in shared)
        if pictures:
            lines += [f"## {item}: `analysis.{study}`", "", f"*In the paper:* {text}", ""]
            for path in pictures:
                lines += [_shown(path), "", caption(sources[path.stem]) + _beside(path), ""]
    page = out / "README.md"
    page.write_text("\n".join(lines).rstrip() + "\n")
    return page


def _shown(picture: Path) -> str:
    return f"![{picture.stem}]({picture.name})"


def _beside(picture: Path) -> str:
    """A link to the caption's file, if there is one."""
    text = picture.with_suffix(".txt")
    return f" [How to read it]({text.name})" if text.exists() else ""
