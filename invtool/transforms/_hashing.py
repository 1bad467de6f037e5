"""Random bits that are a function of (seed, image index, place), the same on every device.

    word(seed, i, p) = mix(key(seed, i) xor place(seed, p))

with i the image index and p the place. key and place are full hashes of their counters, computed
once for an image or a place; mix is the rest of the same hash (multiply, xor-shift, multiply,
xor-shift: the last rounds of C. Wellons' lowbias32), computed for every word.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def words(key: Tensor, place: Tensor) -> Tensor:
    """32 random bits for each image and place, int32 (image, place)."""
    word = key[:, None] ^ place
    word *= 0x7FEB352D
    word ^= _shifted(word, 15)
    word *= 0x846CA68B - 2**32
    word ^= _shifted(word, 16)
    return word


def choices(word: Tensor, among: Sequence[int]) -> Tensor:
    """One of so many numbers from 0, int64, for each word (image, axis)."""
    counts = torch.tensor(among, device=word.device)
    return ((word.to(torch.int64) + 2**31) * counts) >> 32


def _shifted(word: Tensor, bits: int) -> Tensor:
    """Bits moved right and zeros moved in (torch's shift of a negative number moves in ones)."""
    return (word >> bits).bitwise_and_((1 << (32 - bits)) - 1)


def _mix(word: Tensor) -> Tensor:
    """lowbias32: a one-to-one map of 32 bits in which each bit depends on every other."""
    return words(word.flatten() ^ _shifted(word.flatten(), 16), word.new_zeros(1)).view(word.shape)


def keys(seed: int, index: Tensor | None, image: Tensor) -> Tensor:
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


def places(seed: int, count: int, device: torch.device) -> Tensor:
    """One hash for each place of an image, int32 (place)."""
    place = torch.arange(count, device=device, dtype=torch.int32)
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
