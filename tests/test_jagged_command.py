"""`invtool jagged`: networks whose answers at every place are known, and lines that cannot work."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import Run, invoke, room, runner

from invtool.files import hdf5, models

NETS = '''
import torch
from torch import nn

class Parity(nn.Module):
    """0 where even rows are the brighter ones, 1 where odd ones are: it subsamples by two."""
    def forward(self, x):
        even, odd = x[:, :, ::2].sum((1, 2, 3)), x[:, :, 1::2].sum((1, 2, 3))
        return torch.stack([even, odd, even - 99, odd - 99], 1)

class Noisy(nn.Module):
    """Two classes that differ by less than what the size of a batch changes."""
    def forward(self, x):
        brightness = x.mean((1, 2, 3))
        place = torch.arange(len(x)) % 2
        other = torch.full_like(brightness, 0.5) + 1e-6 * place * (len(x) > 1)
        return torch.stack([0 * other, torch.full_like(other, 0.5), other - 2e-7, 0 * other], 1)

class Bright(nn.Module):
    """Blind to where the light is."""
    def forward(self, x):
        total = x.mean((1, 2, 3))
        return torch.stack([total, 1 - total, 0 * total, 0 * total], 1)

def parity():
    return Parity()

def noisy():
    return Noisy()

def bright():
    return Bright()
'''
SHOWN = "--size 8 --mean 0 --std 1 -d small.h5 --object 1 --fill black"


def write_photos(top: Path) -> None:
    random = np.random.default_rng(0)
    for number, (width, height) in enumerate([(12, 9), (10, 14), (8, 8)]):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for folder in ("photos", "clips/a"):
            (top / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(top / folder / f"{number}.png")
    (top / "one").mkdir()
    Image.fromarray(pixels).save(top / "one" / "0.png")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("jagged")
    with room(top):
        (top / "moved.py").write_text(NETS)
        write_photos(top)
        train = "train -d small.h5 -n py:nets:make --epochs 1 --batch-size 8 --threads 1 -q"
        assert invoke(f"{train} -o model.st") == 0
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def measured(run: Run, line: str) -> dict[str, float]:
    code, out, _ = run(f"jagged {line} -f json -q")
    assert code == 0
    return {row["measure"]: row["value"] for row in json.loads(out)["rows"]}


def arrays(run: Run, line: str, name: str = "out.h5") -> dict[str, np.ndarray]:
    assert run(f"jagged {line} -o {name} --overwrite -q")[0] == 0
    with hdf5.open(Path(name), ["jaggedness"]) as file:
        return {key: file.array(key) for key in file.names()}


def test_a_network_that_subsamples_by_two_changes_its_answer_at_every_step(run: Run) -> None:
    found = measured(run, f"py:moved:parity {SHOWN} --range 3")
    assert found["jagged_images"] == 0.5  # classes 0 and 1 of 4 are ever answered
    assert found["jaggedness"] == 3  # 6 steps, or none
    assert found["top1_changes"] == 1
    assert found["consistency"] == pytest.approx((3**2 + 4**2) / 7**2)
    assert found["accuracy"] == pytest.approx(0.25)
    held = arrays(run, f"py:moved:parity {SHOWN} --range 3")
    assert held["position"].tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert set(held["top1"][:, ::2].flat) == {
        0
    }  # the middle is row 3: rows 0, 2, ... at -3, -1, ...
    assert set(held["top1"][:, 1::2].flat) == {1}
    assert held["jaggedness"].tolist() == [6 if label < 2 else 0 for label in held["label"]]


@pytest.mark.parametrize("direction", ["horizontal", "diagonal"])
def test_the_direction(run: Run, direction: str) -> None:
    found = measured(run, f"py:moved:parity {SHOWN} --range 2 --direction {direction}")
    assert found["top1_changes"] == (direction == "diagonal")


@pytest.mark.parametrize("step", [1, 2])
def test_two_pixels_a_step_are_one_of_the_network(run: Run, step: int) -> None:
    found = measured(run, f"py:moved:parity {SHOWN} --range 2 --step {step}")
    assert found["top1_changes"] == (step == 1)


def test_a_network_that_is_blind_to_the_place_is_not_jagged(run: Run) -> None:
    found = measured(run, f"py:moved:bright {SHOWN} --range 3")
    assert found["jagged_images"] == found["top1_changes"] == 0
    assert found["consistency"] == 1
    assert found["absolute_change"] == pytest.approx(0, abs=1e-7)


def test_growing_by_a_pixel(run: Run) -> None:
    held = arrays(
        run, "py:moved:bright --size 8 --mean 0 --std 1 -d small.h5 --protocol scale --object 4"
    )
    assert held["position"].tolist() == list(range(1, 9))
    black = arrays(
        run,
        "py:moved:bright --size 8 --mean 0 --std 1 -d small.h5 --protocol scale --object 4 --fill black",
    )
    brightness = np.log(black["probability"] / (1 - black["probability"]))  # monotone in the area
    grows = black["label"] == 0
    assert (np.diff(brightness[grows], axis=1) > 0).all()


def test_a_crop_stops_at_the_border_of_each_photograph(run: Run) -> None:
    held = arrays(
        run, "py:moved:bright --size 8 --mean 0 --std 1 -d folder:photos --protocol crop --range 3"
    )
    assert held["name"].tolist() == ["0.png", "1.png", "2.png"]
    shown = held["top1"] >= 0
    assert shown.sum(axis=1).tolist() == [2, 7, 1]  # 9, 14 and 8 pixels of height, a window of 8
    assert np.isnan(held["probability"][~shown]).all()
    assert held["label"].tolist() == [-1, -1, -1]
    code, out, _ = run(
        "jagged py:moved:bright --size 8 --mean 0 --std 1 -d folder:photos --protocol crop -f table"
    )
    assert code == 0
    assert "1 images have no room to move" in out
    assert "No category is known" in out


def test_the_numbers_of_photographs(run: Run) -> None:
    line = "py:moved:bright --size 8 --mean 0 --std 1 -d folder:photos,numbered=1 --object 3"
    held = arrays(run, line)
    assert held["label"].tolist() == [0, 1, 2]
    assert held["example_frame"].shape[1:] == (6, 3, 8, 8)


def test_frames_of_a_clip(run: Run) -> None:
    held = arrays(
        run, "py:moved:bright --size 8 --mean 0 --std 1 -d folder:clips --protocol frames"
    )
    assert held["name"].tolist() == ["a"]
    assert held["top1"].shape == (1, 3)


def test_frames_of_a_video(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av")
    with av.open("clip.mp4", "w") as film:
        stream = film.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 16
        for level in (30, 220, 30):
            pixels = np.full((16, 16, 3), level, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        film.mux(stream.encode(None))
    shown = "jagged py:moved:bright --size 8 --mean 0 --std 1 --protocol frames"
    held = arrays(run, f"{shown.removeprefix('jagged ')} -d clip.mp4")
    assert held["top1"].tolist() == [[1, 0, 1]]  # dark, bright, dark
    Path("torn.mp4").write_bytes(Path("clip.mp4").read_bytes()[:200])
    assert "torn.mp4: no whole video" in run(f"{shown} -d torn.mp4 -o no.h5")[2]
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    code, _, err = run(f"{shown} -d clip.mp4 -o no.h5")
    assert code == 1
    assert "pip install 'invtool[video]'" in err


@pytest.mark.parametrize("size", [2, 7, 64])
def test_answers_do_not_depend_on_the_batch(run: Run, size: int) -> None:
    """The noisy network's classes 1 and 2 change places with the size of the batch alone."""
    for line in (
        "py:moved:noisy --size 8 --mean 0 --std 1 -d small.h5 --object 4",
        "model.st --object 4 --fill inpaint",
    ):
        alone, together = (arrays(run, f"{line} --batch-size {n}") for n in (1, size))
        for name in ("top1", "in_topk", "jaggedness", "followed"):
            assert (alone[name] == together[name]).all(), (line, name)
        assert np.allclose(alone["probability"], together["probability"], atol=1e-5)


