"""Drawing many small pictures at once with numpy: keyed random numbers, soft-edged shapes, paint.

Random numbers are a counter put through a mixing function, the output function of SplitMix64
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014):

    z <- (z xor (z >> 30)) * 0xBF58476D1CE4E5B9
    z <- (z xor (z >> 27)) * 0x94D049BB133111EB
    z <- z xor (z >> 31)

Shapes are signed distances d to an outline, negative inside. A pixel of width e is covered by

    clip(1/2 - d / e, 0, 1)

which is the pixel's area under a straight edge at the distance d: smooth outlines without
supersampling.

Only operations that IEEE 754 rounds in one way (+, -, *, /, sqrt, rounding to whole numbers)
decide a pixel, never a library's sine, exponential or sum. So a picture is the same, bit for bit,
on every machine and in every batch.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Keys = npt.NDArray[np.uint64]
Whole = npt.NDArray[np.int64]
Images = npt.NDArray[np.uint8]
Ranges = Mapping[str, tuple[float, float]]

SMALLEST = 16  # pixels a side below which a drawing shows nothing

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_PIXELS_AT_ONCE = 1 << 14  # 64 KiB an array: fits a core's cache, twice as fast as 1 << 16


class Numbers(SimpleNamespace):
    """Named numbers of some images, each (image, 1, 1)."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Array: ...


