"""Pictures of sweeps: what each kind draws, in ink, in text and in numbers."""

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import CATEGORIES, write_sweep

from invtool.config import Plot
from invtool.errors import InvtoolError, UsageError
from invtool.plots import lines, rows
from invtool.plots.panels import Lines, Matrix
from invtool.stages import plot
from invtool.stages.plot_sources import describe


def drawn(path: Path, **config: object) -> Lines | Matrix:
    drawing = plot.draw(Plot(**config), describe(path)).drawing  # type: ignore[arg-type]
    assert isinstance(drawing, Lines | Matrix)
    return drawing


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "curves"),
        ({"transforms": 2}, "overview"),
        ({"networks": 2}, "overview"),
        ({"grid": True}, "heat"),
        ({"grid": True, "networks": 2}, "heat"),
    ],
)
@pytest.mark.parametrize("form", ["png", "text", "csv"])
def test_each_sweep_is_drawn_by_itself(
    options: dict[str, int], kind: str, form: str, tmp_path: Path
) -> None:
    path, output = write_sweep(tmp_path / "a.h5", **options), tmp_path / f"a.{form}"
    assert plot.choose(describe(path)) == kind
    plot.run(Plot(format=form, dpi=40), [path], output)
    assert output.stat().st_size > 100
    if form == "csv":
        with output.open() as file:
            assert len(list(csv.DictReader(file))) > 4


@pytest.mark.parametrize("low", [False, True])
def test_curves_are_the_numbers_of_the_file(low: bool, tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "a.h5")
    if low:
        with h5py.File(path, "r+") as raw:
            raw["softmax"][1, :, 1] = 0.001
    drawing = drawn(path, kind="curves", categories=("b*",))
    assert isinstance(drawing, Lines)
    (panel,) = drawing.panels
    with h5py.File(path) as raw:
        softmax, below = raw["softmax"][1], raw["side_threshold"][1]
        frames = raw["sample_frame"][0]
    order = np.argsort(-softmax.max(axis=0)).tolist()
    shown = [*order[:3], *([1] if order[3] == 1 else [])]  # its own line, high or not
    assert [line.name for line in panel.lines] == [*(CATEGORIES[n] for n in shown), "others"]
    for line, answer in zip(panel.lines, [*shown, order[3]], strict=True):
        assert [p.value for p in line.points] == softmax[:, answer].tolist()
    assert [mark.at for mark in panel.marks] == [-below[0], below[1]]
    assert [sample.place for sample in panel.samples] == [-30, 0, 30]
    np.testing.assert_array_equal(panel.samples[2].pixels, frames[2].transpose(1, 2, 0))
    assert {row["category"] for row in rows.rows(drawing)} == {"bob"}
    figure = lines.draw(drawing)
    assert len(figure.axes[0].child_axes) == 3
    low, high = figure.axes[0].get_xlim()
    assert low <= -30
    assert high >= 30


def test_without_a_name_those_are_drawn_that_are_right_and_give_way_first_and_last(
    tmp_path: Path,
) -> None:
    path = write_sweep(tmp_path / "a.h5")
    with h5py.File(path, "r+") as raw:
        raw["threshold"][:] = [30, 0, np.nan, 15]
    drawing = drawn(path, kind="curves")
    assert [panel.title for panel in drawing.panels] == ["di", "ann", "cy"]


def test_a_threshold_that_was_not_met_has_no_mark(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "a.h5")
    with h5py.File(path, "r+") as raw:
        raw["side_threshold"][1] = [np.nan, 15]
        raw["side_threshold"][2] = [0, 0]
    drawing = drawn(path, kind="curves", categories=("bob", "cy"))
    assert isinstance(drawing, Lines)
    assert [[mark.at for mark in panel.marks] for panel in drawing.panels] == [[15], [0]]


def test_networks_stand_side_by_side(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "a.h5", transforms=3, networks=2)
    drawing = drawn(path)
    assert isinstance(drawing, Lines)
    assert [panel.title for panel in drawing.panels] == ["rotate", "blur", "contrast"]
    assert [line.name for line in drawing.panels[0].lines] == ["0.st", "1.st"]
    with h5py.File(path) as raw:
        wanted = raw["transforms/blur/overall_accuracy"][1]
    assert [point.value for point in drawing.panels[1].lines[1].points] == wanted.tolist()


def test_a_map_has_the_second_magnitude_as_its_rows(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "a.h5", grid=True)
    drawing = drawn(path)
    assert isinstance(drawing, Matrix)
    (cells,) = drawing.panels
    assert list(cells.rows) == ["0.5", "1", "1.5"]
    assert list(cells.framed) == [(1, 2)]
    with h5py.File(path) as raw:
        np.testing.assert_array_equal(cells.values, raw["overall_accuracy"][()].T)
        own = raw["softmax"][3, ..., 3].T
    (cells,) = drawn(path, categories=("di",)).panels  # type: ignore[assignment]
    np.testing.assert_array_equal(cells.values, own)


def test_what_cannot_be_drawn_is_one_sentence(tmp_path: Path) -> None:
    line, grid = write_sweep(tmp_path / "a.h5"), write_sweep(tmp_path / "b.h5", grid=True)
    with pytest.raises(
        InvtoolError, match="has no image of a category zoe; it has ann, bob, cy, di"
    ):
        drawn(line, kind="curves", categories=("zoe",))
    with pytest.raises(UsageError, match="--kind heat draws two magnitudes"):
        drawn(line, kind="heat")
    for kind in ("curves", "overview"):
        with pytest.raises(UsageError, match=f"--kind {kind} draws one magnitude"):
            drawn(grid, kind=kind)
    with pytest.raises(UsageError, match="--kind overview draws no one category"):
        drawn(line, kind="overview", categories=("ann",))
    with pytest.raises(InvtoolError, match="holds sweep; --kind map draws jaggedness"):
        drawn(line, kind="map")
