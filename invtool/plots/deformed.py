"""Images under a deformation, a row an image: the points that move, the field, and what comes of it.

An arrow's tip is a pixel of the result and its tail the place in the image that the pixel shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from invtool.plots import style
from invtool.plots.colors import FAINT, INK, MANY
from invtool.plots.labels import shorten
from invtool.plots.panels import PLAIN, Page

TITLES = ("control points, their sources", "smoothed field", "field over the image", "result")
READING = "An arrow leads from where a pixel is read to where it is shown."
PANEL = 2.3  # inches
ARROWS = 18  # along the longer side
POINT, SOURCE = MANY[0], MANY[1]


@dataclass(frozen=True)
class Deformed:
    """One image, its control points and the field through them; lengths in pixels, axes (y, x).

    before, after: (height, width, channel) of 8 bits
    point, displacement: (point, axis), places and how far away the source of each lies
    field: (height, width, axis)
    """

    name: str
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    point: NDArray[Any]
    displacement: NDArray[Any]
    field: NDArray[Any]


def draw(images: Sequence[Deformed], caption: str = "", page: Page = PLAIN) -> Figure:
    """Draw four panels an image, all of them to the same scale.

    >>> flat, point = np.zeros((4, 6, 1), np.uint8), np.array([[0.0, 0.0], [3.0, 5.0]])
    >>> one = Deformed("a", flat, flat, point, 0 * point, np.zeros((4, 6, 2)))
    >>> [axes.get_title() for axes in draw([one]).axes][1:]
    ['smoothed field', 'field over the image', 'result']
    """
    with style.context(page.style):
        tall = [image.before.shape[0] / image.before.shape[1] for image in images]
        size = style.extent(page, 4 * PANEL, sum(tall) * PANEL + 0.5)
        figure = Figure(figsize=(style.pt(size[0]), style.pt(size[1])), layout="constrained")
        grid = figure.subplots(len(images), 4, squeeze=False, height_ratios=tall)
        names = shorten([image.name for image in images], 24)
        for axes, image, name in zip(grid, images, names, strict=True):
            points, smooth, over, result = axes
            for ax in axes:
                _frame(ax, image)
            points.set_ylabel(style.literal(name), color=FAINT)
            y, x = image.point.T
            points.plot(x, y, "o", color=POINT, markersize=style.pt(2.5))
            y, x = (image.point + image.displacement).T
            points.plot(x, y, "o", color=SOURCE, markersize=style.pt(2.5))
            _arrows(points, image.point, image.displacement, INK)
            lattice = _lattice(*image.field.shape[:2])
            shift = image.field[tuple(lattice.T)]
            _arrows(smooth, lattice, shift, INK)
            _show(over, image.before)
            _arrows(over, lattice, shift, SOURCE)
            _show(result, image.after)
        for ax, title in zip(grid[0], TITLES, strict=True):
            ax.set_title(title)
        style.annotate(figure, page.title, f"{READING} {caption}".strip(), [])
    return figure


def _frame(ax: Axes, image: Deformed) -> None:
    """Room for the image and every source, and the outline of the image."""
    height, width = image.field.shape[:2]
    source = image.point + image.displacement
    margin = 0.02 * max(height, width)  # for dots and heads of arrows
    low = np.minimum(source.min(0), -0.5) - margin
    high = np.maximum(source.max(0), (height - 0.5, width - 0.5)) + margin
    ax.set(xlim=(low[1], high[1]), ylim=(high[0], low[0]), aspect="equal", xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    outline = Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor="#DDDDDD", zorder=0)
    ax.add_patch(outline)


def _lattice(height: int, width: int) -> NDArray[np.int64]:
    """Evenly spaced pixels, centered, (place, axis)."""
    step = max(1, round(max(height, width) / ARROWS))
    lines = [np.arange((side - 1) % step // 2, side, step) for side in (height, width)]
    return np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)


def _arrows(ax: Axes, tip: NDArray[Any], shift: NDArray[Any], color: str) -> None:
    y, x = (tip + shift).T
    down, right = -shift.T
    scale: Any = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "inches"}
    width = style.pt(0.6) / 72
    ax.quiver(
        x, y, right, down, color=color, width=width, headwidth=4, headlength=4,
        headaxislength=3.5, minlength=0.5, zorder=3, **scale,
    )  # fmt: skip


def _show(ax: Axes, pixels: NDArray[np.uint8]) -> None:
    height, width = pixels.shape[:2]
    gray = pixels.shape[2] == 1
    ax.imshow(
        pixels[..., 0] if gray else pixels,
        cmap="gray" if gray else None,
        vmin=0,
        vmax=255,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )
