"""The drawn data sets: what an image depends on, what tells categories apart, and what does not."""

import hashlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from invtool.data import drawing, faces, objects

Array = NDArray[Any]
CATEGORIES, TRAINING, TEST = 100, 20, 5


@pytest.fixture(params=[faces, objects], ids=["faces", "objects"], scope="module")
def drawn(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


@pytest.fixture(scope="module")
def images(drawn: ModuleType) -> Array:
    """(category, example, channel, height, width), 0..255."""
    category, example = np.indices((CATEGORIES, TRAINING + TEST)).reshape(2, -1)
    return drawn.draw(category, example).reshape(CATEGORIES, -1, 3, 32, 32)


@pytest.mark.parametrize("size", [16, 32, 33, 64, 128, 224])
def test_any_size_gives_uint8_color_images(drawn: ModuleType, size: int) -> None:
    image = drawn.draw(np.array([0, 999]), np.array([0, 69]), size=size)
    assert image.shape == (2, 3, size, size)
    assert image.dtype == np.uint8
    assert image.std(axis=(1, 2, 3)).min() > 10


def test_no_images_are_no_error(drawn: ModuleType) -> None:
    assert drawn.draw(np.array([], int), np.array([], int)).shape == (0, 3, 32, 32)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_an_image_does_not_depend_on_its_batch(data: st.DataObject) -> None:
    drawn = data.draw(st.sampled_from([faces, objects]))
    numbers = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 70)), min_size=1, max_size=40)
    category, example = np.array(data.draw(numbers)).T
    together = drawn.draw(category, example)
    one = data.draw(st.integers(0, len(category) - 1))
    np.testing.assert_array_equal(drawn.draw(category[[one]], example[[one]])[0], together[one])
    np.testing.assert_array_equal(drawn.draw(category[::-1], example[::-1])[::-1], together)


def test_seed_category_and_example_each_change_the_image(drawn: ModuleType) -> None:
    def one(category: int, example: int, seed: int) -> Array:
        return drawn.draw(np.array([category]), np.array([example]), seed=seed).astype(float)

    base = one(3, 4, 0)
    for other in (one(4, 3, 0), one(4, 4, 0), one(3, 5, 0), one(3, 4, 1), one(3, 4, -1)):
        assert np.abs(base - other).mean() > 5


def test_thousand_categories_are_all_different(drawn: ModuleType) -> None:
    image = drawn.draw(np.arange(1000), np.zeros(1000, int), size=16)
    assert len({each.tobytes() for each in image}) == 1000
    assert len(set(drawn.category_names(1000))) == 1000


def test_a_larger_picture_shows_the_same(drawn: ModuleType) -> None:
    category, example = np.arange(20), np.arange(20)
    small = drawn.draw(category, example, size=32).astype(float)
    large = drawn.draw(category, example, size=128).astype(float)
    pooled = large.reshape(20, 3, 32, 4, 32, 4).mean(axis=(3, 5))
    pairs = zip(small, pooled, strict=True)
    assert min(np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs) > 0.85
    assert np.corrcoef(small[0].ravel(), pooled[1].ravel())[0, 1] < 0.85


def test_categories_differ_more_than_their_examples(images: Array) -> None:
    """F, the variance between over that within categories (1 by chance): median of the middle pixels."""
    gray = _standardized_gray(images)
    within = gray.var(axis=1, ddof=1).mean(axis=0)
    between = gray.mean(axis=1).var(axis=0, ddof=1) * gray.shape[1]
    assert np.median((between / within)[8:24, 8:24]) > 1.5


def _standardized_gray(images: Array) -> Array:
    """(..., height, width) of mean 0 and variance 1."""
    gray = images.astype(float).mean(axis=-3)
    gray -= gray.mean(axis=(-1, -2), keepdims=True)
    return gray / gray.std(axis=(-1, -2), keepdims=True)


