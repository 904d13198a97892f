"""``python -m hdream_core.train``: one run, online or on a fixed buffer; the same command resumes it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro
from tqdm import tqdm

from hdream_core import runs
from hdream_core.config import Config
from hdream_core.errors import exit_on_user_error
from hdream_core.presets import METHODS, make_config, presets_for
from hdream_core.trainer import Trainer


def parse(args: Sequence[str]) -> tuple[Config, Path, bool]:
    """The run's config, its folder, and whether to show a progress bar, from a command line.

    Task, preset and method are read first, because they set the defaults of everything else.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--task", default="lever_pull")
    first.add_argument("--preset", default=None)
    first.add_argument("--method", default="dreamerv2")
    first.add_argument("--config", type=Path, default=None)
    first.add_argument("--folder", type=Path, default=None)
    first.add_argument("--quiet", action="store_true")
    chosen, rest = first.parse_known_args(list(args))
    if chosen.config is not None:
        config = runs.read_config(chosen.config.parent if chosen.config.is_file() else chosen.config)
    else:
        config = make_config(chosen.task, chosen.preset or "cpu", chosen.method)
    config = tyro.cli(
        Config, args=rest, default=config, prog="python -m hdream_core.train", description=_help(chosen.task)
    )
    return config, chosen.folder or default_folder(config), not chosen.quiet


def _help(task: str) -> str:
    presets = "; ".join(f"{name}: {what}" for name, (what, _) in presets_for(task).items())
    return (
        "Train one agent, online or (with --offline-buffer) on a fixed buffer. The same command resumes it.\n\n"
        f"--task NAME, --preset NAME ({presets}) and --method {'|'.join(METHODS)} set the defaults shown below; every "
        "setting can then be changed by its own flag. --folder PATH: the run's folder (default "
        "runs/<mode>_<preset>/<task>/<method>/<seed>). --config PATH: start from the config.json of another run. "
        "--quiet: no progress bar."
    )


def default_folder(config: Config, root: Path = Path("runs")) -> Path:
    """``<root>/<mode>_<preset>/<task>/<method>/<seed>``."""
    mode = "offline" if config.offline_buffer else "online"
    return root / f"{mode}_{config.preset}" / config.task / config.method / str(config.seed)


def train(config: Config, folder: Path, show_progress: bool = False) -> None:
    """Runs or resumes the run in ``folder``; returns at once if it is done."""
    runs.prepare(config, folder)
    if runs.is_done(folder):
        return
    with (
        runs.lock(folder),
        tqdm(total=config.train.steps, unit="step", disable=not show_progress, desc=config.method) as bar,
    ):

        def progress(step: int, latest) -> None:
            bar.update(step - bar.n)
            bar.set_postfix({name: f"{value:.3g}" for name, value in latest.items()}, refresh=False)

        trainer = Trainer(config, folder, progress)
        bar.initial = bar.n = trainer.step
        trainer.run()


def main(args: Sequence[str] | None = None) -> None:
    """Entry point."""
    with exit_on_user_error():
        config, folder, show_progress = parse(sys.argv[1:] if args is None else args)
        train(config, folder, show_progress)
        print(f"{config.method} on {config.task}, seed {config.seed}: done, see {folder}")


if __name__ == "__main__":
    main()
