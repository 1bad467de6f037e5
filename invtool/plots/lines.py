"""Numbers against places: accuracy by seen categories, by strength or tau, invariance by layer.

A line joins the points of its series. Where a point is of several networks, it is their mean and each of
them is a tick; where it is of one, its interval is a bar with a cap at either end, or the area of a band.
"""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from invtool.plots import style
from invtool.plots.labels import shorten
from invtool.plots.panels import PLAIN, Lines, Look, Mark, Page, Plane, Point

WIDE = 40  # largest place over the smallest: beyond it the axis is logarithmic
MOST = 10  # places that each have a tick on a linear axis
STRIP = 0.24  # of the height of a panel: pictures above it
APART = 0.07  # of the axis: a place that is nearer to one on its left has no tick


def draw(drawing: Lines, page: Page = PLAIN) -> Figure:
    """Draw every panel; numbers from 0 to 1 are in percent where the drawing says so.

    >>> from invtool.plots.panels import Line
    >>> line = Line("across", [Point(5, 0.2), Point(50, 0.8, 0.7, 0.9)])
    >>> draw(Lines([Plane("blur", [line])], [("across", line.look)])).axes[0].get_ylabel()
    'top-1 accuracy (%)'
    """
    panels = drawing.panels
    if not panels or not all(panel.places() for panel in panels):
        raise ValueError("nothing to draw: a panel needs at least one place")
    names = [shorten([str(place) for place in panel.places()], 24) for panel in panels]
    named = any(isinstance(place, str) for panel in panels for place in panel.places())
    columns = max(map(len, names))
    with style.context(page.style):
        each = min(max(0.3 * columns + 0.4, 2.5), 6.0) if named else 2.5
        each = max(each, 4.0) if len(panels) == 1 else each
        each, tall_row = style.tight(page) * each, style.tight(page) * 2.2
        across = drawing.across or max(1, min(len(panels), 4, int((style.room(page) - 0.7) / each)))
        rows = math.ceil(len(panels) / across)
        width, _ = style.extent(page, each * across + 0.7, 0)
        turns = [style.turn(labels, (width - 0.7) / across / max(columns, 3.2)) for labels in names]
        tall = max(height for *_, height in turns) if named else 0.12
        legend = style.legend_height([label for label, _ in drawing.keys], width)
        tall += 0.35 * any(panel.samples for panel in panels) + 0.15 * any(p.xlabel for p in panels)
        size = style.extent(page, width, (tall_row + tall) * rows + 0.4 + legend)
        figure, axes = style.grid(len(panels), size, across, share=drawing.whole)
        for index, (panel, ax) in enumerate(zip(panels, axes, strict=True)):
            _panel(ax, panel, drawing)
            if named:
                step, angle, _ = turns[index]
                style.name_columns(ax, [style.literal(n) for n in names[index]], step, angle)
            elif drawing.wide:
                _scale(ax, panel)
            elif all(float(place).is_integer() for place in panel.places()):
                ax.xaxis.set_major_locator(style.whole_numbers())
            above = 1.04 + STRIP if panel.samples else None
            ax.set_title(style.heading(panel.title, width / across), loc="left", y=above)
            if panel.samples:
                _samples(ax, panel)
            if index % across == 0 or panel.ylabel:
                ax.set_ylabel(panel.ylabel or drawing.ylabel)
            if index + across >= len(panels) or panel.xlabel:
                xlabel = panel.xlabel or drawing.xlabel
                ax.set_xlabel(style.heading(xlabel, width / across))
            low, high = drawing.limits(panel)
            factor, margin = 100.0 if drawing.percent else 1.0, 0.02 * (high - low)
            ax.set_ylim((low - margin) * factor, (high + margin) * factor)
            if drawing.named:
                shared = {name for name, _ in drawing.keys}
                apart = [line for line in panel.lines if line.name not in shared]
                own = [style.key(shorten([line.name], 24)[0], line.look) for line in apart]
                ax.legend(handles=own, loc="best", fontsize=style.pt(6.5), handlelength=1.2)
        keys = [style.key(label, look) for label, look in drawing.keys]
        style.annotate(figure, page.title, page.caption, keys)
    return figure


