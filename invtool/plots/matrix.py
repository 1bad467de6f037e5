"""Heat maps with their numbers: accuracy by network and condition, shares of a confusion matrix.

A cell is the darker the larger its share, and its number is white where that reads better. A framed
cell is of note: the transform that a network was trained with.
"""

import math

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from invtool.plots import style
from invtool.plots.colors import INK
from invtool.plots.labels import shorten
from invtool.plots.panels import PLAIN, Cells, Matrix, Page

MIDDLE = 0.21  # luminance from which ink stands out more than white
SHADES = LinearSegmentedColormap.from_list("shares", ["#FFFFFF", "#C7DDEE", "#5B9DC9", "#0B3C66"])


def draw(drawing: Matrix, page: Page = PLAIN) -> Figure:
    """Draw every matrix with its rows named at the left and its columns below.

    >>> import numpy as np
    >>> cells = Cells("", ["blur net"], ["none", "blur"], np.array([[0.97, np.nan]]))
    >>> [text.get_text() for text in draw(Matrix([cells])).axes[0].texts]
    ['97', '-']
    """
    panels = drawing.panels
    if not panels or not all(panel.rows and panel.columns for panel in panels):
        raise ValueError("nothing to draw: a matrix needs at least one cell")
    lines = max((t.count("\n") + 1 for p in panels for row in p.written() for t in row), default=1)
    letters = max(
        len(part) for p in panels for r in p.written() for t in r for part in t.split("\n")
    )
    with style.context(page.style):
        cell = max(0.4, 0.08 * letters + 0.1), 0.24 + 0.14 * (lines - 1)
        rows, columns = (max(len(getattr(p, n)) for p in panels) for n in ("rows", "columns"))
        labels = [shorten(panel.columns, 26) for panel in panels]
        names = [shorten(panel.rows, 40) for panel in panels]
        left = 0.075 * max(len(name) for each in names for name in each) + 0.35
        heading = max(len(line) for panel in panels for line in [*panel.title.splitlines(), ""])
        each = max(cell[0] * columns + left, min(0.075 * heading, 3.5))
        across = max(1, min(len(panels), int(style.room(page) / each)))
        width, _ = style.extent(page, max(each * across + 0.2, 3.2), 0)
        turns = [style.turn(each, (width / across - left) / columns) for each in labels]
        tall = max(height for *_, height in turns)
        down = math.ceil(len(panels) / across)
        size = style.extent(page, width, (cell[1] * rows + tall + 0.6) * down + 0.7)
        figure, axes = style.grid(len(panels), size, across, share=False)
        for index, (panel, ax) in enumerate(zip(panels, axes, strict=True)):
            _cells(ax, panel)
            step, angle, _ = turns[index]
            style.name_columns(ax, [style.literal(label) for label in labels[index]], step, angle)
            ax.set_xlim(-0.5, len(panel.columns) - 0.5)
            ax.set_yticks(range(len(panel.rows)), [style.literal(name) for name in names[index]])
            ax.set_title(style.heading(panel.title, width / across), loc="left")
            if index % across == 0:
                ax.set_ylabel(drawing.ylabel)
            if index + across >= len(panels):
                ax.set_xlabel(style.heading(drawing.xlabel, width / across))
        style.annotate(figure, page.title, page.caption, [])
    return figure


def legible(share: float) -> str:
    """White or ink, whichever stands out more (by the contrast ratio of WCAG 2) from the shade of a share.

    >>> legible(0.1), legible(0.9), legible(float("nan"))
    ('#222222', 'white', '#222222')
    """
    paper = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in SHADES(share)[:3]]
    luminance = 0.2126 * paper[0] + 0.7152 * paper[1] + 0.0722 * paper[2]
    return "white" if not math.isnan(share) and luminance < MIDDLE else INK


def _cells(ax: Axes, panel: Cells) -> None:
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.imshow(panel.values, cmap=SHADES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for row, line in enumerate(panel.written()):
        for column, text in enumerate(line):
            color, size = legible(float(panel.values[row, column])), style.pt(7)
            ax.text(column, row, text, ha="center", va="center", color=color, fontsize=size)
    for row, column in panel.framed:
        corner = (column - 0.46, row - 0.44)
        ax.add_patch(
            Rectangle(corner, 0.92, 0.88, fill=False, edgecolor=INK, linewidth=style.pt(1))
        )
