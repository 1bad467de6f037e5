"""The two lines that invtool exists for, in a real shell, in an empty folder, without a network."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from invtool.files import hdf5, models

TRAIN = (
    "invtool train --data faces:categories=6,train=8,test=4,size=16 --epochs 1 --seen 3"
    " --transform blur"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("pipe")
    done = shell(TRAIN, top)
    assert done.returncode == 0, done.stderr
    (top / "table").write_text(done.stdout)
    yield top


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    invtool = f'set -o pipefail; invtool() {{ "{sys.executable}" -m invtool "$@"; }}; '
    environment = {key: value for key, value in os.environ.items() if not key.startswith("INVTOOL")}
    return subprocess.run(
        ["bash", "-c", invtool + line],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={
            **environment,
            "XDG_CACHE_HOME": str(folder.with_name("cache")),
            "OMP_NUM_THREADS": "1",
        },
        timeout=120,
    )


def test_train_leaves_a_model_and_its_log_and_tells_the_accuracy(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} >= {"model.st", "model.jsonl"}
    assert not list(folder.glob("*checkpoint*"))
    told = models.read_metadata(folder / "model.st")
    assert len(told["seen"]) == 3 and told["transform"] == "blur:sigma=2"
    assert "untransformed seen" in (folder / "table").read_text()


def test_activations_into_invariance_and_a_plot(folder: Path) -> None:
    done = shell(
        "invtool activations model.st | invtool invariance | tee i.h5 | invtool plot -o figure.png",
        folder,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    with hdf5.open(folder / "i.h5", ["invariance"]) as file:
        assert file.array("group").tolist() == ["all", "seen", "unseen"]
        assert file.layers()[-1] == "pool"  # penultimate: what fc reads
        names = [step["id"].split(".")[0] for step in file.steps]
        assert names == ["train", "activations", "invariance"]
        assert [step["writes"] for step in file.steps] == [["model.st"], ["-"], ["-"]]


def test_a_model_through_a_pipe(folder: Path) -> None:
    """The model is written to the pipe, its table of accuracy beside it; at the end are numbers."""
    done = shell(
        f"{TRAIN} -o - | invtool activations - -l pool | invtool invariance --format csv", folder
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4  # a head, and a row a group
    assert done.stderr.startswith("accuracy on test images\n")
    assert done.stderr.count("\n") == 3


def test_a_failure_at_the_head_of_the_pipe_fails_all_of_it(folder: Path) -> None:
    done = shell("invtool activations missing.st | invtool invariance -o never.h5", folder)
    assert done.returncode != 0
    assert "missing.st: no such file" in done.stderr and "Traceback" not in done.stderr
    assert not (folder / "never.h5").exists()


CHATTY = """
import torch
print("importing")

class Chatty(torch.nn.Sequential):
    input_size, normalization = (3, 16, 16), "per-image"

    def forward(self, x):
        print("running")
        return super().forward(x)

def make():
    print("making")
    return Chatty(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(784, 6))
"""


def test_what_a_network_prints_is_no_part_of_the_result(folder: Path) -> None:
    (folder / "chatty.py").write_text(CHATTY)
    done = shell(
        "invtool activations py:chatty:make --untrained -d faces:categories=6,train=8,test=4,size=16"
        " -t blur | invtool invariance -f csv",
        folder,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("layer,")
    assert {"importing", "making", "running"} <= set(done.stderr.splitlines())
