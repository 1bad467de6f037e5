"""What every measure needs to run alike on numpy arrays and on torch tensors, wherever they live."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

Array: TypeAlias = Any
"""numpy.ndarray, torch.Tensor or any other array of the Array API standard, which has no type."""

TILE_IMAGES = 32  # so few float32 terms add up to within 1e-7 before they join a float64 sum
TILE_UNITS = 8192  # long rows, as they lie in memory


def namespace(*arrays: Array) -> Any:
    """The Array API functions for these arrays, all of one library; ValueError or TypeError if not.

    numpy speaks for itself from version 2.1 on. Its namespace in array-api-compat does the same,
    after importing all of numpy, which takes longer than many a measure.
    """
    if all(isinstance(array, np.ndarray) for array in arrays):
        return np
    return array_namespace(*arrays)


def tiles(array: Array) -> Iterator[tuple[slice, slice]]:
    """Slices that cut (image, unit) into tiles which fit the cache; one tile on an accelerator.

    >>> import numpy as np
    >>> list(tiles(np.zeros((40, 10))))
    [(slice(0, 32, None), slice(0, 10, None)), (slice(32, 40, None), slice(0, 10, None))]
    """
    images, units = array.shape
    on_cpu = str(device(array)) == "cpu"
    high, wide = (TILE_IMAGES, TILE_UNITS) if on_cpu else (max(images, 1), max(units, 1))
    for unit in range(0, units, wide):
        for image in range(0, images, high):
            yield slice(image, min(image + high, images)), slice(unit, min(unit + wide, units))


class Scratch:
    """Memory that the temporaries of one tile after the other use again.

    Only numpy wants it: memory of this size it takes from the system each time, which costs more
    than the arithmetic. Other libraries keep theirs.
    """

    def __init__(self) -> None:
        self._memory: dict[int, Array] = {}

    def out(self, place: int, like: Array) -> dict[str, Array]:
        """Where numpy puts its result: an array like `like`, the same memory for a `place`.

        >>> Scratch().out(0, np.zeros((2, 3)))["out"].shape
        (2, 3)
        """
        if not isinstance(like, np.ndarray):
            return {}
        size = like.size
        memory = self._memory.get(place)
        if memory is None or memory.size < size or memory.dtype != like.dtype:
            memory = self._memory[place] = np.empty(size, like.dtype)
        return {"out": memory[:size].reshape(like.shape)}


def computable(values: Array, xp: Any) -> Array:
    """The values in float32 or float64: anything else (half precision, integers) in float32."""
    if values.dtype in (xp.float32, xp.float64):
        return values
    return xp.astype(values, xp.float32)


def summed(weights: Array, values: Array) -> Array:
    """`weights @ values`, (group, unit), from (group, image) and (image, unit), for a few groups.

    numpy hands so small a product to the threads of its linear algebra, which wait for each other
    far longer than it takes: on a busy machine a hundred times.

    >>> summed(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[2.0], [3.0]]))
    array([[2.],
           [5.]])
    """
    if isinstance(values, np.ndarray):
        return np.einsum("gi,iu->gu", weights, values)
    return weights @ values


def host(array: Array) -> NDArray[Any]:
    """The values as a numpy array, brought from an accelerator where they lie on one."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)
