"""Boxes in CSV: a header that names the columns, and a line a box.

    category,x0,y0,x1,y1,width,height
    n02124075,1,0,53,63,64,64

Columns may come in any order, with others between them; width and height are those of the image.
"""

import csv
import io

import numpy as np
from numpy.typing import NDArray

from invtool.data.raw_boxes import EDGES, RawBoxes
from invtool.errors import InvtoolError

NUMBERS = ("x0", "y0", "x1", "y1", "width", "height")
COLUMNS = ("category", *NUMBERS)


def parse(file: str, data: bytes) -> RawBoxes:
    """The boxes of a CSV file; InvtoolError with the line and what is wrong with it."""
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        head = [name.strip() for name in next(reader, [])]
        rows, lines = [], []
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except UnicodeDecodeError:
        raise InvtoolError(f"{file}: neither VOC XML, COCO JSON nor CSV in UTF-8") from None
    except csv.Error as error:
        raise InvtoolError(f"{file}: line {reader.line_num}: no CSV ({error})") from None
    missing = [name for name in COLUMNS if name not in head]
    if missing:
        raise InvtoolError(
            f"{file}: no column {', '.join(missing)}; its first line must name {','.join(COLUMNS)}"
        )
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(head):
            raise InvtoolError(f"{file}: line {line} has {len(row)} fields; {len(head)} are wanted")
    columns = dict(zip(head, zip(*rows, strict=True), strict=True)) if rows else {}
    names = [name.strip() for name in columns.get("category", ())]
    if "" in names:
        raise InvtoolError(f"{file}: line {lines[names.index('')]} names no category")
    values = np.empty((len(rows), len(NUMBERS)))
    for at, name in enumerate(NUMBERS):
        values[:, at] = _floats(file, name, columns.get(name, ()), lines)
    where = [f"line {line}" for line in lines]
    return RawBoxes(file, names, where, values[:, :4], values[:, 4:], EDGES)


def _floats(
    file: str, column: str, texts: tuple[str, ...], lines: list[int]
) -> NDArray[np.float64]:
    try:
        found = np.array(list(map(float, texts)))
    except ValueError:
        found = np.array([_float(text) for text in texts])
    bad = np.flatnonzero(~np.isfinite(found))
    if bad.size:
        raise InvtoolError(
            f"{file}: line {lines[bad[0]]}: {column} is {texts[bad[0]]!r}; a number is wanted"
        )
    return found


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
