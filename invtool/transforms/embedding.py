"""An image shrunk and placed somewhere else, with something around it.

    embed   y = w(p, f(r(x)))

r shrinks the image by averaging (bilinear, antialiased), f lays it in the middle of a plane that a
fill covers, and w is the window of the image's own size in which the shrunk image lies at p; p is
drawn uniformly among all places where it lies inside.

A fill is `inpaint` (see `inpainting`), `black`, `edge` (the nearest pixel of the object) or `mean`
(the object's mean color). Each covers the plane once, so that another place is another window and
not another fill.

Source: shifts, section 2 and figure 1 (embedded and moved), section 5 and figure 6 ("embedded in a
larger image in a random location").
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from invtool.transforms._batch import IN_CACHE, check
from invtool.transforms._hashing import choices, keys, places, words
from invtool.transforms.inpainting import inpainted


def embed(
    image: Tensor, *, size: float, fill: str = "inpaint", seed: int = 0, index: Tensor | None = None
) -> Tensor:
    """The image shrunk to `size` pixels of height, at a random place of its frame.

    A size of at most 1 is a share of the height; the width shrinks alike. Takes and returns
    (image, channel, height, width). `index` (image) int64 says which image of the data set each one
    is, by default 0, 1, 2, ... ValueError for a size that is larger than the image.

    >>> image = torch.full((1, 1, 8, 8), 9.0)
    >>> moved = embed(image, size=4, fill="black")
    >>> int(moved.sum()) == 9 * 4 * 4
    True
    """
    check(image)
    frame = height, width = image.shape[2], image.shape[3]
    rows = max(1, round(size * height if size <= 1 else size))
    if not size > 0 or rows > height:
        raise ValueError(
            f"size {size:g} is more than the {height} pixels of height that the images have"
        )
    columns = max(1, round(width * rows / height))
    room = height - rows, width - columns
    drawn = words(keys(seed, index, image), places(seed, 2, image.device))  # (image, axis)
    place = choices(drawn, [more + 1 for more in room])
    objects, moved = shrunk(image, rows, columns), torch.empty_like(image)
    whole = max(room)
    large = 2 * image.shape[1] * (rows + 2 * whole) * (columns + 2 * whole) > IN_CACHE
    planes = objects if large else plane_around(objects, whole, fill)
    for target, own, (down, right) in zip(moved, planes, place.tolist(), strict=True):
        margin, plane = whole, own
        if large:  # filled alone in any case, and then only as far as its window reaches
            margin = max(down, room[0] - down, right, room[1] - right)
            plane = plane_around(own[None], margin, fill)[0]
        target.copy_(window(plane, margin - down, margin - right, frame))
    return moved


def shrunk(image: Tensor, height: int, width: int) -> Tensor:
    """The image brought to that many pixels, bilinear; antialiased where it shrinks."""
    if image.shape[2:] == (height, width):
        return image
    return interpolate(image, (height, width), mode="bilinear", antialias=True)


def plane_around(image: Tensor, margin: int, fill: str, color: Tensor | None = None) -> Tensor:
    """The image in the middle of a plane, `margin` pixels wider on each side, covered by the fill.

    Takes (image, channel, height, width), returns (image, channel, height + 2 margin,
    width + 2 margin). `color` (channel,) in 0..255 is that of the fill `color`. ValueError for
    another fill.

    >>> plane_around(torch.full((1, 1, 1, 2), 7.0), 1, "black")[0, 0].tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.0, 7.0, 7.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    around = (margin,) * 4
    if fill == "inpaint":
        return inpainted(image, margin)
    if fill == "edge":
        return pad(image, around, mode="replicate")
    if fill == "black":
        return pad(image, around)
    if fill == "mean":
        even = image.mean((2, 3), keepdim=True)
    elif fill == "color" and color is not None:
        even = color.to(image).view(1, -1, 1, 1)
    else:
        raise ValueError(f"no fill {fill!r}; there are inpaint, black, edge and mean")
    plane = even.expand_as(pad(image, around)).clone()
    window(plane, margin, margin, (image.shape[2], image.shape[3])).copy_(image)
    return plane


def window(plane: Tensor, top: int, left: int, size: tuple[int, int]) -> Tensor:
    """The part (..., height, width) of a plane whose first row and column those are; a view."""
    return plane[..., top : top + size[0], left : left + size[1]]
