"""`invtool transform`: what goes in, what comes out, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_images
from PIL import Image

from invtool.cli._app import run as invtool_main
from invtool.config import Transform
from invtool.errors import InvtoolError
from invtool.files import hdf5
from invtool.plots import deformed, sheet
from invtool.stages import transform
from invtool.transforms import FROM_FILES, TRANSFORMS, Spec, parse
from invtool.transforms.deformation import control_points, drawn, field, warp


def write_photo(path, width=30, height=20, seed=0, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def planes(pixels):
    """(height, width, channel) as a batch of one."""
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pixels_of(path):
    with Image.open(path) as file:
        return np.asarray(file)


@pytest.fixture
def photos(tmp_path):
    write_photo(tmp_path / "photos" / "cats" / "a.png", seed=1)
    write_photo(tmp_path / "photos" / "cats" / "b.png", seed=2)
    write_photo(tmp_path / "photos" / "dogs" / "c.png", width=24, height=40, seed=3)
    return tmp_path / "photos"


# --- an images file ------------------------------------------------------------------------------


def test_an_images_file_keeps_labels_and_is_not_clipped(tmp_path):
    source, target = write_images(tmp_path / "in.h5"), tmp_path / "out.h5"
    config = Transform(transforms=("high-pass",), sources=(str(source),))
    transform.run(config, target)
    with hdf5.open(source) as before, hdf5.open(target, ["images"]) as after:
        image = torch.from_numpy(before.array("image").astype(np.float32))
        np.testing.assert_array_equal(after.array("image"), parse("high-pass")(image))
        assert after.array("image").dtype == np.float32
        assert after.array("image").min() < 0
        for name in ("label", "split"):
            np.testing.assert_array_equal(after.array(name), before.array(name))
        assert after.attribute("categories") == before.attribute("categories")
        assert after.attribute("transform") == "high-pass"
        assert after.dims("image") == ("image", "channel", "height", "width")
        assert [step["id"] for step in after.steps[:-1]] == [step["id"] for step in before.steps]


def test_noise_belongs_to_the_image_whatever_the_limit_and_the_runs(tmp_path, monkeypatch):
    source = write_images(tmp_path / "in.h5", count=12)
    config = Transform(transforms=("white-noise",), sources=(str(source),), seed=5)
    transform.run(config, tmp_path / "all.h5")
    monkeypatch.setattr("invtool.stages._pictures.AT_ONCE", 3 * 8 * 8 * 5)  # runs of five images
    transform.run(Transform(**{**vars(config), "limit": 4}), tmp_path / "four.h5")
    with hdf5.open(tmp_path / "all.h5") as whole, hdf5.open(tmp_path / "four.h5") as part:
        np.testing.assert_array_equal(part.array("image"), whole.array("image")[[0, 3, 6, 9]])
        np.testing.assert_array_equal(part.array("label"), whole.array("label")[[0, 3, 6, 9]])


def test_image_files_of_one_size_become_an_images_file(tmp_path):
    for name in ("cats/a.png", "dogs/b.png"):
        write_photo(tmp_path / "photos" / name)
    config = Transform(transforms=("rot90",), sources=(str(tmp_path / "photos"),))
    transform.run(config, tmp_path / "out.h5")
    with hdf5.open(tmp_path / "out.h5", ["images"]) as file:
        assert file.array("image").shape == (2, 3, 30, 20)
        assert file.attribute("categories") == ["cats", "dogs"]
        assert file.array("label").tolist() == [0, 1]


def test_different_sizes_need_one_size_for_an_images_file(tmp_path, photos):
    config = Transform(transforms=("blur",), sources=(str(photos),))
    with pytest.raises(InvtoolError, match=r"a\.png is 30 x 20 px, .*c\.png 24 x 40 px.*--size N"):
        transform.run(config, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()
    transform.run(Transform(**{**vars(config), "size": 16}), tmp_path / "out.h5")
    with hdf5.open(tmp_path / "out.h5") as file:
        assert file.array("image").shape == (3, 3, 16, 16)


def test_a_data_set_by_name(tmp_path):
    config = Transform(
        transforms=("grayscale",), sources=(), data="faces:categories=2,train=1,test=1", limit=2
    )
    transform.run(config, tmp_path / "out.h5")
    with hdf5.open(tmp_path / "out.h5") as file:
        image = file.array("image")
        assert image.shape == (2, 3, 32, 32)
        np.testing.assert_array_equal(image[:, 0], image[:, 2])


# --- a folder ------------------------------------------------------------------------------------


def test_a_folder_keeps_names_and_each_picture_its_own_size(tmp_path, photos):
    config = Transform(transforms=("contrast-inversion",), sources=(str(photos),), form="folder")
    transform.run(config, tmp_path / "out")
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert files == ["cats/a.png", "cats/b.png", "dogs/c.png"]
    for file in files:
        np.testing.assert_array_equal(
            pixels_of(tmp_path / "out" / file), 255 - pixels_of(photos / file)
        )


def test_a_picture_says_how_it_was_made(tmp_path, photos, monkeypatch):
    monkeypatch.setattr("sys.argv", ["invtool", "transform", "rot180"])
    config = Transform(transforms=("rot180",), sources=(str(photos),), form="folder")
    transform.run(config, tmp_path / "out")
    with Image.open(tmp_path / "out" / "dogs" / "c.png") as file:
        assert "invtool transform rot180" in file.text["history"]
        assert json.loads(file.text["provenance"])[-1]["config"]["transforms"] == ["rot180"]
    monkeypatch.setattr("invtool.files.provenance.recording", False)
    transform.run(config, tmp_path / "plain")
    with Image.open(tmp_path / "plain" / "dogs" / "c.png") as file:
        assert not file.text


def test_a_folder_that_fails_leaves_nothing_and_one_that_is_there_keeps_its_files(tmp_path, photos):
    config = Transform(transforms=("blur",), sources=(str(photos),), form="folder")
    (photos / "dogs" / "d.png").write_bytes(b"no picture")
    with pytest.raises(InvtoolError, match=r"d\.png: not a whole image"):
        transform.run(config, tmp_path / "out")
    assert names(tmp_path) == ["photos"]
    (photos / "dogs" / "d.png").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    transform.run(config, tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "out" / "cats" / "a.png").is_file()
    assert names(tmp_path) == ["out", "photos"]


def test_an_images_file_becomes_a_folder_by_category(tmp_path):
    source = write_images(tmp_path / "in.h5", count=12)
    config = Transform(transforms=("none",), sources=(str(source),), form="folder", limit=2)
    transform.run(config, tmp_path / "out")
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert found == ["ann/00.png", "cy/06.png"]


def test_two_files_of_one_name_are_refused(tmp_path, photos):
    write_photo(photos / "cats" / "a.bmp")
    config = Transform(transforms=("blur",), sources=(str(photos),), form="folder")
    with pytest.raises(InvtoolError, match=r"a\.bmp and .*a\.png would both be called cats/a"):
        transform.run(config, tmp_path / "out")


# --- pixels for the eye --------------------------------------------------------------------------


def test_unsigned_results_are_clipped_and_signed_ones_lie_about_mid_gray():
    image = np.array([-50.0, 0, 99.6, 300], dtype=np.float32).reshape(1, 2, 2)
    assert transform.displayed(image, parse("white-noise")).ravel().tolist() == [0, 0, 100, 255]
    signed = transform.displayed(
        np.array([-400.0, 0, 200, 400]).reshape(1, 2, 2), parse("high-pass")
    )
    assert signed.ravel().tolist() == [1, 128, 192, 255]
    flat = transform.displayed(np.zeros((3, 2, 2)), parse("blur+horizontal-filter"))
    assert (flat.shape, np.unique(flat).tolist()) == ((2, 2, 3), [128])


# --- a sheet -------------------------------------------------------------------------------------


def test_a_sheet_shows_every_pixel_of_small_pictures():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    page = np.asarray(
        sheet.draw([["untransformed"], ["blur", "sigma 2 px"]], ["one"], [[pixels] * 2])
    )
    large = pixels.repeat(4, 0).repeat(4, 1)
    hits = np.argwhere((page[:-127, :-127] == large[0, 0]).all(-1))
    found = [(y, x) for y, x in hits if np.array_equal(page[y : y + 128, x : x + 128], large)]
    assert len(found) == 2
    assert found[0][0] == found[1][0]
    assert (page[0] == 255).all()


def test_a_sheet_reduces_large_pictures_and_takes_gray_ones_of_any_shape():
    cells = [[np.zeros((700, 900, 1), np.uint8)], [np.zeros((5, 300, 1), np.uint8)]]
    page = sheet.draw([["untransformed"]], ["a very long name of a picture file", "b"], cells)
    assert 256 < page.width < 500
    assert 200 < page.height < 300


def test_a_sheet_has_a_row_an_image_and_a_column_a_transform(tmp_path, monkeypatch):
    source = write_images(tmp_path / "in.h5", count=12)
    drawn = {}
    draw = sheet.draw

    def spy(columns, rows, cells):
        drawn.update(columns=columns, rows=rows, cells=cells)
        return draw(columns, rows, cells)

    monkeypatch.setattr(sheet, "draw", spy)
    specs = ("blur", "grayscale+high-pass", "rotate")
    config = Transform(transforms=specs, sources=(str(source),), form="sheet")
    transform.run(config, tmp_path / "out.png")
    assert drawn["columns"] == [
        ["untransformed"],
        ["blur", "sigma 2 px"],
        ["grayscale", "+ high-pass", "0 is mid-gray"],
        ["rotate", "degrees 30"],
    ]
    assert drawn["rows"][:2] == ["ann/00", "bob/01"]
    assert [len(line) for line in drawn["cells"]] == [4] * transform.PICTURE_ROWS
    with hdf5.open(source) as file:
        first = file.array("image")[0]
    np.testing.assert_array_equal(drawn["cells"][0][0], first.transpose(1, 2, 0))
    expected = transform.displayed(
        parse("blur")(planes(first.transpose(1, 2, 0)))[0].numpy(), Spec()
    )
    np.testing.assert_array_equal(drawn["cells"][0][1], expected)
    with Image.open(tmp_path / "out.png") as page:
        assert page.format == "PNG"


# --- vector fields -------------------------------------------------------------------------------


def test_arrows_lead_from_where_a_pixel_is_read_to_where_it_is_shown():
    image = parse("none")(planes(np.random.default_rng(0).integers(0, 256, (40, 30, 3))))
    moved = drawn(image, grid=3, pixels=4, seed=2)
    smooth = field(moved, 40, 30)
    before, after = (
        transform.displayed(each[0].numpy(), Spec()) for each in (image, warp(image, smooth))
    )
    point = control_points(3, 40, 30).numpy()
    panel = deformed.Deformed("a", before, after, point, moved[0].numpy(), smooth[0].numpy())
    axes = deformed.draw([panel, panel]).axes
    assert len(axes) == 8
    for ax, tips, shifts in (
        (axes[0], point, moved[0].numpy()),
        *((ax, None, smooth[0].numpy()) for ax in axes[1:3]),
    ):
        (arrows,) = ax.collections
        tail = arrows.get_offsets()[:, ::-1]
        tip = tail + np.stack((arrows.V, arrows.U), axis=1)
        if tips is None:
            tips = tip.round()
            shifts = shifts[tuple(tips.astype(int).T)]
            assert len(np.unique(tips, axis=0)) == len(tips) > 100
        np.testing.assert_allclose(tip, tips, atol=1e-5)
        np.testing.assert_allclose(tail, tips + shifts, atol=1e-5)
    over, result = (ax.images[0].get_array() for ax in axes[2:4])
    np.testing.assert_array_equal(over, before)
    np.testing.assert_array_equal(result, after)


def test_a_field_is_drawn_in_each_form_and_twice_alike(tmp_path, photos):
    config = Transform(transforms=("deform:grid=3",), sources=(str(photos / "cats"),), form="svg")
    for name in ("a.svg", "b.svg"):
        transform.run(config, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    drawn_text = (tmp_path / "a.svg").read_text()
    assert "deform:grid=3,pixels=auto,border=edge, seed 0." in drawn_text
    assert all(f">{name}<" in drawn_text for name in "ab")
    transform.run(replace(config, form="pdf", limit=1), tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_a_field_goes_by_its_suffix_and_says_how_it_was_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "a.png", mode="L")
    args = ["transform", "deform", "a.png", "--field", "-o", "f.PNG"]
    monkeypatch.setattr("sys.argv", ["invtool", *args])
    assert invtool_main(args) == 0
    with Image.open("f.PNG") as file:
        assert file.width == round(4 * 200 * deformed.PANEL)
        assert file.text["Description"] == "invtool transform deform a.png --field -o f.PNG"


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """Run a command line that must fail in tmp_path; its exit code and its one line."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        before = names(tmp_path)
        code = invtool_main(["transform", *map(str, args)])
        lines = capfd.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert names(tmp_path) == before
        return code, lines[0].removeprefix("invtool transform: ")

    return run


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        ([], 2, "which transform? name one, or see invtool transform --list"),
        (["blurr", "in.h5", "-o", "out.h5"], 2, "no transform 'blurr'; did you mean 'blur'?"),
        (["blur:sigma=-2", "in.h5", "-o", "out.h5"], 2, "is within 0 to 64 px, not -2"),
        (["blur", "in.h5", "-t", "rot9", "-o", "out.png"], 2, "did you mean 'rot90'?"),
        (["blur", "in.h5", "-o", "out.tga"], 2, "unknown suffix '.tga'; use .h5, .nc, .png"),
        (["all", "in.h5", "-o", "out.h5"], 2, "22 transforms make a sheet; use -o FILE.png"),
        (["blur", "in.h5", "-t", "rot90", "-o", "out.h5"], 2, "2 transforms make a sheet"),
        (["blur", "in.h5", "--field", "-o", "f.png"], 2, "one deform, as deform:grid=4, not blur"),
        (["deform", "-t", "blur", "--field", "-o", "f.png"], 2, "grid=4, not deform, blur"),
        (["deform+deform", "in.h5", "--field", "-o", "f.svg"], 2, "not deform+deform"),
        (["deform:gird=3", "in.h5", "--field", "-o", "f.svg"], 2, "no parameter 'gird'; it has"),
        (
            ["deform", "in.h5", "--field", "-o", "f.h5"],
            2,
            "f.h5: --field draws a picture; use .pdf",
        ),
        (
            ["deform", "in.h5", "--field", "-o", "f"],
            2,
            "f: --field draws a picture; use .pdf, .png",
        ),
        (["blur", "in.h5", "-o", "in.h5"], 2, "in.h5 exists; pass --overwrite to replace it"),
        (["blur", "in.h5", "-o", "full"], 2, "full is not empty; pass --overwrite"),
        (["blur", "in.h5", "-o", "no/where"], 2, "no/where: there is no folder"),
        (["blur", "none.h5", "-o", "out.h5"], 1, "none.h5: no such file"),
        (["blur", "--data", "facs", "-o", "out.h5"], 2, "did you mean faces?"),
        (["blur", "in.h5", "--data", "faces", "-o", "o.h5"], 2, "--data faces and in.h5: one or"),
        (["blur", "in.h5", "in.h5", "-o", "o.h5"], 2, "in.h5 is no image file; several inputs"),
        (["blur", "empty", "-o", "out.h5"], 1, "empty: no image files in it"),
        (["blur", "text.png", "-o", "out.h5"], 1, "text.png: not a whole image"),
        (["blur", "text.h5", "-o", "out.h5"], 1, "text.h5: neither HDF5"),
        (["high-pass", "thin.png", "-o", "o.h5"], 1, "thin: this transform needs images of at"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(refused, tmp_path, args, code, sentence):
    write_images(tmp_path / "in.h5")
    write_photo(tmp_path / "full" / "a.png")
    write_photo(tmp_path / "thin.png", width=2, height=30)
    (tmp_path / "empty").mkdir()
    for name in ("text.png", "text.h5"):
        (tmp_path / name).write_text("no picture at all")
    found = refused(*args)
    assert found[0] == code
    assert sentence in found[1]


def test_float_images_are_not_resized(refused, tmp_path):
    with hdf5.create(tmp_path / "in.h5", "images", []) as out:
        out.array(
            "image", np.zeros((2, 3, 8, 8), np.float32), ("image", "channel", "height", "width")
        )
        out.array("label", np.zeros(2, np.int64), ("image",))
    code, sentence = refused("blur", "in.h5", "--size", "16", "-o", "out.h5")
    assert (code, sentence) == (2, "--size is for pixels of 8 bits; in.h5 holds float32")


def test_a_pipe_in_and_out_and_the_list(invtool, tmp_path):
    source = write_images(tmp_path / "in.h5")
    with source.open("rb") as stream:
        done = invtool("transform", "rot180", stdin=stream, text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    (tmp_path / "out.h5").write_bytes(done.stdout)
    with hdf5.open(source) as before, hdf5.open(tmp_path / "out.h5", ["images"]) as after:
        np.testing.assert_array_equal(after.array("image"), before.array("image")[..., ::-1, ::-1])
    listed = json.loads(invtool("transform", "--list", "--format", "json").stdout)["rows"]
    assert {row["name"] for row in listed} == {*TRANSFORMS, *FROM_FILES}
    blur = next(row for row in listed if row["name"] == "blur")
    assert (blur["parameter"], blur["default"], blur["unit"]) == ("sigma", "2", "px")
    assert (blur["identity"], blur["sweep"]) == ("0", "0:8:17")
    swept = [row["name"] for row in listed if row["sweep"]]
    assert swept == [name for name, entry in TRANSFORMS.items() if entry.strength]
    table = invtool("transform", "--list").stdout.splitlines()
    assert len(table) == len(listed) + 1
    assert table[0].split()[:4] == ["name", "parameter", "default", "unit"]


def test_a_list_goes_to_a_file_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invtool_main(["transform", "--list", "-f", "csv", "-o", "list.csv"]) == 0
    assert Path("list.csv").read_text().startswith("name,parameter,default")
