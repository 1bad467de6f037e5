"""Matrices as aligned numbers, and dots as a list, in text."""

from collections.abc import Sequence

import numpy as np

from invtool.plots.labels import shorten
from invtool.plots.panels import Cells, Cloud, Gallery, Matrix, Scatter
from invtool.plots.screen import Screen


def matrix(drawing: Matrix, screen: Screen, title: str = "", caption: str = "") -> str:
    """Draw a row a line; columns whose names find no room are lettered, and their names follow.

    >>> import numpy as np
    >>> cells = Cells("", ["blur net"], ["none", "blur"], np.array([[0.97, np.nan]]))
    >>> print(matrix(Matrix([cells]), Screen(40)))
             none blur
    blur net   97    -
    """
    lines: list[str] = []
    for panel in drawing.panels:
        lines += [*screen.fold(panel.title), *_matrix(panel, screen)]
    return screen.page(title, lines, caption)


def gallery(drawing: Gallery, screen: Screen, title: str = "", caption: str = "") -> str:
    """What is told of the pictures, of those rows that tell something.

    >>> pictures = np.zeros((1, 1, 8, 8, 3), np.uint8)
    >>> print(gallery(Gallery(["cat"], ["k1 = 1/0"], pictures, [["90 %"]]), Screen(40)))
        k1 = 1/0
    cat     90 %
    """
    told = [row for row, texts in enumerate(drawing.texts) if any(texts)]
    rows = [drawing.rows[row].replace("\n", ", ") for row in told]
    texts = [[text or "-" for text in drawing.texts[row]] for row in told]
    cells = Cells("", rows, drawing.columns, np.zeros((len(rows), len(drawing.columns))), texts)
    return screen.page(title, _matrix(cells, screen) if rows else [], caption)


def _matrix(panel: Cells, screen: Screen) -> list[str]:
    said = [[text.replace("\n", ", ") for text in row] for row in panel.written()]
    width = min(max(map(len, panel.rows)), max(screen.columns // 3, 3))
    names = shorten(panel.rows, width, screen.gap)
    heads, keys = list(panel.columns), list[str]()
    wide = max(len(text) for row in said for text in row)
    if width + sum(1 + max(wide, len(head)) for head in heads) > screen.columns:
        heads = [_letter(at) for at in range(len(heads))]
        keys = [f"{h}: {column}" for h, column in zip(heads, panel.columns, strict=True)]
    sizes = [max(wide, len(head)) for head in heads]
    whole = width + sum(sizes) + len(sizes) <= screen.columns
    fitting = len(heads) if whole else max((screen.columns - width) // (1 + max(sizes)), 1)
    lines = []
    for start in range(0, len(heads), fitting):
        part = slice(start, start + fitting)
        lines.append(_row("", width, heads[part], sizes[part]))
        lines += [
            _row(name, width, row[part], sizes[part]) for name, row in zip(names, said, strict=True)
        ]
    return [*lines, *screen.fold("; ".join(keys))]


def _row(name: str, width: int, texts: Sequence[str], sizes: Sequence[int]) -> str:
    cells = (text.rjust(size) for text, size in zip(texts, sizes, strict=True))
    return f"{name:<{width}} {' '.join(cells)}"


def _letter(at: int) -> str:
    """a to z, then aa, ab, ..."""
    return (_letter(at // 26 - 1) if at >= 26 else "") + chr(ord("a") + at % 26)


def scatter(drawing: Scatter, screen: Screen, title: str = "", caption: str = "") -> str:
    """List the dots of each panel, by what they are of, under what is told of all of them.

    >>> from invtool.plots.panels import Dot, Look
    >>> dot = Dot(0.5, 0.8, 10, Look(), {"network": "a.h5", "transform": "blur"})
    >>> print(scatter(Scatter([Cloud("across", [dot])], []), Screen(40)))
    across
    transform network seen  I_k   acc.
    blur      a.h5      10 0.500  80.0%
    """
    lines: list[str] = []
    for panel in drawing.panels:
        lines += [
            *screen.fold(panel.title),
            *(note for n in panel.notes for note in screen.fold(n)),
        ]
        lines += _dots(panel, screen)
    return screen.page(title, lines, caption)


def _dots(panel: Cloud, screen: Screen) -> list[str]:
    names = [[str(dot.facts[word]) for dot in panel.dots] for word in ("transform", "network")]
    room = max((screen.columns - 19) // 2, 2)
    first, second = (shorten(each, room, screen.gap) for each in names)
    wide = max([9, *map(len, first)]) if room >= 9 else room
    other = max([7, *map(len, second)]) if room >= 7 else room
    lines = [f"{'transform'[:wide]:<{wide}} {'network'[:other]:<{other}} seen  I_k   acc."]
    for dot, transform, network in zip(panel.dots, first, second, strict=True):
        number = "-" if dot.number is None else str(dot.number)
        who = f"{transform:<{wide}} {network:<{other}}"
        lines.append(f"{who} {number:>4} {dot.x:.3f} {dot.y:6.1%}")
    return lines
