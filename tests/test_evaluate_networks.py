"""`invtool evaluate` of several networks: what they share, and that sharing does not show."""

import os
import subprocess
import tracemalloc
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import pytest
from conftest import INVTOOL, write_images
from small import Run, invoke, room, runner, write_set

from invtool.files import hdf5, models
from invtool.measures import accuracy_interval, category_weights, percentile_interval
from invtool.models import networks, references
from invtool.models.networks import Network
from invtool.stages import _devices, _subject, evaluate
from invtool.transforms import Spec

TINY = "train -d small.h5 -n py:nets:make --epochs 1 --batch-size 8 --threads 1"
FILES = "two.st three.st plain.st"
SHOWN = "-t blur:sigma=1 -t white-noise --threads 1"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("networks")
    with room(top):
        assert invoke(f"{TINY} --seen 2 -t blur:sigma=1 -o two.st") == 0
        assert invoke(f"{TINY} --seen 3 -t rot180 --seed 1 -o three.st") == 0
        assert invoke(f"{TINY} -o plain.st") == 0
        write_set(top / "other.h5", seed=1)
        tensors, told = models.load_tensors(top / "two.st"), models.read_metadata(top / "two.st")
        models.save(top / "moved.st", tensors, {**told, "data": "other.h5"}, [])
        yield top


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


def test_images_are_opened_and_transformed_once_for_all(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, moved, open_data, transform = [], [], _subject.open_data, Spec.__call__

    def opening(spec: str) -> object:
        opened.append(spec)
        return open_data(spec)

    def moving(self: Spec, image: object, **more: object) -> object:
        moved.append(str(self)) if more else None  # without, it is tried on an image
        return transform(self, image, **more)

    monkeypatch.setattr(_subject, "open_data", opening)
    monkeypatch.setattr(Spec, "__call__", moving)
    for data in ("", "-d small.h5"):
        assert run(f"evaluate {FILES} {data} {SHOWN} --batch-size 5 -f csv")[0] == 0
        assert opened == ["small.h5"]
        assert moved == ["none", "blur:sigma=1", "white-noise:sigma=75"] * 3  # 12 images by fives
        opened.clear(), moved.clear()


def test_memory_for_one_network_at_a_time_changes_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[int] = []
    predict = evaluate.predict
    monkeypatch.setattr(
        evaluate,
        "predict",
        lambda *args, **more: passed.append(len(args[0])) or predict(*args, **more),
    )
    found = []
    size = sum(tensor.nbytes for tensor in models.load_tensors(Path("two.st")).values())
    for weights, groups in ((1 << 30, [3]), (2 * size, [2, 1]), (1, [1, 1, 1])):
        monkeypatch.setattr(evaluate, "WEIGHTS", weights)
        assert run(f"evaluate {FILES} {SHOWN} -o all.h5 --overwrite")[0] == 0
        assert passed == groups
        passed.clear()
        found.append(Path("all.h5").read_bytes())
    assert found[0] == found[1] == found[2]


def test_batches_are_as_long_as_the_largest_network_bears(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    call = Network.__call__
    layers = networks.load(references.parse("plain.st")).layers
    for_three = 3 * 4 * sum(prod(layer.shape) for layer in layers)  # bytes
    monkeypatch.setattr(_devices, "FORWARD_MEMORY", for_three)
    monkeypatch.setattr(
        Network, "__call__", lambda self, images: shown.append(len(images)) or call(self, images)
    )
    assert run("evaluate plain.st --threads 1 --limit 4 -f csv")[0] == 0
    assert shown == [1, 3, 1]  # one to see that it runs
    assert run("evaluate plain.st --threads 1 --limit 4 -f csv --batch-size 2")[0] == 0
    assert shown[3:] == [1, 2, 2]


def test_the_images_of_several_networks_from_a_pipe(folder: Path) -> None:
    done = subprocess.run(
        [
            *INVTOOL,
            "evaluate",
            *FILES.split(),
            "-d",
            "-",
            "-t",
            "blur",
            "-f",
            "csv",
            "--threads",
            "1",
        ],
        input=(folder / "small.h5").read_bytes(),
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 3 * 2 * 3


def test_networks_of_different_images_are_refused_before_any_passes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "predict", lambda *_, **__: pytest.fail("it worked"))
        code, out, err = run("evaluate plain.st moved.st -o no.h5")
    assert (code, out) == (1, "")
    assert "plain.st is measured on small.h5, moved.st on other.h5; give --data" in err
    assert not Path("no.h5").exists()
    assert run("evaluate plain.st moved.st -d small.h5 --threads 1 -f csv")[0] == 0


def test_standard_input_is_one_model(run: Run) -> None:
    code, out, err = run("evaluate - -")
    assert (code, out) == (2, "")
    assert err == "invtool evaluate: standard input holds one model; '-' is named twice\n"


def test_each_step_is_named_once(run: Run) -> None:
    write_images(Path("made.h5"))  # says how it was made
    assert run(f"evaluate {FILES} -d made.h5 --threads 1 -o steps.h5")[0] == 0
    with hdf5.open(Path("steps.h5")) as file:
        *before, last = file.steps
    assert sorted(last["previous"]) == sorted(step["id"] for step in before)
    assert len(before) == 4


def test_tables_say_the_seed_and_leave_out_what_is_the_same_for_all(run: Run) -> None:
    lines = run(f"evaluate {FILES} --threads 1 -f table")[1].splitlines()
    assert lines[1].split()[:6] == ["network", "trained", "with", "seen", "seed", "none"]
    assert [line.split()[:4] for line in lines[2:4]] == [
        ["two.st", "blur:sigma=1", "2", "0"],
        ["three.st", "rot180", "3", "1"],
    ]
    lines = run("evaluate plain.st -t blur --threads 1 -f table")[1].splitlines()
    assert lines[0] == "Top-1 accuracy, plain.st, 0 of 4 categories seen, 12 images, small.h5"
    assert lines[1].split() == ["condition", "all", "95", "%", "all"] and len(lines) == 4
    lines = run("evaluate two.st --threads 1 -f table")[1].splitlines()
    assert "unseen" in lines[1] and len(lines) == 2 + 2 + 4


def test_the_bootstrap_counts_as_a_matrix_of_members_does() -> None:
    """The bounds, by its docstring's sums written out; categories with few images, and one missing."""
    random = np.random.default_rng(0)
    label = random.choice([0, 1, 2, 4, 7], 60)
    prediction, seen = random.integers(0, 8, (3, 60)), np.isin(label, [1, 4])
    present = np.unique(label)
    member = (label == present[:, None]).astype(float)
    weights = category_weights(np.isin(present, [1, 4]), len(present), resamples=1000, seed=0)
    hits = member @ (prediction == label).T
    wanted = [
        percentile_interval(
            (weights * inside) @ hits / ((weights * inside) @ member.sum(1))[:, None]
        )
        for inside in (np.ones(5), np.isin(present, [1, 4]), ~np.isin(present, [1, 4]))
    ]
    np.testing.assert_array_equal(accuracy_interval(prediction, label, seen), np.stack(wanted, 1))


def test_the_bootstrap_of_many_categories_fits_a_laptop() -> None:
    """A matrix of which image is of which category would take 800 MB."""
    label = np.arange(50_000) % 2000
    tracemalloc.start()
    try:
        accuracy_interval(label[None], label, label < 1000)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
