"""`invtool plot`: from files to a picture, through the command line and its pipes."""

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import (
    INVTOOL,
    Runner,
    write_activations,
    write_bias,
    write_images,
    write_jaggedness,
    write_shiftability,
)
from PIL import Image
from plot_files import (
    LAYERS,
    MEASURED,
    TAUS,
    write_ablation,
    write_calibration,
    write_evaluation,
    write_invariance,
    write_jagged,
)
from scipy import stats
from small import runner

from invtool.config import Plot
from invtool.errors import InvtoolError, UsageError
from invtool.files import hdf5, provenance
from invtool.plots.panels import Plane
from invtool.stages import plot
from invtool.stages.plot_networks import Picture

MAGIC = {"pdf": b"%PDF-", "svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network; three numbers of seen categories, two seeds each; a deep one that knows no groups."""
    at = tmp_path_factory.mktemp("results")
    write_invariance(at / "one.h5")
    for seen in (0, 50, 100):
        for seed in (0, 1):
            transforms = ("blur:sigma=2", "rot180")
            write_invariance(at / f"{seen}-{seed}.h5", seen=seen, seed=seed, transforms=transforms)
    write_invariance(at / "foreign.h5", seen=None, split=False, accuracy=False)
    return at


def networks(folder: Path) -> list[Path]:
    return [folder / f"{seen}-{seed}.h5" for seen in (0, 50, 100) for seed in (0, 1)]


def picture(config: Plot, *paths: Path) -> Any:
    """What is drawn of these files."""
    return drawn(config, *paths).drawing


def drawn(config: Plot, *paths: Path) -> Picture:
    return plot.draw(config, plot.distinct([r for path in paths for r in plot.describe(path)]))


def stored(path: Path, layer: str, transform: int, group: int) -> np.ndarray:
    with hdf5.open(path) as file:
        return file.array(f"layers/{layer}/invariance")[transform, group].ravel()


def test_one_network_is_drawn_by_layer(folder: Path) -> None:
    (panel,) = picture(Plot(), folder / "one.h5").panels
    assert panel.title == "blur:sigma=2"
    assert panel.labels == list(LAYERS)
    for at, layer in enumerate(LAYERS):
        for group, name in ((1, "seen"), (2, "unseen")):
            expected = stored(folder / "one.h5", layer, 0, group)
            np.testing.assert_array_equal(panel.samples[name][at], expected)


def test_networks_that_saw_different_numbers_are_drawn_by_number(folder: Path) -> None:
    found = drawn(Plot(), *reversed(networks(folder)))
    assert [panel.title for panel in found.drawing.panels] == ["blur:sigma=2, fc", "rot180, fc"]
    assert found.drawing.xlabel == "number of seen categories of 100"
    assert "6 networks" in " ".join(found.notes)
    panel = found.drawing.panels[1]
    assert panel.labels == ["0", "50", "100"]
    pooled = [stored(folder / f"50-{seed}.h5", "fc", 1, 2) for seed in (0, 1)]
    np.testing.assert_array_equal(np.sort(panel.samples["unseen"][1]), np.sort(np.ravel(pooled)))
    assert np.isnan(panel.samples["seen"][0]).all()


def test_one_layer_under_several_transforms_is_drawn_by_transform(tmp_path: Path) -> None:
    file = write_invariance(tmp_path / "a.h5", transforms=("a", "b"), layers={"fc": (9,)})
    (panel,) = picture(Plot(), file).panels
    assert (panel.title, panel.labels) == ("fc", ["a", "b"])
    np.testing.assert_array_equal(panel.samples["seen"][1], stored(file, "fc", 1, 1))


def test_without_seen_categories_all_images_are_drawn(folder: Path) -> None:
    (panel,) = picture(Plot(), folder / "foreign.h5").panels
    assert set(panel.samples) == {"all"}
    (panel,) = picture(Plot(group="unseen"), folder / "one.h5").panels
    assert set(panel.samples) == {"unseen"}


def test_layers_are_chosen_by_name_pattern_and_word(folder: Path) -> None:
    def labels(*patterns: str) -> list[str]:
        return list(picture(Plot(layers=patterns), folder / "one.h5").panels[0].labels)

    assert labels("conv*") == ["conv1", "conv2"]
    assert labels("fc", "conv1") == ["conv1", "fc"]
    assert labels("penultimate") == ["fc"]
    assert labels("all") == list(LAYERS)


def test_active_shares_are_of_images_and_of_units(folder: Path) -> None:
    images, units = picture(Plot(kind="active"), folder / "one.h5").panels
    with hdf5.open(folder / "one.h5") as file:
        counts = file.array("layers/conv1/active_images")[0, 0].ravel()
        active = file.array("layers/conv1/active_units")[0]
        seen = file.array("seen").astype(bool)
    np.testing.assert_allclose(images.samples["all"][0], 100 * counts / 60)
    np.testing.assert_allclose(units.samples["all"][0], 100 * active / 100)
    _, units = picture(Plot(kind="active", group="seen"), folder / "one.h5").panels
    np.testing.assert_allclose(units.samples["seen"][0], 100 * active[seen] / 100)


def numbers(panel: Plane) -> dict[str, list[float]]:
    """The defined numbers of each line of a panel."""
    return {line.name: [p.value for p in line.points if p.defined] for line in panel.lines}


def test_accuracy_is_within_and_across(folder: Path) -> None:
    blur, rotation = picture(Plot(kind="accuracy"), *networks(folder)).panels
    assert [p.place for p in blur.lines[0].points] == [0, 50, 100]
    assert numbers(blur)["within"] == pytest.approx([1, 0.95, 0.9])
    assert numbers(rotation)["across"] == pytest.approx([0.1, 0.3, 0.5])
    assert numbers(blur)["clean"] == pytest.approx([0.95] * 3)
    assert [len(p.each) for p in blur.lines[1].points] == [2, 2, 2]


def test_accuracy_is_counted_from_the_predictions_of_an_activations_file(tmp_path: Path) -> None:
    file = write_activations(tmp_path / "a.h5")  # label 0 is right; 0 and 1 of 4 are seen
    (panel,) = picture(Plot(), file).panels
    assert numbers(panel) == {"within": [0.5], "across": [0.0], "clean": [0.25]}
    assert panel.places() == ["blur"]


def test_accuracy_without_seen_categories_is_of_all_images(tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "a.h5", "activations", []) as out:
        out.array("condition", ["none", "blur"], ("condition",))
        out.array("label", np.arange(4), ("image",))
        out.array("prediction", np.array([[0, 1, 2, 3], [0, 0, 0, 3]]), ("condition", "image"))
        out.array("layers/fc/activation", np.ones((2, 4, 3)), ("condition", "image", "unit"))
    (panel,) = picture(Plot(), tmp_path / "a.h5").panels
    assert numbers(panel) == {"all": [0.5], "clean": [1.0]}


def test_one_network_has_its_interval_and_several_have_their_extent(tmp_path: Path) -> None:
    trained = {"transforms": ("blur",), "trained": "blur", "more": True}
    one = write_invariance(tmp_path / "0.h5", seen=10, **trained)
    two = [write_invariance(tmp_path / f"{s}.h5", seen=50, seed=s, **trained) for s in (1, 2)]
    found = drawn(Plot("accuracy"), one, *two)
    (panel,) = found.drawing.panels
    alone, both = panel.lines[1].points
    assert (alone.low, alone.high) == pytest.approx((alone.value - 0.05, alone.value + 0.04))
    assert (both.low, both.high) == (min(both.each), max(both.each))
    assert found.notes[0] == "Intervals: 95 % bootstrap over categories."
    assert "their mean, and each of them" in found.notes[1]


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Networks of one transform each, and one that saw none transformed."""
    at = tmp_path_factory.mktemp("apart")
    files = [
        write_invariance(at / f"{name}-{n}.h5", seen=n, transforms=(name,), trained=name, more=True)
        for name in ("blur", "rot90")
        for n in (10, 90)
    ]
    both = ("blur", "rot90")
    return [
        *files,
        write_invariance(at / "0.h5", seen=0, transforms=both, trained="blur", more=True),
    ]


@pytest.mark.parametrize("kind", ["seen", "accuracy"])
def test_each_transform_has_a_panel_of_its_own_networks(kind: str, apart: list[Path]) -> None:
    blur, rotation = picture(Plot(kind), *apart).panels
    assert blur.title.startswith("blur")
    assert rotation.title.startswith("rot90")
    for panel in (blur, rotation):
        places = panel.labels if kind == "seen" else [str(p) for p in panel.places()]
        assert list(places) == ["0", "10", "90"]


def test_networks_of_another_transform_are_named_as_such(tmp_path: Path) -> None:
    transforms = ("blur", "rot90")
    files = [
        write_invariance(tmp_path / f"{n}.h5", seen=n, transforms=transforms, trained="blur")
        for n in (5, 50)
    ]
    titles = [panel.title for panel in picture(Plot("accuracy"), *files).panels]
    assert titles == ["blur", "rot90 (trained with blur)"]


def test_what_no_network_was_trained_with_is_left_out_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = [(name, n, 0) for name in ("blur", "rot90") for n in (5, 50)]
    file = write_evaluation(tmp_path / "e.h5", networks, transforms=("blur", "rot90", "thin"))
    titles = [panel.title for panel in picture(Plot("accuracy"), file).panels]
    assert titles == ["blur", "rot90"]
    assert "left out, no network was trained with it: thin" in capsys.readouterr().err


def test_the_trend_is_the_median_with_its_band(apart: list[Path]) -> None:
    (panel,) = picture(Plot("trend"), *apart).panels
    names = [line.name for line in panel.lines]
    assert names == ["blur, seen", "blur, unseen", "rot90, seen", "rot90, unseen"]
    assert [line.look.dashes for line in panel.lines] == ["--", "-", "--", "-"]
    unseen = panel.lines[1].points
    expected = [
        float(np.nanmedian(stored(path, "fc", 0, 2))) for path in (apart[4], apart[0], apart[1])
    ]
    assert [point.value for point in unseen] == pytest.approx(expected)
    assert unseen[1].high - unseen[1].low == pytest.approx(0.06)


def test_medians_are_found_where_the_file_has_none(folder: Path, apart: list[Path]) -> None:
    stored_ones = picture(Plot("trend"), *networks(folder)[::2]).panels[0].lines[1].points
    expected = [float(np.nanmedian(stored(p, "fc", 0, 2))) for p in networks(folder)[::2][:2]]
    assert [p.value for p in stored_ones if p.defined] == pytest.approx(expected)


def test_depth_is_a_line_of_medians_a_number_of_seen_categories(apart: list[Path]) -> None:
    blur, _ = picture(Plot("depth"), *apart).panels
    assert [line.name for line in blur.lines] == ["0 seen", "10 seen", "90 seen"]
    assert blur.places() == list(LAYERS)
    point = blur.lines[1].points[0]
    values = stored(apart[0], "conv1", 0, 0)
    expected = np.nanquantile(values.astype(float), [0.25, 0.5, 0.75])
    assert [point.low, point.value, point.high] == pytest.approx(expected)


def test_tau_is_a_line_through_the_whole_grid(apart: list[Path]) -> None:
    (panel,) = picture(Plot("tau"), apart[0], apart[2]).panels
    assert len(panel.lines) == 4
    assert panel.places() == pytest.approx(TAUS.tolist())
    values = [p.value for p in panel.lines[0].points]
    assert values[-1] == pytest.approx(values[0] / 2)
    assert [(mark.at, mark.upright) for mark in panel.marks] == [(0.1, True)]


def test_correlation_is_within_and_across_over_networks(apart: list[Path]) -> None:
    found = drawn(Plot("correlation"), *apart)
    within, across = found.drawing.panels
    assert (len(within.dots), len(across.dots)) == (4, 6)
    dot = across.dots[1]
    assert dot.x == pytest.approx(float(np.nanmedian(stored(apart[0], "fc", 0, 2))))
    assert dot.y == pytest.approx(0.18)
    told, *each = found.facts["correlations"][3:]
    assert [t["transform"] for t in (told, *each)] == ["all", "blur", "rot90"]
    assert [t["networks"] for t in each] == [3, 3]
    r = stats.pearsonr([d.x for d in across.dots], [d.y for d in across.dots]).statistic
    assert told["pearson"] == pytest.approx(r)
    assert told["networks"] == 5
    assert None not in told["pearson_interval"]
    assert f"r = {r:.2f} [" in across.notes[0]


def test_few_networks_have_no_interval(apart: list[Path]) -> None:
    found = drawn(Plot("correlation"), *apart[:2])
    assert found.facts["correlations"][0]["pearson_interval"] == [None, None]
    assert "[" not in found.drawing.panels[0].notes[0]
    assert found.drawing.panels[0].notes[1] == "2 networks, too few for an interval"
    assert "Fewer than 4 networks give no interval." in found.notes


def test_a_matrix_has_a_row_a_network_and_pools_its_seeds(tmp_path: Path) -> None:
    networks = [("", 0, 0), ("blur", 100, 0), ("blur", 100, 1), ("rot90", 100, 0)]
    file = write_evaluation(tmp_path / "e.h5", networks)
    found = drawn(Plot(), file)
    (cells,) = found.drawing.panels
    assert cells.rows == ["no transform", "blur", "rot90"]
    assert cells.columns == ["none", "blur", "rot90"]
    with hdf5.open(file) as held:
        accuracy = held.array("accuracy")
    np.testing.assert_allclose(cells.values[1], accuracy[1:3, :, 0].mean(axis=0))
    np.testing.assert_allclose(cells.values[2], accuracy[3, :, 0])
    assert cells.framed == [(1, 1), (2, 2)]
    assert "Means of 4 networks of several seeds." in found.notes
    (cells,) = picture(Plot(group="unseen"), file).panels
    assert np.isnan(cells.values[1:]).all()


def test_a_matrix_of_several_files_tells_their_counts(tmp_path: Path) -> None:
    files = [write_evaluation(tmp_path / f"{n}.h5", [("blur", n, 0)]) for n in (5, 50)]
    (cells,) = picture(Plot(), *files).panels
    assert cells.rows == ["blur, 5 seen", "blur, 50 seen"]
    twins = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for twin in twins:
        write_evaluation(twin, [("blur", 5, 0)])
    (cells,) = picture(Plot(), *twins).panels
    assert cells.rows == ["a.h5", "b.h5"]  # of one seed: no repetition, so two networks


def test_quadrants_of_one_network_are_tables_whose_rows_sum_to_one(tmp_path: Path) -> None:
    file = write_evaluation(tmp_path / "e.h5")
    found = drawn(Plot("quadrants"), file)
    assert [cells.title for cells in found.drawing.panels] == ["none", "blur", "rot90"]
    for cells in found.drawing.panels:
        np.testing.assert_allclose(cells.values.sum(axis=1), 1)
    assert "right\n" in found.drawing.panels[1].written()[0][0]
    rows = [row for row in found.rows if row["condition"] == "blur"]
    assert len(rows) == 6
    assert sum(row["share"] for row in rows) == pytest.approx(2)


def test_quadrants_of_several_counts_are_lines(tmp_path: Path) -> None:
    file = write_evaluation(tmp_path / "e.h5", [("blur", n, 0) for n in (0, 20, 100)])
    panels = picture(Plot("quadrants"), file).panels
    titles = [f"{a}, taken for {b}" for a in ("seen", "unseen") for b in ("seen", "unseen")]
    assert [panel.title for panel in panels] == titles
    with hdf5.open(file) as held:
        confusion = held.array("confusion")
    right, wrong = panels[0].lines[:2]
    assert [p.value for p in right.points][1:] == confusion[1:, 1, 0, 0, 1].tolist()
    assert [p.value for p in wrong.points][1:] == confusion[1:, 1, 0, 0, 0].tolist()
    assert [p.value for p in panels[2].lines[-1].points][:2] == [0, 0.2]  # guessed


def test_ablation_has_its_modes_its_intact_accuracy_and_its_tau(tmp_path: Path) -> None:
    (panel,) = picture(Plot(), write_ablation(tmp_path / "a.h5")).panels
    found = numbers(panel)
    assert found["blur keep-active"][0] == pytest.approx(0.75)
    assert found["blur ablate-active"][0] == pytest.approx(0.01)
    assert found["none intact"] == pytest.approx([0.9, 0.9])
    assert {mark.name: mark.at for mark in panel.marks} == {"chance": 0.01, "chosen tau": 0.1}
    found = drawn(Plot(group="seen"), tmp_path / "a.h5")
    assert found.notes == [
        "Accuracy of the seen categories.",
        "Chosen tau: 0.1.",
        "Ablated in: fc.",
    ]
    (panel,) = found.drawing.panels
    assert numbers(panel)["blur keep-active"][0] == pytest.approx(0.75 * 1.05)


def test_ablation_says_where_no_tau_qualifies(tmp_path: Path) -> None:
    found = drawn(Plot(), write_ablation(tmp_path / "a.h5", chosen=np.nan))
    assert "No tau qualifies." in found.notes
    assert not any(mark.upright for mark in found.drawing.panels[0].marks)


def test_calibration_marks_the_limit_and_the_strength_that_was_found(tmp_path: Path) -> None:
    found = drawn(Plot(), write_calibration(tmp_path / "a.h5"))
    marks = {mark.name: mark.at for mark in found.drawing.panels[0].marks}
    assert marks == {"chance": 0.01, "limit": 0.1, "found strength": 3.5}
    assert found.drawing.xlabel == "sigma (px)"
    found = drawn(Plot(), write_calibration(tmp_path / "b.h5", found=False))
    assert "found strength" not in {mark.name for mark in found.drawing.panels[0].marks}
    assert "blur: no strength is under the limit." in found.notes


def titles(config: Plot, path: Path) -> list[str]:
    return [panel.title for panel in picture(config, path).panels]


EMBED = ("embed:size=16,fill=black", "embed:size=8,fill=black", "embed:size=0.75,fill=edge")


def test_embedded_images_are_drawn_by_size_and_the_whole_ones_last(tmp_path: Path) -> None:
    file = write_evaluation(tmp_path / "a.h5", transforms=EMBED)
    found = drawn(Plot(), file)
    (panel,) = found.drawing.panels
    with hdf5.open(file) as held:
        accuracy, wilson = (held.array(name)[:, 0] for name in ("accuracy", "wilson"))
    black, edge = panel.lines
    assert [line.name for line in panel.lines] == ["black", "edge"]
    for line, places, conditions in ((black, [8, 16, 32], [2, 1, 0]), (edge, [24, 32], [3, 0])):
        assert [p.place for p in line.points] == places
        assert [p.value for p in line.points] == accuracy[conditions].tolist()
        assert [[p.low, p.high] for p in line.points] == wilson[conditions].tolist()
    assert [key for key, _ in found.drawing.keys] == ["black", "edge", "chance"]
    (panel,) = picture(Plot(group="unseen"), file).panels
    assert panel.lines[0].points[0].value != accuracy[2]


def test_a_line_of_embedded_images_is_a_network(tmp_path: Path) -> None:
    counts = [("blur", n, 0) for n in (5, 50)]
    several = write_evaluation(tmp_path / "a.h5", counts, transforms=EMBED[:2])
    alone = write_evaluation(tmp_path / "b.h5", transforms=EMBED[:1])
    (panel,) = picture(Plot(), several, alone).panels
    assert [line.name for line in panel.lines] == ["blur-5-0.st", "blur-50-0.st", "b.h5"]
    assert [len(line.points) for line in panel.lines] == [3, 3, 2]


def test_other_conditions_are_left_to_the_matrix_unless_it_is_asked_for(tmp_path: Path) -> None:
    file = write_evaluation(tmp_path / "a.h5", transforms=("blur", *EMBED[:1], "odd:spec=1"))
    assert plot.choose(plot.describe(file)) == "matrix"
    (line,) = picture(Plot("embedded"), file).panels[0].lines
    assert [p.place for p in line.points] == [16, 32]
    plain = write_evaluation(tmp_path / "b.h5")
    with pytest.raises(InvtoolError, match="run invtool evaluate --embed PX"):
        picture(Plot("embedded"), plain)
    with h5py.File(file, "r+") as raw:
        del raw.attrs["image_height"]
    with pytest.raises(InvtoolError, match="does not tell the height of its images"):
        picture(Plot("embedded"), file)


@pytest.mark.parametrize("form", ["text", "png", "csv", "json"])
def test_embedded_images_are_drawn_in_every_form(form: str, tmp_path: Path) -> None:
    file = write_evaluation(tmp_path / "a.h5", transforms=EMBED)
    plot.run(Plot(format=form), [file], tmp_path / "f")
    whole = (tmp_path / "f").read_bytes()
    if form == "csv":
        rows = list(csv.DictReader(whole.decode().splitlines()))
        assert [(row["fill"], float(row["size"])) for row in rows[2:4]] == [
            ("black", 32),
            ("edge", 24),
        ]
    elif form == "json":
        assert "around them: black, edge" in json.loads(whole)["caption"]
    elif form == "png":
        assert whole.startswith(MAGIC["png"])
    else:
        assert "height of the embedded image (px)" in whole.decode()


def test_bias_draws_all_boxes_together_and_the_most_and_least_biased(tmp_path: Path) -> None:
    file = write_bias(tmp_path / "a.h5")  # ann is the most biased, cy has one box and no p
    assert titles(Plot(), file) == ["all categories, 30 boxes", "ann, 15 boxes", "bob, 14 boxes"]
    every, ann, _ = picture(Plot(), file).panels
    assert (every.position, every.size) == ("position 1/2, placement 1/2", "size 1/2")
    assert ann.position == "p: position 1e-400, placement 1e-400"
    with hdf5.open(file) as held:
        mine = held.array("box_category") == 0
        np.testing.assert_array_equal(ann.center, held.array("center")[mine])
        np.testing.assert_array_equal(ann.height, held.array("height")[mine])
        np.testing.assert_array_equal(every.height, held.array("height"))


def test_categories_of_bias_are_chosen_by_name_and_pattern(tmp_path: Path) -> None:
    file = write_bias(tmp_path / "a.h5")
    assert titles(Plot(categories=("b*", "all")), file) == [
        "bob, 14 boxes",
        "all categories, 30 boxes",
    ]
    assert titles(Plot(categories=("cy",)), file) == ["cy, 1 box"]
    with pytest.raises(InvtoolError, match="no category 'dog'; it has ann, bob, cy"):
        titles(Plot(categories=("dog",)), file)
    with pytest.raises(UsageError, match="15 categories are too many for a picture; choose 12"):
        picture(Plot(categories=("*",)), *[write_bias(tmp_path / f"{n}.h5") for n in range(5)])
    several = picture(Plot(categories=("ann",)), file, tmp_path / "0.h5").panels
    assert [panel.title for panel in several] == ["ann, 15 boxes, a.h5", "ann, 15 boxes, 0.h5"]
    with pytest.raises(UsageError, match="--kind calibration draws no one category"):
        titles(Plot(categories=("dog",)), write_calibration(tmp_path / "b.h5"))


@pytest.mark.parametrize("form", ["text", "svg", "png", "csv", "json"])
def test_bias_is_drawn_in_every_form(form: str, tmp_path: Path) -> None:
    plot.run(Plot(format=form), [write_bias(tmp_path / "a.h5")], tmp_path / "f")
    whole = (tmp_path / "f").read_bytes()
    if form == "csv":
        assert len(list(csv.DictReader(whole.decode().splitlines()))) == 30 + 15 + 14
    elif form == "json":
        assert "under p = 1e-10" in json.loads(whole)["caption"]
    elif form == "png":
        assert whole.startswith(MAGIC["png"])
    else:
        assert "1e-400" in " ".join(whole.decode().split())


SIZES = [(name, size) for size in (14, 20) for name in ("a.st", "b.st")]


def read(path: Path, *names: str) -> list[np.ndarray]:
    with hdf5.open(path) as file:
        return [file.array(name) for name in names]


def test_one_network_is_a_map_whose_rows_fall(tmp_path: Path) -> None:
    file = write_jagged(tmp_path / "a.h5")
    found = drawn(Plot(), file)
    (panel,) = found.drawing.panels
    probability, name, frames = read(file, "probability", "name", "example_frame")
    means = np.array([np.nan if np.isnan(row).all() else np.nanmean(row) for row in probability])
    order = sorted(range(6), key=lambda at: (np.isnan(means[at]), -means[at]))
    assert order[-1] == 4  # it has no position
    np.testing.assert_array_equal(panel.values, probability[order])
    assert list(panel.names) == name[order].tolist()
    assert [track.title for track in panel.examples] == ["3.jpg", "2.jpg"]
    np.testing.assert_array_equal(panel.examples[1].values, probability[2])
    np.testing.assert_array_equal(panel.examples[1].frames[4, :, :, 2], frames[1, 4, 2])
    assert (found.drawing.xlabel, found.drawing.ylabel) == (
        "shift (px)",
        "probability of the true class",
    )
    assert found.notes[0] == "Protocol: embed 14 px."


def test_the_map_of_another_protocol_than_the_frames_has_none(tmp_path: Path) -> None:
    file = write_jagged(tmp_path / "a.h5", SIZES)
    found = drawn(Plot("map"), file)
    kept = [track.frames is not None for panel in found.drawing.panels for track in panel.examples]
    assert kept == [True] * 4 + [False] * 4
    (probability,) = read(file, "probability")
    for panel, values in zip(found.drawing.panels, probability, strict=True):
        np.testing.assert_array_equal(np.sort(panel.values, axis=0), np.sort(values, axis=0))
    assert found.notes[0] == "Protocols: embed 14 px; embed 20 px."
    assert "most jagged images for the first network" in found.notes[1]


def test_whose_probability_is_followed_is_told(tmp_path: Path) -> None:
    file = write_jagged(tmp_path / "a.h5")
    with h5py.File(file, "a") as held:
        held["label"][:] = -1
    assert picture(Plot(), file).ylabel == "probability of the class answered first"
    with h5py.File(file, "a") as held:
        held.attrs["protocol"] = "scale"
    assert picture(Plot(), file).xlabel == "size of the object (px)"


def test_several_networks_are_compared_by_size_of_the_object(tmp_path: Path) -> None:
    file = write_jagged(tmp_path / "a.h5", SIZES)
    found = drawn(Plot(), file)
    value, interval = read(file, "value", "interval")
    assert len(found.drawing.panels) == len(MEASURED)
    for at, panel in enumerate(found.drawing.panels):
        one, two = panel.lines
        assert (one.name, two.name) == ("a.st", "b.st")
        assert [point.place for point in two.points] == [14, 20]
        assert [point.value for point in two.points] == value[[1, 3], at].tolist()
        assert [[p.low, p.high] for p in one.points] == interval[[0, 2], at].tolist()
    assert found.drawing.xlabel == "size of the object (px)"


def test_several_files_are_compared_by_their_names(tmp_path: Path) -> None:
    files = [write_jagged(tmp_path / "a.h5"), write_jagged(tmp_path / "b.h5", [("b.st", 20)])]
    files.append(write_jaggedness(tmp_path / "c.h5"))  # knows one of the measures
    found = drawn(Plot(), *files)
    jagged, top1, _ = found.drawing.panels
    (line,) = jagged.lines
    assert [point.place for point in line.points] == ["a.h5", "b.h5", "c.h5"]
    assert (line.points[2].value, line.points[2].high) == (0.8, 1.0)
    assert not top1.lines[0].points[2].defined
    assert found.notes[1:3] == ["Protocol of a.h5: embed 14 px.", "Protocol of b.h5: embed 20 px."]


def test_nonshiftability_is_by_layer_and_marks_where_subsampling_changes(tmp_path: Path) -> None:
    files = [write_shiftability(tmp_path / name) for name in ("a.h5", "b.h5")]
    with h5py.File(files[1], "a") as held:
        held["nonshiftability"][:] = np.nan, 0.6
    found = drawn(Plot(), *files)
    (panel,) = found.drawing.panels
    assert panel.places() == ["conv1", "conv2"]
    steps = 6
    assert numbers(panel) == {"a.h5": [0.5 / steps, 2 / steps], "b.h5": [0.6 / steps]}
    assert panel.lines[0].points[1].high == pytest.approx(3 / steps)
    marks = [(mark.at, mark.label) for mark in panel.marks]
    assert marks == [(-0.5, "1 px"), (0.5, "2 px")]
    assert "more than 20 % of the map's mean" in found.notes[0]
    (panel,) = picture(Plot(layers=("conv2",)), *files).panels
    assert panel.places() == ["conv2"]
    with h5py.File(files[1], "a") as held:
        held["subsampling"][:] = 1, 4
    assert picture(Plot("depth"), *files).panels[0].marks == ()


def test_sums_are_of_the_strongest_maps_of_one_image(tmp_path: Path) -> None:
    file = write_shiftability(tmp_path / "a.h5")
    total, highest = read(file, "layers/conv2/global_sum", "layers/conv2/highest")
    for example in (1, 2):
        found = drawn(Plot("sums", example=example), file)
        (panel,) = found.drawing.panels
        assert panel.title == "a.h5, conv2"
        at = example - 1
        order = sorted(range(5), key=lambda channel: -highest[at, channel])
        assert [line.facts["channel"] for line in panel.lines] == order
        for line in panel.lines:
            sums = total[at, :, line.facts["channel"]]
            np.testing.assert_allclose([p.value for p in line.points], sums / sums.max())
        assert f"image {'ab'[at]}.jpg" in found.notes[0]
    two = picture(Plot("sums", layers=("conv1",)), file, write_shiftability(tmp_path / "b.h5"))
    assert [panel.title for panel in two.panels] == ["a.h5, conv1", "b.h5, conv1"]
    assert len(two.keys) == 3  # channels


@pytest.mark.parametrize("form", ["text", "svg", "csv", "json"])
@pytest.mark.parametrize(
    ("kind", "count"), [("map", 30), ("jaggedness", 3), ("moving", 5), ("depth", 2), ("sums", 35)]
)
def test_what_moves_is_drawn_in_every_form(
    kind: str, count: int, form: str, tmp_path: Path
) -> None:
    write = write_shiftability if kind in ("depth", "sums") else write_jagged
    plot.run(Plot(kind, format=form), [write(tmp_path / "a.h5")], tmp_path / "f")
    text = (tmp_path / "f").read_text()
    if form == "csv":
        assert len(list(csv.DictReader(text.splitlines()))) == count
    elif form == "json":
        told = json.loads(text)
        assert len(told["rows"]) == count
        assert "Protocol: embed 1" in told["caption"]
    else:
        assert "Protocol:" in text
        if form == "text":
            assert ("\n1 px\n" in text) == (kind == "depth")  # where the subsampling begins


def test_a_film_is_of_the_example_that_is_asked_for(tmp_path: Path, invtool: Runner) -> None:
    write_jagged(tmp_path / "a.h5")
    done = invtool("plot", "a.h5", "--example", "2", "--dpi", "60", "-o", "f.gif")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Image.open(tmp_path / "f.gif") as film:
        assert (film.format, film.n_frames) == ("GIF", 3)  # of five positions it has three
        assert b"invtool plot a.h5 --example 2 --dpi 60 -o f.gif" in film.info["comment"]


def test_an_mp4_is_made_by_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in takes the frames, and writes what it was asked for and their number of bytes."""
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text('#!/bin/sh\nfor out; do :; done\necho "$*" > "$out"; wc -c >> "$out"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    config = Plot(format="mp4", width=4, height=2, dpi=100)
    plot.run(config, [write_jagged(tmp_path / "a.h5")], tmp_path / "f")
    told, size = (tmp_path / "f").read_text().rsplit("\n", 2)[:2]
    assert "-s 200x100" in told
    assert "comment=invtool" in told
    frames = 5 + 2  # the end stays 1.5 s, at one frame a second
    assert int(size) == frames * 200 * 100 * 4
    stand_in.write_text("#!/bin/sh\ncat > /dev/null; echo 'no encoder' >&2; exit 1\n")
    with pytest.raises(InvtoolError, match=r"ffmpeg failed: no encoder; write a \.gif instead"):
        plot.run(config, [tmp_path / "a.h5"], tmp_path / "f")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InvtoolError, match="needs ffmpeg, which is not on PATH; install it"):
        plot.run(config, [tmp_path / "a.h5"], tmp_path / "f")


@pytest.mark.parametrize("form", ["text", "svg", "csv", "json"])
@pytest.mark.parametrize(
    "kind",
    ["trend", "depth", "tau", "correlation", "matrix", "quadrants", "ablation", "calibration"],
)
def test_every_kind_of_several_networks_is_drawn(
    kind: str, form: str, apart: list[Path], tmp_path: Path
) -> None:
    counts = [(name, n, 0) for name in ("blur", "rot90") for n in (5, 50)]
    evaluation = tmp_path / "e.h5"
    files = {
        "matrix": lambda: [write_evaluation(evaluation, counts)],
        "quadrants": lambda: [write_evaluation(evaluation, counts)],
        "ablation": lambda: [write_ablation(evaluation)],
        "calibration": lambda: [write_calibration(evaluation)],
    }.get(kind, lambda: apart)()
    plot.run(Plot(kind, format=form), files, tmp_path / "f")
    text = (tmp_path / "f").read_text()
    assert "blur" in text
    if form == "json":
        told = json.loads(text)
        assert told["rows"]
        assert "Data: faces." in told["caption"]
        assert told["provenance"]
    elif form == "csv":
        rows = list(csv.DictReader(text.splitlines()))
        assert len(rows) > 3
        assert all(None not in row.values() for row in rows)
    else:
        assert "Data: faces." in " ".join(text.split())


@pytest.mark.parametrize("kind", ["layers", "seen", "transforms", "active", "accuracy"])
@pytest.mark.parametrize("form", ["text", "svg"])
def test_every_kind_is_drawn(kind: str, form: str, folder: Path, tmp_path: Path) -> None:
    plot.run(Plot(kind, format=form), networks(folder)[::2], tmp_path / "f")
    text = " ".join((tmp_path / "f").read_text().split())
    assert "tau = 0.1" in text
    assert "blur:sigma=2" in text


def test_the_caption_counts_silent_units(folder: Path, tmp_path: Path) -> None:
    plot.run(Plot(format="text"), [folder / "one.h5"], tmp_path / "f")
    text = " ".join((tmp_path / "f").read_text().split())
    assert "left out: 35 of 204 (most in conv1: 25 of 100)" in text
    assert "50 of 100 categories seen transformed" in text


@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_the_suffix_decides_the_form(
    form: str, folder: Path, tmp_path: Path, invtool: Runner
) -> None:
    done = invtool("plot", folder / "one.h5", "-o", f"f.{form.upper()}", "--title", "A title")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / f"f.{form.upper()}").read_bytes().startswith(MAGIC[form])


