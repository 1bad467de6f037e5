"""Blurring before subsampling: each layer against its own output, a loop over windows, and known patterns."""

import copy
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from invtool.errors import UsageError
from invtool.models import filters
from invtool.models.antialiasing import check, install
from invtool.models.architectures import build
from invtool.models.capture import probe, record
from invtool.models.filters import Filter
from invtool.models.pooling import average_pool, blur, convolution, max_pool
from invtool.models.splitting import splits

BLUR = Filter("blur", 3)
DELTA = Filter("delta", 3)
SIDES = st.integers(1, 11)
Array = NDArray[np.float64]


@pytest.fixture(scope="module", autouse=True)
def delta() -> object:
    """A filter that changes nothing: with it each layer must give what it gave."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(filters.FILTERS, "delta", lambda taps: (0.0,) * (taps // 2) + (1.0, 0.0))
        yield


def maps(height: int, width: int, channels: int = 2) -> Tensor:
    seed = torch.Generator().manual_seed(height * 100 + width)
    return torch.randn(2, channels, height, width, generator=seed, dtype=torch.float64)


def close(found: Tensor, wanted: Tensor) -> None:
    """As torch's own check, which imports the compiler for ten seconds."""
    np.testing.assert_allclose(found.detach(), wanted.detach(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["avg2", "avg6", "blur2", "blur3", "blur5", "blur31"])
def test_a_filter_is_even_and_sums_to_one(name: str) -> None:
    smoothing = filters.parse(name, "--pool")
    assert smoothing is not None and str(smoothing) == name
    assert sum(smoothing.weights) == pytest.approx(1, abs=1e-12)
    assert smoothing.weights == smoothing.weights[::-1]
    assert len(smoothing.weights) == int(name.lstrip("avgblur"))


@pytest.mark.parametrize(
    "text", ["blurr", "blur1", "blur32", "avg", "6", "blur3x", "max2", "blur-3"]
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=f"--antialias {text}: avgK or blurK or deltaK with K from 2 to 31"
    ):
        filters.parse(text, "--antialias")


def blurred(image: Array, taps: int, stride: int) -> Array:
    """Zhang's blur-pool, a position at a time."""
    weights = np.array([1.0])
    for _ in range(taps - 1):
        weights = np.convolve(weights, [0.5, 0.5])
    before, after = (taps - 1) // 2, taps // 2
    padded = np.pad(image, [(before, after)] * 2, mode="reflect")
    rows, columns = (range(0, side, stride) for side in image.shape)
    return np.array(
        [[weights @ padded[i : i + taps, j : j + taps] @ weights for j in columns] for i in rows]
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 11), st.integers(4, 11), st.integers(2, 5), st.integers(1, 3))
def test_blur_is_the_loop(height: int, width: int, taps: int, stride: int) -> None:
    image = maps(height, width)
    found = blur(image, Filter("blur", taps), (stride, stride)).numpy()
    for n, c in product(range(2), range(2)):
        np.testing.assert_allclose(found[n, c], blurred(image[n, c].numpy(), taps, stride))


@settings(max_examples=20, deadline=None)
@given(SIDES, SIDES, st.integers(2, 9), st.sampled_from(["avg", "blur"]))
def test_a_constant_stays_one_to_the_border(height: int, width: int, taps: int, name: str) -> None:
    flat = torch.full((1, 3, height, width), 5.0).double()
    close(blur(flat, Filter(name, taps)), flat)


POOL = {
    "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "stride": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "padding": st.tuples(st.integers(0, 2), st.integers(0, 2)),
    "ceil_mode": st.booleans(),
}


