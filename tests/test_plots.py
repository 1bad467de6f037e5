"""What is drawn is what was given, and nothing that was given breaks the drawing."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from invtool.plots import film, lines, maps, matrix, rows, scatter, spread, style, terminal, violins
from invtool.plots.colors import COLORS
from invtool.plots.density import bandwidth, density, summary
from invtool.plots.labels import shorten
from invtool.plots.panels import (
    Cells,
    Cloud,
    Dot,
    Film,
    Line,
    Lines,
    Look,
    Map,
    Maps,
    Mark,
    Matrix,
    Objects,
    Page,
    Panel,
    Plane,
    Point,
    Scatter,
    Spread,
    Track,
    Violins,
    groups_drawn,
)
from invtool.plots.screen import Screen

MAGIC = {"pdf": b"%PDF-", "svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n"}
NAN = np.full(7, np.nan)


def sample(seed: int, n: int = 300) -> NDArray[np.float64]:
    return np.random.default_rng(seed).beta(4, 2, n)


def panel(columns: int = 3, title: str = "blur") -> Panel:
    labels = [f"conv{i}" for i in range(columns)]
    return Panel(
        title,
        labels,
        {
            "seen": [sample(i) for i in range(columns)],
            "unseen": [sample(100 + i) for i in range(columns)],
        },
    )


def bodies(ax: Axes) -> list[NDArray[Any]]:
    """The outlines (point, axis) of the violins' halves."""
    found = [c for c in ax.collections if isinstance(c, FillBetweenPolyCollection)]
    return [np.asarray(c.get_paths()[0].vertices) for c in found]


def dots(ax: Axes) -> list[float]:
    return [float(line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def reflected(values: NDArray[Any], at: NDArray[Any], h: float) -> NDArray[Any]:
    """The kernel sum of density.py, term by term."""
    total = np.zeros_like(at)
    for value in values:
        for m in range(-3, 4):
            for sign in (1, -1):
                total += np.exp(-0.5 * ((at - sign * value + 2 * m) / h) ** 2)
    return total / (len(values) * h * np.sqrt(2 * np.pi))


@pytest.mark.parametrize("values", [sample(0, 40), np.array([0.0, 0.02, 0.9, 1.0]), sample(1, 3)])
def test_density_is_the_reflected_kernel_sum(values: NDArray[Any]) -> None:
    positions, found = density(values)
    centers = (np.floor(np.minimum(values * 512, 511)) + 0.5) / 512
    np.testing.assert_allclose(found, reflected(centers, positions, bandwidth(values)), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 1, width=32)),
    st.sampled_from([1.0, 100.0]),
)
def test_density_has_mass_one_inside_the_borders(values: NDArray[Any], limit: float) -> None:
    positions, found = density(values * limit, limit)
    assert (found >= 0).all()
    assert positions.min() > 0
    assert positions.max() < limit
    assert found.sum() * (positions[1] - positions[0]) == pytest.approx(1.0)


def test_density_ignores_nan_and_survives_nothing() -> None:
    values = sample(0)
    np.testing.assert_array_equal(density(values)[1], density(np.append(values, np.nan))[1])
    assert not density(NAN)[1].any()
    assert summary(NAN).n == 0
    assert summary(NAN).undefined == 7


def test_a_violin_spans_the_values_and_its_dot_is_their_median() -> None:
    given = panel()
    (ax,) = violins.draw(Violins([given])).axes
    drawn = bodies(ax)
    assert len(drawn) == 6
    flat = [values for pair in zip(*given.samples.values(), strict=True) for values in pair]
    for outline, values in zip(drawn, flat, strict=True):
        assert outline[:, 1].min() == pytest.approx(values.min())
        assert outline[:, 1].max() == pytest.approx(values.max())
    assert dots(ax) == pytest.approx([float(np.median(values)) for values in flat])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["conv0", "conv1", "conv2"]


def test_seen_is_the_left_half_and_unseen_the_right() -> None:
    (ax,) = violins.draw(Violins([panel()])).axes
    for number, outline in enumerate(bodies(ax)):
        at = number // 2
        if number % 2:
            assert outline[:, 0].min() == pytest.approx(at)
            assert at < outline[:, 0].max() < at + 0.5
        else:
            assert outline[:, 0].max() == pytest.approx(at)
            assert at - 0.5 < outline[:, 0].min() < at


