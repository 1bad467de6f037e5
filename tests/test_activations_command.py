"""`invtool activations`: the values are the network's own, and a file is whole or not there."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import xarray
from numpy.typing import NDArray
from safetensors.torch import save_file
from small import Run, invoke, quadrants, room, runner, write_set
from torch import nn

from invtool.config import Activations
from invtool.data.sources import open_data
from invtool.errors import InvtoolError
from invtool.files import hdf5, models
from invtool.models import networks, references
from invtool.stages import _forward, activations
from invtool.transforms import parse

TINY = "train -d small.h5 -n py:nets:make --epochs 1 --batch-size 8 --threads 1"
MEASURE = "activations model.st --threads 1"
TEST_IMAGES = 12


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("activations")
    with room(top):
        assert invoke(f"{TINY} --seen 2 -t blur:sigma=1 -o model.st") == 0
        assert invoke(f"{TINY} -o plain.st") == 0
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


class Recorded(NamedTuple):
    condition: list[str]
    prediction: NDArray[np.int64]
    index: NDArray[np.int64]
    layers: dict[str, NDArray[Any]]


def read(path: Path) -> Recorded:
    with hdf5.open(path, ["activations"]) as file:
        layers = {name: file.array(f"layers/{name}/activation") for name in file.layers()}
        arrays = (file.array(name) for name in ("prediction", "index"))
        return Recorded(file.array("condition").tolist(), *arrays, layers)


def plainly(model: Path, transforms: list[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """ReLU of the batch norm of the convolution, and logits, with nothing in place: (condition, image, ...)."""
    network = networks.load(references.Reference("m", model))
    convolution, norm, _, *rest = network.module
    image, _ = quadrants(32 + TEST_IMAGES)
    values, logits = [], []
    for text in transforms:
        x = parse(text)(torch.from_numpy(image[32:]).float(), 0, torch.arange(32, 32 + TEST_IMAGES))
        with torch.inference_mode():
            relu = torch.relu(norm(convolution(network.prepared(x))).clone())
            values.append(relu.numpy())
            logits.append(nn.Sequential(*rest)(relu).numpy())
    return np.stack(values), np.stack(logits)


def test_values_are_those_of_a_plain_forward_to_the_bit(run: Run, folder: Path) -> None:
    transforms = ["blur:sigma=1", "white-noise:sigma=75", "rot90"]
    options = " ".join(f"-t {text}" for text in transforms)
    assert run(f"{MEASURE} {options} -l all -l output -o a.h5")[0] == 0
    found = read(folder / "a.h5")
    values, logits = plainly(folder / "model.st", ["none", *transforms])
    assert found.condition == ["none", *transforms]
    assert list(found.layers) == ["2", "3", "output"]  # the ReLU, in place; the pool that fc reads
    np.testing.assert_array_equal(found.layers["2"], values)
    np.testing.assert_array_equal(found.layers["output"], logits)
    np.testing.assert_array_equal(found.prediction, logits.argmax(-1))
    np.testing.assert_array_equal(found.index, np.arange(32, 32 + TEST_IMAGES))
    assert (found.layers["2"] >= 0).all() and not (
        found.layers["2"][0] == found.layers["2"][1]
    ).all()


def test_what_the_model_was_trained_with_is_the_default(run: Run, folder: Path) -> None:
    assert run(f"{MEASURE} -o default.h5")[0] == 0
    assert read(folder / "default.h5").condition == ["none", "blur:sigma=1"]
    with hdf5.open(folder / "default.h5") as file:
        told = models.read_metadata(folder / "model.st")
        seen = np.isin(file.array("label"), told["seen"])
        np.testing.assert_array_equal(file.array("seen"), seen)
        assert file.attribute("trained_with") == told["transform"]
        assert file.attribute("categories") == told["categories"]
        assert [step["id"].split(".")[0] for step in file.steps] == ["train", "activations"]
    assert run(f"{MEASURE} -t none -t blur:sigma=1 -t blur:sigma=1 -o twice.h5")[0] == 0
    assert read(folder / "twice.h5").condition == ["none", "blur:sigma=1"]


def test_batches_and_limit_change_nothing(run: Run, folder: Path) -> None:
    whole = f"{MEASURE} -t white-noise+blur -l *"
    assert run(f"{whole} --batch-size 5 -o by-five.h5")[0] == 0
    assert run(f"{whole} -o one-batch.h5")[0] == 0
    assert run(f"{whole} --limit 7 -o limited.h5")[0] == 0
    five, one, limited = (
        read(folder / f"{name}.h5") for name in ("by-five", "one-batch", "limited")
    )
    assert len(limited.index) == 7
    rows = np.searchsorted(one.index, limited.index)
    for name, values in one.layers.items():
        np.testing.assert_allclose(five.layers[name], values, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(limited.layers[name], values[:, rows], rtol=1e-5, atol=1e-5)


def test_random_transforms_belong_to_the_image_exactly(folder: Path) -> None:
    images = open_data("small.h5")
    specs = [parse("white-noise"), parse("salt-pepper+rot90")]
    shown: dict[int, NDArray[Any]] = {}
    for size in (1, 5, 12):
        batches = _forward.conditions(
            images, np.arange(32, 44), specs, batch_size=size, seed=3, device=torch.device("cpu")
        )
        result = np.empty((2, 12, 3, 8, 8), np.float32)
        for condition, first, batch in batches:
            result[condition, first : first + len(batch)] = batch
        shown[size] = result
    np.testing.assert_array_equal(shown[1], shown[5])
    np.testing.assert_array_equal(shown[1], shown[12])


def test_half_precision_is_rounding(run: Run, folder: Path) -> None:
    for dtype in ("float16", "float32"):
        assert run(f"{MEASURE} --dtype {dtype} -o {dtype}.h5")[0] == 0
    half, full = read(folder / "float16.h5"), read(folder / "float32.h5")
    for name, values in full.layers.items():
        assert half.layers[name].dtype == np.float16
        np.testing.assert_array_equal(half.layers[name], values.astype(np.float16))


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [("penultimate", ["3"]), ("output", ["output"]), ("[0-2]", ["2"]), ("0", ["0"])],
)
def test_layers(layer: str, wanted: list[str], run: Run, folder: Path) -> None:
    assert run(f"{MEASURE} -l {layer} -o layers.h5 --overwrite")[0] == 0
    assert list(read(folder / "layers.h5").layers) == wanted


def test_xarray_opens_it(run: Run, folder: Path) -> None:
    assert run(f"{MEASURE} -o x.h5")[0] == 0
    with xarray.open_dataset(folder / "x.h5", engine="h5netcdf") as root:
        assert root["condition"].values.tolist() == ["none", "blur:sigma=1"]
        assert root["prediction"].dims == ("condition", "image")
    with xarray.open_dataset(folder / "x.h5", engine="h5netcdf", group="layers/2") as layer:
        assert layer["activation"].dims == ("condition", "image", "channel", "height", "width")
        np.testing.assert_array_equal(layer["activation"], read(folder / "x.h5").layers["2"])
    with xarray.open_dataset(folder / "x.h5", engine="h5netcdf", group="layers/3") as layer:
        assert layer["activation"].shape == (2, TEST_IMAGES, 4, 2, 2)


def test_reruns_are_the_same_bytes(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[bytes, bytes]] = []
    for number in range(2):
        place = folder / f"again{number}"
        place.mkdir()
        for name in ("model.st", "small.h5", "nets.py"):
            (place / name).write_bytes((folder / name).read_bytes())
        monkeypatch.chdir(place)
        assert run(f"{MEASURE} -o a.h5")[0] == 0
        assert run("invariance a.h5 -o i.h5")[0] == 0
        made.append(((place / "a.h5").read_bytes(), (place / "i.h5").read_bytes()))
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000001")
        assert run(f"{MEASURE} --no-provenance -o n.h5")[0] == 0
        with hdf5.open(place / "n.h5") as file:
            assert file.steps == [] and "history" not in file.file.attrs
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert made[0] == made[1]
    assert (folder / "again0" / "n.h5").read_bytes() == (folder / "again1" / "n.h5").read_bytes()


# --- what is refused


@pytest.fixture(scope="module", autouse=True)
def wrong_files(folder: Path) -> None:
    write_set(folder / "gray.h5", channels=1)
    write_set(folder / "five.h5", categories=5)
    write_set(folder / "no-test.h5", test=0)
    image, label = quadrants(6)
    broken = image.astype(np.float32)
    broken[4, 0, 0, 0] = np.nan
    for name, pixels in (("nan", broken), ("large", np.zeros((6, 3, 9, 9), np.uint8))):
        with hdf5.create(folder / f"{name}.h5", "images", []) as out:
            out.array("image", pixels, ("image", "channel", "height", "width"))
            out.array("label", label, ("image",))
    whole = (folder / "model.st").read_bytes()
    (folder / "short.st").write_bytes(whole[:-50])
    (folder / "text.st").write_text("some text, long enough to hold a header")
    (folder / "empty.st").touch()
    metadata = models.read_metadata(folder / "model.st")
    tensors = models.load_tensors(folder / "model.st")
    save_file(tensors, folder / "bare.safetensors")
    for name, layer in (("nan", "0.weight"), ("nan-late", "6.bias")):
        spoiled = {**tensors, layer: torch.full_like(tensors[layer], torch.nan)}
        models.save(folder / f"{name}.st", spoiled, metadata, [])
    grown = {**tensors, "1.bias": tensors["1.bias"] + 1e6}
    models.save(folder / "grown.st", grown, metadata, [])
    for name, change in (
        ("moved", {"data": "gone/small.h5"}),
        ("piped", {"data": "-"}),
        ("silent", {"data": ""}),
        ("sparse", {"training": {}}),
    ):
        models.save(folder / f"{name}.st", tensors, {**metadata, **change}, [])


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("missing.st", 1, "missing.st: no such file"),
        ("small.h5", 1, "small.h5: an HDF5 file; a safetensors model is wanted"),
        ("short.st", 1, "short.st: truncated safetensors"),
        ("text.st", 1, "text.st: not safetensors"),
        ("empty.st", 1, "empty.st: empty"),
        ("bare.safetensors", 2, "bare.safetensors holds weights but not the network"),
        ("alexnett", 2, "nearest is 'alexnet'"),
        ("blocks", 2, "'blocks' has no weights of its own; give --weights FILE or --untrained"),
        ("blocks --untrained", 2, "blocks does not tell its images; give --data"),
        ("blocks --untrained -d small.h5", 2, "blocks was trained without a transform"),
        ("model.st --weights x.pth", 1, "x.pth: no such file"),
        ("model.st --mean 0", 2, "--mean and --std go together"),
        ("model.st --mean a --std 1", 2, "--mean a: numbers joined by commas are wanted"),
        ("plain.st", 2, "plain.st was trained without a transform; give --transform"),
        ("silent.st", 2, "silent.st does not tell its images; give --data"),
        ("piped.st", 2, "piped.st was trained on images from a pipe; give --data"),
        ("moved.st", 1, "gone/small.h5: no such file or folder (moved.st was trained on it); give"),
        ("model.st -d five.h5", 1, "five.h5 has 5 categories, model.st 4"),
        ("model.st -d gray.h5", 1, "the images have 1 channel, model.st takes 3"),
        ("model.st -d large.h5", 1, "9x9 pixels, model.st takes 8x8; --size 8 resizes them"),
        ("model.st -d no-test.h5", 1, "no-test.h5: no test images in it"),
        ("model.st -d nan.h5", 1, "nan.h5: image 4 holds NaN or infinity"),
        ("model.st -d missing.h5", 1, "missing.h5: no such file or folder"),
        ("model.st -l fc9", 2, "no layer 'fc9'"),
        ("model.st -t blurr", 2, "did you mean 'blur'?"),
        ("nan.st", 1, "layer 2 gives NaN or infinity for an image from number 0 on, under none"),
        ("nan-late.st -l 2", 1, "nan-late.st answers NaN or infinity; are its weights whole?"),
        ("grown.st --dtype float16", 1, "layer 2 gives NaN or infinity"),
        ("grown.st --dtype float16", 1, "--dtype float32 holds more"),
        ("model.st --batch-size 0", 2, "'0' is neither auto nor a count of images"),
        ("model.st --limit 0", 2, "invalid value for '--limit'"),
        ("model.st --device gpu", 2, "no device 'gpu'"),
        ("model.st --device mps", 1, "device mps is not to be had"),
        ("model.st -o small.h5", 2, "small.h5 exists; pass --overwrite"),
        ("- -d -", 2, "model and images cannot both come from standard input"),
    ],
)
def test_refused_in_one_sentence_with_nothing_left(
    line: str, code: int, sentence: str, run: Run, folder: Path
) -> None:
    before = sorted(folder.iterdir())
    done = run(f"activations {line} --threads 1{'' if '-o' in line.split() else ' -o out.h5'}")
    assert done[0] == code, done
    assert done[1] == "" and sentence in done[2]
    told = [text for text in done[2].splitlines() if "runs your own code" not in text]
    assert len(told) == 1 and told[0].startswith("invtool activations: ")
    assert sorted(folder.iterdir()) == before


def test_large_images_are_resized_where_asked(run: Run, folder: Path) -> None:
    assert run(f"{MEASURE} -d large.h5 --size 8 -o resized.h5")[0] == 0
    assert run("activations grown.st --threads 1 -o grown.h5")[0] == 0
    assert run("activations sparse.st --threads 1 -o sparse.h5")[0] == 0


def test_other_categories_are_said(run: Run, folder: Path) -> None:
    data = "faces:categories=3,train=1,test=2,size=16"
    code, _, err = run(f"{MEASURE} -d {data} --size 8 -o other.h5")
    assert code == 0 and "seen, unseen and accuracy mean little" in err


def test_a_disk_that_is_too_small_is_refused_before_work(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(activations.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(activations, "capturing", lambda *_: pytest.fail("it worked"))
    code, _, err = run(f"{MEASURE} -o disk.h5")
    assert code == 1 and "GiB of activations do not fit in" in err and "choose --layer" in err
    assert not list(folder.glob("*disk*"))


@pytest.mark.parametrize("at", [1, 4])
def test_a_disk_that_fills_up(
    at: int, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.pwrite, [0]

    def full(*args: Any) -> int:
        calls[0] += 1
        if calls[0] >= at:
            raise OSError(28, os.strerror(28))
        return real(*args)

    monkeypatch.setattr(os, "pwrite", full)
    code, out, err = run(f"{MEASURE} --batch-size 2 -o disk.h5")
    assert (code, out) == (1, "")
    told = [text for text in err.splitlines() if "runs your own code" not in text]
    assert told == ["invtool activations: output: No space left on device"]
    assert not list(folder.glob("*disk*"))


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
def test_a_device_that_is_full(run: Run) -> None:
    code, out, err = run(f"{MEASURE} -o /dev/full")
    assert (code, out) == (1, "") and "No space left on device" in err


def test_an_empty_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, (empty, end) = os.dup(0), os.pipe()
    os.close(end)
    os.dup2(empty, 0)
    try:
        monkeypatch.setattr(sys, "stdin", os.fdopen(os.dup(0)))
        code, out, err = run("activations - -o out.h5")
    finally:
        sys.stdin.close()
        os.dup2(keep, 0)
        os.close(keep), os.close(empty)
    assert (code, out) == (1, "")
    assert "standard input is empty; did the command before this one fail?" in err


# --- the process

FORKS = """
import json, os, signal, sys
sys.path.insert(0, os.getcwd())
from invtool.cli import _app
from invtool.stages import activations

