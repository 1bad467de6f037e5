"""Pictures of sensitivity and smoothness: what is a line, what a panel, and what a band."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import STEPS, write_deformation, write_smoothness
from small import Run, runner

from invtool.config import Plot
from invtool.files import hdf5
from invtool.plots.panels import Lines
from invtool.stages import plot
from invtool.stages.plot_sources import describe
from invtool.stages.plot_stability import _looks

LAYERS = ["input", "conv1", "fc"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    return runner(capfd)


def deformation(
    path: Path,
    labels: Sequence[str],
    *,
    trained: int = 1,
    steps: Sequence[int] | None = None,
    transfer: Any = None,
) -> Path:
    """The sensitivity of network n at layer l is 0.1 (n + 1) (l + 1), its worst twice as much."""
    count = len(labels)
    found = 0.1 * np.outer(np.arange(1, count + 1), np.arange(1, 4))
    two, three = ("seed", "layer"), ("seed", "layer", "bound")
    with hdf5.create(path, "deformation", STEPS[:1]) as out:
        out.attribute("distance", "cosine")
        out.array("network", [f"{n}.st" for n in range(count)], ("seed",))
        out.array("label", list(labels), ("seed",))
        out.array("step", np.array(steps or [-1] * count), ("seed",))
        out.array("trained", np.full(count, trained, np.uint8), ("seed",))
        out.array("layer", LAYERS, ("layer",))
        out.array("bound", ["lower", "upper"], ("bound",))
        out.array("axis", ["vertical", "horizontal"], ("axis",))
        out.array("sensitivity", found, two)
        out.array("interval", found[..., None] * np.array([0.9, 1.1]), three)
        out.array("median", np.ones_like(found), two)
        out.array("distance", np.ones((count, 1, 1, 3)), ("seed", "draw", "image", "layer"))
        out.array("displacement", np.zeros((1, 1, 4, 2)), ("draw", "image", "point", "axis"))
        out.array("worst", 2 * found, two)
        if transfer is not None:
            out.array("transfer", np.array(transfer), ("seed", "seed_of", "layer"))
    return path


def drawn(*files: Path, **config: Any) -> Lines:
    results = [result for file in files for result in describe(file)]
    drawing = plot.draw(Plot(**config), results).drawing
    assert isinstance(drawing, Lines)
    return drawing


def names(drawing: Lines) -> list[list[str]]:
    return [[line.name for line in panel.lines] for panel in drawing.panels]


def test_seeds_are_one_line_in_a_band_of_two_deviations(tmp_path: Path) -> None:
    file = deformation(tmp_path / "a.h5", ["blocks, p", "blocks, p", "blocks:strided, p"])
    (panel,) = drawn(file).panels
    first, second = panel.lines
    assert (first.name, second.name) == ("blocks", "strided")
    assert [point.place for point in first.points] == LAYERS
    reach = 2 * np.std([0.1, 0.2], ddof=1)
    point = first.points[0]
    assert (point.value, point.low, point.high) == pytest.approx((0.15, 0.15 - reach, 0.15 + reach))
    assert (second.points[2].value, second.points[2].low) == pytest.approx((0.9, 0.81))


def test_untrained_and_trained_networks_have_panels_on_one_axis(tmp_path: Path) -> None:
    before = deformation(tmp_path / "before.h5", ["a, p, untrained"], trained=0)
    after = deformation(tmp_path / "after.h5", ["a, p"])
    drawing = drawn(before, after)
    assert [panel.title for panel in drawing.panels] == ["at initialization", "after training"]
    assert names(drawing) == [["mean"], ["mean"]]
    many = deformation(tmp_path / "many.h5", ["a, p", "b, p"], trained=0)
    drawing = drawn(many, deformation(tmp_path / "four.h5", ["a, p"] * 4))
    assert [p.title for p in drawing.panels] == [
        "many.h5, at initialization",
        "four.h5, after training",
    ]
    low, high = (drawing.limits(panel) for panel in drawing.panels)
    assert low == high and high[1] > 1


def test_what_a_panel_has_in_common_is_in_its_title_and_colors_are_alike(tmp_path: Path) -> None:
    true = deformation(tmp_path / "true.h5", ["a, p, x", "b, p, x"])
    random = deformation(
        tmp_path / "random.h5", ["a, p, x, random labels", "b, p, x, random labels"]
    )
    drawing = drawn(true, random)
    assert [panel.title for panel in drawing.panels] == [
        "true.h5, after training",
        "random.h5, random labels, after training",
    ]
    assert names(drawing) == [["a", "b"], ["a", "b"]]
    looks = [[line.look for line in panel.lines] for panel in drawing.panels]
    assert looks[0] == looks[1] and looks[0][0] != looks[0][1]
    assert [line.facts["panel"] for panel in drawing.panels for line in panel.lines] == (
        ["true.h5"] * 2 + ["random.h5, random labels"] * 2
    )


def test_architectures_stay_names_of_lines_where_each_file_has_one(tmp_path: Path) -> None:
    files = [deformation(tmp_path / f"{name}.h5", [f"{name}, p"] * 2) for name in ("a", "b")]
    assert names(drawn(*files)) == [["a"], ["b"]]


def test_files_of_one_name_have_panels_of_their_own(tmp_path: Path) -> None:
    files = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        files.append(deformation(tmp_path / folder / "a.h5", ["a, p", "b, p"]))
    titles = [panel.title for panel in drawn(*files).panels]
    assert titles == [f"{file}, after training" for file in files]


def test_the_worst_stands_beside_the_average_and_what_is_worst_for_others(tmp_path: Path) -> None:
    transfer = np.arange(12.0).reshape(2, 2, 3)
    file = deformation(tmp_path / "a.h5", ["a, p", "b, p"], transfer=transfer)
    (panel,) = drawn(file, kind="worst").panels
    assert [line.name for line in panel.lines[:3]] == [
        "a, average",
        "a, worst",
        "a, worst for another network",
    ]
    assert [point.value for point in panel.lines[1].points] == pytest.approx([0.2, 0.4, 0.6])
    assert [point.value for point in panel.lines[2].points] == [3, 4, 5]
    assert [point.value for point in panel.lines[5].points] == [6, 7, 8]


def test_smoothness_has_its_initial_value_and_leaves_out_what_cannot_vary(tmp_path: Path) -> None:
    drawing = drawn(write_smoothness(tmp_path / "a.h5"))
    mean, initial = drawing.panels[0].lines
    assert [point.place for point in mean.points] == ["conv1", "conv2"]
    assert [point.value for point in mean.points] == pytest.approx([1.807, 1.857])
    assert [point.value for point in initial.points] == [1.857, 1.857]
    assert initial.points[0].low == pytest.approx(1.757)
    assert drawing.limits(drawing.panels[0])[0] > 1


def test_checkpoints_are_a_trajectory_a_line_a_layer(tmp_path: Path) -> None:
    file = write_smoothness(tmp_path / "a.h5", steps=(0, 100, 10, -1))
    drawing = drawn(file)
    assert drawing.xlabel == "training step"
    assert names(drawing) == [["conv1", "conv2"]]
    first, second = drawing.panels[0].lines
    assert [point.place for point in first.points] == [0, 10, 100]
    assert [point.value for point in first.points] == pytest.approx([1.857, 1.657, 1.757])
    assert [point.defined for point in second.points] == [True, True, False]
    assert [mark.at for mark in drawing.panels[0].marks] == [1.857]


def test_recipes_have_panels_of_their_own_over_training(tmp_path: Path) -> None:
    labels = ["a, p", "a, p", "b, p", "b, p"]
    drawing = drawn(deformation(tmp_path / "a.h5", labels, steps=[0, 5, 0, 5]))
    assert [panel.title for panel in drawing.panels] == ["a", "b"]
    assert names(drawing) == [LAYERS, LAYERS]
    assert not drawing.panels[0].marks


def test_numbers_are_drawn_from_light_to_dark_in_their_order() -> None:
    looks = _looks(["init-smooth 2", "blocks", "init-smooth 0.5"])
    assert list(looks) == ["blocks", "init-smooth 0.5", "init-smooth 2"]
    assert looks["init-smooth 2"].color == "#440154"
    assert _looks(["3 of blur", "3 of rot90"])["3 of blur"].color == "#0072B2"
    assert list(_looks(["one"])) == ["one"]


@pytest.mark.parametrize("form", ["png", "svg", "text", "csv", "json"])
@pytest.mark.parametrize("kind", ["deformation", "worst", "smoothness", "trajectory"])
def test_every_kind_takes_every_form(run: Run, kind: str, form: str) -> None:
    if kind == "trajectory":
        write_smoothness(Path("a.h5"), steps=(0, 10))
    elif kind == "smoothness":
        write_smoothness(Path("a.h5"))
    else:
        write_deformation(Path("a.h5"))
    code, _, err = run(f"plot a.h5 --kind {kind} -f {form} -o picture")
    assert (code, err) == (0, "")
    if form == "json":
        assert json.loads(Path("picture").read_text())["rows"]
    assert Path("picture").stat().st_size > 100


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("smooth.h5 --kind deformation", "holds smoothness; --kind deformation draws deformation"),
        ("deform.h5 --kind smoothness", "holds deformation; --kind smoothness draws smoothness"),
        ("smooth.h5 --kind trajectory", "holds no checkpoint"),
        ("plain.h5 --kind worst", "holds no worst case"),
        ("smooth.h5 --layer fc9", "no layer 'fc9'"),
        ("smooth.h5 --layer shortcut", "nothing to draw"),
        ("smooth.h5 --group seen", "leave out --group"),
        ("smooth.h5 deform.h5", "--kind"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(run: Run, line: str, sentence: str) -> None:
    write_smoothness(Path("smooth.h5"))
    deformation(Path("deform.h5"), ["a, p"])
    with hdf5.open(deformation(Path("plain.h5"), ["a, p"])):
        pass
    import h5py

    with h5py.File("plain.h5", "a") as file:
        del file["worst"]
    code, out, err = run(f"plot {line} -o a.png")
    assert code in (1, 2) and out == ""
    assert sentence in err and len(err.splitlines()) == 1
