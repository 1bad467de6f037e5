"""What is drawn, before anyone decides how.

A drawing is panels and what they share. There are eight: `Violins` (distributions), `Lines` (numbers
against places), `Matrix` (a number a cell), `Scatter` (dots), `Spread` (where objects stand in their
images, and how high), `Maps` (images that move), `Film` (one of them) and `Gallery`
(pictures). Each is drawn by matplotlib,
as text, or given back as rows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from invtool.plots.colors import INK
from invtool.plots.density import Values, finite

COEFFICIENT = "invariance coefficient $I_k$ (0 to 1)"
MEDIAN = "median invariance coefficient $I_k$"
ACCURACY = "top-1 accuracy (%)"
NAN = math.nan
Facts = Mapping[str, Any]
"""What a part of a drawing is of, in the columns that exported rows begin with."""


@dataclass(frozen=True)
class Page:
    """The words around a drawing, its size in inches, and how large type and lines are."""

    title: str = ""
    caption: str = ""
    width: float | None = None  # None: as wide as what is drawn
    height: float | None = None
    style: str = "print"  # or slides


PLAIN = Page()


@dataclass(frozen=True)
class Panel:
    """One pair of axes: `samples[group][i]` is the sample (value,) of that group in column `labels[i]`.

    NaN stands for undefined. The groups `seen` and `unseen` are drawn as the left and the right half of
    one violin; a group that is alone is drawn whole.
    """

    title: str
    labels: Sequence[str]
    samples: Mapping[str, Sequence[Values]]
    facts: Facts = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group, columns in self.samples.items():
            if len(columns) != len(self.labels):
                raise ValueError(
                    f"{len(columns)} samples of '{group}' for {len(self.labels)} labels"
                )


@dataclass(frozen=True)
class Violins:
    """Distributions of values in [0, limit]; the axis ends at the largest value if not `whole`."""

    panels: Sequence[Panel]
    xlabel: str = ""
    ylabel: str = COEFFICIENT
    column: str = "column"  # what a label names, where rows are exported
    empty: str = "no active unit"
    limit: float = 1.0
    whole: bool = True
    across: int | None = None  # panels in a row


@dataclass(frozen=True)
class Look:
    """How a line is drawn; without a marker its places are not marked."""

    color: str = INK
    dashes: str = "-"
    marker: str = ""
    faint: bool = False


@dataclass(frozen=True)
class Point:
    """A number at a place: that of one network with its interval, or the mean and extent of several."""

    place: float | str
    value: float
    low: float = NAN
    high: float = NAN
    each: Sequence[float] = ()  # of several networks

    @property
    def defined(self) -> bool:
        return math.isfinite(self.value)


@dataclass(frozen=True)
class Line:
    """Points from left to right; an undefined one interrupts nothing and is left out."""

    name: str
    points: Sequence[Point]
    look: Look = Look()
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Mark:
    """A line across the whole panel: at a height, or where it stands upright, at a place.

    Places that are names count from 0. `label` is written at the upper end of an upright one.
    """

    at: float
    name: str
    look: Look
    upright: bool = False
    label: str = ""


@dataclass(frozen=True)
class Sample:
    """What the network saw at a place, (height, width, channel)."""

    place: float
    pixels: Values


@dataclass(frozen=True)
class Plane:
    """One pair of axes with lines, and pictures along its upper edge. Places are numbers, or all names."""

    title: str
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    ylabel: str = ""  # where it differs from that of the drawing
    xlabel: str = ""  # likewise
    samples: Sequence[Sample] = ()

    @property
    def limits(self) -> tuple[float, float]:
        """From 0, or the lowest number below it, to the highest number or end of an interval."""
        low, high = min(0.0, self.extent[0]), max(0.0, self.extent[1])
        return low, high if high > low else 1.0

    @property
    def extent(self) -> tuple[float, float]:
        """The lowest and the highest number or end of an interval; 0 where there is none."""
        points = [p for line in self.lines for p in line.points if p.defined]
        ends = [n for p in points for n in (p.value, p.low, p.high) if math.isfinite(n)]
        return min(ends, default=0.0), max(ends, default=0.0)

    def places(self) -> list[float | str]:
        """Every place, numbers in order, names as they come."""
        found = dict.fromkeys(p.place for line in self.lines for p in line.points)
        numbers = [place for place in found if not isinstance(place, str)]
        return sorted(numbers) if len(numbers) == len(found) else list(found)


@dataclass(frozen=True)
class Lines:
    """Numbers from 0 to 1 against places, with a key to how the lines look.

    If not `whole`, the axis of each panel ends at its own largest number; if `shared`, at that of all.
    """

    panels: Sequence[Plane]
    keys: Sequence[tuple[str, Look]]
    xlabel: str = ""
    ylabel: str = ACCURACY
    place: str = "place"  # what a place and a value are, where rows are exported
    value: str = "accuracy"
    percent: bool = True
    band: bool = False  # intervals are areas, not bars
    wide: bool = False  # places far apart take a logarithmic axis
    across: int | None = None  # panels in a row
    whole: bool = True
    shared: bool = False
    near: bool = False  # the axis begins at the lowest number, for numbers far from 0
    named: bool = False  # each panel has a key of its own to those of its lines that `keys` lacks

    def limits(self, panel: Plane) -> tuple[float, float]:
        """Ends of the axis of a panel.

        >>> low, high = (Plane("", [Line("", [Point("fc", value)])]) for value in (0.5, 2.0))
        >>> Lines([low, high], [], whole=False, shared=True).limits(low)
        (0.0, 2.0)
        """
        if self.whole:
            return 0.0, 1.0
        panels = self.panels if self.shared else [panel]
        ends = [each.extent if self.near else each.limits for each in panels]
        return min(low for low, _ in ends), max(high for _, high in ends)


@dataclass(frozen=True)
class Cells:
    """One matrix, (row, column), of shares from 0 to 1; NaN stays empty.

    `texts` are what the cells say instead of their number, `framed` are cells of note.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Values
    texts: Sequence[Sequence[str]] = ()
    framed: Sequence[tuple[int, int]] = ()
    facts: Sequence[Facts] = ()  # of each row
    intervals: Values | None = None  # (row, column, bound)

    def written(self) -> list[list[str]]:
        """What the cells say: whole percent, where they were given no text."""
        if self.texts:
            return [list(row) for row in self.texts]
        return [[_percent(float(value)) for value in row] for row in self.values]