def test_one_group_is_drawn_whole_and_in_its_own_color() -> None:
    (ax,) = violins.draw(Violins([Panel("", ["fc"], {"seen": [sample(0)], "unseen": [NAN]})])).axes
    (outline,) = bodies(ax)
    assert outline[:, 0].min() == pytest.approx(-outline[:, 0].max())
    assert groups_drawn([panel()]) == ["seen", "unseen"]


def test_seen_and_unseen_differ_in_gray_too() -> None:
    def gray(color: str) -> float:
        red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    assert gray(COLORS["unseen"]) - gray(COLORS["seen"]) > 50


def test_equal_values_are_a_line_and_nothing_says_so() -> None:
    given = Panel("", ["same", "silent", "two"], {"all": [np.ones(9), NAN, np.array([0.2, 0.4])]})
    (ax,) = violins.draw(Violins([given])).axes
    assert len(bodies(ax)) == 1
    line = next(line for line in ax.lines if np.ptp(line.get_xdata()) > 0.5)
    assert set(line.get_ydata()) == {1.0}
    assert "no active unit" in texts(ax)
    assert dots(ax) == pytest.approx([1.0, 0.3])


def test_the_number_of_units_stands_under_each_violin() -> None:
    (ax,) = violins.draw(Violins([panel(2)])).axes
    assert texts(ax) == ["n", "300", "300"]
    few = Panel("", ["fc"], {"seen": [sample(0, 12345)], "unseen": [sample(1, 9)]})
    (ax,) = violins.draw(Violins([few])).axes
    assert texts(ax) == ["n", "12.3k", "n", "9"]


def test_many_columns_become_medians_with_readable_ticks() -> None:
    given = panel(1000)
    figure = violins.draw(Violins([given]))
    (ax,) = figure.axes
    median = np.asarray(ax.lines[0].get_ydata())
    np.testing.assert_allclose(median, [np.median(v) for v in given.samples["seen"]])
    assert len(ax.get_xticks()) <= 100
    assert figure.get_figwidth() <= 12


def test_dense_figures_keep_the_size_that_is_asked_for() -> None:
    names = [f"features.module.block{i}.a_name_without_end_or_mercy_{i}.relu" for i in range(20)]
    given = Panel("", names, {"all": [sample(i) for i in range(20)]})
    figure = violins.draw(Violins([given]), Page(width=7, height=4))
    assert tuple(figure.get_size_inches()) == (7, 4)
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [tick.get_window_extent() for tick in ax.get_xticklabels()]
    assert all(box.y0 >= 0 for box in boxes)
    assert ax.get_position().height > 0.2


@pytest.mark.parametrize(
    "panels",
    [
        [],
        [Panel("", [], {"all": []})],
        [Panel("", ["fc"], {"all": [sample(0)], "seen": [sample(0)]})],
    ],
)
def test_what_cannot_be_drawn_is_refused(panels: list[Panel]) -> None:
    with pytest.raises(ValueError, match=r"nothing to draw|only seen and unseen"):
        violins.draw(Violins(panels))


def test_a_panel_needs_a_sample_for_each_label() -> None:
    with pytest.raises(ValueError, match="1 samples of 'all' for 2 labels"):
        Panel("", ["a", "b"], {"all": [sample(0)]})


def test_percentages_end_at_the_largest() -> None:
    given = Panel("", ["fc"], {"all": [np.array([0.0, 5.0, 20.0])]})
    (ax,) = violins.draw(Violins([given], limit=100, whole=False)).axes
    assert ax.get_ylim()[1] == pytest.approx(20, rel=0.05)
    (ax,) = violins.draw(Violins([panel(1)])).axes
    assert ax.get_ylim() == pytest.approx((-0.02, 1.02))


def against_counts() -> Lines:
    within = Line(
        "within", [Point(0, np.nan), Point(5, 0.95, 0.9, 1.0, [0.9, 1.0]), Point(50, 0.9)]
    )
    across = Line("across", [Point(0, 0.1), Point(5, 0.3, 0.2, 0.4), Point(50, 0.8)])
    chance = Mark(0.01, "chance", Look(dashes=":"))
    panel = Plane("blur", [within, across], [chance])
    return Lines([panel], [("within", within.look)], place="seen_categories", wide=True)


