"""Drawn faces: one identity a category; pose, light, expression, place and background vary in it.

An identity is a row of numbers (IDENTITY), one occasion of seeing it another (OCCASION). The head
is half an ellipsoid over the picture,

    z = sqrt(1 - (x / a)^2 - (y / b)^2)

so that a small turn (yaw, pitch) moves what is on its front against its outline, to

    u = x - yaw a z,    v = y - pitch z

and its shading is Lambert's law n . l with the normal n = (x / a, y / b, z) and the light's
direction l.

Lengths are in half heads: the skull ends near y = -1, the eyes are near 0, the chin is near 1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from invtool.data import drawing
from invtool.data.drawing import (
    Array,
    Images,
    Keys,
    Numbers,
    Ranges,
    blend,
    box,
    branch,
    bump,
    color,
    cover,
    ellipse,
    paint,
    sign,
)

IDENTITY: Ranges = {
    "face_width": (0.68, 0.84),
    "jaw_width": (0.55, 0.9),  # of face_width
    "jaw_round": (0.5, 1.0),
    "chin": (0.92, 1.1),
    "skin": (0.0, 1.0),
    "ears": (0.06, 0.18),
    "hair_tone": (0.0, 1.0),
    "hair_side": (0.06, 0.2),
    "hair_top": (0.06, 0.22),
    "hair_length": (-0.5, 1.5),
    "hair_part": (-0.5, 0.5),
    "hair_sweep": (-0.5, 0.5),
    "hairline": (-0.72, -0.44),
    "hairline_bend": (-0.3, 0.7),
    "curls": (-0.1, 0.1),
    "bald": (0.0, 1.0),
    "eye_spacing": (0.3, 0.4),
    "eye_height": (-0.07, 0.09),
    "eye_width": (0.16, 0.22),
    "eye_open": (0.095, 0.14),
    "eye_slant": (-0.25, 0.25),
    "eye_tone": (0.0, 1.0),
    "brow_gap": (0.21, 0.32),
    "brow_thick": (0.03, 0.08),
    "brow_slant": (-0.3, 0.25),
    "brow_bend": (0.0, 1.5),
    "brow_skew": (-0.04, 0.04),
    "nose_length": (0.32, 0.48),
    "nose_width": (0.1, 0.2),
    "nose_bend": (-0.06, 0.06),
    "mouth_gap": (0.21, 0.3),
    "mouth_width": (0.22, 0.38),
    "mouth_skew": (-0.1, 0.1),
    "upper_lip": (0.03, 0.08),
    "lower_lip": (0.05, 0.11),
    "lip_red": (0.15, 0.8),
    "cheeks": (0.0, 0.28),
    "beard": (-3.5, 1.0),  # worn above 0
    "mustache": (-4.0, 1.0),
    "glasses": (-4.0, 1.0),
    "lens": (0.2, 0.27),
    "mole": (-4.0, 1.0),
    "mole_x": (-0.5, 0.5),
    "mole_y": (0.2, 0.75),
}

OCCASION: Ranges = {
    "x": (-0.17, 0.17),
    "y": (-0.15, 0.1),
    "scale": (0.52, 0.74),
    "tilt": (-0.04, 0.04),  # turns
    "yaw": (-0.4, 0.4),
    "pitch": (-0.19, 0.19),
    "light_x": (-1.1, 1.1),
    "light_y": (-1.0, 0.3),
    "contrast": (0.25, 0.95),
    "tan": (-0.15, 0.15),  # along SKIN
    "bleach": (-0.17, 0.17),  # along HAIR
    "hair_growth": (-0.2, 0.2),
    "hair_lift": (-0.06, 0.06),
    "smile": (-0.06, 0.12),
    "mouth_open": (-0.06, 0.1),
    "brow_raise": (-0.05, 0.07),
    "eyelids": (0.6, 1.1),
    "gaze": (-0.055, 0.055),
    "throat": (0.12, 0.52),
}

SKIN = [
    (248, 219, 196),
    (235, 192, 160),
    (217, 163, 124),
    (184, 125, 88),
    (136, 88, 60),
    (98, 63, 46),
]
HAIR = [
    (30, 25, 26),
    (58, 38, 28),
    (98, 62, 38),
    (142, 76, 40),
    (176, 128, 74),
    (214, 182, 122),
    (176, 172, 168),
]
IRIS = [(62, 40, 26), (98, 66, 36), (88, 108, 62), (84, 128, 150), (110, 122, 132)]


@dataclass(frozen=True)
class Sitting:
    """Faces being painted, and the coordinates in which their parts are described."""

    canvas: Array  # (image, channel, height, width), 0..1
    who: Numbers
    now: Numbers
    x: Array  # in the picture's plane, upright with the head
    y: Array
    u: Array  # on the front of the turned head
    v: Array
    z: Array  # 1 in the middle of the head, 0 outside
    edge: Array  # a pixel's width
    light: Array  # 1 where the light falls neither full nor flat
    skin: Array  # colors (image, channel, 1, 1)
    hair: Array


def draw(
    categories: npt.NDArray[np.integer],
    index: npt.NDArray[np.integer],
    *,
    size: int = 32,
    seed: int = 0,
) -> Images:
    """Faces (image, channel, height, width), RGB 0..255, of category and example numbers (image,).

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
    """A person's name a category; another seed draws other people.

    >>> category_names(3)
    ['pasi-000', 'vomuka-001', 'tetofa-002']
    """
    letters = drawing.branch(drawing.keys(seed, np.arange(categories)), "name")
    return [f"{_spell(int(word))}-{category:03d}" for category, word in enumerate(letters)]


