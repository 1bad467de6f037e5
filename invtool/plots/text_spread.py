"""Centers and heights of objects in text: the image as a map of characters, and a bar an interval of heights.

A character of the map is the higher the more centers are in its part of the image, in equal steps for
equal factors; where there is none it is blank. Where the bars of uniform heights would end, a tick stands.
"""

import numpy as np

from invtool.plots.panels import Objects, Spread
from invtool.plots.screen import ANSI, Screen

BINS = 10  # rows of bars, and of the map
WIDE = 21  # characters of the map
LABEL = "0.0-0.1 "


def draw(drawing: Spread, screen: Screen, title: str = "", caption: str = "") -> str:
    """Draw the panels below each other; the map stands above the bars where the screen is narrow.

    >>> objects = Objects("dog", np.array([[0.5, 0.05], [0.5, 0.06]]), np.array([0.95, 0.25]))
    >>> print("\\n".join(draw(Spread([objects]), Screen(60, False)).splitlines()[:5]))
    dog
    +---------------------+ height
    |          @          | 0.0-0.1    |                    0.0%
    |                     | 0.1-0.2    |                    0.0%
    |                     | 0.2-0.3 #####################  50.0%
    """
    lines: list[str] = []
    for panel in drawing.panels:
        for text in (panel.title, panel.position, panel.size):
            lines += screen.fold(text)
        lines += _panel(panel, screen)
    return screen.page(title, lines, caption)


def _panel(panel: Objects, screen: Screen) -> list[str]:
    left = _map(panel, screen)
    beside = screen.columns >= WIDE + 3 + len(LABEL) + 18
    taken = WIDE + 3 if beside else 0
    right = ["height", *_bars(panel, screen, screen.columns - taken - len(LABEL) - 7), ""]
    if not beside:
        return [*left, *right[:-1]]
    return [f"{a} {b}".rstrip() for a, b in zip(left, right, strict=True)]


def _map(panel: Objects, screen: Screen) -> list[str]:
    """The image with a frame, its upper edge first."""
    y, x = panel.center[:, 1], panel.center[:, 0]
    counts, _, _ = np.histogram2d(y, x, (BINS, WIDE), ((0, 1), (0, 1)))
    frame = f"+{'-' * WIDE}+"
    ramp, shades = screen.ramp, np.log1p(counts)
    level = np.ceil(shades / max(shades.max(), 1) * len(ramp)).astype(int)
    rows = ["".join(" " if not at else ramp[at - 1] for at in row) for row in level.tolist()]
    return [frame, *(f"|{row}|" for row in rows), frame]


def _bars(panel: Objects, screen: Screen, room: int) -> list[str]:
    counts, _ = np.histogram(panel.height, BINS, (0, 1))
    shares = counts / max(len(panel.height), 1)
    longest = max(shares.max(), 1 / BINS)
    lines = []
    for at, share in enumerate(shares.tolist()):
        bar = ("█" if screen.unicode else "#") * round(share / longest * room)
        cells = list(bar.ljust(room))
        uniform = min(round(room / BINS / longest), room) - 1
        if cells[uniform] == " ":
            cells[uniform] = screen.tick
        drawn = screen.paint("".join(cells), ANSI["seen"])
        lines.append(f"{at / BINS:.1f}-{(at + 1) / BINS:.1f} {drawn} {share:6.1%}")
    return lines
