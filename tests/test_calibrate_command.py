"""`invtool calibrate` on a network that reads contrast, whose accuracy under blur is known."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from numpy.typing import NDArray
from small import Run, invoke, room, runner

from invtool.files import hdf5
from invtool.measures import wilson_interval
from invtool.stages.calibrate import conditions
from invtool.transforms import TRANSFORMS

AMPLITUDES = np.arange(10, 101, 10)  # gray levels, of an image's stripes
LEAST = 32  # gray levels; what the network takes for category 0 has more contrast
NETWORK = f"""
import torch
from torch import nn

class Contrast(nn.Module):
    def forward(self, image):
        print("contrast is read")
        return image.flatten(1).std(1, correction=0, keepdim=True)

def contrast(least={LEAST}):
    network = nn.Sequential(Contrast(), nn.Linear(1, 2))
    network[1].weight = nn.Parameter(torch.tensor([[1.0], [0.0]]))
    network[1].bias = nn.Parameter(torch.tensor([-least / 255, 0.0]))
    return network

def blind():
    return contrast(250)

def broken():
    return contrast(float("nan"))
"""
FLAGS = "-d stripes.h5 --size 8 --mean 0,0,0 --std 1,1,1 --untrained --threads 1"
CALIBRATE = f"calibrate py:stripes:contrast {FLAGS}"
BLUR = f"{CALIBRATE} -t blur"
CURVE = [0.7, 0.5, 0.0]  # at sigma 0, 0.5 and 1


def write_stripes(path: Path, amplitudes: NDArray[np.int64], *categories: str) -> None:
    """Images of category 0: columns that alternate about 128; the blur's mirrored border too."""
    sign = np.where(np.arange(8) % 2, 1, -1)
    image = 128 + amplitudes[:, None, None, None] * np.broadcast_to(
        sign, (len(amplitudes), 3, 8, 8)
    )
    with hdf5.create(path, "images", []) as out:
        out.array("image", image.astype(np.uint8), ("image", "channel", "height", "width"))
        out.array("label", np.zeros(len(image), np.int64), ("image",))
        out.array("split", np.ones(len(image), np.uint8), ("image",))
        out.attribute("categories", categories)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("calibrate")
    with room(top):
        (top / "stripes.py").write_text(NETWORK)
        write_stripes(top / "stripes.h5", AMPLITUDES, "striped", "plain")
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def by_hand(sigma: float) -> float:
    """Accuracy under blur, by the Gaussian's answer to the highest frequency."""
    k = np.arange(-round(4 * sigma), round(4 * sigma) + 1)
    weight = np.exp(-(k**2) / (2 * sigma**2)) if sigma else np.ones(1)
    kept = (weight * (-1.0) ** k).sum() / weight.sum()
    return float((AMPLITUDES * kept > LEAST).mean())


def read(path: str) -> dict[str, Any]:
    with hdf5.open(Path(path), ["calibration"]) as file:
        return {name: file.array(name) for name in file.names()}


def test_the_curve_is_the_one_by_hand_and_stops_under_the_limit(run: Run) -> None:
    assert run(f"{BLUR} -o curve.h5")[0] == 0
    found = read("curve.h5")
    assert found["strength"].tolist() == [0, 0.5, 1]
    assert found["accuracy"].tolist() == [by_hand(s) for s in found["strength"]] == CURVE
    right = np.array([7, 5, 0])
    np.testing.assert_array_equal(found["wilson"], wilson_interval(right, np.full(3, 10)))
    with hdf5.open(Path("curve.h5")) as file:
        told = [file.attribute(name) for name in ("transform", "family", "parameter", "limit")]
        assert told == ["blur:sigma=1", "blur", "sigma", 0.1]
        assert file.attribute("model") == "py:stripes:contrast"
        assert [step["id"].split(".")[0] for step in file.steps] == ["calibrate"]
    with xarray.open_dataset("curve.h5", engine="h5netcdf") as data:
        assert data.strength.attrs["units"] == "px" and data.wilson.dims == ("step", "bound")
    assert run("verify curve.h5")[0] == 0
    code, picture, _ = run("plot curve.h5 -f text")
    assert code == 0 and "sigma (px)" in picture and "Found: blur:sigma=1." in picture


