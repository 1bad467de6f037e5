"""Thin-plate fields and bilinear warping, against scipy, transcriptions and their own laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from invtool.transforms import deform, deformation, parse
from invtool.transforms.deformation import control_points, draw_displacement, drawn, field, warp
from invtool.transforms.registry import BORDERS

EXTENTS = [(3, 32, 32), (5, 224, 224), (4, 40, 97), (2, 9, 5), (5, 31, 60), (9, 64, 48)]


def images(count=3, channels=3, height=17, width=22, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(count, channels, height, width, generator=generator, dtype=torch.float64)
    return (image * 255).to(dtype)


def draws(grid, pixels, images=2, seed=0):
    return draw_displacement(grid, pixels, seed=seed, index=torch.arange(images))


def transcribed(image, field, border):
    """The warp of one image (channel, height, width), pixel by pixel, as its equation has it."""
    height, width = image.shape[1:]
    padded = {"edge": "edge", "reflect": "reflect", "zeros": "constant"}[border]
    room = int(np.ceil(np.abs(field).max())) + 2
    plane = np.pad(image, ((0, 0), (room, room), (room, room)), mode=padded)
    warped = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            at_y, at_x = y + field[y, x, 0] + room, x + field[y, x, 1] + room
            top, left = int(np.floor(at_y)), int(np.floor(at_x))
            for row, down in ((top, 1 - (at_y - top)), (top + 1, at_y - top)):
                for column, right in ((left, 1 - (at_x - left)), (left + 1, at_x - left)):
                    warped[:, y, x] += down * right * plane[:, row, column]
    return warped


# --- the field -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("grid", "height", "width"), EXTENTS)
def test_the_field_is_the_thin_plate_spline_of_scipy(grid, height, width):
    displacement = draws(grid, 10)
    found = field(displacement, height, width).numpy()
    rows, columns = (np.arange(0, side, max(1, side // 24)) for side in (height, width))
    place = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    point = control_points(grid, height, width).numpy()
    for own, theirs in zip(displacement.double().numpy(), found, strict=True):
        spline = RBFInterpolator(point, own, kernel="thin_plate_spline", degree=1)
        expected = spline(place.astype(float)).reshape(len(rows), len(columns), 2)
        assert np.abs(theirs[np.ix_(rows, columns)] - expected).max() < 1e-3


@pytest.mark.parametrize(("grid", "height", "width"), [(3, 33, 33), (5, 225, 225), (4, 31, 61)])
def test_the_field_is_exact_at_control_points_on_pixels(grid, height, width):
    displacement = draws(grid, 10)
    point = control_points(grid, height, width)
    row, column = point.round().long().T
    assert torch.equal(point, point.round())
    found = field(displacement, height, width)[:, row, column]
    assert (found - displacement).abs().max() < 1e-4


def test_an_affine_displacement_is_continued_exactly():
    point = control_points(4, 30, 50)
    matrix, shift = torch.tensor([[0.1, -0.2], [0.05, 0.3]]).double(), torch.tensor([2.0, -1.0])
    found = field((point @ matrix + shift)[None], 30, 50)[0]
    place = torch.cartesian_prod(torch.arange(30).double(), torch.arange(50).double())
    assert torch.allclose(found.reshape(-1, 2), place @ matrix + shift, atol=1e-9)


def test_a_basis_too_large_to_keep_is_made_rows_at_a_time(monkeypatch):
    displacement = draws(3, 5)
    whole = field(displacement, 20, 30)
    monkeypatch.setattr(deformation, "KEPT", 30 * 9 * 7)  # seven rows
    assert torch.allclose(field(displacement, 20, 30), whole, atol=1e-6)


def test_points_that_are_no_square_grid_are_refused():
    for points in (0, 1, 3, 8):
        with pytest.raises(ValueError, match=f"{points} control points make no square grid"):
            field(torch.zeros(1, points, 2), 8, 8)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 9), st.sampled_from([0.0, 0.1, 2.0, 10.0, 333.3]), st.integers(0, 2**63 - 1))
def test_displacements_stay_within_the_bound_and_belong_to_the_image(grid, pixels, seed):
    index = torch.tensor([5, 0, 2**40, 1])
    both = draw_displacement(grid, pixels, seed=seed, index=index)
    assert both.shape == (4, grid**2, 2)
    assert both.abs().max() <= torch.tensor(pixels)
    alone = draw_displacement(grid, pixels, seed=seed, index=index[2:3])
    assert torch.equal(alone[0], both[2])


def test_displacements_are_uniform_and_independent():
    value = draws(5, 1.0, images=4000).numpy()
    ranks = np.sort(value.ravel())
    step = np.arange(len(ranks)) / len(ranks)
    assert np.abs((ranks + 1) / 2 - step).max() < 0.005  # Kolmogorov; 1.63 / sqrt(n) is 0.0036
    correlation = np.corrcoef(value.reshape(4000, -1).T) - np.eye(50)
    assert np.abs(correlation).max() < 0.08  # five deviations of 1 / sqrt(4000)
    assert not np.array_equal(value, draws(5, 1.0, images=4000, seed=1))


@pytest.mark.parametrize("pixels", [-1, float("nan"), float("inf")])
def test_a_bound_that_is_no_distance_is_refused(pixels):
    with pytest.raises(ValueError, match="pixels is a distance of at least 0"):
        draws(3, pixels)


# --- the warp ------------------------------------------------------------------------------------


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("channels", "height", "width"), [(3, 16, 16), (1, 13, 22), (2, 33, 9)])
def test_the_warp_is_bilinear_and_its_border_as_told(border, channels, height, width):
    image = images(2, channels, height, width, torch.float64)
    shift = field(draws(3, 6), height, width)
    found = warp(image, shift, border).numpy()
    exact = warp(image.float(), shift, border).numpy()
    for i in range(2):
        expected = transcribed(image[i].numpy(), shift[i].double().numpy(), border)
        assert np.abs(found[i] - expected).max() < 1e-9
        assert np.abs(exact[i] - expected).max() < 0.02  # of 255, by rounding in 32 bits


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(BORDERS), st.booleans())
def test_no_displacement_is_the_identity_to_the_bit(height, width, border, double):
    image = images(2, 1, height, width, torch.float64 if double else torch.float32)
    assert torch.equal(warp(image, torch.zeros(2, height, width, 2), border), image)


@pytest.mark.parametrize("border", BORDERS)
def test_a_whole_pixel_moves_pixels_unchanged(border):
    image = images(1, 3, 12, 15)
    shift = torch.tensor([-2.0, 3.0]).expand(1, 12, 15, 2)
    mode = {"edge": "edge", "reflect": "reflect", "zeros": "constant"}[border]
    plane = np.pad(image[0].numpy(), ((0, 0), (2, 0), (0, 3)), mode=mode)
    assert np.array_equal(warp(image, shift, border)[0].numpy(), plane[:, :12, 3:])


def test_half_precision_is_sampled_in_single():
    image, shift = images(dtype=torch.float16), field(draws(3, 2, images=3), 17, 22)
    found = warp(image, shift)
    assert found.dtype == torch.float16
    assert torch.equal(found, warp(image.float(), shift).half())


def test_an_unknown_border_is_refused():
    with pytest.raises(ValueError, match="no border 'mirror'; there are zeros, edge, reflect"):
        warp(images(), torch.zeros(3, 17, 22, 2), "mirror")


@pytest.mark.parametrize("border", BORDERS)
def test_gradients_reach_displacements_and_images(border):
    image, displacement = images(2, 2, 7, 6, torch.float64), draws(3, 2.7).double()
    weight = images(2, 2, 7, 6, torch.float64).flip(0, 2)

    def loss(image, displacement):
        return (weight * warp(image, field(displacement, 7, 6), border)).sum()

    at = image.requires_grad_(), displacement.requires_grad_()
    slopes = torch.autograd.grad(loss(*at), at)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        step = [1e-6 * torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in at]
        for moved, slope in enumerate(slopes):
            ahead, behind = (
                loss(*(x + sign * step[i] * (i == moved) for i, x in enumerate(at))).item()
                for sign in (1, -1)
            )
            expected = (slope * step[moved]).sum().item()
            assert (ahead - behind) / 2 == pytest.approx(expected, rel=1e-3)


# --- the transform -------------------------------------------------------------------------------


def test_the_transform_is_the_field_and_the_warp_and_auto_goes_by_size():
    for side, grid, pixels in ((32, 3, 2), (127, 3, 2), (128, 5, 10), (224, 5, 10)):
        image = images(2, 3, side, side + 3)
        displacement = draws(grid, pixels, seed=4)
        expected = warp(image, field(displacement, side, side + 3), "reflect")
        assert torch.equal(drawn(image, seed=4), displacement)
        assert torch.equal(deform(image, border="reflect", seed=4), expected)
        assert torch.equal(parse("deform:border=reflect")(image, 4), expected)
        told = parse(f"deform:grid={grid},pixels={pixels},border=reflect")
        assert torch.equal(told(image, 4), expected)


def test_a_transform_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"grid is a whole number .* of at least 2, not 2\.5"):
        deform(images(), grid=2.5)
    with pytest.raises(ValueError, match="needs images of at least 2 x 2 pixels"):
        deform(images(height=1))
    with pytest.raises(ValueError, match="index holds one integer for each of the 3 images"):
        deform(images(), index=torch.arange(2))


def test_a_basis_that_inference_made_serves_a_gradient() -> None:
    with torch.inference_mode():
        field(torch.zeros(1, 9, 2), 7, 9)
    displacement = torch.ones(1, 9, 2, requires_grad=True)
    field(displacement, 7, 9).sum().backward()
    assert displacement.grad is not None and displacement.grad.isfinite().all()
