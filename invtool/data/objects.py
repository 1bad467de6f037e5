"""Drawn objects: a textured shape a category; place, size, light, color and clutter vary in it.

A category draws a family of shapes and a texture, the numbers of both (FORM), and two colors. A
shape is a signed distance d(x, y), negative inside, in units of the object's radius. Its bevel is
the height

    h = s (2 - s),    s = clip(-d / w, 0, 1)

over a rim of width w, lit by Lambert's law to first order, 1 - c l . grad h with the light's
direction l and strength c. Its texture is a function of (x, y), positive where the second color
shows, that turns and scales with the shape. Objects turn by at most TURN, so that larger
rotations remain a transform and are no difference within a category.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from invtool.data import drawing
from invtool.data.drawing import (
    Array,
    Images,
    Keys,
    Numbers,
    Ranges,
    Whole,
    box,
    branch,
    cover,
    ellipse,
    paint,
)

TURN = 18 / 360  # largest rotation either way within a category, in turns

FORM: Ranges = {
    "aspect": (0.6, 1.0),
    "corners": (0.0, 1.0),
    "waist": (0.0, 1.0),
    "lean": (-0.25, 0.25),
    "strokes": (0.0, 1.0),
    "frequency": (0.8, 1.8),  # periods of the texture in a radius
    "direction": (0.0, 0.5),  # of the texture, in turns
    "phase": (0.0, 1.0),
    "share": (-0.35, 0.35),  # of the second color
    "swap": (0.0, 1.0),
}

OCCASION: Ranges = {
    "x": (-0.24, 0.24),
    "y": (-0.24, 0.24),
    "scale": (0.46, 0.74),
    "turn": (-TURN, TURN),
    "light_x": (-1.0, 1.0),
    "light_y": (-1.0, 1.0),
    "bevel": (0.1, 0.4),
    "shadow": (0.2, 0.7),
}

CLUTTER: Ranges = {
    "x": (-1.1, 1.1),
    "y": (-1.1, 1.1),
    "turn": (0.0, 1.0),
    "half_x": (0.1, 0.5),
    "half_y": (0.08, 0.4),
    "round": (0.0, 1.0),
    "alpha": (0.3, 1.0),
}
CLUTTER_PIECES = 5

COLOR_JITTER = 0.17  # of each channel, in 0..1
BLACK = drawing.color(0, 0, 0)
RIM = 0.4  # width of the bevel
TAU = 6.2832  # steepest slope of a sine in one period


def draw(
    categories: npt.NDArray[np.integer],
    index: npt.NDArray[np.integer],
    *,
    size: int = 32,
    seed: int = 0,
) -> Images:
    """Textured shapes (image, channel, height, width), RGB 0..255, of categories, examples (image,).

    An image depends on the seed, its category, its example number and the size in pixels only.

    >>> images = draw(np.array([3, 3, 8]), np.array([0, 1, 0]))
    >>> images.shape, images.dtype
    ((3, 3, 32, 32), dtype('uint8'))
    >>> bool((draw(np.array([8]), np.array([0]))[0] == images[2]).all())
    True

    Raises ValueError for lists of different lengths, negative numbers, or a size below 16 pixels.
    """

    return drawing.draw_in_chunks(_render, categories, index, size, seed)


def category_names(categories: int, *, seed: int = 0) -> list[str]:
    """What each category shows, with its number.

    >>> category_names(2)
    ['halved-oval-000', 'dotted-gear-001']
    """
    families, textures = _kinds(drawing.keys(seed, np.arange(categories)))
    family_names, texture_names = list(FAMILIES), list(TEXTURES)
    return [
        f"{texture_names[texture]}-{family_names[family]}-{category:03d}"
        for category, (family, texture) in enumerate(zip(families, textures, strict=True))
    ]


def _kinds(category: Keys) -> tuple[Whole, Whole]:
    """Family and texture numbers (image,)."""
    family = branch(category, "family") % np.uint64(len(FAMILIES))
    texture = branch(category, "texture") % np.uint64(len(TEXTURES))
    return family.astype(np.int64), texture.astype(np.int64)


def _render(category: Keys, occasion: Keys, size: int) -> Array:
    """Colors 0..1 (image, channel, height, width), painted from the back to the front."""
    form, now = drawing.vary(category, FORM), drawing.vary(occasion, OCCASION)
    canvas = drawing.backdrop(occasion, size)
    _clutter(canvas, occasion, size)
    across, down = drawing.grid(size)
    x, y = drawing.rotate((across - now.x) / now.scale, (down - now.y) / now.scale, now.turn)
    edge = drawing.edge_width(size) / now.scale
    family, texture = _kinds(category)
    shape = _by_kind(family, list(FAMILIES.values()), x, y, form)
    _paint_shadow(canvas, shape, x * now.light_x + y * now.light_y, now)
    pattern = _by_kind(texture, list(TEXTURES.values()), *_texture_frame(x, y, form), form)
    second_here = cover(-(pattern + form.share) / (form.frequency * TAU), edge)[:, None]
    first, second = _colors(category, occasion, form)
    colors = (first + (second - first) * second_here) * _bevel(shape, now, edge)[:, None]
    paint(canvas, colors, cover(shape, edge))
    return drawing.expose(canvas, occasion)


def _paint_shadow(canvas: Array, shape: Array, towards_light: Array, now: Numbers) -> None:
    """A soft dark fringe, mostly on the side away from the light."""
    away = (1 - np.clip(towards_light, -1, 1)) / 2
    paint(canvas, BLACK, cover(shape - 0.05, 0.35) * now.shadow * away)


def _by_kind(
    kind: Whole,
    functions: list[Callable[[Array, Array, Numbers], Array]],
    x: Array,
    y: Array,
    form: Numbers,
) -> Array:
    """Each image's own function of its coordinates, (image, height, width)."""
    result = np.empty(np.broadcast_shapes(x.shape, y.shape), np.float32)
    for number in np.unique(kind):
        mine = kind == number
        part = Numbers(**{name: value[mine] for name, value in vars(form).items()})
        result[mine] = functions[number](x[mine], y[mine], part)
    return result


