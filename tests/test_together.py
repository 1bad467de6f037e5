"""Networks trained at once are what each is alone, whatever else is trained with them."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from small import Run, quadrants, room, runner
from torch import nn
from torch.nn import functional as F

from invtool import ranks
from invtool.config import Train
from invtool.data import memory
from invtool.errors import UsageError
from invtool.files import interrupts, models, provenance
from invtool.models import antialiasing, stacking
from invtool.models.architectures import build
from invtool.models.architectures.blocks import DOWNSAMPLING
from invtool.models.normalization import standardize
from invtool.models.stacking import Unstackable
from invtool.stages import _refusals, train
from invtool.training import together
from invtool.training.draws import Draws
from invtool.training.loop import Diverged, Epoch, Trainer, TrainingImages
from invtool.training.recipes import RECIPES
from invtool.training.together import Stacked, Threads
from invtool.transforms import parse

NETWORK = "py:narrow:narrow"
# Blocks need 16 pixels and the set has 8; one block of them is enough here.
NARROW = """
from invtool.models.architectures.blocks import blocks

def narrow(categories, channels, height, width):
    return blocks(categories=categories, channels=channels, height=height, width=width,
                  blocks=[[1, 4], [1, 6]])
"""
CONFIG = Train(
    data="small.h5",
    network=NETWORK,
    transform="white-noise",
    seen=(0, 2),
    seeds=2,
    batch_size=8,
    epochs=2,
    threads=1,
    at_once=4,
    checkpoint_at="0,5",
)
NAMES = [f"seen{seen}-seed{seed}" for seen in (0, 2) for seed in (0, 1)]
CLOSE: dict[str, float] = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("together")
    with room(top):
        (top / "narrow.py").write_text(NARROW)
        yield top


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, Any]]:
    """Of the four networks, one after another, in `alone`; those with none seen have NaN."""
    return train.run(replace(CONFIG, at_once=1), folder / "alone")


Way = type[Stacked] | type[Threads]


@pytest.fixture(params=[Stacked, Threads], ids=["stacked", "threads"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Either way, whatever the device."""
    go(request.param, monkeypatch)
    return request.param  # type: ignore[no-any-return]


def go(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_way", lambda device: way)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def same(one: torch.Tensor, other: torch.Tensor) -> None:
    np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), **CLOSE)


def weights(path: Path) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in models.load_tensors(path).items()}


def assert_close(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, err_msg=name, **CLOSE)


def assert_same_run(one: Path, other: Path, name: str) -> None:
    assert_close(one / f"{name}.st", other / f"{name}.st")
    for step in (0, 5):
        steps = f"{name}.steps/step-{step:06d}.st"
        assert_close(one / steps, other / steps)
    logs = [(at / f"{name}.jsonl").read_text().splitlines() for at in (one, other)]
    assert len(logs[0]) == len(logs[1]) == 2
    for first, second in zip(*(map(json.loads, log) for log in logs), strict=True):
        assert first.pop("images_per_second") > 0 < second.pop("images_per_second")
        assert second.pop("loss") == pytest.approx(first.pop("loss"), rel=1e-4)
        assert first == second


# --- a stack


