"""Noise whose every value is a function of (seed, image index, place in the image).

    white noise    y = x + sigma z, z ~ N(0, 1), one z for each value
    salt & pepper  y = 0 or 255 with chance share / 2 each, else x; one draw for each pixel position

An image gets the same noise bit for bit in whatever batch, order, process or device it is computed.
So no stream of random numbers is drawn: a counter is hashed with 32-bit integer arithmetic, and the
only operation on floating-point numbers is one addition. A library's normals do not do: their
logarithms and cosines differ in the last bit between devices, and between the vectorized part of a
tensor and its tail.

    word(seed, i, p) = mix(key(seed, i) xor place(seed, p))

with i the image index and p the place. key and place are full hashes of their counters, computed
once for an image or a place; mix is the rest of the same hash (multiply, xor-shift, multiply,
xor-shift: the last rounds of C. Wellons' lowbias32), computed for every word. A word's two halves
are two levels k in 0..65535, each one draw. Its z is the (k + 1/2) / 65536 quantile of the standard
normal distribution, scaled to variance 1; z reaches to +-4.17. Of the share of levels that hit a
pixel, the lower half is salt and the upper half is pepper.

Source: categories, appendix B. "Randomly sets half of the pixels to either 0 or 255" is read as a
chance of 1/2 for each pixel position, all channels of a position alike.
"""

from functools import lru_cache

import torch
from torch import Tensor

from invtool.transforms._batch import check, pieces

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
    key, place = _keys(seed, index, image), _places(seed, (values + 1) // 2, image.device)
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
    key, place = _keys(seed, index, image), _places(seed, (pixels + 1) // 2, image.device)
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
    return _words(key, place).view(torch.uint16).to(torch.int32)


def _words(key: Tensor, place: Tensor) -> Tensor:
    """32 random bits for each image and place, int32 (image, place)."""
    word = key[:, None] ^ place
    word *= 0x7FEB352D
    word ^= _shifted(word, 15)
    word *= 0x846CA68B - 2**32
    word ^= _shifted(word, 16)
    return word


def _shifted(word: Tensor, bits: int) -> Tensor:
    """Bits moved right and zeros moved in (torch's shift of a negative number moves in ones)."""
    return (word >> bits).bitwise_and_((1 << (32 - bits)) - 1)


def _mix(word: Tensor) -> Tensor:
    """lowbias32: a one-to-one map of 32 bits in which each bit depends on every other."""
    return _words(word.flatten() ^ _shifted(word.flatten(), 16), word.new_zeros(1)).view(word.shape)


def _keys(seed: int, index: Tensor | None, image: Tensor) -> Tensor:
    """One hash for each image, int32 (image): different for different indices below 2^32."""
    images = image.shape[0]
    if index is None:
        index = torch.arange(images)
    if index.shape != (images,) or index.is_floating_point():
        raise ValueError(
            f"index holds one integer for each of the {images} images; "
            f"this one is {index.dtype} of shape {tuple(index.shape)}"
        )
    index = index.to(image.device, torch.int64)
    low, high = _signed(index), _signed(index >> 32)
    word: Tensor = _mix(high ^ 0x2545F491) ^ low
    return _mix(_mix(word) ^ _seed_word(seed, 1))


def _places(seed: int, places: int, device: torch.device) -> Tensor:
    """One hash for each place of an image, int32 (place)."""
    place = torch.arange(places, device=device, dtype=torch.int32)
    return _mix(_mix(place) ^ _seed_word(seed, 2))


def _seed_word(seed: int, use: int) -> int:
    """32 bits of the seed's lowest 64, others for another use; one number, so on the CPU."""
    word = torch.tensor([use], dtype=torch.int32)
    for part in (seed, seed >> 32):
        word = _mix(word ^ int(_signed(torch.tensor(part & 0xFFFFFFFF))))
    return int(_mix(word))


def _signed(word: Tensor) -> Tensor:
    """The lowest 32 bits of int64 as int32, which holds the same bits as a signed number."""
    lowest = word.bitwise_and(0xFFFFFFFF)
    signed: Tensor = lowest.bitwise_xor(0x80000000).sub(0x80000000).to(torch.int32)
    return signed


@lru_cache(maxsize=16)
def _normal_quantiles(sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The quantiles times sigma, (level): multiplied here so that pixels are only added to."""
    level = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    quantile: Tensor = torch.special.ndtri(level)
    quantile /= quantile.square().mean().sqrt()
    return quantile.mul_(sigma).to(dtype).to(device)
