"""Boxes in PASCAL VOC XML: a file an image, its size in `size`, an `object` a box.

VOC numbers pixels from 1 and counts the last one in: xmin 1 and xmax 500 are the whole width of 500 px.
Files of the same form made elsewhere may number from 0. A DOCTYPE is refused, as it can define entities
that grow without bound or read other files.
"""

from math import isfinite
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from invtool.data.raw_boxes import FROM_1, RawBoxes
from invtool.errors import InvtoolError

CORNERS = ("xmin", "ymin", "xmax", "ymax")


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise InvtoolError("has a DOCTYPE; VOC XML without one is wanted")


def parse(file: str, data: bytes) -> RawBoxes:
    """The boxes of an XML file, which may hold none; InvtoolError with what is wrong."""
    try:
        root = ElementTree.fromstring(data, ElementTree.XMLParser(target=_Builder()))
        objects = root.findall("object")
        size = [_number(root, f"size/{side}") for side in ("width", "height")] if objects else []
        names, corners = [], []
        for number, item in enumerate(objects, 1):
            place = f"object {number}"
            names.append((item.findtext("name") or "").strip())
            if not names[-1]:
                raise InvtoolError(f"{place} has no name")
            corners.append([_number(item, f"bndbox/{corner}", place) for corner in CORNERS])
        if root.tag != "annotation":
            raise InvtoolError(f"its root is <{root.tag}>; the <annotation> of VOC is wanted")
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InvtoolError(f"{file}: no whole XML ({error})") from None
    except InvtoolError as error:
        raise InvtoolError(f"{file}: {error}") from None
    return RawBoxes(
        file,
        names,
        [f"object {number}" for number in range(1, len(names) + 1)],
        np.array(corners, np.float64).reshape(-1, 4),
        np.tile(np.array(size or [0, 0], np.float64), (len(names), 1)),
        FROM_1,
        images=[root.findtext("filename") or file] * len(names),
    )


def _number(item: Element, path: str, place: str = "") -> float:
    where, text = f"{place}: {path}".removeprefix(": "), item.findtext(path)
    if text is None:
        raise InvtoolError(f"{where} is missing")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not isfinite(value):
        raise InvtoolError(f"{where} is {text.strip()!r}; a number is wanted")
    return value
