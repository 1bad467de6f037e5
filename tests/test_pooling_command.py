"""`--pool` and `--antialias` on the command line: what is measured, kept, recorded and refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small import Run, invoke, room, runner

from invtool.data.sources import open_data
from invtool.files import hdf5, models
from invtool.models import networks, references
from invtool.models.architectures import build
from invtool.stages import train
from invtool.training.loop import Epoch

PYTHON = """
from torch import nn

def pooling(categories=4, channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, categories),
    )

def striding(categories=4, channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, 2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, categories)
    )
"""
TRAIN = "train -d small.h5 --epochs 1 --batch-size 8 --threads 1"
TEST = range(32, 44)  # images of small.h5
PY = "--size 8 --mean 0,0,0 --std 1,1,1 -d small.h5"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("pooling")
    with room(top):
        (top / "shifts.py").write_text(PYTHON)
        line = f"{TRAIN} -n py:shifts:pooling --seen 2 -t blur:sigma=1"
        assert invoke(f"{line} -o plain.st") == 0
        assert invoke(f"{line} --pool blur -o blurred.st") == 0
        assert invoke("activations plain.st -o activations.h5") == 0
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def logits(model: str, **options: str) -> torch.Tensor:
    network = networks.load(references.parse(model), **options)  # type: ignore[arg-type]
    image = torch.from_numpy(np.array(open_data("small.h5").image[list(TEST)]))
    with torch.inference_mode():
        return network(image)


def predictions(path: str) -> list[int]:
    with hdf5.open(Path(path)) as file:
        return list(file.array("prediction")[0])


def test_a_trained_network_keeps_its_filter(run: Run) -> None:
    metadata = models.read_metadata(Path("blurred.st"))
    assert metadata["pool"] == "blur3" and "antialias" not in metadata
    assert metadata["architecture"]["name"] == "py:shifts:pooling"
    assert run("evaluate blurred.st -o b.h5 --overwrite")[0] == 0
    with hdf5.open(Path("b.h5")) as file:
        assert file.attribute("pool") == "blur3"
        assert file.array("accuracy")[0, 0] == metadata["accuracy"]["none"]["all"]
    assert "pool           blur3" in run("inspect blurred.st")[1]
    assert run("verify blurred.st b.h5")[0] == 0


def test_a_filter_in_training_changes_what_is_learned(run: Run) -> None:
    plain, blurred = (models.load_tensors(Path(name)) for name in ("plain.st", "blurred.st"))
    assert plain.keys() == blurred.keys()
    assert not torch.equal(plain["0.weight"], blurred["0.weight"])


def test_an_option_comes_before_what_the_file_says() -> None:
    assert torch.equal(logits("blurred.st"), logits("blurred.st", pool="blur3"))
    assert not torch.equal(logits("blurred.st"), logits("blurred.st", pool="avg6"))
    module = build("py:shifts:pooling", {}).eval()
    module.load_state_dict(models.load_tensors(Path("blurred.st")))
    network = networks.load(references.parse("blurred.st"), pool="none")
    image = torch.rand(2, 3, 8, 8)
    assert torch.allclose(network.module(image), module(image), atol=1e-6)


def test_weights_of_a_file_bring_its_filter() -> None:
    reference = references.parse("py:shifts:pooling")
    network = networks.load(reference, weights=Path("blurred.st"))
    assert network.smoothing == {"pool": "blur3"}
    image = torch.rand(2, 3, 8, 8)
    same = networks.load(references.parse("blurred.st"))
    assert torch.equal(network.module(image), same.module(image))


@pytest.mark.parametrize(
    "command",
    [
        "evaluate plain.st",
        "activations plain.st",
        "invariance plain.st --resamples 0",
        "ablate plain.st --tau-grid 0,0.5",
        "calibrate plain.st -t salt-pepper --step 0.5 --below 0.4",
    ],
)
def test_every_command_that_opens_a_network_takes_and_records_it(run: Run, command: str) -> None:
    code, _, err = run(f"{command} --pool avg6 -o result.h5 --overwrite")
    assert (code, err.count("plain.st: avg6 in 1 pooling layer")) == (0, 1), err
    with hdf5.open(Path("result.h5")) as file:
        assert file.attribute("pool") == "avg6"
        assert file.steps[-1]["config"]["pool"] == "avg6"


def test_a_network_without_weights_takes_it_too(run: Run) -> None:
    code, _, err = run(f"evaluate py:shifts:striding --untrained {PY} --antialias blur -o s.h5")
    assert code == 0 and "py:shifts:striding: blur3 in 1 strided layer" in err
    wanted = networks.load(
        references.parse("py:shifts:striding"),
        untrained=True,
        size=8,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        antialias="blur",
    )
    image = torch.from_numpy(np.array(open_data("small.h5").image[list(TEST)]))
    assert predictions("s.h5") == wanted(image).argmax(1).tolist()


def test_a_file_with_a_filter_of_another_time_is_refused(run: Run) -> None:
    metadata = models.read_metadata(Path("blurred.st"))
    tensors = models.load_tensors(Path("blurred.st"))
    models.save(Path("later.st"), tensors, {**metadata, "pool": "gauss3"}, [])
    code, out, err = run("evaluate later.st")
    assert (code, out) == (1, "")
    assert "later.st was trained with pool gauss3: avgK or blurK with K from 2 to 31" in err
    assert run("evaluate later.st --pool blur -o later.h5")[0] == 0


def test_several_networks_say_which_was_blurred(run: Run) -> None:
    assert run("evaluate plain.st blurred.st -o both.h5")[0] == 0
    with hdf5.open(Path("both.h5")) as file:
        assert file.array("network_pool").tolist() == ["", "blur3"]
        assert "network_antialias" not in file
    rows = json.loads(run("evaluate plain.st blurred.st -f json")[1])["rows"]
    assert {(row["network"], row["pool"]) for row in rows} == {
        ("plain.st", ""),
        ("blurred.st", "blur3"),
    }
    assert "blurred.st, pool blur3, 2 of 4" in run("evaluate blurred.st -f table")[1]


def test_a_stopped_training_goes_on_with_its_filter(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(training: train._Run, epoch: Epoch) -> None:
        after_epoch(training, epoch)
        raise KeyboardInterrupt

    after_epoch = train._Run._after_epoch
    line = f"{TRAIN.replace('--epochs 1', '--epochs 2')} -n py:shifts:pooling --pool blur"
    assert run(f"{line} -o whole.st")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(train._Run, "_after_epoch", stop)
        assert run(f"{line} -o half.st")[0] == 130
    assert run("train --resume -o half.st")[0] == 0
    whole, half = (models.load_tensors(Path(name)) for name in ("whole.st", "half.st"))
    assert all(torch.equal(whole[name], half[name]) for name in whole)
    assert models.read_metadata(Path("half.st"))["pool"] == "blur3"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("evaluate plain.st --pool blurr", "--pool blurr: avgK or blurK with K from 2 to 31"),
        ("ablate plain.st --antialias blur99", "--antialias blur99: avgK or blurK"),
        (f"{TRAIN} --pool max -o no.st", "--pool max: avgK or blurK"),
        (
            "evaluate plain.st --antialias blur",
            "plain.st has no strided layer that subsamples; it has 1 that --pool blurs",
        ),
        (
            f"{TRAIN} -n py:shifts:striding --pool avg6 -o no.st",
            "py:shifts:striding has no pooling layer that subsamples; it has 1 that --antialias blurs",
        ),
        (
            f"{TRAIN} -n py:nets:make --pool avg6 -o no.st",
            "--pool avg6: py:nets:make has no pooling layer that subsamples",
        ),
        ("train --resume --pool blur -o plain.st", "drop --pool"),
        ("invariance activations.h5 --pool blur", "--pool is for a model"),
        ("invariance activations.h5 --antialias blur", "--antialias is for a model"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, line: str, sentence: str) -> None:
    code, out, err = run(line)
    assert code == 2 and not out and sentence in err
    assert len(err.strip().splitlines()) <= 2  # one may say that it runs the user's code
    assert not Path("no.st").exists()
