"""Whether files are whole: every byte readable, every array as its kind demands, every value in range.

Memory is constant in the size of the file, and no torch is imported.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import isinf, isnan, prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from invtool.errors import InvtoolError
from invtool.files import formats, hdf5, messages, models, streams

BLOCK = 1 << 23  # bytes
ROUNDING = 1e-6  # of a float32 that is 0 or 1 in exact arithmetic
# A float is infinite or NaN where all bits of its exponent are set: safetensors type, the unsigned
# integer of its width, those bits. Float8 E4M3 has no infinity; its NaN has all seven bits set.
EXPONENTS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("u1", 0x7C),
    "F8_E4M3": ("u1", 0x7F),
}
WIDTHS = {  # bytes
    **{name: np.dtype(kind).itemsize for name, (kind, _) in EXPONENTS.items()},
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U64": 8,
    "U32": 4,
    "U16": 2,
    "U8": 1,
    "BOOL": 1,
}


def run(files: Sequence[Path], say: Callable[[str], object]) -> bool:
    """Report each file: `say` what is whole, complain on stderr of the rest; True if all are whole."""
    whole = True
    for file in files:
        name = "standard input" if file == streams.STDIO else str(file)
        try:
            with messages.working(f"reading {name}"):
                found = check(file)
        except (InvtoolError, OSError) as error:
            whole = False
            reason = str(error).removeprefix(f"{name}: ")
            messages.say(f"{name}: {reason}")
        else:
            if not messages.quiet:
                say(f"{name}: whole ({found})")
    return whole


def check(file: Path) -> str:
    """What a whole file is, in a few words; raises InvtoolError with what is wrong with it."""
    streams.check_source(file)
    with streams.reading(file) as path:
        return _check_model(path) if models.is_model(path) else _check_hdf5(path)


def _check_hdf5(path: Path) -> str:
    with hdf5.open(path) as file:
        contract = formats.contract(file.kind)
        for name in file.names():
            for block in _blocks(file, name):
                _check_range(f"{file.label}: {name}", block, contract.get(formats.pattern(name)))
        _check_layers(file)
        _check_words(file)
        return ", ".join([file.kind, *_sizes(file)])


def _blocks(file: hdf5.Reader, name: str) -> Iterator[NDArray[Any]]:
    """All elements of the array, read in parts of about BLOCK bytes."""
    dataset = file.dataset(name)
    offset = dataset.id.get_offset()
    if dataset.chunks:
        yield from (dataset[chunk] for chunk in dataset.iter_chunks())
    elif offset is not None and dataset.dtype.kind in "biuf":
        with file.path.open("rb") as raw:
            raw.seek(offset)
            yield from _parts(raw, dataset.dtype, dataset.size)
    else:
        if dataset.size and not dataset.id.get_storage_size():
            raise InvtoolError(f"{file.label}: {name} was never written; make it again")
        yield file.array(name)


def _parts(raw: BinaryIO, dtype: np.dtype[Any], count: int) -> Iterator[NDArray[Any]]:
    at_once = BLOCK // dtype.itemsize
    for first in range(0, count, at_once):
        yield np.fromfile(raw, dtype, min(at_once, count - first))


def _check_range(where: str, block: NDArray[Any], array: formats.Array | None) -> None:
    if array is None or not block.size or array.values is formats.WORDS:
        return
    values = array.values
    low, high = float(np.fmin.reduce(block, None)), float(np.fmax.reduce(block, None))
    undefined = block.dtype.kind == "f" and not values.nan and np.isnan(block.min())
    slack = ROUNDING if block.dtype.kind == "f" else 0
    outside = [x for x in (low, high) if not values.low - slack <= x <= values.high + slack]
    infinite = [x for x in (low, high) if isinf(x)]
    if undefined or infinite or (outside and not isnan(low)):
        found = "NaN" if undefined else f"{[*infinite, *outside][0]:g}"
        raise InvtoolError(f"{where} holds {found}; {values.text} are wanted")


def _check_layers(file: hdf5.Reader) -> None:
    """All arrays of a layer have the same units."""
    for layer in file.layers():
        units = {}
        for array in formats.KINDS[file.kind]:
            name = array.path.replace("*", layer)
            if name != array.path and formats.UNITS in array.dims and name in file:
                units[file.dataset(name).shape[len(array.dims) - 1 :]] = name
        if len(units) > 1:
            found = " but ".join(f"{name} has units {shape}" for shape, name in units.items())
            raise InvtoolError(f"{file.label}: {found}")


def _check_words(file: hdf5.Reader) -> None:
    """Conditions begin with `none`, and every label has a name where names are given."""
    if "condition" in file and [*file.array("condition")][:1] != ["none"]:
        raise InvtoolError(f"{file.label}: its first condition is not 'none'")
    names = file.attribute("categories")
    if isinstance(names, list) and names and "label" in file:
        highest = int(file.array("label").max(initial=-1))
        if highest >= len(names):
            raise InvtoolError(
                f"{file.label}: label reaches {highest}, but categories names {len(names)} from 0"
            )


def _sizes(file: hdf5.Reader) -> list[str]:
    sizes: dict[str, int] = {}
    for array in formats.KINDS[file.kind]:
        if "*" not in array.path and array.path in file:
            shape = file.dataset(array.path).shape
            sizes |= dict(zip(file.axes(array.path, array), shape, strict=True))
    if layers := file.layers():
        sizes["layer"] = len(layers)
    return [f"{dim} {size}" for dim, size in sizes.items() if size]


def _check_model(path: Path) -> str:
    metadata, header = models.read_metadata(path), models.read_header(path)
    name = streams.label(path)
    tensors = {key: value for key, value in header.items() if key != "__metadata__"}
    for key, tensor in tensors.items():
        _check_tensor(f"{name}: tensor {key}", tensor)
    spans = sorted(tuple(tensor["data_offsets"]) for tensor in tensors.values())
    if any(end != begin for (_, end), (begin, _) in pairwise([(0, 0), *spans])):
        raise InvtoolError(f"{name}: its tensors overlap or leave gaps")
    start = path.stat().st_size - max((end for _, end in spans), default=0)
    with path.open("rb") as raw:
        for key, tensor in tensors.items():
            raw.seek(start + tensor["data_offsets"][0])
            _check_floats(f"{name}: tensor {key}", raw, tensor)
    _check_metadata(name, metadata)
    return f"{metadata.get('invtool_kind', 'tensors without metadata')}, {len(tensors)} tensors"


def _check_tensor(where: str, tensor: Any) -> None:
    """The tensor's type is known, and its bytes are as many as its shape wants."""
    dtype, shape, (begin, end) = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    if dtype not in WIDTHS:
        raise InvtoolError(f"{where} has type {dtype}; {', '.join(WIDTHS)} are known")
    if end - begin != prod(shape) * WIDTHS[dtype]:
        wanted = f"{dtype} of shape {shape} has {prod(shape) * WIDTHS[dtype]}"
        raise InvtoolError(f"{where} has {end - begin} bytes; {wanted}")


def _check_floats(where: str, raw: BinaryIO, tensor: Any) -> None:
    begin, end = tensor["data_offsets"]
    letters, exponent = EXPONENTS.get(tensor["dtype"], ("u1", None))
    dtype = np.dtype(letters)
    for bits in _parts(raw, dtype, (end - begin) // dtype.itemsize):
        if exponent is not None and ((bits & dtype.type(exponent)) == exponent).any():
            raise InvtoolError(f"{where} holds NaN or infinity")


def _check_metadata(name: str, metadata: dict[str, Any]) -> None:
    """A model of ours says what it is; one made elsewhere need not."""
    if metadata.get("invtool_kind") != "model":
        return
    missing = [key for key in formats.MODEL if key not in metadata]
    if missing:
        raise InvtoolError(f"{name}: a model without {', '.join(missing)} in its metadata")
    seen, count = metadata["seen"], len(metadata["categories"])
    if any(not 0 <= category < count for category in seen):
        raise InvtoolError(f"{name}: seen names categories outside 0..{count - 1}")