def test_lines_join_what_is_defined_and_show_every_network_or_the_interval() -> None:
    (ax,) = lines.draw(against_counts()).axes
    chance, within, each, across, interval = ax.lines
    assert list(chance.get_ydata()) == [1.0, 1.0]
    assert list(within.get_xdata()) == [5, 50]
    assert list(within.get_ydata()) == pytest.approx([95, 90])
    assert list(each.get_ydata()) == pytest.approx([90, 100])
    assert list(across.get_xdata()) == [0, 5, 50]
    assert list(interval.get_ydata()) == pytest.approx([20, 40])
    assert ax.get_xscale() == "linear"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "5", "50"]


def test_a_band_lies_between_the_intervals() -> None:
    points = [Point(place, 0.5, 0.4, 0.7) for place in (0.0, 0.5, 1.0)]
    (ax,) = lines.draw(Lines([Plane("", [Line("", points)])], [], percent=False, band=True)).axes
    (band,) = ax.collections
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.4, 0.7))
    assert ax.get_ylim() == pytest.approx((-0.02, 1.02))


def test_named_places_are_not_joined_unless_they_have_an_order() -> None:
    points = [Point("conv1", 0.2), Point("fc", 0.4)]
    (ax,) = lines.draw(Lines([Plane("", [Line("", points)])], [])).axes
    assert ax.lines[0].get_linestyle() == "None"
    (ax,) = lines.draw(Lines([Plane("", [Line("", points)])], [], band=True)).axes
    assert ax.lines[0].get_linestyle() == "-"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["conv1", "fc"]


def test_wide_ranges_are_on_a_logarithmic_axis_with_plain_numbers() -> None:
    points = [Point(place, 0.1) for place in (0, 1, 10, 1000)]
    (ax,) = lines.draw(Lines([Plane("", [Line("", points)])], [], wide=True)).axes
    assert ax.get_xscale() == "symlog"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "1", "10", "1000"]


def test_ticks_that_would_touch_are_left_out() -> None:
    points = [Point(place, 0.1) for place in (0, 1, 20, 35)]
    (ax,) = lines.draw(Lines([Plane("", [Line("", points)])], [], wide=True)).axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "20", "35"]


def heat(**more: Any) -> Matrix:
    values = np.array([[0.97, 0.1, np.nan], [0.9, 0.56, 0.3]])
    return Matrix(
        [Cells("", ["plain", "blur net"], ["none", "blur", "rot90"], values, **more)],
        column="condition",
    )


def test_a_matrix_writes_its_numbers_so_that_they_can_be_read() -> None:
    (ax,) = matrix.draw(heat(framed=[(1, 1)])).axes
    assert texts(ax) == ["97", "10", "-", "90", "56", "30"]
    white = [text.get_color() == "white" for text in ax.texts]
    assert white == [True, False, False, True, False, False]
    (frame,) = ax.patches
    assert frame.get_xy() == pytest.approx((0.54, 0.56))


@pytest.mark.parametrize("share", np.linspace(0, 1, 41))
def test_numbers_stand_out_from_every_shade(share: float) -> None:
    def luminance(color: Any) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
        return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))

    paper, ink = luminance(matrix.SHADES(share)), luminance(to_rgb(matrix.legible(share)))
    assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) > 3.9


def cloud() -> Scatter:
    found = [
        Dot(0.1 * n, 0.2 * n, 10 * n, Look(marker="o"), {"network": f"n{n}", "transform": "blur"})
        for n in range(5)
    ]
    return Scatter([Cloud("across", found, ["r = 1.00"])], [("blur", Look(marker="o"))])


def test_a_dot_is_the_larger_the_more_categories_were_seen() -> None:
    (ax,) = scatter.draw(cloud()).axes
    sizes = [float(c.get_sizes()[0]) for c in ax.collections]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert [tuple(c.get_offsets()[0]) for c in ax.collections] == [
        pytest.approx((0.1 * n, 20.0 * n)) for n in range(5)
    ]
    assert "r = 1.00" in texts(ax)


def objects(count: int = 40, panels: int = 1) -> Spread:
    """Objects in the upper half, lower than half of their image."""
    rng = np.random.default_rng(0)
    center, height = rng.random((count, 2)) * [1, 0.5], rng.random(count) / 2
    told = ("p: position 1e-20, placement 3e-9", "p: size 1e-11", ["dog"] * count)
    return Spread([Objects("dog, 40 boxes", center, height, *told)] * panels)


