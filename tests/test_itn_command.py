"""`invtool itn`: networks whose invariance is known by construction, its files, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import Run, room, runner

from invtool.files import hdf5, models
from invtool.measures import displacement, spatial_parts
from invtool.stages import inspect, verify
from invtool.transforms import parse

NETS = '''
import torch
from torch import nn

class Rows(nn.Module):
    """Sees how bright each row is, and nothing else: what moves along the rows changes nothing."""
    def __init__(self):
        super().__init__()
        rows, lit = torch.arange(16.0), torch.tensor([2.0, 6.0, 10.0, 14.0])
        self.register_buffer("near", torch.exp(-((rows - lit[:, None]) ** 2) / 4))
    def forward(self, image):
        return 12 * image.mean((1, 3)) @ self.near.T

class Mean(nn.Module):
    """Sees the mean of all values: places are nothing to it, brightness is all."""
    def __init__(self):
        super().__init__()
        self.register_buffer("levels", torch.tensor([0.25, 0.5, 0.75, 1.0]) * 36 / 256)
    def forward(self, image):
        return -3000 * (image.mean((1, 2, 3))[:, None] - self.levels) ** 2

def rows():
    return Rows()

def mean():
    return Mean()

class Wrong(nn.Module):
    """Answers the category after the true one."""
    def __init__(self):
        super().__init__()
        self.rows = Rows()
    def forward(self, image):
        return self.rows(image).roll(1, 1)

def wrong():
    return Wrong()
'''
SIDE = 16
SHOWN = "--size 16 --mean 0,0,0 --std 1,1,1 --threads 1 -q --overwrite"
QUICK = "--steps 200 --grid 3 --reach 8 --resamples 100"


def write(path: Path, image: Any, label: Any) -> None:
    with hdf5.create(path, "images", []) as out:
        out.array("image", image, ("image", "channel", "height", "width"))
        out.array("label", label, ("image",))
        out.attribute("categories", [f"kind {number}" for number in range(4)])


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("itn")
    with room(top):
        (top / "known.py").write_text(NETS)
        label = np.arange(32) % 4
        bars = np.zeros((32, 3, SIDE, SIDE), np.uint8)
        squares = bars.copy()
        for number, category in enumerate(label):
            bars[number, :, 2 + 4 * category, 6:10] = 150 + 3 * number
            squares[number, :, 5:11, 5:11] = round(255 * (category + 1) / 4)
        write(top / "bars.h5", bars, label)
        write(top / "squares.h5", squares, label)
        write(top / "one.h5", bars[:1], label[:1])
        write(top / "gray.h5", squares[:, :1], label)
        yield top


@pytest.fixture(scope="module")
def learned(folder: Path) -> Path:
    """What is learned on rows, from two seeds."""
    from small import invoke

    line = f"itn py:known:rows -d bars.h5 {SHOWN} {QUICK} --seeds 2 -o rows.st --log rows.jsonl"
    assert invoke(line) == 0
    return folder / "rows.h5"


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def arrays(path: Path) -> dict[str, Any]:
    with hdf5.open(path, ["itn"]) as file:
        return {name: file.array(name) for name in file.names()}


def far(matrix: Any, row: int) -> float:
    """Mean way of a pixel along one axis alone."""
    alone = np.eye(2, 3)
    alone[row] = matrix[row]
    return float(displacement(alone, SIDE, SIDE))


def test_a_network_that_sees_rows_alone_is_moved_along_them(learned: Path) -> None:
    held = arrays(learned)
    assert held["space_accuracy"].min() > 0.8
    for seed in range(2):
        corner = held["space_matrix"][seed, -1, -1]
        assert far(corner, 0) > 1.5
    bears = dict(zip(held["path"][held["path_seed"] < 0].tolist(), held["boundary"], strict=False))
    assert min(bears["shift right"], bears["shift left"]) > 4
    assert max(bears["shift down"], bears["shift up"]) < 3
    assert not np.array_equal(held["space_matrix"][0], held["space_matrix"][1])


def test_a_network_that_sees_the_mean_bears_moves_but_no_brightness(run: Run) -> None:
    """And the report names what was learned: a turn and shifts, which keep the mean as a scale does not."""
    line = f"itn py:known:mean -d squares.h5 {SHOWN} {QUICK} -o mean.st"
    code, _, err = run(line.replace("-q ", ""))
    assert code == 0, err
    corner = next(text for text in err.splitlines() if " k1=1,1 " in text)
    words = corner.split(maxsplit=6)[6]
    assert {part.split()[0] for part in words.split(", ")} <= {"turn", "shift"}
    held = arrays(Path("mean.h5"))
    corner = held["space_matrix"][0, -1, -1]
    assert displacement(corner, SIDE, SIDE) > 1
    assert abs(np.linalg.det(corner[:, :2])) == pytest.approx(1, abs=0.3)  # the area is seen
    bears = dict(zip(held["path"].tolist(), held["boundary"], strict=True))
    assert min(bears["shift right"], bears["turn clockwise"]) > 3
    assert max(bears["brighter"], bears["zoom out"]) < 9
    assert max(bears["darker"], bears["more gain"]) < 9


def test_it_starts_at_the_identity_and_logs_every_step(learned: Path) -> None:
    held = arrays(learned)
    lines = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert len(lines) == 2 * 200
    first = [line for line in lines if line["step"] == 1]
    assert [line["magnitude"] for line in first] == [0, 0]
    assert [line["accuracy"] for line in first] == [1, 1]
    assert np.allclose(held["magnitude_loss"].ravel(), [line["magnitude"] for line in lines])
    assert (held["magnitude_loss"] <= 0).all()
    enough = held["batch_accuracy"] >= 1
    assert np.array_equal(held["kept"] == 1, enough)  # the gate: its own accuracy is 1


def test_keep_scale_keeps_every_area(run: Run) -> None:
    quick = "--steps 40 --grid 2 --reach 2"
    line = f"itn py:known:rows -d bars.h5 {SHOWN} {quick} --keep-scale -o kept.st"
    assert run(line)[0] == 0
    matrix = arrays(Path("kept.h5"))["space_matrix"]
    assert np.allclose(np.abs(np.linalg.det(matrix[..., :2])), 1, atol=1e-5)
    pixels = torch.rand(1, 3, SIDE, SIDE) * 255
    seen = parse("itn:kept.st,k1=1/1,k2=0/0")(pixels)
    assert not torch.equal(seen, parse("itn:rows.st,k1=1/1,k2=0/0")(pixels))


def test_the_same_seed_gives_the_same_bytes_whatever_the_batch(run: Run) -> None:
    for name, more in (("a", "--batch-size 3"), ("b", "")):
        line = f"itn py:known:rows -d bars.h5 {SHOWN} --steps 5 --grid 2 --reach 2 --no-provenance"
        assert run(f"{line} {more} -o {name}.st")[0] == 0
    one, two = (models.load_tensors(Path(f"{n}.st")) for n in "ab")
    assert all(torch.equal(one[key], two[key]) for key in one)
    left, right = arrays(Path("a.h5")), arrays(Path("b.h5"))
    for name, value in left.items():
        if value.dtype.kind == "f":
            assert np.allclose(value, right[name], rtol=1e-4, atol=1e-4, equal_nan=True), name
    assert run(f"{line} -o c.st")[0] == 0
    assert Path("b.st").read_bytes() == Path("c.st").read_bytes()
    assert Path("b.h5").read_bytes() == Path("c.h5").read_bytes()


def test_decomposed_parts_are_those_of_the_matrices(learned: Path) -> None:
    held = arrays(learned)
    assert np.allclose(held["space_parts"], spatial_parts(held["space_matrix"], SIDE, SIDE))
    size = displacement(held["space_matrix"], SIDE, SIDE)
    assert np.allclose(held["space_size"], size)


def test_the_transform_is_what_the_report_measured(run: Run, learned: Path) -> None:
    """Both writings of a pair; accuracy by `evaluate` is that at the corner, on the same images."""
    held = arrays(learned)
    rows = held["index"]
    with hdf5.open(Path("bars.h5")) as file:
        image, label = file.array("image")[rows], file.array("label")[rows]
    write(Path("held.h5"), image, label)
    line = f"evaluate py:known:rows -d held.h5 {SHOWN} -f json -o seen.json"
    code, _, err = run(f"{line} -t itn:rows.st,k1=1,1,k2=0,0 -t itn:rows.st,k1=1/1,start=1")
    assert code == 0, err
    rows = json.loads(Path("seen.json").read_text())["rows"]
    found = {row["condition"]: row["accuracy"] for row in rows if row["group"] == "all"}
    for start, text in enumerate(("", ",start=1")):
        name = f"itn:rows.st,k1=1/1,k2=0/0{text}"
        assert found[name] == pytest.approx(held["space_accuracy"][start, -1, -1])
    assert run("transform itn:rows.st,k1=1,0 -d bars.h5 --limit 4 -o moved.h5 --overwrite")[0] == 0
    with hdf5.open(Path("moved.h5")) as file:
        moved = file.array("image")
    assert moved.shape == (4, 3, SIDE, SIDE)


def test_files_are_whole_and_tell_what_they_hold(learned: Path) -> None:
    assert verify.check(learned).startswith("itn, seed 2")
    assert verify.check(Path("rows.st")).startswith("controllers, 16 tensors")
    for path in (learned, Path("rows.st")):
        told = inspect.run(path, "text")
        assert "Made by" in told
        assert "itn py:known:rows" in told


@pytest.mark.parametrize("kind", ["auto", "losses", "classification", "corners"])
@pytest.mark.parametrize("form", ["svg", "txt"])
def test_pictures(run: Run, learned: Path, kind: str, form: str) -> None:
    code, _, err = run(f"plot {learned} -k {kind} -o {kind}.{form} --overwrite -q")
    assert code == 0, err
    assert Path(f"{kind}.{form}").stat().st_size > 40


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("py:known:wrong -d bars.h5", 1, "answers none of the 16 images to train on right"),
        ("py:known:rows -d one.h5", 1, "gives 1 image: some are wanted to train on"),
        ("py:known:rows -d bars.h5 --held-out 1", 2, "--held-out 1: a number above 0, under 1"),
        ("py:known:rows -d bars.h5 --share 0", 2, "--share 0: a number above 0, to 1"),
        ("py:known:rows -d bars.h5 --learning-rate nan", 2, "--learning-rate nan"),
        ("py:known:rows -d gray.h5", 1, "the images have 1 channel"),
        ("py:known:rows -d bars.h5 -o no.h5", 2, "controllers are a .st file"),
        ("py:known:rows -d bars.h5 -o -", 2, "give --report FILE"),
        ("py:known:rows -d bars.h5 --report no.st -o no.st", 2, "files of their own"),
        ("rows.st", 2, "holds controllers of invtool itn, not a network"),
    ],
)
@pytest.mark.usefixtures("learned")
def test_what_cannot_work_is_one_sentence(run: Run, line: str, code: int, sentence: str) -> None:
    target = "" if "-o" in line else "-o no.st"
    network = "" if line == "rows.st" else SHOWN.replace("-q --overwrite", "")
    found, out, err = run(f"itn {line} {network} --steps 2 --grid 2 --reach 2 {target}")
    assert (found, out) == (code, ""), err
    assert sentence in err.splitlines()[-1]
    assert not Path("no.st").exists()
    assert not Path("no.h5").exists()


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("itn:none.st", "none.st: no such file"),
        ("itn:bars.h5", "an HDF5 file"),
        ("itn:rows.st,k1=2/0", "k1 of 'itn' is two numbers, 0 to 1, not 2/0"),
        ("itn:rows.st,start=5", "has starts 0 to 1, not 5"),
        ("itn:rows.st,k1=0.5", "k1 of 'itn' is two numbers, 0 to 1, as 0.5/0"),
        ("itn", "is read from a file; write itn:FILE"),
    ],
)
@pytest.mark.usefixtures("learned")
def test_a_transform_that_cannot_be_read_is_refused(run: Run, spec: str, sentence: str) -> None:
    code, _, err = run(f"evaluate py:known:rows -d bars.h5 {SHOWN} -o no.h5 -t {spec}")
    assert code in (1, 2)
    assert sentence in err.splitlines()[-1]


@pytest.mark.usefixtures("learned")
def test_a_transform_of_other_channels_is_refused(run: Run) -> None:
    code, _, err = run("transform itn:rows.st -d gray.h5 -o no.h5")
    assert code == 1
    assert "controllers are of 3 channels, the images have 1" in err


@pytest.mark.parametrize("rate", ["1e-6", "1e30"])
def test_a_trivial_answer_is_said(run: Run, rate: str) -> None:
    """Too slow a training, and one that runs off and is led back at every check."""
    line = f"itn py:known:rows -d bars.h5 {SHOWN} --steps 2 --grid 2 --reach 2 -o trivial.st"
    line += f" --learning-rate {rate}"
    _, _, err = run(line.replace("-q ", ""))
    assert "the spatial matrices are nearly the identity" in err
    assert "the color matrices are nearly the identity" in err


def test_an_output_that_exists_is_kept(run: Run, learned: Path) -> None:
    before = learned.read_bytes()
    code, _, err = run("itn py:known:rows -d bars.h5 --size 16 -o rows.st")
    assert code == 2
    assert "pass --overwrite" in err
    assert learned.read_bytes() == before
