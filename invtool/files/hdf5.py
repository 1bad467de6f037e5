"""HDF5 files of the kinds in `formats`, written so that netCDF-4 readers open them.

Every array has named dimensions (dimension scales), units and a long name. Large arrays are
contiguous, written in place as they are computed and read through a memory map.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from invtool.errors import InvtoolError
from invtool.files import formats, streams
from invtool.files.provenance import Steps, history, is_chain

ORDER = "invtool_order"  # of the layers, input to output
PURE = "This is a netCDF dimension but not a netCDF variable."
OWN = ("magnitude", formats.SECOND, "sample")  # dimensions of each transform
MAX_RATIO = 2000  # bytes of an array to bytes of its file; gzip reaches about 1,000


class Sink:
    """The bytes under an HDF5 file that is being written.

    HDF5 cannot close a file that it cannot write, and then crashes as the program ends. So where
    the disk is full the first error is kept for `check`, and what comes after it goes nowhere. The
    same goes for a signal that comes while HDF5 calls: it would lose the exception.
    """

    def __init__(self, path: Path):
        self.raw = path.open("w+b", buffering=0)
        self.error: BaseException | None = None

    def __enter__(self) -> "Sink":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.raw.close()
        if kind is None:
            self.check()

    def check(self) -> None:
        if self.error:
            raise self.error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.raw.seek(offset, whence)

    def tell(self) -> int:
        return self.raw.tell()

    def read(self, size: int = -1) -> bytes:
        """How h5py knows a file object; HDF5 itself reads into a buffer."""
        return self.raw.read(size) or b""

    def readinto(self, buffer: memoryview) -> int:
        done = self.raw.readinto(buffer) or 0
        buffer[done:] = bytes(len(buffer) - done)
        return len(buffer)

    def write(self, data: memoryview) -> int:
        rest = memoryview(data)
        try:
            while rest and not self.error:
                rest = rest[self.raw.write(rest) :]
        except BaseException as error:
            self.error = error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            return size if self.error else self.raw.truncate(size)
        except BaseException as error:
            self.error = error
            return size

    def flush(self) -> None:
        """Nothing is buffered here."""


class Slab:
    """A contiguous array in an unfinished file, filled part by part."""

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]):
        self.path, self.offset, self.shape, self.dtype = path, offset, shape, dtype
        self._row = int(np.prod(shape[2:], dtype=np.int64)) * dtype.itemsize

    def write(self, start: tuple[int, int], values: NDArray[Any]) -> None:
        """Put `values`, (image, unit...), at (condition, first image) `start`."""
        condition, image = start
        data = np.ascontiguousarray(values, dtype=self.dtype)
        at = self.offset + (condition * self.shape[1] + image) * self._row
        # Past HDF5's own layer: no second copy, and other threads go on meanwhile.
        with self.path.open("r+b", buffering=0) as file:
            view = data.reshape(-1).view(np.uint8).data
            while view:
                done = os.pwrite(file.fileno(), view, at)
                view, at = view[done:], at + done


class Writer:
    """An unfinished file; see `create`."""

    def __init__(self, file: h5py.File, path: Path, sink: "Sink"):
        self.file, self.path, self.sink = file, path, sink
        self._dimensions = 0
        self._layers: list[str] = []

    def attribute(self, name: str, value: Any) -> None:
        """A root attribute; lists and dicts are stored as JSON text."""
        self.file.attrs[name] = json.dumps(value) if isinstance(value, list | dict) else value

    def dimension(self, name: str, size: int, group: str = "/") -> h5py.Dataset:
        scale = self.file.require_group(group).create_dataset(name, shape=(size,), dtype=">f4")
        scale.make_scale(f"{PURE}{size:10d}")
        return self._number(scale)

    def array(
        self,
        name: str,
        values: Any,
        dims: Sequence[str],
        *,
        units: str = "1",
        long_name: str = "",
    ) -> None:
        """Write an array whole; one named like its first dimension becomes that dimension's scale."""
        data = np.asarray(values)
        if data.dtype.kind in "UO":
            data = data.astype(object)
        kind = h5py.string_dtype() if data.dtype.kind == "O" else data.dtype
        self._describe(
            self.file.create_dataset(name, data=data, dtype=kind), dims, units, long_name
        )
        self.sink.check()

    def reserve(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        dims: Sequence[str],
        *,
        units: str = "1",
        long_name: str = "",
    ) -> Slab:
        """Room for a (condition, image, unit...) array that `Slab.write` fills."""
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_layout(h5py.h5d.CONTIGUOUS)
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        create.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        create.set_obj_track_times(False)  # else the same content differs by its time of writing
        parent, _, leaf = name.rpartition("/")
        group = self.file.require_group(parent or "/")
        made = h5py.h5d.create(
            group.id,
            leaf.encode(),
            h5py.h5t.py_create(np.dtype(dtype)),
            h5py.h5s.create_simple(shape),
            create,
        )
        self._describe(h5py.Dataset(made), dims, units, long_name)
        self.file.flush()
        return Slab(self.path, made.get_offset() or 0, shape, np.dtype(dtype))

    def finish(self) -> None:
        if self._layers:
            self.attribute(ORDER, self._layers)

    def _describe(
        self, dataset: h5py.Dataset, dims: Sequence[str], units: str, long_name: str
    ) -> None:
        dataset.attrs["units"] = units
        if long_name:
            dataset.attrs["long_name"] = long_name
        parts = str(dataset.name).strip("/").split("/")
        if parts[0] == "layers" and len(parts) == 3 and parts[1] not in self._layers:
            self._layers.append(parts[1])
        own = parts[-1] in dims[:1]
        if own:
            dataset.make_scale(parts[-1])
            self._number(dataset)
        scales = [
            dataset if own and axis == 0 else self._scale(dataset.parent, name, dataset.shape[axis])
            for axis, name in enumerate(dims)
        ]
        if own and len(dims) > 1:  # a coordinate of several axes, as netCDF-4 writes it
            numbers = [scale.attrs["_Netcdf4Dimid"] for scale in scales]
            dataset.attrs["_Netcdf4Coordinates"] = np.array(numbers, "i4")
        for axis, scale in enumerate(scales):
            if not own:
                dataset.dims[axis].attach_scale(scale)
            dataset.dims[axis].label = dims[axis]

    def _scale(self, group: h5py.Group, name: str, size: int) -> h5py.Dataset:
        """The nearest dimension of that name and size, else a new one beside the array."""
        at = group
        while True:
            found = at.get(name)
            if isinstance(found, h5py.Dataset) and found.is_scale and len(found) == size:
                return found
            if at.name == "/":
                return self.dimension(name, size, str(group.name))
            at = at.parent

    def _number(self, scale: h5py.Dataset) -> h5py.Dataset:
        scale.attrs["_Netcdf4Dimid"] = np.int32(self._dimensions)
        self._dimensions += 1
        return scale


