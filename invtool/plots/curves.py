"""Accuracy against the number of seen categories: within them and across to the others.

Within is the top-1 accuracy on transformed images of seen categories, across that of unseen ones. A line
joins the means of the networks at one place; each network is a dot.
"""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from invtool.plots import style
from invtool.plots.panels import Curves, shorten

LOOKS: dict[str, tuple[str, str, Any, str]] = {
    "within": ("transformed, seen categories (within)", style.COLORS["seen"], "-", "o"),
    "across": ("transformed, unseen categories (across)", style.COLORS["unseen"], "-", "s"),
    "all": ("transformed", style.COLORS["all"], "-", "^"),
    "clean": ("untransformed", style.FAINT, "--", "D"),
}
WIDE = 40  # largest number of seen categories over the smallest: beyond it the axis is logarithmic


def accuracy(
    panels: Sequence[Curves],
    *,
    categories: int | None = None,
    xlabel: str = "",
    title: str = "",
    caption: str = "",
    width: float | None = None,
    height: float | None = None,
) -> Figure:
    """Draw the series `within`, `across`, `all` and `clean`, accuracies from 0 to 1, in percent.

    With `categories`, a dotted line marks chance, 1 / categories. `width` and `height` are inches.

    >>> panel = Curves("blur", [5, 50], {"within": [1.0, 0.9], "across": [0.2, 0.8]})
    >>> accuracy([panel]).axes[0].get_ylabel()
    'top-1 accuracy (%)'
    """
    if not panels or not all(panel.places for panel in panels):
        raise ValueError("nothing to draw: a panel needs at least one place")
    across = min(len(panels), 4)
    rows = math.ceil(len(panels) / across)
    width = width or max(2.5 * across + 0.7, 4.2)
    with matplotlib.rc_context(style.STYLE):
        figure, axes = style.grid(len(panels), width, height or 2.2 * rows + 1.1, across)
        for index, (panel, ax) in enumerate(zip(panels, axes, strict=True)):
            _curves(ax, panel, (width - 0.7) / across)
            if categories:
                ax.axhline(100 / categories, color=style.FAINT, linestyle=":", linewidth=0.9)
            ax.set_title(style.heading(panel.title, width / across), loc="left")
            if index % across == 0:
                ax.set_ylabel("top-1 accuracy (%)")
            if index + across >= len(panels):
                ax.set_xlabel(xlabel)
        axes[0].set_ylim(-2, 102)
        style.annotate(figure, title, caption, _keys(panels, categories))
    return figure


def _curves(ax: Axes, panel: Curves, room: float) -> None:
    named = any(isinstance(place, str) for place in panel.places)
    for name in panel.series:
        _, color, dashes, marker = LOOKS[name]
        found = panel.at(name)
        spots = [i if isinstance(place, str) else place for i, place in enumerate(found)]
        drawn = [(x, numbers) for x, numbers in zip(spots, found.values(), strict=True) if numbers]
        means = [100 * sum(numbers) / len(numbers) for _, numbers in drawn]
        ax.plot(
            [x for x, _ in drawn],
            means,
            linestyle="" if named else dashes,
            marker=marker,
            color=color,
            markersize=4,
            linewidth=1.4,
        )
        for x, numbers in drawn:
            each = [100 * number for number in numbers]
            ax.plot([x] * len(each), each, "-_", color=color, markersize=5, linewidth=0.8)
    if named:
        labels = shorten([str(place) for place in found], 24)
        step, angle, _ = style.turn(labels, room / max(len(labels), 3.2))
        style.name_columns(ax, [style.literal(label) for label in labels], step, angle)
        return
    counts = [int(place) for place in panel.places if int(place) > 0]
    if counts and max(counts) > WIDE * min(counts):
        ax.set_xscale("symlog", linthresh=min(counts))
        ticks = sorted({int(place) for place in panel.places})
        ax.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
        ax.minorticks_off()


def _keys(panels: Sequence[Curves], categories: int | None) -> list[Line2D]:
    names = dict.fromkeys(name for panel in panels for name in panel.series)
    keys = [
        Line2D([], [], label=text, color=color, linestyle=dashes, marker=marker, markersize=4)
        for text, color, dashes, marker in (LOOKS[name] for name in names)
    ]
    if categories:
        keys.append(Line2D([], [], label="chance", color=style.FAINT, linestyle=":"))
    return keys
