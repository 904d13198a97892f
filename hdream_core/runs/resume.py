"""What a run keeps of itself in a checkpoint, and how it goes on from one: on a CPU, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hdream_core.runs import checkpoint
from hdream_core.runs import folder as run_folder
from hdream_core.runs.checkpoint import CheckpointError
from hdream_core.support.randomness import rng_state, set_rng_state

if TYPE_CHECKING:
    from hdream_core.runs.trainer import Trainer


def state_of(run: Trainer) -> dict[str, Any]:
    """Everything that a run between two steps needs to go on as if nothing had been."""
    return run.agent.training_state() | {
        "step": run.step,
        "metrics": run.logger.position(),
        "latest": run.latest,
        "wall_seconds": run.wall(),
        "window": {name: torch.stack(values) for name, values in run.window.items()},
        "episodes": torch.from_numpy(run.source.position()),
        "rngs": {"env": rng_state(run.env_rng), "replay": run.batches.state()},
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "understudy_rng": run.understudy.rng_state() if run.understudy else None,
    }


def resume(run: Trainer) -> None:
    """Takes a new trainer to the latest checkpoint in its folder, or to the run's start if there is none.

    Raises:
        CheckpointError: if the checkpoints are gone, or not what this run needs; nothing is lost then.
    """
    state = checkpoint.load_run(run.folder, mend=True)
    if state is None:
        if run_folder.recorded(run.folder).get("checkpoints") == "yes":
            raise CheckpointError(f"{run.folder}: its checkpoints are gone; delete the folder to start over")
        run.logger.rewind(0)
        return
    with checkpoint.taking_up(run.folder):
        _take_up(run, state)
        episodes, metrics = state["episodes"].cpu().numpy(), int(state["metrics"])
    # What drops rows and lines from after the checkpoint comes last, once nothing else can be wrong with it.
    run.source.rewind(episodes)
    with checkpoint.taking_up(run.folder):
        run.batches.load_state(state["rngs"]["replay"])
    run.logger.rewind(metrics)


def _take_up(run: Trainer, state: dict[str, Any]) -> None:
    """Everything of a saved state that lies in memory."""
    run.agent.load_training_state(state)
    run.step, run.wall_seconds = int(state["step"]), float(state["wall_seconds"])
    train = run.config.train
    if not 0 <= run.step < train.steps + train.train_every:  # the clock's last stride may end beyond the length
        raise ValueError(f"it is of step {run.step}")
    run.latest = {str(name): float(value) for name, value in state["latest"].items()}
    for name, values in state["window"].items():
        run.window[name] = list(values.to(run.agent.device).reshape(len(values)).unbind())
    set_rng_state(run.env_rng, state["rngs"]["env"])
    torch.set_rng_state(state["torch_rng"].cpu())
    if torch.cuda.is_available():
        if state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())
        else:  # saved without a GPU: not the run's first noise again
            torch.cuda.manual_seed(run.config.seed + run.step)
    if run.understudy and state["understudy_rng"] is not None:
        run.understudy.set_rng_state(state["understudy_rng"])