@pytest.mark.parametrize("downsampling", DOWNSAMPLING)
@pytest.mark.parametrize("blur", ["", "blur3"])
def test_a_stack_answers_as_each_network_and_its_weights_are_theirs(
    downsampling: str, blur: str
) -> None:
    options = {"categories": 5, "height": 8, "width": 8, "blocks": [[1, 4], [2, 6]]}
    networks = [
        build("blocks", {**options, "downsampling": downsampling}, seed=s) for s in (0, 1, 2)
    ]
    for network in networks:
        antialiasing.install(network, **{"pool" if "pool" in downsampling else "antialias": blur})
    images = torch.randn(3, 7, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    wanted = [network(x) for network, x in zip(networks, images, strict=True)]
    losses = [logits.square().sum() for logits in wanted]
    gradients = [
        torch.autograd.grad(loss, network.parameters())
        for loss, network in zip(losses, networks, strict=True)
    ]
    whole = stacking.stack(networks)
    logits = stacking.split(whole(stacking.side_by_side(images)), 3)
    same(logits, torch.stack(wanted))
    logits.square().sum().backward()
    for number, own in enumerate(gradients):
        for parameter, gradient in zip(whole.parameters(), own, strict=True):
            assert parameter.grad is not None
            part = parameter.grad.chunk(3)[number]
            same(part, gradient)
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.zero_()
        networks[1].fc.bias.fill_(2.0)  # type: ignore[operator,union-attr]
    assert not any(p.any() for p in networks[0].parameters())
    assert whole.fc.bias.tolist() == [0.0] * 5 + [2.0] * 5 + [0.0] * 5  # type: ignore[union-attr]


class Mixing(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.how = nn.Conv2d(3, 4, 3), how

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv(images)
        if self.how == "mean":
            maps = maps - maps.mean(1, keepdim=True)
        if self.how == "dropout":
            maps = F.dropout(maps, 0.5, self.training)
        return maps.mean((2, 3))


class Single(nn.Linear):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images.flatten(1))


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.scale = nn.Flatten(), nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.inner(images) * self.scale


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Mixing("mean"), "it answers otherwise beside others"),
        (lambda: Mixing("dropout"), "it answers otherwise beside others"),
        (lambda: nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Linear(192, 2)), "it has Dropout"),
        (lambda: Single(192, 4), "it is a single Single"),
        (lambda: Bare(), "Bare has weights of its own"),
        (lambda: build("resnet20-cifar", {"height": 8, "width": 8}), "The size of tensor a"),
    ],
)
def test_what_cannot_be_stacked_is_found_out(make: Any, sentence: str) -> None:
    with pytest.raises(Unstackable, match=sentence):
        stacking.check([make(), make()], (3, 8, 8))


def test_what_can_be_stacked_passes() -> None:
    stacking.check([Mixing("") for _ in range(2)], (3, 8, 8))


@pytest.mark.slow
def test_resnet18_can_be_stacked() -> None:
    size = {"categories": 4, "channels": 3, "height": 16, "width": 16}
    stacking.check([build("resnet18", size, seed=seed) for seed in (0, 1)], (3, 16, 16))


# --- trainings


def trainer(seed: int, seen: int, transform: str) -> Trainer:
    pixels, label = quadrants(24)
    label = np.random.default_rng(seed).permutation(label)
    options = {"categories": 4, "height": 8, "width": 8, "blocks": [[1, 4], [1, 6]]}
    network = build("blocks", options, seed=seed).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = TrainingImages(*map(torch.from_numpy, (pixels, label, np.arange(24))))
    draws = Draws(label, np.arange(4) < seen, seed)
    recipe = replace(RECIPES["fast"], epochs=2, batch_size=8)
    return Trainer(network, standardize, images, draws, parse(transform), recipe, torch.float32)


def test_seeds_labels_seen_counts_and_transforms_may_all_differ(way: Way) -> None:
    told = [
        (0, 0, "none"),
        (1, 2, "blur"),
        (1, 4, "blur"),
        (2, 3, "white-noise"),
        (5, 1, "white-noise"),
        (9, 4, "rot180+salt-pepper"),
    ]
    alone, beside = ([trainer(*each) for each in told] for _ in range(2))
    with torch_threads(1):  # as each has where they train at once
        history = [list(t.run(lambda step: None)) for t in alone]
    steps: list[int] = []
    with torch_threads(2):
        found = list(zip(*together.run(beside, steps.append), strict=True))
    assert steps == [1, 2, 3, 4, 5, 6]
    for one, other, epochs, results in zip(alone, beside, history, found, strict=True):
        assert other.step == one.step == 6
        for name, value in one.module.state_dict().items():
            its = other.module.state_dict()[name]
            assert torch.equal(its, value) or way is Stacked  # which adds in another order
            same(its, value)
        for own, its in zip(one.module.parameters(), other.module.parameters(), strict=True):
            momentum = one.optimizer.state[own]["momentum_buffer"]
            same(other.optimizer.state[its]["momentum_buffer"], momentum)
        for epoch, result in zip(epochs, results, strict=True):
            assert isinstance(result, Epoch)
            assert result.loss == pytest.approx(epoch.loss, rel=1e-4)
            assert (result.accuracy, result.learning_rate) == (epoch.accuracy, epoch.learning_rate)