def _panel(ax: Axes, panel: Plane, drawing: Lines) -> None:
    at = {place: i if isinstance(place, str) else place for i, place in enumerate(panel.places())}
    factor = 100.0 if drawing.percent else 1.0
    for mark in panel.marks:
        along: Any = {"color": mark.look.color, "linestyle": mark.look.dashes}
        along |= {"linewidth": style.pt(0.9), "zorder": 1}
        if mark.upright:
            ax.axvline(mark.at, **along)
            if mark.label:
                _label(ax, mark)
        else:
            ax.axhline(mark.at * factor, **along)
    for line in panel.lines:
        drawn = [point for point in line.points if point.defined]
        where = [float(at[point.place]) for point in drawn]
        apart = not drawing.band and any(isinstance(point.place, str) for point in drawn)
        ax.plot(
            where,
            [point.value * factor for point in drawn],
            linestyle="" if apart else line.look.dashes,
            marker=line.look.marker or None,
            color=line.look.color,
            markersize=style.pt(4),
            linewidth=style.pt(0.7 if line.look.faint else 1.4),
        )
        if drawing.band and len(drawn) > 1:
            low, high = _bounds(drawn, factor)
            alpha = max(0.16 / max(len(panel.lines) / 3, 1), 0.05)
            ax.fill_between(where, low, high, color=line.look.color, alpha=alpha, linewidth=0)
        else:
            _bars(ax, where, drawn, line.look, factor)


def _samples(ax: Axes, panel: Plane) -> None:
    """Pictures above the panel, each over its place."""
    spots = [sample.place for sample in panel.samples]
    room = (max(spots) - min(spots)) / max(len(spots) - 1, 1) or 1.0
    ends = [float(place) for place in panel.places()]
    low, high = min(*ends, spots[0] - room / 2), max(*ends, spots[-1] + room / 2)
    ax.set_xlim(low, high)
    for sample in panel.samples:
        left, wide = (sample.place - room / 2 - low) / (high - low), room / (high - low)
        beside = ax.inset_axes((left + 0.004, 1.02, wide - 0.008, STRIP))
        pixels: Any = sample.pixels
        gray = pixels.shape[-1] == 1
        beside.imshow(pixels[..., 0] if gray else pixels, cmap="gray" if gray else None)
        beside.set_anchor("S")
        beside.axis("off")


def _label(ax: Axes, mark: Mark) -> None:
    ax.annotate(
        style.literal(mark.label),
        (mark.at, 1),
        (style.pt(2), style.pt(-1)),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        va="top",
        fontsize=style.pt(6.5),
        color=mark.look.color,
    )


def _bounds(points: Sequence[Point], factor: float) -> tuple[list[float], list[float]]:
    """Lower and upper ends, those of a point without interval being the point itself."""
    low = [(p.value if math.isnan(p.low) else p.low) * factor for p in points]
    high = [(p.value if math.isnan(p.high) else p.high) * factor for p in points]
    return low, high


def _bars(
    ax: Axes, where: Sequence[float], points: Sequence[Point], look: Look, factor: float
) -> None:
    low, high = _bounds(points, factor)
    for x, point, bottom, top in zip(where, points, low, high, strict=True):
        if top > bottom:
            ticks = sorted(factor * number for number in point.each) or [bottom, top]
            ax.plot(
                [x] * len(ticks),
                ticks,
                "-_",
                color=look.color,
                markersize=style.pt(5),
                linewidth=style.pt(0.8),
            )


def _scale(ax: Axes, panel: Plane) -> None:
    """Ticks at the places; an axis that is logarithmic, and has a 0, where they lie far apart."""
    places = [float(place) for place in panel.places()]
    counts = [place for place in places if place > 0]
    if counts and max(counts) > WIDE * min(counts):
        ax.set_xscale("symlog", linthresh=min(counts))
        ax.minorticks_off()
    elif len(places) > MOST:
        return
    at = ax.transData.transform([(place, 0) for place in places])[:, 0]
    apart = APART * (max(at) - min(at))
    kept: list[int] = []
    for i, x in enumerate(at):
        if all(abs(x - at[other]) >= apart for other in kept):
            kept.append(i)
    ax.set_xticks([places[i] for i in kept], [f"{places[i]:g}" for i in kept], minor=False)
