"""Each layer's response to images, kept until all pairs of them can be compared.

What is kept of a layer is how each response differs from that to the first image: of pairs, only
differences count, and so few digits are lost. Of a layer with many units they are kept in 16 bits;
the errors of so many, under 0.05 % each, cancel in a distance. They lie in memory, or where they are
many in a file that has no name, so that memory does not grow with images or layers.
"""

import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import islice
from math import prod
from typing import BinaryIO

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
from invtool.stages._strips import Strips

ROOM = 1 << 29  # bytes of responses that are kept in memory on the CPU
INPUT = "input"  # layer 0: what the network reads
STRIP = 1 << 25  # bytes of all images' responses that are compared at once on the CPU
MANY = 4096  # units of a layer, from which on they are kept in 16 bits
Own = tuple[Tensor, Tensor]  # responses to clean images, (image, unit), and their squares, (image,)


class Responses(AbstractContextManager["Responses"]):
    """Responses of `layers` to undeformed images, and the distance of others from them.

    paired: of each image of all ranks, whether it is one of those whose pairs are wanted, (image,)
    network: InvtoolError names it where a layer gives NaN or infinity
    kind: of distance, `cosine` or `euclidean`
    others: how many images are compared with each
    size: images that may pass the network at once
    """

    def __init__(
        self,
        network: Network,
        layers: Sequence[Layer],
        paired: NDArray[np.bool_],
        *,
        kind: str,
        others: int,
        size: int,
    ):
        self.network, self.layers, self.kind = network, layers, kind
        self.others, self.size = others, size
        device = network.device
        units = {layer.name: prod(layer.shape) for layer in layers}
        self.paired = paired[ranks.share(len(paired))]
        pairing = int((self.paired if ranks.rank else paired).sum())  # rank 0 gathers them
        self.norm = {n: torch.zeros(pairing, dtype=torch.float64, device=device) for n in units}
        # Powers of two near the size of a response, so that 16 bits hold what is kept in them.
        self.scale: dict[str, float] = {}
        self.first: dict[str, Tensor] = {}  # less the response to the first of them, (unit,)
        self.files = ExitStack()
        self.kept = _room_for(units, pairing, device, self.files)

    @property
    def together(self) -> int:
        """How many images to show at once, so that they and their others fit."""
        return max(1, self.size // (1 + self.others))

    def __exit__(self, *_: object) -> None:
        self.kept = {}
        self.files.close()

    def compare(self, clean: Tensor, others: Iterable[Tensor], first: int) -> Tensor:
        """Keep the responses to clean images, the first of which is image `first`, and compare others.

        Each of the others is as many images; returns the distance of each layer's response to them
        from that to the clean ones, (other, image, layer). They pass the network together.
        """
        part = slice(first, first + len(clean))
        waiting, at_once = iter(others), max(1, self.size // len(clean))
        own: dict[str, Own] = {}
        shown = [clean, *islice(waiting, at_once - 1)]
        found = [self._pass(part, shown, own, hold=self.others >= at_once)]
        while shown := list(islice(waiting, at_once)):
            found.append(self._pass(part, shown, own))
        sums = torch.cat(found, dim=1)  # (square, other, image, layer)
        broken = ~sums.isfinite().flatten(0, 2).all(dim=0)
        if broken.any():
            name = self.layers[int(broken.nonzero()[0])].name
            raise InvtoolError(
                f"layer {name} of {self.network.name} gives NaN or infinity; are its weights whole?"
            )
        distances: Tensor = distance(self.kind, *sums)
        return distances

    def _pass(
        self, part: slice, shown: Sequence[Tensor], own: dict[str, Own], *, hold: bool = False
    ) -> Tensor:
        """Squares of one pass, (square, other, image, layer); the clean images lead in the first.

        hold: whether the first is to leave in `own` what later passes want
        """
        found: list[Tensor] = []

        def take(name: str, value: Tensor) -> None:
            clean, *moved = value.split(part.stop - part.start)
            if name in own:
                (clean, norm), moved = own[name], [clean, *moved]
            else:
                norm = square(clean)
                self._keep(name, part, clean, norm)
            each = [torch.stack(squares(clean, other, norm)) for other in moved]
            found.append(torch.stack(each, dim=1) if each else norm.new_empty(3, 0, len(norm)))
            if hold:
                own[name] = clean.clone(), norm

        show(self.network, self.layers, torch.cat(list(shown)), take)
        return torch.stack(found, dim=-1)

    def _keep(self, name: str, part: slice, clean: Tensor, norm: Tensor) -> None:
        """Keep the responses to those of the images `part` that are paired."""
        chosen = np.flatnonzero(self.paired[part])
        if not len(chosen):
            return
        before = np.count_nonzero(self.paired[: part.start])
        rows = slice(before, before + len(chosen))
        if len(chosen) < len(clean):
            clean, norm = clean[chosen], norm[chosen]
        self.norm[name][rows] = norm
        if name not in self.scale:
            first = clean[0].float()
            size = float(first.square().mean().sqrt())
            scale = 2.0 ** round(math.log2(size)) if 0 < size < math.inf else 1.0
            self.scale[name], self.first[name] = scale, first / -scale
        scale, first, kept = self.scale[name], self.first[name], self.kept[name]
        for units in kept:
            kept.put(units, rows, torch.add(first[units], clean[:, units], alpha=1 / scale))

    def gather(self) -> None:
        """Bring the responses of all ranks to rank 0."""
        if ranks.size == 1:
            return
        count = int(self.paired.sum())
        counts = ranks.everyones(count)
        for name, kept in self.kept.items():
            ranks.filled(self.norm[name], count)
            own = (self.first[name].cpu(), self.scale[name]) if count else None
            origins = ranks.everyones(own)
            origin = next(each for each in origins if each is not None)
            for units in kept:
                values = kept.get(units)
                ranks.filled(values, count)
                if not ranks.rank:
                    _seen_alike(values, units, counts, origins, origin)
                    kept.put(units, slice(0, kept.images), values)
            self.scale[name] = origin[1]

    def pairs(self, name: str) -> NDArray[np.float64]:
        """Distances of all pairs of the paired images at a layer, (image, image)."""
        kept, pairs = self.kept[name], PairDistances()
        for units in kept:
            pairs.update(kept.get(units))
        squared, norm = host(pairs.squared) * self.scale[name] ** 2, host(self.norm[name])
        distances: NDArray[np.float64] = distance(self.kind, squared, norm[:, None], norm[None, :])
        return distances


def _room_for(
    units: dict[str, int], images: int, device: torch.device, files: ExitStack
) -> dict[str, Strips]:
    """Strips for layers of so many units, which lie in a file where they are large; it is one of `files`."""
    bits = {n: torch.float16 if count >= MANY else torch.float32 for n, count in units.items()}
    need = sum(images * count * bits[n].itemsize for n, count in units.items())
    file = None if need <= _room(device) else files.enter_context(_file(need))
    strip = STRIP if device.type == "cpu" else 32 * STRIP
    width = max(1, strip // (4 * max(1, ranks.agreed(images))))
    kept: dict[str, Strips] = {}
    start = 0
    for n, count in units.items():
        values = images * count
        place = file or torch.empty(values, dtype=bits[n], device=device)
        kept[n] = Strips(images, count, width, bits[n], place, start)
        start += values * bits[n].itemsize
    return kept


def _file(need: int) -> BinaryIO:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if need > free:
        raise InvtoolError(
            f"{need / 2**30:.1f} GiB of responses do not fit in {folder} "
            f"({free / 2**30:.1f} GiB free); choose --layer, --limit or --paired, or set TMPDIR"
        )
    return tempfile.TemporaryFile()


Origin = tuple[Tensor, float]  # minus the response to an image over a scale, and that scale


def _seen_alike(
    values: Tensor,
    units: slice,
    counts: Sequence[int],
    origins: Sequence[Origin | None],
    origin: Origin,
) -> None:
    """Let all differences be from the same image, where each rank's were from its own first."""
    first, scale = origin
    for rows, each in zip(values.split(list(counts)), origins, strict=True):
        if each is not None and each is not origin:
            same = rows.float() - each[0][units].to(rows.device)
            rows.copy_(same * (each[1] / scale) + first[units].to(rows.device))


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
