"""`invtool evaluate --tta` and `--embed`: networks that know where the light is, and loops."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from small import Run, invoke, room, runner

from invtool.data.sources import open_data
from invtool.files import hdf5
from invtool.measures import wilson_interval
from invtool.models import networks, references
from invtool.stages import verify
from invtool.transforms.cropping import crop, moved
from invtool.transforms.embedding import shrunk

NETS = '''
import torch
from torch import nn

class Parity(nn.Module):
    """0 where the light is in an even row, 1 where it is in an odd one."""
    def forward(self, x):
        even, odd = x[:, :, ::2].sum((1, 2, 3)), x[:, :, 1::2].sum((1, 2, 3))
        return torch.stack([even, odd], 1)

class Bright(nn.Module):
    """Blind to where the light is."""
    def forward(self, x):
        return torch.stack([x.amax((1, 2, 3)), 0.1 + 0 * x.amax((1, 2, 3))], 1)

class Noisy(nn.Module):
    """Two classes that differ by less than what the size of a batch changes."""
    def forward(self, x):
        place = torch.arange(len(x)) % 2
        half = torch.full((len(x),), 0.5)
        return torch.stack([half, half + 1e-6 * place * (len(x) > 1) - 2e-7], 1)

def parity():
    return Parity()

def bright():
    return Bright()

def noisy():
    return Noisy()
'''
SHOWN = "--size 8 --mean 0 --std 1 --threads 1 -d lit.h5"
LIT = 300


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("augmentation")
    with room(top):
        (top / "lights.py").write_text(NETS)
        write_lights(top / "lit.h5", LIT, 8)
        write_lights(top / "large.h5", 6, 12)
        write_lights(top / "little.h5", 6, 4)
        train = "train -d small.h5 -n py:nets:make --epochs 1 --batch-size 8 --threads 1 -q"
        assert invoke(f"{train} --seen 2 -t blur:sigma=1 -o model.st") == 0
        yield top


def write_lights(path: Path, images: int, size: int) -> None:
    """Black images of category 1 with one lit pixel, at row and column 4 where there is one."""
    image = np.zeros((images, 3, size, size), np.uint8)
    image[:, :, min(4, size - 1), min(4, size - 1)] = 255
    with hdf5.create(path, "images", []) as out:
        out.array("image", image, ("image", "channel", "height", "width"))
        out.array("label", np.ones(images, np.int64), ("image",))
        out.attribute("categories", ["even", "odd"])


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def arrays(run: Run, line: str) -> dict[str, np.ndarray]:
    code, _, err = run(f"evaluate {line} -o out.h5 --overwrite -q")
    assert code == 0, err
    assert verify.check(Path("out.h5")).startswith("evaluation")
    with hdf5.open(Path("out.h5"), ["evaluation"]) as file:
        return {key: file.array(key) for key in file.names()}


def voted(counts: list[int], shift: bool) -> list[list[int]]:
    """What the majority says, (crops, image), by one image and one crop after the other."""
    network, images = networks.load(references.parse("model.st")), open_data("small.h5")
    found: list[list[int]] = [[] for _ in counts]
    for i in images.indices(1):
        image = torch.from_numpy(np.array(images.image[i : i + 1])).float()
        image = moved(image) if shift else image
        chance = []
        for n in range(max(counts)):
            options = {"number": 2 * n + shift, "seed": 5, "index": torch.tensor([i])}
            with torch.inference_mode():
                chance.append(network(crop(image, (8, 8), **options)).softmax(1)[0].tolist())
        for at, count in enumerate(counts):
            answers = Counter(row.index(max(row)) for row in chance[:count])
            total = [sum(column) for column in zip(*chance[:count], strict=True)]
            found[at].append(max(range(4), key=lambda k: (answers[k], total[k], -k)))
    return found


def test_the_vote_is_a_loop_over_images_and_crops(run: Run) -> None:
    counts = [1, 4, 9]
    held = arrays(run, "model.st --tta 9 --tta 1,4 --seed 5 --batch-size 5")
    assert held["crops"].tolist() == counts
    told, after = voted(counts, False), voted(counts, True)
    assert held["tta_prediction"].tolist() == told
    right = (held["tta_prediction"] == held["label"]).sum(1)
    changed = (np.array(told) != after).sum(1)
    assert changed.any()
    for name, count in (("accuracy", right), ("changes", changed)):
        np.testing.assert_allclose(held[f"tta_{name}"], count / 12)
        bounds = held["tta_interval" if name == "accuracy" else "tta_changes_interval"]
        np.testing.assert_allclose(bounds, wilson_interval(count, np.full(3, 12)))


def test_more_crops_hold_the_fewer(run: Run) -> None:
    several = arrays(run, "model.st --tta 1,3,7")
    for c, count in enumerate((1, 3, 7)):
        alone = arrays(run, f"model.st --tta {count}")
        for name in ("tta_prediction", "tta_changes", "tta_interval", "tta_changes_interval"):
            np.testing.assert_array_equal(several[name][c], alone[name][0])


def test_a_network_that_is_blind_to_the_place_votes_as_it_answers(run: Run) -> None:
    held = arrays(run, f"py:lights:bright {SHOWN} --limit 20 --tta 1,5")
    assert (held["tta_prediction"] == held["prediction"][0]).all()
    assert held["tta_changes"].tolist() == [0, 0]


def test_a_network_that_subsamples_is_not_cured_by_places_of_one_parity(run: Run) -> None:
    """Of three places, the light is in an odd row at two; once the image has moved, at one."""
    held = arrays(run, f"py:lights:parity {SHOWN} --tta 1,25")
    odd = [sum(comb(n, k) * 2**k for k in range(n // 2 + 1, n + 1)) / 3**n for n in (1, 25)]
    error = [4 * np.sqrt(p * (1 - p) / LIT) for p in odd]
    np.testing.assert_allclose(held["tta_accuracy"], odd, atol=max(error))
    expected = [p * p + (1 - p) * (1 - p) for p in odd]
    np.testing.assert_allclose(held["tta_changes"], expected, atol=max(error))


@pytest.mark.parametrize("data", ["large.h5", "little.h5"])
def test_large_images_are_cropped_first_and_little_ones_enlarged_first(run: Run, data: str) -> None:
    held = arrays(run, f"py:lights:parity {SHOWN.replace('lit.h5', data)} --tta 1")
    image = torch.from_numpy(np.array(open_data(data).image[:])).float()
    image = image if data == "large.h5" else shrunk(image, 8, 8)
    windows = crop(image, (8, 8))
    answer = windows[:, :, 1::2].sum((1, 2, 3)) > windows[:, :, ::2].sum((1, 2, 3))
    assert held["tta_prediction"][0].tolist() == answer.long().tolist()


@pytest.mark.parametrize("size", [2, 7, 64])
@pytest.mark.parametrize("model", [f"py:lights:noisy {SHOWN} --limit 9", "model.st"])
def test_votes_do_not_depend_on_the_batch(run: Run, size: int, model: str) -> None:
    alone, together = (arrays(run, f"{model} --tta 1,6 --batch-size {n}") for n in (1, size))
    for name in alone:
        np.testing.assert_array_equal(alone[name], together[name])


def test_the_noisy_network_would_change_its_votes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("_answers", "augmentation"):
        monkeypatch.setattr(f"invtool.stages.{module}.ROUNDING", {torch.float32: 0})
    line = f"py:lights:noisy {SHOWN} --limit 9 --tta 1"
    alone, together = (arrays(run, f"{line} --batch-size {n}") for n in (1, 7))
    assert (alone["tta_prediction"] != together["tta_prediction"]).any()


def test_several_networks_have_an_axis(run: Run) -> None:
    line = f"{SHOWN} --limit 20 --tta 1,3"
    both = arrays(run, f"py:lights:bright py:lights:parity {line}")
    for n, name in enumerate(("bright", "parity")):
        one = arrays(run, f"py:lights:{name} {line}")
        for array in ("tta_prediction", "tta_accuracy", "tta_changes_interval"):
            np.testing.assert_array_equal(both[array][n], one[array])
    _, out, _ = run(f"evaluate py:lights:bright py:lights:parity {line} -f table -q")
    table = out.split("Majority vote")[1].splitlines()
    assert [row.split()[:2] for row in table[2:]] == [
        ["py:lights:bright", "1"],
        ["py:lights:bright", "3"],
        ["py:lights:parity", "1"],
        ["py:lights:parity", "3"],
    ]


def test_rows_and_table_say_the_same(run: Run) -> None:
    held = arrays(run, "model.st --tta 1,3")
    whole = json.loads(run("evaluate model.st --tta 1,3 -f json -q")[1])
    rows = list(csv.DictReader(io.StringIO(run("evaluate model.st --tta 1,3 -f csv -q")[1])))
    assert len(rows) == len(whole["rows"]) == 2 * 3 + 2
    assert whole["image_height"] == 8
    votes = [row for row in whole["rows"] if row["crops"]]
    assert [row["crops"] for row in votes] == [1, 3]
    assert [row["accuracy"] for row in votes] == held["tta_accuracy"].tolist()
    bounds = [[row["changes_low"], row["changes_high"]] for row in votes]
    assert bounds == held["tta_changes_interval"].tolist()
    assert [row["crops"] for row in rows] == [""] * 6 + ["1", "3"]
    assert {row["condition"] for row in rows[6:]} == {"none"}
    last = run("evaluate model.st --tta 1,3 -f table -q")[1].splitlines()[-1].split()
    assert last[:2] == ["3", f"{held['tta_accuracy'][1]:.3f}"]
    plain = json.loads(run("evaluate model.st -f json -q")[1])
    assert "crops" not in plain["rows"][0]


def test_embedded_images_are_conditions_and_nothing_else_is(run: Run) -> None:
    held = arrays(run, "model.st --embed 4:6:2 --embed 3 --fill black")
    specs = [f"embed:size={size},fill=black" for size in (3, 4, 6)]
    assert held["condition"].tolist() == ["none", *specs]
    told = arrays(run, "model.st " + " ".join(f"-t {spec}" for spec in specs))
    for name in held:
        np.testing.assert_array_equal(held[name], told[name])
    held = arrays(run, "model.st --embed 8 -t rot180")
    assert held["condition"].tolist() == ["none", "rot180", "embed:size=8,fill=inpaint"]
    np.testing.assert_array_equal(held["prediction"][2], held["prediction"][0])


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("--tta 0", 2, "--tta 0: one crop or more is wanted"),
        ("--tta 5,0", 2, "--tta 0: one crop or more is wanted"),
        ("--tta some", 2, "--tta some: N, N,N or START:STOP:STEP is wanted"),
        ("--tta=-1", 2, "--tta -1: N, N,N or START:STOP:STEP is wanted"),
        ("--tta 1:5:0", 2, "--tta 1:5:0: N, N,N"),
        ("--tta 1:9000:1", 2, "--tta 1:9000:1: N, N,N"),
        ("--embed 1", 2, "--embed 1: 2 pixels or more are wanted"),
        ("--embed 0", 2, "--embed 0: 2 pixels or more are wanted"),
        ("--embed 4.5", 2, "--embed 4.5: N, N,N"),
        ("--embed 9", 1, "small.h5: size 9 is more than the 8 pixels of height"),
        ("--fill black", 2, "--fill black lies around what --embed shrinks"),
        ("--embed 4 --fill zero", 2, "zero"),
    ],
)
def test_what_cannot_work_is_one_sentence(run: Run, line: str, code: int, sentence: str) -> None:
    found, out, err = run(f"evaluate model.st {line} -o no.h5")
    assert (found, out) == (code, "")
    assert len(err.splitlines()) == 1 and sentence in err
    assert not Path("no.h5").exists()
