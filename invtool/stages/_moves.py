"""What a network is shown as an image moves: windows of a plane, of a photograph, or frames of a clip.

embed   the object, shrunk, lies in the middle of the frame and moves by one pixel a step; the plane
        around it is filled once, so that the whole scene moves
scale   the object stays in the middle and grows by one pixel a step
crop    a window moves over the photograph, as far as it and the object's box allow
frames  the frames of a clip, one after the other

The pixels of an image do not depend on which others are made with it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool.config import Moved
from invtool.data.boxes import Box
from invtool.data.photographs import Photographs
from invtool.errors import InvtoolError, UsageError
from invtool.models.networks import Network
from invtool.transforms.embedding import plane_around, shrunk, window

GROUP = 16  # images that are filled at once
USUAL_RANGE = 12  # pixels to each side: of figures 4 and 11 to 13 of the paper
USUAL_OBJECT = 100 / 224  # of the frame: of figure 6
DIRECTIONS = {"vertical": (1, 0), "horizontal": (0, 1), "diagonal": (1, 1)}
RATIOS = (3 / 4, 4 / 3)  # of width to height, of a random crop
TRIES = 10  # at a random crop that fits


@dataclass(frozen=True)
class Moves:
    """One protocol with every number settled.

    position: (position,) pixels from the middle, or pixels of size
    text: the protocol in words, which stands beside every number
    """

    protocol: str
    position: NDArray[np.int64]
    text: str
    frames: Callable[[Sequence[int]], Iterator[tuple[Tensor, NDArray[np.bool_]]]]


def square_side(network: Network) -> int:
    """Pixels of height and width that the network takes; InvtoolError where they differ."""
    _, height, width = network.input
    if height != width:
        raise InvtoolError(f"{network.name} takes {height}x{width} pixels; a square is wanted")
    return height


def usual_object(side: int) -> int:
    """The usual size of the object in a frame of `side` pixels."""
    return round(USUAL_OBJECT * side)


def common_range(sizes: Sequence[int], side: int) -> tuple[int, int]:
    """The usual range as far as objects of all these sizes can move it."""
    room = max(0, side - max(sizes))
    return max(-(room // 2), -USUAL_RANGE), min(room - room // 2, USUAL_RANGE)


def moves(
    config: Moved,
    size: int,
    photographs: Photographs,
    side: int,
    *,
    color: Tensor | None,
    boxes: Mapping[str, Box],
    device: torch.device,
) -> Moves:
    """The frames that `config` asks for, of an object of `size` pixels in a frame of `side`.

    `color` (channel,) is what the network takes for 0, or None; `boxes` are by name of photograph without its suffix.
    Raises UsageError or InvtoolError for what does not fit.
    """
    if config.aspect == "auto":
        config = replace(config, aspect="whole" if config.protocol == "crop" else "square")
    if config.protocol == "crop":
        return _cropped(config, size, photographs, side, boxes, device)
    if size > side:
        raise UsageError(f"--object {size}: the network's input has {side} pixels")
    make = _Objects(config, photographs, color, device)
    if config.protocol == "scale":
        return _scaled(config, size, side, make)
    return _embedded(config, size, side, make)


class _Objects:
    """Objects cut from photographs and shrunk."""

    def __init__(
        self, config: Moved, photographs: Photographs, color: Tensor | None, device: torch.device
    ):
        self.config, self.photographs, self.color = config, photographs, color
        self.device = device

    def cut(self, number: int) -> Tensor:
        """One photograph's object at full size, (1, channel, height, width)."""
        pixels = np.array(self.photographs.read(number))
        top, left, height, width = _part(self.config, pixels.shape[1], pixels.shape[2], number)
        part = pixels[:, top : top + height, left : left + width]
        return torch.from_numpy(part)[None].to(self.device).float()

    def sized(self, cut: Tensor, number: int, size: int) -> Tensor:
        """It brought to `size` pixels a side."""
        if min(cut.shape[2:]) < size:
            raise InvtoolError(
                f"{self.photographs.name[number]} of {self.photographs.spec} has"
                f" {min(cut.shape[2:])} pixels a side, fewer than the object's {size};"
                " lower --object"
            )
        return shrunk(cut, size, size)

    def plane(self, objects: Tensor, margin: int) -> Tensor:
        """Objects in the middle of planes; where images are standardized, the mean of each becomes 0."""
        fill = self.config.fill
        if fill == "zero":
            fill = "mean" if self.color is None else "color"
        return plane_around(objects, margin, fill, self.color)


