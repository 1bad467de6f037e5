"""Captured values against networks that compute the same without in-place, functional or reused layers."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from invtool.errors import InvtoolError, UsageError
from invtool.models.architectures import build
from invtool.models.capture import Layer, capturing, probe, record, select

IMAGES = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def small(name: str) -> nn.Module:
    own = {"hidden": 32} if name == "alexnet" else {}
    return build(name, {"categories": 4, "height": 16, "width": 16, **own}).eval()


def conv_bn(inplace: bool) -> nn.Module:
    """Everything that an in-place operation can overwrite: convolution, batch norm, and a ReLU before an addition."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 4, 3, padding=1),
            early=nn.ReLU(inplace=inplace),
            bn=nn.BatchNorm2d(4),
            late=nn.Sequential(nn.ReLU(inplace=inplace), nn.Dropout(0.5, inplace=inplace)),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(4, 6),
        )
    ).eval()


class Residual(nn.Module):
    """One ReLU module for two places, a functional one in place, and an addition into what it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.shared = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, 6)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.first(images))
        maps += self.shared(maps)
        maps = torch.relu_(maps.sub_(0.5))
        maps = self.relu(self.shared(maps).neg_().add_(0.5))
        maps.mul_(2)
        return self.fc(F.leaky_relu(maps, 0.1, inplace=True).mean((2, 3)).clamp_(min=0))

    def out_of_place(self, images: Tensor) -> dict[str, Tensor]:
        conv, fc = self.shared[0], self.fc
        relu = self.first(images).clamp(min=0)
        shared = conv(relu).clamp(min=0)
        functional = (relu + shared - 0.5).clamp(min=0)
        again = conv(functional).clamp(min=0)
        relu_1 = (0.5 - again).clamp(min=0)
        mean = (relu_1 * 2).mean((2, 3))
        return {
            "relu": relu,
            "shared.1": shared,
            "relu_1": functional,
            "shared.1_1": again,
            "relu_2": relu_1,
            "leaky_relu": relu_1 * 2,
            "mean": mean,
            "clamp": mean,
            "output": fc(mean),
        }


def without_inplace(network: nn.Module) -> nn.Module:
    for part in network.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    return network


@contextmanager
def hooked(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """What plain hooks see, which is right where nothing is done in place or reused."""
    values: dict[str, Tensor] = {}
    handles = [
        part.register_forward_hook(lambda m, i, out, name=name: values.update({name: out.clone()}))
        for name, part in network.named_modules()
        if name
    ]
    yield values
    for handle in handles:
        handle.remove()


@torch.inference_mode()
def plain(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    with hooked(network) as values:
        network(images)
    return {
        k: v if v.ndim == 4 and v.shape[2:].numel() > 1 else v.flatten(1) for k, v in values.items()
    }


def by_name(layers: list[Layer]) -> dict[str, Layer]:
    return {layer.name: layer for layer in layers}


def assert_identical(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name


def test_values_before_an_in_place_relu_survive_it() -> None:
    network = conv_bn(inplace=True)
    nn.init.constant_(network.bn.bias, -0.3)
    reference = conv_bn(inplace=False)
    reference.load_state_dict(network.state_dict())
    _, found = record(network, IMAGES, ["conv", "early", "bn", "late.0", "pool", "fc"])
    wanted = plain(reference, IMAGES)
    assert (found["conv"] < 0).any() and (found["bn"] < 0).any()
    assert_identical(found, {name: wanted[name] for name in found})


def test_a_plain_hook_would_have_failed_this_test() -> None:
    network = conv_bn(inplace=True)
    seen: list[Tensor] = []
    with torch.inference_mode():
        network.conv.register_forward_hook(lambda m, i, out: seen.append(out.detach()))
        network(IMAGES)
    assert not (seen[0] < 0).any()


def test_reused_functional_and_in_place_activations() -> None:
    network = Residual().eval()
    logits, found = record(network, IMAGES, ["*relu*", "shared.1*", "mean", "clamp", "output"])
    with torch.inference_mode():
        wanted = network.out_of_place(IMAGES)
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=2e-6 if name == "clamp" else 0)
    assert torch.equal(logits, wanted["output"])


def test_torchvision_resnet_with_its_shared_relus() -> None:
    network = build("resnet18", {"categories": 9, "height": 64, "width": 64}).eval()
    images = torch.randn(2, 3, 64, 64)
    _, found = record(network, images, ["all"])
    assert len(found) == 1 + 2 * 8 + 1  # stem, two in each block, pooled features
    assert "layer4.1.relu_1" in found and found["avgpool"].shape == (2, 512)
    from torchvision.models.feature_extraction import create_feature_extractor

    names = [name for name in found if name != "avgpool"]
    extractor = create_feature_extractor(without_inplace(network), names)
    with torch.inference_mode():
        wanted = extractor(images)
    assert_identical({name: found[name] for name in names}, wanted)


@pytest.mark.parametrize("name", ["blocks", "alexnet", "resnet20-cifar"])
def test_watching_changes_no_logits_and_leaves_no_hooks(name: str) -> None:
    network = small(name)
    with torch.inference_mode():
        bare = network(IMAGES)
    logits, _ = record(network, IMAGES)
    assert torch.equal(bare, logits)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


@pytest.mark.parametrize(
    ("name", "penultimate", "shape"),
    [
        ("blocks", "pool", (256,)),
        ("alexnet", "relu6", (32,)),
        ("resnet18", "avgpool", (512,)),
        ("resnet20-cifar", "mean", (64,)),
    ],
)
def test_penultimate_is_what_the_classifier_reads(
    name: str, penultimate: str, shape: tuple[int, ...]
) -> None:
    network = small(name)
    layers = probe(network, IMAGES)
    (layer,) = select(layers, ["penultimate"])
    assert (layer.name, layer.shape) == (penultimate, shape)
    _, values = record(network, IMAGES, ["penultimate"])
    with torch.inference_mode():
        logits = list(network.modules())[-1](values[penultimate])
        torch.testing.assert_close(logits, network(IMAGES))


def test_features_that_no_activation_made_get_a_name_of_their_own() -> None:
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(768, 8), nn.LayerNorm(8), nn.Linear(8, 4)
    ).eval()
    (layer,) = select(probe(network, IMAGES), ["penultimate"])
    assert (layer.name, layer.kind, layer.shape) == ("3.input", "features", (8,))
    _, values = record(network, IMAGES, ["penultimate"])
    with torch.inference_mode():
        assert torch.equal(values["3.input"], network[:3](IMAGES))


def test_a_classifier_may_be_a_convolution_of_one_position() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    (layer,) = select(probe(network, IMAGES), ["penultimate"])
    assert (layer.name, layer.shape) == ("1", (6, 14, 14))


def test_channels_come_first_where_a_linear_map_puts_them_last() -> None:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.fc = nn.Linear(3, 7), nn.Linear(7, 4)

        def forward(self, images: Tensor) -> Tensor:
            maps = F.gelu(self.wide(images.permute(0, 2, 3, 1)))
            return self.fc(maps.mean((1, 2)))

    layers = by_name(probe(Mixer().eval(), IMAGES))
    assert layers["gelu"].shape == (7, 16, 16)


@pytest.mark.parametrize("downsampling", ["subsample", "max-pool", "average-pool"])
def test_downsampling_is_a_pool_however_it_is_written(downsampling: str) -> None:
    network = build("blocks", {"categories": 4, "downsampling": downsampling}).eval()
    layers = by_name(probe(network, torch.rand(2, 3, 32, 32)))
    assert layers["block1.down"].kind == "pool"
    assert layers["block1.down"].shape == (32, 16, 16)


def test_selection() -> None:
    layers = probe(small("alexnet"), IMAGES)
    names = lambda *patterns: [layer.name for layer in select(layers, patterns)]  # noqa: E731
    assert names("all") == ["relu1", "relu2", "relu3", "relu4", "relu5", "relu6"]
    assert names("penultimate", "relu1", "relu[12]") == ["relu1", "relu2", "relu6"]
    assert names("conv1") == ["conv1"]
    with pytest.raises(UsageError, match=r"no layer 'relu7', nearest is 'relu\d'; there are relu1"):
        names("relu7")
    assert [
        layer.name for layer in layers if layer.kind == "activation" and not layer.nonnegative
    ] == []


class Fickle(nn.Module):
    """A network that does more for a batch with negative pixels only."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, values: Tensor) -> Tensor:
        values = values.relu()
        if values.sum() == 0:
            values = values.sigmoid().relu()
        return self.fc(values)