def _spell(word: int) -> str:
    """Two or three syllables that a number picks."""
    syllables = [
        consonant + vowel
        for consonant, vowel in zip(
            _digits(word, "bdfgjklmnprstvz"), _digits(word >> 32, "aeiou"), strict=True
        )
    ]
    return "".join(syllables[: 2 + word % 2])


def _digits(word: int, alphabet: str) -> list[str]:
    """The last three digits of a number in the base of an alphabet."""
    return [alphabet[word // len(alphabet) ** place % len(alphabet)] for place in range(3)]


def _render(identity: Keys, occasion: Keys, size: int) -> Array:
    """Colors (image, channel, height, width) in 0..1, painted from the back to the front."""
    sitting = _sit(identity, occasion, size)
    skull = _skull(sitting)
    _paint_hair_behind(sitting, skull)
    _paint_neck(sitting)
    _paint_clothes(sitting, occasion)
    _paint_head(sitting)
    _paint_nose(sitting)
    _paint_mouth(sitting)
    _paint_eyes(sitting)
    _paint_brows(sitting)
    _paint_hair_in_front(sitting, skull)
    _paint_glasses(sitting)
    return drawing.expose(sitting.canvas, occasion)


def _sit(identity: Keys, occasion: Keys, size: int) -> Sitting:
    """Who sits, how, before which background and in which light."""
    who, now = drawing.vary(identity, IDENTITY), drawing.vary(occasion, OCCASION)
    across, down = drawing.grid(size)
    x, y = drawing.rotate((across - now.x) / now.scale, (down - now.y) / now.scale, now.tilt)
    a, b = who.face_width * 1.12, 1.2
    nx, ny = x / a, y / b
    z = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0))
    length = np.sqrt(now.light_x * now.light_x + now.light_y * now.light_y + 1)
    lambert = np.clip((nx * now.light_x + ny * now.light_y + z) / length, -0.2, 1)
    # Few people have hair lighter than their skin.
    lightest = np.maximum(1 - 1.2 * who.skin, 0.12)
    hair_tone = np.clip((who.hair_tone + now.bleach) * lightest, 0, 1)
    return Sitting(
        canvas=drawing.backdrop(occasion, size),
        who=who,
        now=now,
        x=x,
        y=y,
        u=x - now.yaw * a * z,
        v=y - now.pitch * z,
        z=z,
        edge=drawing.edge_width(size) / now.scale,
        light=1 + now.contrast * (lambert - 0.72),
        skin=drawing.ramp(SKIN, np.clip(who.skin + now.tan, 0, 1)),
        hair=drawing.ramp(HAIR, hair_tone),
    )


def _lit(colors: Array, light: Array | float) -> Array:
    """Colors under the shading; shadows keep more red than blue."""
    loss = color(0.88, 1.0, 1.06)
    return colors * (1 + (np.asarray(light, np.float32)[..., None, :, :] - 1) * loss)


def _skull(sitting: Sitting) -> Array:
    """Distance to the outline of the hair on the skull, wavy where it curls."""
    who, now = sitting.who, sitting.now
    x, y = sitting.x - now.yaw * 0.1, sitting.y + 0.2
    rise = (who.hair_top + now.hair_lift) * (1 + who.hair_sweep * x)
    waves = drawing.sine(x * 2.6 + who.hair_part * 3) * drawing.sine(y * 2.3 + who.hair_sweep * 5)
    shape = ellipse(x, y, who.face_width + who.hair_side, 0.82 + rise)
    return np.where(who.bald < 0.06, 1, shape + waves * np.maximum(who.curls, 0))


