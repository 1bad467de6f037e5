"""`invtool deform`: against the paper's definition written out, over networks, files and bad input."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from small import Run, room, runner, write_set

from invtool.files import hdf5, models
from invtool.models import networks, references
from invtool.models.architectures import blocks as block_networks
from invtool.models.architectures import build
from invtool.models.capture import record
from invtool.stages import _responses
from invtool.stages.deform import representations
from invtool.transforms.deformation import draw_displacement, field, warp

NETS = '''
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4),
    )

def other():
    """Some layers more, and in other places."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(),
        nn.Conv2d(5, 5, 3, padding=1), nn.Tanh(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4),
    )

def silent():
    network = net()
    nn.init.zeros_(network[0].weight), nn.init.constant_(network[0].bias, -1)
    return network

def alike():
    """The same to every image, and not zero."""
    network = net()
    nn.init.zeros_(network[0].weight), nn.init.ones_(network[0].bias)
    return network

def broken():
    network = net()
    nn.init.constant_(network[3].bias, float("nan"))
    return network
'''
SHOWN = "--size 8 --mean 0 --std 1 -d small.h5 --threads 1"
LAYERS = ["input", "1", "2", "4", "5"]
NUMBERS = ["distance", "median", "sensitivity", "interval"]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("deform")
    with room(top) as patch:
        (top / "deformable.py").write_text(NETS)
        patch.setenv("TMPDIR", str(top))
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def arrays(run: Run, line: str) -> dict[str, np.ndarray]:
    code, _, err = run(f"deform {line} -o out.h5 --overwrite -q")
    assert code == 0, err
    with hdf5.open(Path("out.h5"), ["deformation"]) as file:
        return {key: file.array(key) for key in file.names()}


def rows(run: Run, line: str) -> list[dict[str, Any]]:
    code, out, err = run(f"deform {line} -f json -q")
    assert code == 0, err
    found: list[dict[str, Any]] = json.loads(out)["rows"]
    return found


def written_out(kind: str, draws: int = 1, of: Any = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """Section 2.1 in float64: distances (draw, image, layer), and the median of all pairs (layer,).

    of: the images that are paired
    """
    with hdf5.open(Path("small.h5")) as file:
        test = np.flatnonzero(file.array("split") == 1)
        clean = torch.from_numpy(file.array("image")[test]).float()
    network = networks.load(
        references.parse("py:deformable:net"), size=8, mean=(0.0,) * 3, std=(1.0,) * 3
    )

    def values(pixels: torch.Tensor) -> list[np.ndarray]:
        _, found = record(network.module, network.prepared(pixels), ["1", "2", "4", "5"])
        every = {"input": network.prepared(pixels), **found}
        return [every[name].flatten(1).double().numpy() for name in LAYERS]

    own = values(clean)
    distances = []
    for draw in range(draws):
        seed = (3 + draw * 0x9E3779B97F4A7C15) % 2**63
        moved = draw_displacement(3, 2.0, seed=seed, index=torch.from_numpy(test))
        deformed = values(warp(clean, field(moved, 8, 8), "edge"))
        distances.append([np.diag(cdist(a, b, kind)) for a, b in zip(own, deformed, strict=True)])
    median = np.array([np.median(pdist(a[of], kind)) for a in own])
    return np.moveaxis(np.array(distances), 1, 2), median


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_it_is_the_papers_definition_written_out(run: Run, kind: str) -> None:
    distances, median = written_out(kind, draws=2)
    found = arrays(run, f"py:deformable:net {SHOWN} --seed 3 --draws 2 --distance {kind}")
    assert found["layer"].tolist() == LAYERS
    assert np.allclose(found["distance"][0], distances, rtol=1e-4)
    assert np.allclose(found["median"][0], median, rtol=1e-4)
    assert np.allclose(found["sensitivity"][0], distances.mean((0, 1)) / median, rtol=1e-4)
    low, high = found["interval"][0].T
    assert (low < found["sensitivity"][0]).all() and (found["sensitivity"][0] < high).all()


def test_the_batch_the_limit_and_other_networks_change_nothing_but_rounding(run: Run) -> None:
    line = f"py:deformable:net {SHOWN} --noise --worst --worst-layer 4 --steps 2"
    alone, together = (arrays(run, f"{line} --batch-size {n}") for n in (1, 5))
    both = arrays(run, f"py:deformable:other {line}")
    for name, value in alone.items():
        if value.dtype.kind == "f" and not name.startswith(("worst", "interval")):
            assert np.allclose(value, together[name], rtol=1e-3, atol=1e-6, equal_nan=True), name
    second = both["network"].tolist().index("py:deformable:net")
    places = [both["layer"].tolist().index(name) for name in LAYERS]
    assert np.allclose(both["distance"][second][..., places], alone["distance"][0], rtol=1e-4)
    assert np.allclose(
        both["noise_distance"][second][..., places], alone["noise_distance"][0], rtol=1e-4
    )
    lacking = both["layer"].tolist().index("6")
    assert np.isnan(both["sensitivity"][second, lacking])


@pytest.mark.parametrize("size", [1, 5])
def test_pairs_of_some_images_give_the_median_and_all_are_deformed(run: Run, size: int) -> None:
    distances, _ = written_out("cosine")
    line = f"py:deformable:net {SHOWN} --seed 3 --batch-size {size}"
    every = arrays(run, line)
    index = every["index"]
    count = len(index) - 3
    found = arrays(run, f"{line} --paired {count}")
    with hdf5.open(Path("out.h5"), ["deformation"]) as file:
        assert file.attribute("paired") == count
    assert np.allclose(found["distance"][0], distances, rtol=1e-4)
    chosen = np.arange(count) * len(index) // count
    assert np.allclose(found["median"][0], written_out("cosine", of=chosen)[1], rtol=1e-4)
    assert not np.allclose(found["median"], every["median"], rtol=1e-4)
    for more in (len(index), 10 * len(index)):
        same = arrays(run, f"{line} --paired {more}")
        with hdf5.open(Path("out.h5"), ["deformation"]) as file:
            assert file.attribute("paired") is None
        assert all(np.array_equal(same[name], every[name], equal_nan=True) for name in NUMBERS)


def test_responses_in_a_file_give_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = arrays(run, f"py:deformable:net {SHOWN}")
    monkeypatch.setattr(_responses, "ROOM", 0)
    monkeypatch.setattr(_responses, "STRIP", 64)
    in_file = arrays(run, f"py:deformable:net {SHOWN}")
    for name in ("distance", "median"):
        assert np.allclose(in_memory[name], in_file[name], rtol=1e-5)


def test_responses_in_16_bits_cost_a_median_little_and_a_distance_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = arrays(run, f"py:deformable:net {SHOWN}")
    monkeypatch.setattr(_responses, "MANY", 8)
    halved = arrays(run, f"py:deformable:net {SHOWN}")
    assert np.array_equal(exact["distance"], halved["distance"])
    assert not np.array_equal(exact["median"], halved["median"])
    assert np.allclose(exact["median"], halved["median"], rtol=2e-3)


def test_a_full_disk_is_told_before_any_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_responses, "ROOM", 0)
    full = shutil._ntuple_diskusage(10, 10, 0)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    code, out, err = run(f"deform py:deformable:net {SHOWN} -o no.h5 -q")
    assert (code, out) == (1, "")
    assert "of responses do not fit" in err
    assert not Path("no.h5").exists()


def test_noise_has_the_norm_of_the_change(run: Run) -> None:
    """At the input, of which the network subtracts nothing, both are as far in Euclidean distance."""
    found = arrays(
        run, f"py:deformable:net {SHOWN} --noise --distance euclidean -l input --draws 2"
    )
    assert np.allclose(found["noise_distance"], found["distance"], rtol=1e-4)
    assert np.allclose(found["relative"], 1, rtol=1e-4)


@pytest.mark.parametrize("layer", ["input", "1", "4", "penultimate"])
def test_the_worst_is_within_the_bound_and_no_less_than_any_draw(run: Run, layer: str) -> None:
    line = f"py:deformable:net {SHOWN} --worst --restarts 2 --steps 6 --draws 3"
    found = arrays(run, f"{line} --worst-layer {layer}")
    place = LAYERS.index("5" if layer == "penultimate" else layer)
    moved = found["worst_displacement"][0][:, place]
    assert np.abs(moved).max() <= 2 + 1e-6
    worst, drawn = found["worst_distance"][0][:, place], found["distance"][0][:, :, place]
    assert (worst >= drawn.max(axis=0) * (1 - 1e-4)).all()
    assert found["worst"][0, place] > 1.3 * found["sensitivity"][0, place]
    others = [n for n in range(len(LAYERS)) if n != place]
    assert np.isnan(found["worst"][0, others]).all()
    assert "transfer" not in found


def test_ascent_finds_more_than_as_many_random_draws(run: Run) -> None:
    ascent = arrays(run, f"py:deformable:net {SHOWN} --worst --restarts 1 --steps 12 -l 4")
    random = arrays(run, f"py:deformable:net {SHOWN} --draws 26 -l 4")
    assert ascent["worst_distance"].mean() > random["distance"].max(axis=1).mean()


def test_transfer_to_itself_is_the_worst(run: Run) -> None:
    line = f"py:deformable:net py:deformable:other {SHOWN} --worst --worst-layer 4 --steps 4"
    found = arrays(run, line)
    place = found["layer"].tolist().index("4")
    own = np.diag(found["transfer"][:, :, place])
    assert np.allclose(own, found["worst"][:, place], rtol=1e-3)
    assert (found["transfer"][:, :, place] <= own[:, None] * (1 + 1e-3)).all()
    code, out, _ = run(f"deform {line} -f table -q")
    assert code == 0
    assert "4: the worst of a network are" in out


DOWNSAMPLINGS = list(block_networks.DOWNSAMPLING)


@pytest.mark.parametrize("downsampling", DOWNSAMPLINGS)
def test_layers_of_block_networks_are_called_alike(downsampling: str) -> None:
    name = f"blocks:filters=2,downsampling={downsampling}"
    network = networks.load(references.parse(name), untrained=True)
    found = [layer.name for layer in representations(network, ["all"])]
    expected = ["input"]
    for n in range(1, 5):
        expected += [f"block{n}.relu1", f"block{n}.relu2", f"block{n}.down"]
    assert found == [*expected, "pool"]
    assert [layer.name for layer in representations(network, ["block*"])] == expected[1:]


def write_model(
    path: Path, seed: int, step: int | None = None, *, size: int = 8, train: bool = True
) -> Path:
    """A block network, its weights those of its seed but for one layer, which was trained."""
    name, arguments = "blocks:filters=2", {"blocks": [[1, 32], [1, 64]], "categories": 4}
    arguments |= {"channels": 3, "height": size, "width": size}
    weights = dict(build(name, arguments, seed=seed).state_dict())
    if train:
        weights["block1.conv1.weight"] = 2 * weights["block1.conv1.weight"].flip(-1)
    metadata = {
        "architecture": {"name": name, "arguments": arguments},
        "input": {"channels": 3, "height": size, "width": size},
        "normalization": {"kind": "per-image"},
        "data": "small.h5",
        "training": {"seed": seed},
        **({} if step is None else {"step": step}),
    }
    models.save(path, weights, metadata, [])
    return path


def test_untrained_is_the_architecture_at_the_seed_of_the_file(run: Run) -> None:
    for seed in (5, 6):
        write_model(Path(f"seed{seed}.st"), seed)
        write_model(Path(f"fresh{seed}.st"), seed, train=False)
    trained, untrained, fresh = (
        arrays(run, line)
        for line in ("seed5.st seed6.st", "seed5.st seed6.st --untrained", "fresh5.st fresh6.st")
    )
    assert untrained["trained"].tolist() == [0, 0]
    assert trained["trained"].tolist() == [1, 1]
    assert untrained["label"][0] == f"{trained['label'][0]}, untrained"
    assert np.array_equal(untrained["distance"], fresh["distance"])
    assert not np.allclose(untrained["distance"][0], untrained["distance"][1])
    assert not np.allclose(untrained["distance"], trained["distance"])


def test_seeds_of_one_recipe_are_a_band_and_a_folder_is_a_trajectory(run: Run) -> None:
    for seed in (5, 6):
        write_model(Path(f"seed{seed}.st"), seed)
    code, out, _ = run("deform seed5.st seed6.st -f table -q")
    assert code == 0
    assert "blocks:filters=2, small.h5" in out
    assert "+/-" in out
    steps = Path("model.steps")
    steps.mkdir(exist_ok=True)
    for step in (100, 0, 10):
        write_model(steps / f"step-{step:06}.st", seed=step, step=step)
    found = arrays(run, "model.steps seed5.st -l block1.down")
    assert found["step"].tolist() == [0, 10, 100, -1]
    assert found["network"].tolist()[0] == "step-000000.st"
    assert rows(run, "model.steps -l block1.down")[1]["step"] == 10


def test_images_that_a_layer_does_not_answer_are_undefined(run: Run) -> None:
    code, out, err = run(f"deform py:deformable:silent {SHOWN} -f json")
    assert code == 0
    found = {row["layer"]: row for row in json.loads(out)["rows"]}
    assert found["input"]["sensitivity"] > 0
    assert found["1"]["sensitivity"] is None
    assert found["1"]["median"] is None
    assert "layer 1 of py:deformable:silent answers alike to most images" in err
    alike = {row["layer"]: row for row in rows(run, f"py:deformable:alike {SHOWN}")}
    assert alike["1"]["median"] == 0
    assert alike["1"]["sensitivity"] is None
    line = f"deform py:deformable:silent {SHOWN} --worst --worst-layer 1 --steps 1 -f table -q"
    assert run(line)[0] == 0


@pytest.mark.parametrize("form", ["table", "json", "csv", "h5"])
def test_every_form_tells_the_same(run: Run, form: str) -> None:
    line = f"deform py:deformable:net {SHOWN} --noise --worst --steps 2 -l input -l 4"
    assert run(f"{line} -f {form} -o out.{form} --overwrite -q")[0] == 0
    if form == "h5":
        return
    text = Path(f"out.{form}").read_text()
    value = arrays(run, line.removeprefix("deform "))["sensitivity"][0, 1]
    assert f"{value:.3f}" in text or f"{value:.6f}"[:6] in text
    assert "inf" not in text.replace("info", "").replace("invtool", "")


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("--pixels 0", 2, "--pixels 0: a bound above 0 is wanted"),
        ("--pixels nan", 2, "--pixels nan: a bound above 0 is wanted"),
        ("--grid 1", 2, "1 is not in the range"),
        ("--limit 1", 2, "distances between images want two or more"),
        ("--draws 0", 2, "0 is not in the range"),
        ("--paired 1", 2, "1 is not in the range"),
        ("-l conv", 2, "no layer 'conv'"),
        ("--worst --worst-layer conv", 2, "no layer 'conv'"),
        ("--worst-layer 4", 2, "--worst-layer 4 goes with --worst"),
        ("-d one.h5", 1, "one.h5 has one test image"),
        ("-d none.h5", 1, "none.h5: no such file"),
    ],
)
def test_what_cannot_work_is_one_sentence(run: Run, line: str, code: int, sentence: str) -> None:
    write_set(Path("one.h5"), train=4, test=1)
    shown = SHOWN.replace("-d small.h5", "") if "-d" in line else SHOWN
    found, out, err = run(f"deform py:deformable:net {shown} {line} -o no.h5")
    sentences = [text for text in err.splitlines() if "runs your own code" not in text]
    assert (found, out, len(sentences)) == (code, "", 1), err
    assert sentence in sentences[0]
    assert not Path("no.h5").exists()


def test_files_that_cannot_be_measured(run: Run) -> None:
    code, _, err = run(f"deform py:deformable:broken {SHOWN} -o no.h5 -q")
    assert code == 1
    assert "layer 4 of py:deformable:broken gives NaN or infinity" in err
    Path("nothing").mkdir(exist_ok=True)
    code, _, err = run("deform nothing -o no.h5 -q")
    assert (code, "no model file in this folder" in err) == (1, True)
    write_model(Path("whole.st"), 0)
    Path("cut.st").write_bytes(Path("whole.st").read_bytes()[:-9])
    code, _, err = run("deform cut.st -o no.h5 -q")
    assert (code, "truncated" in err) == (1, True)
    code, _, err = run("deform small.h5 -o no.h5 -q")
    assert (code, "a safetensors model is wanted" in err) == (1, True)
    Path("there.h5").write_text("")
    code, _, err = run(f"deform py:deformable:net {SHOWN} -o there.h5 -q")
    assert (code, "there.h5 exists" in err) == (2, True)
    assert not Path("no.h5").exists()


def test_networks_of_different_input_do_not_share_images(run: Run) -> None:
    for size in (8, 16):
        write_model(Path(f"{size}px.st"), 0, size=size)
    code, _, err = run("deform 8px.st 16px.st -o no.h5 -q")
    assert code == 1
    assert "8px.st takes images of 3x8x8, 16px.st of 3x16x16" in err
    assert run("deform 8px.st 16px.st --size 16 -o sixteen.h5 -q")[0] == 0


def test_ascent_takes_a_layer_before_what_overwrites_it_in_place(run: Run) -> None:
    """Convolution 0 is overwritten by the ReLU that follows."""
    found = arrays(run, f"py:deformable:net {SHOWN} -l 0 --worst --steps 3")
    assert (found["worst_distance"] >= found["distance"][:, 0] * (1 - 1e-4)).all()
    assert not np.allclose(
        found["distance"], arrays(run, f"py:deformable:net {SHOWN} -l 1")["distance"]
    )