def test_color_alone_does_not_tell_the_category(images: Array) -> None:
    features = _color_features(images.reshape(-1, 3, 32, 32)).reshape(
        CATEGORIES, TRAINING + TEST, -1
    )
    training, test = features[:, :TRAINING], features[:, TRAINING:]
    assert 0.01 < _nearest_mean_accuracy(training, test) < 0.25
    assert 0.01 < _regression_accuracy(training, test) < 0.25


def test_color_classifiers_can_succeed() -> None:
    """The bound above means something: plain patches of 100 colors are all told apart."""
    levels = np.stack(np.meshgrid(*[np.linspace(10, 245, 5)] * 3), axis=-1).reshape(-1, 3)[
        :CATEGORIES
    ]
    noise = np.random.default_rng(0).normal(0, 3, (CATEGORIES, TRAINING + TEST, 3, 8, 8))
    patches = (levels[:, None, :, None, None] + noise).clip(0, 255).astype(np.uint8)
    features = _color_features(patches.reshape(-1, 3, 8, 8)).reshape(
        CATEGORIES, TRAINING + TEST, -1
    )
    training, test = features[:, :TRAINING], features[:, TRAINING:]
    assert _nearest_mean_accuracy(training, test) > 0.9
    assert _regression_accuracy(training, test) > 0.9


def _color_features(images: Array) -> Array:
    """Channel means and spreads, roots of a 4 x 4 x 4 histogram; standardized (image, feature)."""
    values = images.reshape(len(images), 3, -1)
    bins = values // 64
    code = bins[:, 0] * 16 + bins[:, 1] * 4 + bins[:, 2]
    histogram = np.stack([(code == each).mean(axis=1) for each in range(64)], axis=1)
    features = np.concatenate([values.mean(axis=2), values.std(axis=2), np.sqrt(histogram)], axis=1)
    return (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)


def _nearest_mean_accuracy(training: Array, test: Array) -> float:
    means = training.mean(axis=1)
    squares = ((test[:, :, None] - means) ** 2).sum(axis=3)
    return float((squares.argmin(axis=2) == np.arange(len(means))[:, None]).mean())


def _regression_accuracy(training: Array, test: Array) -> float:
    """Ridge regression onto indicators, with one weight decay that suits both sets."""
    categories, examples, count = training.shape
    x = training.reshape(-1, count)
    target = np.repeat(np.eye(categories), examples, axis=0) - 1 / categories
    weights = np.linalg.solve(x.T @ x + len(x) * 0.01 * np.eye(count), x.T @ target)
    return float(((test @ weights).argmax(axis=2) == np.arange(categories)[:, None]).mean())


