"""Training: it learns, it is reproducible to the bit, and a run that was stopped goes on as if not.

Runs that are killed are forked from one process that has imported torch, and kill themselves at a
chosen place: an end that no handler sees.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small import quadrants, room, write_set

from invtool.config import Train
from invtool.data import folders, memory
from invtool.data.random_labels import random_labels
from invtool.data.sources import open_data
from invtool.errors import InvtoolError
from invtool.files import models
from invtool.models.architectures import build
from invtool.models.networks import Network, load
from invtool.models.normalization import PER_IMAGE
from invtool.models.references import parse as parse_reference
from invtool.stages import train
from invtool.training.draws import Draws
from invtool.training.loop import StreamedImages, Trainer, TrainingImages
from invtool.training.recipes import RECIPES, Recipe, recipe
from invtool.transforms import parse


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("training")
    with room(top):
        yield top


TINY = Train(data="small.h5", network="py:nets:make", batch_size=8, epochs=3, threads=1)


def weights(path: Path) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in models.load_tensors(path).items()}


def trainer(transform: str = "none", seen: int = 0, images: int = 24, **options: Any) -> Trainer:
    pixels, label = quadrants(images)
    torch.manual_seed(0)
    arguments = {"categories": 4, "channels": 3}
    module = build("py:nets:make", arguments, seed=0)
    network = Network(module, "small", (3, *pixels.shape[2:]), PER_IMAGE)
    return Trainer(
        module,
        network.prepared,
        TrainingImages(*map(torch.from_numpy, (pixels, label, np.arange(images)))),
        Draws(label, np.arange(4) < seen, seed=0),
        parse(transform),
        Recipe(
            **{"epochs": 1, "batch_size": 8, "learning_rate": 0.1, "weight_decay": 0, **options}
        ),
        torch.float32,
    )


# --- learning


def test_a_separable_set_is_learned(folder: Path) -> None:
    config = Train(data="small.h5", network="py:nets:make", epochs=30, batch_size=8, threads=1)
    (row,) = train.run(config, folder / "learned.st")
    lines = [json.loads(line) for line in (folder / "learned.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 31))
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert lines[-1]["accuracy"] > 0.8 > lines[0]["accuracy"]
    assert lines[-1]["test"]["none"]["all"] == row["untransformed unseen"] == 1.0
    assert lines[0]["learning_rate"] < max(line["learning_rate"] for line in lines) <= 0.1
    assert np.isnan(row["untransformed seen"])  # no category was


def test_the_model_says_what_it_is(folder: Path) -> None:
    config = Train(
        "small.h5", "py:nets:make", "blur:sigma=1", (2,), seed=3, epochs=1, batch_size=8, threads=1
    )
    train.run(config, folder / "told.st")
    told = models.read_metadata(folder / "told.st")
    assert told["architecture"]["name"] == "py:nets:make"
    assert told["input"] == {"channels": 3, "height": 8, "width": 8}
    assert told["transform"] == "blur:sigma=1" and len(told["seen"]) == 2
    assert told["data"] == "small.h5" and told["categories"][1] == "quadrant 1"
    assert told["training"]["seed"] == 3 and told["training"]["epochs"] == 1
    assert set(told["accuracy"]) == {"none", "blur:sigma=1"}
    (step,) = told["provenance"]
    assert step["writes"] == [str(folder / "told.st")] and step["config"]["seen"] == 2
    assert sorted(p.name for p in folder.glob("told*")) == ["told.jsonl", "told.st"]


# --- the loop


def test_images_a_step_and_steps_an_epoch() -> None:
    assert (trainer(images=24).steps_per_epoch, trainer(images=31).steps_per_epoch) == (3, 3)
    few = trainer(images=3, epochs=5)  # drawn with replacement: a whole batch all the same
    assert (few.steps_per_epoch, few.steps, few.batch) == (1, 5, 8)
    shown: list[int] = []
    few.module.register_forward_pre_hook(lambda module, inputs: shown.append(len(inputs[0])))
    epochs = list(few.run(lambda step: None))
    assert shown == [8] * 5 and few.step == 5
    assert all(0 <= epoch.accuracy <= 1 and epoch.images_per_second > 0 for epoch in epochs)


def test_only_the_seen_are_transformed_and_noise_belongs_to_the_image() -> None:
    """Contrast inversion of a constant image shows in what the network reads; noise is keyed by index."""
    shown: dict[int, list[np.ndarray[Any, Any]]] = {}
    for batch in (8, 4):
        t = trainer("white-noise:sigma=40", seen=2, batch_size=batch, learning_rate=1e-9)
        t.normalize = lambda x: shown.setdefault(batch, []).extend(x.numpy().copy()) or x  # noqa: B023
        list(t.run(lambda step: None))
    np.testing.assert_array_equal(shown[8], shown[4])  # whatever images they shared a batch with
    image, transformed = t.draws.epoch(0, 24)
    pixels = t.images.image.numpy()
    for x, row, moved in zip(shown[4], image, transformed, strict=True):
        assert (np.abs(x - pixels[row]).max() > 20) == bool(moved)
    assert 0 < transformed.sum() < 24 and set(t.images.label[image[transformed]].tolist()) <= {0, 1}


def test_the_rate_is_the_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    t = trainer(epochs=4, warmup=0.25, learning_rate=0.4)
    rates: list[float] = []
    list(t.run(lambda step: rates.append(t.optimizer.param_groups[0]["lr"])))
    assert rates == [t.recipe.rate(step, 12) for step in range(12)]
    assert rates[2] == max(rates) == pytest.approx(0.4) and rates[-1] == pytest.approx(0.4 / 9)
    constant = Recipe(1, 1, 0.3, 0.0)
    assert {constant.rate(step, 5) for step in range(5)} == {0.3}


def test_recipes() -> None:
    paper = recipe("paper")
    assert (paper.learning_rate, paper.batch_size, paper.momentum) == (1e-4, 32, 0.9)
    assert not paper.nesterov and paper.rate(0, 10) == paper.rate(9, 10)
    with pytest.raises(InvtoolError, match="no recipe 'slow'; known: paper, fast"):
        recipe("slow")
    assert set(RECIPES) == {"paper", "fast"}


@pytest.mark.parametrize("rate", [1e39, float("nan")])
def test_a_loss_or_weight_that_is_no_number_ends_it(rate: float) -> None:
    t = trainer(
        learning_rate=rate, images=8
    )  # one step: its loss is still that of the first weights
    with pytest.raises(InvtoolError, match="training diverged in epoch 1; lower --learning-rate"):
        list(t.run(lambda step: None))


# --- reproducibility


def test_the_same_seed_gives_the_same_bits_and_another_one_others(folder: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        options = {**vars(TINY), "seed": seed, "transform": "white-noise", "seen": (2,)}
        train.run(Train(**options), folder / f"{name}.st")
    assert (folder / "a.st").read_bytes() != (folder / "c.st").read_bytes()
    a, b, c = (weights(folder / f"{name}.st") for name in "abc")
    for name, values in a.items():
        np.testing.assert_array_equal(values, b[name])
    assert any((a[name] != c[name]).any() for name in a)


def test_several_networks_are_the_single_ones(folder: Path) -> None:
    options = {**vars(TINY), "transform": "rot180"}
    rows = train.run(Train(**{**options, "seen": (0, 2), "seeds": 2}), folder / "several")
    assert [row["model"] for row in rows] == [f"seen{k}-seed{s}.st" for k in (0, 2) for s in (0, 1)]
    train.run(Train(**{**options, "seen": (2,), "seed": 1}), folder / "single.st")
    single, one = weights(folder / "single.st"), weights(folder / "several" / "seen2-seed1.st")
    for name, values in single.items():
        np.testing.assert_array_equal(values, one[name])
    assert sorted(p.suffix for p in (folder / "several").iterdir()) == [".jsonl"] * 4 + [".st"] * 4


def test_seen_sets_are_nested_in_the_files(folder: Path) -> None:
    if not (folder / "several").is_dir():
        pytest.skip("made by the test before")
    few, many = (
        models.read_metadata(folder / "several" / f"seen{k}-seed0.st")["seen"] for k in (0, 2)
    )
    assert set(few) < set(many)


# --- images that are read as they are shown


def write_folder(top: Path) -> Path:
    pixels, label = quadrants(40)
    for number, (image, category) in enumerate(zip(pixels, label, strict=True)):
        path = top / ("train", "test")[number >= 32] / f"{category}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(path)
    return top


@pytest.mark.parametrize("data", ["folder", "file"])
def test_images_larger_than_memory_give_the_same_bits(
    data: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read ahead of the network, in another order than they lie, and again after a resume."""
    source = "small.h5" if data == "file" else f"folder:{write_folder(folder / 'large')}"
    options = {**vars(TINY), "data": source, "transform": "white-noise", "seen": (2,)}
    train.run(Train(**options), folder / f"held-{data}.st")
    monkeypatch.setattr(folders, "HELD", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    kinds: list[type] = []
    real = Trainer.__init__
    monkeypatch.setattr(
        Trainer,
        "__init__",
        lambda self, *rest: kinds.append(type(rest[2])) or real(self, *rest),
    )
    train.run(Train(**options), folder / f"read-{data}.st")
    assert kinds == [StreamedImages]
    assert lines(folder / f"read-{data}.jsonl") == lines(folder / f"held-{data}.jsonl")
    held, read = weights(folder / f"held-{data}.st"), weights(folder / f"read-{data}.st")
    for name, values in held.items():
        np.testing.assert_array_equal(values, read[name])


def test_a_damaged_image_leaves_the_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_folder(folder / "damaged")
    monkeypatch.setattr(folders, "HELD", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    config = replace(TINY, data=f"folder:{source}")
    train.run(config, folder / "undamaged.st")
    (bad,) = source.rglob("27.png")
    whole = bad.read_bytes()
    bad.write_bytes(whole[:60])
    with pytest.raises(InvtoolError, match=r"27\.png: not a whole image \("):
        train.run(config, folder / "mended.st")
    bad.write_bytes(whole)
    train.resume(folder / "mended.st")
    one, other = weights(folder / "undamaged.st"), weights(folder / "mended.st")
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


# --- stopped and resumed

FORKS = '''
import os, signal, sys, json
sys.path.insert(0, os.getcwd())
import invtool.stages.train as stage
import invtool.stages._search as search
from invtool.training import checkpoints, loop
from invtool.files import models
from invtool.cli import _app

def nth(owner, name, count, sig, after=False):
    """Send ourselves `sig` at (or after) the count-th call of owner.name."""
    real, calls = getattr(owner, name), [0]
    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == count and not after:
            os.kill(os.getpid(), sig)
        result = real(*args, **kwargs)
        if calls[0] == count and after:
            os.kill(os.getpid(), sig)
        return result
    setattr(owner, name, counted)

def half_written(count):
    """The power goes while the count-th file is written."""
    real, calls = models.save, [0]
    def save(path, *rest):
        calls[0] += 1
        real(path, *rest)
        if calls[0] == count:
            os.truncate(path, 1000)
            os.kill(os.getpid(), signal.SIGKILL)
    models.save = save

KILL = signal.SIGKILL
PLACES = {
    "no": lambda: None,
    "before the first checkpoint": lambda: nth(stage._Run, "_save_checkpoint", 1, KILL),
    "after the first checkpoint": lambda: nth(stage._Run, "_save_checkpoint", 1, KILL, True),
    "first step": lambda: nth(loop.Trainer, "_step", 1, KILL),
    "mid-epoch": lambda: nth(loop.Trainer, "_step", 7, KILL),
    "last step": lambda: nth(loop.Trainer, "_step", 12, KILL, True),
    "between line and checkpoint": lambda: nth(stage._Run, "_after_epoch", 2, KILL),
    "half a checkpoint": lambda: half_written(6),
    "half a step": lambda: half_written(7),
    "half a model": lambda: half_written(11),
    "before the first step is kept": lambda: nth(stage._Run, "_keep", 1, KILL),
    "between step and checkpoint": lambda: nth(stage._Run, "_keep", 6, KILL, True),
    "before the checkpoint goes": lambda: nth(stage._Run, "_settle_steps", 1, KILL, True),
    "before tidying": lambda: nth(stage._Run, "tidy", 1, KILL),
    "between networks": lambda: nth(stage._Run, "__init__", 2, KILL),
    "second network": lambda: nth(loop.Trainer, "_step", 17, KILL),
    "before the search is known": lambda: nth(search._Search, "_begin", 1, KILL),
    "after a trial": lambda: nth(search._Search, "_save_state", 4, KILL, True),
    "between trial and state": lambda: nth(search._Search, "_save_state", 4, KILL),
    "SIGTERM": lambda: nth(loop.Trainer, "_step", 7, signal.SIGTERM),
    "SIGTERM at the end of an epoch": lambda: nth(loop.Trainer, "_step", 8, signal.SIGTERM),
    "SIGTERM between epochs": lambda: nth(stage._Run, "_accuracy", 2, signal.SIGTERM),
    "SIGTERM after the last": lambda: nth(stage._Run, "_accuracy", 4, signal.SIGTERM),
    "SIGUSR1": lambda: nth(loop.Trainer, "_step", 7, signal.SIGUSR1),
    "SIGINT": lambda: nth(loop.Trainer, "_step", 7, signal.SIGINT),
}

def forked(place, line):
    sys.stdout.flush()
    child = os.fork()
    if not child:
        PLACES[place]()
        sys.argv = ["invtool", *line.split()]
        code = 99
        try:
            code = _app.run(sys.argv[1:])
        except SystemExit as end:
            code = end.code
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status)

_app.run("train -d small.h5 -n py:nets:make --epochs 1 --threads 1 -o warm.st".split())
for case in json.load(sys.stdin):
    print(json.dumps([forked(*run) for run in case]), file=sys.stderr)
'''
LINE = (
    "train -d small.h5 -n py:nets:make -t white-noise --seen 2 --epochs 3 --batch-size 8 --threads 1"
    " --checkpoint-at log --checkpoint-every {every} -o {target}"
)
CASES = [
    ("after the first checkpoint", 60, -9),
    ("first step", 60, -9),
    ("mid-epoch", 60, -9),
    ("mid-epoch", 0, -9),
    ("last step", 0, -9),
    ("between line and checkpoint", 0, -9),
    ("half a checkpoint", 60, -9),
    ("half a step", 60, -9),
    ("half a model", 60, -9),
    ("before the first step is kept", 60, -9),
    ("between step and checkpoint", 0, -9),
    ("before the checkpoint goes", 0, -9),
    ("before tidying", 60, -9),
    ("SIGTERM", 60, 143),
    ("SIGTERM at the end of an epoch", 60, 143),
    ("SIGTERM between epochs", 60, 143),
    ("SIGTERM after the last", 60, 143),
    ("SIGUSR1", 60, 138 if sys.platform == "linux" else 128 + signal.SIGUSR1),
    ("SIGINT", 60, 130),
]
SEVERAL = [("between networks", -9), ("second network", -9), ("SIGTERM", 143)]


def exit_codes(folder: Path, cases: dict[str, list[tuple[str, str]]]) -> dict[str, list[int]]:
    """What each case's command lines, stopped at a place each, end with; and `stderr` in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        input=json.dumps(list(cases.values())),
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=900,
    )
    (folder / "stderr").write_text(done.stderr)
    assert done.returncode == 0, done.stderr
    codes = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    return dict(zip(cases, codes, strict=True))


@pytest.fixture(scope="module")
def stopped(folder: Path) -> Iterator[dict[str, list[int]]]:
    """Exit codes of each case's runs; their files lie in a folder of their own."""
    cases: dict[str, list[tuple[str, str]]] = {
        "whole": [("no", LINE.format(every=60, target="x/w.st"))]
    }
    (folder / "x").mkdir()
    for number, (place, every, _) in enumerate(CASES):
        target = f"x/{number}.st"
        cases[target] = [
            (place, LINE.format(every=every, target=target)),
            ("no", f"train --resume -o {target}"),
            ("no", f"train --resume -o {target}"),
        ]
    both = LINE.replace("--seen 2", "--seen 2 --seen 3")
    cases["x/whole"] = [("no", both.format(every=60, target="x/whole"))]
    for number, (place, _) in enumerate(SEVERAL):
        target = f"x/several{number}"
        cases[target] = [
            (place, both.format(every=0, target=target)),
            ("no", f"train --resume -o {target}"),
        ]
    early = LINE.format(every=60, target="x/early.st")
    cases["early"] = [
        ("before the first checkpoint", early),
        ("no", "train --resume -o x/early.st"),
        ("no", early),
    ]
    replaced = LINE.format(every=0, target="x/r.st")
    cases["replaced"] = [
        ("no", replaced),
        ("mid-epoch", replaced + " --overwrite --seed 5"),
        ("no", replaced),  # a model is there
        ("no", "train --resume -o x/r.st"),
    ]
    cases["left"] = [
        ("mid-epoch", LINE.format(every=0, target="x/left.st")),
        ("no", LINE.format(every=0, target="x/left.st")),
    ]
    again = LINE.format(every=0, target="x/again.st") + " --continue"
    cases["again"] = [("mid-epoch", again), ("no", again), ("no", again)]
    other = LINE.format(every=0, target="x/other.st") + " --continue"
    cases["other"] = [("mid-epoch", other), ("no", other + " --seed 5")]
    yield exit_codes(folder, cases)


def lines(path: Path) -> list[dict[str, Any]]:
    """A log but for its speed."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in found]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{p}, {e} s" for p, e, _ in CASES])
def test_a_stopped_run_ends_as_if_it_had_not_been(
    number: int, folder: Path, stopped: dict[str, list[int]]
) -> None:
    target = folder / "x" / f"{number}.st"
    assert stopped[f"x/{number}.st"] == [
        CASES[number][2],
        0,
        1,
    ]  # then there is nothing to go on with
    whole, again = weights(folder / "x" / "w.st"), weights(target)
    assert whole.keys() == again.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)
    assert lines(target.with_suffix(".jsonl")) == lines(folder / "x" / "w.jsonl")
    left = {
        path.name
        for path in target.parent.glob(f"*{target.stem}.*")
        if path.stem.split(".")[0] == str(number)
    }
    assert left == {f"{number}.st", f"{number}.jsonl", f"{number}.steps"}
    assert_same_steps(target.with_suffix(".steps"), folder / "x" / "w.steps")


def test_a_signal_loses_no_step(folder: Path, stopped: Any) -> None:
    """Four in step 7, one in step 8, which ends an epoch, and one between it and step 9."""
    told = [line for line in (folder / "stderr").read_text().splitlines() if "goes on from" in line]
    wanted = [f"stopped after step {step} of 12" for step in (7, 7, 7, 7, 8, 8)]
    assert sorted(told) == sorted(
        f"invtool train: {each}; --resume goes on from there" for each in wanted
    )


def assert_same_steps(one: Path, other: Path) -> None:
    names = [sorted(path.name for path in kept.iterdir()) for kept in (one, other)]
    assert names[0] == names[1] == [f"step-{step:06d}.st" for step in (0, 1, 2, 4, 8, 12)]
    for name in names[0]:
        first, second = weights(one / name), weights(other / name)
        assert all((second[key] == values).all() for key, values in first.items())
        assert models.read_metadata(one / name)["step"] == int(name[5:11])


def test_the_file_of_a_resumed_run_names_the_command_that_began_it(
    folder: Path, stopped: Any
) -> None:
    whole, again = (models.read_metadata(folder / "x" / name) for name in ("w.st", "3.st"))
    assert again["provenance"][0]["command"].endswith("--checkpoint-every 0 -o x/3.st")
    for told in (whole, again):
        told.pop("provenance"), told.pop("history"), told["run"].pop("checkpoint_every")
    assert whole == again


@pytest.mark.parametrize("number", range(len(SEVERAL)), ids=[place for place, _ in SEVERAL])
def test_a_stopped_run_of_several_networks(number: int, folder: Path, stopped: Any) -> None:
    target = folder / "x" / f"several{number}"
    assert stopped[f"x/several{number}"] == [SEVERAL[number][1], 0]
    names = sorted(path.name for path in target.iterdir() if not path.name.startswith("."))
    assert names == sorted(f"seen{k}-seed0{s}" for k in (2, 3) for s in (".st", ".jsonl", ".steps"))
    for name in names:
        if name.endswith(".st"):
            whole, again = weights(folder / "x" / "whole" / name), weights(target / name)
            assert all((again[key] == values).all() for key, values in whole.items())
        elif name.endswith(".steps"):
            assert_same_steps(target / name, folder / "x" / "whole" / name)
        else:
            assert lines(target / name) == lines(folder / "x" / "whole" / name)


def test_steps_are_models_of_the_way_and_change_nothing(folder: Path, stopped: Any) -> None:
    model, kept = weights(folder / "x" / "w.st"), folder / "x" / "w.steps"
    first = build("py:nets:make", {"categories": 4, "channels": 3, "height": 8, "width": 8}, seed=0)
    for step, wanted in ((0, first.state_dict()), (12, model)):
        found = weights(kept / f"step-{step:06d}.st")
        assert found.keys() == wanted.keys()
        assert all((found[name] == np.asarray(value)).all() for name, value in wanted.items())
    told = train.told(folder / "x" / "w.st")
    assert told is not None
    train.run(replace(told, checkpoint_at=""), folder / "plain.st")
    plain = weights(folder / "plain.st")
    assert all((plain[name] == value).all() for name, value in model.items())
    network = load(parse_reference(str(kept / "step-000004.st")))
    assert network.categories and network.metadata["step"] == 4


def test_steps_of_a_model_that_is_replaced_go(folder: Path) -> None:
    for at, left in (("0,3", [0, 3]), ("1", [1]), ("", None)):
        train.run(replace(TINY, epochs=1, checkpoint_at=at), folder / "steps.st")
        kept = folder / "steps.steps"
        names = None if left is None else [f"step-{step:06d}.st" for step in left]
        assert (sorted(path.name for path in kept.iterdir()) if kept.exists() else None) == names
    assert not list(folder.glob("steps.checkpoint*"))


# --- what else it may be told


def test_the_network_at_initialization_is_what_untrained_gives_again(folder: Path) -> None:
    for sigma in (0.0, 1.5):
        config = replace(TINY, epochs=0, seed=3, init_smooth=sigma, checkpoint_at="log")
        train.run(config, folder / "first.st")
        train.run(replace(TINY, epochs=1, seed=3, init_smooth=sigma), folder / "trained.st")
        first = weights(folder / "first.st")
        network = load(parse_reference(str(folder / "trained.st")), untrained=True, seed=3)
        for name, value in network.module.state_dict().items():
            np.testing.assert_array_equal(first[name], value)
        assert models.read_metadata(folder / "first.st").get("init_smooth", 0) == sigma
        assert (folder / "first.jsonl").read_text() == ""
        assert [p.name for p in (folder / "first.steps").iterdir()] == ["step-000000.st"]


def test_random_labels_are_memorized_and_tell_nothing_of_test_images(folder: Path) -> None:
    config = replace(TINY, network="py:nets:flat", random_labels=True, limit=16, epochs=40)
    (row,) = train.run(config, folder / "memory.st")
    told = models.read_metadata(folder / "memory.st")
    assert told["random_labels"] == {"seed": 0}
    memorized = told["training_accuracy"]["none"]["all"]
    assert row["training, random labels"] == memorized > 0.8
    last = json.loads((folder / "memory.jsonl").read_text().splitlines()[-1])
    assert last["accuracy"] > 0.6 and last["test"]["none"]["all"] < 0.6


@pytest.mark.parametrize("limit", [None, 5])
def test_a_random_label_belongs_to_seed_and_image(
    folder: Path, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[tuple[int, int], dict[int, int]] = {}

    def keep(self: Trainer, image: Any, *rest: Any, real: Any = Trainer._step) -> Any:
        numbers, labels = self.images.index[image].tolist(), self.images.label[image].tolist()
        pairs = shown.setdefault((self.draws.seed, self.batch), {})
        for number, label in zip(numbers, labels, strict=True):
            assert pairs.setdefault(number, label) == label  # whatever step or epoch shows it
        return real(self, image, *rest)

    monkeypatch.setattr(Trainer, "_step", keep)
    for seed, batch in ((0, 8), (0, 3), (1, 8)):
        config = replace(TINY, seed=seed, batch_size=batch, random_labels=True, limit=limit)
        train.run(config, folder / "random.st")
    one, other, another = shown[0, 8], shown[0, 3], shown[1, 8]
    drawn = random_labels(32, 4, seed=0)
    assert all(label == drawn[number] for number, label in {**one, **other}.items())
    assert any(another[number] != one[number] for number in one.keys() & another.keys())
    assert limit is None or len(one) <= limit
    own = open_data("small.h5").label
    assert any(own[number] != label for number, label in one.items())


def test_fewer_images_are_spread_over_the_categories(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    made = Trainer.__init__
    monkeypatch.setattr(
        Trainer, "__init__", lambda self, *rest: (made(self, *rest), seen.append(self))[0]
    )
    train.run(replace(TINY, limit=12), folder / "few.st")
    (found,) = seen
    assert np.bincount(found.images.label.numpy()).tolist() == [3, 3, 3, 3]
    assert found.steps_per_epoch == 1 and found.images.index.numpy().max() > 12


def test_the_same_line_again_goes_on_until_the_model_is_whole(folder: Path, stopped: Any) -> None:
    assert stopped["again"] == [-9, 0, 0]
    assert "x/again.st is finished already" in (folder / "stderr").read_text()
    whole, again = weights(folder / "x" / "w.st"), weights(folder / "x" / "again.st")
    assert all((again[name] == values).all() for name, values in whole.items())
    assert len(lines(folder / "x" / "again.jsonl")) == 3


def test_it_begins_anew_where_the_settings_are_others(folder: Path, stopped: Any) -> None:
    assert stopped["other"] == [-9, 0]
    assert models.read_metadata(folder / "x" / "other.st")["training"]["seed"] == 5
    assert len(lines(folder / "x" / "other.jsonl")) == 3


def test_stopped_before_the_first_checkpoint(folder: Path, stopped: Any) -> None:
    assert stopped["early"] == [-9, 1, 0]  # nothing to resume, nothing in the way of a new start
    assert "x/early.st: no checkpoint to go on from" in (folder / "stderr").read_text()


def test_what_is_there_is_kept_until_its_successor_is_whole(folder: Path, stopped: Any) -> None:
    assert stopped["replaced"] == [0, -9, 2, 0]
    assert models.read_metadata(folder / "x" / "r.st")["training"]["seed"] == 5


def test_an_unfinished_training_is_not_overwritten_by_accident(folder: Path, stopped: Any) -> None:
    assert stopped["left"] == [-9, 2]
    sentence = "x/left.checkpoint.st holds a training that was stopped; --resume goes on with it"
    assert sentence in (folder / "stderr").read_text()
    assert (folder / "x" / "left.checkpoint.st").exists()


def test_a_checkpoint_of_another_network_is_refused(folder: Path) -> None:
    from invtool.training import checkpoints

    t = trainer()
    other = build("py:nets:wide", {"categories": 4, "channels": 3})
    checkpoints.save(folder / "c.st", other, t.optimizer, {}, [])
    with pytest.raises(InvtoolError, match=r"c\.st: not of this network"):
        checkpoints.restore(folder / "c.st", t.module, t.optimizer)


def test_momentum_and_memory_format_come_back(folder: Path) -> None:
    from invtool.training import checkpoints

    first, again = trainer(epochs=2), trainer(epochs=2)
    for t in (first, again):
        t.module.to(memory_format=torch.channels_last)
    list(first.run(lambda step: None))
    checkpoints.save(folder / "m.st", first.module, first.optimizer, {}, [])
    checkpoints.restore(folder / "m.st", again.module, again.optimizer)
    for old, new in zip(first.module.parameters(), again.module.parameters(), strict=True):
        buffers = [t.optimizer.state[p]["momentum_buffer"] for t, p in ((first, old), (again, new))]
        assert torch.equal(*buffers) and torch.equal(old, new)
        assert buffers[1].stride() == buffers[0].stride() == new.stride()


def test_float_images_train_like_bytes(folder: Path) -> None:
    write_set(folder / "float.h5", dtype=np.float32)
    for data in ("small", "float"):
        train.run(Train(**{**vars(TINY), "data": f"{data}.h5"}), folder / f"of-{data}.st")
    small, floating = weights(folder / "of-small.st"), weights(folder / "of-float.st")
    assert all((floating[name] == values).all() for name, values in small.items())