def layers_output(layer: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Of a layer that torch takes on such an image."""
    try:
        return layer(image)
    except RuntimeError:
        assume(False)
        raise


@settings(max_examples=100, deadline=None)
@given(height=SIDES, width=SIDES, dilation=st.integers(1, 2), **POOL)
def test_a_max_pool_with_a_delta_is_itself(
    height: int,
    width: int,
    dilation: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    ceil_mode: bool,
) -> None:
    image = maps(height, width)
    arguments = (kernel, stride, padding, dilation, ceil_mode)
    wanted = layers_output(lambda x: F.max_pool2d(x, *arguments), image)
    assume(bool(wanted.isfinite().all()))  # not of a dilated window that steps over the map
    pool = max_pool(image, *arguments)
    assert pool.places(image) == wanted.shape[2:]
    assert torch.equal(pool.smoothed(image, DELTA), wanted)
    assert pool.smoothed(image, BLUR).shape == wanted.shape


@settings(max_examples=100, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    counted=st.booleans(),
    divisor=st.sampled_from([None, 5]),
    **POOL,
)
def test_an_average_pool_with_a_delta_is_itself(
    height: int,
    width: int,
    counted: bool,
    divisor: int | None,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    ceil_mode: bool,
) -> None:
    image = maps(height, width)
    arguments = (kernel, stride, padding, ceil_mode, counted, divisor)
    wanted = layers_output(lambda x: F.avg_pool2d(x, *arguments), image)
    pool = average_pool(image, *arguments)
    close(pool.smoothed(image, DELTA), wanted)


def averages(image: Array, window: tuple[int, int], stride: int, padding: int, taps: int) -> Array:
    """Means of what there is of the taps x taps pixels around the middle of each window."""
    found = np.full(
        [(n + 2 * padding - k) // stride + 1 for n, k in zip(image.shape, window, strict=True)],
        np.nan,
    )
    for place in np.ndindex(*found.shape):
        span = []
        for n, side, size in zip(place, image.shape, window, strict=True):
            first = n * stride - padding - (taps - size) // 2
            span.append(slice(max(0, first), min(side, first + taps)))
        found[place] = image[tuple(span)].mean()
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(4, 14), st.integers(4, 14), st.integers(1, 3), st.integers(0, 1), st.integers(3, 7)
)
def test_averages_are_the_loop(
    height: int, width: int, stride: int, padding: int, taps: int
) -> None:
    image = maps(height, width)
    found = max_pool(image, (2, 3), stride, padding).smoothed(image, Filter("avg", taps)).numpy()
    wanted = averages(image[1, 1].numpy(), (2, 3), stride, padding, taps)
    np.testing.assert_allclose(found[1, 1], wanted)


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, **POOL)
def test_averages_are_as_many_as_windows(
    height: int,
    width: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    ceil_mode: bool,
) -> None:
    flat = torch.ones(1, 1, height, width)
    arguments = (kernel, stride, padding, 1, ceil_mode)
    wanted = layers_output(lambda x: F.max_pool2d(x, *arguments), flat)
    for taps in (4, 5, 6):
        found = max_pool(flat, *arguments).smoothed(flat, Filter("avg", taps))
        close(found, torch.ones_like(wanted))


def test_averages_of_the_paper_by_hand() -> None:
    """A 6x6 window two pixels around a 2x2 one, cut at the border."""
    point = torch.zeros(1, 1, 8, 8).double()
    point[0, 0, 0, 0] = 16.0
    found = max_pool(point, 2).smoothed(point, Filter("avg", 6))
    assert found[0, 0].tolist() == [
        [1.0, 16 / 24, 0.0, 0.0],
        [16 / 24, 16 / 36, 0.0, 0.0],
        [0.0] * 4,
        [0.0] * 4,
    ]


def test_an_average_smaller_than_the_window_is_refused() -> None:
    image = maps(8, 8)
    with pytest.raises(
        UsageError, match="--pool avg2 is smaller than a pooling window of 3 pixels; avg3"
    ):
        max_pool(image, 3, 2).smoothed(image, Filter("avg", 2))


class Same(nn.Conv2d):
    """Pads by a rule of its own that depends on its stride, as TensorFlow and EfficientNet-Lite do."""

    def forward(self, image: Tensor) -> Tensor:
        for axis in (-1, -2):
            side, stride, size = image.shape[axis], self.stride[axis], self.kernel_size[axis]
            missing = max((-(-side // stride) - 1) * stride + size - side, 0)
            padding = [missing // 2, missing - missing // 2]
            image = F.pad(image, padding if axis == -1 else [0, 0, *padding])
        return F.conv2d(image, self.weight, self.bias, self.stride, groups=self.groups)


class Halving(nn.Module):
    """Keeps every second position by a slice."""

    def forward(self, image: Tensor) -> Tensor:
        return image[:, :, ::2, 1::2]


class Functional(nn.Module):
    """Pools without a module."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.max_pool2d(F.avg_pool2d(input=image, kernel_size=2), 3, 2)


STRIDED: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.Conv2d(4, 6, 3, 2, padding=1),
    "oblong": lambda: nn.Conv2d(4, 6, (3, 5), (2, 3), padding=(0, 2), dilation=(2, 1), bias=False),
    "reflect": lambda: nn.Conv2d(4, 6, 3, 2, padding=1, padding_mode="reflect"),
    "circular": lambda: nn.Conv2d(4, 6, 5, 4, padding=2, padding_mode="circular"),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, 2, padding=1, groups=4),
    "valid": lambda: nn.Conv2d(4, 6, 2, 2, padding="valid"),
    "pointwise": lambda: nn.Conv2d(4, 6, 1, 2),
    "pointwise padded": lambda: nn.Conv2d(4, 6, 1, 2, padding=1),
    "same": lambda: Same(4, 4, 3, 2, groups=4),
    "same 5": lambda: Same(4, 6, 5, 2),
    "slice": Halving,
}


