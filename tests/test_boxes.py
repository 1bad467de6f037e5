"""Boxes of every format are the same boxes, and what is wrong with a file is one sentence."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from invtool.data import boxes
from invtool.data.boxes import Boxes
from invtool.errors import InvtoolError

HEAD = "category,x0,y0,x1,y1,width,height\n"
# Two images, 100 x 50 and 20 x 40 px, with three boxes between them, as positions of edges.
EDGES = [
    ("dog", (0, 0, 100, 50), (100, 50)),
    ("cat", (10, 20, 30, 45), (100, 50)),
    ("dog", (5, 10, 6, 40), (20, 40)),
]


def csv_text(shift: tuple[int, int] = (0, 0)) -> str:
    first, last = shift
    return HEAD + "".join(
        f"{name},{x0 + first},{y0 + first},{x1 + last},{y1 + last},{w},{h}\n"
        for name, (x0, y0, x1, y1), (w, h) in EDGES
    )


def voc(objects: Sequence[tuple[str, Sequence[float]]], size: tuple[Any, Any] = (100, 50)) -> str:
    told = "".join(
        f"<object><name>{name}</name><part><bndbox><xmin>9</xmin></bndbox></part><bndbox>"
        f"<xmax>{x1}</xmax><xmin>{x0}</xmin><ymin>{y0}</ymin><ymax>{y1}</ymax></bndbox></object>"
        for name, (x0, y0, x1, y1) in objects
    )
    width, height = size
    sides = f"<size><width>{width}</width><height>{height}</height></size>"
    return f"<?xml version='1.0'?>\n<annotation>{sides}{told}</annotation>"


def coco(**changes: Any) -> dict[str, Any]:
    return {
        "images": [
            {"id": 7, "width": 100, "height": 50, "file_name": "a.jpg"},
            {"id": 9, "width": 20, "height": 40},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 18, "bbox": [0, 0, 100, 50], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [10, 20, 20, 25]},
            {"id": 4, "image_id": 7, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1},
            {"id": 5, "image_id": 9, "category_id": 18, "bbox": [5, 10, 1, 30]},
        ],
        **changes,
    }


def write(path: Path, content: str | bytes | Mapping[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(content) if isinstance(content, Mapping) else content
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def write_voc(folder: Path) -> Path:
    both = [(name, (x0 + 1, y0 + 1, x1, y1)) for name, (x0, y0, x1, y1), _ in EDGES]
    write(folder / "a.xml", voc(both[:2]))
    write(folder / "b.xml", voc(both[2:], (20, 40)))
    write(folder / "empty.xml", voc([]))
    write(folder / "a.jpg", b"\xff\xd8\xff")
    return folder


def known(found: Boxes) -> list[tuple[str, NDArray[Any]]]:
    """Category and edges of each box, sorted."""
    edges = np.hstack([found.corner, found.corner + found.extent])
    names = [found.categories[number] for number in found.category]
    return sorted(zip(names, edges.round(12).tolist(), strict=True))


WANTED = sorted(
    (name, [x0 / w, y0 / h, x1 / w, y1 / h]) for name, (x0, y0, x1, y1), (w, h) in EDGES
)


@pytest.mark.parametrize("form", ["csv", "csv.gz", "json", "folder", "bom", "pixels"])
def test_every_format_gives_the_same_boxes(form: str, tmp_path: Path) -> None:
    made = {
        "csv": lambda: write(tmp_path / "a.csv", csv_text()),
        "csv.gz": lambda: write(tmp_path / "no-suffix", gzip.compress(csv_text().encode())),
        "json": lambda: write(tmp_path / "a.json", coco()),
        "folder": lambda: write_voc(tmp_path / "voc"),
        "bom": lambda: write(tmp_path / "a.csv", "\ufeff" + csv_text().replace("\n", "\r\n")),
        "pixels": lambda: write(tmp_path / "a.csv", csv_text((0, -1))),
    }[form]()
    found = boxes.read([made], corners="from-0" if form == "pixels" else "auto")
    assert found.categories == ["cat", "dog"]
    assert known(found) == WANTED
    assert found.crowds == (form == "json")
    np.testing.assert_allclose(found.center, found.corner + found.extent / 2)


def test_a_folder_mixes_formats_and_leaves_the_rest(tmp_path: Path) -> None:
    top = write_voc(tmp_path / "mixed")
    write(top / "deep" / "b.CSV.GZ", gzip.compress(csv_text().encode()))
    write(top / "c.json", coco())
    write(top / ".hidden" / "d.csv", "no boxes")
    found = boxes.read([top])
    assert known(found) == sorted(WANTED * 3)
    assert known(boxes.read([top, tmp_path / "mixed" / "c.json"])) == sorted(WANTED * 4)


def test_columns_come_in_any_order_with_others_between(tmp_path: Path) -> None:
    rows = [line.split(",") for line in csv_text().splitlines()]
    text = "\n".join(",".join(["x", *reversed(row), ""]) for row in rows) + "\n\n"
    assert known(boxes.read([write(tmp_path / "a.csv", text)])) == WANTED


def test_coco_is_not_asked_what_its_corners_mean(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", coco())
    assert known(boxes.read([path], corners="from-1")) == WANTED


def test_rounding_is_no_fault(tmp_path: Path) -> None:
    rounded = [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [-0.01, 0, 100.02, 50.01]}]
    found = boxes.read([write(tmp_path / "a.json", coco(annotations=rounded))])
    np.testing.assert_array_equal(found.extent, [[1, 1]])
    assert found.clipped == 0


FAULTY = HEAD + "a,0,0,10,10,20,20\na,15,0,25,10,20,20\nb,5,5,5,9,20,20\nb,20,0,30,10,20,20\n"


def test_faulty_boxes_are_refused_skipped_or_clipped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", FAULTY)
    with pytest.raises(InvtoolError) as refused:
        boxes.read([path])
    assert str(refused.value) == (
        f"{path}: line 3: box 15 0 25 10 of 'a' reaches outside its image, 20 x 20 px, and 2 more are "
        "faulty; see --corners for what the numbers mean, or --faulty skip"
    )
    skipped = boxes.read([path], faulty="skip")
    assert (len(skipped.category), skipped.skipped, skipped.clipped) == (1, 3, 0)
    clipped = boxes.read([path], faulty="clip")
    assert (len(clipped.category), clipped.skipped, clipped.clipped) == (2, 2, 1)
    np.testing.assert_array_equal(clipped.extent, [[0.5, 0.5], [0.25, 0.5]])


VOC = [("dog", (1, 1, 100, 50))]
DOCTYPE = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d SYSTEM "file:///etc/passwd">]>\n<annotation/>'
BAD: list[tuple[str, str | bytes | dict[str, Any], str]] = [
    ("a.csv", b"", "a.csv: empty; boxes in VOC XML, COCO JSON or CSV are wanted"),
    ("a.csv", " \n\n", "a.csv: empty"),
    ("a.csv", HEAD, "a.csv: no boxes"),
    ("a.csv", "category,x0,y0\na,1,2\n", "no column x1, y1, width, height; its first line must name"),
    ("a.csv", b"\x89PNG\r\n\x1a\n\xff\xff", "a.csv: neither VOC XML, COCO JSON nor CSV in UTF-8"),
    ("a.csv", HEAD + "a,1,2,3\n", "a.csv: line 2 has 4 fields; 7 are wanted"),
    ("a.csv", csv_text() + "a,1,2,nan,4,5,6\n", "a.csv: line 5: x1 is 'nan'; a number is wanted"),
    ("a.csv", csv_text() + "a,1,inf,3,4,5,6\n", "line 5: y0 is 'inf'"),
    ("a.csv", csv_text() + "a,1,2,,4,5,6\n", "line 5: x1 is ''; a number is wanted"),
    ("a.csv", csv_text() + " ,1,2,3,4,5,6\n", "line 5 names no category"),
    ("a.csv", HEAD + '"a\nb",1,1,2,2,9,9\n"a,1', "a.csv: line 4: no CSV"),
    ("a.csv", HEAD + "a,0,0,1,1,0,9\n", "line 2: box 0 0 1 1 of 'a' is in an image of no size, 0 x 9 px"),
    ("a.csv", HEAD + "a,3,0,3,1,9,9\n", "line 2: box 3 0 3 1 of 'a' has no size; see --corners"),
    ("a.csv.gz", gzip.compress(csv_text().encode())[:-9], "a.csv.gz: no whole gzip"),
    ("a.xml", voc(VOC)[:-20], "a.xml: no whole XML (unclosed token"),
    ("a.xml", "<html/>", "a.xml: its root is <html>; the <annotation> of VOC is wanted"),
    ("a.xml", DOCTYPE, "a.xml: has a DOCTYPE; VOC XML without one is wanted"),
    ("a.xml", DOCTYPE.encode("utf-16"), "a.xml: has a DOCTYPE"),
    ("a.xml", voc([]), "a.xml: no boxes"),
    ("a.xml", voc(VOC).replace("<width>100</width>", ""), "a.xml: size/width is missing"),
    ("a.xml", voc(VOC, ("wide", 50)), "a.xml: size/width is 'wide'; a number is wanted"),
    ("a.xml", voc([*VOC, ("", (1, 1, 2, 2))]), "a.xml: object 2 has no name"),
    ("a.xml", voc([*VOC, ("cat", (1, "nan", 2, 2))]), "object 2: bndbox/ymin is 'nan'"),
    ("a.xml", voc(VOC).replace("ymax", "ymux"), "object 1: bndbox/ymax is missing"),
    ("a.xml", voc([("dog", (0, 1, 9, 9))]), "object 1: box 0 1 9 9 of 'dog' reaches outside its image"),
    ("a.json", '{"images": [', "a.json: no whole JSON"),
    ("a.json", "[" * 100_000, "a.json: no whole JSON"),
    ("a.json", "[1, 2]", "a.json: no list of images; the JSON of COCO is wanted"),
    ("a.json", coco(annotations=[3]), "a.json: no list of annotations"),
    ("a.json", coco(annotations=[]), "a.json: no boxes"),
    ("a.json", coco(images=[]), "annotation 1: no image has the id 7"),
    ("a.json", coco(categories=[{"id": 18}]), "annotation 1: no category with a name has the id 18"),
    ("a.json", coco(annotations=[{"image_id": 7, "category_id": 3}]), "annotation 1: bbox is None"),
    (
        "a.json",
        coco(annotations=[{"image_id": 7, "category_id": 3, "bbox": [0, 0, float("nan"), 1]}]),
        "bbox is [0, 0, nan, 1]; finite numbers are wanted",
    ),
    ("a.json", coco(images=[{"id": 7, "width": "x"}]), "its image is ['x', None] in size"),
    (
        "a.json",
        coco(annotations=[{"id": 8, "image_id": 7, "category_id": 3, "bbox": [90, 0, 11, 9]}]),
        "annotation 8: box 90 0 101 9 of 'cat' reaches outside its image, 100 x 50 px",
    ),
    (
        "a.json",
        coco(annotations=[{"image_id": 7, "category_id": 3, "iscrowd": 1}]),
        "a.json: no boxes (left out: 1)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "sentence"), BAD, ids=[b[2][:40] for b in BAD])
def test_bad_files_are_refused_in_a_sentence_that_names_them(
    name: str, content: Any, sentence: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(InvtoolError) as refused:
        boxes.read([path])
    assert sentence in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_faulty_box_is_named_with_its_own_file(tmp_path: Path) -> None:
    top = write_voc(tmp_path / "voc")
    write(top / "z.xml", voc([*VOC, ("cow", (1, 1, 101, 9))]))
    with pytest.raises(InvtoolError, match=r"voc/z\.xml: object 2: box 1 1 101 9 of 'cow'"):
        boxes.read([top])


def test_a_folder_without_boxes_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", b"\xff")
    with pytest.raises(InvtoolError, match=r"no \.xml, \.json, \.csv file in it, plain or \.gz"):
        boxes.read([tmp_path])
