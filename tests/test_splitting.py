"""Tails against full passes in which plain hooks set the same units to zero."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invtool.errors import InvtoolError
from invtool.models.architectures import build
from invtool.models.splitting import Unsplittable, run_whole, split, splits

IMAGES = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def small(name: str, side: int = 16, **own: Any) -> nn.Module:
    return build(name, {"categories": 4, "height": side, "width": side, **own}).eval()


def high(value: Tensor) -> Tensor:
    """The units that a test sets to zero."""
    return value > value.mean()


def hooked(network: nn.Module, images: Tensor, names: list[str]) -> Tensor:
    """Logits of a full pass in which hooks replace what modules give."""

    def zero(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return torch.where(high(output), 0.0, output)

    handles = [network.get_submodule(name).register_forward_hook(zero) for name in names]
    with torch.no_grad():
        logits: Tensor = network(images.clone())
    for handle in handles:
        handle.remove()
    return logits


def staying(responses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: ~high(value) for name, value in responses.items()}


def intact(network: nn.Module, images: Tensor = IMAGES) -> Tensor:
    with torch.no_grad():
        logits: Tensor = network(images.clone())
    return logits


NETWORKS: list[tuple[str, dict[str, Any], int, list[str]]] = [
    ("blocks", {"filters": 8}, 16, ["block1.relu1"]),
    ("blocks", {"filters": 8}, 16, ["block2.down"]),
    ("blocks", {"filters": 8}, 16, ["block4.bn2"]),  # a ReLU overwrites it
    ("blocks", {"filters": 8}, 16, ["pool"]),
    ("blocks", {"filters": 8}, 16, ["fc"]),
    ("alexnet", {"hidden": 32}, 16, ["relu2"]),
    ("alexnet", {"hidden": 32}, 16, ["relu6"]),
    ("torchvision:resnet18", {}, 32, ["layer1.1.bn1"]),  # inside a block: its shortcut crosses
    ("torchvision:resnet18", {}, 32, ["layer2.0.downsample"]),
    ("torchvision:mobilenet_v3_small", {}, 32, ["features.3"]),
    ("torchvision:densenet121", {}, 32, ["features.denseblock2.denselayer1.conv1"]),
]


@pytest.mark.parametrize(("name", "own", "side", "layers"), NETWORKS, ids=lambda x: str(x))
def test_a_tail_is_the_full_pass_with_hooks_to_the_bit(
    name: str, own: dict[str, Any], side: int, layers: list[str]
) -> None:
    network = small(name, side, **own)
    images = F.interpolate(IMAGES, size=(side, side))
    logits, tail = split(network, layers, images)
    wanted = hooked(network, images, layers)
    assert torch.equal(logits, intact(network, images))
    assert torch.equal(tail({}), logits)
    assert torch.equal(tail(staying(tail.responses)), wanted)
    assert not torch.equal(wanted, logits)
    assert torch.equal(tail({}), logits), "a replay must leave what is kept as it was"
    assert splits(network, layers, images)


def test_the_head_does_not_run_again() -> None:
    network = small("torchvision:resnet18", 32)
    _, tail = split(network, ["layer2.1.conv2"], F.interpolate(IMAGES, size=(32, 32)))
    called = []
    for part in network.modules():
        part.register_forward_hook(lambda module, inputs, output: called.append(module))
    network.conv1.weight.data.fill_(float("nan"))
    assert tail(staying(tail.responses)).isfinite().all() and not called


class Shared(nn.Module):
    """A ReLU module for three places, in place and functional, and additions into either branch."""

    def __init__(self, into: str) -> None:
        super().__init__()
        self.into = into
        self.first, self.second = (nn.Conv2d(n, 4, 3, padding=1) for n in (3, 4))
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, 6)

    def forward(self, images: Tensor) -> Tensor:
        return self.rest(self.relu(self.first(images)))

    def rest(self, maps: Tensor, cut: Callable[[Tensor], Tensor] = lambda x: x) -> Tensor:
        early = maps[:, :2]  # a view of what is overwritten below
        branch = cut(self.relu(self.second(maps)))
        if self.into == "shortcut":
            maps += branch
        elif self.into == "branch":
            maps = branch.add_(maps)
        elif self.into == "part":
            maps[:, 1:3].mul_(branch[:, :2])
        else:
            maps = torch.zeros_like(maps)
            torch.add(maps, branch, out=maps)
        early.mul_(2)
        return self.fc(F.relu(torch.cat([maps, early[:, :0]], 1), inplace=True).mean((2, 3)))


@pytest.mark.parametrize("into", ["shortcut", "branch", "part", "out"])
def test_memory_that_both_sides_of_the_cut_write(into: str) -> None:
    network = Shared(into).eval()
    logits, tail = split(network, ["relu_1"], IMAGES)
    with torch.no_grad():
        maps = network.relu(network.first(IMAGES))
        wanted = network.rest(maps, lambda x: torch.where(high(x), 0.0, x))
    assert torch.equal(tail(staying(tail.responses)), wanted)
    assert torch.equal(tail({}), logits) and not torch.equal(logits, wanted)
    assert torch.equal(logits, intact(network))


def test_what_is_kept_survives_being_overwritten_later() -> None:
    class Early(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            side = images * 2
            answer = torch.sigmoid(images.mean((2, 3))) + side.mean((2, 3))
            side.zero_()
            return answer.mul_(3)

    logits, tail = split(Early(), ["sigmoid"], IMAGES)
    assert torch.equal(tail({}), logits)
    wanted = (IMAGES * 2).mean((2, 3)).mul_(3)
    assert torch.equal(tail({"sigmoid": torch.zeros(5, 3, dtype=torch.bool)}), wanted)


@pytest.mark.parametrize("calls", [{9: "layer2.1.relu"}, {6: "layer1.2.relu_1"}])
def test_a_functional_relu_that_a_shortcut_passes_by(
    calls: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small("resnet20-cifar")
    assert_as_counted(network, calls, monkeypatch)


def test_several_layers_are_cut_in_one_pass_by_their_intact_responses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = small("resnet20-cifar")
    assert_as_counted(
        network, {3: "layer1.1.relu", 9: "layer2.1.relu", 18: "layer3.2.relu_1"}, monkeypatch
    )


def assert_as_counted(
    network: nn.Module, calls: Mapping[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a pass in which those of the calls to relu, counted from 0, give what is cut."""
    _, tail = split(network, list(calls.values()), IMAGES)
    masks = staying(tail.responses)
    count = iter(range(100))

    def relu(maps: Tensor) -> Tensor:
        value = maps.clamp(min=0)
        name = calls.get(next(count))
        return value if name is None else torch.where(masks[name], value, 0.0)

    monkeypatch.setattr(F, "relu", relu)
    wanted = intact(network)
    assert torch.equal(tail(masks), wanted)
    assert next(count) == 19
    monkeypatch.undo()
    assert torch.equal(tail({}), intact(network)) and not torch.equal(wanted, intact(network))


