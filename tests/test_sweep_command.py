"""`invtool sweep`: networks whose answers at every magnitude are known, and lines that cannot work."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small import Run, invoke, room, runner, write_set

from invtool.files import hdf5
from invtool.measures import wilson_interval
from invtool.stages import sweep as stage
from invtool.stages import verify
from invtool.transforms import parse

NETS = '''
import torch
from torch import nn

class Quadrants(nn.Module):
    """Answers the brightest quadrant; `bias` is added to the logit of the last one."""
    def __init__(self, bias=0.0):
        super().__init__()
        self.bias = bias
    def forward(self, x):
        logits = nn.functional.adaptive_avg_pool2d(x.mean(1, keepdim=True), 2).flatten(1) / 50
        return logits + self.bias * torch.tensor([0.0, 0, 0, 1])

class Gray(nn.Module):
    """Blind to all but brightness: 0 below 128, 1 above."""
    def forward(self, x):
        bright = x.mean((1, 2, 3)) / 255 - 0.5
        return torch.stack([-bright, bright, bright - 9, bright - 9], 1)

def quadrants(): return Quadrants()
def biased(): return Quadrants(3.0)
def gray(): return Gray()
def wrong(): return Quadrants(99.0)
def broken(): return Quadrants(float("nan"))
def five(): return nn.Sequential(Quadrants(), nn.ZeroPad2d((0, 1, 0, 0)))
'''
SHOWN = "--size 8 --mean 0 --std 1 -d small.h5"  # 255 is 1


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with room(tmp_path_factory.mktemp("sweep")) as patch:
        Path("swept.py").write_text(NETS.replace("/ 50", "* 5"))
        patch.setattr(stage, "EXAMPLE_SIDE", 6)
        yield


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def arrays(line: str) -> dict[str, np.ndarray]:
    assert invoke(f"sweep {line} {SHOWN} -q --resamples 50 -o swept.h5 --overwrite") == 0
    assert verify.check(Path("swept.h5"))
    with hdf5.open(Path("swept.h5"), kinds=("sweep",)) as file:
        return {name: file.array(name) for name in file.names()}


def pixels() -> tuple[np.ndarray, np.ndarray]:
    with hdf5.open(Path("small.h5")) as file:
        test = file.array("split") == 1
        return file.array("image")[test].astype(np.float32), file.array("label")[test]


def test_every_number_is_as_an_independent_loop_has_it() -> None:
    """Turned by 90 degrees, each lit quadrant is another: the loop turns the pixels itself."""
    held = arrays("py:swept:quadrants -t rotate:degrees=-180:180:5")
    image, label = pixels()
    softmax = np.empty((len(image), 5, 4))
    for at, turns in enumerate((-2, -1, 0, 1, 2)):
        turned = np.rot90(image, turns, (2, 3)).mean(axis=1) / 255
        logits = 5 * turned.reshape(-1, 2, 4, 2, 4).mean(axis=(2, 4)).reshape(-1, 4)
        softmax[:, at] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    prediction = softmax.argmax(axis=2)
    assert held["prediction"].tolist() == prediction.tolist()
    for category in range(4):
        mean = softmax[label == category].mean(axis=0)
        np.testing.assert_allclose(held["softmax"][category], mean, atol=1e-6)
        right = (prediction[label == category] == category).mean(axis=0)
        np.testing.assert_allclose(held["accuracy"][category], right)
        left = np.flatnonzero(mean.argmax(axis=1) != category)
        wanted = min(abs(held["magnitude"][left]))
        assert held["threshold"][category] == wanted == 90
        assert held["threshold_interval"][category].tolist() == [90, 90]
        assert held["side_threshold"][category].tolist() == [90, 90]
    right = prediction == label[:, None]
    np.testing.assert_allclose(held["overall_accuracy"], right.mean(axis=0))
    bounds = wilson_interval(right.sum(axis=0), np.full(5, len(label)))
    np.testing.assert_allclose(held["overall_accuracy_interval"], bounds)
    np.testing.assert_allclose(held["overall_softmax"], softmax.mean(axis=0), atol=1e-6)
    assert held["overall_threshold"] == 90
    assert held["sample"].tolist() == [-180, -90, 0, 90, 180]
    assert held["sample_frame"].shape == (4, 5, 3, 6, 6)


@pytest.mark.parametrize("name", ["rotate", "blur", "white-noise", "contrast", "zoom"])
def test_where_nothing_changes_it_is_what_evaluate_gives(name: str) -> None:
    held = arrays(f"py:swept:biased -t {name}")
    assert invoke(f"evaluate py:swept:biased {SHOWN} -t blur -o e.h5 --overwrite") == 0
    with hdf5.open(Path("e.h5")) as file:
        told = {each: file.array(each) for each in ("prediction", "accuracy", "wilson")}
    own = held["magnitude"].tolist().index(float(held["identity"]))
    assert held["prediction"][:, own].tolist() == told["prediction"][0].tolist()
    assert held["overall_accuracy"][own] == told["accuracy"][0, 0] < 1
    assert held["overall_accuracy_interval"][own].tolist() == told["wilson"][0, 0].tolist()
    other = len(held["magnitude"]) - 1
    spec = parse(name).steps[0].at(held["magnitude"][other])
    assert invoke(f"evaluate py:swept:biased {SHOWN} -t {spec} -o e.h5 --overwrite") == 0
    with hdf5.open(Path("e.h5")) as file:
        assert held["prediction"][:, other].tolist() == file.array("prediction")[1].tolist()


def test_neither_batch_nor_company_changes_a_number() -> None:
    """Several networks and transforms in batches of one give what each gives alone."""
    line = "-t rotate:degrees=-90:90:5 -t white-noise:sigma=0:100:3"
    both = arrays(f"py:swept:quadrants py:swept:gray {line} --batch-size 1")
    assert both["network"].tolist() == ["py:swept:quadrants", "py:swept:gray"]
    assert both["transform"].tolist() == ["rotate", "white-noise"]
    for n, name in enumerate(("quadrants", "gray")):
        for part in ("rotate:degrees=-90:90:5", "white-noise:sigma=0:100:3"):
            alone = arrays(f"py:swept:{name} -t {part} --batch-size 7")
            for leaf in ("softmax", "threshold", "threshold_interval", "overall_accuracy"):
                together = both[f"transforms/{part.partition(':')[0]}/{leaf}"][n]
                np.testing.assert_allclose(together, alone[leaf], atol=1e-6)
    assert both["transforms/rotate/magnitude"].tolist() == [-90, -45, 0, 45, 90]


def test_parts_of_a_category_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = arrays("py:swept:biased -t blur:sigma=0:4:5")
    monkeypatch.setattr(stage, "KEPT", 2 * 4 * 5 * 4)  # two images a part, of three a category
    parts = arrays("py:swept:biased -t blur:sigma=0:4:5")
    for name, values in whole.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(parts[name], values, atol=1e-6)


def test_a_grid_holds_every_pair() -> None:
    held = arrays("py:swept:biased -t translate-x:share=-0.5:0.5:5 --with blur:sigma=0:2:3")
    assert held["transform"].tolist() == ["translate-x+blur"]
    assert held["softmax"].shape == (4, 5, 3, 4)
    assert held["prediction"].shape == (12, 5, 3)
    assert held["side_threshold_interval"].shape == (4, 2, 3, 2)
    for line, part in (
        ("translate-x:share=-0.5:0.5:5", (slice(None), 0)),
        ("blur:sigma=0:2:3", (2,)),
    ):
        alone = arrays(f"py:swept:biased -t {line}")
        np.testing.assert_allclose(alone["overall_accuracy"], held["overall_accuracy"][part])
    of_x = arrays("py:swept:biased -t translate-x:share=-0.5:0.5:5")
    np.testing.assert_array_equal(of_x["threshold"], held["threshold"][:, 0])
    np.testing.assert_array_equal(of_x["overall_threshold"], held["overall_threshold"][0])


def test_noise_of_an_image_grows_and_is_not_drawn_anew() -> None:
    held = arrays("py:swept:quadrants -t white-noise:sigma=0:100:3")
    frames = held["sample_frame"][0].astype(int) - held["sample_frame"][0, 0]
    inside = (held["sample_frame"][0] > 0).all(0) & (held["sample_frame"][0] < 255).all(0)
    assert inside.sum() > 5
    np.testing.assert_allclose(frames[2][inside], 2 * frames[1][inside], atol=2)


def test_what_never_leaves_is_beyond_the_range(run: Run) -> None:
    line = f"sweep py:swept:quadrants {SHOWN} -q -t rotate:degrees=-30:30:3"
    code, out, _ = run(f"{line} -f table")
    assert code == 0
    assert "< -30" in out
    assert "> 30" in out
    assert "rotate" not in out.splitlines()[0]
    code, out, _ = run(f"{line} -f json")
    told = json.loads(out)
    assert told["keep"] == 0.9
    first = told["thresholds"][0]
    assert (first["category"], first["threshold"], first["above_high"]) == ("all", None, None)
    _, out, _ = run(f"sweep py:swept:quadrants {SHOWN} -q -t blur:sigma=0:1:2 -f table")
    assert all(" - " in row for row in out.splitlines()[2:7])  # no sigma is below 0


def test_csv_is_tidy_and_agrees_with_the_file(run: Run) -> None:
    line = "py:swept:biased -t rotate:degrees=-90:90:3"
    code, out, _ = run(f"sweep {line} {SHOWN} -q -f csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    held = arrays(line)
    assert len(rows) == 5 * 3
    assert [float(row["accuracy"]) for row in rows[:3]] == held["overall_accuracy"].tolist()
    one = rows[3:6]
    assert {row["category"] for row in one} == {"quadrant 0"}
    np.testing.assert_allclose([float(r["softmax"]) for r in one], held["softmax"][0, :, 0])
    most = held["softmax"][0].max(axis=0)
    assert one[0]["answer_1"] == f"quadrant {most.argmax()}"
    names = ("softmax_1", "softmax_2", "softmax_3", "others")
    np.testing.assert_allclose(
        [sorted(float(row[name]) for name in names) for row in one],
        np.sort(held["softmax"][0], axis=1),
        rtol=1e-6,
    )


def test_all_gives_one_page(run: Run) -> None:
    code, out, _ = run(f"sweep py:swept:quadrants py:swept:biased --all {SHOWN} -q -f table")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "Sweep of 2 networks, 12 images, small.h5"
    names = ["translate-x", "translate-y", "rotate", "scale-x", "scale-y", "zoom", "brightness"]
    names += ["contrast", "grayscale", "blur", "white-noise"]
    rows = [line.split()[:2] for line in lines[2 : 2 + 2 * len(names)]]
    assert sorted({row[0] for row in rows}) == sorted(names)
    assert "Accuracy of py:swept:quadrants, untransformed: 1.000" in out


def test_a_network_that_is_wrong_everywhere_says_so(run: Run) -> None:
    write_set(Path("three.h5"), train=1, test=9, categories=3)
    line = f"sweep py:swept:wrong {SHOWN.replace('small', 'three')} -q -t rotate:degrees=-90:90:3"
    code, out, _ = run(f"{line} -f table")
    assert code == 0
    assert out.count("unchanged already") == 2 * 4
    assert "py:swept:wrong answers no image right: it has no accuracy to lose" in out
    code, out, _ = run(f"{line} -f json")
    assert {row["threshold"] for row in json.loads(out)["thresholds"]} == {0.0}


def test_a_category_without_images_is_left_out_aloud(run: Run) -> None:
    line = f"sweep py:swept:quadrants {SHOWN} -q -t blur:sigma=0:1:2 --limit 2"
    code, out, _ = run(f"{line} -f table")
    assert code == 0
    assert "2 categories have no test image here, and are left out" in out
    code, out, _ = run(f"{line} -f json")
    told = json.loads(out)["thresholds"]
    assert len(told) == 3
    assert told[1]["threshold_low"] is None  # of one image


def test_one_image_is_enough() -> None:
    held = arrays("py:swept:quadrants -t rotate:degrees=-90:90:3 --limit 1")
    assert held["softmax"].shape == (1, 3, 4)
    assert np.isnan(held["overall_threshold_interval"]).all()
    assert held["overall_threshold"] == 90


def test_the_same_line_writes_the_same_bytes() -> None:
    for name in ("one.h5", "two.h5"):
        line = f"sweep py:swept:biased {SHOWN} -q -t white-noise --no-provenance -o {name}"
        assert invoke(f"{line} --overwrite") == 0
    assert Path("one.h5").read_bytes() == Path("two.h5").read_bytes()


def test_xarray_opens_it() -> None:
    xarray = pytest.importorskip("xarray")
    arrays("py:swept:quadrants -t rotate:degrees=-90:90:3 -t blur:sigma=0:1:2")
    with xarray.open_dataset("swept.h5", engine="h5netcdf", group="transforms/rotate") as told:
        assert told["softmax"].dims == ("category", "magnitude", "answer")
        assert told["magnitude"].values.tolist() == [-90, 0, 90]


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("", 2, "nothing to sweep; give --transform, or --all for those of the paper"),
        ("--all -t blur", 2, "--all sweeps every transform of the paper; drop --transform"),
        ("-t rotate:degrees=10:90:9", 2, "leaves out 0, where nothing changes"),
        ("-t zoom:factor=-1:1:3", 2, "'zoom' is singular"),
        ("-t blur:sigma=0:0:1", 2, "has COUNT 1; 2 to 1000 magnitudes are wanted"),
        ("-t rot90", 2, "transform 'rot90' has no strength to sweep"),
        ("-t blur -t blur:sigma=0:1:2", 2, "blur is named twice"),
        ("-t blur --with blur", 2, "blur is named twice"),
        ("-t blur --with thinning", 2, "transform 'thinning' has no strength to sweep"),
        ("-t blur --keep 0", 2, "--keep 0: a share of the accuracy, 0 < keep <= 1, is wanted"),
        ("-t blur --keep 90", 2, "--keep 90: a share"),
        ("py:swept:five -t blur", 1, "tell different numbers of categories apart"),
        ("py:swept:broken -t blur", 1, "py:swept:broken answers NaN or infinity"),
        ("-t blur -d gone.h5", 1, "gone.h5: no such file"),
        ("-t blur -o small.h5", 2, "small.h5 exists"),
        ("-t blur --size 9 -d small.h5 --device moon", 2, "no device 'moon'"),
    ],
)
def test_what_cannot_work_is_one_sentence(run: Run, line: str, code: int, sentence: str) -> None:
    shown = SHOWN if " -d " not in line else SHOWN.replace("-d small.h5", "")
    output = "" if " -o " in line else "-o no.h5"
    found, out, err = run(f"sweep py:swept:quadrants {line} {shown} {output}")
    said = [text for text in err.splitlines() if "runs your own code" not in text]
    assert (found, out, len(said)) == (code, "", 1), err
    assert sentence in said[0]
    assert not Path("no.h5").exists()


def test_labels_that_the_network_has_no_answer_for_are_refused(run: Run) -> None:
    write_set(Path("six.h5"), train=1, test=6, categories=6)
    line = f"sweep py:swept:quadrants {SHOWN.replace('small', 'six')} -t blur -o no.h5"
    code, _, err = run(line)
    assert code == 1
    assert "six.h5 has category number 5, py:swept:quadrants 4 categories" in err
