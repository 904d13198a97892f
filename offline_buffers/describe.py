"""``python -m offline_buffers.describe FOLDER``: shows a buffer's content in numbers and in one picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from hdream_core.data.minari_layout import MAIN_FILE, DatasetError, open_main, read_episode, read_metadata
from hdream_core.support import commandline, places, untrusted
from hdream_core.support.errors import ConfigError, exit_on_user_error

SHEET_ROWS, SHEET_COLUMNS = 4, 8
BINS = 10

ABOUT = "Show what a fixed buffer holds."


@dataclass(frozen=True)
class Describe:
    """Print a buffer's facts and its distribution of returns, and draw both with a sheet of frames."""

    folder: tyro.conf.Positional[Path]
    """The buffer's folder."""
    out: Path | None = None
    """Path of the picture; default <folder>/describe.png, or <name>.png here if the folder cannot be written."""


def summarize(folder: Path) -> dict[str, Any]:
    """Reads a buffer's metadata, and per episode ``returns`` and ``successes`` as arrays."""
    metadata, path = read_metadata(folder), folder / "data" / MAIN_FILE
    with open_main(path) as file, untrusted.expecting(f"{path}: damaged or incomplete", DatasetError):
        groups = [untrusted.member(file, f"episode_{i}") for i in range(metadata["total_episodes"])]
        attributes = [untrusted.attributes(group) for group in groups]
        returns = np.array([values["return"] for values in attributes], np.float64)
        successes = np.array([values["success"] for values in attributes], bool)
    if not len(returns) or not np.isfinite(returns).all():
        raise DatasetError(f"{path}: holds no episodes, or a return that is not finite")
    return {"metadata": metadata, "returns": returns, "successes": successes}


def contact_sheet(folder: Path) -> np.ndarray:
    """Draws episodes from the lowest to the highest return, a row each; uint8 ``(rows * H, columns * W, 3)``."""
    facts = summarize(folder)
    order = np.argsort(facts["returns"], kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(SHEET_ROWS, len(order))).round().astype(int)]
    rows = []
    with open_main(folder / "data" / MAIN_FILE) as file:
        for index in chosen:
            images = read_episode(file, int(index), ("image",))["image"]
            steps = np.linspace(0, len(images) - 1, SHEET_COLUMNS).round().astype(int)
            rows.append(np.concatenate([images[t] for t in steps], 1))
    return np.concatenate(rows, 0)


def draw(folder: Path, out: Path) -> Path:
    """Draws histogram and contact sheet to a PNG, PDF or SVG; returns its path."""
    from hdream_core.support import drawing  # and matplotlib

    with drawing.look({}):
        facts = summarize(folder)
        meta = facts["metadata"]["hdream"]
        figure = drawing.Drawing(11, 3.6, {})
        left, right = figure.subplots(1, 2, width_ratios=(1, 2))
        bins = np.histogram_bin_edges(facts["returns"], 24)
        for success, color in ((False, "#999999"), (True, "#009E73")):
            chosen = facts["returns"][facts["successes"] == success]
            left.hist(chosen, bins, color=color, alpha=0.8, label="success" if success else "no success")
        left.set(xlabel="Episode return", ylabel="Episodes", title="Returns")
        left.legend(frameon=False)
        right.imshow(contact_sheet(folder), interpolation="nearest")
        right.set(title="Lowest to highest return (rows), start to end (columns)", xticks=[], yticks=[])
        figure.suptitle(
            f"{meta['task']}, {meta['source']}: {facts['metadata']['total_steps']:,} steps, "
            f"{100 * meta['success_share']:.0f} % successes, "
            f"render {meta.get('render', '-')}, camera {meta.get('camera', '-')}"
        )
        figure.tight_layout()
        return figure.write(out, dpi=120)


def print_summary(folder: Path) -> None:
    """Prints a buffer's metadata and a histogram of its returns."""
    facts = summarize(folder)
    metadata, meta = facts["metadata"], facts["metadata"]["hdream"]
    for name in ("task", "source", "seed", "render", "camera", "sha256"):
        print(f"{name:<10} {meta.get(name, '-')}")
    print(f"{'steps':<10} {metadata['total_steps']} in {metadata['total_episodes']} episodes")
    print(f"{'on disk':<10} {metadata['dataset_size']} MB")
    print(f"{'success':<10} {facts['successes'].mean():.3f} of episodes")
    returns = facts["returns"]
    print(f"{'return':<10} mean {returns.mean():.0f}, from {returns.min():.0f} to {returns.max():.0f}")
    counts, edges = np.histogram(returns, BINS)
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        print(f"  {low:8.0f} to {high:8.0f}  {count:5d}  {'#' * round(50 * count / counts.max())}")


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with exit_on_user_error():
        job = commandline.parse(Describe, args, "python -m offline_buffers.describe")
        own = job.folder / "describe.png"
        picture = job.out or (own if places.can_be_written(own) else Path(f"{job.folder.absolute().name}.png"))
        if picture.suffix not in (".png", ".pdf", ".svg"):
            raise ConfigError(f"--out {picture}: must end in .png, .pdf or .svg")
        with untrusted.expecting(f"{job.folder}: not a buffer of offline_buffers.build", DatasetError):
            print_summary(job.folder)
            print(f"{'picture':<10} {draw(job.folder, picture)}")


if __name__ == "__main__":
    main(sys.argv[1:])
