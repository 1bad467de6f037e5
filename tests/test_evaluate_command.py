"""`invtool evaluate`: each number against a loop over the images and networks."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small import Run, invoke, room, runner, write_set

from invtool.data.sources import open_data
from invtool.files import hdf5
from invtool.measures import GROUPS
from invtool.measures.intervals import wilson_interval
from invtool.models import networks, references
from invtool.transforms import TRANSFORMS, parse

TINY = "train -d small.h5 -n py:nets:make --epochs 2 --batch-size 8 --threads 1"
TEST = range(32, 44)  # images of small.h5
PY = "--size 8 --mean 0,0,0 --std 1,1,1"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("evaluate")
    with room(top):
        assert invoke(f"{TINY} --seen 2 -t blur:sigma=1 -o two.st") == 0
        assert invoke(f"{TINY} --seen 3 -t rot180 --seed 1 -o three.st") == 0
        assert invoke(f"{TINY} -o plain.st") == 0
        write_set(top / "five.h5", categories=5)
        (top / "lost.py").write_text(
            "import nets\nfrom torch import nn\n\ndef lost(categories=4, channels=3):\n"
            "    network = nets.wide(categories, channels)\n"
            "    nn.init.constant_(network[4].bias, float('nan'))\n    return network\n"
        )
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def answers(model: str, spec: str) -> list[int]:
    """One image after the other."""
    network, images = networks.load(references.parse(model)), open_data("small.h5")
    found = []
    with torch.inference_mode():
        for i in TEST:
            image = torch.from_numpy(np.array(images.image[i : i + 1])).float()
            moved = parse(spec)(image, seed=0, index=torch.tensor([i]))
            found.append(int(network(moved).argmax()))
    return found


def test_the_matrix_is_a_loop_over_networks_conditions_and_images(run: Run, folder: Path) -> None:
    files = ["two.st", "three.st", "plain.st"]
    assert run(f"evaluate {' '.join(files)} -t blur:sigma=1 -t rot180 -o matrix.h5")[0] == 0
    label = open_data("small.h5").label[list(TEST)]
    with hdf5.open(Path("matrix.h5"), ["evaluation"]) as file:
        held = {name: file.array(name) for name in file.names()}
    assert held["network"].tolist() == files
    assert held["network_seen_categories"].tolist() == [2, 3, 0]
    assert held["network_trained_with"].tolist() == ["blur:sigma=1", "rot180", ""]
    assert held["condition"].tolist() == ["none", "blur:sigma=1", "rot180"]
    for n, name in enumerate(files):
        seen = networks.load(references.parse(name)).metadata["seen"]
        inside = {"all": [True] * 12, "seen": np.isin(label, seen)}
        inside["unseen"] = ~np.isin(label, seen)
        for c, condition in enumerate(["none", "blur:sigma=1", "rot180"]):
            answer = answers(name, condition)
            assert held["prediction"][n, c].tolist() == answer
            for g, group in enumerate(GROUPS):
                right = [a == t for a, t, i in zip(answer, label, inside[group], strict=True) if i]
                share = held["accuracy"][n, c, g]
                assert share == pytest.approx(np.mean(right)) if right else np.isnan(share)
                bounds = wilson_interval(np.array(sum(right)), np.array(len(right)))
                np.testing.assert_allclose(held["wilson"][n, c, g], bounds)
            assert np.nansum(held["confusion"][n, c, 1]) == pytest.approx(1)


def test_one_network_is_one_part_of_several(run: Run, folder: Path) -> None:
    assert run("evaluate two.st -o one.h5")[0] == 0
    assert run("evaluate two.st plain.st -o both.h5")[0] == 0
    with hdf5.open(Path("one.h5")) as one, hdf5.open(Path("both.h5")) as both:
        assert one.attribute("seen_categories") == 2 and one.attribute("trained_with")
        for name in ("accuracy", "wilson", "bootstrap", "confusion", "prediction", "seen"):
            np.testing.assert_array_equal(one.array(name), both.array(name)[0])


def test_table_json_and_csv_say_the_same(run: Run, folder: Path) -> None:
    whole = json.loads(run("evaluate two.st -f json")[1])
    rows = list(csv.DictReader(io.StringIO(run("evaluate two.st -f csv")[1])))
    table = run("evaluate two.st -f table")[1].splitlines()
    assert [float(r["accuracy"]) for r in rows] == [r["accuracy"] for r in whole["rows"]]
    assert len(rows) == 2 * 3 and {r["images"] for r in rows} == {"12", "6"}
    for row in whole["rows"]:
        assert row["wilson_low"] <= row["accuracy"] <= row["wilson_high"]
        assert row["bootstrap_low"] <= row["accuracy"] <= row["bootstrap_high"]
    shares = [q["wrong"] + q["right"] for q in whole["confusion"]]
    assert len(shares) == 8 and sum(shares) == pytest.approx(4)
    assert f"{whole['rows'][0]['accuracy']:.3f}" in table[2]
    assert table[-1].startswith("blur:sigma=1: unseen images are")


def test_the_group_of_a_matrix(run: Run, folder: Path) -> None:
    _, out, _ = run("evaluate two.st plain.st --group seen -f table")
    assert "Top-1 accuracy, seen categories" in out
    plain = next(line for line in out.splitlines() if line.startswith("plain.st"))
    assert plain.split()[-2:] == ["-", "-"]


def test_without_a_transform_and_with_all(run: Run, folder: Path) -> None:
    assert run("evaluate plain.st -o none.h5")[0] == 0
    with hdf5.open(Path("none.h5")) as file:
        assert file.array("condition").tolist() == ["none"]
    assert run("evaluate plain.st -t all --limit 4 -o all.h5")[0] == 0
    with hdf5.open(Path("all.h5")) as file:
        assert len(file.array("condition")) == 1 + len(TRANSFORMS)


def test_a_foreign_network_and_a_pipe(run: Run, folder: Path) -> None:
    code, out, _ = run(f"evaluate py:nets:wide --untrained -d small.h5 {PY} -t blur -f csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and [r["seen_categories"] for r in rows] == [""] * 6
    assert [r["accuracy"] == "" for r in rows] == [False, True, True] * 2


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ("evaluate nothing.st", 1, "no such file"),
        ("evaluate two.st -t blurr", 2, "blur"),
        ("evaluate two.st -d five.h5", 1, "5 categories"),
        ("evaluate small.h5", 1, "a safetensors model is wanted"),
        ("evaluate two.st --group some", 2, "some"),
        (f"evaluate py:lost:lost --untrained -d small.h5 {PY}", 1, "NaN or infinity"),
        ("evaluate two.st nothing.st", 1, "nothing.st"),
        ("evaluate py:nets:wide", 2, "give --weights FILE or --untrained|--data"),
    ],
)
def test_refusals(run: Run, folder: Path, line: str, code: int, why: str) -> None:
    found, out, err = run(f"{line} -o refused.h5")
    assert (found, out) == (code, "") and any(part in err for part in why.split("|"))
    assert not list(folder.glob("*refused*"))


def test_an_output_that_exists_is_kept(run: Run, folder: Path) -> None:
    Path("kept.json").write_text("mine")
    code, _, err = run("evaluate two.st -o kept.json")
    assert code == 2 and "--overwrite" in err and Path("kept.json").read_text() == "mine"