@pytest.mark.parametrize("name", STRIDED)
@settings(max_examples=12, deadline=None)
@given(height=st.integers(5, 12), width=st.integers(5, 12))
def test_a_strided_layer_with_a_delta_is_itself(name: str, height: int, width: int) -> None:
    layer = STRIDED[name]().double()
    image = maps(height, width, channels=4)
    network = nn.Sequential(layer)
    wanted = network(image)
    plain = copy.deepcopy(network)
    install(network, antialias="delta3")
    close(network(image), wanted)
    assert check(network, name) == "delta3 in 1 strided layer"
    install(plain, antialias="blur")
    smooth = plain(image)
    assert smooth.shape == wanted.shape and not torch.allclose(smooth, wanted)


def test_a_strided_convolution_is_blurred_as_it_comes_out() -> None:
    image, layer = maps(9, 8), nn.Conv2d(2, 1, 3, 2, padding=1).double()
    fine = F.conv2d(image, layer.weight, layer.bias, padding=1).detach()
    found = convolution(image, layer.weight, layer.bias, 2, 1).smoothed(image, BLUR)
    np.testing.assert_allclose(found[0, 0].detach(), blurred(fine[0, 0].numpy(), 3, 2))


def test_a_pointwise_convolution_may_be_blurred_before() -> None:
    image, weight, bias = maps(9, 8), maps(1, 1)[:, :, :1, :1], torch.ones(2).double()
    fine = F.conv2d(image, weight, bias)
    found = convolution(image, weight, bias, 2).smoothed(image, BLUR)
    close(found, blur(fine, BLUR, (2, 2)))


def test_an_axis_without_stride_is_not_blurred() -> None:
    rows = maps(6, 1).expand(-1, -1, -1, 7)
    columns = maps(6, 7)
    pool = max_pool(columns, 1, (2, 1))
    close(pool.smoothed(rows, BLUR), blur(rows, BLUR)[:, :, ::2])
    close(pool.smoothed(columns, BLUR)[..., 3:4], blur(columns[..., 3:4], BLUR)[:, :, ::2])


def test_pools_of_functions_are_found() -> None:
    network, image = nn.Sequential(Functional()), maps(13, 12)
    wanted = network(image)
    install(network, pool="delta3")
    close(network(image), wanted)
    assert check(network, "net") == "delta3 in 2 pooling layers"


def test_stripes_at_the_highest_frequency_are_seen_or_missed_by_chance_only_without_a_filter() -> (
    None
):
    stripes = (torch.arange(9) % 2.0).expand(1, 1, 9, 9)
    for layer, option in ((nn.MaxPool2d(1, 2), "pool"), (nn.Conv2d(1, 1, 1, 2), "antialias")):
        for parameter in layer.parameters():
            nn.init.constant_(parameter, float(parameter.ndim > 1))
        network = nn.Sequential(layer)
        assert [network(s).mean().item() for s in (stripes, 1 - stripes)] == [0.0, 1.0]
        install(network, **{option: "blur"})
        assert [network(s).mean().item() for s in (stripes, 1 - stripes)] == [0.5, 0.5]


@pytest.mark.parametrize("name", ["avg2", "avg6", "blur", "blur4", "blur5"])
def test_the_global_sum_of_a_moving_spot_stays(name: str) -> None:
    """What a stride of 2 folds to zero, the highest frequency, these filters have removed."""
    at = torch.arange(32.0, dtype=torch.float64) - 14 - torch.arange(6.0)[:, None]
    line = torch.exp(-((at - 0.3) ** 2))
    spots = line[:, None, :, None] * line[:, None, None, :]
    network = nn.Sequential(nn.MaxPool2d(2))

    def spread() -> float:
        sums = network(spots).sum((1, 2, 3))
        return float((sums.max() - sums.min()) / sums.mean())

    assert spread() > 0.2
    install(network, pool=name)
    assert spread() < 1e-9