def _embedded(config: Moved, size: int, side: int, make: _Objects) -> Moves:
    room = side - size
    middle = room // 2
    offset = _offsets(config, -middle, room - middle)
    down, right = DIRECTIONS[config.direction]
    places = [(middle + down * o, middle + right * o) for o in offset]
    margin = max(max(place, room - place) for pair in places for place in pair)

    def frames(group: Sequence[int]) -> Iterator[tuple[Tensor, NDArray[np.bool_]]]:
        objects = torch.cat([make.sized(make.cut(i), i, size) for i in group])
        for plane in make.plane(objects, margin):
            windows = [window(plane, margin - y, margin - x, (side, side)) for y, x in places]
            yield torch.stack(windows), np.ones(len(offset), bool)

    text = (
        f"embed {_object(config)} of {size} px in {side} px, fill {config.fill}, moved"
        f" {_direction(config)} {_told(offset)}"
    )
    return Moves("embed", np.array(offset), text, frames)


def _scaled(config: Moved, size: int, side: int, make: _Objects) -> Moves:
    sizes = [size + o for o in _offsets(config, 1 - size, side - size)]

    def frames(group: Sequence[int]) -> Iterator[tuple[Tensor, NDArray[np.bool_]]]:
        cuts = [make.cut(i) for i in group]
        alike = len({cut.shape for cut in cuts}) == 1
        parts = [(torch.cat(cuts), group[0])] if alike else list(zip(cuts, group, strict=True))
        made = []  # by size, each (image, channel, height, width)
        for each in sizes:
            objects = torch.cat([make.sized(cut, i, each) for cut, i in parts])
            margin = side - each - (side - each) // 2
            start = margin - (side - each) // 2
            made.append(window(make.plane(objects, margin), start, start, (side, side)))
        for windows in zip(*made, strict=True):
            yield torch.stack(windows), np.ones(len(sizes), bool)

    text = (
        f"scale {_object(config)} in the middle of {side} px, fill {config.fill}, from {sizes[0]} px"
        f" to {sizes[-1]} px, {config.step} px a step"
    )
    return Moves("scale", np.array(sizes), text, frames)


def _cropped(
    config: Moved,
    size: int,
    photographs: Photographs,
    side: int,
    boxes: Mapping[str, Box],
    device: torch.device,
) -> Moves:
    """Offsets are those of the farthest photograph; one that has less room shows fewer of them."""
    low, high = config.range or (-USUAL_RANGE, USUAL_RANGE)
    offset = list(range(low, high + 1, config.step))
    down, right = DIRECTIONS[config.direction]
    make = _Objects(config, photographs, None, device)

    def frames(group: Sequence[int]) -> Iterator[tuple[Tensor, NDArray[np.bool_]]]:
        for number in group:
            around = boxes.get(Path(photographs.name[number]).stem)
            pixels, box = _whole(make, number, size, around)
            height, width = pixels.shape[1:]
            if min(height, width) < side:
                raise InvtoolError(
                    f"{photographs.name[number]} of {photographs.spec} is {width} x {height} px,"
                    f" the window {side} px; --object {side} or more enlarges it"
                )
            rows = _window_room(height, side, box and (box[1], box[3]))
            columns = _window_room(width, side, box and (box[0], box[2]))
            top, left = sum(rows) // 2, sum(columns) // 2
            places = [(top + down * o, left + right * o) for o in offset]
            shown = np.array(
                [rows[0] <= y <= rows[1] and columns[0] <= x <= columns[1] for y, x in places]
            )
            windows = [
                window(pixels, y, x, (side, side))
                for (y, x), there in zip(places, shown, strict=True)
                if there
            ]
            yield (
                torch.stack(windows)
                if windows
                else pixels.new_empty((0, pixels.shape[0], side, side)),
                shown,
            )

    inside = "the object's box inside it" if boxes else "no boxes"
    which = {"whole": "", "square": "central squares of ", "random": "random crops of "}
    text = (
        f"crop windows of {side} px from {which[config.aspect]}photographs"
        f"{f' of {size} px' if size else ''}, {inside}, moved {_direction(config)} {_told(offset)}"
    )
    return Moves("crop", np.array(offset), text, frames)


