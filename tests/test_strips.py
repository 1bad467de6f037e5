"""Strips of a layer's values: what is put is what is got, in memory and in a file."""

import tempfile
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from invtool.stages._strips import Strips


@given(
    st.integers(1, 6),
    st.integers(1, 20),
    st.integers(1, 8),
    st.sampled_from([torch.float16, torch.float32]),
    st.booleans(),
    st.integers(1, 4),
)
def test_what_is_put_in_any_parts_is_what_is_got(
    images: int, units: int, width: int, dtype: torch.dtype, on_disk: bool, together: int
) -> None:
    values = torch.randn(images, units).to(dtype)
    with tempfile.TemporaryFile() as file:
        place: torch.Tensor | BinaryIO = (
            file if on_disk else torch.full((images * units,), float("nan"), dtype=dtype)
        )
        strips = Strips(images, units, width, dtype, place, start=8 if on_disk else 0)
        for first in range(0, images, together):
            rows = slice(first, min(first + together, images))
            for part in strips:
                strips.put(part, rows, values[rows, part].float())
        found = torch.cat([strips.get(part) for part in strips], dim=1)
    assert torch.equal(found, values)


def test_layers_of_one_file_do_not_overlap() -> None:
    with tempfile.TemporaryFile() as file:
        one = Strips(3, 5, 2, torch.float32, file)
        two = Strips(3, 4, 2, torch.float16, file, start=3 * 5 * 4)
        for strips, value in ((one, 1.0), (two, 2.0)):
            for part in strips:
                filled = torch.full((3, part.stop - part.start), value)
                strips.put(part, slice(0, 3), filled)
        assert all((one.get(part) == 1).all() for part in one)
        assert all((two.get(part) == 2).all() for part in two)


def test_a_disk_that_fills_is_an_error() -> None:
    with (
        Path("/dev/full").open("r+b", buffering=0) as file,
        pytest.raises(OSError, match="No space"),
    ):
        strips = Strips(1, 4, 4, torch.float32, file)  # type: ignore[arg-type]
        strips.put(slice(0, 4), slice(0, 1), torch.ones(1, 4))