def draw_in_chunks(
    render: Callable[[Keys, Keys, int], Array],
    categories: npt.NDArray[np.integer],
    index: npt.NDArray[np.integer],
    size: int,
    seed: int,
) -> Images:
    """Images (image, channel, height, width) in 0..255, a few at a time to hold memory constant.

    render gets keys of the categories and of the examples, each (image,), and the size in pixels,
    and returns colors in 0..1.

    Raises ValueError for lists of different lengths, negative numbers, or a size below 16 pixels.
    """
    categories, index = np.asarray(categories), np.asarray(index)
    if categories.ndim != 1 or categories.shape != index.shape:
        raise ValueError(
            f"categories {categories.shape} and index {index.shape} must be lists of one length"
        )
    if categories.size and min(categories.min(), index.min()) < 0:
        raise ValueError("category and example numbers must be 0 or more")
    if size < SMALLEST:
        raise ValueError(f"size is {size} pixels, at least {SMALLEST} are needed")
    images = np.empty((len(categories), 3, size, size), np.uint8)
    step = max(1, _PIXELS_AT_ONCE // size**2)
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        category = keys(seed, categories[part])
        colors = render(category, keys(seed, categories[part], index[part]), size)
        images[part] = np.rint(np.clip(colors, 0, 1) * 255)
    return images


def mix(counter: Keys) -> Keys:
    """Numbers that look independent, from 64-bit counters.

    >>> mix(np.array([1, 2], np.uint64)) % np.uint64(1000)
    array([789, 730], dtype=uint64)
    """
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def keys(seed: int, *counters: npt.NDArray[np.integer]) -> Keys:
    """A 64-bit key an image (image,), from the seed and the image's own numbers."""
    key = mix(np.full(len(counters[0]), seed % 2**64, np.uint64) + _GOLDEN)
    for counter in counters:
        key = mix(key * _GOLDEN + counter.astype(np.uint64) + np.uint64(1))
    return key


def branch(key: Keys, purpose: str) -> Keys:
    """Further keys (image,), independent of the given ones and of those for other purposes."""
    return mix(key ^ np.uint64(zlib.crc32(purpose.encode()) << 16))


def uniform(key: Keys, count: int) -> Array:
    """Numbers in 0..1, (image, count), that depend on each image's key only."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    return (mix(key[:, None] + steps) >> np.uint64(40)).astype(np.float32) / 2**24


def vary(key: Keys, ranges: Ranges) -> Numbers:
    """A number a name, evenly spread from low to high; it depends on the key and the name only.

    >>> size = vary(keys(0, np.arange(1000)), {"size": (2.0, 4.0)}).size
    >>> size.shape, bool(size.min() > 2), bool(abs(size.mean() - 3) < 0.05)
    ((1000, 1, 1), True, True)
    """
    return Numbers(
        **{
            name: (uniform(branch(key, name), 1) * (high - low) + low)[:, :, None]
            for name, (low, high) in ranges.items()
        }
    )


def grid(size: int) -> tuple[Array, Array]:
    """Pixel centers from -1 (left, top) to 1 (right, bottom), (1, 1, width) and (1, height, 1)."""
    line = (np.arange(size, dtype=np.float32) * 2 + 1) / size - 1
    return line[None, None, :], line[None, :, None]


def edge_width(size: int) -> float:
    """Width of a soft outline in the units of grid: 1.2 pixels, which hides stairs."""
    return 2.4 / size


def sine(turns: Array) -> Array:
    """Sine of an angle in turns, to 0.002, by two parabolas.

    >>> [round(float(sine(np.float32([t]))[0]), 3) for t in (0, 1 / 12, 1 / 4, -1 / 4)]
    [0.0, 0.5, 1.0, -1.0]
    """
    r = turns - np.rint(turns)
    y = r * (8 - 16 * np.abs(r))
    result: Array = y + 0.225 * (y * np.abs(y) - y)
    return result


def cosine(turns: Array) -> Array:
    """Cosine of an angle in turns, to 0.002."""
    return sine(turns + 0.25)


def rotate(x: Array, y: Array, turns: Array) -> tuple[Array, Array]:
    """Coordinates in a frame turned by an angle in turns, clockwise on the screen."""
    c, s = cosine(turns), sine(turns)
    return x * c + y * s, y * c - x * s


def angle(x: Array, y: Array) -> Array:
    """Direction of a point in turns from -1/2 to 1/2, 0 on the right, 1/4 below, to 0.001.

    >>> [float(angle(np.float32(x), np.float32(y))) for x, y in ((1, 0), (0, 1), (-1, 0), (1, -1))]
    [0.0, 0.25, 0.5, -0.125]
    """
    ax, ay = np.abs(x), np.abs(y)
    t = np.minimum(ax, ay) / (np.maximum(ax, ay) + 1e-12)
    turns = t * (0.125 + 0.0434 * (1 - t))
    turns = np.where(ay > ax, 0.25 - turns, turns)
    turns = np.where(x < 0, 0.5 - turns, turns)
    return np.where(y < 0, -turns, turns)


def sign(x: Array) -> Array:
    """-1 below 0, otherwise 1."""
    return np.copysign(np.float32(1), x)


def ellipse(x: Array, y: Array, rx: Array | float, ry: Array | float) -> Array:
    """Distance to an ellipse, exact to first order at its outline."""
    px, py = x / rx, y / ry
    k = np.sqrt(px * px + py * py)
    qx, qy = px / rx, py / ry
    result: Array = k * (k - 1) / (np.sqrt(qx * qx + qy * qy) + 1e-6)
    return result


def box(
    x: Array, y: Array, half_x: Array | float, half_y: Array | float, corner: Array | float
) -> Array:
    """Distance to a box whose corners are rounded with a radius."""
    dx, dy = np.abs(x) - half_x + corner, np.abs(y) - half_y + corner
    px, py = np.maximum(dx, 0), np.maximum(dy, 0)
    result: Array = np.sqrt(px * px + py * py) + np.minimum(np.maximum(dx, dy), 0) - corner
    return result


def blend(a: Array, b: Array, reach: float) -> Array:
    """Distance to the union of two shapes, its seam rounded over the given reach."""
    h = np.maximum(reach - np.abs(a - b), 0) / reach
    return np.minimum(a, b) - h * h * (reach / 4)


def cover(distance: Array, edge: Array | float) -> Array:
    """Share 0..1 of each pixel inside a shape, where edge is the width of the soft outline."""
    result: Array = np.clip(0.5 - distance / edge, 0, 1)
    return result


def bump(ratio: Array) -> Array:
    """1 at 0, 0 from -1 down and from 1 up, smooth between."""
    t = np.maximum(1 - np.abs(ratio), 0)
    result: Array = t * t * (3 - 2 * t)
    return result


def paint(canvas: Array, color: Array, alpha: Array) -> None:
    """Lay a color on (image, channel, height, width) with an opacity (image, height, width)."""
    canvas += (color - canvas) * alpha[:, None]


def color(red: float, green: float, blue: float) -> Array:
    """One color 0..1 for all images, (1, channel, 1, 1)."""
    return np.array([red, green, blue], np.float32)[None, :, None, None]


def ramp(stops: Sequence[tuple[int, int, int]], position: Array) -> Array:
    """Colors (image, channel, 1, 1) at positions 0..1 (image, 1, 1) along a row of 8-bit colors."""
    table = np.array(stops, np.float32) / 255
    place = position[:, 0, 0] * (len(stops) - 1)
    low = np.clip(np.floor(place), 0, len(stops) - 2).astype(np.int64)
    part = (place - low.astype(np.float32))[:, None]
    return (table[low] * (1 - part) + table[low + 1] * part)[:, :, None, None]


def any_color(key: Keys, low: float, high: float) -> Array:
    """Random colors (image, channel, 1, 1), each channel from low to high."""
    return (uniform(key, 3) * (high - low) + low)[:, :, None, None]


def muted_color(key: Keys) -> Array:
    """Random colors (image, channel, 1, 1) of any lightness, seldom vivid, as of cloth."""
    numbers = uniform(key, 5)
    lightness, hue, vividness = numbers[:, :1], numbers[:, 1:4], numbers[:, 4:]
    colors = 0.12 + 0.76 * lightness + (hue - 0.5) * vividness * 0.7
    return np.clip(colors, 0, 1)[:, :, None, None]


def clouds(key: Keys, cells: int, size: int) -> Array:
    """Smooth random field 0..1 over the picture (image, height, width), that many cells a side."""
    knots = uniform(key, (cells + 1) ** 2).reshape(-1, cells + 1, cells + 1)
    place = (np.arange(size, dtype=np.float32) + 0.5) * (cells / size)
    low = np.floor(place).astype(np.int64)
    part = place - low.astype(np.float32)
    part = part * part * (3 - 2 * part)
    rows = knots[:, low] + (knots[:, low + 1] - knots[:, low]) * part[:, None]
    result: Array = rows[:, :, low] + (rows[:, :, low + 1] - rows[:, :, low]) * part
    return result


def grain(key: Keys, size: int) -> Array:
    """Independent noise from -1 to 1, mostly near 0, (image, channel, height, width)."""
    word = mix(key[:, None] + np.arange(1, size * size + 1, dtype=np.uint64) * _GOLDEN)
    tenths = [(word >> np.uint64(10 * i) & np.uint64(1023)).astype(np.float32) for i in range(6)]
    noise = [(tenths[i] - tenths[i + 3]) / 1023 for i in range(3)]
    return np.stack(noise, axis=1).reshape(len(key), 3, size, size)


def backdrop(key: Keys, size: int) -> Array:
    """A canvas (image, channel, height, width): a slope between two muted colors, soft blotches."""
    near, far, third = (muted_color(branch(key, f"backdrop {i}")) for i in range(3))
    across, down = grid(size)
    tilt = vary(branch(key, "slope"), {"across": (-0.6, 0.6), "down": (-0.6, 0.6)})
    slope = np.clip(0.5 + across * tilt.across + down * tilt.down, 0, 1)
    canvas = near + (far - near) * slope[:, None]
    blotches = clouds(branch(key, "blotches"), 4, size)
    paint(canvas, third, np.clip(blotches * 3 - 1.2, 0, 1))
    result: Array = canvas
    return result


EXPOSURE: Ranges = {
    "strength": (0.75, 1.2),
    "warmth": (-0.22, 0.22),  # red against blue
    "green": (-0.08, 0.08),
    "slope": (-0.25, 0.25),  # of the strength from the middle to the right
    "noise": (0.01, 0.06),
}


def expose(canvas: Array, key: Keys) -> Array:
    """The picture as a camera takes it: the light's strength, color and slope, noise (EXPOSURE)."""
    size = canvas.shape[-1]
    light = vary(branch(key, "exposure"), EXPOSURE)
    cast = np.concatenate([1 + light.warmth, 1 + light.green, 1 - light.warmth], axis=1)
    gain = (light.strength * (1 + light.slope * grid(size)[0]))[:, None]
    result: Array = (
        canvas * cast[..., None] * gain + grain(branch(key, "grain"), size) * light.noise[:, None]
    )
    return result