@dataclass(frozen=True)
class Matrix:
    """Matrices of shares, each with its own rows and columns."""

    panels: Sequence[Cells]
    xlabel: str = ""
    ylabel: str = ""
    value: str = "accuracy"
    column: str = "column"


@dataclass(frozen=True)
class Dot:
    """A network: its two numbers, 0 to 1, and how many categories it saw, where that is known."""

    x: float
    y: float
    number: int | None
    look: Look
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Cloud:
    """One pair of axes with dots, and lines of text about them."""

    title: str
    dots: Sequence[Dot]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Scatter:
    """Dots whose size is their number, with a key to how they look."""

    panels: Sequence[Cloud]
    keys: Sequence[tuple[str, Look]]
    xlabel: str = ""
    ylabel: str = ACCURACY
    x: str = "x"
    y: str = "accuracy"


@dataclass(frozen=True)
class Objects:
    """Positions and sizes of objects, in units of their images, and lines of text about each."""

    title: str
    center: Values  # (object, axis), from the left and from the top
    height: Values  # (object,)
    position: str = ""  # said of the centers
    size: str = ""  # said of the heights
    names: Sequence[str] = ()  # category of each object


@dataclass(frozen=True)
class Spread:
    """Objects of each panel: their centers in the image beside a histogram of their heights."""

    panels: Sequence[Objects]
    bins: int = 20  # of the histogram


@dataclass(frozen=True)
class Track:
    """A probability along the places of one image, (place,), NaN where the image has none.

    `frames` is what the network saw, (place, height, width, channel), where it was kept.
    """

    title: str
    places: Values
    values: Values
    frames: Values | None = None
    facts: Facts = field(default_factory=dict)

    @property
    def shown(self) -> list[int]:
        """Numbers of the places that the image has."""
        return [int(at) for at in np.flatnonzero(np.isfinite(self.values))]

    @property
    def jump(self) -> tuple[int, ...]:
        """Numbers of the two neighboring places that differ most; none where no two are neighbors.

        >>> Track("", np.arange(4), np.array([0.1, np.nan, 0.9, 0.2])).jump
        (2, 3)
        """
        change = np.abs(np.diff(self.values))
        if not np.isfinite(change).any():
            return ()
        first = int(np.nanargmax(change))
        return first, first + 1


