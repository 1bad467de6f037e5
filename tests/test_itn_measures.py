"""The equations of the Invariant Transformer Net against loops and scipy, on numpy and on torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from invtool.measures import (
    boundary,
    boundary_interval,
    color_change,
    color_parts,
    controlled_loss,
    displacement,
    part_changes,
    part_displacements,
    projection_loss,
    spatial_matrix,
    spatial_parts,
)
from invtool.transforms import SpecError, parse
from invtool.transforms.affine import affine_color, affine_space

RNG = np.random.default_rng(0)
number = st.floats(-3, 3)
scale = st.floats(0.2, 3)


def test_the_loss_is_that_of_the_square_matrix() -> None:
    for rows in (2, 3):
        matrix = RNG.normal(size=(rows, rows + 1))
        vectors = RNG.normal(size=(7, rows + 1))
        square = np.vstack([matrix, np.eye(rows + 1)[-1]])
        looped = -np.mean([np.sum((square @ x - x) ** 2) for x in vectors])
        assert projection_loss(matrix, vectors) == pytest.approx(looped)
        k = np.array([0.25, 0.5])
        assert controlled_loss(k, matrix, vectors) == pytest.approx(0.75 * looped)
        tensors = [torch.from_numpy(array) for array in (k, matrix, vectors)]
        assert float(controlled_loss(*tensors)) == pytest.approx(0.75 * looped)


def test_the_identity_is_a_maximum_without_gradient() -> None:
    matrix = torch.eye(2, 3, requires_grad=True)
    loss = projection_loss(matrix, torch.randn(5, 3))
    loss.backward()
    assert loss.item() == 0
    assert not matrix.grad.any()


@given(number, number, st.floats(-179, 179), scale, scale, number)
@settings(max_examples=60, deadline=None)
def test_parts_make_the_matrix_again(
    right: float, down: float, degrees: float, x: float, y: float, shear: float
) -> None:
    parts = right, down, degrees, x, y, shear
    matrix = spatial_matrix(np.array(parts), 12, 20)
    assert np.allclose(spatial_parts(matrix, 12, 20), parts, atol=1e-6)


def test_displacement_is_the_mean_of_all_pixels() -> None:
    matrix = np.eye(2, 3) + 0.2 * RNG.normal(size=(2, 3))
    height, width = 5, 8
    ways = []
    for row in range(height):
        for column in range(width):
            x, y = (2 * column + 1) / width - 1, (2 * row + 1) / height - 1
            u, v = matrix @ [x, y, 1]
            ways.append(np.hypot((u - x) * width / 2, (v - y) * height / 2))
    assert displacement(matrix, height, width) == pytest.approx(np.mean(ways))
    assert displacement(np.eye(2, 3), height, width) == 0
    several = np.stack([matrix, np.eye(2, 3)])
    assert displacement(several, height, width).tolist() == pytest.approx([np.mean(ways), 0])


def test_a_part_alone_is_the_whole_of_its_own_matrix() -> None:
    turned = spatial_matrix(np.array([0.0, 0, 30, 1, 1, 0]), 9, 9)
    alone = part_displacements(turned, 9, 9)
    assert alone[2] == pytest.approx(displacement(turned, 9, 9))
    assert np.allclose(np.delete(alone, 2), 0, atol=1e-9)
    gone = spatial_parts(np.array([[1.0, 0, 0], [0, 0, 0]]), 9, 9)
    assert gone[4] == 0
    assert np.isnan(gone[5])


def test_colors_change_by_the_mean_of_all_values() -> None:
    matrix, colors = RNG.normal(size=(3, 4)), RNG.uniform(0, 255, (6, 3))
    changed = [np.abs(255 * (matrix @ [*(c / 255), 1]) - c).mean() for c in colors]
    assert color_change(matrix, colors) == pytest.approx(np.mean(changed))
    gain, mixing, brightness = color_parts(matrix)
    assert np.allclose(gain, np.diag(matrix[:, :3]))
    assert np.allclose(mixing + np.abs(gain), np.abs(matrix[:, :3]).sum(axis=1))
    assert np.allclose(brightness, 255 * matrix[:, 3])
    only = np.eye(3, 4)
    only[1, 3] = 0.2
    assert part_changes(only, colors).tolist() == pytest.approx([0, 0, 17])


def test_places_are_those_of_scipy() -> None:
    image = RNG.uniform(0, 255, (1, 1, 7, 10))
    matrix = np.eye(2, 3) + 0.2 * RNG.normal(size=(2, 3))
    rows, columns = np.mgrid[:7, :10]
    x, y = (2 * columns + 1) / 10 - 1, (2 * rows + 1) / 7 - 1
    u, v = (matrix[n, 0] * x + matrix[n, 1] * y + matrix[n, 2] for n in range(2))
    padded = np.pad(image[0, 0], 1)  # linear to zero within a pixel outside
    places = [((v + 1) * 7 - 1) / 2 + 1, ((u + 1) * 10 - 1) / 2 + 1]
    expected = map_coordinates(padded, places, order=1, mode="constant")
    found = affine_space(torch.from_numpy(image), torch.from_numpy(matrix))
    assert np.allclose(found[0, 0].numpy(), expected, atol=1e-9)


def test_what_a_person_reads_is_what_the_named_transforms_do() -> None:
    """A turn of 20 degrees, a shift and a zoom: the same pictures as rotate, translate-x and zoom."""
    image = torch.from_numpy(RNG.uniform(0, 255, (1, 3, 16, 16)))
    for parts, spec in (
        ([0, 0, 20, 1, 1, 0], "rotate:degrees=20"),
        ([4, 0, 0, 1, 1, 0], "translate-x:share=0.25"),
        ([0, 0, 0, 1.5, 1.5, 0], "zoom:factor=1.5"),
    ):
        matrix = torch.from_numpy(spatial_matrix(np.array(parts, float), 16, 16))
        assert torch.allclose(affine_space(image, matrix), parse(spec)(image), atol=1e-6), spec
    brighter = torch.eye(3, 4, dtype=torch.float64)
    brighter[:, 3] = 0.25
    assert torch.allclose(affine_color(image, brighter), parse("brightness:share=0.25")(image))


def test_a_boundary_is_where_accuracy_first_falls() -> None:
    magnitude = np.array([0.0, 1, 2, 3])
    curves = np.array([[1, 0.9, 0.5, 1.0], [1, 1, 1, 1], [1, 0.2, np.nan, np.nan]])
    where, fell = boundary(curves, magnitude, 0.8)
    assert where.tolist() == pytest.approx([1.25, 3, 0.25])
    assert fell.tolist() == [True, False, True]
    assert np.isnan(boundary_interval(np.ones((4, 1)), magnitude, 0.9)).all()
    sure = np.concatenate([np.ones((2, 50)), np.zeros((2, 50))])
    assert boundary_interval(sure, magnitude, 0.5, resamples=50).tolist() == [1.5, 1.5]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("itn:a.st", "itn:a.st,k1=0/0,k2=0/0"),
        ("itn:a.st,k1=0.5,0", "itn:a.st,k1=0.5/0,k2=0/0"),
        ("itn:a/b.st,k1=0.5/0,k2=1,1,start=2", "itn:a/b.st,k1=0.5/0,k2=1/1,start=2"),
        ("blur+itn:a.st,k2=1/0", "blur:sigma=2+itn:a.st,k1=0/0,k2=1/0"),
    ],
)
def test_a_pair_is_written_with_a_slash_or_a_comma(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)
    assert parse(text).steps[-1].files == [text.partition("itn:")[2].partition(",")[0]]


@pytest.mark.parametrize(
    "text", ["itn", "itn:", "itn:k1=0/0", "itn:a.st,k1=0,0,0", "itn:a.st,k1=x/0"]
)
def test_a_spec_without_a_file_or_with_no_pair_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        parse(text)
