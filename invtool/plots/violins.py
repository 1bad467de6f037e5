"""Violin plots: how a quantity is distributed among units, seen categories beside unseen ones.

Each half of a violin is the density of `density.density`, cut at the smallest and the largest value; both
halves of one violin have one scale, and the wider of them fills its column. A white dot marks the median, a
bar the quartiles. Equal values have no density and are drawn as a line.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from invtool.plots import style
from invtool.plots.colors import COLORS, DARK, FAINT, INK
from invtool.plots.density import Summary, Values, density, finite, summary
from invtool.plots.labels import count, shorten
from invtool.plots.panels import PLAIN, Page, Panel, Violins, groups_drawn, highest

HALF = 0.43  # of a column: the widest half of a violin
MOST = 40  # columns drawn as violins; more become a median line and its quartiles
POINTS = 120  # of an outline, enough for a smooth line at any size of print
EQUAL = 1e-6  # of the axis: values that differ by less are one value
SIDES = {"seen": -1, "unseen": 1}


def draw(drawing: Violins, page: Page = PLAIN) -> Figure:
    """Draw each panel's samples as violins: values upwards, columns from left to right.

    Seen and unseen are the left and the right half of one violin. Under each column stands the number of
    its values (seen | unseen, where they differ); a column without any says that it is empty. Without a
    width the figure grows with its columns, up to 12 inches.

    >>> panel = Panel("blur", ["conv1", "fc"], {"all": [np.array([0.1, 0.4]), np.array([0.9, 1.0])]})
    >>> [axes.get_title("left") for axes in draw(Violins([panel])).axes]
    ['blur']
    """
    panels, limit = drawing.panels, drawing.limit
    groups = groups_drawn(panels)
    columns = max(len(panel.labels) for panel in panels)
    heading = max(len(line) for panel in panels for line in [*panel.title.splitlines(), ""])
    with style.context(page.style):
        widest = style.room(page) - 0.7
        each = min(max(0.46 * min(columns, MOST) + 0.35, 0.075 * heading, 1.7), widest)
        each *= style.tight(page)
        across = drawing.across or max(1, min(len(panels), int(widest / each)))
        rows = math.ceil(len(panels) / across)
        width, _ = style.extent(page, min(max(each * across, 2.7), widest) + 0.7, 0)
        room = (width - 0.7) / across / columns
        names = [[style.literal(n) for n in shorten(panel.labels, 24)] for panel in panels]
        turns = [style.turn(labels, room) for labels in names]
        size = style.extent(
            page, width, (2.3 * style.tight(page) + max(tall for *_, tall in turns)) * rows + 0.8
        )
        figure, axes = style.grid(len(panels), size, across)
        for index, (panel, ax) in enumerate(zip(panels, axes, strict=True)):
            step, turn, _ = turns[index]
            if len(panel.labels) > MOST:
                _bands(ax, panel, groups)
                numbers = 0
            else:
                _violins(ax, panel, groups, limit, drawing.empty)
                numbers = _number_columns(ax, panel, groups, room)
            style.name_columns(ax, names[index], step, turn, numbers)
            ax.set_title(style.heading(panel.title, width / across), loc="left")
            if index % across == 0:
                ax.set_ylabel(drawing.ylabel)
            if index + across >= len(panels):
                ax.set_xlabel(style.heading(drawing.xlabel, width / across))
        top = limit if drawing.whole else max(highest(panels), limit / 100)
        axes[0].set_ylim(-0.02 * top, 1.02 * top)
        keys = [] if groups == ["all"] else [style.patch(group) for group in groups]
        style.annotate(figure, page.title, page.caption, keys)
    return figure


def half(
    ax: Axes, values: Values, at: float, side: int, scale: float, color: str, limit: float
) -> None:
    """Draw one sample at column `at`: its left half (side -1), its right half (1) or both (0).

    `scale` is the density that fills the column's half. Without any value nothing is drawn.
    """
    found = summary(values)
    if not found.n:
        return
    left, right = min(side, 0) or -(side == 0), max(side, 0) or int(side == 0)
    if found.high - found.low <= EQUAL * limit:
        ends = [at + HALF * left, at + HALF * right]
        ax.plot(
            ends, [found.median] * 2, color=color, linewidth=style.pt(2.2), solid_capstyle="butt"
        )
    else:
        heights, thickness = _outline(values, found, limit)
        reach = HALF * thickness / scale
        ax.fill_betweenx(heights, at + left * reach, at + right * reach, color=color, linewidth=0)
    center = at + 0.07 * side
    ax.plot(
        [center] * 2,
        [found.first, found.third],
        color=INK,
        linewidth=style.pt(2),
        solid_capstyle="butt",
    )
    ax.plot(
        [center],
        [found.median],
        "o",
        color="white",
        markersize=style.pt(3.2),
        markeredgecolor=INK,
        markeredgewidth=style.pt(0.6),
    )


def _outline(values: Values, found: Summary, limit: float) -> tuple[Values, Values]:
    """Heights (position,) from the smallest to the largest value, and the density there (position,)."""
    heights = np.linspace(found.low, found.high, POINTS)
    positions, thickness = density(values, limit)
    return heights, np.interp(heights, positions, thickness)


def _violins(ax: Axes, panel: Panel, groups: Sequence[str], limit: float, empty: str) -> None:
    sides = SIDES if len(groups) > 1 else dict.fromkeys(groups, 0)
    for at in range(len(panel.labels)):
        samples = {group: finite(panel.samples[group][at]) for group in groups}
        spread = [s for s in samples.values() if s.size and np.ptp(s) > EQUAL * limit]
        scale = max((float(density(s, limit)[1].max()) for s in spread), default=1.0)
        for group, values in samples.items():
            half(ax, values, at, sides[group], scale, COLORS[group], limit)
        if not any(values.size for values in samples.values()):
            ax.text(
                at,
                0.5,
                empty,
                transform=ax.get_xaxis_transform(),
                rotation=90,
                ha="center",
                va="center",
                fontsize=style.pt(6.5),
                color=FAINT,
            )


def _bands(ax: Axes, panel: Panel, groups: Sequence[str]) -> None:
    places = np.arange(len(panel.labels))
    for group, dashes in zip(groups, ("-", "--"), strict=False):
        found = [summary(values) for values in panel.samples[group]]
        color = COLORS[group]
        lower, upper = [f.first for f in found], [f.third for f in found]
        ax.fill_between(places, lower, upper, color=color, alpha=0.3, linewidth=0)
        ax.plot(places, [f.median for f in found], dashes, color=color, linewidth=style.pt(1.3))


def _number_columns(ax: Axes, panel: Panel, groups: Sequence[str], room: float) -> int:
    """Under each column, the number of its values: a row for each group, one row if all agree."""
    rows = [[count(summary(values).n) for values in panel.samples[group]] for group in groups]
    colors = [DARK[group] for group in groups]
    if all(row == rows[0] for row in rows):
        rows, colors = rows[:1], [FAINT]
    if max(len(text) for row in rows for text in row) * 0.052 > room:
        return 0
    for line, (row, color) in enumerate(zip(rows, colors, strict=True)):
        corner: Any = {
            "xytext": (0, style.pt(-2.5 - 7 * line)),
            "textcoords": "offset points",
            "va": "top",
            "fontsize": style.pt(5.8),
            "color": color,
        }
        ax.annotate("n", (0, 0), xycoords="axes fraction", ha="right", **corner)
        for at, text in enumerate(row):
            ax.annotate(text, (at, 0), xycoords=ax.get_xaxis_transform(), ha="center", **corner)
    return len(rows)