def test_one_that_diverges_leaves_the_others_as_they_are(way: Way) -> None:
    alone, beside = trainer(0, 0, "none"), [trainer(0, 0, "none"), trainer(1, 0, "none")]
    with torch.no_grad():
        next(beside[1].module.parameters()).fill_(float("nan"))
    list(alone.run(lambda step: None))
    for first, second in together.run(beside, lambda step: None):
        assert isinstance(first, Epoch) and isinstance(second, Diverged)
    for own, its in zip(alone.module.parameters(), beside[0].module.parameters(), strict=True):
        same(own, its)


def test_threads_work_at_the_same_time_and_give_torch_its_own_back() -> None:
    """Two trainings wait in their first step for each other."""
    meeting = Barrier(2, timeout=10)

    def normalize(pixels: torch.Tensor) -> torch.Tensor:
        meeting.wait()
        assert torch.get_num_threads() == 1
        return standardize(pixels)

    trainers = [trainer(seed, 0, "none") for seed in (0, 1)]
    for each in trainers:
        each.normalize = normalize
    with torch_threads(2):
        for _ in together.run(trainers, lambda step: None):
            assert torch.get_num_threads() == 2


@pytest.mark.parametrize("of_several", [True, False])
def test_one_that_is_left_alone_has_a_thread_as_the_others_had(of_several: bool) -> None:
    counts = []

    def normalize(pixels: torch.Tensor) -> torch.Tensor:
        counts.append(torch.get_num_threads())
        return standardize(pixels)

    left = trainer(0, 0, "none")
    left.normalize = normalize
    with torch_threads(2):
        list(together.run([left], lambda step: None, of_several=of_several))
    assert set(counts) == {1 if of_several else 2}


# --- the command


