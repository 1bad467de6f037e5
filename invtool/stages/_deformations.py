"""Images, each deformed by its own draws, for as many networks as are shown them.

What a draw does to an image depends on the seed and the image's number in its data set alone. The
first draw is that of `invtool transform -t deform` with the same seed.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from invtool.config import Deform
from invtool.errors import InvtoolError
from invtool.stages._subject import Subject
from invtool.transforms.deformation import draw_displacement, field, usual, warp
from invtool.transforms.noise import white_noise

KEPT = 1 << 30  # bytes of images, clean and deformed, that are kept for the next network
MIX = 0x9E3779B97F4A7C15  # spreads (seed, draw) over 63 bits


@dataclass(frozen=True, eq=False)
class Deformations:
    """The images of `subject`, and how each of them is deformed.

    grid, pixels: control points a side, and the bound of their displacement
    """

    subject: Subject
    config: Deform
    keep: bool  # for another network, if there is room

    @cached_property
    def grid(self) -> int:
        return self.config.grid or usual(*self.size)[0]

    @cached_property
    def pixels(self) -> float:
        return self.config.pixels or usual(*self.size)[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width at which images are deformed: those that the network takes."""
        _, height, width = self.subject.network.input
        return height, width

    @cached_property
    def number(self) -> Tensor:
        """(image,) in the data set, on the device."""
        return torch.from_numpy(self.subject.index).to(self.subject.device)

    @cached_property
    def displacement(self) -> Tensor:
        """Of every draw, (draw, image, point, axis)."""
        return torch.stack([self.drawn(draw) for draw in range(self.config.draws)])

    def drawn(self, draw: int) -> Tensor:
        """Displacements of one draw, (image, point, axis); any number may be drawn."""
        seed = _seed(self.config.seed, draw)
        return draw_displacement(self.grid, self.pixels, seed=seed, index=self.number)

    @cached_property
    def kept(self) -> tuple[Tensor, Tensor] | None:
        """Clean (image, ...) and deformed (draw, image, ...), if several networks see them."""
        count = len(self.number)
        values = count * (1 + self.config.draws) * torch.Size(self.subject.network.input).numel()
        if not self.keep or 4 * values > KEPT:
            return None
        clean = self._read(slice(0, count))
        deformed = [self.warped(clean, self.displacement[d]) for d in range(self.config.draws)]
        return clean, torch.stack(deformed)

    def clean(self, part: slice) -> Tensor:
        """Pixels (image, channel, height, width) as the network takes them, float, on the device."""
        return self._read(part) if self.kept is None else self.kept[0][part]

    def deformed(self, draw: int, part: slice, clean: Tensor) -> Tensor:
        """The images `part`, of which `clean` are the pixels, under a draw."""
        if self.kept is not None:
            return self.kept[1][draw, part]
        return self.warped(clean, self.displacement[draw, part])

    def warped(self, clean: Tensor, displacement: Tensor) -> Tensor:
        """Images under any displacement of their control points; differentiable in it."""
        return warp(clean, field(displacement, *self.size), self.config.border)

    def noised(self, draw: int, part: slice, clean: Tensor, deformed: Tensor) -> Tensor:
        """The images with white noise of the norm of what the draw changes."""
        noise = white_noise(
            torch.zeros_like(clean),
            sigma=1,
            seed=_seed(self.config.seed, draw),
            index=self.number[part],
        )
        wanted = torch.linalg.vector_norm(deformed - clean, dim=(1, 2, 3), keepdim=True)
        found = torch.linalg.vector_norm(noise, dim=(1, 2, 3), keepdim=True)
        noised: Tensor = clean + noise * (wanted / found)
        return noised

    def _read(self, part: slice) -> Tensor:
        pixels = torch.from_numpy(self.subject.images.image[self.subject.index[part]])
        self.subject.images.release()
        return self.subject.network.resized(pixels)


def _seed(seed: int, draw: int) -> int:
    return (seed + draw * MIX) % 2**63


def check_same_size(first: Subject, other: Subject) -> None:
    """Refuse networks that cannot share deformed images."""
    if first.network.input != other.network.input:
        one, two = ("x".join(map(str, each.network.input)) for each in (first, other))
        raise InvtoolError(
            f"{first.network.name} takes images of {one}, {other.network.name} of {two};"
            " networks that share deformed images want the same, as with --size"
        )