def test_a_finer_step_and_a_limit_that_is_met_but_not_undercut(run: Run) -> None:
    assert run(f"{BLUR} --step 0.25 -o fine.h5")[0] == 0
    found = read("fine.h5")
    assert found["strength"].tolist() == [0, 0.25, 0.5, 0.75]
    assert found["accuracy"].tolist() == [by_hand(s) for s in found["strength"]]
    assert run(f"{BLUR} --below 0.5 --spec")[1] == "blur:sigma=1\n"
    assert run(f"{BLUR} --below 0.51 --spec")[1] == "blur:sigma=0.5\n"


def test_batches_do_not_change_the_result(run: Run) -> None:
    noise = f"{CALIBRATE} -t salt-pepper --below 0.7 --most 3"
    for line, code in ((BLUR, 0), (noise, 1)):
        whole, parts = run(f"{line} -f csv"), run(f"{line} -f csv --batch-size 3")
        assert whole[0] == parts[0] == code
        rows = [[row for row in out.splitlines() if row[:1] != "#"] for _, out, _ in (whole, parts)]
        assert rows[0] == rows[1]


def test_the_spec_is_all_that_is_printed_and_train_takes_it(run: Run) -> None:
    code, out, err = run(f"{BLUR} --spec -q")
    assert (code, out) == (0, "blur:sigma=1\n") and "contrast is read" in err
    train = "train -d small.h5 -n py:nets:make --epochs 1 --seen 2 --threads 1 -o next.st"
    assert run(f"{train} --transform", out.removesuffix("\n"))[0] == 0
    assert '"blur:sigma=1"' in run("inspect next.st --json")[1]


def test_the_spec_is_printed_beside_a_file(run: Run) -> None:
    assert run(f"{BLUR} --spec -o beside.csv")[:2] == (0, "blur:sigma=1\n")
    assert "strength,accuracy,lower,upper" in Path("beside.csv").read_text()


def test_table_json_and_csv_say_the_same(run: Run) -> None:
    lines = run(f"{BLUR} -f table")[1].splitlines()
    assert lines[0] == "Calibration of blur, 10 images"
    assert lines[1].split() == ["sigma", "(px)", "accuracy", "lower", "upper"]
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["0", "0.700"],
        ["0.5", "0.500"],
        ["1", "0.000"],
    ]
    assert lines[5] == (
        "blur:sigma=1: the first strength whose accuracy is under 0.1; of chance 1.000."
    )
    answer = json.loads(run(f"{BLUR} -f json")[1])
    assert answer["transform"] == "blur:sigma=1" and answer["limit"] == 0.1
    assert [row["accuracy"] for row in answer["rows"]] == CURVE
    text = [row for row in run(f"{BLUR} -f csv")[1].splitlines(True) if row[0] != "#"]
    rows = list(csv.DictReader(io.StringIO("".join(text))))
    told = [{name: float(value) for name, value in row.items()} for row in rows]
    assert told == answer["rows"]


def test_where_no_strength_is_under_the_limit_nothing_is_written(run: Run) -> None:
    code, out, err = run(f"{CALIBRATE} -t white-noise --most 4 -o never.h5")
    assert (code, out) == (1, "") and not Path("never.h5").exists()
    assert "no strength of white-noise up to white-noise:sigma=100 brings the accuracy" in err
    assert "the lowest is 0.700, at sigma=0; raise --below, --step or --most" in err
    code, out, err = run(f"{BLUR} --step 0.1 --most 5 --spec")
    assert (code, out) == (1, "") and "the lowest is 0.500, at sigma=0.5" in err


def test_a_network_that_is_under_the_limit_at_once(run: Run) -> None:
    code, out, err = run(f"calibrate py:stripes:blind {FLAGS} -t blur -o at-once.h5")
    assert (code, out) == (1, "") and not Path("at-once.h5").exists()
    assert "answers 0.000 of the untransformed images right, under the limit of 0.1 already" in err