def test_the_noisy_network_would_change_its_answers(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr("invtool.stages._answers.ROUNDING", {__import__("torch").float32: 0})
    line = "py:moved:noisy --size 8 --mean 0 --std 1 -d small.h5 --object 4"
    alone, together = (arrays(run, f"{line} --batch-size {n}") for n in (1, 7))
    assert (alone["top1"] != together["top1"]).any()


def test_several_networks_and_sizes(run: Run) -> None:
    shown = "--size 8 --mean 0 --std 1 -d small.h5 --fill black --range 1"
    several = arrays(run, f"py:moved:bright py:moved:parity {shown} --object 1 --object 3")
    assert several["network"].tolist() == [
        "py:moved:bright, 1 px",
        "py:moved:parity, 1 px",
        "py:moved:bright, 3 px",
        "py:moved:parity, 3 px",
    ]
    single = arrays(run, f"py:moved:parity {shown} --object 3")
    for name in ("top1", "probability", "value", "interval"):
        assert np.array_equal(several[name][3], single[name], equal_nan=True)
    code, out, _ = run(f"jagged py:moved:bright py:moved:parity {shown} -f table")
    assert code == 0
    assert "py:moved:parity: Protocol: embed central squares of 4 px in 8 px, fill black" in out


def test_sizes_share_the_positions_that_the_largest_allows(run: Run) -> None:
    shown = "--size 8 --mean 0 --std 1 -d small.h5 --fill black"
    several = arrays(run, f"py:moved:bright {shown} --object 1 --object 6")
    assert several["position"].tolist() == [-1, 0, 1]


@pytest.mark.parametrize("command", ["jagged", "shiftable"])
def test_a_model_that_does_not_lead_to_its_images_says_so(run: Run, command: str) -> None:
    tensors, told = models.load_tensors(Path("model.st")), models.read_metadata(Path("model.st"))
    for data, code, sentence in (
        ("", 2, "lost.st does not tell its images; give --data"),
        ("-", 2, "lost.st was trained on images from a pipe; give --data"),
        ("gone.h5", 1, "no such file or folder (lost.st was trained on it); give --data"),
    ):
        models.save(Path("lost.st"), tensors, {**told, "data": data}, [])
        found, _, err = run(f"{command} lost.st -o no.h5")
        assert (found, len(err.splitlines())) == (code, 1)
        assert sentence in err


def test_presets_say_what_they_are(run: Run) -> None:
    line = "jagged py:moved:bright --size 8 --mean 0 --std 1 -d folder:photos -f json -q"
    code, out, _ = run(f"{line} --preset authors-script --object 9 --area 1")
    assert code == 0
    told = json.loads(out)
    assert told["protocol_text"] == (
        "crop windows of 8 px from random crops of photographs of 9 px, no boxes,"
        " moved diagonally from -5 to 3 px, 1 px a step"
    )
    assert (told["preset"], told["target"], told["top"]) == ("authors-script", "each", 1)


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("--range 5:5", 2, "--range 5:5 has one position at --step 1; two or more are wanted"),
        ("--range 9", 2, "--range -9:9 leaves the frame, which allows -3:4"),
        ("--protocol scale --object 2 --object 3", 2, "--protocol scale grows one object"),
        ("--range a", 2, "--range a: pixels as LOW:HIGH are wanted"),
        ("--object 9", 2, "--object 9: the network's input has 8 pixels"),
        ("--top 4", 2, "--top 4: py:moved:bright tells 4 categories apart"),
        ("--boxes x", 2, "it goes with --protocol crop"),
        ("--protocol scale --direction diagonal", 2, "--direction is not of --protocol scale"),
        ("--area 0.5", 2, "--area goes with --aspect random"),
        ("--object 2 --object 2", 2, "names a size twice"),
        ("--protocol frames", 2, "--protocol frames reads a folder of frames"),
        ("-d folder:one --protocol frames", 1, "one holds one frame; a clip has two or more"),
        ("-d folder:photos --size 12", 1, "has 8 pixels a side, fewer than the object's 9"),
        ("-d folder:photos --protocol crop --size 9", 1, "2.png of folder:photos is 8 x 8 px"),
        ("-d folder:clips,numbered=1", 1, "'a' does not begin with the number of its category"),
    ],
)
def test_what_cannot_work_is_one_sentence(run: Run, line: str, code: int, sentence: str) -> None:
    if "--size" not in line:
        line += " --size 8"
    if "-d" not in line.split():
        line += " -d small.h5"
    if "--size 12" in line:
        line += " --object 9"
    if "--object" not in line:
        line += " --object 1" * ("frames" not in line and "crop" not in line)
    found, out, err = run(f"jagged py:moved:bright {line} --mean 0 --std 1 -o no.h5")
    sentences = [text for text in err.splitlines() if "runs your own code" not in text]
    assert (found, out) == (code, ""), err
    assert len(sentences) == 1, err
    assert sentence in sentences[0]
    assert not Path("no.h5").exists()