def _hair_end(sitting: Sitting) -> Array:
    """Height down to which the hair reaches; only long hair grows between two sittings."""
    length = sitting.who.hair_length
    result: Array = length + sitting.now.hair_growth * (length > 0.3)
    return result


def _paint_hair_behind(sitting: Sitting, skull: Array) -> None:
    """Hair that is seen beside the neck, down to its length."""
    who, end = sitting.who, _hair_end(sitting)
    x = sitting.x - sitting.now.yaw * 0.1
    half = np.maximum((end + 0.5) / 2, 0.02)
    y = sitting.y - end + half
    fall = box(x, y, who.face_width + who.hair_side * 1.1, half, np.minimum(half, 0.3))
    long = (who.hair_length > 0.1) & (skull < 1)
    shape = np.where(long, blend(skull, fall, 0.3), skull)
    strands = drawing.sine(x * 3.5 + who.hair_part) * 0.06
    paint(sitting.canvas, _lit(sitting.hair, 0.62 + strands), cover(shape, sitting.edge))


def _paint_neck(sitting: Sitting) -> None:
    """The neck, in the chin's shadow at its top."""
    neck = box(sitting.x, sitting.y - 1.1, sitting.who.face_width * 0.52, 0.7, 0.1)
    shade = 0.72 + 0.2 * np.clip((sitting.y - sitting.who.chin) * 3, 0, 1)
    paint(sitting.canvas, _lit(sitting.skin, shade), cover(neck, sitting.edge))


def _paint_clothes(sitting: Sitting, occasion: Keys) -> None:
    """Shoulders in the clothes of the day, with a neckline and its trim."""
    x, y, edge = sitting.x, sitting.y, sitting.edge
    shoulders = ellipse(x, y - 2.15, sitting.who.face_width * 1.95, 0.92)
    neckline = ellipse(x, y - 1.12, 0.4, sitting.now.throat)
    folds = 0.95 + 0.25 * np.clip(x * sitting.now.light_x, -1, 1)
    cloth = drawing.muted_color(branch(occasion, "cloth"))
    paint(sitting.canvas, _lit(cloth, folds), cover(np.maximum(shoulders, -neckline), edge))
    trim = drawing.muted_color(branch(occasion, "trim"))
    seam = np.maximum(shoulders, np.abs(neckline) - 0.07)
    paint(sitting.canvas, _lit(trim, folds), cover(seam, edge))


def _outline(sitting: Sitting) -> Array:
    """Distance to the face's outline: a skull and a jaw, blended."""
    who, now = sitting.who, sitting.now
    skull = ellipse(sitting.x, sitting.y + 0.2, who.face_width, 0.82)
    half, high = who.face_width * who.jaw_width, (who.chin + 0.1) / 2
    drop = who.chin - high + np.maximum(now.mouth_open, 0) * 0.4
    corner = half * (0.35 + who.jaw_round * 0.64)
    jaw = box(sitting.x - now.yaw * 0.25, sitting.y - drop, half, high, corner)
    return blend(skull, jaw, 0.35)


def _paint_head(sitting: Sitting) -> None:
    """Ears and face, with hollow eye sockets, blush, beard and mole."""
    canvas, who, u, v = sitting.canvas, sitting.who, sitting.u, sitting.v
    side = np.abs(sitting.x + sitting.now.yaw * 0.18) - who.face_width * 0.97
    ear = ellipse(side, sitting.y - who.eye_height - 0.13, who.ears, 0.2)
    paint(canvas, _lit(sitting.skin, sitting.light * 0.88), cover(ear, sitting.edge))
    hollow = cover(ear + 0.075, sitting.edge) * 0.7
    paint(canvas, _lit(sitting.skin, sitting.light * 0.62), hollow)
    outline = _outline(sitting)
    face = cover(outline, sitting.edge)
    rim = 0.8 + 0.2 * np.clip(outline * -5, 0, 1)
    sockets = bump((np.abs(u) - who.eye_spacing) / 0.34) * bump((v - who.eye_height + 0.06) / 0.26)
    paint(canvas, _lit(sitting.skin, sitting.light * rim - sockets * 0.13), face)
    blush = bump((np.abs(u) - 0.42) / 0.26) * bump((v - 0.38) / 0.24)
    paint(canvas, color(0.85, 0.32, 0.28), blush * who.cheeks * face)
    _paint_beard(sitting, face)
    mole = cover(ellipse(u - who.mole_x, v - who.mole_y, 0.04, 0.04), sitting.edge)
    paint(canvas, sitting.skin * 0.3, mole * (who.mole > 0))