def _whole(make: _Objects, number: int, size: int, box: Box | None) -> tuple[Tensor, Box | None]:
    """What to crop from, (channel, height, width), its shorter side of `size` if told."""
    cut = make.cut(number)
    if not size:
        return cut[0], box
    scale = size / min(cut.shape[2:])
    height, width = (max(size, round(scale * side)) for side in cut.shape[2:])
    if make.config.aspect == "random":  # squeezed to a square
        height = width = size
    scaled = box and (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
    return shrunk(cut, height, width)[0], scaled


def _window_room(extent: int, side: int, ends: tuple[float, float] | None) -> tuple[int, int]:
    """First and last place of a window of `side` pixels that holds the box; none: first > last."""
    first, last = 0, extent - side
    if ends is not None:
        first = max(first, int(np.ceil(ends[1])) - side)
        last = min(last, int(np.floor(ends[0])))
    return first, last


def _part(config: Moved, height: int, width: int, number: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of what is taken of a photograph."""
    if config.aspect == "whole":
        return 0, 0, height, width
    if config.aspect == "square":
        side = min(height, width)
        return (height - side) // 2, (width - side) // 2, side, side
    random = np.random.default_rng([config.seed, number])
    for _ in range(TRIES):
        ratio = np.exp(random.uniform(*np.log(RATIOS)))
        rows = round(np.sqrt(config.area * height * width / ratio))
        columns = round(np.sqrt(config.area * height * width * ratio))
        if 0 < rows <= height and 0 < columns <= width:
            top = int(random.integers(height - rows + 1))
            return top, int(random.integers(width - columns + 1)), rows, columns
    ratio = min(max(width / height, RATIOS[0]), RATIOS[1])
    rows, columns = min(height, round(width / ratio)), min(width, round(height * ratio))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _offsets(config: Moved, least: int, most: int) -> list[int]:
    """Steps from the middle; the usual ones as far as they fit, those asked for or an error."""
    if config.range is None:
        low, high = max(least, -USUAL_RANGE), min(most, USUAL_RANGE)
    else:
        low, high = config.range
        if low < least or high > most:
            raise UsageError(
                f"--range {low}:{high} leaves the frame, which allows {least}:{most}; lower it or --object"
            )
    return list(range(low, high + 1, config.step))


def _object(config: Moved) -> str:
    return {
        "square": "central squares",
        "whole": "whole images squeezed to squares",
        "random": f"random crops of {config.area:g} of the area",
    }[config.aspect]


def _direction(config: Moved) -> str:
    return "vertically" if config.direction == "vertical" else f"{config.direction}ly"


def _told(offset: Sequence[int]) -> str:
    step = offset[1] - offset[0] if len(offset) > 1 else 1
    return f"from {offset[0]} to {offset[-1]} px, {step} px a step"


def filmed(
    clips: Sequence[tuple[str, Sequence[Any]]],
    side: int,
    read: Callable[[Any], NDArray[Any]],
    device: torch.device,
) -> Moves:
    """The frames of each clip, squeezed to `side` pixels as the paper does; clips may differ in length."""
    longest = max(len(frames) for _, frames in clips)

    def frames(group: Sequence[int]) -> Iterator[tuple[Tensor, NDArray[np.bool_]]]:
        for number in group:
            paths = clips[number][1]
            pixels = [
                shrunk(torch.from_numpy(read(path))[None].to(device).float(), side, side)
                for path in paths
            ]
            yield torch.cat(pixels), np.arange(longest) < len(paths)

    text = f"frames of clips, squeezed to {side} px"
    return Moves("frames", np.arange(longest), text, frames)
