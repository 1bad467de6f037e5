"""The transforms against independent transcriptions, analytic cases and the laws of their noise."""

import colorsys
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import invtool.transforms as transforms
from invtool.transforms import (
    TRANSFORMS,
    blur,
    color_rotation,
    contrast_inversion,
    grayscale,
    high_pass,
    horizontal_filter,
    parse,
    rot90,
    rot180,
    rotate,
    salt_pepper,
    thinning,
    vertical_filter,
    white_noise,
)

NAMES = list(TRANSFORMS)
MOVES = ("rotate", "translate-x", "translate-y", "scale-x", "scale-y", "zoom")
LINEAR = (
    "blur",
    "horizontal-filter",
    "vertical-filter",
    "high-pass",
    "thinning",
    *MOVES,
    "contrast",
)
HORIZONTAL = np.array([[-1, 0, 1]] * 3)
HIGH_PASS = np.array(
    [
        [-1, -1, -1, -1, -1],
        [-1, 1, 2, 1, -1],
        [-1, 2, 4, 2, -1],
        [-1, 1, 2, 1, -1],
        [-1, -1, -1, -1, -1],
    ]
)


def images(count=3, channels=3, height=17, width=22, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(count, channels, height, width, generator=generator, dtype=torch.float64)
    return (image * 255).to(dtype)


# --- every transform -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_input_is_left_alone_and_the_result_is_a_new_tensor(name):
    image = images()
    before = image.clone()
    after = parse(name)(image)
    assert torch.equal(image, before)
    assert after.data_ptr() != image.data_ptr()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_channels_are_kept(name, channels, dtype):
    after = parse(name)(images(channels=channels, dtype=dtype))
    assert (after.dtype, after.shape[:2]) == (dtype, (3, channels))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_does_not_depend_on_its_batch(name):
    image = images(count=5, height=64, width=64)
    index = torch.tensor([4, 40, 7, 0, 9_000_000_000])
    spec = parse(name)
    whole = spec(image, seed=3, index=index)
    alone = torch.cat([spec(image[i : i + 1], seed=3, index=index[i : i + 1]) for i in range(5)])
    back = spec(image.flip(0), seed=3, index=index.flip(0)).flip(0)
    exact = TRANSFORMS[name].random or name not in ("blur", *MOVES)
    tolerance = 0 if exact else 1e-3  # gray levels: the order of a sum may change with the batch
    assert (whole - alone).abs().max() <= tolerance
    assert (whole - back).abs().max() <= tolerance


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch_stays_empty(name):
    assert len(parse(name)(images(count=0))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_image_larger_than_a_piece_and_many_small_ones(name, monkeypatch):
    image = images(count=7)
    whole = parse(name)(image)
    monkeypatch.setattr("invtool.transforms._batch.IN_CACHE", 2000)  # one image, or one and a bit
    assert torch.allclose(parse(name)(image), whole, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_batch_of_float_images_is_refused(name):
    with pytest.raises(ValueError, match="has 3 dimensions"):
        parse(name)(images()[0])
    with pytest.raises(ValueError, match=r"uint8: use image\.float\(\)"):
        parse(name)(images().to(torch.uint8))


@pytest.mark.parametrize("name", LINEAR)
@settings(max_examples=10, deadline=None)
@given(a=st.floats(-3, 3), seed=st.integers(0, 100))
def test_filters_and_moves_are_linear(name, a, seed):
    first, second = (images(1, 1, 9, 11, seed + k, torch.float64) for k in (0, 1000))
    spec = parse(name)
    assert torch.allclose(spec(a * first + second), a * spec(first) + spec(second), atol=1e-8)


@pytest.mark.parametrize("name", ["blur", "horizontal-filter", "vertical-filter", "high-pass"])
def test_a_constant_image_shows_no_frame(name):
    flat = torch.full((1, 3, 20, 20), 200.0)
    expected = 200.0 if name == "blur" else 0.0
    assert (parse(name)(flat) - expected).abs().max() < 1e-3


# --- color ---------------------------------------------------------------------------------------


def test_grayscale_is_the_weighted_mean_in_every_channel():
    image = images()
    weights = np.array([0.2989, 0.5870, 0.1140])
    expected = np.einsum("nchw,c->nhw", image.numpy().astype(float), weights)
    for channel in range(3):
        np.testing.assert_allclose(grayscale(image)[:, channel], expected, atol=1e-4)


@settings(max_examples=200, deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_color_rotation_is_hue_plus_half_a_turn(pixel):
    hue, saturation, value = colorsys.rgb_to_hsv(*(level / 255 for level in pixel))
    expected = colorsys.hsv_to_rgb((hue + 0.5) % 1, saturation, value)
    rotated = color_rotation(torch.tensor(pixel, dtype=torch.float64).view(1, 3, 1, 1)).flatten()
    np.testing.assert_allclose(rotated / 255, expected, atol=1e-9)


def test_a_gray_image_keeps_its_gray_under_color_transforms():
    gray = images(channels=1)
    assert torch.equal(color_rotation(gray), gray)
    assert torch.equal(grayscale(gray), gray)
    colored = gray.expand(-1, 3, -1, -1)
    assert torch.equal(color_rotation(colored), colored)


def test_color_of_two_channels_is_refused():
    for function in (grayscale, color_rotation):
        with pytest.raises(ValueError, match="1 or 3 channels; these have 2"):
            function(images(channels=2))


def test_inversions_undo_themselves():
    image = images().round()
    assert torch.equal(contrast_inversion(contrast_inversion(image)), image)
    assert torch.equal(color_rotation(color_rotation(image)), image)


# --- convolution ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1, 2, 4.5, 12])
@pytest.mark.parametrize("shape", [(17, 22), (70, 33), (1, 5)])
def test_blur_is_scipys_with_mirrored_borders(sigma, shape):
    image = images(2, 3, *shape, dtype=torch.float64)
    expected = scipy.ndimage.gaussian_filter(image.numpy(), (0, 0, sigma, sigma), mode="mirror")
    np.testing.assert_allclose(blur(image, sigma=sigma), expected, atol=1e-9)
    np.testing.assert_allclose(blur(image.float(), sigma=sigma), expected, atol=1e-3)


def test_blur_of_sigma_zero_changes_nothing_and_a_negative_one_is_refused():
    image = images()
    assert torch.equal(blur(image, sigma=0), image)
    for sigma in (-1, math.nan):
        with pytest.raises(ValueError, match="at least 0"):
            blur(image, sigma=sigma)


@pytest.mark.parametrize(
    ("function", "kernel"),
    [
        (horizontal_filter, HORIZONTAL),
        (vertical_filter, HORIZONTAL.T),
        (high_pass, HIGH_PASS),
    ],
)
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (17, 22)])
def test_filters_are_the_written_kernels_laid_on_a_mirrored_image(function, kernel, shape):
    image = images(2, 3, *shape).round()
    margin = len(kernel) // 2
    padded = np.pad(image.numpy(), [(0, 0), (0, 0), (margin,) * 2, (margin,) * 2], mode="reflect")
    expected = sum(
        kernel[i, j] * padded[:, :, i : i + shape[0], j : j + shape[1]]
        for i, j in np.ndindex(kernel.shape)
    )
    np.testing.assert_array_equal(function(image), expected)


def test_the_high_pass_kernel_is_the_papers():
    assert HIGH_PASS.sum() == 0
    assert HIGH_PASS[2].tolist() == HIGH_PASS[:, 2].tolist() == [-1, 2, 4, 2, -1]


@pytest.mark.parametrize(("function", "least"), [(horizontal_filter, 2), (high_pass, 3)])
def test_images_too_small_to_mirror_are_refused(function, least):
    with pytest.raises(ValueError, match=f"at least {least} x {least} pixels; these have 1 x 9"):
        function(images(height=1, width=9))


# --- geometry ------------------------------------------------------------------------------------


def test_quarter_turns_go_anticlockwise():
    image = images()
    np.testing.assert_array_equal(rot90(image), np.rot90(image, axes=(2, 3)))
    np.testing.assert_array_equal(rot180(image), np.rot90(image, 2, axes=(2, 3)))
    corner = torch.zeros(1, 1, 5, 5)
    corner[0, 0, 0, 4] = 1  # top right goes to top left
    assert rot90(corner)[0, 0, 0, 0] == 1


@pytest.mark.parametrize("turns", range(-4, 5))
def test_rotation_by_multiples_of_90_is_exact(turns):
    image = images()
    expected = np.rot90(image, turns, axes=(2, 3))
    np.testing.assert_array_equal(rotate(image, degrees=90.0 * turns), expected)


def turned(image, degrees):
    """Bilinear rotation pixel by pixel, as the formula says it."""
    height, width = image.shape
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    result = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            right, up = column - (width - 1) / 2, (height - 1) / 2 - row
            # The value at an anticlockwise-turned place is the one found by turning back.
            source_right = cosine * right + sine * up
            source_up = -sine * right + cosine * up
            y, x = (height - 1) / 2 - source_up, (width - 1) / 2 + source_right
            for i in (math.floor(y), math.floor(y) + 1):
                for j in (math.floor(x), math.floor(x) + 1):
                    if 0 <= i < height and 0 <= j < width:
                        weight = (1 - abs(y - i)) * (1 - abs(x - j))
                        result[row, column] += weight * image[i, j]
    return result


@pytest.mark.parametrize("degrees", [30, -17.5, 100, 345])
def test_rotation_is_bilinear_about_the_center_with_zeros_outside(degrees):
    image = images(3, 2, 12, 15, dtype=torch.float64)
    expected = [[turned(channel, degrees) for channel in one] for one in image.numpy()]
    np.testing.assert_allclose(rotate(image, degrees=degrees), expected, atol=1e-9)
    np.testing.assert_allclose(rotate(image.float(), degrees=degrees), expected, atol=1e-2)


def test_rotation_by_no_angle_at_all_is_refused():
    with pytest.raises(ValueError, match="finite number, not inf"):
        rotate(images(), degrees=math.inf)


@pytest.mark.parametrize("width", [2, 3, 8, 10, 15, 33])
def test_thinning_averages_areas_and_centers_them_between_zeros(width):
    image = images(2, 3, 5, width, dtype=torch.float64)
    thin = width // 2
    fine = np.repeat(image.numpy(), thin, axis=3)  # every pixel in `thin` equal parts
    expected = fine.reshape(2, 3, 5, thin, width).mean(-1)
    thinned = thinning(image)
    left = (width - thin) // 2
    np.testing.assert_allclose(thinned[..., left : left + thin], expected, atol=1e-9)
    assert not thinned[..., :left].any()
    assert not thinned[..., left + thin :].any()


# --- noise ---------------------------------------------------------------------------------------


def lowbias32(word):
    """C. Wellons' hash in numpy's unsigned arithmetic."""
    word = np.atleast_1d(word).astype(np.uint32)  # arrays wrap around where scalars warn
    word = word ^ (word >> np.uint32(16))
    word = word * np.uint32(0x7FEB352D)
    word = word ^ (word >> np.uint32(15))
    word = word * np.uint32(0x846CA68B)
    return word ^ (word >> np.uint32(16))


def seed_word(seed, use):
    word = lowbias32(lowbias32(use ^ (seed & 0xFFFFFFFF)) ^ np.uint32((seed >> 32) & 0xFFFFFFFF))
    return lowbias32(word)


def levels(seed, index, count):
    """The 16-bit levels of one image, straight from the definition."""
    low, high = np.uint32(index & 0xFFFFFFFF), np.uint32(index >> 32)
    key = lowbias32(lowbias32(lowbias32(high ^ np.uint32(0x2545F491)) ^ low) ^ seed_word(seed, 1))
    place = lowbias32(lowbias32(np.arange((count + 1) // 2)) ^ seed_word(seed, 2))
    word = (key ^ place) * np.uint32(0x7FEB352D)
    word = (word ^ (word >> np.uint32(15))) * np.uint32(0x846CA68B)
    word = word ^ (word >> np.uint32(16))
    return word.view(np.uint16)[:count]


@pytest.mark.parametrize("seed", [0, 1, 12345678901234567890])
@pytest.mark.parametrize("index", [0, 41, 2**40 + 3])
def test_noise_is_what_its_definition_says_bit_for_bit(seed, index):
    image = images(1, 3, 7, 5)
    at = torch.tensor([index])
    z = scipy.stats.norm.ppf((np.arange(65536) + 0.5) / 65536)
    z /= np.sqrt(np.mean(z**2))
    noise = (60 * z[levels(seed, index, 105)]).astype(np.float32).reshape(1, 3, 7, 5)
    expected = image.numpy() + noise
    np.testing.assert_allclose(
        white_noise(image, sigma=60, seed=seed, index=at), expected, atol=2e-5
    )
    level = levels(seed, index, 35).reshape(7, 5)
    expected = np.where(level < 9830, 255, np.where(level < 19660, 0, image.numpy()))
    given = salt_pepper(image, share=0.3, seed=seed, index=at)
    np.testing.assert_array_equal(given, expected.astype(np.float32))


def unit_noise(count=40, size=64, seed=0, index=None):
    return white_noise(torch.zeros(count, 3, size, size), sigma=1, seed=seed, index=index).double()


def correlation(first, second):
    """Correlation of two noises in units of its own standard error under independence."""
    return float((first * second).mean() * math.sqrt(first.numel()))


def test_white_noise_is_standard_normal():
    z = unit_noise().flatten()
    n = len(z)
    assert abs(z.mean()) * math.sqrt(n) < 4
    assert abs(z.square().mean() - 1) * math.sqrt(n / 2) < 4
    assert abs(z.pow(3).mean()) * math.sqrt(n / 15) < 4
    assert abs(z.pow(4).mean() - 3) * math.sqrt(n / 96) < 4
    assert scipy.stats.kstest(z[:20000].numpy(), "norm").pvalue > 1e-3


def test_white_noise_is_uncorrelated_in_space_channel_image_and_seed():
    z, other = unit_noise(), unit_noise(seed=1)
    pairs = {
        "right": (z[..., 1:], z[..., :-1]),
        "two to the right": (z[..., 2:], z[..., :-2]),
        "down": (z[:, :, 1:], z[:, :, :-1]),
        "channel": (z[:, 1:], z[:, :-1]),
        "image": (z[1:], z[:-1]),
        "next but one image": (z[2:], z[:-2]),
        "seed": (z, other),
        "seed and image": (z[1:], other[:-1]),
        "size": (z[1:].abs() - z.abs().mean(), z[:-1].abs() - z.abs().mean()),
        "size by seed": (z.abs() - z.abs().mean(), other.abs() - z.abs().mean()),
    }
    too_large = {name: correlation(*pair) for name, pair in pairs.items()}
    assert all(abs(value) < 4.5 for value in too_large.values()), too_large


def test_noise_is_as_independent_across_images_as_within_one():
    z = unit_noise(count=400, size=8)  # one value in each of many images, for 192 places
    values = z.flatten(1)
    means = values.mean(0) * math.sqrt(len(values))
    assert means.abs().max() < 4.5
    gram = (values.T @ values) / math.sqrt(len(values))
    off_diagonal = gram[~torch.eye(len(gram), dtype=torch.bool)]
    assert off_diagonal.abs().max() < 6  # of 36,672 pairs
    assert abs(off_diagonal.square().mean() - 1) < 0.05


def test_every_bit_of_the_noise_is_fair_and_changes_with_every_input_bit():
    from invtool.transforms._hashing import keys, places
    from invtool.transforms.noise import _halves

    def bits(seed, index):
        image = torch.zeros(len(index), 1, 1, 1)
        place = places(seed, 64, image.device)
        level = _halves(keys(seed, index, image), place)
        return (level[..., None] >> torch.arange(16)) & 1  # (image, half, bit)

    index = torch.arange(200)
    base = bits(5, index).double()
    error = 0.5 / math.sqrt(base[..., 0].numel())
    assert (base.mean((0, 1)) - 0.5).abs().max() < 4.5 * error
    for other in [bits(5, index ^ (1 << k)) for k in range(33)] + [
        bits(5 ^ (1 << k), index) for k in range(0, 64, 7)
    ]:
        flipped = (base != other).double().mean((0, 1))
        assert (flipped - 0.5).abs().max() < 5 * error


def test_salt_and_pepper_share_their_pixels_evenly():
    noisy = salt_pepper(torch.full((40, 3, 64, 64), 100.0), seed=4)
    position = noisy[:, 0]
    n = position.numel()
    for value, chance in ((0.0, 0.25), (255.0, 0.25), (100.0, 0.5)):
        share = (position == value).double().mean()
        assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / n)
    assert torch.equal(noisy[:, 0], noisy[:, 1])
    assert torch.equal(noisy[:, 0], noisy[:, 2])


@pytest.mark.parametrize("share", [0, 1])
def test_salt_and_pepper_at_the_ends_of_its_range(share):
    image = images().clamp(1, 254)
    changed = salt_pepper(image, share=share) != image
    assert bool(changed.all()) == bool(changed.any()) == bool(share)
    with pytest.raises(ValueError, match=r"chance in 0\.\.1, not 1\.1"):
        salt_pepper(image, share=1.1)


def test_noise_of_no_strength_changes_nothing_and_wrong_arguments_are_refused():
    image = images()
    assert torch.equal(white_noise(image, sigma=0), image)
    with pytest.raises(ValueError, match="at least 0, not -1"):
        white_noise(image, sigma=-1)
    for index in (torch.arange(2), torch.arange(3.0)):
        with pytest.raises(ValueError, match="one integer for each of the 3 images"):
            white_noise(image, sigma=1, index=index)


def test_noise_is_the_same_in_another_process_with_another_number_of_threads():
    code = (
        "import sys, torch; from invtool.transforms import parse; torch.set_num_threads(2);"
        "x = parse('white-noise+salt-pepper')(torch.zeros(9, 3, 64, 64), seed=2);"
        "sys.stdout.buffer.write(x.numpy().tobytes())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    here = parse("white-noise+salt-pepper")(torch.zeros(9, 3, 64, 64), seed=2)
    assert other == here.numpy().tobytes()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_computes_the_same(name):
    image = images(count=9, height=64, width=64)
    spec = parse(name)
    on_gpu = spec(image.cuda(), seed=3).cpu()
    if TRANSFORMS[name].family == "noise":
        assert torch.equal(on_gpu, spec(image, seed=3))
    else:
        assert torch.allclose(on_gpu, spec(image), atol=1e-2)


# --- the package ---------------------------------------------------------------------------------


def test_every_public_name_exists_and_no_other():
    for name in transforms.__all__:
        assert getattr(transforms, name) is not None
    assert set(transforms.__all__) <= set(dir(transforms))
    with pytest.raises(AttributeError, match="no attribute 'sharpen'"):
        transforms.sharpen  # noqa: B018


def modules_after(code):
    """The names of the modules that a fresh interpreter holds after `code`."""
    run = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return run.stdout.split()


def test_the_package_and_its_specs_load_without_torch():
    slow = {"torch", "numpy"}
    loaded = modules_after("from invtool.transforms import parse; parse('blur:sigma=2+rot90')")
    assert not slow & set(loaded)
    assert slow <= set(modules_after("from invtool.transforms import blur"))