def _over_lips(sitting: Sitting) -> tuple[Array, Array]:
    """Height under the line between the lips, and the mouth's fullness along it, at most 1."""
    who, now = sitting.who, sitting.now
    ratio = sitting.u / (who.mouth_width * (1 + now.smile))
    fullness = 1 - ratio * ratio
    place = who.eye_height + who.nose_length + who.mouth_gap
    bend = now.smile * (fullness - 0.4) + who.mouth_skew * sitting.u
    return sitting.v - place - bend, np.maximum(fullness, 0)


def _paint_beard(sitting: Sitting, face: Array) -> None:
    """A full beard or stubble under a line from ear to ear but for the lips, and a mustache."""
    who, u = sitting.who, sitting.u
    height, _ = _over_lips(sitting)
    tone = _lit(sitting.hair, sitting.light * 0.85)
    lips = cover(ellipse(u, height, who.mouth_width * 0.95, 0.12), 0.1)
    below = cover(0.12 - u * u * 0.9 - height, 0.16) * (1 - lips) * face
    paint(sitting.canvas, tone, below * np.clip(who.beard, 0, 0.9))
    mustache = ellipse(u, height + 0.12 - u * u * 0.7, who.mouth_width, 0.065)
    paint(sitting.canvas, tone, cover(mustache, sitting.edge) * np.clip(who.mustache * 2, 0, 1))


def _paint_nose(sitting: Sitting) -> None:
    """A light ridge, a flank in the shade, and nostrils."""
    canvas, who, v = sitting.canvas, sitting.who, sitting.v
    tip = who.eye_height + who.nose_length
    down = np.clip((v - who.eye_height) / who.nose_length, 0, 1)
    u = sitting.u - (who.nose_bend + sitting.now.yaw * 0.12) * down
    length = bump((v - tip + who.nose_length / 2) / (who.nose_length * 0.75))
    dark = sitting.skin * color(0.55, 0.45, 0.42)
    flank = u + sign(sitting.now.light_x) * who.nose_width * (0.45 + 0.55 * down)
    paint(canvas, dark, bump(flank / 0.13) * length * 0.5)
    shine = np.minimum(_lit(sitting.skin, sitting.light) * 1.22, 1)
    paint(canvas, shine, bump(u / 0.1) * length * 0.45)
    below = ellipse(u, v - tip - 0.01, who.nose_width, 0.05)
    paint(canvas, dark, cover(below, sitting.edge * 1.3) * 0.7)
    nostrils = ellipse(np.abs(u) - who.nose_width * 0.55, v - tip, who.nose_width * 0.3, 0.032)
    paint(canvas, dark * 0.45, cover(nostrils, sitting.edge))


def _paint_mouth(sitting: Sitting) -> None:
    """Two lips, and between them a dark line or teeth."""
    canvas, who, edge = sitting.canvas, sitting.who, sitting.edge
    height, fullness = _over_lips(sitting)
    within = fullness > 0
    gap = np.maximum(sitting.now.mouth_open, 0) * fullness
    pale = sitting.skin * 0.8
    lips = pale + (color(0.72, 0.24, 0.26) - pale) * who.lip_red[:, None]
    upper = np.maximum(-height - gap - who.upper_lip * fullness, height)
    lower = np.maximum(height - gap - who.lower_lip * fullness, -height)
    paint(canvas, _lit(lips, sitting.light * 0.8), cover(upper, edge) * within)
    paint(canvas, _lit(lips, sitting.light), cover(lower, edge) * within)
    dark = cover(np.abs(height) - gap - 0.012, edge) * bump(0.85 * (1 - fullness))
    paint(canvas, color(0.25, 0.06, 0.07), dark)
    teeth = np.maximum(-height - gap + 0.01, height + gap * 0.1)
    white = _lit(color(0.93, 0.91, 0.87), sitting.light)
    paint(canvas, white, cover(teeth, edge) * (gap > 0.02))


