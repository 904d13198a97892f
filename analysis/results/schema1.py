"""Reads result files of schema 1: an HDF5 group of axes, one of metrics, and two texts. None are written any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from hdream_core.support import untrusted

Arrays = dict[str, np.ndarray]
Metrics = dict[str, tuple[tuple[str, ...], np.ndarray]]


def read(found: Mapping[str, h5py.Dataset]) -> tuple[Arrays, Metrics, Any, Any]:
    """Returns axes, metrics, config and notes from a file's found by path."""
    texts = (untrusted.json_value(untrusted.text(found[name])) for name in ("config", "notes"))
    axes = {name: _axis(values) for name, values in _below("axes", found)}
    return (
        axes,
        {name: (_axes_of(values), untrusted.array(values)) for name, values in _below("data", found)},
        *texts,
    )


def _below(group: str, found: Mapping[str, h5py.Dataset]) -> list[tuple[str, h5py.Dataset]]:
    return [(name.removeprefix(f"{group}/"), values) for name, values in found.items() if name.startswith(f"{group}/")]


def _axes_of(dataset: h5py.Dataset) -> tuple[str, ...]:
    return tuple(dimension.label for dimension in dataset.dims)


def _axis(values: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(values.dtype):
        return untrusted.strings(values)
    return untrusted.array(values)