@dataclass(frozen=True)
class Map:
    """Probabilities (image, place), a row an image, and some of the images alone."""

    title: str
    places: Values
    values: Values
    names: Sequence[str]  # of the rows
    examples: Sequence[Track] = ()
    facts: Facts = field(default_factory=dict)

    @property
    def highest(self) -> float:
        """The largest value; 0 where there is none."""
        return float(np.nanmax(self.values, initial=0))

    def reduced(self, rows: int) -> Values:
        """At most so many rows, each the mean of neighboring ones; NaN where none has a value.

        >>> values = np.array([[0.9, np.nan], [0.7, np.nan], [0.1, 0.3], [0.3, np.nan]])
        >>> Map("", np.arange(2), values, list("abcd")).reduced(2).round(3).tolist()
        [[0.8, nan], [0.2, 0.3]]
        """
        parts = np.array_split(self.values, min(rows, len(self.values)))
        held = np.array([np.isfinite(part).sum(axis=0) for part in parts])
        sums = np.array([np.nansum(part, axis=0) for part in parts])
        return np.where(held > 0, sums / np.maximum(held, 1), np.nan)


@dataclass(frozen=True)
class Maps:
    """Maps of images that move, one below the other."""

    panels: Sequence[Map]
    xlabel: str = ""
    ylabel: str = "probability"
    place: str = "position"

    @property
    def limit(self) -> float:
        """Where the scale of the probabilities ends: at 1, or at the largest where that is small."""
        highest = max(panel.highest for panel in self.panels)
        return highest if 0 < highest < 0.5 else 1.0


@dataclass(frozen=True)
class Film:
    """One image that moves, beside its curve."""

    track: Track
    xlabel: str = ""
    ylabel: str = "probability"
    place: str = "position"


@dataclass(frozen=True)
class Gallery:
    """Pictures (row, column, height, width, channel) with names of rows and columns.

    `texts[row][column]` is told of a picture.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    pictures: Values
    texts: Sequence[Sequence[str]]


Drawing = Violins | Lines | Matrix | Scatter | Spread | Maps | Film | Gallery


def holds_any(drawing: Drawing) -> bool:
    """Whether there is anything to draw.

    >>> holds_any(Lines([Plane("", [Line("", [Point(5, NAN)])])], []))
    False
    """
    if isinstance(drawing, Violins):
        return any(panel.labels for panel in drawing.panels)
    if isinstance(drawing, Lines):
        lines = (line for panel in drawing.panels for line in panel.lines)
        return any(point.defined for line in lines for point in line.points)
    if isinstance(drawing, Matrix):
        return any(cells.rows and cells.columns for cells in drawing.panels)
    if isinstance(drawing, Spread):
        return any(len(panel.height) for panel in drawing.panels)
    if isinstance(drawing, Maps):
        return any(np.isfinite(panel.values).any() for panel in drawing.panels)
    if isinstance(drawing, Film):
        return bool(drawing.track.shown)
    if isinstance(drawing, Gallery):
        return bool(drawing.rows)
    return any(cloud.dots for cloud in drawing.panels)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.0f}"


def groups_drawn(panels: Sequence[Panel]) -> list[str]:
    """The groups that hold a value in any panel, in order: one, or seen and unseen.

    >>> import numpy as np
    >>> groups_drawn([Panel("", ["fc"], {"seen": [np.array([0.5])], "unseen": [np.array([np.nan])]})])
    ['seen']
    """
    if not panels or not all(panel.labels for panel in panels):
        raise ValueError("nothing to draw: a panel needs at least one column")
    given = list(dict.fromkeys(group for panel in panels for group in panel.samples))
    if len(given) > 1 and set(given) != {"seen", "unseen"}:
        raise ValueError(f"only seen and unseen share a violin, not {', '.join(given)}")
    held = [g for g in given if any(finite(v).size for p in panels for v in p.samples[g])]
    return held or given


def highest(panels: Sequence[Panel]) -> float:
    """The largest value of any panel; 0 where there is none."""
    columns = (finite(v) for p in panels for samples in p.samples.values() for v in samples)
    return max((float(values.max()) for values in columns if values.size), default=0.0)
