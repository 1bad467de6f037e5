"""What every measure needs to run alike on numpy arrays and on torch tensors, wherever they live."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from array_api_compat import device

Array: TypeAlias = Any
"""numpy.ndarray, torch.Tensor or any other array of the Array API standard, which has no type."""

TILE_IMAGES = 64  # so few float32 terms add up to within 1e-7 before they join a float64 sum
TILE_UNITS = 1024  # a float32 tile and its temporaries stay in a second-level cache of 1 MiB


def tiles(images: int, units: int, array: Array) -> Iterator[tuple[slice, slice]]:
    """Slices that cut (image, unit) into tiles which fit the cache; one tile on an accelerator.

    >>> import numpy as np
    >>> list(tiles(100, 10, np.zeros(1)))
    [(slice(0, 64, None), slice(0, 10, None)), (slice(64, 100, None), slice(0, 10, None))]
    """
    on_cpu = str(device(array)) == "cpu"
    high, wide = (TILE_IMAGES, TILE_UNITS) if on_cpu else (max(images, 1), max(units, 1))
    for unit in range(0, units, wide):
        for image in range(0, images, high):
            yield slice(image, min(image + high, images)), slice(unit, min(unit + wide, units))


def computable(values: Array, xp: Any) -> Array:
    """The values in float32 or float64: anything else (half precision, integers) in float32."""
    if values.dtype in (xp.float32, xp.float64):
        return values
    return xp.astype(values, xp.float32)
