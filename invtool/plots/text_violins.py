"""Violins in lines of text: a row for each column and group, its density from left to right.

Where a row has no room it drops its quartiles, then its count, then cuts its names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from invtool.plots.density import Summary, Values, density, finite, summary
from invtool.plots.labels import count, shorten
from invtool.plots.panels import Violins, groups_drawn, highest
from invtool.plots.screen import ANSI, NARROWEST, Screen


def draw(drawing: Violins, screen: Screen, title: str = "", caption: str = "") -> str:
    """Draw samples as rows of text, no wider than the screen (at least 24 characters).

    The strip spans the axis; a tick marks the median.

    >>> from invtool.plots.panels import Panel
    >>> panel = Panel("blur", ["conv1", "fc"], {"all": [np.linspace(0, 0.5, 99), np.full(9, 1.0)]})
    >>> print(draw(Violins([panel]), Screen(columns=44, unicode=False)))
    blur
          0                             1 median
    conv1 @@@@@@@|@@@@@#*+                 0.250
    fc                                  |  1.000
    """
    panels, limit = drawing.panels, drawing.limit
    groups = groups_drawn(panels)
    top = limit if drawing.whole else max(highest(panels), limit / 100)
    rows = _Rows(screen, [label for p in panels for label in p.labels], groups, limit, top)
    lines: list[str] = []
    for panel in panels:
        lines += [*screen.fold(panel.title), rows.head()]
        for name, at in zip(rows.shortened(panel.labels), range(len(panel.labels)), strict=True):
            silent = not any(finite(panel.samples[group][at]).size for group in groups)
            for group in groups:
                missing = drawing.empty if silent else "none"
                lines.append(rows.row(name, group, panel.samples[group][at], missing))
                name = ""
    return screen.page(title, lines, caption)


@dataclass(frozen=True)
class _Rows:
    """The widths of a row's fields, and its fields put together."""

    screen: Screen
    labels: Sequence[str]
    groups: Sequence[str]
    limit: float
    top: float

    @property
    def quartiles(self) -> bool:
        return self.screen.columns >= 72

    @property
    def counts(self) -> bool:
        return self.screen.columns >= 52

    @cached_property
    def label(self) -> int:
        share = self.screen.columns // (4 if self.counts else 5)
        return min(max(map(len, self.labels)), max(share, 3))

    @cached_property
    def group(self) -> int:
        if self.groups == ["all"]:
            return 0
        return max(map(len, self.groups)) if self.counts else 1

    @cached_property
    def strip(self) -> int:
        taken = self.label + 1 + (self.group + 1) * (self.group > 0) + 1 + 6
        return max(self.screen.columns - taken - 13 * self.quartiles - 6 * self.counts, NARROWEST)

    def shortened(self, labels: Sequence[str]) -> list[str]:
        return shorten(labels, self.label, self.screen.gap)

    def head(self) -> str:
        end = f"{self.top:.3g}"
        scale = "0" + end.rjust(self.strip - 1)
        return self._join("", "", scale, "median", "quartiles", "n")

    def row(self, name: str, group: str, values: Values, empty: str) -> str:
        found = summary(values)
        if not found.n:
            return self._join(name, group, empty[: self.strip].ljust(self.strip), "-", "-", "0")
        digits = 3 if self.limit <= 1 else 1
        return self._join(
            name,
            group,
            self._strip(group, values, found),
            f"{found.median:.{digits}f}",
            f"{found.first:.{digits}f}-{found.third:.{digits}f}",
            count(found.n),
        )

    def _join(
        self, name: str, group: str, strip: str, median: str, quartiles: str, number: str
    ) -> str:
        who = f"{group[: self.group]:<{self.group}} " if self.group else ""
        text = f"{name:<{self.label}} {who}{strip} {median:>6}"
        if self.quartiles:
            text += f" {quartiles:>12}"
        return text + f" {number:>5}" if self.counts else text

    def _strip(self, group: str, values: Values, found: Summary) -> str:
        """Densities as characters from the smallest to the largest value, the median as a tick."""
        heights = _cells(values, self.limit, self.top, self.strip)
        first, last, middle = (
            min(int(v / self.top * self.strip), self.strip - 1)
            for v in (found.low, found.high, found.median)
        )
        ramp = self.screen.ramp
        drawn = [
            ramp[min(int(h * len(ramp)), len(ramp) - 1)] if first <= cell <= last else " "
            for cell, h in enumerate(heights)
        ]
        before, after = "".join(drawn[:middle]), "".join(drawn[middle + 1 :])
        code = ANSI[group]
        paint = self.screen.paint
        return paint(before, code) + paint(self.screen.tick, 1) + paint(after, code)


def _cells(values: Values, limit: float, top: float, cells: int) -> Values:
    """The mean density in each of `cells` equal parts of [0, top], the densest being 1."""
    positions, thickness = density(values, limit)
    edges = np.linspace(0, top, cells + 1)
    steps = np.concatenate([[0.0], np.cumsum(thickness)])
    borders = np.concatenate([[0.0], positions + (positions[1] - positions[0]) / 2])
    inside = np.diff(np.interp(edges, borders, steps))
    return np.asarray(inside / inside.max())
