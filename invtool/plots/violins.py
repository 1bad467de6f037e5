"""Violin plots: how a quantity is distributed among units, seen categories beside unseen ones.

Each half of a violin is the density of `density.density`, cut at the smallest and the largest value; both
halves of one violin have one scale, and the wider of them fills its column. A white dot marks the median, a
bar the quartiles. Equal values have no density and are drawn as a line.
"""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from invtool.plots import style
from invtool.plots.density import Summary, Values, density, finite, summary
from invtool.plots.panels import Panel, count, groups_drawn, highest, shorten

HALF = 0.43  # of a column: the widest half of a violin
MOST = 40  # columns drawn as violins; more become a median line and its quartiles
POINTS = 120  # of an outline, enough for a smooth line at any size of print
EQUAL = 1e-6  # of the axis: values that differ by less are one value
SIDES = {"seen": -1, "unseen": 1}


def violins(
    panels: Sequence[Panel],
    *,
    xlabel: str = "",
    ylabel: str = "invariance coefficient $I_k$ (0 to 1)",
    title: str = "",
    caption: str = "",
    empty: str = "no active unit",
    limit: float = 1.0,
    whole: bool = True,
    across: int | None = None,
    width: float | None = None,
    height: float | None = None,
) -> Figure:
    """Draw each panel's samples as violins: values in [0, limit] upwards, columns from left to right.

    Seen and unseen are the left and the right half of one violin. Under each column stands the number of
    its values (seen | unseen, where they differ); a column without any says `empty`. The axis shows all of
    [0, limit], or ends at the largest value if not `whole`. `across` panels stand in a row. `width` and
    `height` are inches; without them the figure grows with its columns, up to 12 inches.

    >>> panel = Panel("blur", ["conv1", "fc"], {"all": [np.array([0.1, 0.4]), np.array([0.9, 1.0])]})
    >>> [axes.get_title("left") for axes in violins([panel]).axes]
    ['blur']
    """
    groups = groups_drawn(panels)
    columns = max(len(panel.labels) for panel in panels)
    heading = max(len(line) for panel in panels for line in [*panel.title.splitlines(), ""])
    each = min(max(0.46 * min(columns, MOST) + 0.35, 0.075 * heading, 1.7), 10.5)
    across = across or max(1, min(len(panels), int(11.3 / each)))
    rows = math.ceil(len(panels) / across)
    width = width or min(max(each * across + 0.7, 3.4), 12.0)
    room = (width - 0.7) / across / columns
    names = [[style.literal(n) for n in shorten(panel.labels, 24)] for panel in panels]
    turns = [style.turn(labels, room) for labels in names]
    height = height or (2.3 + max(tall for *_, tall in turns)) * rows + 0.8
    with matplotlib.rc_context(style.STYLE):
        figure, axes = style.grid(len(panels), width, height, across)
        for index, (panel, ax) in enumerate(zip(panels, axes, strict=True)):
            step, turn, _ = turns[index]
            if len(panel.labels) > MOST:
                _bands(ax, panel, groups)
                numbers = 0
            else:
                _violins(ax, panel, groups, limit, empty)
                numbers = _number_columns(ax, panel, groups, room)
            style.name_columns(ax, names[index], step, turn, numbers)
            ax.set_title(style.heading(panel.title, width / across), loc="left")
            if index % across == 0:
                ax.set_ylabel(ylabel)
            if index + across >= len(panels):
                ax.set_xlabel(xlabel)
        top = limit if whole else max(highest(panels), limit / 100)
        axes[0].set_ylim(-0.02 * top, 1.02 * top)
        keys = [] if groups == ["all"] else [style.patch(group) for group in groups]
        style.annotate(figure, title, caption, keys)
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
        ax.plot(ends, [found.median] * 2, color=color, linewidth=2.2, solid_capstyle="butt")
    else:
        heights, thickness = _outline(values, found, limit)
        reach = HALF * thickness / scale
        ax.fill_betweenx(heights, at + left * reach, at + right * reach, color=color, linewidth=0)
    center = at + 0.07 * side
    ax.plot(
        [center] * 2,
        [found.first, found.third],
        color=style.INK,
        linewidth=2,
        solid_capstyle="butt",
    )
    ax.plot(
        [center],
        [found.median],
        "o",
        color="white",
        markersize=3.2,
        markeredgecolor=style.INK,
        markeredgewidth=0.6,
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
            half(ax, values, at, sides[group], scale, style.COLORS[group], limit)
        if not any(values.size for values in samples.values()):
            ax.text(
                at,
                0.5,
                empty,
                transform=ax.get_xaxis_transform(),
                rotation=90,
                ha="center",
                va="center",
                fontsize=6.5,
                color=style.FAINT,
            )


def _bands(ax: Axes, panel: Panel, groups: Sequence[str]) -> None:
    places = np.arange(len(panel.labels))
    for group, dashes in zip(groups, ("-", "--"), strict=False):
        found = [summary(values) for values in panel.samples[group]]
        color = style.COLORS[group]
        lower, upper = [f.first for f in found], [f.third for f in found]
        ax.fill_between(places, lower, upper, color=color, alpha=0.3, linewidth=0)
        ax.plot(places, [f.median for f in found], dashes, color=color, linewidth=1.3)


def _number_columns(ax: Axes, panel: Panel, groups: Sequence[str], room: float) -> int:
    """Under each column, the number of its values: a row for each group, one row if all agree."""
    rows = [[count(summary(values).n) for values in panel.samples[group]] for group in groups]
    colors = [style.DARK[group] for group in groups]
    if all(row == rows[0] for row in rows):
        rows, colors = rows[:1], [style.FAINT]
    if max(len(text) for row in rows for text in row) * 0.052 > room:
        return 0
    for line, (row, color) in enumerate(zip(rows, colors, strict=True)):
        corner: Any = {
            "xytext": (0, -2.5 - 7 * line),
            "textcoords": "offset points",
            "va": "top",
            "fontsize": 5.8,
            "color": color,
        }
        ax.annotate("n", (0, 0), xycoords="axes fraction", ha="right", **corner)
        for at, text in enumerate(row):
            ax.annotate(text, (at, 0), xycoords=ax.get_xaxis_transform(), ha="center", **corner)
    return len(rows)
