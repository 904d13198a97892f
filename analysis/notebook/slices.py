"""Writes and reads slices: small files with recorded stretches of one task; some ship in ``notebooks/data``."""

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
    """Writes recorded stretches of one task, in rows as of ``minari_layout.convert``; returns the path.

    Args:
        path: of the file.
        task: of all stretches.
        facts: about their source, plain values such as ``render`` and ``camera``.
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
    """Reads task, facts and stretches of a slice; DatasetError if the file is no slice."""
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
    """Returns the tasks that have a slice and models in ``notebooks/data``, with the models' names."""
    shipped = {}
    for path in sorted(DATA.glob("*_slice.h5")):
        task = path.stem.removesuffix("_slice")
        if models := [model.stem.removeprefix(f"{task}_") for model in sorted(DATA.glob(f"{task}_*.safetensors"))]:
            shipped[task] = models
    return shipped
