"""Boxes in COCO JSON: `images`, `categories` and `annotations` whose `bbox` is [x, y, width, height].

x and y are positions, from 0 at the upper left of the image. An annotation with `iscrowd` is one box
around many objects: it has no object's position or size, and is left out.
"""

import json
from math import isfinite
from typing import Any

import numpy as np

from invtool.data.raw_boxes import EDGES, RawBoxes
from invtool.errors import InvtoolError

PARTS = ("images", "categories", "annotations")


def parse(file: str, data: bytes) -> RawBoxes:
    """The boxes of a JSON file; InvtoolError with the annotation and what is wrong with it."""
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvtoolError(f"{file}: no whole JSON ({error})") from None
    for part in PARTS:
        held = whole.get(part) if isinstance(whole, dict) else None
        if not isinstance(held, list) or not all(isinstance(item, dict) for item in held):
            raise InvtoolError(f"{file}: no list of {part}; the JSON of COCO is wanted")
    images = {repr(item.get("id")): item for item in whole["images"]}
    categories = {repr(item.get("id")): item.get("name") for item in whole["categories"]}
    names, where, corners, sizes, pictures, crowds = [], [], [], [], [], 0
    for number, item in enumerate(whole["annotations"], 1):
        if item.get("iscrowd"):
            crowds += 1
            continue
        place = f"annotation {item.get('id', number)}"
        image = images.get(repr(item.get("image_id")))
        name = categories.get(repr(item.get("category_id")))
        if image is None:
            raise InvtoolError(f"{file}: {place}: no image has the id {item.get('image_id')!r}")
        if not isinstance(name, str):
            wrong = item.get("category_id")
            raise InvtoolError(f"{file}: {place}: no category with a name has the id {wrong!r}")
        box, size = item.get("bbox"), [image.get("width"), image.get("height")]
        if not _numbers(box, 4) or not _numbers(size, 2):
            found = f"bbox is {box}" if not _numbers(box, 4) else f"its image is {size} in size"
            raise InvtoolError(f"{file}: {place}: {found}; finite numbers are wanted")
        x, y, w, h = box
        names.append(name)
        where.append(place)
        corners.append((x, y, x + w, y + h))
        sizes.append(size)
        pictures.append(str(image.get("file_name", "")))
    edges = np.array(corners, np.float64).reshape(-1, 4)
    extents = np.array(sizes, np.float64).reshape(-1, 2)
    return RawBoxes(file, names, where, edges, extents, EDGES, True, crowds, pictures)


def _numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(each, int | float) and isfinite(each) for each in value)
    )