def _around_eyes(sitting: Sitting) -> tuple[Array, Array]:
    """Coordinates around the nearer eye: outwards to the temple, and down, along its slant."""
    who = sitting.who
    out = np.abs(sitting.u) - who.eye_spacing
    return out, sitting.v - who.eye_height + who.eye_slant * out


def _paint_eyes(sitting: Sitting) -> None:
    """White, iris, pupil and glint between the lids, lashes and the lid's crease."""
    canvas, who, now, edge = sitting.canvas, sitting.who, sitting.now, sitting.edge
    out, down = _around_eyes(sitting)
    ratio = out / who.eye_width
    fullness = np.maximum(1 - ratio * ratio, 0)
    lid = who.eye_open * now.eyelids * fullness
    opening = cover(np.maximum(-down - lid, down - lid * 0.8), edge) * (fullness > 0)
    paint(canvas, _lit(color(0.95, 0.94, 0.92), np.minimum(sitting.light, 1)), opening)
    gaze = out * sign(sitting.u) - now.gaze
    iris = cover(ellipse(gaze, down, 0.088, 0.095), edge) * opening
    paint(canvas, drawing.ramp(IRIS, who.eye_tone), iris)
    pupil = cover(ellipse(gaze, down, 0.045, 0.048), edge) * opening
    paint(canvas, color(0.05, 0.04, 0.04), pupil)
    glint = ellipse(gaze - 0.03 * sign(now.light_x), down + 0.03, 0.022, 0.022)
    paint(canvas, color(1, 1, 1), cover(glint, edge) * opening)
    lashes = cover(np.abs(down + lid) - 0.018, edge) * bump(0.9 * (1 - fullness)) * (fullness > 0)
    paint(canvas, sitting.skin * 0.22, lashes)
    crease = cover(np.abs(down + lid + 0.06) - 0.008, edge) * fullness * 0.5
    paint(canvas, sitting.skin * 0.5, crease)


def _paint_brows(sitting: Sitting) -> None:
    """Strokes over the eyes that thin out to the temples; one may sit higher than the other."""
    who, now = sitting.who, sitting.now
    out, _ = _around_eyes(sitting)
    lift = who.brow_gap + now.brow_raise + who.brow_skew * sign(sitting.u)
    bend = who.brow_slant * out - who.brow_bend * np.maximum(out, 0) * out
    thick = who.brow_thick * np.clip(1.25 - out * 1.4, 0, 1)
    height = np.abs(sitting.v - who.eye_height + lift + bend) - thick
    shape = np.maximum(height, np.abs(out) - 0.25)
    paint(sitting.canvas, sitting.hair * 0.6, cover(shape, sitting.edge) * 0.92)


def _paint_hair_in_front(sitting: Sitting, skull: Array) -> None:
    """Hair over the forehead down to a parted hairline, and beside the face to its end."""
    who = sitting.who
    aside = sitting.u - who.hair_part
    line = (
        who.hairline
        - sitting.now.hair_lift
        + who.hair_sweep * aside * 0.6
        + who.hairline_bend * aside * aside
    )
    temple = np.maximum(np.abs(sitting.u) - who.face_width * 0.72, 0)
    line = np.minimum(line + temple * temple * 60, np.maximum(_hair_end(sitting), -0.05))
    shape = np.maximum(skull, (sitting.v - line) * 0.7)
    combed = aside * 2.2 + sitting.v * who.hair_sweep * 3
    strands = drawing.sine(combed) * drawing.sine(combed * 2.3 + who.hair_top) * 0.1
    gloss = bump((sitting.v + 0.78) / 0.22) * sitting.z * 0.28
    light = sitting.light * (0.95 + strands) + gloss
    paint(sitting.canvas, _lit(sitting.hair, light), cover(shape, sitting.edge))


def _paint_glasses(sitting: Sitting) -> None:
    """A dark frame around each eye, its bridge, and a little shine."""
    who = sitting.who
    down = sitting.v - who.eye_height - 0.02
    lens = box(np.abs(sitting.u) - who.eye_spacing, down, who.lens, who.lens * 0.75, 0.12)
    bridge = np.maximum(np.abs(down + 0.05) - 0.02, np.abs(sitting.u) - who.eye_spacing + who.lens)
    frame = cover(np.minimum(np.abs(lens) - 0.03, bridge), sitting.edge)
    worn = who.glasses > 0
    paint(sitting.canvas, color(0.12, 0.1, 0.1), frame * worn)
    paint(sitting.canvas, color(1, 1, 1), cover(lens, sitting.edge) * worn * 0.12)