CURED = [
    ("blocks:filters=4", {"pool": "avg6"}),
    ("blocks:filters=4,downsampling=average-pool", {"pool": "blur"}),
    ("blocks:filters=4,downsampling=subsample", {"antialias": "blur"}),
    ("blocks:filters=4,downsampling=strided", {"antialias": "avg2"}),
    ("resnet20-cifar", {"antialias": "blur"}),
]


@pytest.mark.parametrize(("name", "options"), CURED)
def test_layers_parameters_and_shapes_stay_what_they_are(
    name: str, options: dict[str, str]
) -> None:
    network = build(name, {"categories": 3, "height": 32, "width": 32}).eval()
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain = copy.deepcopy(network)
    install(network, **options)
    assert list(network.state_dict()) == list(plain.state_dict())
    found, wanted = probe(network, image), probe(plain, image)
    assert [(layer.name, layer.kind, layer.shape) for layer in found] == [
        (layer.name, layer.kind, layer.shape) for layer in wanted
    ]
    assert not torch.allclose(network(image), plain(image))
    assert torch.equal(copy.deepcopy(network)(image), network(image))
    assert splits(network, [found[len(found) // 2].name], image)


def test_a_captured_pool_is_what_the_next_layer_reads() -> None:
    network = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 2)).eval()
    install(network, pool="avg6")
    image = torch.rand(1, 1, 8, 8)
    _, values = record(network, image, ["0"])
    assert torch.equal(values["0"], max_pool(image, 2).smoothed(image, Filter("avg", 6)))


def test_shortcuts_of_resnet20_are_found_beside_its_convolutions() -> None:
    network = build("resnet20-cifar", {}).eval()
    install(network, antialias="blur")
    network(torch.rand(1, 3, 32, 32))
    assert check(network, "net") == "blur3 in 4 strided layers"


def test_it_can_be_trained_after_a_test() -> None:
    network = build("blocks:filters=4", {"categories": 3, "height": 16, "width": 16})
    install(network, pool="blur7")
    image = torch.rand(4, 3, 16, 16)
    with torch.inference_mode():
        network(image)
    network(image).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_what_does_not_subsample_is_left() -> None:
    network = nn.Sequential(
        nn.MaxPool2d(3, 1, padding=1),  # no stride
        nn.Conv2d(2, 2, 3),
        nn.AvgPool2d(4),  # the whole map
        nn.Flatten(),
    )
    image = torch.rand(1, 2, 6, 6)
    wanted = network(image)
    install(network, pool="blur")
    assert torch.equal(network(image), wanted)
    with pytest.raises(
        UsageError, match=r"--pool blur3: net has no pooling layer that subsamples$"
    ):
        check(network, "net")


def test_an_average_pool_as_wide_as_the_average_is_left() -> None:
    network = nn.Sequential(nn.AvgPool2d(4, 2), nn.AvgPool2d(2), nn.Conv2d(2, 2, 1, 2))
    install(network, pool="avg4")
    network(torch.rand(1, 2, 16, 16))
    assert check(network, "net") == "avg4 in 1 pooling layer"


def test_a_filter_with_nothing_to_do_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 3, 2), nn.Conv2d(2, 2, 3, 2))
    install(network, pool="avg6")
    network(torch.rand(1, 2, 16, 16))
    with pytest.raises(
        UsageError, match="no pooling layer that subsamples; it has 2 that --antialias blurs"
    ):
        check(network, "net")


def test_other_indices_and_maps_are_left() -> None:
    class Indexing(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            whole = (image * 9).int()[:, :, ::2, ::2].sum()
            rows = image[:, :, ::2].sum() + image[..., ::2].sum() + image[0, :, ::2].sum()
            chosen = image[torch.tensor([0]), :, 1:3, 2:4].sum() + image[0].sum()
            last = image.movedim(1, -1)[:, ::2, ::2, :].sum()  # channels, which are not positions
            return torch.stack([whole, rows, chosen, last])

    network, image = nn.Sequential(Indexing()), torch.rand(1, 3, 6, 6)
    wanted = network(image)
    install(network, antialias="blur")
    assert torch.equal(network(image), wanted)
