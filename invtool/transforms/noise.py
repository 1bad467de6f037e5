"""Noise whose every value is a function of (seed, image index, place in the image).

    white noise    y = x + sigma z, z ~ N(0, 1), one z for each value
    salt & pepper  y = 0 or 255 with chance share / 2 each, else x; one draw for each pixel position

An image gets the same noise bit for bit in whatever batch, order, process or device it is computed.
So no stream of random numbers is drawn: a counter is hashed with 32-bit integer arithmetic, and the
only operation on floating-point numbers is one addition. A library's normals do not do: their
logarithms and cosines differ in the last bit between devices, and between the vectorized part of a
tensor and its tail.

The bits of (seed, image, place) are those of `_hashing`. A word's two halves are two levels k in
0..65535, each one draw. Its z is the (k + 1/2) / 65536 quantile of the standard
normal distribution, scaled to variance 1; z reaches to +-4.17. Of the share of levels that hit a
pixel, the lower half is salt and the upper half is pepper.

Source: categories, appendix B. "Randomly sets half of the pixels to either 0 or 255" is read as a
chance of 1/2 for each pixel position, all channels of a position alike.
"""

from functools import lru_cache

import torch
from torch import Tensor

from invtool.transforms._batch import check, pieces
from invtool.transforms._hashing import keys, places, words

LEVELS = 2**16


def white_noise(
    image: Tensor, *, sigma: float, seed: int = 0, index: Tensor | None = None
) -> Tensor:
    """Independent Gaussian noise of standard deviation `sigma` gray levels on every value.

    Takes and returns (image, channel, height, width). `index` (image) int64 says which image of the
    data set each one is, by default 0, 1, 2, ... ValueError for a negative sigma or another index.

    >>> image = torch.zeros(4, 3, 32, 32)
    >>> noise = white_noise(image, sigma=25, seed=7)
    >>> round(noise.mean().item()), round(noise.std().item())
    (0, 25)
    >>> alone = white_noise(image[:1], sigma=25, seed=7, index=torch.tensor([2]))
    >>> torch.equal(alone[0], noise[2])
    True
    """
    check(image)
    if not sigma >= 0:
        raise ValueError(f"sigma is a number of gray levels of at least 0, not {sigma}")
    values = image.shape[1:].numel()
    key, place = keys(seed, index, image), places(seed, (values + 1) // 2, image.device)
    quantile = _normal_quantiles(float(sigma), image.dtype, image.device)
    noisy = torch.empty_like(image)
    for piece in pieces(image):
        half = _halves(key[piece], place)
        noise = quantile.index_select(0, half.flatten()).view(half.shape)[:, :values]
        torch.add(image[piece], noise.view(image[piece].shape), out=noisy[piece])
    return noisy


def salt_pepper(
    image: Tensor, *, share: float = 0.5, seed: int = 0, index: Tensor | None = None
) -> Tensor:
    """Each pixel position, with chance `share`, becomes 0 or 255 with equal chance.

    Takes and returns (image, channel, height, width); all channels of a position change alike.
    `index` as in `white_noise`. ValueError for a share outside 0..1 or another index.

    >>> image = torch.full((1, 3, 64, 64), 100.0)
    >>> noisy = salt_pepper(image, seed=1)
    >>> noisy.unique().tolist(), bool((noisy[:, 0] == noisy[:, 2]).all())
    ([0.0, 100.0, 255.0], True)
    """
    check(image)
    if not 0 <= share <= 1:
        raise ValueError(f"share is a chance in 0..1, not {share}")
    height, width = image.shape[2:]
    pixels = height * width
    key, place = keys(seed, index, image), places(seed, (pixels + 1) // 2, image.device)
    hit = 2 * round(share * LEVELS / 2)  # of the levels, the lower half salt, the upper half pepper
    noisy = torch.empty_like(image)
    for piece in pieces(image):
        half = _halves(key[piece], place)[:, :pixels].view(-1, 1, height, width)
        keep, salt = (half >= hit).to(image.dtype), (half < hit // 2).to(image.dtype)
        # Products with 0 and 1 are exact, and several times faster than a choice by a mask.
        torch.mul(image[piece], keep, out=noisy[piece]).add_(salt.mul_(255))
    return noisy


def _halves(key: Tensor, place: Tensor) -> Tensor:
    """Two independent levels 0..65535 for each image and place, int32 (image, 2 x place)."""
    return words(key, place).view(torch.uint16).to(torch.int32)


@lru_cache(maxsize=16)
def _normal_quantiles(sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The quantiles times sigma, (level): multiplied here so that pixels are only added to."""
    level = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    quantile: Tensor = torch.special.ndtri(level)
    quantile /= quantile.square().mean().sqrt()
    return quantile.mul_(sigma).to(dtype).to(device)
