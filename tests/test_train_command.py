"""`invtool train`: what it refuses, in one sentence and before any work, and where its model goes."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import Run, room, runner, write_set

from invtool.files import hdf5, models

TINY = "train -d small.h5 -n py:nets:make --epochs 1 --batch-size 8 --threads 1"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("train")
    with room(top):
        write_set(top / "gray.h5", channels=1)
        write_set(top / "one-category.h5", categories=1)
        write_set(top / "one-image.h5", train=1, test=1, categories=1)
        write_set(top / "no-test.h5", test=0)
        write_set(top / "no-train.h5", train=0)
        write_oblong(top / "oblong.h5")
        (top / "text.st").write_text("not a model")
        (top / "full").mkdir()
        (top / "full" / "seen0-seed0.st").touch()
        (top / "unfinished.checkpoint.st").touch()
        (top / "old.steps").mkdir()
        (top / "old.steps" / "step-000001.st").touch()
        (top / "mixed.steps").mkdir()
        (top / "mixed.steps" / "notes.txt").touch()
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def write_oblong(path: Path) -> None:
    with hdf5.create(path, "images", []) as out:
        image = np.zeros((8, 3, 8, 16), np.uint8)
        out.array("image", image, ("image", "channel", "height", "width"))
        out.array("label", np.arange(8) % 2, ("image",))
        out.array("split", np.arange(8) // 4, ("image",))


def names(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {name for name in found if "__pycache__" not in name}


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("--seen 5 --transform blur", 2, "--seen 5: small.h5 has 4 categories"),
        (
            "-d faces:categories=3 --seen 5 -t blur",
            2,
            "--seen 5: faces:categories=3 has 3 categories",
        ),
        ("-d facse", 2, "no data set 'facse'; did you mean faces?"),
        ("-d missing.h5", 1, "missing.h5: no such file or folder"),
        ("-d text.st", 1, "text.st: neither HDF5 nor safetensors"),
        ("-d no-test.h5", 1, "no-test.h5: no test images in it"),
        ("-d no-train.h5", 1, "no-train.h5: no training images in it"),
        ("-n alexnett", 2, "no network 'alexnett', nearest is 'alexnet'"),
        ("-n py:missing:make", 2, "py:missing:make: there is no module missing"),
        ("-n py:nets:mak", 2, "nets has no callable 'mak'"),
        ("-n py:nets", 2, "is not of the form py:MODULE:CALLABLE"),
        ("-n blocks -d small.h5", 2, "8x8 pixels cannot be halved 4 times"),
        ("-n py:nets:deaf", 1, "py:nets:deaf does not run on small.h5: "),
        ("-n py:nets:poor", 1, "py:nets:poor gives 2 logits; small.h5 has 4 categories"),
        ("--seen 1 -t blurr", 2, "no transform 'blurr'; did you mean 'blur'?"),
        ("--seen 1 -t blur:sigma=-1", 2, "sigma of 'blur' is within 0 to 64 px"),
        ("--seen 1", 2, "--seen 1 needs --transform; transformed how?"),
        ("--seen 0 --seen 2 -t none", 2, "--seen 2 needs --transform; transformed how?"),
        ("--seen 1 --seen 1 -t blur", 2, "--seen 1 1 names a count twice"),
        ("-d oblong.h5 -t rot90 --seen 1", 1, "rot90 changes the size of the images of oblong.h5"),
        ("--seen -1", 2, "invalid value for '--seen'"),
        ("--epochs -1", 2, "invalid value for '--epochs'"),
        ("--recipe slow", 2, "invalid value for '--recipe'"),
        ("--device gpu", 2, "no device 'gpu'; use auto, cpu, cuda, cuda:N or mps"),
        ("--device meta", 2, "no device 'meta'"),
        ("--device mps", 1, "device mps is not to be had"),
        ("--lr 1e30 --epochs 2", 1, "training diverged in epoch"),
        ("-o small.h5", 2, "small.h5 exists; pass --overwrite to replace it"),
        ("-o full", 2, "full is a folder; name a file"),
        ("-o nowhere/x.st", 2, "there is no folder nowhere"),
        ("-o x.jsonl", 2, "x.jsonl is a name for the log; name the model, as x.st"),
        ("-o unfinished.st", 2, "unfinished.checkpoint.st holds a training that was stopped"),
        ("--seeds 2 -o x.st", 2, "x.st: several networks need a folder"),
        ("--seeds 2 -o small.h5", 2, "small.h5: several networks need a folder"),
        ("--seeds 2 -o -", 2, "-: several networks need a folder"),
        ("--seeds 2 -o full", 2, "full holds seen0-seed0.st already; pass --resume to go on"),
        ("--seeds 2 -o nowhere/x", 2, "there is no folder"),
        ("--checkpoint-at 1,x", 2, "--checkpoint-at 1,x: steps joined by commas, or log, are"),
        ("--checkpoint-at 1,,2", 2, "--checkpoint-at 1,,2: steps joined by commas"),
        ("--checkpoint-at 0,5", 2, "--checkpoint-at 5: the training has 4 steps"),
        ("--checkpoint-at log -o -", 2, "-o -: --checkpoint-at keeps files beside the model"),
        ("--checkpoint-at log -o /dev/null", 2, "-o /dev/null: --checkpoint-at keeps files"),
        ("-o old.st", 2, "old.steps exists; pass --overwrite to replace it"),
        ("-o mixed.st --overwrite", 1, "mixed.steps/notes.txt is no step of a training; move it"),
        ("--init-smooth nan", 2, "--init-smooth nan: pixels from 0 are wanted"),
        ("--epochs 0 --search", 2, "--search trains; --epochs 0 is the network at initialization"),
        ("--random-labels --search", 2, "of which random labels tell nothing"),
    ],
)
def test_refused_in_one_sentence_with_nothing_left(
    line: str, code: int, sentence: str, run: Run, folder: Path
) -> None:
    before = names(folder)
    done = run(f"{TINY} {'' if '-o' in line else '-o x.st '}{line}")
    assert done[0] == code, done
    assert done[1] == ""
    assert sentence in done[2]
    told = [text for text in done[2].splitlines() if "runs your own code" not in text]
    assert len(told) == 1 and told[0].startswith("invtool train: ")
    assert names(folder) == before


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("--resume -o x.st", 1, "x.st: no checkpoint to go on from"),
        ("--resume -o unfinished.st", 1, "unfinished.checkpoint.st: empty; a safetensors model"),
        ("--resume -o small.h5", 1, "small.h5 is finished; there is nothing to go on with"),
        ("--resume -o full", 1, "seen0-seed0.st: empty"),
        (
            "--resume --epochs 3",
            2,
            "--resume goes on with the settings it began with; drop --epochs",
        ),
        ("--resume --lr 3", 2, "drop --learning-rate"),
        ("--resume --device cpu", 2, "drop --device"),
    ],
)
def test_nothing_to_resume(line: str, code: int, sentence: str, run: Run) -> None:
    done = run(f"train {line}")
    assert done[0] == code and sentence in done[2] and done[2].count("\n") == 1


def test_cuda_that_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("it is there")
    for line, variable in ((f"{TINY} --device cuda", "cpu"), (TINY, "cuda:1")):
        monkeypatch.setenv("INVTOOL_DEVICE", variable)
        code, out, err = run(f"{line} -o x.st")
        assert (code, out) == (1, "") and err.count("\n") == 1
        assert "invtool train: device cuda" in err and "is not to be had: " in err
    monkeypatch.setenv("INVTOOL_DEVICE", "gpu")
    assert run(f"{TINY} -o x.st")[0] == 2
    assert run(f"{TINY} -o flag.st --device cpu")[0] == 0  # a flag beats its variable


def test_a_training_that_diverges_leaves_the_earlier_model(run: Run, folder: Path) -> None:
    assert run(f"{TINY} -o kept.st")[0] == 0
    before = {name: (folder / name).read_bytes() for name in ("kept.st", "kept.jsonl")}
    code, _, err = run(f"{TINY} -o kept.st --overwrite --lr 1e39")
    assert code == 1 and "training diverged" in err
    assert {path.name: path.read_bytes() for path in folder.glob("kept*")} == before
    assert run(f"{TINY} -o kept.st --overwrite --seed 9")[0] == 0
    assert models.read_metadata(folder / "kept.st")["training"]["seed"] == 9
    assert {path.name for path in folder.glob("kept*")} == set(before)


def test_the_table(run: Run) -> None:
    code, out, _ = run(f"{TINY} --seen 2 -t blur -o table.st")
    assert code == 0
    title, head, row = out.splitlines()
    assert title == "accuracy on test images"
    assert head.split()[:3] == ["model", "seen", "seed"]
    assert row.split()[:3] == ["table.st", "2", "0"] and len(row.split()) == 7
    assert all(0 <= float(cell) <= 1 for cell in row.split()[3:])


def test_a_model_into_a_pipe_and_its_table_elsewhere(folder: Path, capfdbinary: Any) -> None:
    from invtool.cli import _app

    for line, tables in ((f"{TINY} --seen 2 -t blur -o -", 1), (f"{TINY} -o - --quiet", 0)):
        before = names(folder)
        assert _app.run(line.split()) == 0
        out, err = capfdbinary.readouterr()
        (folder / "piped").write_bytes(out)
        assert models.read_metadata(folder / "piped")["training"]["epochs"] == 1
        assert err.count(b"accuracy on test images") == tables
        assert tables or not err
        assert names(folder) - before <= {"piped"}
    if sys.platform == "linux":
        assert _app.run(f"{TINY} -o /dev/full".split()) == 1
        assert b"No space left on device" in capfdbinary.readouterr()[1]


def test_a_terminal_gets_no_model(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True, raising=False)
    code, _, err = run(f"{TINY} -o -")
    assert code == 2 and "refusing to write binary data to a terminal" in err


def test_a_full_disk(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *rest: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(28, os.strerror(28))

    before = names(folder)
    monkeypatch.setattr(models, "save", full)
    code, out, err = run(f"{TINY} -o disk.st")
    assert (code, out) == (1, "")
    assert err.endswith("invtool train: output: No space left on device\n")
    assert names(folder) == before


@pytest.mark.parametrize(
    "line",
    [
        "-d one-category.h5 --seen 1 -t rot180",
        "-d one-image.h5 --seen 1 -t white-noise",
        "-d small.h5 --seen 4 -t blur+white-noise",
        "-d gray.h5 --seen 2 -t blur",
        "-d gray.h5 --seen 2 -t grayscale+color-rotation",
        "-d small.h5 --seen 0 -t blur",
        "-d small.h5 --recipe paper",
        "-d small.h5 --precision bf16",
    ],
)
def test_unusual_sets_and_settings(line: str, run: Run, folder: Path) -> None:
    code, _, err = run(f"{TINY} {line} -o unusual.st --overwrite")
    assert code == 0, err
    told = models.read_metadata(folder / "unusual.st")
    if "paper" in line:
        assert (told["training"]["learning_rate"], told["training"]["batch_size"]) == (1e-4, 8)
    if "gray" in line:
        assert told["input"]["channels"] == 1
    for groups in told["accuracy"].values():
        assert all(share is None or 0 <= share <= 1 for share in groups.values())


@pytest.mark.parametrize(
    "network", ["alexnet", "resnet18", "resnet20-cifar", "torchvision:resnet18"]
)
def test_a_step_of_each_network(network: str, run: Run, folder: Path) -> None:
    write_set(folder / "few.h5", train=2, test=1)
    data = "faces:categories=2,train=1,test=1"  # 32 pixels
    code, _, err = run(
        f"train -d {data} -n {network} --epochs 1 --batch-size 2 --threads 1 -o step.st --overwrite"
    )
    assert code == 0, err
    told = models.read_metadata(folder / "step.st")
    assert (
        told["architecture"]["name"] == network
        and told["data"] == "faces:categories=2,test=1,train=1"
    )


def test_the_default_places(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder / "empty")
    line = TINY.replace("small.h5", "../small.h5")
    (folder / "empty" / "nets.py").write_text((folder / "nets.py").read_text())
    assert run(line)[0] == 0
    assert run(f"{line} --seeds 2")[0] == 0
    assert names(folder / "empty") == {"nets.py", "model.st", "model.jsonl", "models"} | {
        f"models/seen0-seed{seed}{suffix}" for seed in (0, 1) for suffix in (".st", ".jsonl")
    }


def test_reruns_are_the_same_bytes(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another folder, with and without the cache of drawn images; --no-provenance at any time."""
    line = "train -d faces:categories=3,train=4,test=2,size=16 --epochs 1 --seen 1 -t salt-pepper"
    made: dict[str, list[bytes]] = {"": [], " --no-provenance": []}
    for number, option in enumerate([*made, *made]):
        place = folder / f"rerun{number}"
        place.mkdir()
        monkeypatch.chdir(place)
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / f"cache{number // 2}"))
        if option:
            monkeypatch.setenv("SOURCE_DATE_EPOCH", str(10**9 + number))
        else:
            monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        assert run(f"{line} --threads 1{option}")[0] == 0
        made[option].append((place / "model.st").read_bytes())
    for option, (first, second) in made.items():
        assert first == second
        assert (b"provenance" in first) == (not option)
