"""The numbers of a drawing, a row each: what it is of, where it stands, and its value.

Of a violin the row holds what summarizes it: count, extent, quartiles. An interval that is not known is
NaN; `networks` is how many a value is the mean of.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from invtool.plots.density import summary
from invtool.plots.panels import (
    Drawing,
    Film,
    Gallery,
    Lines,
    Map,
    Maps,
    Matrix,
    Scatter,
    Spread,
    Track,
    Violins,
)

Row = dict[str, Any]


def rows(drawing: Drawing) -> list[Row]:
    """Every number that is drawn, or summarized, in tidy rows with the same columns.

    >>> from invtool.plots.panels import Line, Plane, Point
    >>> line = Line("across", [Point(5, 0.2, 0.1, 0.3)], facts={"transform": "blur"})
    >>> rows(Lines([Plane("", [line])], [], place="seen_categories"))[0]["accuracy"]
    0.2
    """
    if isinstance(drawing, Violins):
        return list(_violins(drawing))
    if isinstance(drawing, Lines):
        return list(_lines(drawing))
    if isinstance(drawing, Spread):
        return list(_objects(drawing))
    if isinstance(drawing, Maps):
        return [row for panel in drawing.panels for row in _map(panel, drawing.place)]
    if isinstance(drawing, Film):
        return list(_track(drawing.track, drawing.place))
    if isinstance(drawing, Gallery):
        return list(_pictures(drawing))
    return list(_matrix(drawing) if isinstance(drawing, Matrix) else _scatter(drawing))


def _violins(drawing: Violins) -> Iterator[Row]:
    for panel in drawing.panels:
        for at, label in enumerate(panel.labels):
            for group, samples in panel.samples.items():
                found = summary(samples[at])
                yield {
                    **panel.facts,
                    drawing.column: label,
                    "group": group,
                    "n": found.n,
                    "undefined": found.undefined,
                    "low": found.low,
                    "quartile_1": found.first,
                    "median": found.median,
                    "quartile_3": found.third,
                    "high": found.high,
                }


def _lines(drawing: Lines) -> Iterator[Row]:
    for panel in drawing.panels:
        for line in panel.lines:
            for point in line.points:
                yield {
                    **line.facts,
                    drawing.place: point.place,
                    drawing.value: point.value,
                    "low": point.low,
                    "high": point.high,
                    "networks": len(point.each) or int(point.defined),
                }


def _matrix(drawing: Matrix) -> Iterator[Row]:
    for panel in drawing.panels:
        known = panel.intervals
        for r, facts in enumerate(panel.facts):
            for c, column in enumerate(panel.columns):
                low, high = (np.nan, np.nan) if known is None else known[r, c]
                value = float(panel.values[r, c])
                found = {drawing.column: column, drawing.value: value}
                yield {**facts, **found, "low": float(low), "high": float(high)}


def _scatter(drawing: Scatter) -> Iterator[Row]:
    for panel in drawing.panels:
        for dot in panel.dots:
            yield {**dot.facts, drawing.x: dot.x, drawing.y: dot.y}


def _objects(drawing: Spread) -> Iterator[Row]:
    for panel in drawing.panels:
        for name, (x, y), height in zip(panel.names, panel.center, panel.height, strict=True):
            found = {"x": float(x), "y": float(y), "height": float(height)}
            yield {"panel": panel.title, "category": name, **found}


def _map(panel: Map, place: str) -> Iterator[Row]:
    for name, values in zip(panel.names, panel.values, strict=True):
        facts = {**panel.facts, "image": name}
        yield from _track(Track(name, panel.places, values, facts=facts), place)


def _pictures(drawing: Gallery) -> Iterator[Row]:
    for name, texts in zip(drawing.rows, drawing.texts, strict=True):
        for column, text in zip(drawing.columns, texts, strict=True):
            yield {"row": name.replace("\n", ", "), "column": column, "told": text}


def _track(track: Track, place: str) -> Iterator[Row]:
    for at, value in zip(track.places.tolist(), track.values.tolist(), strict=True):
        yield {**track.facts, place: at, "probability": value}
