"""Recorded stretches of one task in a small file, a few of which ship in ``notebooks/data`` beside two models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.models.segments import Rows
from hdream_core.data.minari_layout import DatasetError
from hdream_core.support import places, sealed, untrusted

DATA = places.data_folder("notebooks", "data")


def save_slice(path: Path, task: str, facts: Mapping[str, Any], stretches: Sequence[Rows]) -> Path:
    """Writes recorded stretches of one task, on the row side of ``minari_layout.convert``.

    Args:
        path: of the file.
        task: of all stretches.
        facts: where they come from, plain values; ``render`` and ``camera`` among them.
        stretches: each with ``image, action, reward, is_terminal, state, sim_state``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with sealed.writing(path) as file:
        file.attrs.update({"task": task, "facts": json.dumps(dict(facts))})
        for index, rows in enumerate(stretches):
            for name, values in rows.items():
                file.create_dataset(f"stretch_{index}/{name}", data=values, compression="gzip", shuffle=True)
    return path


def load_slice(path: Path) -> tuple[str, dict[str, Any], list[Rows]]:
    """Task, facts and stretches of a file that ``save_slice`` wrote; DatasetError in one line if it is none."""
    try:
        with sealed.open_to_read(path) as file:
            groups = [untrusted.member(file, f"stretch_{i}") for i in range(len(file))]
            stretches = [
                {name: untrusted.array(values) for name, values in untrusted.members(group).items()} for group in groups
            ]
            facts = untrusted.attributes(file)
            return facts["task"], untrusted.json_value(facts["facts"]), stretches
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not a slice of a buffer ({error})") from None


def shipped_tasks() -> dict[str, list[str]]:
    """Tasks that have a slice and models in ``notebooks/data``, with the models' names."""
    found = {}
    for path in sorted(DATA.glob("*_slice.h5")):
        task = path.stem.removesuffix("_slice")
        if models := [model.stem.removeprefix(f"{task}_") for model in sorted(DATA.glob(f"{task}_*.safetensors"))]:
            found[task] = models
    return found
