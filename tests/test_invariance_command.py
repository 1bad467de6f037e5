"""`invtool invariance`: the same numbers as the measures, whatever the file's layout, and plain refusals."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
from conftest import Runner, write_images

from invtool.config import Invariance
from invtool.errors import InvtoolError
from invtool.files import hdf5
from invtool.measures import group_accuracy, invariance, top1_score
from invtool.stages import invariance as stage

TAU = Invariance.tau
IMAGES = 60
LAYERS = {"conv1": (3, 4, 5), "fc": (12,)}
Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """`write(images=1)`: an activations file such as the activations command writes, or not quite."""

    def written(
        *,
        images: int = IMAGES,
        conditions: Sequence[str] = ("none", "blur", "rot90"),
        categories: int = 4,
        seen: bool = True,
        prediction: bool = True,
        dtype: str = "float32",
        chunked: bool = False,
        edit: Callable[[str, np.ndarray], None] = lambda name, values: None,
    ) -> Path:
        rng = np.random.default_rng(0)
        path = tmp_path / "activations.h5"
        label = np.arange(images) % categories
        with hdf5.create(path, "activations", []) as out:
            out.attribute("model_seed", 3)
            out.array("condition", list(conditions), ("condition",))
            out.array("label", label, ("image",))
            if seen:
                out.array("seen", (label < 2).astype(np.uint8), ("image",))
            if prediction:
                answers = rng.integers(0, categories, (len(conditions), images))
                out.array("prediction", answers, ("condition", "image"))
            for name, shape in LAYERS.items():
                values = rng.standard_normal((len(conditions), images, *shape))
                values = np.maximum(values, 0).astype(dtype)
                values[:, :, 0] = 0  # a silent unit, or channel
                edit(name, values)
                units = ("unit",) if len(shape) == 1 else ("channel", "height", "width")
                where = f"layers/{name}/activation"
                if chunked:
                    chunks = tuple(max(1, n // 2) for n in values.shape)
                    out.file.create_dataset(where, data=values, chunks=chunks, compression="gzip")
                else:
                    out.array(where, values, ("condition", "image", *units))
        return path

    return written


def measured(path: Path, **config: Any) -> Path:
    target = path.with_name("invariance.h5")
    stage.run(Invariance(**config), path, target, "h5")
    return target


def put(value: float, *, layer: str = "fc") -> Callable[[str, np.ndarray], None]:
    """An edit that gives one unit one such response to a transformed image."""

    def edit(name: str, values: np.ndarray) -> None:
        if name == layer:
            values[1, 5, 7] = value

    return edit


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("layout", [{}, {"chunked": True}, {"dtype": "float16"}])
def test_the_file_holds_what_the_measures_give(write, layout, threads):
    source = write(**layout)
    with hdf5.open(measured(source, threads=threads), ("invariance",)) as found:
        assert found.layers() == list(LAYERS)
        assert [found.attribute(n) for n in ("tau", "model_seed")] == [TAU, 3]
        assert [found.attribute(n) for n in ("seen_categories", "categories_total")] == [2, 4]
        assert found.array("transform").tolist() == ["blur", "rot90"]
        assert found.array("group").tolist() == ["all", "seen", "unseen"]
        given = h5py.File(source)
        seen = given["seen"][()]
        accuracy = group_accuracy(given["prediction"][()], given["label"][()], seen)
        np.testing.assert_array_equal(found.array("accuracy"), accuracy)
        for name, shape in LAYERS.items():
            values = given[f"layers/{name}/activation"][()].astype(np.float32)
            score = found.array(f"layers/{name}/invariance")
            assert score.shape == (2, 3, *shape)
            for t in (0, 1):
                wanted = invariance(values[0], values[t + 1], tau=TAU, seen=seen)
                np.testing.assert_allclose(score[t], wanted, atol=1e-6)
                top = found.array(f"layers/{name}/top1_score")[t]
                np.testing.assert_allclose(top, top1_score(values[0], values[t + 1]), atol=1e-6)
                pair = values[[0, t + 1]].max(axis=0)
                active = pair > np.float32(TAU) * pair.max(axis=0)
                images = found.array(f"layers/{name}/active_images")[t]
                np.testing.assert_array_equal(images[0], active.sum(axis=0))
                np.testing.assert_array_equal(images[1], active[seen == 1].sum(axis=0))
                units = found.array(f"layers/{name}/active_units")[t]
                np.testing.assert_array_equal(units, active.reshape(IMAGES, -1).sum(axis=1))


def test_blocks_do_not_show(write, monkeypatch):
    source = write()
    whole = measured(source, threads=1).read_bytes()
    monkeypatch.setattr(stage, "ROW_BYTES", (1, 1))
    cut = measured(source, threads=1)
    assert cut.read_bytes() != b""
    with h5py.File(cut) as narrow, h5py.File(io.BytesIO(whole)) as wide:
        for name in ("conv1", "fc"):
            for array in ("invariance", "active_images", "active_units", "top1_score"):
                where = f"layers/{name}/{array}"
                np.testing.assert_allclose(narrow[where][()], wide[where][()], atol=1e-6)


def test_xarray_opens_it_with_named_dimensions(write):
    target = measured(write())
    with xarray.open_dataset(target, engine="h5netcdf", group="layers/conv1") as layer:
        assert layer["invariance"].dims == ("transform", "group", "channel", "height", "width")
        assert layer["active_units"].dims == ("transform", "image")
        assert layer["top1_score"].dims == ("transform", "channel", "height", "width")


def test_without_seen_the_groups_are_unknown_and_it_says_so(write, invtool: Runner):
    done = invtool("invariance", write(seen=False), "--format", "json")
    assert done.returncode == 0
    assert "does not say which images are of seen categories" in done.stderr
    found = json.loads(done.stdout)
    assert "seen_categories" not in found
    by_group = {row["group"]: row["median"] for row in found["rows"]}
    assert by_group["all"] is not None
    assert by_group["seen"] is by_group["unseen"] is None
    assert found["accuracy"][1]["seen"] is None


@pytest.mark.parametrize("change", [{"images": 1}, {"categories": 1}])
def test_one_image_and_one_category_are_measured(write, invtool: Runner, change):
    done = invtool("invariance", write(**change), "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["group"]: row for row in json.loads(done.stdout)["rows"] if row["layer"] == "fc"}
    assert rows["unseen"]["images"] == 0
    assert rows["unseen"]["median"] is rows["unseen"]["active_images"] is None
    assert rows["seen"]["median"] == rows["all"]["median"] is not None


def test_the_table_json_and_csv_tell_the_same(write, invtool: Runner):
    source = write()
    table = invtool("invariance", source, "--format", "table").stdout.splitlines()
    whole = json.loads(invtool("invariance", source, "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(invtool("invariance", source, "-f", "csv").stdout)))
    assert len(rows) == len(whole["rows"]) == 2 * 2 * 3
    first = whole["rows"][0]
    assert [first[k] for k in ("layer", "transform", "group")] == ["conv1", "blur", "all"]
    assert [first[k] for k in ("images", "units", "silent", "undefined")] == [IMAGES, 60, 20, 0]
    assert first["quartile_1"] < first["median"] < first["quartile_3"]
    assert float(rows[0]["median"]) == first["median"]
    assert rows[1]["top1_score"] == ""
    assert table[0].startswith("Invariance I_k, tau 0.1, 60 images, 2 of 4 categories seen")
    assert table[2].split()[:6] == ["conv1", "blur", "all", "60", "20", f"{first['median']:.3f}"]
    assert [line.split(":")[0] for line in table[-2:]] == ["Accuracy blur", "Accuracy rot90"]
    assert max(map(len, table)) <= 80


def test_the_suffix_decides_and_a_pipe_gets_hdf5(write, invtool: Runner, tmp_path):
    source = write()
    assert invtool("invariance", source, "-o", "x.csv").returncode == 0
    assert (tmp_path / "x.csv").read_text().startswith("layer,transform,group")
    piped = subprocess.run(
        [sys.executable, "-m", "invtool", "invariance"],
        input=source.read_bytes(),
        capture_output=True,
        check=True,
    )
    (tmp_path / "piped.h5").write_bytes(piped.stdout)
    with hdf5.open(tmp_path / "piped.h5", ("invariance",)) as file:
        assert file.steps[-1]["command"].startswith("invtool invariance")


def test_the_same_command_writes_the_same_bytes(write, invtool: Runner):
    source, env = write(), {"SOURCE_DATE_EPOCH": "0"}
    first, again = (invtool("invariance", source, env=env, text=False).stdout for _ in range(2))
    assert first == again != b""


def test_layers_are_chosen_by_pattern_and_word(write):
    for patterns, wanted in [
        (("conv*",), ["conv1"]),
        (("penultimate",), ["fc"]),
        (("fc", "conv1"), ["conv1", "fc"]),
        (("all",), ["conv1", "fc"]),
    ]:
        with hdf5.open(measured(write(), layers=patterns)) as found:
            assert found.layers() == wanted


def test_negative_responses_are_told_by_layer(write, invtool: Runner):
    done = invtool("invariance", write(edit=put(-1.0)), "--format", "json")
    assert done.returncode == 0
    assert "1 of 12 units of layer 'fc' respond below 0" in done.stderr
    rows = [r for r in json.loads(done.stdout)["rows"] if r["layer"] == "fc"]
    assert [(r["transform"], r["silent"], r["undefined"]) for r in rows[::3]] == [
        ("blur", 1, 1),
        ("rot90", 1, 0),
    ]
    assert invtool("invariance", write(edit=put(-1.0)), "-q", "-f", "csv").stderr == ""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_value_that_is_not_finite_is_refused_with_its_place(write, value, dtype):
    path = write(edit=put(value), dtype=dtype)
    with pytest.raises(InvtoolError, match=f"unit 7 of layer 'fc' holds {value}; finite"):
        measured(path, threads=3)


def test_a_file_without_torch(write):
    """The stage measures without importing PyTorch, and this test would see it if it did."""
    code = (
        "import sys, pathlib; {}\n"
        "from invtool.cli._app import run\n"
        f"code = run(['invariance', {str(write())!r}, '-f', 'csv', '-o', {os.devnull!r}])\n"
        "print(code, 'torch' in sys.modules)"
    )
    for first, wanted in [("", "0 False"), ("import torch", "0 True")]:
        done = subprocess.run(
            [sys.executable, "-c", code.format(first)], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == wanted, done.stderr


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("invtool invariance: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


def test_bad_input_is_one_sentence_and_an_exit_code(write, invtool: Runner, tmp_path):
    refused(invtool("invariance", input=""), 1, "standard input is empty")
    refused(invtool("invariance", "gone.h5"), 1, "no such file")
    refused(invtool("invariance", write_images(tmp_path / "i.h5")), 1, "activations is wanted")
    refused(invtool("invariance", write(edit=put(np.nan))), 1, "'fc' holds nan")
    refused(invtool("invariance", write(conditions=["none"])), 1, "only untransformed images")
    refused(invtool("invariance", write(conditions=["blur", "none"])), 1, "is not 'none'")
    refused(invtool("invariance", write(images=0)), 1, "no images in it")
    refused(invtool("invariance", write(), "-l", "cnv1"), 1, "no layer 'cnv1'", "conv1, fc")
    refused(invtool("invariance", write(), "--tau", "1"), 2, "0 <= tau < 1")
    refused(invtool("invariance", write(), "--tau", "nan"), 2, "0 <= tau < 1")
    short = tmp_path / "short.h5"
    short.write_bytes(write().read_bytes()[:-2000])
    refused(invtool("invariance", short), 1, "truncated")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told(write, invtool: Runner):
    with Path("/dev/full").open("w") as full:
        done = invtool(
            "invariance",
            write(),
            "-f",
            "csv",
            stdout=full,
            stderr=subprocess.PIPE,
            capture_output=False,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