def test_objects_are_dots_in_the_image_as_it_hangs_beside_shares_of_heights() -> None:
    given = objects()
    places, heights = spread.draw(given).axes
    np.testing.assert_array_equal(places.collections[0].get_offsets(), given.panels[0].center)
    assert places.get_ylim() == (1, 0)
    bars = [patch.get_height() for patch in heights.patches]
    assert sum(bars) == pytest.approx(100)
    assert bars[10:] == [0] * 10
    assert heights.lines[0].get_ydata()[0] == 5  # percent: uniform on 20 intervals


def test_many_objects_are_a_density_whose_upper_edge_is_above() -> None:
    places, _ = spread.draw(objects(spread.MANY + 1)).axes
    (image,) = places.images
    shades = np.asarray(image.get_array())
    assert np.expm1(shades).sum() == pytest.approx(spread.MANY + 1)
    assert not shades[spread.GRID // 2 + 1 :].any()
    assert list(image.get_extent()) == [0, 1, 1, 0]


def test_objects_in_text_are_a_map_and_bars_with_a_tick_where_uniform_ones_would_end() -> None:
    lines = terminal.draw(objects(), Screen(80, False)).splitlines()
    inside = [line[1:22] for line in lines if line.startswith("|")]
    assert len(inside) == 10
    assert all(row.strip() for row in inside[:5])
    assert not any(row.strip() for row in inside[5:])
    shares = [float(line.split()[-1][:-1]) for line in lines if line.startswith("|")]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert shares[5:] == [0] * 5
    ticks = {line.index("|", 24) for line in lines if line.endswith(" 0.0%")}
    assert len(ticks) == 1


def values_of(image: int) -> list[float]:
    """Probabilities at seven places: they fall with the image's number, and jump from the fourth to the fifth."""
    return [1 / (image + 1) * (0.5 if at == 4 else 0.9) for at in range(7)]


def moved(images: int = 5, panels: int = 1) -> Maps:
    """Images of falling probabilities, the last two places of the third not there; two are kept."""
    values = np.array([values_of(image) for image in range(images)])
    values[2, 5:] = np.nan
    frames = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)
    places = np.arange(7) - 4
    examples = [Track(f"{at}.jpg", places, values[at], frames) for at in (0, 2)]
    names = [str(image) for image in range(images)]
    panel = Map("net, 5 images", places, values, names, examples, {"network": "net"})
    return Maps([panel] * panels, "shift (px)", "probability of the true class")


def test_a_map_is_the_numbers_and_white_where_an_image_has_none() -> None:
    given = moved()
    ax, scale, curve, before, after, *_ = maps.draw(given).axes
    (image,) = ax.images
    shown = np.ma.asarray(image.get_array())
    np.testing.assert_array_equal(shown.filled(np.nan), given.panels[0].values)
    assert maps.SHADES(np.ma.masked)[:3] == (1, 1, 1)
    assert min(maps.SHADES(0.0)[2], maps.SHADES(1.0)[2]) < 0.5  # no shade is white
    assert ax.get_xlim() == (-4.5, 2.5)
    assert ax.get_ylim() == (5.5, 0.5)  # the first image is above
    assert scale.get_ylabel() == "probability of the true class"
    line, *dots = curve.lines
    np.testing.assert_array_equal(line.get_ydata(), values_of(0))
    assert [dot.get_xydata().tolist() for dot in dots] == [[[-1, 0.9]], [[0, 0.5]]]
    frames = given.panels[0].examples[0].frames
    assert frames is not None
    for axes, number, title in ((before, 3, "\N{MINUS SIGN}1: 0.90"), (after, 4, "0: 0.50")):
        np.testing.assert_array_equal(axes.images[0].get_array(), frames[number])
        assert axes.get_title() == title
    assert [to_rgb(dot.get_color()) for dot in dots] == [
        to_rgb(axes.spines["top"].get_edgecolor()[:3]) for axes in (before, after)
    ]


def test_thousands_of_images_are_means_of_neighbors_and_small() -> None:
    given = moved(5000)
    ax = maps.draw(given).axes[0]
    shown = np.asarray(ax.images[0].get_array())
    assert shown.shape == (maps.ROWS, 7)
    np.testing.assert_allclose(shown[-1, 0], given.panels[0].values[-12:, 0].mean(), rtol=0.01)
    assert ax.get_ylim()[0] == 5000.5


