"""The transforms of continuous magnitude against scipy and numpy, at whole pixels, at identity."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_transforms import images

from invtool.transforms import (
    TRANSFORMS,
    SpecError,
    brightness,
    contrast,
    grayscale,
    parse,
    rot180,
    rotate,
    scale_x,
    scale_y,
    translate_x,
    translate_y,
    white_noise,
    zoom,
)
from invtool.transforms.registry import BORDERS

CONTINUOUS = [name for name, entry in TRANSFORMS.items() if entry.strength]
MOVING = [name for name in CONTINUOUS if TRANSFORMS[name].family == "geometric"]
SCIPYS = {"zeros": "grid-constant", "edge": "nearest", "reflect": "mirror"}
MAGNITUDES = {
    "translate-x": [-0.9, -0.31, 0.04, 0.25, 1.0],
    "translate-y": [-0.9, -0.31, 0.04, 0.25, 1.0],
    "scale-x": [-1.7, 0.1, 0.35, 0.9, 1.25, 2.0, 7.3],
    "scale-y": [-1.7, 0.1, 0.35, 0.9, 1.25, 2.0, 7.3],
    "zoom": [-1.7, 0.1, 0.35, 0.9, 1.25, 2.0, 7.3],
    "rotate": [-133.0, -17.5, 3.0, 45.0, 200.0],
}


def places(name, magnitude, height, width):
    """Where each pixel is read, as the paper writes it: x and y run from 0 to W and H."""
    y, x = np.mgrid[:height, :width] + 0.5  # the middles of the pixels
    v = magnitude
    if name == "translate-x":
        x = x - v * width
    elif name == "translate-y":
        y = y - v * height
    elif name == "rotate":  # anticlockwise on the screen, where y points down
        place = (x - width / 2 + 1j * (height / 2 - y)) * np.exp(-1j * math.radians(v))
        x, y = width / 2 + place.real, height / 2 - place.imag
    if name in ("scale-x", "zoom"):
        x = v * x - (v - 1) * width / 2
    if name in ("scale-y", "zoom"):
        y = v * y - (v - 1) * height / 2
    return np.stack([y, x]) - 0.5


def by_scipy(name, magnitude, border, image):
    where = places(name, magnitude, *image.shape[2:])
    planes = image.reshape(-1, *image.shape[2:]).numpy()
    read = [
        scipy.ndimage.map_coordinates(plane, where, order=1, mode=SCIPYS[border])
        for plane in planes
    ]
    return np.reshape(read, image.shape)


# --- moved and scaled ----------------------------------------------------------------------------


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(
    ("name", "magnitude"), [(name, v) for name, values in MAGNITUDES.items() for v in values]
)
def test_moves_are_scipys_at_the_papers_places(name, magnitude, border):
    image = images(2, 3, 11, 38, dtype=torch.float64)  # wider than a block of the matrix
    expected = by_scipy(name, magnitude, border, image)
    move = TRANSFORMS[name].function
    strength = {TRANSFORMS[name].strength: magnitude, "border": border}
    # A translation is rounded to a millionth of a pixel, over which a value may change by 255.
    tolerance = 2e-4 if name.startswith("translate") else 1e-9
    np.testing.assert_allclose(move(image, **strength), expected, atol=tolerance)
    np.testing.assert_allclose(move(image.float(), **strength), expected, atol=1e-2)


def test_every_move_with_a_strength_is_compared():
    assert set(MAGNITUDES) == set(MOVING)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([name for name in MOVING if name != "rotate"]),
    magnitude=st.floats(-1, 1).filter(lambda v: abs(v) > 1e-3),
    border=st.sampled_from(BORDERS),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_moves_of_any_magnitude_in_any_frame(name, magnitude, border, height, width):
    image = images(1, 2, height, width, dtype=torch.float64)
    strength = {TRANSFORMS[name].strength: magnitude, "border": border}
    expected = by_scipy(name, magnitude, border, image)
    np.testing.assert_allclose(TRANSFORMS[name].function(image, **strength), expected, atol=2e-4)


@pytest.mark.parametrize("pixels", [-30, -29, -10, -1, 0, 1, 9, 29, 30, 47])
def test_whole_pixels_move_as_they_are(pixels):
    image = images(2, 3, 30, 30)
    place = np.arange(30) - pixels
    inside = (place >= 0) & (place < 30)
    expected = image.numpy()[..., place.clip(0, 29)]
    share = pixels / 30
    np.testing.assert_array_equal(translate_x(image, share=share, border="edge"), expected)
    np.testing.assert_array_equal(translate_x(image, share=share), expected * inside)
    turned = translate_y(image.mT, share=share)
    np.testing.assert_array_equal(turned.mT, expected * inside)


def test_positive_shares_go_right_and_down():
    point = torch.zeros(1, 1, 8, 8)
    point[..., 2, 2] = 1
    assert translate_x(point, share=0.25)[0, 0].nonzero().tolist() == [[2, 4]]
    assert translate_y(point, share=0.25)[0, 0].nonzero().tolist() == [[4, 2]]


@pytest.mark.parametrize("border", BORDERS)
def test_a_factor_of_minus_1_is_a_mirror_exactly(border):
    image = images()
    assert torch.equal(scale_x(image, factor=-1, border=border), image.flip(3))
    assert torch.equal(scale_y(image, factor=-1, border=border), image.flip(2))
    assert torch.equal(zoom(image, factor=-1, border=border), rot180(image))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("factor", [0.3, 0.9, 2.5])
def test_zoom_is_scale_y_of_scale_x(factor, border):
    image = images(height=40, width=50)
    both = scale_y(scale_x(image, factor=factor, border=border), factor=factor, border=border)
    assert torch.allclose(zoom(image, factor=factor, border=border), both, atol=1e-3)


def test_a_factor_above_1_shows_more_around_and_one_below_less():
    flat = torch.full((1, 1, 40, 40), 100.0)
    assert (zoom(flat, factor=2) > 0).sum() == 20 * 20
    assert (zoom(flat, factor=0.5) - 100).abs().max() < 1e-3


@pytest.mark.parametrize("border", ["edge", "reflect"])
@pytest.mark.parametrize("name", MOVING)
def test_a_constant_image_stays_constant_but_with_zeros_around(name, border):
    flat = torch.full((1, 3, 40, 37), 100.0)
    for magnitude in MAGNITUDES[name]:
        step = parse(f"{name}:border={border}").steps[0].at(magnitude)
        assert (parse(str(step))(flat) - 100).abs().max() < 1e-2
        assert (parse(name)(flat) == 0).any()


@pytest.mark.parametrize("function", [scale_x, scale_y, zoom])
@pytest.mark.parametrize("factor", [0, -0.0, math.nan, math.inf])
def test_a_singular_factor_is_refused(function, factor):
    with pytest.raises(ValueError, match=r"finite number other than 0 \(singular\), not"):
        function(images(), factor=factor)


def test_moves_that_are_no_moves_are_refused():
    for share in (math.nan, math.inf):
        with pytest.raises(ValueError, match="share is a finite number, not"):
            translate_x(images(), share=share)
    for function in (translate_x, translate_y):
        with pytest.raises(ValueError, match="border is one of zeros, edge, reflect, not 'wrap'"):
            function(images(), share=0.2, border="wrap")
    for function, strength in ((scale_x, {"factor": 2}), (rotate, {"degrees": 7})):
        with pytest.raises(ValueError, match="border is one of zeros, edge, reflect, not 'wrap'"):
            function(images(), **strength, border="wrap")


# --- color and noise -----------------------------------------------------------------------------


@pytest.mark.parametrize("share", [-1, -0.3, 0.1, 0.75])
def test_brightness_adds_and_does_not_clip(share):
    image = images()
    expected = image.numpy().astype(float) + 255 * share
    np.testing.assert_allclose(brightness(image, share=share), expected, atol=1e-4)
    assert not 0 <= brightness(image, share=share).min() <= brightness(image, share=1).max() <= 255


@pytest.mark.parametrize("factor", [0, 0.3, 1.7, 3])
def test_contrast_multiplies_and_does_not_clip(factor):
    image = images()
    expected = image.numpy().astype(float) * factor
    np.testing.assert_allclose(contrast(image, factor=factor), expected, atol=1e-4)
    assert contrast(image, factor=3).max() > 255


@pytest.mark.parametrize("amount", [0.1, 0.5, 0.9, 1])
def test_grayscale_goes_part_of_the_way(amount):
    image = images()
    luminance = np.einsum("nchw,c->nhw", image.numpy().astype(float), [0.2989, 0.5870, 0.1140])
    expected = (1 - amount) * image.numpy() + amount * luminance[:, None]
    np.testing.assert_allclose(grayscale(image, amount=amount), expected, atol=1e-4)
    gray = images(channels=1)
    assert torch.equal(grayscale(gray, amount=amount), gray)


def test_an_amount_outside_0_to_1_is_refused():
    for amount in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"amount is within 0\.\.1, not"):
            grayscale(images(), amount=amount)


def test_brightness_and_contrast_of_no_number_are_refused():
    for function, setting in ((brightness, "share"), (contrast, "factor")):
        for value in (math.nan, math.inf):
            with pytest.raises(ValueError, match=f"{setting} is a finite number, not"):
                function(images(), **{setting: value})


def test_an_image_has_one_noise_of_every_strength():
    black = torch.zeros(2, 3, 16, 16)
    once, thrice = (white_noise(black, sigma=sigma, seed=4) for sigma in (20, 60))
    assert torch.allclose(3 * once, thrice, atol=1e-4)


# --- identity and range --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec", [*CONTINUOUS, *(f"{name}:border={border}" for name in MOVING for border in BORDERS)]
)
def test_the_identity_is_the_image_to_the_bit(spec):
    image, (step,) = images(height=33, width=47), parse(spec).steps
    entry = step.transform
    same = parse(str(step.at(entry.identity)))(image, seed=3)
    assert torch.equal(same, image)
    assert same.data_ptr() != image.data_ptr()
    beside = entry.identity + entry.step
    assert not torch.equal(parse(str(step.at(beside)))(image, seed=3), image)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_every_magnitude_of_the_default_range_gives_finite_images(name):
    start, stop, count = map(float, TRANSFORMS[name].sweep.split(":"))
    step = parse(name).steps[0]
    for magnitude in np.linspace(start, stop, int(count)):
        after = parse(str(step.at(magnitude)))(images(2, 3, 16, 16))
        assert after.shape == (2, 3, 16, 16)
        assert after.isfinite().all()


def test_a_step_at_another_strength_keeps_its_other_settings_and_its_range():
    step = parse("zoom:border=edge").steps[0]
    assert str(step.at(0.5)) == "zoom:factor=0.5,border=edge"
    assert str(step.at(np.float64(2))) == "zoom:factor=2,border=edge"
    for strength, sentence in ((0, "is singular"), (math.nan, "not nan"), (1000, "within -100")):
        with pytest.raises(SpecError, match=sentence):
            step.at(strength)
    with pytest.raises(TypeError, match="rot90 has no strength"):
        parse("rot90").steps[0].at(1)
