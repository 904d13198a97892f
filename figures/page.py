"""The page of all figures: each of ours beside what the paper's figure shows."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

from analysis.results.schema import Result, load
from figures import coefficients
from figures.shared import words

# Names of figures in the paper's order, which others follow.
ORDER = (
    *("finding1", "loss_scales", "state_regression", "finding2", "counterfactual", "finding3", "coefficients"),
    *("multitask", "ablations", "reward_mse", "atari_table", "atari_scores", "dial", "distraction"),
    *("rivals", "examples"),
)


def _items(entry: str) -> dict[str, tuple[str, str]]:
    """The paper's item and what it shows there, by name, of all figures whose command is ``entry``."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        if f"{entry}.main(" in (text := path.read_text()):
            known = {ast.unparse(node.targets[0]): node.value for node in ast.parse(text).body if _assigns(node)}
            found[path.stem] = (ast.literal_eval(known["ITEM"]), ast.literal_eval(known["SHOWS"]))
    place = {name: at for at, name in enumerate(ORDER)}
    return dict(sorted(found.items(), key=lambda one: (place.get(one[0], len(place)), len(one[0]), one[0])))


def _assigns(node: ast.stmt) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign)


FIGURES = _items("paper")  # arranged as in the paper: item, and what it shows there
PAPER = _items("style")  # a study each


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
