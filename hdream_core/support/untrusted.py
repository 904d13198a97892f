"""Files from elsewhere, read without trust: no code runs, sizes are checked before memory is taken, no path leads out.

Every function raises ValueError with a short reason; callers add which file it was.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

LARGEST = 2**30  # bytes of one array
DEFLATE = 1100  # times that gzip can make data smaller, a little over
LONGEST = 2**24  # characters of one text
SMALL = 2**20  # bytes that nobody needs to justify
DEEPEST = 8  # groups within groups
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
WRONG = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,=+-]*")


@contextlib.contextmanager
def expecting(where: object, error: type[Exception]) -> Iterator[None]:
    """Raises ``error``, naming where, if what a file holds is not what the block takes it for.

    The error that was raised is the new one's cause, for who looks for a mistake of the code and not of the file.
    """
    try:
        yield
    except error:
        raise
    except WRONG as reason:
        if isinstance(reason, OSError) and reason.errno:  # of the system, not of what the file holds
            raise
        said = f"{reason} is missing" if isinstance(reason, KeyError) else " ".join(str(reason).split())[:300]
        raise error(f"{where} ({said or type(reason).__name__})") from reason


def plain_name(text: Any, what: str) -> str:
    """``text`` if it can name a file or folder inside another, and nothing outside."""
    if not isinstance(text, str) or not NAME.fullmatch(text) or len(text) > 200:
        raise ValueError(f"{what} is {text!r}; a name has letters, digits and . , _ = + - alone")
    return text


def json_value(text: str | bytes) -> Any:
    """JSON of ordinary depth."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    found = json_value(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError("must be a JSON object")
    return found


def members(group: h5py.Group) -> dict[str, h5py.Group | h5py.Dataset]:
    """What a group holds. Links to other files are refused."""
    return {name: member(group, name) for name in group}


def member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """What a group holds under a name. A link to another file is refused; KeyError if there is nothing."""
    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        raise ValueError(f"{name} is a link to another file")
    return group[name]


def datasets(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """All datasets beneath a group by their path, e.g. ``loss/reward``. What is there under two names is refused."""
    found: dict[str, h5py.Dataset] = {}
    seen = {group.id}
    waiting = [("", group, 0)]
    while waiting:
        prefix, parent, depth = waiting.pop()
        for name, item in members(parent).items():
            if item.id in seen or depth > DEEPEST:
                raise ValueError(f"{prefix}{name} is there twice, or nested too deeply")
            seen.add(item.id)
            if isinstance(item, h5py.Group):
                waiting.append((f"{prefix}{name}/", item, depth + 1))
            else:
                found[prefix + name] = item
    return found


def array(dataset: h5py.Dataset, largest: int = LARGEST) -> np.ndarray:
    """A numeric dataset, whose size its bytes in the file must bear out."""
    _check_storage(dataset)
    if dataset.dtype.kind not in "biuf":
        raise ValueError(f"{dataset.name} has dtype {dataset.dtype}, must be numeric")
    stored = dataset.id.get_storage_size()
    chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize  # taken whole for one value of it
    if max(dataset.nbytes, chunk) > min(largest, SMALL + DEFLATE * stored):
        raise ValueError(
            f"{dataset.name} claims {max(dataset.nbytes, chunk)} bytes at once, of which the file holds {stored}"
        )
    return dataset[()]


def strings(dataset: h5py.Dataset) -> np.ndarray:
    """A short list of short strings."""
    _check_storage(dataset)
    if h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1 or dataset.nbytes > SMALL:
        raise ValueError(f"{dataset.name} is no short list of strings")
    found, size = [], 0
    for i in range(len(dataset)):  # one by one: all of them may refer to the same long text
        found.append(str(dataset.asstr()[i]))
        size += len(found[-1])
        if max(size, len(dataset) * len(found[-1])) > SMALL:
            raise ValueError(f"{dataset.name} has over {SMALL} characters")
    return np.array(found, dtype=str)


def attributes(item: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """The attributes of a group or dataset that are single numbers, truth values or texts; others are refused."""
    found, size = {}, 0
    for name in item.attrs:
        kind = item.attrs.get_id(name)
        single = kind.shape == () and (kind.dtype.kind in "biuf" or h5py.check_string_dtype(kind.dtype) is not None)
        if not single:
            raise ValueError(f"attribute {name} is no single number or text")
        value = item.attrs[name]
        value = value.decode() if isinstance(value, bytes) else value.item() if isinstance(value, np.generic) else value
        size += len(value) if isinstance(value, str) else 8
        if size > SMALL:
            raise ValueError(f"the attributes have over {SMALL} characters")
        found[name] = value
    return found


def text(dataset: h5py.Dataset) -> str:
    """A dataset of one string."""
    _check_storage(dataset)
    kind = h5py.check_string_dtype(dataset.dtype)
    if dataset.shape != () or kind is None or (kind.length or 0) > LONGEST:
        raise ValueError(f"{dataset.name} is no text")
    found = dataset.asstr()[()]
    if len(found) > LONGEST:
        raise ValueError(f"{dataset.name} has over {LONGEST} characters")
    return found


def _check_storage(dataset: h5py.Dataset) -> None:
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{dataset.name} is a group, not a dataset")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name} keeps its values in another file")


def npz(path: Path, largest: int = LARGEST) -> dict[str, np.ndarray]:
    """The arrays of an uncompressed ``.npz`` file; OSError as it comes if the file cannot be read."""
    if (size := path.stat().st_size) > largest:
        raise ValueError(f"has {size} bytes, over {largest}")
    data = path.read_bytes()  # from here on, what goes wrong is the file's fault
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > min(largest, SMALL + 2 * size):
                raise ValueError("claims more bytes than it has")
            return {info.filename.removesuffix(".npy"): npy(archive.read(info)) for info in archive.infolist()}
    except BAD_ZIP as error:
        raise ValueError(f"not an .npz file ({error})") from None


def npy(data: bytes) -> np.ndarray:
    """The array in the bytes of an ``.npy`` file."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
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
    """Refuses an archive that would unpack to much more than it is, as torch's never do."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
    except BAD_ZIP as error:
        raise ValueError(f"not an archive ({error})") from None
    if unpacked > SMALL + 2 * len(data):
        raise ValueError(f"{len(data)} bytes claim to unpack to {unpacked}")
