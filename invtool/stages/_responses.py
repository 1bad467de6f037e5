"""Each layer's response to every image, kept until all pairs of images can be compared.

They lie in memory, or where they are many in a file that has no name. Such a file's pages are given
back as soon as they are written or read, so that memory does not grow with images or layers.
"""

import mmap
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool import ranks
from invtool.errors import InvtoolError
from invtool.measures import PairDistances, distance, square, squares
from invtool.measures.arrays import host
from invtool.models.capture import Layer, capturing
from invtool.models.networks import Network

ROOM = 1 << 29  # bytes of responses that are kept in memory on the CPU
INPUT = "input"  # layer 0: what the network reads
STRIP = 1 << 23  # bytes of all images' responses that are compared before their pages go


class Responses(AbstractContextManager["Responses"]):
    """Responses of `layers` to `images` undeformed images, and the distance of others from them.

    network: InvtoolError names it where a layer gives NaN or infinity
    kind: of distance, `cosine` or `euclidean`
    """

    def __init__(self, network: Network, layers: Sequence[Layer], images: int, kind: str):
        self.network, self.layers, self.kind = network, layers, kind
        self.mapped: mmap.mmap | None = None
        shapes = {layer.name: (images, prod(layer.shape)) for layer in layers}
        need = 4 * sum(map(prod, shapes.values()))
        device = network.device
        self.norm = {n: torch.zeros(images, dtype=torch.float64, device=device) for n in shapes}
        if need <= _room(device):
            self.values = {n: torch.empty(shape, device=device) for n, shape in shapes.items()}
        else:
            self.values = self._in_file(shapes, need)

    def _in_file(self, shapes: dict[str, tuple[int, int]], need: int) -> dict[str, Tensor]:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if need > free:
            raise InvtoolError(
                f"{need / 2**30:.1f} GiB of responses do not fit in {folder} "
                f"({free / 2**30:.1f} GiB free); choose --layer or --limit, or set TMPDIR"
            )
        with tempfile.TemporaryFile() as file:
            file.truncate(need)
            self.mapped = mmap.mmap(file.fileno(), need)
        whole = torch.frombuffer(self.mapped, dtype=torch.float32)
        parts = whole.split([prod(shape) for shape in shapes.values()])
        return {n: part.view(shapes[n]) for n, part in zip(shapes, parts, strict=True)}

    def __exit__(self, *_: object) -> None:
        self.values = {}

    def release(self) -> None:
        """Give back the memory of a file's pages; they can be read again."""
        if self.mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)

    def keep(self, pixels: Tensor, first: int) -> None:
        """Show the network clean images, of which `first` is the number, and keep its responses."""

        def take(name: str, value: Tensor) -> None:
            part = slice(first, first + len(value))
            self.norm[name][part] = square(value)
            self.values[name][part] = value

        self._show(pixels, take)
        self.release()

    def gather(self, count: int) -> None:
        """Bring the responses of all ranks to rank 0; this one has those to `count` images."""
        for name, values in self.values.items():
            ranks.filled(values, count)
            ranks.filled(self.norm[name], count)
            self.release()

    def compare(self, pixels: Tensor, first: int) -> Tensor:
        """Distance of each layer's response to `pixels` from that to the clean ones, (image, layer)."""
        found: list[Tensor] = []

        def take(name: str, value: Tensor) -> None:
            part = slice(first, first + len(value))
            clean = self.values[name][part].to(value.device)
            found.append(torch.stack(squares(clean, value, self.norm[name][part])))

        self._show(pixels, take)
        self.release()
        sums = torch.stack(found, dim=-1)  # (square, image, layer)
        broken = ~sums.isfinite().all(dim=1).all(dim=0)
        if broken.any():
            name = self.layers[int(broken.nonzero()[0])].name
            raise InvtoolError(
                f"layer {name} of {self.network.name} gives NaN or infinity; are its weights whole?"
            )
        distances: Tensor = distance(self.kind, *sums)
        return distances

    def _show(self, pixels: Tensor, take: Callable[[str, Tensor], None]) -> None:
        show(self.network, self.layers, pixels, take)

    def pairs(self, name: str) -> NDArray[np.float64]:
        """Distances of all pairs of clean images at a layer, (image, image)."""
        values, pairs = self.values[name], PairDistances()
        for strip in values.split(max(1, STRIP // (4 * len(values))), dim=1):
            # numpy multiplies an array by its own transpose in half of the time.
            pairs.update(strip.numpy() if strip.device.type == "cpu" else strip)
            self.release()
        squared, norm = host(pairs.squared), host(self.norm[name])
        distances: NDArray[np.float64] = distance(self.kind, squared, norm[:, None], norm[None, :])
        return distances


class _Reached(Exception):
    """The last layer that is wanted has been computed."""


def show(
    network: Network, layers: Sequence[Layer], pixels: Tensor, take: Callable[[str, Tensor], None]
) -> None:
    """Call `take(name, (image, unit))` for each of the layers, and compute nothing after the last.

    Units are in channels-last order, as the network's memory is.
    """
    ready = network.prepared(pixels)
    inside = [layer for layer in layers if layer.name != INPUT]
    if len(inside) < len(layers):
        take(INPUT, _units(ready))
    if not inside:
        return

    def until(name: str, value: Tensor) -> None:
        take(name, _units(value))
        if name == inside[-1].name:
            raise _Reached

    try:
        with capturing(network.module, inside, until):
            network.module(ready)
    except _Reached:
        return


def _units(value: Tensor) -> Tensor:
    return value.permute(0, 2, 3, 1).flatten(1) if value.ndim == 4 else value


def _room(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else ROOM
