"""Lines in text: a bar for each place and series, or, where the places are many, a strip for each series.

A bar is as long as its number, which stands beside it with its interval. In a strip each place is one
character, the higher the larger its number; the first, the extreme and the last number stand beside it.
"""

from collections.abc import Sequence

from invtool.plots.labels import shorten
from invtool.plots.panels import Lines, Plane, Point
from invtool.plots.screen import ANSI, NARROWEST, Screen

MANY = 12  # numbered places: more become strips


def draw(drawing: Lines, screen: Screen, title: str = "", caption: str = "") -> str:
    """Draw numbers in [0, 1] against places.

    >>> from invtool.plots.panels import Line
    >>> within = Line("within", [Point(5, 1.0), Point(50, 0.9)])
    >>> across = Line("across", [Point(5, 0.25), Point(50, 0.5)])
    >>> print(draw(Lines([Plane("blur", [within, across])], []), Screen(columns=40, unicode=False)))
    blur
    5  within ###################### 100.0%
       across ######                  25.0%
    50 within ####################    90.0%
       across ###########             50.0%
    """
    lines: list[str] = []
    for panel in drawing.panels:
        lines += screen.fold(", ".join(text for text in (panel.title, panel.xlabel) if text))
        places = panel.places()
        many = len(places) > MANY and not any(isinstance(place, str) for place in places)
        lines += (_strips if many else _bars)(panel, drawing, screen)
    return screen.page(title, lines, caption)


def _bars(panel: Plane, drawing: Lines, screen: Screen) -> list[str]:
    labels = [_label(place) for place in panel.places()]
    width = min(max(map(len, labels)), screen.cut)
    series = min(max(len(line.name) for line in panel.lines), screen.cut)
    spread = 8 if screen.columns < 52 else 20 if drawing.whole else 24
    room = max(screen.columns - width - series - 2 - spread, NARROWEST)
    found = [{point.place: point for point in line.points} for line in panel.lines]
    names = shorten([line.name for line in panel.lines], series, screen.gap)
    rows = []
    bounds = {mark.at + 0.5: mark.label for mark in panel.marks if mark.upright and mark.label}
    shown = zip(panel.places(), shorten(labels, width, screen.gap), strict=True)
    for at, (place, label) in enumerate(shown):
        if at in bounds:  # between this place and the one before
            rows.append(bounds[at])
        for line, name, points in zip(panel.lines, names, found, strict=True):
            if place in points:
                point = points[place]
                drawn = _bar(point, room, drawing.limits(panel)[1], screen)
                bar = screen.paint(drawn, ANSI.get(line.name, 0))
                numbers = _range(point, drawing, screen)
                rows.append(f"{label:<{width}} {name:<{series}} {bar} {numbers}")
                label = ""
    return rows


def _bar(point: Point, room: int, longest: float, screen: Screen) -> str:
    if not point.defined:
        return "none"[:room].ljust(room)
    eighths = round(max(point.value, 0) / (longest or 1) * room * 8)  # of a number below 0, none
    if not screen.unicode:
        return ("#" * round(eighths / 8)).ljust(room)
    return ("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()).ljust(room)


def _range(point: Point, drawing: Lines, screen: Screen) -> str:
    if not point.defined:
        return "    -"
    middle = f"{point.value:6.1%}" if drawing.percent else f"{point.value:6.3f}"
    if screen.columns < 52 or not point.low <= point.high:
        return middle
    if drawing.percent:
        digits = 0 if drawing.whole else 1
        return f"{middle} ({point.low:.{digits}%}-{point.high:.{digits}%})"
    return f"{middle} ({point.low:.2f}-{point.high:.2f})"


def _strips(panel: Plane, drawing: Lines, screen: Screen) -> list[str]:
    places = panel.places()
    width = min(max(len(line.name) for line in panel.lines), screen.cut)
    heads = ["first", "last", "most"] if screen.columns >= 52 else ["last"]
    room = max(screen.columns - width - 1 - 6 * len(heads), NARROWEST)
    kept = places[:: -(-len(places) // room)]
    left, right = _label(kept[0]), _label(kept[-1])
    strip = max(len(kept), NARROWEST)
    ends = left + right.rjust(strip - len(left))
    rows = [_strip_row("", width, ends, heads)]
    names = shorten([line.name for line in panel.lines], width, screen.gap)
    for line, name in zip(panel.lines, names, strict=True):
        values = {p.place: p.value for p in line.points if p.defined}
        low, high = drawing.limits(panel)
        heights = {place: (value - low) / (high - low) for place, value in values.items()}
        if values:
            told = list(values.values())
            found = {"first": told[0], "last": told[-1], "most": max(told)}
            cells = "".join(_height(heights.get(place), screen) for place in kept).ljust(strip)
            numbers = [_number(found[head], drawing) for head in heads]
            rows.append(_strip_row(name, width, cells, numbers))
    return rows


def _strip_row(name: str, width: int, cells: str, numbers: Sequence[str]) -> str:
    return f"{name:<{width}} {cells} " + " ".join(number.rjust(5) for number in numbers)


def _height(value: float | None, screen: Screen) -> str:
    ramp = screen.ramp
    return " " if value is None else ramp[max(0, min(int(value * len(ramp)), len(ramp) - 1))]


def _number(value: float, drawing: Lines) -> str:
    return f"{value:.0%}" if drawing.percent else f"{value:.2f}"


def _label(place: float | str) -> str:
    return place if isinstance(place, str) else f"{place:g}"