@pytest.mark.parametrize("axes", [-1, -2, (-1, -2)], ids=["mirrored", "flipped", "rot180"])
def test_a_category_is_not_its_mirror_image(
    drawn: ModuleType, axes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All seen alike but for background, color and noise: so flips change what is seen."""
    middles = {name: ((low + high) / 2,) * 2 for name, (low, high) in drawn.OCCASION.items()}
    monkeypatch.setattr(drawn, "OCCASION", middles)
    category, example = np.indices((30, 20)).reshape(2, -1)
    gray = _standardized_gray(drawn.draw(category, example).reshape(30, 20, 3, 32, 32))
    one, other = gray[:, ::2].mean(axis=1), gray[:, 1::2].mean(axis=1)

    def difference(image: Array) -> Array:
        return ((one - image) ** 2)[:, 9:22, 9:23].mean(axis=(1, 2))

    ratio = difference(np.flip(other, axes)) / difference(other)
    assert np.median(ratio) > 5
    assert (ratio > 2).mean() > 0.85


def test_objects_are_named_after_what_they_show() -> None:
    for number, name in enumerate(objects.category_names(50, seed=3)):
        texture, family, last = name.split("-")
        assert texture in objects.TEXTURES
        assert family in objects.FAMILIES
        assert int(last) == number


def test_another_seed_draws_other_people() -> None:
    assert faces.category_names(5) == faces.category_names(7)[:5]
    assert not set(faces.category_names(50)) & set(faces.category_names(50, seed=1))


@pytest.mark.parametrize(
    ("categories", "index", "size", "message"),
    [
        ([1, 2], [1], 32, "one length"),
        ([[1]], [[1]], 32, "one length"),
        ([-1], [0], 32, "0 or more"),
        ([0], [-1], 32, "0 or more"),
        ([0], [0], 15, "at least 16"),
    ],
)
def test_impossible_requests_are_refused(
    drawn: ModuleType, categories: list[Any], index: list[Any], size: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        drawn.draw(np.array(categories), np.array(index), size=size)


@pytest.mark.parametrize("family", range(len(objects.FAMILIES)))
def test_every_family_fills_a_fair_part_and_stays_in_its_radius(family: int) -> None:
    form = drawing.vary(drawing.keys(0, np.arange(200)), objects.FORM)
    across, down = drawing.grid(64)
    x, y = (1.6 * across + 0 * down).repeat(200, 0), (1.6 * down + 0 * across).repeat(200, 0)
    inside = list(objects.FAMILIES.values())[family](x, y, form) < 0
    area = inside.mean(axis=(1, 2)) * 3.2**2
    assert area.min() > 0.3
    assert area.max() < 3.5
    assert np.sqrt(x * x + y * y)[inside].max() < 1.45


@pytest.mark.parametrize("texture", range(len(objects.TEXTURES)))
def test_every_texture_shows_both_colors(texture: int) -> None:
    form = drawing.vary(drawing.keys(0, np.arange(200)), objects.FORM)
    across, down = drawing.grid(64)
    x, y = (1.8 * across + 0 * down).repeat(200, 0), (1.8 * down + 0 * across).repeat(200, 0)
    share = (list(objects.TEXTURES.values())[texture](x, y, form) + form.share > 0).mean(
        axis=(1, 2)
    )
    assert share.min() > 0.1
    assert share.max() < 0.9


def test_approximate_sine_and_angle_are_close() -> None:
    turns = np.linspace(-3, 3, 1001, dtype=np.float32)
    np.testing.assert_allclose(drawing.sine(turns), np.sin(2 * np.pi * turns), atol=2e-3)
    np.testing.assert_allclose(drawing.cosine(turns), np.cos(2 * np.pi * turns), atol=2e-3)
    x, y = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    np.testing.assert_allclose(drawing.angle(x, y), np.arctan2(y, x) / (2 * np.pi), atol=2e-3)


def test_random_numbers_are_even_and_uncorrelated() -> None:
    key = drawing.keys(0, np.arange(20000))
    numbers = np.concatenate(
        [drawing.uniform(key, 3), drawing.uniform(drawing.branch(key, "other"), 3)], axis=1
    )
    np.testing.assert_allclose(numbers.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(numbers.var(axis=0), 1 / 12, atol=0.003)
    np.testing.assert_allclose(np.corrcoef(numbers.T), np.eye(6), atol=0.03)
    assert np.abs(np.corrcoef(numbers[1:, 0], numbers[:-1, 0])[0, 1]) < 0.03


def test_distances_are_exact_where_geometry_says() -> None:
    x, y = np.float32([2, 0, 3]), np.float32([0, 0, 4])
    np.testing.assert_allclose(drawing.ellipse(x, y, 1, 1)[[0, 2]], [1, 4], rtol=1e-5)
    np.testing.assert_allclose(drawing.box(x, y, 1, 1, 0), [1, -1, np.sqrt(13)], rtol=1e-6)
    np.testing.assert_allclose(drawing.cover(np.float32([-1, 0, 0.25, 1]), 1), [1, 0.5, 0.25, 0])


@pytest.mark.parametrize(
    ("drawn", "digest"),
    [(faces, "9bba1f9c0c071f29"), (objects, "124cf572865a2228")],
    ids=["faces", "objects"],
)
def test_pixels_are_the_same_on_every_machine(drawn: ModuleType, digest: str) -> None:
    """Exact, since only correctly rounded operations draw; goes with the drawing."""
    image = drawn.draw(np.arange(40), np.arange(40))
    assert hashlib.sha256(image.tobytes()).hexdigest()[:16] == digest
