"""Ways to damage a file: its bytes, or what it says while its seal, digest and syntax stay right."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from hdream_core.runs import checkpoint
from hdream_core.support import sealed

ODD = (None, -1, 0, 3, 1e308, 10**30, 10**400, "", "x", "../../x", [], {}, [[1]], True)  # in the place of a value


def broken(data: bytes, rng: random.Random) -> bytes:
    """Truncated, with flipped bits, or with a stretch overwritten, removed or repeated."""
    changed, at, length = bytearray(data), rng.randrange(len(data)), rng.randrange(1, 64)
    match rng.randrange(5):
        case 0:
            del changed[at:]
        case 1:
            for _ in range(rng.choice([1, 1, 3, 30])):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        case 2:
            changed[at : at + length] = rng.choice([b"\0", b"\xff", b"9", rng.randbytes(1)]) * length
        case 3:
            del changed[at : at + length]
        case 4:
            changed[at:at] = changed[at : at + length]
    return bytes(changed)


def _slots(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every place within nested dicts and lists: container and key."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found.append((value, key))
        _slots(value[key], found)
    return found


def odd_json(text: str, rng: random.Random) -> str:
    """JSON with a value left out, replaced by another, or under another name."""
    value = json.loads(text)
    slots = _slots(value, [])
    if not slots:
        return json.dumps(rng.choice(ODD))
    container, key = rng.choice(slots)
    if rng.random() < 0.3:
        del container[key]
    elif rng.random() < 0.3 and isinstance(container, dict):
        container[rng.choice(["a/b", "return", "return/x", ".", "", "../x"])] = container.pop(key)
    else:
        container[key] = rng.choice(ODD)
    return json.dumps(value)


def _odd_array(values: np.ndarray, rng: random.Random) -> np.ndarray:
    """An array with other values, another shape or another kind."""
    odd = [np.full(values.shape, number) for number in (np.nan, np.inf, rng.choice([0, -1, 10**12]))]
    odd += [values[None], values.astype(rng.choice(["S1", "f4", "i1"]))]
    if values.ndim:
        odd += [values[..., 0], values[: len(values) // 2], values[:0]]
    return rng.choice(odd)


KINDS = ("f2", "f4", ">f4", "f8", "i1", "i8", "u1", "?", "c8", "S1")


def odd_episodes(episodes: list[dict[str, np.ndarray]], rng: random.Random) -> None:
    """Leaves a field of an episode out, or gives it another dtype, other values or another shape."""
    fields = rng.choice(episodes)
    name = rng.choice(list(fields))
    values = fields.pop(name)
    if rng.random() < 0.9:
        fields[name] = values.astype(rng.choice(KINDS)) if rng.random() < 0.6 else _odd_array(values, rng)


STRUCTURE = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"}  # HDF5's own


def odd_hdf5(path: Path, rng: random.Random) -> None:
    """Changes one dataset or attribute of a sealed file and seals it again."""
    with h5py.File(path, "a") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        texts = [name for name in ("config", "notes") if name in file.attrs]
        chosen = rng.choice([*names, "attribute", *texts])
        if chosen in texts:
            file.attrs[chosen] = odd_json(file.attrs[chosen], rng)
        elif chosen not in file:
            attributes = rng.choice([file, *(file[name] for name in rng.sample(names, min(3, len(names))))]).attrs
            name = rng.choice([name for name in attributes if name not in STRUCTURE] or ["x"])
            if rng.random() < 0.3 and name in attributes:
                del attributes[name]
            else:
                attributes[name] = rng.choice([-1, 0, "x", 1.5, "../x", "{loss}", '["final", "{variant}"]', "[[]]"])
        elif h5py.check_string_dtype(file[chosen].dtype) is None:
            _replace(file, chosen, _odd_array(file[chosen][()], rng))
        elif file[chosen].shape == ():
            _replace(file, chosen, odd_json(file[chosen].asstr()[()], rng))
        else:
            strings = file[chosen].asstr()[()]
            _replace(file, chosen, rng.choice([strings[:1], strings[::-1], np.array(["x"] * len(strings), object)]))
    sealed.seal(path)


def _replace(file: h5py.File, name: str, values: Any) -> None:
    """Puts other values in a dataset's place, with the same dimensions as far as there are so many."""
    old = file[name]
    labels, about = [dimension.label for dimension in old.dims], dict(old.attrs)
    along = [dimension[0] for dimension in old.dims if len(dimension)]
    users: list[Any] = []  # the dimensions that this is the scale of
    if scale := old.is_scale:
        file.visititems(lambda _, item: users.extend(d for d in getattr(item, "dims", ()) if len(d) and d[0] == old))
    for dimension in users:
        dimension.detach_scale(old)
    del file[name]
    strings = isinstance(values, str) or values.dtype.kind == "O"
    made = file.create_dataset(name, data=values, dtype=h5py.string_dtype() if strings else None)
    made.attrs.update({key: value for key, value in about.items() if key not in STRUCTURE})
    for dimension, label in zip(made.dims, labels, strict=False):
        dimension.label = label
    if scale:
        made.make_scale(name.rpartition("/")[2])
    for dimension in users:
        dimension.attach_scale(made)
    for dimension, other in zip(made.dims, () if scale else along, strict=False):
        dimension.attach_scale(other)


def odd_checkpoint(path: Path, rng: random.Random) -> None:
    """Changes one part of a checkpoint's state and writes it as a whole one."""
    state = checkpoint.load(path)
    container, key = rng.choice(_slots(state, []))
    value = container[key]
    if rng.random() < 0.2:
        del container[key]
    elif isinstance(value, torch.Tensor):
        odd = [value[None], value[:0] if value.ndim else value, value.double() * 1e300, value.bool(), value * 0 - 1, 3]
        container[key] = rng.choice(odd)
    else:
        container[key] = rng.choice([*ODD, torch.zeros(3)])
    checkpoint.save(path.parent, state)