def test_a_pipe_takes_a_result_and_gives_a_png(folder: Path, invtool: Runner) -> None:
    size = ["--width", "4", "--height", "3", "--dpi", "50"]
    done = invtool("plot", *size, input=(folder / "one.h5").read_bytes(), text=False)
    assert done.stdout.startswith(MAGIC["png"])
    assert (*np.frombuffer(done.stdout[16:24], ">u4"),) == (200, 150)


def test_no_torch_is_imported(folder: Path, tmp_path: Path) -> None:
    code = "import sys; from invtool.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print(*sys.modules, file=sys.stderr)"
    argv = [sys.executable, "-c", code, "plot", folder / "one.h5", "-o"]
    modules = {
        name: set(
            subprocess.run([*argv, tmp_path / name], capture_output=True, text=True).stderr.split()
        )
        for name in ("f.png", "f.txt")
    }
    assert not {"torch", "torchvision", "scipy", "matplotlib.pyplot"} & modules["f.png"]
    assert "matplotlib" in modules["f.png"]
    assert "matplotlib" not in modules["f.txt"]
    assert "invtool.plots.terminal" in modules["f.txt"]


def test_the_same_command_writes_the_same_bytes(folder: Path, invtool: Runner) -> None:
    command = ["plot", folder / "one.h5", "--format", "pdf"]
    first, second = (invtool(*command, text=False).stdout for _ in range(2))
    assert first == second
    assert b"invtool activations model.st --layer" in first


