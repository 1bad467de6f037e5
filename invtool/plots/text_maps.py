"""Images that move, in text: a map of characters, a row some images, and a strip an image alone.

A character is the higher the larger the probability; where the image has no position it is blank.
"""

import numpy as np

from invtool.plots.density import Values
from invtool.plots.panels import Film, Map, Maps, Track
from invtool.plots.screen import Screen

ROWS = 16  # lines of a map, at most


def draw(drawing: Maps, screen: Screen, title: str = "", caption: str = "") -> str:
    """Draw the maps below each other, each with its examples.

    >>> panel = Map("net", np.arange(3), np.array([[0.9, 1.0, 0.4], [0, np.nan, 0.5]]), ["a", "b"])
    >>> print(draw(Maps([panel], "shift (px)"), Screen(40, False)))
    net
    image 0 to 2, shift (px)
        1 @@=
        2 . +
    """
    lines: list[str] = []
    for panel in drawing.panels:
        lines += [*screen.fold(panel.title), *_map(panel, drawing, screen)]
        for track in panel.examples:
            lines += _track(track, drawing.limit, screen)
    return screen.page(title, lines, caption)


def film(drawing: Film, screen: Screen, title: str = "", caption: str = "") -> str:
    """The curve of one image, and what it jumps from and to."""
    lines = _track(drawing.track, 1.0, screen)
    lines += screen.fold(f"{_extent(drawing.track.places)}, {drawing.xlabel}")
    return screen.page(title, lines, caption)


def _map(panel: Map, drawing: Maps, screen: Screen) -> list[str]:
    found = panel.reduced(ROWS)
    first = np.linspace(0, len(panel.values), len(found), endpoint=False).astype(int) + 1
    lines = screen.fold(f"image {_extent(panel.places)}, {drawing.xlabel}")
    for number, row in zip(first.tolist(), found, strict=True):
        lines.append(f"{number:>5} {_strip(row, drawing.limit, screen.columns - 6, screen)}")
    return lines


def _track(track: Track, limit: float, screen: Screen) -> list[str]:
    told = [f"{track.places[at]:g}: {track.values[at]:.3f}" for at in track.jump]
    lines = screen.fold(", ".join([track.title, " to ".join(told)]).removesuffix(", "))
    return [*lines, f"{'':5} {_strip(track.values, limit, screen.columns - 6, screen)}"]


def _strip(values: Values, limit: float, room: int, screen: Screen) -> str:
    """A character a place, or every n-th place where there is no room."""
    ramp = screen.ramp
    kept = values[:: -(-len(values) // room)].tolist()
    level = [None if np.isnan(v) else min(int(v / limit * len(ramp)), len(ramp) - 1) for v in kept]
    return "".join(" " if at is None else ramp[at] for at in level)


def _extent(places: Values) -> str:
    return f"{places[0]:g} to {places[-1]:g}"