def test_a_network_that_saw_the_transform_is_told_of(run: Run, folder: Path) -> None:
    for seen in (0, 2):
        train = f"train -d small.h5 -n py:nets:make --epochs 1 --seen {seen} -t rot90+blur"
        assert invoke(f"{train} --threads 1 -o seen{seen}.st") == 0
    sentence = "was trained with rot90+blur:sigma=2: the strength found is higher"
    line = "calibrate seen{}.st -t {} --below 1e-9 --most 1 --threads 1"
    assert sentence in run(line.format(2, "blur"))[2]
    assert sentence not in run(line.format(2, "blur -q"))[2]
    assert sentence not in run(line.format(2, "white-noise"))[2]
    assert sentence not in run(line.format(0, "blur"))[2]


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        ("blur", 40, "blur:sigma=20"),
        ("white-noise", 40, "white-noise:sigma=1000"),
        ("salt-pepper", 20, "salt-pepper:share=1"),
        ("rotate", 24, "rotate:degrees=360"),
    ],
)
def test_strengths_stay_within_the_range(name: str, count: int, last: str) -> None:
    transform = TRANSFORMS[name]
    found = conditions(transform, transform.step or 0, 40)
    assert (len(found), str(found[-1][1])) == (count, last)
    assert found[2][0] == round(3 * (transform.step or 0), 10)


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ("-t blurr", 2, "no transform 'blurr'; did you mean 'blur'?"),
        (
            "-t blur:sigma=1",
            2,
            "blur:sigma=1: one transform without a value is wanted, as grayscale",
        ),
        ("-t rot90+blur", 2, "one transform without a value is wanted"),
        ("-t none", 2, "one transform without a value is wanted"),
        ("-t rot90", 2, "has no strength to raise; use grayscale, brightness, contrast, blur"),
        ("-t blur --below 0", 2, "an accuracy, 0 < below <= 1, is wanted"),
        ("-t blur --below nan", 2, "an accuracy, 0 < below <= 1, is wanted"),
        ("-t blur --below 1.1", 2, "an accuracy, 0 < below <= 1, is wanted"),
        ("-t blur --step 0", 2, "a step above 0 and within it is wanted"),
        ("-t blur --step nan", 2, "a step above 0 and within it is wanted"),
        ("-t salt-pepper --step 1.5", 2, "share of 'salt-pepper' is within 0 to 1"),
        ("-t blur --most 0", 2, "--most"),
        ("-t blur --spec -f csv", 2, "drop --format or give -o FILE"),
        ("-t blur -o stripes.h5", 2, "stripes.h5 exists; pass --overwrite"),
        ("-t blur -o a.xyz", 2, "unknown suffix '.xyz'"),
        ("-t blur -d missing.h5", 1, "missing.h5: no such file"),
        ("", 2, "--transform"),
    ],
)
def test_bad_lines_are_refused_in_a_sentence(
    options: str, code: int, sentence: str, run: Run
) -> None:
    found, out, err = run(f"{CALIBRATE} {options}")
    assert (found, out) == (code, "")
    assert err.startswith("invtool calibrate: ") and err.count("\n") == 1 and sentence in err


def test_bad_models_and_images(run: Run, folder: Path) -> None:
    write_stripes(folder / "one.h5", np.array([100]), "striped")
    code, out, _ = run(f"{BLUR} -d one.h5 -f table")
    assert code == 0 and "1 images" in out and "of chance 1.000" in out
    (folder / "empty.st").write_bytes(b"")
    for line, sentence in (
        ("calibrate empty.st", "empty.st"),
        ("calibrate small.h5", "small.h5"),
        (f"calibrate py:stripes:broken {FLAGS}", "answers NaN or infinity"),
    ):
        code, out, err = run(f"{line} -t blur -o no.h5")
        assert (code, out) == (1, "") and sentence in err
    assert not (folder / "no.h5").exists()