def test_provenance_can_be_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "recording", False)
    plot.run(Plot(format="svg"), [folder / "one.h5"], tmp_path / "f")
    assert "invtool activations" not in (tmp_path / "f").read_text()


def on_a_terminal(*args: str | Path, columns: int = 80, **env: str) -> str:
    """What a command draws on a terminal of that width."""
    leader, follower = pty.openpty()
    streams_of = {"stdin": follower, "stdout": follower, "stderr": subprocess.PIPE}
    given = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "PYTHONUTF8": "1", **env}
    given = {name: value for name, value in given.items() if value}
    process = subprocess.Popen([*INVTOOL, *map(str, args)], **streams_of, env=given)
    os.close(follower)
    drawn = b""
    while chunk := _read(leader):
        drawn += chunk
    assert process.wait() == 0, process.communicate()
    os.close(leader)
    assert process.stderr is not None
    process.stderr.close()
    return drawn.decode().replace("\r\n", "\n")


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 4096)
    except OSError:  # the other end has closed
        return b""


def test_a_terminal_gets_text(folder: Path) -> None:
    drawn = on_a_terminal("plot", folder / "one.h5", NO_COLOR="")
    assert "\033[34m" in drawn
    assert "█" in drawn
    plain = on_a_terminal("plot", folder / "one.h5", columns=50, NO_COLOR="1")
    assert "\033" not in plain
    assert max(map(len, plain.splitlines())) <= 50
    ascii_only = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    assert on_a_terminal("plot", folder / "one.h5", **ascii_only).isascii()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["one.h5", "-o", "f.jpg"],
            2,
            "unknown suffix '.jpg'; use .pdf, .svg, .png, .gif, .mp4, .txt, .csv, .json",
        ),
        (["no.h5", "-o", "f"], 2, "no suffix; use .pdf"),
        (["no.h5", "-o", "f.pdf"], 1, "no.h5: no such file"),
        (["one.h5", "-o", "one.h5", "-f", "pdf"], 2, "one.h5 exists; pass --overwrite"),
        (["one.h5", "--layer", "fc9"], 1, "has no layer 'fc9'; it has conv1, conv2, fc"),
        (["foreign.h5", "--kind", "seen"], 1, "does not say how many categories"),
        (["foreign.h5", "--kind", "accuracy"], 1, "holds no accuracy"),
        (["one.h5", "images.h5"], 1, "holds images; invariance or "),
        (["activations.h5", "--kind", "layers"], 1, "run invtool invariance first"),
        (["one.h5", "activations.h5"], 1, "run invtool invariance first"),
        (["one.h5", "-k", "tau"], 1, "holds no /layers/fc/median_by_tau"),
        (["one.h5", "-k", "quadrants"], 1, "so run invtool evaluate first"),
        (["one.h5", "-k", "correlation", "--group", "all"], 2, "tells seen from unseen"),
        (["foreign.h5", "-k", "correlation"], 1, "nothing to draw: no number of"),
        (["empty.h5"], 1, "empty.h5: empty; an HDF5 file is wanted"),
        (["undefined.h5", "-k", "accuracy"], 1, "nothing to draw: no number of --kind accuracy"),
        (["evaluation.h5", "-k", "quadrants", "--group", "seen"], 2, "leave out --group"),
        (["jagged.h5", "-k", "depth"], 1, "so run invtool invariance first"),
        (["one.h5", "-k", "map"], 1, "so run invtool jagged first"),
        (["one.h5", "-k", "sums"], 1, "so run invtool shiftable first"),
        (["jagged.h5", "shift.h5"], 1, "--kind accuracy draws"),
        (["jagged.h5", "-k", "moving", "-e", "3"], 1, "holds the frames of 2 images, not of 3"),
        (["jagged.h5", "jagged.h5", "-k", "moving"], 2, "draws one network, not 2"),
        (["jagged.h5", "-e", "1"], 2, "--kind map draws no one image; leave out --example"),
        (["shift.h5", "-k", "sums", "-e", "3"], 1, "has 2 images; --example 3 is none of them"),
        (["one.h5", "-k", "layers", "-f", "gif"], 2, "--kind layers does not move; write it as"),
        (["jagged.h5"] * 7 + ["-k", "map"], 2, "7 maps are too many for a picture; give 6"),
        (["void.h5"], 1, "nothing to draw: no number of --kind map is defined in void.h5"),
        (["one.h5", "--style", "poster"], 2, "'poster' is not one of"),
        (["one.h5", "larger.h5"], 1, "need the same data"),
        (["one.h5", "other.h5"], 1, "choose a layer of both with --layer"),
        (["cut.h5"], 1, "truncated or damaged HDF5"),
        (["one.h5", "--width", "1", "--height", "1"], 1, "are too small for what is drawn; raise"),
        (["one.h5", "--kind", "pie"], 2, "'pie' is not one of"),
    ],
    ids=lambda value: "" if not isinstance(value, list) else " ".join(value),
)
def test_what_cannot_be_drawn_is_one_sentence(
    arguments: list[str],
    code: int,
    message: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_evaluation(tmp_path / "evaluation.h5")
    with h5py.File(write_evaluation(tmp_path / "undefined.h5"), "a") as file:
        file["accuracy"][:] = np.nan
    (tmp_path / "empty.h5").touch()
    write_jagged(tmp_path / "jagged.h5")
    write_shiftability(tmp_path / "shift.h5")
    with h5py.File(write_jagged(tmp_path / "void.h5"), "a") as file:
        file["probability"][:] = np.nan
    write_invariance(tmp_path / "larger.h5", seen=5, total=200)
    write_invariance(tmp_path / "other.h5", seen=5, layers={"head": (7,)})
    write_images(tmp_path / "images.h5")
    write_activations(tmp_path / "activations.h5")
    (tmp_path / "cut.h5").write_bytes((folder / "one.h5").read_bytes()[:9000])
    for name in ("one.h5", "foreign.h5"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    done, out, err = runner(capfd)("plot", *arguments)
    assert done == code
    assert err.count("\n") == 1
    assert message in err
    assert out == ""
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_numbers_go_into_a_file_by_its_suffix(
    folder: Path, invtool: Runner, tmp_path: Path
) -> None:
    done = invtool("plot", folder / "one.h5", "-o", "f.csv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = list(csv.DictReader((tmp_path / "f.csv").read_text().splitlines()))
    assert [row["layer"] for row in rows[::2]] == list(LAYERS)
    values = stored(folder / "one.h5", "conv1", 0, 1)
    assert float(rows[0]["median"]) == pytest.approx(np.nanmedian(values))
    assert int(rows[0]["undefined"]) == np.isnan(values).sum()


def test_results_of_one_name_in_two_folders_are_told_apart(folder: Path, tmp_path: Path) -> None:
    twin = write_invariance(tmp_path / "one.h5", seed=1)
    titles = [panel.title for panel in named(folder / "one.h5", twin)]
    assert titles == [f"blur:sigma=2, {path}" for path in (folder / "one.h5", twin)]


def named(*paths: Path) -> Any:
    return picture(Plot("layers"), *paths).panels


def test_accuracy_says_how_it_rises(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The files' across-category accuracy is 0.1 + 0.8 k / 100: a line."""
    files = [write_invariance(tmp_path / f"{k}.h5", seen=k, accuracy=True) for k in (5, 20, 50, 80)]
    code, out, _ = runner(capfd)("plot --kind accuracy -f text", *files)
    text = " ".join(out.split())
    assert code == 0 and "across rises as a line with R2 1.00" in text
    assert "difference of AIC -" in text
    _, out, _ = runner(capfd)("plot --kind accuracy -f text", *files[:2])
    assert "rises" not in out