def test_a_curve_of_low_probabilities_is_enlarged() -> None:
    low = Track("", np.arange(3), np.array([0.01, 0.02, 0.01]), np.zeros((3, 4, 4, 1), np.uint8))
    (_, curve) = film.draw(Film(low)).axes
    assert curve.get_ylim() == pytest.approx((0, 0.024))
    (_, curve) = film.draw(Film(moved().panels[0].examples[0])).axes
    assert curve.get_ylim() == (0, 1.05)


def test_an_image_of_one_place_jumps_nowhere() -> None:
    alone = Track("", np.array([0]), np.array([0.7]), np.zeros((1, 4, 4, 3), np.uint8))
    apart = Track("", np.arange(3), np.array([0.1, np.nan, 0.9]))
    assert alone.jump == apart.jump == ()
    figure = maps.draw(Maps([Map("", alone.places, np.array([[0.7]]), ["a"], [alone])]))
    assert len(figure.axes) == 3
    assert film.draw(Film(alone)).axes[0].get_title() == "0: 0.70"


def test_a_film_has_a_frame_for_each_place_and_its_curve_grows(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        film.save(Film(moved().panels[0].examples[1]), Page(), path, "gif", dpi=60, about="how")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(paths[0]) as saved:
        assert (saved.format, saved.n_frames, saved.info["comment"]) == ("GIF", 5, b"how")
        dark = []
        for number in range(5):
            saved.seek(number)
            right = np.asarray(saved.convert("L"))[:, saved.width // 2 :]
            dark.append(int((right < 100).sum()))
    assert dark == sorted(dark)
    assert dark[-1] > dark[0]


def test_a_panel_of_its_own_scale_ends_at_its_largest_number() -> None:
    small = Plane("", [Line("", [Point("a", 0.02, 0.01, 0.05)])], ylabel="points")
    large = Plane("", [Line("", [Point("a", 0.5)])])
    mark = Mark(0.5, "subsampling", Look(), upright=True, label="2 px")
    given = Lines([small, Plane("", large.lines, [mark])], [], whole=False)
    first, second = lines.draw(given).axes
    assert first.get_ylim() == pytest.approx((-0.1, 5.1))
    assert second.get_ylim() == pytest.approx((-1, 51))
    assert (first.get_ylabel(), texts(second)) == ("points", ["2 px"])
    drawn = terminal.draw(given, Screen(60)).splitlines()
    assert drawn[0].count("\N{FULL BLOCK}") == pytest.approx(0.4 * 29, abs=2)
    assert drawn[0].endswith("2.0% (1.0%-5.0%)")


@pytest.mark.parametrize(
    "empty",
    [
        Lines([], []),
        Matrix([]),
        Scatter([Cloud("", [])], []),
        Spread([]),
        Maps([]),
        Film(Track("", np.arange(3), np.full(3, np.nan), np.zeros((3, 2, 2, 3)))),
    ],
)
def test_nothing_to_draw_is_refused(empty: Any) -> None:
    drawn = {Lines: lines, Matrix: matrix, Scatter: scatter, Spread: spread, Maps: maps, Film: film}
    module = drawn[type(empty)]
    with pytest.raises(ValueError, match="nothing to draw"):
        module.draw(empty)


DRAWINGS = {
    "violins": lambda: (violins.draw, Violins([panel(5)])),
    "lines": lambda: (lines.draw, against_counts()),
    "matrix": lambda: (matrix.draw, heat()),
    "scatter": lambda: (scatter.draw, cloud()),
    "spread": lambda: (spread.draw, objects(panels=4)),
    "maps": lambda: (maps.draw, moved(30, 2)),
    "film": lambda: (film.draw, Film(moved().panels[0].examples[0], "shift (px)")),
}


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("look", ["print", "slides"])
def test_nothing_is_cut_off_in_print_or_on_slides(name: str, look: str) -> None:
    draw, drawing = DRAWINGS[name]()
    figure = draw(drawing, Page("A title", "A caption. " * 20, style=look))
    with style.context(look):
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= -0.02
    assert box.y0 >= -0.02
    assert box.x1 <= width + 0.02
    assert box.y1 <= height + 0.02


def test_slides_have_larger_type_and_thicker_lines_on_a_wide_page() -> None:
    drawn = {look: lines.draw(against_counts(), Page(style=look)) for look in ("print", "slides")}
    small, large = (figure.axes[0] for figure in drawn.values())
    assert large.yaxis.label.get_size() == pytest.approx(1.9 * small.yaxis.label.get_size())
    assert large.lines[1].get_linewidth() == pytest.approx(1.9 * small.lines[1].get_linewidth())
    assert tuple(drawn["slides"].get_size_inches()) == pytest.approx((13.33, 7.5))


def test_rows_hold_every_number_that_is_drawn() -> None:
    found = rows.rows(against_counts())
    assert [row["accuracy"] for row in found][1:] == [0.95, 0.9, 0.1, 0.3, 0.8]
    assert [row["networks"] for row in found] == [0, 2, 1, 1, 1, 1]
    assert (found[4]["low"], found[4]["high"]) == (0.2, 0.4)
    values = rows.rows(Violins([Panel("", ["fc"], {"all": [np.array([0.0, 0.5, 1.0, np.nan])]})]))
    assert values == [
        {
            "column": "fc",
            "group": "all",
            "n": 3,
            "undefined": 1,
            "low": 0.0,
            "quartile_1": 0.25,
            "median": 0.5,
            "quartile_3": 0.75,
            "high": 1.0,
        }
    ]
    cells = rows.rows(heat(facts=[{"network": "plain"}, {"network": "blur net"}]))
    assert [row["accuracy"] for row in cells[3:]] == [0.9, 0.56, 0.3]
    assert cells[4]["condition"] == "blur"
    assert [(row["x"], row["accuracy"]) for row in rows.rows(cloud())][2] == (0.2, 0.4)
    given = objects()
    (x, y), height = given.panels[0].center[3].tolist(), float(given.panels[0].height[3])
    row = {"panel": "dog, 40 boxes", "category": "dog", "x": x, "y": y, "height": height}
    assert rows.rows(given)[3] == row
    told = rows.rows(moved())
    assert told[10] == {
        "network": "net",
        "image": "1",
        "position": -1,
        "probability": values_of(1)[3],
    }


@pytest.mark.parametrize("form", list(MAGIC))
def test_the_same_figure_is_the_same_bytes(form: str, tmp_path: Path) -> None:
    code = """
import sys, numpy as np
from pathlib import Path
from invtool.plots import style, violins
from invtool.plots.panels import Page, Panel, Violins
panel = Panel("blur", ["conv1", "fc"], {"seen": [np.linspace(0, 1, 50)] * 2, "unseen": [np.ones(3)] * 2})
style.save(violins.draw(Violins([panel]), Page(caption="tau = 0.1")), Path(sys.argv[1]), sys.argv[2], about="made by")
assert not {"torch", "scipy", "h5py", "matplotlib.pyplot"} & set(sys.modules), "imported"
"""
    files = [tmp_path / f"{i}.{form}" for i in range(2)]
    for number, file in enumerate(files):
        subprocess.run(
            [sys.executable, "-c", code, file, form],
            check=True,
            env={"PYTHONHASHSEED": str(number)},
        )
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith(MAGIC[form])
    assert b"made by" in first
    assert not re.search(rb"CreationDate|<dc:date>", first)


def test_source_date_epoch_dates_a_pdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    style.save(violins.draw(Violins([panel(1)])), tmp_path / "f.pdf", "pdf")
    assert b"/CreationDate (D:19700102" in (tmp_path / "f.pdf").read_bytes()


def test_a_figure_too_small_for_its_labels_is_refused(tmp_path: Path) -> None:
    figure = violins.draw(Violins([panel(9)] * 6), Page(width=1, height=1))
    with pytest.raises(ValueError, match="1 x 1 inches are too small"):
        style.save(figure, tmp_path / "f.png", "png")


def test_names_are_not_read_as_formulas(tmp_path: Path) -> None:
    odd = Panel(r"$\frac$", ["$x", r"a$\b$c", "層1"], {"all": [sample(i) for i in range(3)]})
    figure = violins.draw(Violins([odd]), Page(r"$\no$", r"$\no$ 100 %"))
    style.save(figure, tmp_path / "f.svg", "svg")
    assert r"a$\b$c" in (tmp_path / "f.svg").read_text().replace("\\$", "$")


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("unicode", [True, False])
def test_text_fits_its_screen(columns: int, unicode: bool) -> None:
    given = panel(2)
    long = Panel("a transform" * 9, ["a.layer.name.that.runs.on", "fc"], given.samples)
    screen = Screen(columns, unicode)
    drawn = terminal.draw(Violins([given, long]), screen, title="t " * 99, caption="word " * 50)
    assert max(map(len, drawn.splitlines())) <= columns
    assert drawn.isascii() != unicode
    image = Film(moved().panels[0].examples[0], "shift (px)")
    for drawing in (against_counts(), heat(), cloud(), curve(40), objects(), moved(), image):
        drawn = terminal.draw(drawing, screen, "t " * 99, "word " * 50)
        assert max(map(len, drawn.splitlines())) <= columns
        assert drawn.isascii() or unicode


def curve(places: int) -> Lines:
    points = [Point(at / (places - 1), at / (places - 1)) for at in range(places)]
    return Lines([Plane("", [Line("rising", points)])], [])


def test_many_places_are_a_strip_that_is_as_high_as_the_numbers() -> None:
    _, row = terminal.draw(curve(21), Screen(80)).splitlines()
    name, strip, *numbers = row.split()
    assert name == "rising"
    assert list(strip) == sorted(strip)
    assert len(strip) == 21
    assert numbers == ["0%", "100%", "100%"]


def test_a_matrix_in_text_letters_the_columns_that_have_no_room() -> None:
    wide = terminal.draw(heat(), Screen(80)).splitlines()
    assert wide[0].split() == ["none", "blur", "rot90"]
    assert wide[1].split() == ["plain", "97", "10", "-"]
    assert terminal.draw(heat(), Screen(24)).splitlines()[0].split() == ["none", "blur", "rot90"]
    narrow = terminal.draw(heat(), Screen(20)).splitlines()
    assert narrow[0].split() == ["a", "b", "c"]
    assert "c: rot90" in " ".join(narrow)


def test_text_tells_median_quartiles_and_number() -> None:
    values = np.linspace(0.0, 1.0, 201)
    drawn = terminal.draw(Violins([Panel("blur", ["fc"], {"all": [values]})]), Screen(80))
    row = drawn.splitlines()[-1]
    assert row.split()[-3:] == ["0.500", "0.250-0.750", "201"]
    strip = row[3 : row.index("0.500")].rstrip()
    assert abs(strip.index("┃") - len(strip) / 2) <= 1


def test_text_places_the_strip_where_the_values_are() -> None:
    given = Panel("", ["low", "one", "none"], {"all": [np.array([0, 0.1]), np.ones(4), NAN]})
    head, low, one, none = terminal.draw(Violins([given]), Screen(80, False)).splitlines()
    start, end = head.index("0"), head.index("1")
    assert low[start] != " "
    assert low[(start + end) // 2 : end].isspace()
    assert one[start:end].isspace()
    assert one[end] == "|"
    assert "no active unit" in none


def test_color_is_only_where_it_is_wanted() -> None:
    plain = terminal.draw(Violins([panel(1)]), Screen(80))
    colored = terminal.draw(Violins([panel(1)]), Screen(80, color=True))
    assert "\033" not in plain
    assert re.sub(r"\033\[\d+m", "", colored) == plain


def test_text_bars_are_as_long_as_the_numbers() -> None:
    within = Line("within", [Point(5, 1.0), Point(50, 0.5)])
    across = Line("across", [Point(5, np.nan), Point(50, 0.0, 0.0, 0.1)])
    drawn = terminal.draw(Lines([Plane("blur", [within, across])], []), Screen(80, False))
    bars = drawn.splitlines()[1:]
    assert [row.count("#") for row in bars] == [bars[0].count("#"), 0, bars[0].count("#") // 2, 0]
    assert bars[0].split()[-1] == "100.0%"
    assert "none" in bars[1]
    assert bars[3].endswith("0.0% (0%-10%)")


@given(
    st.lists(st.text("ab./", min_size=1, max_size=30), min_size=1, max_size=5), st.integers(3, 12)
)
def test_short_names_are_short_enough(names: list[str], limit: int) -> None:
    short = shorten(names, limit)
    assert all(0 < len(name) <= limit for name in short)
    assert len(short) == len(names)


def test_large_layers_are_quick() -> None:
    from time import process_time

    values = np.random.default_rng(0).random((10, 100_000), dtype=np.float32)
    given = Panel("", [str(i) for i in range(10)], {"all": list(values)})
    start = process_time()
    violins.draw(Violins([given]))
    assert process_time() - start < 3