def _clutter(canvas: Array, occasion: Keys, size: int) -> None:
    """Boxes and blobs of other colors behind the object."""
    across, down = drawing.grid(size)
    for piece in range(CLUTTER_PIECES):
        key = branch(occasion, f"clutter {piece}")
        one = drawing.vary(key, CLUTTER)
        x, y = drawing.rotate(across - one.x, down - one.y, one.turn)
        corner = np.minimum(one.half_x, one.half_y) * one.round
        shape = box(x, y, one.half_x, one.half_y, corner)
        paint(
            canvas,
            drawing.muted_color(branch(key, "color")),
            cover(shape, drawing.edge_width(size)) * one.alpha,
        )


def _colors(category: Keys, occasion: Keys, form: Numbers) -> tuple[Array, Array]:
    """A dark and a light color in either order, (image, channel, 1, 1), jittered by image."""
    jitter = (
        drawing.any_color(branch(occasion, name), -COLOR_JITTER, COLOR_JITTER)
        for name in ("dark", "light")
    )
    dark = drawing.any_color(branch(category, "dark"), 0.05, 0.5) + next(jitter)
    light = drawing.any_color(branch(category, "light"), 0.5, 0.95) + next(jitter)
    swap = form.swap[:, None] < 0.5
    return np.where(swap, light, dark), np.where(swap, dark, light)


def _bevel(shape: Array, now: Numbers, edge: Array) -> Array:
    """Light on the rounded rim: 1 on the flat, more towards the light, less away from it."""
    height = np.clip(-shape / RIM, 0, 1)
    height = height * (2 - height)
    padded = np.pad(height, ((0, 0), (1, 1), (1, 1)), mode="edge")
    dx = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    dy = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    result: Array = 1 - now.bevel * (dx * now.light_x + dy * now.light_y) / edge * RIM
    return result


# --- Families: distance to a shape of radius about 1 ---


def _between(value: Array, low: float, high: float) -> Array:
    return value * (high - low) + low


def _count(value: Array, low: int, high: int) -> Array:
    """A whole number from low to high for a value in 0..1."""
    result: Array = np.minimum(np.floor(value * (high - low + 1)), high - low) + low
    return result


def _oval(x: Array, y: Array, form: Numbers) -> Array:
    return ellipse(x + form.lean * y, y, _between(form.waist, 0.5, 0.95), form.aspect)


def _polygon(x: Array, y: Array, form: Numbers) -> Array:
    corners = _count(form.corners, 3, 6)
    distance = np.full_like(x, -1)
    for side in range(6):
        turns = np.minimum(np.float32(side), corners - 1) / corners + 0.25
        across, along = drawing.cosine(turns), drawing.sine(turns)
        distance = np.maximum(distance, x * across + y / form.aspect * along - 0.72)
    return distance