@pytest.mark.parametrize(("seeds", "threads"), [(1, 2), (3, 1)])
def test_every_network_of_a_run_has_one_thread_but_an_only_one(
    seeds: int, threads: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    step = Trainer._step

    def counted(self: Trainer, *arguments: Any) -> Any:
        counts.append(torch.get_num_threads())
        return step(self, *arguments)

    monkeypatch.setattr(Trainer, "_step", counted)
    config = replace(CONFIG, seen=(2,), seeds=seeds, at_once=2, threads=2)
    with torch_threads(2):
        rows = train.run(config, folder / f"seeds{seeds}{'' if seeds > 1 else '.st'}")
    assert len(rows) == seeds
    assert set(counts) == {threads}


def test_each_network_is_what_it_is_alone(way: Way, folder: Path, rows: Any) -> None:
    target = folder / f"together-{way.__name__}"
    assert str(train.run(CONFIG, target)) == str(rows)
    assert [row["model"] for row in rows] == [f"{name}.st" for name in NAMES]
    files = [sorted(p.name for p in at.iterdir()) for at in (folder / "alone", target)]
    assert files[0] == files[1] and len(files[0]) == 12
    for name in NAMES:
        assert_same_run(folder / "alone", target, name)
        told = [models.read_metadata(at / f"{name}.st") for at in (folder / "alone", target)]
        assert told[1]["provenance"][-1]["writes"] == [str(target / f"{name}.st")]
        for each in told:
            each.pop("provenance"), each.pop("history"), each["run"].pop("at_once")
        assert told[0] == told[1]


class Killed(BaseException):
    """The end of the process, as far as files go."""


@pytest.mark.parametrize(
    ("place", "count", "way"),
    [
        ("_save_checkpoint", 7, Stacked),
        ("_keep", 10, Threads),
        ("conclude", 2, Stacked),
    ],
)
def test_what_was_killed_goes_on_as_if_it_had_not_been(
    place: str, count: int, way: Way, folder: Path, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(way, monkeypatch)
    target, real, calls = folder / f"killed{place}", getattr(train._Run, place), [0]

    def die(self: Any, *arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            raise Killed
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train._Run, place, die)
        with pytest.raises(Killed):
            train.run(replace(CONFIG, checkpoint_every=0), target)
    provenance.targets.clear()
    assert not all((target / f"{name}.st").exists() for name in NAMES)
    assert str(train.resume(target)) == str(rows)
    for name in NAMES:
        assert_same_run(folder / "alone", target, name)
    assert not [path for path in target.iterdir() if "checkpoint" in path.name]


def test_a_signal_waits_for_the_step_of_all_and_their_checkpoints(
    way: Way, folder: Path, rows: Any, signals: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, real = folder / f"signal-{way.__name__}", train._Run._keep

    def ask(self: Any, step: int) -> None:
        real(self, step)
        if step == 6 and self.name == "seen 0, seed 1":
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(train._Run, "_keep", ask)
        with pytest.raises(SystemExit) as end:
            train.run(CONFIG, target)
    assert end.value.code == 143
    steps = [models.read_metadata(target / f"{name}.checkpoint.st")["step"] for name in NAMES]
    assert steps in ([6] * 4, [7] * 4)
    interrupts.asked = 0
    assert str(train.resume(target)) == str(rows)
    for name in NAMES:
        assert_same_run(folder / "alone", target, name)


def test_one_that_diverges_is_named_and_withdrawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = train._Run.__init__

    def poisoned(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        if self.job.seed == 1:
            with torch.no_grad():
                self.network.module.fc.bias.fill_(float("nan"))

    monkeypatch.setattr(train._Run, "__init__", poisoned)
    config = replace(CONFIG, seen=(2,), checkpoint_at="")
    with pytest.raises(Diverged, match="seen 2, seed 1: training diverged in epoch 1; lower --lea"):
        train.run(config, folder / "diverged")
    left = sorted(path.name for path in (folder / "diverged").iterdir())
    assert left == ["seen2-seed0.checkpoint.jsonl", "seen2-seed0.checkpoint.st"]
    assert models.read_metadata(folder / "diverged" / left[1])["step"] == 4


# --- what cannot be


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("-n py:nets:make --at-once 2", 2, "--at-once 2: py:nets:make trains alone: it has Drop"),
        ("-n py:nets:deaf --at-once 2", 1, "py:nets:deaf does not run on small.h5"),
        ("-n py:narrow:narrow --at-once 0", 2, "invalid value for '--at-once'"),
    ],
)
def test_refused_in_one_sentence_with_nothing_left(
    line: str, code: int, sentence: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run: Run = runner(capfd)
    done = run(f"train -d small.h5 --seeds 2 --threads 1 -o refused/ {line}")
    said = [text for text in done[2].splitlines() if "runs your own code" not in text]
    assert (done[0], len(said)) == (code, 1) and sentence in said[0]
    assert not (folder / "refused").exists()


def test_images_that_are_read_as_they_are_shown_go_to_one_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    with pytest.raises(UsageError, match=r"--at-once 4: small.h5 does not fit in memory and is"):
        train.run(CONFIG, folder / "large")


def test_several_ranks_train_one_network_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "size", 2)
    with pytest.raises(UsageError, match="--at-once 4: 2 ranks train one network at a time; run"):
        _refusals.training(CONFIG, folder / "ranks", overwrite=False)
