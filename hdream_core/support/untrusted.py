"""Reads untrusted files: runs no code from them, checks sizes before allocating memory, follows no path outside.

Every function raises ValueError with a short reason; callers add the file's name.
"""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import math
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

LARGEST = 2**30  # bytes of one array
DEFLATE = 1100  # slightly over the largest factor by which gzip compresses
LONGEST = 2**24  # characters of one text
SMALL = 2**20  # bytes that a file may claim whatever its own size
DEEPEST = 8  # levels of nested groups
BAD_ZIP = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    OSError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
BAD_NPY = (
    EOFError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    UnicodeDecodeError,
    tokenize.TokenError,
)
BAD_CONTENT = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,=+-]*")


@contextlib.contextmanager
def expecting(where: object, error: type[Exception]) -> Iterator[None]:
    """Turns errors that unexpected content of a file causes in the block into ``error``, which names ``where``.

    The original error is kept as the cause, which helps if the code is wrong and not the file.
    """
    try:
        yield
    except error:
        raise
    except BAD_CONTENT as cause:
        if isinstance(cause, OSError) and cause.errno:  # an error of the system, not of the content
            raise
        reason = f"{cause} is missing" if isinstance(cause, KeyError) else " ".join(str(cause).split())[:300]
        raise error(f"{where} ({reason or type(cause).__name__})") from cause


def plain_name(text: Any, what: str) -> str:
    """Returns ``text`` if it is safe as the name of a file or folder inside another."""
    if not isinstance(text, str) or not NAME.fullmatch(text) or len(text) > 200:
        raise ValueError(f"{what} is {text!r}; a name has only letters, digits and . , _ = + -")
    return text


def json_value(text: str | bytes) -> Any:
    """Parses JSON; raises ValueError also if it is nested too deeply for Python."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def json_object(path: Path) -> dict[str, Any]:
    """Reads the JSON object in a file."""
    value = json_value(path.read_bytes())
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")
    return value


def members(group: h5py.Group) -> dict[str, h5py.Group | h5py.Dataset]:
    """Returns the members of a group by name; refuses links to other files."""
    return {name: member(group, name) for name in group}


def member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """Returns the member of a group with this name; raises KeyError if there is none. Refuses links to other files."""
    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        raise ValueError(f"{name} is a link to another file")
    return group[name]


def datasets(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Returns all datasets below a group by path, e.g. ``loss/reward``; refuses an object with two paths."""
    by_path: dict[str, h5py.Dataset] = {}
    seen = {group.id}
    waiting = [("", group, 0)]
    while waiting:
        prefix, parent, depth = waiting.pop()
        for name, item in members(parent).items():
            if item.id in seen or depth > DEEPEST:
                raise ValueError(f"{prefix}{name} appears twice, or is nested too deeply")
            seen.add(item.id)
            if isinstance(item, h5py.Group):
                waiting.append((f"{prefix}{name}/", item, depth + 1))
            else:
                by_path[prefix + name] = item
    return by_path


def array(dataset: h5py.Dataset, largest: int = LARGEST) -> np.ndarray:
    """Reads a numeric dataset, unless it claims more bytes than the stored ones can unpack to."""
    _check_storage(dataset)
    if dataset.dtype.kind not in "biuf":
        raise ValueError(f"{dataset.name} has dtype {dataset.dtype}, must be numeric")
    stored = dataset.id.get_storage_size()
    chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize  # unpacked completely, even for one value
    if max(dataset.nbytes, chunk) > min(largest, SMALL + DEFLATE * stored):
        raise ValueError(
            f"{dataset.name} claims {max(dataset.nbytes, chunk)} bytes, too many for the {stored} bytes stored"
        )
    return dataset[()]


def strings(dataset: h5py.Dataset) -> np.ndarray:
    """Reads a short list of short strings."""
    _check_storage(dataset)
    if h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1 or dataset.nbytes > SMALL:
        raise ValueError(f"{dataset.name} must be a short list of strings")
    values, size = [], 0
    for i in range(len(dataset)):  # one by one, because all of them may refer to the same long text
        values.append(str(dataset.asstr()[i]))
        size += len(values[-1])
        if max(size, len(dataset) * len(values[-1])) > SMALL:
            raise ValueError(f"{dataset.name} has over {SMALL} characters")
    return np.array(values, dtype=str)


def attributes(
    item: h5py.Group | h5py.Dataset, names: Collection[str] | None = None, longest: int = SMALL
) -> dict[str, Any]:
    """Reads attributes of a group or dataset; refuses any that is not a single number, boolean or text.

    Args:
        item: group or dataset.
        names: attributes to read, if they exist. Default: all.
        longest: characters of all together.
    """
    values, size = {}, 0
    for name in item.attrs if names is None else [name for name in names if name in item.attrs]:
        info = item.attrs.get_id(name)
        is_plain = info.dtype.kind in "biuf" or h5py.check_string_dtype(info.dtype) is not None
        if info.shape not in ((), (1,)) or not is_plain:  # netCDF has lists of one
            raise ValueError(f"attribute {name} must be a single number or text")
        value = item.attrs[name] if info.shape == () else item.attrs[name][0]
        value = value.decode() if isinstance(value, bytes) else value.item() if isinstance(value, np.generic) else value
        size += len(value) if isinstance(value, str) else 8
        if size > longest:
            raise ValueError(f"the attributes have over {longest} characters")
        values[name] = value
    return values


def text(dataset: h5py.Dataset) -> str:
    """Reads a dataset of one string."""
    _check_storage(dataset)
    info = h5py.check_string_dtype(dataset.dtype)
    if dataset.shape != () or info is None or (info.length or 0) > LONGEST:
        raise ValueError(f"{dataset.name} must be a text of at most {LONGEST} characters")
    value = dataset.asstr()[()]
    if len(value) > LONGEST:
        raise ValueError(f"{dataset.name} has over {LONGEST} characters")
    return value


def _check_storage(dataset: h5py.Dataset) -> None:
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{dataset.name} is a group, not a dataset")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name} keeps its values in another file")


def npz(path: Path, largest: int = LARGEST) -> dict[str, np.ndarray]:
    """Reads the arrays of an uncompressed ``.npz`` file; an OSError while opening it passes unchanged."""
    if (size := path.stat().st_size) > largest:
        raise ValueError(f"has {size} bytes, over {largest}")
    data = path.read_bytes()  # any error after this line is caused by the content
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > min(largest, SMALL + 2 * size):
                raise ValueError("claims more bytes than it has")
            return {info.filename.removesuffix(".npy"): npy(archive.read(info)) for info in archive.infolist()}
    except BAD_ZIP as error:
        raise ValueError(f"not an .npz file ({error})") from None


def npy(data: bytes) -> np.ndarray:
    """Reads the array in the bytes of an ``.npy`` file."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        size = dtype.itemsize
        for length in shape:
            size *= int(length)
        if dtype.hasobject or min(shape, default=0) < 0 or size != len(data) - file.tell():
            raise ValueError(f"claims {shape} of {dtype}, which is not what it holds")
    except BAD_NPY as error:
        raise ValueError(f"not an .npy file ({type(error).__name__})") from None
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def check_zip(data: bytes) -> None:
    """Refuses an archive that would unpack to much more than its size, which torch's archives never do."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
    except BAD_ZIP as error:
        raise ValueError(f"not an archive ({error})") from None
    if unpacked > SMALL + 2 * len(data):
        raise ValueError(f"{len(data)} bytes claim to unpack to {unpacked}")
