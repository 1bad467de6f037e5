"""The HDF5 files: readable by netCDF readers, strict against what is broken or made to harm."""

import json
from collections.abc import Callable
from pathlib import Path

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray
from conftest import (
    STEPS,
    WRITERS,
    write_activations,
    write_images,
    write_invariance,
    write_sweep,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.errors import InvtoolError
from invtool.files import formats, hdf5

LAYERS = {
    "images": {},
    "activations": {
        "conv1": ("condition", "image", "channel", "height", "width"),
        "fc": ("condition", "image", "unit"),
    },
    "invariance": {"fc0": ("transform", "group", "unit")},
    "ablation": {},
    "evaluation": {},
    "calibration": {},
    "deformation": {},
    "smoothness": {},
    "bias": {},
    "jaggedness": {},
    "shiftability": {"conv1": ("image", "position", "channel")},
    "sweep": {},
    "itn": {},
}
LEAVES = {
    "activations": "activation",
    "invariance": "invariance",
    "shiftability": "global_sum",
}
PIXELS = (
    *("strength", "position", "subsampling", "kernel"),
    *("displacement", "worst_displacement"),
)


@pytest.mark.parametrize("kind", WRITERS)
def test_xarray_opens_every_group_with_named_dimensions_and_units(
    kind: str, tmp_path: Path
) -> None:
    path = WRITERS[kind](tmp_path / "a.h5")
    groups = ["/", *(f"layers/{layer}" for layer in LAYERS[kind])]
    for group in groups:
        with xarray.open_dataset(path, engine="h5netcdf", group=group) as data:
            data.load()
            assert data.variables
            assert not any(str(dim).startswith("phony") for dim in data.sizes)
            units = {name: array.attrs["units"] for name, array in data.variables.items()}
            told = {"magnitude": "degrees"} | dict.fromkeys(PIXELS, "px")
            assert units == {name: told.get(name, "1") for name in units}
    for layer, dims in LAYERS[kind].items():
        with xarray.open_dataset(path, engine="h5netcdf", group=f"layers/{layer}") as data:
            assert data[LEAVES[kind]].dims == dims


def test_netcdf_sees_the_axes_of_an_array_that_is_its_own_coordinate(tmp_path: Path) -> None:
    with h5netcdf.File(write_images(tmp_path / "a.h5")) as file:
        assert file["image"].dimensions == ("image", "channel", "height", "width")
        assert file["label"].dimensions == ("image",)
        assert {name: d.size for name, d in file.dimensions.items()} == {
            "image": 12,
            "channel": 3,
            "height": 8,
            "width": 8,
        }


def test_layers_share_the_dimensions_of_the_root(tmp_path: Path) -> None:
    with h5netcdf.File(write_activations(tmp_path / "a.h5")) as file:
        assert "image" not in file["layers/fc"].dimensions._objects  # no second one in the group
        assert file["layers/fc/activation"].dimensions == ("condition", "image", "unit")


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_content_is_the_same_bytes(kind: str, tmp_path: Path) -> None:
    first, second = WRITERS[kind](tmp_path / "a.h5"), WRITERS[kind](tmp_path / "b.h5")
    assert first.read_bytes() == second.read_bytes()
    with hdf5.open(first) as file:  # nor does the clock show, which moved too little above
        datasets = [file.dataset(name) for name in file.names()]
        assert not any(d.id.get_create_plist().get_obj_track_times() for d in datasets)


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_written_can_be_read(kind: str, tmp_path: Path) -> None:
    with hdf5.open(WRITERS[kind](tmp_path / "a.h5"), kinds=(kind,)) as file:
        assert file.kind == kind
        assert file.layers() in (list(LAYERS[kind]), ["fc0", "fc1"], ["conv1", "conv2"])
        assert file.steps[0] == STEPS[0]
        assert file.file.attrs["history"].endswith(f"{STEPS[0]['time']}: {STEPS[0]['command']}")


def test_attributes_come_back_as_they_were_given(tmp_path: Path) -> None:
    with hdf5.open(write_images(tmp_path / "a.h5")) as file:
        assert file.attribute("categories") == ["ann", "bob", "cy", "di"]
        assert file.attribute("nothing", 3) == 3
    with hdf5.open(write_invariance(tmp_path / "b.h5")) as file:
        assert file.attribute("tau") == 0.1
        assert file.array("group").tolist() == ["all", "seen", "unseen"]
        assert "layers/fc0/invariance" in file
        assert "layers/fc0" not in file


def test_transforms_of_a_sweep_have_groups_of_their_own(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "a.h5", transforms=3, networks=2)
    with hdf5.open(path, kinds=("sweep",)) as file:
        assert file.transforms() == ["rotate", "blur", "contrast"]
        sizes = [len(file.array(f"transforms/{name}/magnitude")) for name in file.transforms()]
        assert sizes == [5, 6, 7]
        assert file.dims("transforms/blur/softmax") == (
            *("network", "category", "magnitude", "answer"),
        )
    with h5py.File(path, "r+") as raw:
        del raw["transforms/blur/identity"]
    with (
        pytest.raises(InvtoolError, match="sweep without 'transforms/blur/identity'"),
        hdf5.open(path),
    ):
        pass


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        (True, r"prediction is 8 x 5; \(image, magnitude, magnitude_2\) is wanted"),
        (False, r"prediction is 8 x 5 x 1 x 1; \(image, magnitude\) is wanted"),
    ],
)
def test_a_second_magnitude_is_an_axis_where_there_is_one(
    grid: bool, sentence: str, tmp_path: Path
) -> None:
    path = write_sweep(tmp_path / "a.h5", grid=grid)
    with h5py.File(path, "r+") as raw:
        answers = raw["prediction"][()]
        del raw["prediction"]
        raw["prediction"] = answers[..., 0] if grid else answers[..., None, None]
    with pytest.raises(InvtoolError, match=sentence), hdf5.open(path):
        pass


