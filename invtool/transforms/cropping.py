"""A window of an image at a random place, and an image that has moved by a pixel.

    crop    y(i, j) = x(i + p, j + q)     p, q drawn uniformly among the places where the window fits

Along an axis that leaves no room, because the image is no larger than the window, the image first
gets an eighth of the window on each side, filled with its edge pixels.

Source: shifts, section 5 (random crops, on whose answers a majority votes); the margin is the usual
one of training on CIFAR, 4 pixels of 32.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from invtool.transforms._batch import check
from invtool.transforms._hashing import choices, keys, places, words
from invtool.transforms.embedding import window

MARGIN = 8  # the part of a window that surrounds an image without room, on each side


def crop(
    image: Tensor,
    size: tuple[int, int],
    *,
    number: int = 0,
    seed: int = 0,
    index: Tensor | None = None,
) -> Tensor:
    """The random crop `number` of each image, (image, channel, height, width) of `size` pixels.

    A crop depends on (seed, index, number) alone: crop 0 is the same whether or not others follow.
    `index` (image) int64 says which image of the data set each one is, by default 0, 1, 2, ...
    ValueError for images that are smaller than the window.

    >>> crop(torch.full((1, 1, 8, 8), 9.0), (8, 8), number=3).unique().tolist()
    [9.0]
    """
    check(image, min(size))
    height, width = (_margin(*pair) for pair in zip(image.shape[2:], size, strict=True))
    plane = pad(image, (width, width, height, height), mode="replicate")
    room = [have - want for have, want in zip(plane.shape[2:], size, strict=True)]
    place = places(seed, 2 * (number + 1), image.device)[-2:]
    drawn = choices(words(keys(seed, index, image), place), [more + 1 for more in room])
    return torch.stack(
        [
            window(one, top, left, size)
            for one, (top, left) in zip(plane, drawn.tolist(), strict=True)
        ]
    )


def moved(image: Tensor) -> Tensor:
    """The image (image, channel, height, width) moved up and left by a pixel; the edge that enters is repeated.

    >>> moved(torch.arange(9.0).view(1, 1, 3, 3))[0, 0].tolist()
    [[4.0, 5.0, 5.0], [7.0, 8.0, 8.0], [7.0, 8.0, 8.0]]
    """
    return pad(image, (0, 1, 0, 1), mode="replicate")[..., 1:, 1:]


def _margin(have: int, want: int) -> int:
    return -(-want // MARGIN) if have == want else 0