def killed(number):
    real, calls = activations._Recorder.take, [0]
    def take(*args):
        calls[0] += 1
        if calls[0] == 3:
            os.kill(os.getpid(), number)
        return real(*args)
    activations._Recorder.take = take

def forked(line, number=0):
    child = os.fork()
    if not child:
        code = 99
        try:
            number and killed(number)
            code = _app.run(line.split())
        except SystemExit as end:
            code = end.code
        finally:
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss

wide = "activations py:nets:wide --untrained --mean 0 --std 1 --size 16 -d many.h5 -t rot90 --threads 1"
_app.run(f"{wide} --limit 2 -o warm.h5".split())
for count in (200, 2000):
    print(*forked(f"{wide} --batch-size 50 --limit {count} -o {count}.h5"))
for name in ("SIGKILL", "SIGTERM"):
    print(*forked(f"activations model.st --batch-size 2 -o {name}.h5", getattr(signal, name)))
"""


@pytest.fixture(scope="module")
def forks(folder: Path) -> list[tuple[int, int]]:
    """Exit code and largest memory (KiB) of each run, forked from one process."""
    write_set(folder / "many.h5", train=1, test=2000)
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == 4, done.stderr
    return [(int(code), int(memory)) for code, memory in rows]


def test_memory_does_not_grow_with_the_images(folder: Path, forks: list[tuple[int, int]]) -> None:
    (few, less), (many, more) = forks[:2]
    size = (folder / "2000.h5").stat().st_size / 2**10  # KiB
    assert few == many == 0
    assert size > 250_000 and more - less < 0.15 * size, (size, less, more)


def test_killed_in_the_middle(folder: Path, forks: list[tuple[int, int]]) -> None:
    assert [code for code, _ in forks[2:]] == [-signal.SIGKILL, 128 + signal.SIGTERM]
    assert not (folder / "SIGKILL.h5").exists() and not (folder / "SIGTERM.h5").exists()
    # Nobody is left to remove the temporary file of a process that is killed.
    assert {path.name.split(".")[1] for path in folder.glob(".SIG*")} == {"SIGKILL"}


def test_as_a_library(folder: Path) -> None:
    config = Activations(
        "model.st", transforms=("rot90",), layers=("penultimate",), limit=3, threads=1
    )
    activations.run(config, folder / "model.st", folder / "library.h5")
    assert read(folder / "library.h5").layers["3"].shape == (2, 3, 4, 2, 2)
    with pytest.raises(InvtoolError, match="no layer"):
        activations.run(
            Activations("model.st", layers=("no",)), folder / "model.st", folder / "no.h5"
        )
