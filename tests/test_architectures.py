"""The built-in networks against the papers' words: shapes, layers, first weights."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from invtool.errors import UsageError
from invtool.models.architectures import ARCHITECTURES, build
from invtool.models.architectures.alexnet import lateral_normalization
from invtool.models.architectures.blocks import DOWNSAMPLING, Subsample
from invtool.models.architectures.resnet20_cifar import Block

SMALL: dict[str, dict[str, Any]] = {
    "blocks": {"blocks": [[1, 8], [2, 8]]},
    "alexnet": {"hidden": 16},
    "resnet18": {},
    "resnet20-cifar": {},
}


def test_every_network_has_a_small_form_here() -> None:
    assert set(SMALL) == set(ARCHITECTURES)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_parameter_of_every_network_learns(name: str) -> None:
    network = build(
        name, {"categories": 3, "channels": 1, "height": 16, "width": 24, **SMALL[name]}
    )
    logits = network(torch.randn(4, 1, 16, 24, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (4, 3)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_weights_depend_on_the_seed_alone(name: str) -> None:
    arguments = {"categories": 3, **SMALL[name]}
    state = torch.random.get_rng_state()
    first = build(name, arguments, seed=5).state_dict()
    assert torch.equal(state, torch.random.get_rng_state())
    torch.rand(7)
    second, other = (build(name, arguments, seed=seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_unknown_names_and_arguments_are_one_sentence() -> None:
    with pytest.raises(UsageError, match="no network 'block', nearest is 'blocks'"):
        build("block", {})
    with pytest.raises(UsageError, match=r"cannot build 'blocks'.*'depth'"):
        build("blocks", {"categories": 2, "depth": 3})
    with pytest.raises(UsageError, match="'maxpool' is none of subsample, max-pool"):
        build("blocks", {"categories": 2, "downsampling": "maxpool"})
    with pytest.raises(UsageError, match="8x8 pixels cannot be halved 4 times"):
        build("blocks", {"categories": 2, "height": 8, "width": 8})
    with pytest.raises(UsageError, match="15x15 pixels are too few"):
        build("alexnet", {"categories": 2, "height": 15, "width": 15})


def test_options_follow_a_name() -> None:
    told = build("blocks:filters=8,downsampling=strided", {"categories": 2})
    narrow = build("blocks", {"categories": 2, "filters": 8, "downsampling": "strided"})
    assert {k: v.shape for k, v in told.state_dict().items()} == {
        k: v.shape for k, v in narrow.state_dict().items()
    }
    assert narrow.fc.in_features == 64 and narrow.block1.conv1.out_channels == 8
    for text, why in [
        ("blocks:depth=3", "network blocks: no option 'depth'; it has structure, filters"),
        ("blocks:filters=0", "filters=0 is wrong; an integer from 1 is wanted"),
        ("blocks:downsampling=", "downsampling= is wrong; a name is wanted"),
        ("blocks:structure=huge", "structure 'huge' is none of small, large"),
        ("resnet18:filters=8", "no option 'filters'; it has none"),
        ("block:filters=8", "no network 'block', nearest is 'blocks'"),
    ]:
        with pytest.raises(UsageError, match=why):
            build(text, {"categories": 2})


def test_small_blocks_are_the_papers() -> None:
    network = build("blocks", {"categories": 10})
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    convolutions = [shape for key, shape in shapes.items() if ".conv" in key]
    wide = [32, 32, 64, 64, 128, 128, 256, 256]
    assert convolutions == [(w, n, 3, 3) for w, n in zip(wide, [3, *wide], strict=False)]
    assert not any(".conv" in key and key.endswith("bias") for key in shapes)
    assert shapes["fc.weight"] == (10, 256)


def test_large_blocks_are_the_papers() -> None:
    narrow = build("blocks:structure=large,filters=8,downsampling=strided", {"categories": 10})
    wide = [8] * 2 + [16] * 2 + [32] * 3 + [64] * 6  # an eighth of the paper's
    convolutions = [k for k in narrow.modules() if isinstance(k, nn.Conv2d)]
    assert [k.out_channels for k in convolutions if k.kernel_size == (3, 3)] == wide
    assert [k.out_channels for k in convolutions if k.kernel_size == (2, 2)] == [8, 16, 32, 64, 64]
    with torch.device("meta"):
        paper = build("blocks:structure=large", {"categories": 10})
    assert (paper.block1.conv1.out_channels, paper.fc.in_features) == (64, 512)


@pytest.mark.parametrize("key", ["block1.conv2", "block4.conv2", "fc"])
def test_first_weights_are_a_truncated_normal(key: str) -> None:
    weight = build("blocks", {"categories": 100}).get_submodule(key).weight
    deviation = 1 / math.sqrt(weight[0].numel())
    assert weight.abs().max() <= 2 * deviation
    # A normal cut at two deviations keeps sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)) = 0.8796 of its deviation.
    assert weight.std().item() == pytest.approx(0.8796 * deviation, rel=0.02)


@pytest.mark.parametrize("downsampling", DOWNSAMPLING)
@settings(max_examples=5, deadline=None)
@given(height=st.integers(4, 9), width=st.integers(4, 9))
def test_each_downsampling_halves(downsampling: str, height: int, width: int) -> None:
    layer = DOWNSAMPLING[downsampling](2).eval()
    maps = torch.rand(1, 2, height, width)
    with torch.inference_mode():
        assert layer(maps).shape == (1, 2, height // 2, width // 2)


def test_subsampling_keeps_the_top_left() -> None:
    maps = torch.arange(15.0).reshape(1, 1, 3, 5)
    assert Subsample()(maps).flatten().tolist() == [0.0, 2.0]


def test_only_the_strided_relu_has_a_norm_and_a_relu() -> None:
    kinds = {
        name: [type(layer).__name__ for layer in DOWNSAMPLING[name](4).modules()]
        for name in ("strided", "strided-relu")
    }
    assert kinds["strided"] == ["Conv2d"]
    assert kinds["strided-relu"] == ["Sequential", "Conv2d", "BatchNorm2d", "ReLU"]


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "inputs"),
    [(16, 5, 1, 7 * 7), (32, 7, 2, 7 * 7), (64, 11, 4, 7 * 7), (224, 11, 4, 27 * 27)],
)
def test_alexnet_fits_its_input(side: int, kernel: int, stride: int, inputs: int) -> None:
    with torch.device("meta"):  # at 224 pixels fc6 would be as large as the docstring says
        network = build("alexnet", {"categories": 5, "height": side, "width": side, "hidden": 8})
    assert network.conv1.kernel_size == (kernel, kernel)
    assert network.conv1.stride == (stride, stride)
    assert network.fc6.in_features == 256 * inputs
    assert not [key for key, _ in network.named_children() if key in ("pool1", "pool2")]


def test_alexnet_starts_as_alexnet() -> None:
    network = build("alexnet", {"categories": 50, "hidden": 64})
    biases = {key: set(v.tolist()) for key, v in network.state_dict().items() if "bias" in key}
    ones = {"conv2.bias", "conv4.bias", "conv5.bias", "fc6.bias"}
    assert biases == {key: {1.0 if key in ones else 0.0} for key in biases}
    for key in ("conv1", "conv5", "fc6", "fc7"):
        assert network.get_submodule(key).weight.std().item() == pytest.approx(0.01, rel=0.05)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 9), st.floats(0.1, 100))
def test_lateral_normalization_is_alexnets(channels: int, scale: float) -> None:
    maps = scale * np.random.default_rng(channels).normal(size=(2, channels, 3, 3))
    wanted = np.empty_like(maps)
    for i in range(channels):
        squares = (maps[:, max(0, i - 2) : i + 3] ** 2).sum(axis=1)
        wanted[:, i] = maps[:, i] / (2 + 1e-4 * squares) ** 0.75
    found = lateral_normalization()(torch.from_numpy(maps)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


@pytest.mark.parametrize(("side", "positions"), [(32, 4), (63, 8), (64, 2), (224, 7)])
def test_resnet18_has_a_small_stem_under_64_pixels(side: int, positions: int) -> None:
    network = build("resnet18", {"categories": 5, "height": side, "width": side}).eval()
    seen: list[Tensor] = []
    network.layer4.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        network(torch.zeros(1, 3, side, side))
    assert seen[0].shape == (1, 512, positions, positions)


def test_resnet20_shortcut_has_no_weights() -> None:
    maps = torch.randn(2, 16, 8, 8)
    found = Block(16, 32, stride=2).shortcut(maps).numpy()
    thinned = maps.numpy()[:, :, ::2, ::2]
    np.testing.assert_array_equal(found, np.pad(thinned, ((0, 0), (8, 8), (0, 0), (0, 0))))
    assert Block(16, 16, stride=1).shortcut(maps) is maps


def test_resnet20_has_its_published_size() -> None:
    network = build("resnet20-cifar", {})
    assert sum(p.numel() for p in network.parameters()) == 269_722  # 0.27 million in the paper