@contextmanager
def create(path: Path, kind: str, steps: Steps) -> Iterator[Writer]:
    """A new file of that kind with its provenance, closed whole when the block succeeds.

    Raises OSError for a full disk.
    """
    with Sink(path) as sink, h5py.File(sink, "w", libver=("v110", "v110")) as file:
        file.attrs["invtool_kind"] = kind
        file.attrs["invtool_format"] = formats.FORMAT
        if steps:
            file.attrs["history"] = history(steps)
            file.attrs["provenance"] = json.dumps(steps)
        writer = Writer(file, path, sink)
        yield writer
        writer.finish()


class Reader:
    """An open, checked file; see `open`."""

    def __init__(self, file: h5py.File, path: Path, label: str):
        self.file, self.path, self.label = file, path, label
        self.kind = str(file.attrs.get("invtool_kind", ""))

    def __contains__(self, name: str) -> bool:
        """Whether there is such an array; a dimension that is nothing else is none."""
        found = self.file.get(name)
        return isinstance(found, h5py.Dataset) and not is_dimension(found)

    @property
    def steps(self) -> Steps:
        try:
            steps = json.loads(self.file.attrs.get("provenance", "[]"))
        except (TypeError, ValueError, RecursionError):
            steps = None
        if not is_chain(steps):
            raise InvtoolError(f"{self.label}: its provenance is no list of steps")
        return cast(Steps, steps)

    def attribute(self, name: str, default: Any = None) -> Any:
        value = self.file.attrs.get(name, default)
        if isinstance(value, bytes):
            value = value.decode()
        if isinstance(value, str) and value[:1] in ("[", "{"):
            return json.loads(value)
        return value.item() if isinstance(value, np.generic) else value

    def dataset(self, name: str) -> h5py.Dataset:
        found = self.file.get(name)
        if not isinstance(found, h5py.Dataset):
            raise InvtoolError(f"{self.label} has no array {name!r}; it holds {_listed(self)}")
        return found

    def array(self, name: str) -> NDArray[Any]:
        """The whole array, in memory; text as Python strings."""
        dataset = self.dataset(name)
        if h5py.check_string_dtype(dataset.dtype):
            return np.asarray(dataset.asstr()[()])
        return np.asarray(dataset[()])

    def view(self, name: str) -> Any:
        """The array without reading it: a memory map where contiguous, else the h5py data set."""
        dataset = self.dataset(name)
        offset = dataset.id.get_offset()
        if offset is None or dataset.chunks or not dataset.dtype.isnative:
            return dataset
        return np.memmap(self.path, dataset.dtype, "r", offset, dataset.shape)

    def names(self) -> list[str]:
        """Every array's name; dimensions that are nothing else are left out."""
        found: list[str] = []

        def add(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and not is_dimension(item):
                found.append(name)

        self.file.visititems(add)
        return found

    def dims(self, name: str) -> tuple[str, ...]:
        return tuple(dim.label or "" for dim in self.dataset(name).dims)

    def axes(self, name: str, array: formats.Array) -> tuple[str, ...]:
        """The dimensions that the array must have here, those of a unit left out."""
        beside = f"{name.rpartition('/')[0]}/{formats.SECOND}"
        dims = tuple(
            dim
            for dim in array.dims
            if dim != formats.UNITS and (dim != formats.SECOND or beside in self)
        )
        several = array.networks and self.dataset(name).ndim == len(dims) + 1
        return ("network", *dims) if several else dims

    def transforms(self) -> list[str]:
        """Names of the transforms that have groups of their own."""
        group = self.file.get("transforms")
        order = self.array("transform").tolist() if "transform" in self else []
        present = list(group) if isinstance(group, h5py.Group) else []
        return sorted(present, key=lambda name: order.index(name) if name in order else len(order))

    def layers(self) -> list[str]:
        """Names of the layers, input to output."""
        group = self.file.get("layers")
        present = list(group) if isinstance(group, h5py.Group) else []
        order = self.attribute(ORDER, [])
        return sorted(present, key=lambda name: order.index(name) if name in order else len(order))


@contextmanager
def open(path: Path, kinds: Sequence[str] = (), label: str = "") -> Iterator[Reader]:
    """Open a file and check that it is whole, of one of `kinds`, and shaped as its kind demands.

    `label` names the file in messages, where it is not its path (a pipe).
    """
    name = label or streams.label(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InvtoolError(f"{name}: {_why(path, error)}") from None
    with file:
        reader = Reader(file, path, name)
        check(reader, kinds)
        try:
            yield reader
        except (OSError, RuntimeError) as error:
            if type(error) is RuntimeError or "read data" in str(error):
                raise InvtoolError(f"{name}: damaged ({error})") from None
            raise


def _why(path: Path, error: OSError) -> str:
    if error.errno:  # the system refused
        return os.strerror(error.errno)
    with path.open("rb") as raw:
        head = raw.read(9)
    if not head:
        return "empty; an HDF5 file is wanted"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "truncated or damaged HDF5; make it again"
    if head[8:] == b"{":
        return "a safetensors model; an HDF5 file of another command is wanted"
    return "neither HDF5 nor safetensors"


def check(reader: Reader, kinds: Sequence[str] = ()) -> None:
    """Raise InvtoolError unless the file is one of `kinds` and every array is as it must be."""
    label, kind = reader.label, reader.kind
    version = reader.attribute("invtool_format", formats.FORMAT)
    if not kind and "image" in reader and (not kinds or "images" in kinds):
        kind = reader.kind = "images"  # made elsewhere
    if kind not in formats.KINDS or (kinds and kind not in kinds):
        wanted = " or ".join(kinds or formats.KINDS)
        raise InvtoolError(f"{label} holds {kind or 'no invtool data'}; {wanted} is wanted")
    if version != formats.FORMAT:
        raise InvtoolError(
            f"{label}: {kind} in format {version}; this invtool reads format {formats.FORMAT}"
        )
    _refuse_foreign(reader)
    sizes: dict[str, tuple[int, str]] = {}
    for array in formats.KINDS[kind]:
        names = _matching(reader, array)
        if not names and array.required:
            raise InvtoolError(
                f"{label}: {kind} without {array.path!r}; it holds {_listed(reader)}"
            )
        for name in names:
            _check_shape(reader, name, array, sizes)


def _matching(reader: Reader, array: formats.Array) -> list[str]:
    before, star, after = array.path.partition("*")
    names = [f"{before}{layer}{after}" for layer in reader.layers()] if star else [array.path]
    transforms = reader.transforms() if array.transforms else []
    if transforms:
        names = [f"transforms/{transform}/{array.path}" for transform in transforms]
    missing = [name for name in names if name not in reader]
    if (star or transforms) and missing and array.required:
        raise InvtoolError(f"{reader.label}: {reader.kind} without {missing[0]!r}")
    return [name for name in names if name in reader]


def _check_shape(
    reader: Reader, name: str, array: formats.Array, sizes: dict[str, tuple[int, str]]
) -> None:
    shape = reader.dataset(name).shape
    fixed = reader.axes(name, array)
    open_ended = formats.UNITS in array.dims
    axes = formats.UNIT_AXES if open_ended else (0,)
    if shape is None or len(shape) - len(fixed) not in axes:
        wanted = ", ".join([*fixed, formats.UNITS] if open_ended else fixed)
        raise InvtoolError(f"{reader.label}: {name} is {_times(shape)}; ({wanted}) is wanted")
    dtype, values = reader.dataset(name).dtype, array.values
    if dtype.kind not in values.dtypes:
        found = "text" if dtype.kind == "O" else str(dtype)
        raise InvtoolError(f"{reader.label}: {name} holds {found}; {values.text} is wanted")
    for dim, size in zip(fixed, shape, strict=False):
        # Each layer has as many channels as it likes, each transform as many magnitudes.
        own = (dim == "channel" and "*" in array.path) or dim in OWN
        key = f"{name.rpartition('/')[0]}/{dim}" if own else dim
        known, where = sizes.setdefault(key, (size, name))
        if known != size:
            raise InvtoolError(
                f"{reader.label}: {name} has {size} along {dim}, but {where} has {known}"
            )


def _refuse_foreign(reader: Reader) -> None:
    """Refuse links that leave the file, and arrays larger than the file can hold."""
    limit = MAX_RATIO * reader.path.stat().st_size + (1 << 20)

    def walk(group: h5py.Group) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            where = f"{reader.label}: {group.name.rstrip('/')}/{name}"
            if not isinstance(link, h5py.HardLink):
                raise InvtoolError(f"{where} is a link; arrays must lie in the file itself")
            item = group[name]
            if isinstance(item, h5py.Group):
                walk(item)
            elif isinstance(item, h5py.Dataset):
                if item.is_virtual or item.external:
                    raise InvtoolError(f"{where} is stored in other files; copy it into this one")
                if item.shape and item.nbytes > limit and not is_dimension(item):
                    raise InvtoolError(
                        f"{where} claims {_times(item.shape)} values, more than the file can hold"
                    )

    walk(reader.file)


def is_dimension(item: h5py.Dataset) -> bool:
    """Whether it is a dimension and nothing else: it has a size, and no bytes."""
    return item.is_scale and bool(h5py.h5ds.get_scale_name(item.id).startswith(PURE.encode()))


def _times(shape: Sequence[int] | None) -> str:
    return " x ".join(map(str, shape or ())) or "a single value"


def _listed(reader: Reader) -> str:
    names = reader.names()
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return shown or "nothing"