class Choosing(nn.Module):
    """What it does to an image depends on what it sees there."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.fc, self.calls = how, nn.Linear(3, 4), 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        units = F.relu(images).mean((2, 3))
        if self.how == "branches":
            units = units * 2 if units.sum() > 3 else units - 1
        elif self.how == "indexes":
            units = F.pad(units[units > 0.3][:3], (0, 3))[:3] + 0 * units
        elif self.how == "draws":
            units = F.dropout(units)
        elif self.how == "counts":
            units = units * self.calls
        elif self.how == "escapes":
            units = torch.from_numpy(units.numpy() + 1)
        return self.fc(units)


@pytest.mark.parametrize("how", ["branches", "indexes", "draws", "counts", "escapes"])
def test_what_no_tape_can_stand_for_is_found(how: str) -> None:
    assert not splits(Choosing(how).eval(), ["relu"], IMAGES)
    assert splits(Choosing("").eval(), ["relu"], IMAGES)


def test_a_network_that_branches_is_cut_by_full_passes() -> None:
    network = Choosing("branches").eval()
    with pytest.raises(Unsplittable, match="depends on the values"):
        split(network, ["relu"], IMAGES)
    logits, whole = run_whole(network, ["relu"], IMAGES)
    assert torch.equal(logits, intact(network)) and torch.equal(whole({}), logits)
    nothing = torch.zeros(IMAGES.shape, dtype=torch.bool)
    assert torch.equal(whole({"relu": nothing}), network.fc(-torch.ones(5, 3)).detach())


def test_bytes_kept_are_those_beside_the_parameters() -> None:
    network = small("blocks", filters=8)
    _, tail = split(network, ["pool"], IMAGES)
    assert tail.bytes_kept == 5 * 64 * 4
    _, whole = run_whole(network, ["pool"], IMAGES)
    assert whole.bytes_kept == IMAGES.nbytes + 5 * 64 * 4


def test_units_that_share_memory_are_refused() -> None:
    class Wide(nn.Module):
        def forward(self, units: Tensor) -> Tensor:
            return units.mean(1, keepdim=True).expand(-1, 4)

    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), Wide(), nn.Linear(4, 2)).eval()
    with pytest.raises(InvtoolError, match="units of layer '2' share memory"):
        split(network, ["2"], IMAGES)


def test_a_layer_that_a_batch_does_not_pass_is_named() -> None:
    class Sometimes(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            units = images.mean((2, 3))
            return units if len(images) > 2 else torch.sigmoid(units)

    for run in (split, run_whole):
        run(Sometimes(), ["sigmoid"], IMAGES[:2])
        with pytest.raises(InvtoolError, match="'sigmoid' was not computed for a batch"):
            run(Sometimes(), ["sigmoid"], IMAGES)


def test_a_network_that_writes_into_its_images() -> None:
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(768, 4)).eval()
    images = IMAGES.clone()
    assert splits(network, ["0"], images)
    assert torch.equal(images, IMAGES)
    _, whole = run_whole(network, ["0"], images)
    assert torch.equal(whole({}), intact(network))
