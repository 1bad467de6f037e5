"""Smooth initialization: the Gaussian of scipy, norms that stay, and filters ever smoother."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve1d
from torch import nn

from invtool.models.architectures import build
from invtool.models.initialization import smooth


def transcribed(weight: np.ndarray, sigma: float) -> np.ndarray:
    """As the docstring has it, by another hand."""
    side = max(weight.shape[2:])
    gaussian = np.exp(-(np.arange(-side, side + 1) ** 2) / (2 * sigma**2))
    smoothed = weight.astype(float)
    for axis in (2, 3):
        smoothed = convolve1d(smoothed, gaussian, axis=axis, mode="constant")
    norms = [np.sqrt((w**2).sum((1, 2, 3), keepdims=True)) for w in (weight, smoothed)]
    return smoothed * norms[0] / norms[1]


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    st.floats(0.05, 50),
)
def test_filters_are_smoothed_as_scipy_does(shape: tuple[int, ...], sigma: float) -> None:
    layer = nn.Conv2d(shape[1], shape[0], shape[2:])
    before = layer.weight.detach().numpy().copy()
    smooth(layer, sigma)
    np.testing.assert_allclose(
        layer.weight.detach().numpy(), transcribed(before, sigma), rtol=1e-4, atol=1e-6
    )


def total_variation(weight: torch.Tensor) -> float:
    return float(
        (weight.diff(dim=2).abs().sum() + weight.diff(dim=3).abs().sum()) / weight.abs().sum()
    )


def test_norms_stay_and_total_variation_falls_with_sigma() -> None:
    fresh = build("blocks:filters=8,downsampling=strided", {"categories": 3})
    filters = {name: w for name, w in fresh.state_dict().items() if w.ndim == 4}
    assert len(filters) == 12  # 8 of 3x3, 4 that stride
    before = {name: total_variation(weight) for name, weight in filters.items()}
    for sigma in (0.2, 0.4, 0.6, 1.0, 2.0, 10.0):
        network = build(
            "blocks:filters=8,downsampling=strided", {"categories": 3}, init_smooth=sigma
        )
        for name, weight in network.state_dict().items():
            if name not in filters:
                assert torch.equal(weight, fresh.state_dict()[name])
                continue
            torch.testing.assert_close(
                weight.flatten(1).norm(dim=1), filters[name].flatten(1).norm(dim=1)
            )
            now = total_variation(weight)
            assert now < before[name]
            before[name] = now
    assert max(before.values()) < 0.05


def test_no_sigma_changes_no_bit_and_silent_filters_stay_silent() -> None:
    layer = nn.Conv2d(2, 3, 3)
    nn.init.zeros_(layer.weight[0])
    before = layer.weight.clone()
    smooth(layer, 0)
    assert torch.equal(layer.weight, before)
    smooth(layer, 2)
    assert layer.weight.isfinite().all() and not layer.weight[0].any() and layer.weight[1].any()


@pytest.mark.parametrize("sigma", [1e-200, 1e200])
def test_extremes_are_the_filter_itself_and_its_mean(sigma: float) -> None:
    layer = nn.Conv2d(2, 3, 3)
    before = layer.weight.detach().clone()
    smooth(layer, sigma)
    flat = layer.weight.detach().flatten(2)
    if sigma < 1:
        torch.testing.assert_close(layer.weight.detach(), before)
    else:
        torch.testing.assert_close(flat, flat[..., :1].expand_as(flat))
