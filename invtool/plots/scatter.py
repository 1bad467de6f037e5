"""One number against another, a dot a network: invariance against accuracy.

A dot is the larger the more categories its network saw; what is told of all dots stands above them.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from invtool.plots import style
from invtool.plots.colors import FAINT
from invtool.plots.panels import PLAIN, Cloud, Page, Scatter

AREA = (14.0, 80.0)  # points squared, of the smallest and of the largest number


def draw(drawing: Scatter, page: Page = PLAIN) -> Figure:
    """Draw the panels side by side: x from 0 to 1, y in percent.

    >>> from invtool.plots.panels import Dot, Look
    >>> dot = Dot(0.5, 0.8, 10, Look(marker="o"))
    >>> draw(Scatter([Cloud("across", [dot])], [])).axes[0].get_title("left")
    'across'
    """
    if not drawing.panels or not any(panel.dots for panel in drawing.panels):
        raise ValueError("nothing to draw: no network has both numbers")
    numbers = sorted({dot.number or 0 for panel in drawing.panels for dot in panel.dots})
    with style.context(page.style):
        across = len(drawing.panels)
        labels = [label for label, _ in drawing.keys]
        width, _ = style.extent(page, 3.0 * across + 0.7, 0)
        size = style.extent(page, width, 3.6 + style.legend_height([*labels, "", ""], width))
        figure, axes = style.grid(across, size, across)
        for index, (panel, ax) in enumerate(zip(drawing.panels, axes, strict=True)):
            _dots(ax, panel, numbers[-1])
            inches = size[0] / across
            notes = "\n".join(style.heading(note, 1.2 * inches) for note in panel.notes)
            pad = style.pt(5 + 10.5 * (notes.count("\n") + 1) * bool(notes))
            ax.set_title(style.heading(panel.title, inches), loc="left", pad=pad)
            ax.annotate(
                notes,
                (0, 1),
                xycoords="axes fraction",
                xytext=(0, style.pt(3)),
                textcoords="offset points",
                fontsize=style.pt(7),
                va="bottom",
            )
            ax.set_xlabel(drawing.xlabel)
            if not index:
                ax.set_ylabel(drawing.ylabel)
        axes[0].set_ylim(-4, 104)
        keys = [style.key(label, look) for label, look in drawing.keys]
        style.annotate(figure, page.title, page.caption, [*keys, *_sizes(numbers)])
    return figure


def _dots(ax: Axes, panel: Cloud, most: int) -> None:
    for dot in panel.dots:
        ax.scatter(
            dot.x,
            100 * dot.y,
            s=_area(dot.number, most) * style.pt(1) ** 2,
            color=dot.look.color,
            marker=dot.look.marker or "o",
            alpha=0.85,
            edgecolor="white",
            linewidth=style.pt(0.5),
        )
    ax.set_xlim(-0.03, 1.03)
    ax.grid(visible=True, axis="both")


def _area(number: int | None, most: int) -> float:
    return AREA[0] + (AREA[1] - AREA[0]) * ((number or 0) / most if most else 0.5)


def _sizes(numbers: Sequence[int]) -> list[Line2D]:
    """Keys of the smallest and of the largest dot, if they differ."""
    return [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            color=FAINT,
            label=f"{number} seen categories",
            markersize=style.pt(_area(number, numbers[-1]) ** 0.5),
            markeredgecolor="white",
        )
        for number in dict.fromkeys((numbers[0], numbers[-1]))
        if numbers[0] < numbers[-1]
    ]