def _star(x: Array, y: Array, form: Numbers) -> Array:
    points = _count(form.corners, 4, 7)
    radius = np.sqrt(x * x + y * y)
    sector = (drawing.angle(x, y) + 0.25) * points
    fold = np.abs(sector - np.rint(sector)) / points
    along, off = radius * drawing.cosine(fold), radius * drawing.sine(fold)
    inner = _between(form.waist, 0.35, 0.65)
    notch_x = inner * drawing.cosine(0.5 / points)
    notch_y = inner * drawing.sine(0.5 / points)
    side = np.sqrt((1 - notch_x) * (1 - notch_x) + notch_y * notch_y)
    return ((along - 1) * notch_y + off * (1 - notch_x)) / side


def _gear(x: Array, y: Array, form: Numbers) -> Array:
    teeth = np.clip(drawing.sine(drawing.angle(x, y) * _count(form.corners, 6, 9)) * 2, -1, 1)
    radius = np.sqrt(x * x + y * y)
    hole = _between(form.waist, 0.1, 0.4) - radius
    return np.maximum(radius - 0.82 - teeth * 0.13, hole)


def _flower(x: Array, y: Array, form: Numbers) -> Array:
    petals = drawing.sine(drawing.angle(x, y) * _count(form.corners, 3, 6) + form.strokes)
    depth = _between(form.waist, 0.15, 0.32)
    return (np.sqrt(x * x + y * y) - 0.75 - petals * depth) * 0.75


def _cross(x: Array, y: Array, form: Numbers) -> Array:
    arm = _between(form.waist, 0.2, 0.38)
    y_bar = y - form.lean * 2
    return np.minimum(box(x, y, arm, 1, 0.04), box(x, y_bar, form.aspect, arm, 0.04))


def _ring(x: Array, y: Array, form: Numbers) -> Array:
    wall = _between(form.waist, 0.16, 0.32)
    return np.abs(ellipse(x, y, 1 - wall, form.aspect * 1.05 - wall)) - wall


def _crescent(x: Array, y: Array, form: Numbers) -> Array:
    side = drawing.sign(form.strokes - 0.5)
    moon = ellipse(x, y, 0.95, 0.95)
    bite = ellipse(x - side * _between(form.waist, 0.4, 0.7), y - form.lean, 0.8, 0.8)
    return np.maximum(moon, -bite)


def _arrow(x: Array, y: Array, form: Numbers) -> Array:
    turn = np.floor(form.strokes * 4) / 4
    x, y = drawing.rotate(x, y, turn)
    shaft = box(x, y - 0.35, _between(form.waist, 0.15, 0.35), 0.62, 0.03)
    wide = form.aspect
    head = np.maximum((np.abs(x) - wide * (y + 1)) * 0.7, y)
    result: Array = np.minimum(shaft, head)
    return result


def _letter(x: Array, y: Array, form: Numbers) -> Array:
    """A stem and some of five strokes, as in E, F, H, L, P or U."""
    thick = _between(form.waist, 0.15, 0.24)
    wide = form.aspect * 0.75
    code = _count(form.strokes, 1, 31).astype(np.int64)
    stem = box(x + wide - thick, y, thick, 0.95, 0.02)
    strokes = [
        box(x, y + 0.95 - thick, wide, thick, 0.02),
        box(x, y, wide, thick, 0.02),
        box(x, y - 0.95 + thick, wide, thick, 0.02),
        box(x - wide + thick, y + 0.475, thick, 0.475, 0.02),
        box(x - wide + thick, y - 0.475, thick, 0.475, 0.02),
    ]
    for number, stroke in enumerate(strokes):
        stem = np.where(code >> number & 1 == 1, np.minimum(stem, stroke), stem)
    return stem


def _mushroom(x: Array, y: Array, form: Numbers) -> Array:
    cap = np.maximum(ellipse(x, y - 0.1, 0.98, form.aspect * 1.1), y - 0.1)
    stem = box(x - form.lean * y, y - 0.45, _between(form.waist, 0.18, 0.42), 0.5, 0.12)
    result: Array = np.minimum(cap, stem)
    return result


def _heart(x: Array, y: Array, form: Numbers) -> Array:
    lobe = _between(form.waist, 0.42, 0.52)
    x = x + form.lean * y
    lobes = ellipse(np.abs(x) - 0.42, y + 0.35, lobe, lobe)
    tip = np.maximum(np.abs(x) * 0.75 + y * 0.66 - 0.6, -y - 0.45)
    result: Array = np.minimum(lobes, tip)
    return result


