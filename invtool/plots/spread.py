"""Where objects stand in their images, and how high they are: centers beside a histogram of heights.

Few objects are dots, many a density, the darker the more objects, in equal steps for equal factors.
The image is drawn as it hangs: its upper edge is above.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from invtool.plots import style
from invtool.plots.colors import COLORS, INK
from invtool.plots.matrix import SHADES
from invtool.plots.panels import PLAIN, Objects, Page, Spread

MANY = 2000  # objects that are drawn as a density
GRID = 41  # cells a side of a density: the middle is in one
COLUMN = 3  # panels below each other, before others stand beside them
COLOR = COLORS["seen"]


def draw(drawing: Spread, page: Page = PLAIN) -> Figure:
    r"""Draw two pairs of axes a panel; as many panels side by side as there is room for.

    >>> figure = draw(Spread([Objects("dog", np.array([[0.5, 0.4]]), np.array([0.8]), "p", "q")]))
    >>> [axes.get_title("left") for axes in figure.axes]
    ['dog\np', 'q']
    """
    if not any(len(panel.height) for panel in drawing.panels):
        raise ValueError("nothing to draw: no object")
    count = len(drawing.panels)
    with style.context(page.style):
        wide, high = 5.6 * style.tight(page), 2.7 * style.tight(page)
        pairs = max(1, min(-(-count // COLUMN), int(style.room(page) / wide)))
        size = style.extent(page, wide * pairs, high * -(-count // pairs) + 0.4)
        figure, axes = style.grid(2 * count, size, 2 * pairs, share=False)
        inches = size[0] / (2 * pairs)
        for at, panel in enumerate(drawing.panels):
            places, heights = axes[2 * at], axes[2 * at + 1]
            _centers(places, panel)
            _heights(heights, panel, drawing.bins)
            told = f"{panel.title}\n{panel.position}"
            places.set_title(style.heading(told, inches), loc="left")
            heights.set_title(style.heading(panel.size, inches), loc="left")
        style.annotate(figure, page.title, page.caption, [])
    return figure


def _centers(ax: Axes, panel: Objects) -> None:
    x, y = panel.center[:, 0], panel.center[:, 1]
    if len(x) > MANY:
        counts, _, _ = np.histogram2d(y, x, GRID, ((0, 1), (0, 1)))
        extent = (0.0, 1.0, 1.0, 0.0)
        shades = np.log1p(counts)
        ax.imshow(shades, cmap=SHADES, vmin=0, extent=extent, interpolation="nearest")
        ax.grid(visible=False)
    else:
        faint = min(1.0, max(0.25, 8 / max(len(x), 1) ** 0.5))
        ax.scatter(x, y, s=style.pt(2.2) ** 2, color=COLOR, alpha=faint, linewidth=0)
        ax.grid(visible=True, axis="both")
    ax.spines[:].set_visible(True)
    ax.set(xlim=(0, 1), ylim=(1, 0), aspect="equal")
    ax.set_xticks([0, 0.5, 1])
    ax.set_yticks([0, 0.5, 1])
    ax.set_xlabel("center, from the left (image widths)")
    ax.set_ylabel("center, from the top\n(image heights)")


def _heights(ax: Axes, panel: Objects, bins: int) -> None:
    counts, edges = np.histogram(panel.height, bins, (0, 1))
    shares = 100 * counts / max(len(panel.height), 1)
    ax.bar(edges[:-1], shares, np.diff(edges), align="edge", color=COLOR, edgecolor="white")
    ax.axhline(100 / bins, color=INK, linestyle="--", linewidth=style.pt(1))
    ax.set_xlim(0, 1)
    ax.set_xlabel("height (image heights)")
    ax.set_ylabel("share of the boxes (%)")
