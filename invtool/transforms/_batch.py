"""What every transform asks of its batch, and how a batch is cut so that the work stays in cache."""

from collections.abc import Iterator

from torch import Tensor

IN_CACHE = 2**19
"""Values a piece of a batch holds on a CPU: few enough that it and its temporaries stay in cache,
enough that starting an operation costs little beside it."""


def check(image: Tensor, smallest: int = 1) -> None:
    """Refuse what is no batch of float images of at least `smallest` pixels a side.

    >>> import torch
    >>> check(torch.zeros(3, 8, 8))
    Traceback (most recent call last):
    ValueError: images are (image, channel, height, width); this tensor has 3 dimensions
    """
    if image.ndim != 4:
        raise ValueError(
            f"images are (image, channel, height, width); this tensor has {image.ndim} dimensions"
        )
    if not image.is_floating_point():
        raise ValueError(
            f"images are float tensors in 0..255; this one is {image.dtype}: use image.float()"
        )
    height, width = image.shape[2:]
    if min(height, width) < smallest:
        raise ValueError(
            f"this transform needs images of at least {smallest} x {smallest} pixels; "
            f"these have {height} x {width}"
        )


def pieces(image: Tensor, least: int = 1) -> Iterator[slice]:
    """Slices of the image axis: pieces that fit the cache on a CPU, the whole batch elsewhere.

    A piece has `least` images or more, where the work is shared out by image among threads.
    """
    images = image.shape[0]
    size = images
    if image.device.type == "cpu":
        size = max(least, IN_CACHE * images // max(1, image.numel()))
    for start in range(0, images, max(1, size)):
        yield slice(start, start + size)