def _drop(x: Array, y: Array, form: Numbers) -> Array:
    y = np.where(form.strokes < 0.5, y, -y)
    x = x + form.lean * y
    belly = _between(form.waist, 0.5, 0.66)
    ball = ellipse(x, y - 0.3, belly, 0.66)
    cone = np.maximum((np.abs(x) - belly * (y + 1) * 0.72) * 0.85, y - 0.3)
    result: Array = np.minimum(ball, cone)
    return result


def _house(x: Array, y: Array, form: Numbers) -> Array:
    half = _between(form.waist, 0.5, 0.8)
    walls = box(x, y - 0.42, half, 0.5, 0.02)
    roof = np.maximum(
        (np.abs(x) - (half + 0.18) * (y + 1) / form.aspect) * 0.7,
        y - form.aspect + 1,
    )
    chimney = box(x - half * form.lean * 2.4, y + 0.5, 0.13, 0.42, 0.02)
    result: Array = np.minimum(np.minimum(walls, roof), chimney)
    return result


def _key(x: Array, y: Array, form: Numbers) -> Array:
    side = drawing.sign(form.strokes - 0.5)
    head = np.abs(ellipse(x, y + 0.48, form.aspect * 0.45, 0.38)) - 0.15
    shaft = box(x, y - 0.4, 0.13, 0.6, 0.02)
    bit = box(
        x - side * 0.3,
        y - 0.82,
        _between(form.waist, 0.25, 0.45),
        0.15,
        0.02,
    )
    tooth = box(x - side * 0.25, y - 0.38, 0.25, 0.12, 0.02)
    return np.minimum(np.minimum(head, shaft), np.minimum(bit, tooth))


def _hourglass(x: Array, y: Array, form: Numbers) -> Array:
    x, y = drawing.rotate(x, y, np.floor(form.strokes * 2) / 4)
    width = np.minimum(_between(form.waist, 0.08, 0.3) + np.abs(y - form.lean) * form.aspect, 0.85)
    result: Array = np.maximum((np.abs(x) - width) * 0.8, np.abs(y) - 0.92)
    return result


FAMILIES: dict[str, Callable[[Array, Array, Numbers], Array]] = {
    "oval": _oval,
    "polygon": _polygon,
    "star": _star,
    "gear": _gear,
    "flower": _flower,
    "cross": _cross,
    "ring": _ring,
    "crescent": _crescent,
    "arrow": _arrow,
    "letter": _letter,
    "mushroom": _mushroom,
    "heart": _heart,
    "drop": _drop,
    "house": _house,
    "key": _key,
    "hourglass": _hourglass,
}


# --- Textures: from -1 (first color) to 1 (second color), one period a unit ---


def _texture_frame(x: Array, y: Array, form: Numbers) -> tuple[Array, Array]:
    return drawing.rotate(x * form.frequency, y * form.frequency, form.direction)


def _stripes(x: Array, y: Array, form: Numbers) -> Array:
    return drawing.sine(x + form.phase)


def _dots(x: Array, y: Array, form: Numbers) -> Array:
    dx, dy = x + form.phase, y + form.phase
    dx, dy = dx - np.rint(dx), dy - np.rint(dy)
    result: Array = (0.32 - np.sqrt(dx * dx + dy * dy)) * 4
    return result


def _checks(x: Array, y: Array, form: Numbers) -> Array:
    return drawing.sine(x + form.phase) * drawing.sine(y + form.phase) * 2


def _circles(x: Array, y: Array, form: Numbers) -> Array:
    return drawing.sine(np.sqrt(x * x + y * y) + form.phase)


def _halves(x: Array, y: Array, form: Numbers) -> Array:
    result: Array = np.clip(x * 1.5 / form.frequency + form.share, -1, 1)
    return result


def _marble(x: Array, y: Array, form: Numbers) -> Array:
    bend = drawing.sine(y * 0.9 + form.phase) + drawing.sine((x + y) * 0.5)
    return drawing.sine(x * 0.7 + bend * 0.3)


def _zigzag(x: Array, y: Array, form: Numbers) -> Array:
    fold = np.abs(x + form.phase - np.rint(x + form.phase))
    return drawing.sine(y + fold * 1.6)


def _rays(x: Array, y: Array, form: Numbers) -> Array:
    spokes = np.floor(form.frequency * 3.4) + 1
    return drawing.sine(drawing.angle(x, y) * spokes + form.phase)


TEXTURES: dict[str, Callable[[Array, Array, Numbers], Array]] = {
    "striped": _stripes,
    "dotted": _dots,
    "checked": _checks,
    "ringed": _circles,
    "halved": _halves,
    "marbled": _marble,
    "zigzag": _zigzag,
    "rayed": _rays,
}
