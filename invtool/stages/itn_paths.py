"""Transformations that grow from none along one path: single ones, and those that were learned.

A path is a straight line A(s) = [I 0] + s D, or a rotation. Its magnitude is what the matrix amounts to
in the unit that all paths of its part share: the mean way of a pixel, or the mean change of a value.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from invtool.measures import color_change, displacement, spatial_matrix
from invtool.measures.projection_loss import from_identity
from invtool.transforms.controllers import COLOR, SPACE

Matrix = NDArray[np.float64]
UNITS = {SPACE: "px", COLOR: "gray levels"}
FARTHEST = 128.0  # gray levels
LUMINANCE = (0.2989, 0.5870, 0.1140)
ALMOST = 0.95  # of the way to where nothing is left, as an image of no width
SINGLE_SPACE = {  # what changes of shift (px), rotation (degrees), scales and shear
    "shift right": (1, 0, 0, 0, 0, 0),
    "shift left": (-1, 0, 0, 0, 0, 0),
    "shift down": (0, 1, 0, 0, 0, 0),
    "shift up": (0, -1, 0, 0, 0, 0),
    "zoom out": (0, 0, 0, 1, 1, 0),
    "zoom in": (0, 0, 0, -1, -1, 0),
    "scale x out": (0, 0, 0, 1, 0, 0),
    "scale x in": (0, 0, 0, -1, 0, 0),
    "scale y out": (0, 0, 0, 0, 1, 0),
    "scale y in": (0, 0, 0, 0, -1, 0),
    "shear right": (0, 0, 0, 0, 0, -1),
    "shear left": (0, 0, 0, 0, 0, 1),
}
NEUTRAL = np.array([0.0, 0, 0, 1, 1, 0])


@dataclass(frozen=True)
class Path:
    """`at(magnitude)` is the matrix; magnitudes run to `most`. `start` is -1 of a single transformation."""

    name: str
    part: str
    at: Callable[[float], Matrix]
    most: float
    start: int = -1


def single_space(height: int, width: int) -> list[Path]:
    """Shifts, rotations, scales and shears, in both directions, up to half the frame."""
    farthest = min(height, width) / 2
    found = []
    for name, change in SINGLE_SPACE.items():
        end = 1.0 if name.endswith(" in") else np.inf
        direction = from_identity(spatial_matrix(NEUTRAL + np.array(change), height, width))
        unit = displacement(_plus(direction, 1), height, width)
        found.append(_straight(name, SPACE, direction, float(unit), farthest, end))
    half_turn = spatial_matrix(np.array([0.0, 0, 180, 1, 1, 0]), height, width)
    widest = float(displacement(half_turn, height, width))
    for name, sign in (("turn anticlockwise", 1.0), ("turn clockwise", -1.0)):

        def turned(magnitude: float, sign: float = sign) -> Matrix:
            degrees = sign * np.degrees(2 * np.arcsin(min(magnitude / widest, 1.0)))
            return np.asarray(spatial_matrix(np.array([0, 0, degrees, 1, 1, 0]), height, width))

        found.append(Path(name, SPACE, turned, min(widest, farthest)))
    return found


def single_color(colors: Matrix) -> list[Path]:
    """Brightness, gain, the way to gray and to turned channels, up to half the range; see `learned`."""
    channels = colors.shape[1]
    eye = np.eye(channels, channels + 1)
    white = np.zeros_like(eye)
    white[:, channels] = 1
    ways = {
        "brighter": (white, np.inf),
        "darker": (-white, np.inf),
        "more gain": (eye, np.inf),
        "less gain": (-eye, 1.0),
    }
    if channels == len(LUMINANCE):
        gray, turned = eye.copy(), eye.copy()
        gray[:, :channels] = LUMINANCE
        turned[:, :channels] = np.roll(np.eye(channels), 1, axis=1)
        ways |= {"toward gray": (gray - eye, 1.0), "channels turned": (turned - eye, 1.0)}
    return [
        _straight(name, COLOR, way, float(color_change(_plus(way, 1), colors)), FARTHEST, end)
        for name, (way, end) in ways.items()
    ]


def learned(name: str, part: str, matrix: Matrix, start: int, unit: float, farthest: float) -> Path:
    """The straight line from the identity through a matrix of that magnitude, and beyond."""
    return _straight(name, part, np.asarray(from_identity(matrix)), unit, farthest, np.inf, start)


def _straight(
    name: str,
    part: str,
    direction: Matrix,
    unit: float,
    farthest: float,
    end: float,
    start: int = -1,
) -> Path:
    """`unit` is the magnitude of the direction itself, `end` how often it may be gone."""
    limit = np.inf if np.isinf(end) else ALMOST * end * unit

    def at(magnitude: float) -> Matrix:
        return _plus(direction, magnitude / unit if unit else 0.0)

    return Path(name, part, at, min(farthest, limit) if unit else 0.0, start)


def _plus(direction: Matrix, times: float) -> Matrix:
    return np.eye(*direction.shape) + times * direction


def magnitudes(path: Path, count: int) -> Matrix:
    """From none to the farthest of the path, in `count` equal steps."""
    return np.linspace(0, path.most, count + 1)
