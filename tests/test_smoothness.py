"""Normalized total variation by hand, and its value at initialization by its equation and by lot."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from invtool.measures import LAWS, initial_variation, total_variation
from invtool.measures.initial_variation import draw, expected


def transcribed(weight: NDArray[np.float64]) -> float:
    """The equation of section 4.1, index by index."""
    height, width = weight.shape[2:]
    total = 0.0
    for i in range(height):
        for j in range(width):
            here = weight[:, :, i, j]
            if i + 1 < height:
                total += np.abs(here - weight[:, :, i + 1, j]).sum()
            if j + 1 < width:
                total += np.abs(here - weight[:, :, i, j + 1]).sum()
    return float(total / np.abs(weight).sum())


def board(height: int, width: int) -> NDArray[np.float64]:
    return (-1.0) ** np.indices((1, 1, height, width))[2:].sum(axis=0)


def neighbors(height: int, width: int) -> int:
    return height * (width - 1) + width * (height - 1)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (2, 2), (3, 3), (5, 7)])
def test_constant_filters_have_none_and_a_checkerboard_all_there_can_be(
    height: int, width: int
) -> None:
    assert total_variation(np.full((2, 3, height, width), -0.7)) == 0
    most = 2 * neighbors(height, width) / (height * width)
    assert float(total_variation(board(height, width))) == pytest.approx(most)


def test_one_weight_alone_differs_from_each_of_its_neighbors() -> None:
    corner, middle = np.zeros((2, 1, 1, 3, 3))
    corner[..., 0, 0] = middle[..., 1, 1] = 5
    assert (total_variation(corner), total_variation(middle)) == (2, 4)


def test_zeros_have_no_total_variation() -> None:
    assert math.isnan(total_variation(np.zeros((2, 2, 3, 3))))


weights = st.tuples(*(st.integers(1, 4) for _ in range(4)), st.integers(0, 99)).map(
    lambda drawn: np.random.default_rng(drawn[-1]).standard_normal(drawn[:-1])
)


@given(weights)
def test_it_is_its_equation(weight: NDArray[np.float64]) -> None:
    assert float(total_variation(weight)) == pytest.approx(transcribed(weight))


@given(weights, st.floats(1e-20, 1e20), st.booleans(), st.randoms())
def test_scale_sign_orientation_and_order_of_filters_change_nothing(
    weight: NDArray[np.float64], scale: float, turned: bool, random: np.random.Generator
) -> None:
    order = list(range(len(weight)))
    random.shuffle(order)
    changed = -scale * weight[order]
    changed = changed.swapaxes(2, 3) if turned else changed[..., ::-1]
    assert float(total_variation(changed)) == pytest.approx(float(total_variation(weight)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_torch_gives_what_numpy_gives(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    weight = np.random.default_rng(0).standard_normal((8, 4, 3, 3)).astype(dtype)
    found = total_variation(torch.from_numpy(weight))
    assert float(found) == pytest.approx(float(total_variation(weight)), rel=1e-9)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("shape", [(32, 3, 3, 3), (64, 64, 3, 3), (8, 4, 2, 5)])
def test_layers_by_lot_have_the_expected_value_and_deviation(
    law: str, shape: tuple[int, int, int, int]
) -> None:
    rng, layers = np.random.default_rng(1), 60
    found = [float(total_variation(draw(rng, shape, law))) for _ in range(layers)]
    mean, deviation = initial_variation(shape, law)
    assert np.mean(found) == pytest.approx(mean, abs=4 * deviation / math.sqrt(layers))
    assert np.std(found, ddof=1) == pytest.approx(deviation, rel=4 / math.sqrt(2 * layers))


def test_the_mean_is_that_of_pairs_drawn_by_lot() -> None:
    for law in LAWS:
        a, b = draw(np.random.default_rng(2), (2, 400_000), law)
        by_lot = 12 / 9 * np.abs(a - b).mean() / np.abs(a).mean()
        assert by_lot == pytest.approx(expected(3, 3, law), abs=0.01)
    assert expected(3, 3, "truncated-normal") == pytest.approx(1.857, abs=5e-4)


def test_the_first_layer_of_the_paper_strays_as_it_says() -> None:
    _, deviation = initial_variation((32, 3, 3, 3), "truncated-normal")
    assert deviation == pytest.approx(0.035, abs=5e-4)


@pytest.mark.parametrize("shape", [(16, 1, 3, 3), (16, 3, 3, 3), (8, 80, 3, 3)])
def test_smoothed_layers_of_torch_have_the_expected_value(
    shape: tuple[int, int, int, int],
) -> None:
    torch = pytest.importorskip("torch")
    from invtool.models.initialization import smooth

    rng, layers, sigma = np.random.default_rng(1), 60, 0.7
    conv = torch.nn.Conv2d(shape[1], shape[0], shape[2:], bias=False)
    found = []
    for _ in range(layers):
        conv.weight.data = torch.from_numpy(draw(rng, shape, "truncated-normal"))
        smooth(conv, sigma)
        found.append(float(total_variation(conv.weight.detach())))
    mean, deviation = initial_variation(shape, "truncated-normal", sigma=sigma)
    # To first order: with few filters the ratio of sums is a little off the ratio of means.
    assert np.mean(found) == pytest.approx(mean, abs=4 * deviation / math.sqrt(layers) + 0.004)
    assert np.std(found, ddof=1) == pytest.approx(deviation, rel=4 / math.sqrt(2 * layers))


def test_smoothing_lowers_the_expected_value_with_sigma() -> None:
    sigmas = (0.0, 0.3, 0.6, 1.0, 2.0)
    shape = (32, 3, 3, 3)
    means = [initial_variation(shape, "truncated-normal", sigma=s)[0] for s in sigmas]
    assert means == sorted(means, reverse=True) and means[-1] < 0.5


def test_a_kernel_without_neighbors_is_at_0_for_sure() -> None:
    assert initial_variation((8, 8, 1, 1), "normal", sigma=1.0) == (0, 0)