def test_layers_keep_the_order_of_writing(tmp_path: Path) -> None:
    names = ["stem", "a10", "a9", "head"]
    with hdf5.create(tmp_path / "a.h5", "invariance", []) as out:
        for name in names:
            out.array(
                f"layers/{name}/invariance", np.zeros((1, 3, 2)), ("transform", "group", "unit")
            )
        out.array("transform", ["blur"], ("transform",))
    with h5py.File(tmp_path / "a.h5") as raw:
        assert json.loads(raw.attrs[hdf5.ORDER]) == names


@settings(max_examples=20, deadline=None)
@given(
    conditions=st.integers(1, 3),
    images=st.integers(1, 7),
    unit=st.sampled_from([(1,), (5,), (2, 3, 1)]),
    dtype=st.sampled_from(["float32", "float16"]),
    batch=st.integers(1, 7),
    seed=st.integers(0, 99),
)
def test_a_slab_holds_what_plain_writing_holds(
    conditions: int,
    images: int,
    unit: tuple[int, ...],
    dtype: str,
    batch: int,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("slab") / "a.h5"
    values = np.random.default_rng(seed).normal(size=(conditions, images, *unit)).astype(dtype)
    dims = ("condition", "image", *formats.UNIT_AXES[len(unit)])
    with hdf5.create(path, "activations", []) as out:
        out.array("condition", ["none", "a", "b"][:conditions], ("condition",))
        out.array("label", np.zeros(images, int), ("image",))
        slab = out.reserve("layers/x/activation", values.shape, dtype, dims)
        out.array("layers/y/activation", values, dims)
        for start in reversed(range(0, images, batch)):
            for condition in range(conditions):
                slab.write((condition, start), values[condition, start : start + batch])
    with hdf5.open(path) as file:
        np.testing.assert_array_equal(file.array("layers/x/activation"), values)
        np.testing.assert_array_equal(file.array("layers/y/activation"), values)
        assert file.dims("layers/x/activation") == dims
        assert file.view("layers/x/activation").dtype == dtype


def test_view_maps_contiguous_data_and_falls_back_where_chunked(tmp_path: Path) -> None:
    path = write_activations(tmp_path / "a.h5")
    with hdf5.open(path) as file:
        view = file.view("layers/fc/activation")
        assert isinstance(view, np.memmap)
        np.testing.assert_array_equal(view, file.array("layers/fc/activation"))
    with h5py.File(path, "r+") as raw:
        values = raw["layers/fc/activation"][()]
        del raw["layers/fc/activation"]
        raw.create_dataset(
            "layers/fc/activation", data=values, chunks=(1, 4, 5), compression="gzip"
        )
    with hdf5.open(path) as file:
        view = file.view("layers/fc/activation")
        assert not isinstance(view, np.memmap)
        np.testing.assert_array_equal(view[0, 2:4], values[0, 2:4])


def test_a_foreign_images_file_needs_only_images_and_labels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as raw:
        raw["image"] = np.zeros((2, 1, 4, 4), np.uint8)
        raw["label"] = [0, 1]
    with hdf5.open(tmp_path / "a.h5", kinds=("images",)) as file:
        assert file.kind == "images"
        assert file.array("label").tolist() == [0, 1]


Harm = Callable[[h5py.File], None]


def _replace(name: str, **kwargs: object) -> Harm:
    def harm(raw: h5py.File) -> None:
        del raw[name]
        raw.create_dataset(name, **kwargs)

    return harm


def _soft(raw: h5py.File) -> None:
    del raw["label"]
    raw["label"] = h5py.SoftLink("/split")


def _external(raw: h5py.File) -> None:
    del raw["label"]
    raw["label"] = h5py.ExternalLink("/etc/passwd", "/label")


def _virtual(raw: h5py.File) -> None:
    del raw["label"]
    layout = h5py.VirtualLayout((12,), "i8")
    layout[:] = h5py.VirtualSource("other.h5", "label", (12,))
    raw.create_virtual_dataset("label", layout)


def _huge(raw: h5py.File) -> None:
    del raw["image"]
    raw.create_dataset("image", (10**6, 3, 10**4, 10**4), "f4", chunks=(1, 1, 10, 10))
    raw["image"].make_scale("image")  # as invtool writes it


def _format(raw: h5py.File) -> None:
    raw.attrs["invtool_format"] = 99


def _kind(raw: h5py.File) -> None:
    raw.attrs["invtool_kind"] = "weather"


def _chain(raw: h5py.File) -> None:
    raw.attrs["provenance"] = '[{"id": 3}]'


HARMS: dict[str, tuple[Harm, str]] = {
    "soft link": (_soft, "/label is a link; arrays must lie in the file itself"),
    "external link": (_external, "/label is a link"),
    "virtual data set": (_virtual, "/label is stored in other files"),
    "external storage": (
        _replace("label", shape=(12,), dtype="i8", external=[("/etc/passwd", 0, 96)]),
        "/label is stored in other files",
    ),
    "impossible shape": (_huge, "more than the file can hold"),
    "format number": (_format, "images in format 99; this invtool reads format 1"),
    "unknown kind": (_kind, "holds weather; images is wanted"),
    "missing array": (lambda raw: raw.__delitem__("label"), "images without 'label'; it holds image, split"),
    "length": (_replace("label", data=[1, 2, 3]), "label has 3 along image, but image has 12"),
    "rank": (_replace("label", data=np.zeros((12, 2), int)), "label is 12 x 2; (image) is wanted"),
    "scalar": (_replace("label", data=3), "label is a single value; (image) is wanted"),
    "group for array": (lambda raw: (raw.__delitem__("label"), raw.create_group("label")), "images without 'label'"),
    "type": (_replace("label", data=np.zeros(12)), "label holds float64; integers from 0 is wanted"),
    "provenance": (_chain, "its provenance is no list of steps"),
}  # fmt: skip


@pytest.mark.parametrize("case", HARMS)
def test_harmful_files_are_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    harm, sentence = HARMS[case]
    path = write_images(tmp_path / "a.h5")
    with h5py.File(path, "r+") as raw:
        harm(raw)
    with (
        pytest.raises(InvtoolError, match=r"^\S*a\.h5[: ]") as caught,
        hdf5.open(path, kinds=("images",)) as file,
    ):
        assert file.steps
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    path = write_images(tmp_path / "a.h5")
    with (
        pytest.raises(InvtoolError, match=r"holds images; invariance or activations is wanted"),
        hdf5.open(path, kinds=("invariance", "activations")),
    ):
        pass


def test_a_layer_with_a_missing_array_is_named(tmp_path: Path) -> None:
    path = write_invariance(tmp_path / "a.h5")
    with h5py.File(path, "r+") as raw:
        del raw["layers/fc1/top1_score"]
    with (
        pytest.raises(InvtoolError, match="invariance without 'layers/fc1/top1_score'"),
        hdf5.open(path),
    ):
        pass


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.95, 0.9999])
def test_a_truncated_file_is_refused(kind: str, part: float, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "a.h5")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with (
        pytest.raises(InvtoolError, match="truncated or damaged HDF5; make it again"),
        hdf5.open(path),
    ):
        pass


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty; an HDF5 file is wanted"),
        (b"hello, world", "neither HDF5 nor safetensors"),
        (b"\x10" + bytes(7) + b"{}", "a safetensors model"),
    ],
)
def test_what_is_no_hdf5_is_refused(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(InvtoolError, match=sentence), hdf5.open(path):
        pass


def test_a_name_that_is_not_there_lists_what_is(tmp_path: Path) -> None:
    with (
        hdf5.open(write_images(tmp_path / "a.h5")) as file,
        pytest.raises(InvtoolError, match=r"has no array 'lable'; it holds .*label"),
    ):
        file.array("lable")


def test_nothing_is_recorded_without_provenance(tmp_path: Path) -> None:
    with hdf5.open(write_images(tmp_path / "a.h5", steps=[])) as file:
        assert file.steps == []
        assert "history" not in file.file.attrs
