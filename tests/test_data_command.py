"""`invtool data`: any data set as an images file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import INVTOOL
from small import Run, room, runner, write_set

from invtool.data.sources import open_data
from invtool.files import hdf5

FACES = "faces:categories=3,train=4,test=2,size=16"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    with room(tmp_path):
        yield tmp_path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def test_a_drawn_set(run: Run, folder: Path) -> None:
    assert run(f"data {FACES} -o f.h5") == (0, "", "")
    drawn, written = open_data(FACES), open_data("f.h5")
    for name in ("image", "label", "split"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(written, name))
    assert written.categories == drawn.categories
    (step,) = written.steps
    assert step["command"] == f"invtool data {FACES} -o f.h5" and step["config"]["seed"] == 0


def test_a_seed_and_a_limit(run: Run) -> None:
    assert run(f"data {FACES} --seed 3 -o f.h5")[0] == 0
    assert run(f"data {FACES},seed=3 --seed 9 -o g.h5")[0] == 0
    assert run(f"data {FACES} -o h.h5")[0] == 0
    with hdf5.open(Path("f.h5")) as file:
        assert file.attribute("data").endswith("seed=3,size=16,test=2,train=4")
    f, g, h = (open_data(f"{name}.h5").image for name in "fgh")
    assert (f == g).all() and (f != h).any()
    assert run(f"data {FACES} --limit 3 -o few.h5")[0] == 0
    few = open_data("few.h5")
    assert few.split.tolist() == [0, 1] * 3 and few.label.tolist() == [0, 0, 1, 1, 2, 2]


def test_an_images_file_keeps_its_history_and_type(run: Run) -> None:
    write_set(Path("float.h5"), dtype=np.float32)
    assert run("data float.h5 --limit 4 -o a.h5")[0] == 0
    assert run("data a.h5 -o b.h5")[0] == 0
    images = open_data("b.h5")
    assert images.image.dtype == np.float32 and len(images.steps) == 2
    assert run("data a.h5 --no-provenance -o c.h5")[0] == 0
    assert open_data("c.h5").steps == []


def test_a_pipe_into_a_pipe(folder: Path) -> None:
    line = f"{INVTOOL[0]} -m invtool data {FACES} | {INVTOOL[0]} -m invtool data - --limit 1 > p.h5"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, env=os.environ
    )
    assert (done.returncode, done.stderr) == (0, b"")
    images = open_data("p.h5")
    assert len(images.label) == 2 and [step["writes"] for step in images.steps] == [["-"], ["-"]]


def test_a_folder(run: Run, folder: Path) -> None:
    from PIL import Image

    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (20, 30), (number, 0, 0)).save(
                folder / "photos" / name / f"{number}.jpg"
            )
    assert run("data folder:photos,size=16 -o p.h5")[0] == 0
    images = open_data("p.h5")
    assert images.image.shape == (10, 3, 16, 16) and images.categories == ["cat", "dog"]
    assert images.split.sum() == 2


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("facse", 2, "no data set 'facse'; did you mean faces?"),
        ("faces:size=3", 2, "size=3 is wrong; an integer from 16 is wanted"),
        ("missing.h5", 1, "missing.h5: no such file or folder"),
        ("nets.py", 1, "nets.py: neither HDF5 nor safetensors"),
        ("cifar10", 1, "fetch it with: invtool data cifar10 --download"),
        (f"{FACES} -o small.h5", 2, "small.h5 exists; pass --overwrite"),
    ],
)
def test_refused(line: str, code: int, sentence: str, run: Run, folder: Path) -> None:
    os.environ.pop("INVTOOL_DATA", None)
    before = sorted(folder.iterdir())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INVTOOL_DATA", str(folder))
        done = run(f"data {line}{'' if '-o' in line.split() else ' -o x.h5'}")
    assert done[:2] == (code, "") and sentence in done[2] and done[2].count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_terminal_is_no_input_and_no_output(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", type("terminal", (), {"isatty": lambda self: True})())
    assert run("data - -o x.h5") == (
        2,
        "",
        "invtool data: no input; name a FILE or pipe one in (see --help)\n",
    )
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True, raising=False)
    assert "refusing to write binary data to a terminal" in run(f"data {FACES}")[2]
