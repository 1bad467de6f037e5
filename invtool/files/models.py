"""Model files: safetensors whose `__metadata__` says what the network is and how it was made.

Each metadata value is JSON text. Reading the metadata needs no torch.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invtool.errors import InvtoolError
from invtool.files import formats, streams
from invtool.files.provenance import Steps, history, is_chain

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

PLAIN = ("history", "format")  # stored as they are, not as JSON
SUFFIXES = (".st", ".safetensors")
MAX_HEADER = 100_000_000  # bytes, the limit of the safetensors format
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # as numpy reads them


def is_model(path: Path) -> bool:
    """Whether the file looks like safetensors: JSON after the eight bytes of its length."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def read_metadata(path: Path) -> dict[str, Any]:
    """The decoded `__metadata__`; empty for a safetensors file made elsewhere.

    Raises InvtoolError for a file that is empty, truncated, or no safetensors.
    """
    metadata = {}
    for key, value in read_header(path).get("__metadata__", {}).items():
        try:
            metadata[key] = value if key in PLAIN else json.loads(value)
        except (TypeError, ValueError, RecursionError):
            metadata[key] = value
    version = metadata.get("invtool_format", formats.FORMAT)
    if version != formats.FORMAT:
        raise InvtoolError(
            f"{streams.label(path)}: model in format {version};"
            f" this invtool reads format {formats.FORMAT}"
        )
    return metadata


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header: a dict for each tensor with dtype, shape and data_offsets."""
    size, name = path.stat().st_size, streams.label(path)
    with path.open("rb") as file:
        start = file.read(8)
        if not start:
            raise InvtoolError(f"{name}: empty; a safetensors model is wanted")
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else MAX_HEADER + 1
        if start[:4] == b"\x89HDF":
            raise InvtoolError(f"{name}: an HDF5 file; a safetensors model is wanted")
        if length > MAX_HEADER:
            raise InvtoolError(f"{name}: not safetensors; a model written by train is wanted")
        text = file.read(length)
    try:
        header: dict[str, Any] = json.loads(text)
        dict(header.get("__metadata__", {}))
        ends = [_end(tensor) for key, tensor in header.items() if key != "__metadata__"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise InvtoolError(f"{name}: truncated or not safetensors; make it again") from None
    if size != 8 + length + max(ends, default=0):
        raise InvtoolError(f"{name}: truncated safetensors; make it again")
    return header


def _end(tensor: dict[str, Any]) -> int:
    """Where the tensor's bytes end; raises ValueError or the like where its entry is malformed."""
    begin, end = tensor["data_offsets"]
    if not isinstance(tensor["dtype"], str) or min(begin, end - begin, *tensor["shape"]) < 0:
        raise ValueError
    return int(end)


def steps_of(metadata: Mapping[str, Any]) -> Steps:
    steps = metadata.get("provenance", [])
    return steps if is_chain(steps) else []


def read_floats(path: Path, axes: int) -> Iterator[tuple[str, "NDArray[Any]"]]:
    """Name and values of every floating-point tensor of so many axes, without torch.

    The values are read from the file as they are used; bfloat16 becomes float32.
    """
    import numpy as np

    header = read_header(path)
    header.pop("__metadata__", None)
    ends = [int(tensor["data_offsets"][1]) for tensor in header.values()]
    start = path.stat().st_size - max(ends, default=0)
    for name, tensor in header.items():
        shape, dtype = tensor["shape"], FLOATS.get(tensor["dtype"])
        if dtype is None or len(shape) != axes or not prod(shape):
            continue
        begin, end = tensor["data_offsets"]
        if end - begin != prod(shape) * np.dtype(dtype).itemsize:
            raise InvtoolError(f"{streams.label(path)}: tensor {name} is damaged; make it again")
        values = np.memmap(path, dtype, "r", start + begin, tuple(shape))
        if tensor["dtype"] == "BF16":
            yield name, (values.astype(np.uint32) << 16).view(np.float32)
        else:
            yield name, np.asarray(values)


def load_tensors(path: Path) -> dict[str, "Tensor"]:
    """Every tensor of the file, on the CPU."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise InvtoolError(
            f"{streams.label(path)}: not a whole safetensors file ({error})"
        ) from None


def save(
    path: Path,
    tensors: Mapping[str, "Tensor"],
    metadata: Mapping[str, Any],
    steps: Steps,
    *,
    kind: str = "model",
) -> None:
    """Write tensors and metadata; the same ones give the same bytes."""
    from safetensors.torch import save as serialize

    told = {**metadata, "invtool_kind": kind, "invtool_format": formats.FORMAT}
    texts = {key: json.dumps(value) for key, value in told.items()}
    if steps:
        texts |= {"provenance": json.dumps(steps), "history": history(steps)}
    blob = serialize({name: tensor.contiguous() for name, tensor in tensors.items()})
    length = struct.unpack("<Q", blob[:8])[0]
    header = json.loads(blob[8 : 8 + length])
    # The library keeps metadata in a hash map and so writes it in a different order every time.
    header = {"__metadata__": {"format": "pt", **dict(sorted(texts.items()))}, **header}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.write(memoryview(blob)[8 + length :])
