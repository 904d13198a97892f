"""The command ``python -m hdream_core.train``: trains one run, online or on a fixed buffer, or resumes it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hdream_core.config.balancer import check_weights
from hdream_core.config.fields import Config
from hdream_core.config.presets import METHODS, make_config, presets_for
from hdream_core.data.sources import check_source
from hdream_core.runs import folder as run_folder
from hdream_core.support import commandline
from hdream_core.support.errors import STOPPED, ConfigError, Stopped, exit_on_user_error
from hdream_core.support.locks import exclusive
from hdream_core.support.processes import die_with_parent, keep_freed_memory
from hdream_core.support.progress import on_terminal, progress_bar

ABOUT = "Train one agent."
DEFAULT_PRESET = "cpu"
PARENT = "HDREAM_PARENT_PID"  # environment variable: the process that a run must not outlive


@dataclass(frozen=True)
class Train:
    run: Annotated[Config, tyro.conf.arg(name="")]
    config: Path | None = None
    """Take the defaults from another run's config.json, in place of task, preset and method."""
    folder: Path | None = None
    """The run's folder; default runs/<mode>_<preset>/<task>/<method>/<seed>."""
    quiet: bool = False
    """Show no progress bar."""


def parse(args: Sequence[str]) -> Train:
    """Parses a command line. Task, preset and method are read first, because they set the defaults of everything else.

    Raises:
        ConfigError: for an unknown task, preset, method or config file, or settings that do not fit together.
    """
    parser = commandline.OneLineParser("python -m hdream_core.train", add_help=False, allow_abbrev=False)
    parser.add_argument("--task", default=None)
    parser.add_argument("--preset", default=None)
    parser.add_argument("--method", default=None)
    parser.add_argument("--config", type=Path)
    chosen, _ = parser.parse_known_args(list(args))
    if chosen.config is None:
        config = make_config(
            chosen.task or Config.task, chosen.preset or DEFAULT_PRESET, chosen.method or Config.method
        )
    elif chosen.task or chosen.preset or chosen.method:
        raise ConfigError("--config already says task, preset and method; leave out --task, --preset and --method")
    else:
        config = run_folder.read_config(chosen.config)
    job = commandline.parse(
        Train,
        args=args,
        default=Train(config),
        prog="python -m hdream_core.train",
        description=_description(config.task, chosen.method or Config.method),
    )
    check_weights(job.run.balancer, job.run.agent.decodes)
    return job


def _description(task: str, method: str) -> str:
    presets = "\n".join(f"  {name:<6} {description}" for name, (description, _) in presets_for(task, method).items())
    return (
        "Train one agent, online or (with --offline-buffer) on a fixed buffer. The same command resumes it.\n\n"
        f"The defaults below are those of the task, preset and method given. Methods: {', '.join(METHODS)}. "
        f"Presets for {task}:\n{presets}"
    )


def default_folder(config: Config, root: Path = Path("runs")) -> Path:
    """Returns ``<root>/<mode>_<preset>/<task>/<method>/<seed>``."""
    mode = "offline" if config.offline_buffer else "online"
    return root / f"{mode}_{config.preset}" / config.task / config.method / str(config.seed)


def train(config: Config, folder: Path, show_progress: bool = False, stop: threading.Event | None = None) -> None:
    """Starts or resumes the run in ``folder``; returns at once if it is complete.

    Raises:
        ConfigError: if the folder holds a run with other settings, or another process is training it.
        Stopped: if ``stop`` was set, after the run has saved itself.
    """
    if run_folder.check_same(config, folder) and run_folder.is_done(folder):
        return
    check_source(config)
    from hdream_core.runs.trainer import Trainer  # here, since torch takes seconds and bad input is refused before

    def progress(step: int, latest: Mapping[str, float]) -> None:
        pretraining = step == bar.n  # the clock stands still meanwhile
        bar.update(step - bar.n)
        bar.set_postfix({name: f"{value:.3g}" for name, value in latest.items()}, refresh=pretraining and on_terminal())

    trainer = Trainer(config, folder, progress, stop)  # refuses bad input before anything is written
    run_folder.prepare(config, folder)
    with (
        exclusive(folder / "lock", "training this run"),
        progress_bar(total=config.train.steps, unit="step", disable=not show_progress) as bar,
    ):
        for unfinished in folder.glob(".*.tmp"):  # files that a killed process was writing
            unfinished.unlink()
        trainer.resume()
        bar.initial = bar.n = trainer.step
        bar.set_description(config.method)
        trainer.run()


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command."""
    if PARENT in os.environ:  # a sweep's run must end when the sweep is killed
        die_with_parent(int(os.environ[PARENT]))
    keep_freed_memory()
    with exit_on_user_error():
        job = parse(sys.argv[1:] if args is None else args)
        folder = job.folder or default_folder(job.run)
        stop = threading.Event()
        # Slurm sends SIGUSR2 to all processes of a job before its time is over.
        for name in ("SIGUSR1", "SIGUSR2"):
            if hasattr(signal, name):  # not on Windows
                signal.signal(getattr(signal, name), lambda *_: stop.set())
        try:
            train(job.run, folder, show_progress=not job.quiet, stop=stop)
        except Stopped as stopped:
            print(f"{stopped}; run the same command again to resume", file=sys.stderr)
            sys.exit(STOPPED)
        print(f"{job.run.method} on {job.run.task}, seed {job.run.seed}: done, see {folder}")


if __name__ == "__main__":
    main()