def test_a_network_that_changes_its_course_is_refused() -> None:
    network = Fickle().eval()
    layers = select(probe(network, torch.ones(2, 4)), ["relu"])
    with capturing(network, layers, lambda name, value: None):
        network(torch.ones(3, 4))
        with pytest.raises(InvtoolError, match="from batch to batch"):
            network(-torch.ones(3, 4))
        network(torch.ones(3, 4))


def test_hooks_go_when_the_network_or_the_taker_fails() -> None:
    network = conv_bn(inplace=True)
    layers = select(probe(network, IMAGES), ["early"])

    def fail(name: str, value: Tensor) -> None:
        raise KeyError(name)

    with pytest.raises(KeyError), capturing(network, layers, fail):
        network(IMAGES)
    with pytest.raises(RuntimeError), capturing(network, layers, fail):
        network(IMAGES[:, :2])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    with torch.inference_mode():
        network(IMAGES)


def test_the_taker_may_compute_without_being_watched() -> None:
    network = conv_bn(inplace=True)
    layers = probe(network, IMAGES)
    seen = []

    def take(name: str, value: Tensor) -> None:
        seen.append((name, float(F.relu(value).mean())))

    with torch.inference_mode(), capturing(network, layers, take):
        F.relu(IMAGES)
        network(IMAGES)
    assert [name for name, _ in seen] == [layer.name for layer in layers]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_autocast_and_memory_formats(memory_format: torch.memory_format) -> None:
    network = build("blocks", {"categories": 4, "blocks": [[1, 8], [1, 8]]}).eval()
    network.to(memory_format=memory_format)
    layers = select(probe(network, IMAGES), ["block2.relu1", "penultimate"])
    values: dict[str, Tensor] = {}
    with (
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16),
        capturing(network, layers, lambda name, value: values.update({name: value.clone()})),
    ):
        network(IMAGES)
    assert {value.dtype for value in values.values()} == {torch.bfloat16}
    _, exact = record(network, IMAGES, ["block2.relu1"])
    torch.testing.assert_close(
        values["block2.relu1"].float(), exact["block2.relu1"], rtol=0.05, atol=0.05
    )


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_batches_together_hold_what_the_images_hold_one_by_one(sizes: list[int]) -> None:
    network = conv_bn(inplace=True)
    images = torch.randn(sum(sizes), 3, 16, 16, generator=torch.Generator().manual_seed(0))
    taken: list[Tensor] = []
    layers = select(probe(network, images), ["late.0"])
    with torch.inference_mode(), capturing(network, layers, lambda n, v: taken.append(v.clone())):
        for batch in images.split(sizes):
            network(batch)
    _, whole = record(network, images, ["late.0"])
    torch.testing.assert_close(torch.cat(taken), whole["late.0"])


class Returning(nn.Module):
    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.fc, self.wrap = nn.Linear(4, 3), wrap

    def forward(self, values: Tensor) -> Any:
        return self.wrap(self.fc(values.relu()))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda logits: (logits, None),
        lambda logits: {"logits": logits},
        lambda logits: type("ModelOutput", (), {"logits": logits})(),
    ],
)
def test_logits_are_found_in_what_networks_return(wrap: Any) -> None:
    logits, values = record(Returning(wrap).eval(), torch.rand(2, 4), ["relu", "output"])
    assert torch.equal(logits, values["output"]) and logits.shape == (2, 3)


@pytest.mark.parametrize(
    "wrap", [lambda logits: None, lambda logits: (), lambda logits: logits[:, :, None]]
)
def test_a_network_without_logits_is_refused(wrap: Any) -> None:
    with pytest.raises(InvtoolError, match=r"logits \(image, category\) are wanted"):
        probe(Returning(wrap).eval(), torch.rand(2, 4))


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="training mode"):
        probe(nn.Linear(2, 2), torch.rand(2, 2))
