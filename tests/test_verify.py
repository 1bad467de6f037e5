"""`verify` accepts what is whole and names what is not."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import (
    WRITERS,
    Runner,
    write_activations,
    write_images,
    write_invariance,
    write_model,
    write_safetensors,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.errors import InvtoolError
from invtool.stages import verify


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("images", "images, image 12, channel 3, height 8, width 8"),
        ("activations", "activations, image 12, condition 2, layer 2"),
        ("invariance", "invariance, transform 1, group 3, layer 2"),
        ("ablation", "ablation, tau 3, mode 2, condition 2, group 3"),
        (
            "evaluation",
            "evaluation, condition 2, group 3, bound 2, true_group 2, predicted_group 2, correct 2, image 8",
        ),
        ("calibration", "calibration, step 3, bound 2"),
        ("bias", "bias, category 3, axis 2, box 30"),
        (
            "sweep",
            "sweep, transform 1, category 4, answer 4, bound 2, side 2, image 8, magnitude 5, example 1, sample 3, channel 3, height 8, width 8",
        ),
    ],
)
def test_whole_files(kind: str, found: str, tmp_path: Path) -> None:
    assert verify.check(WRITERS[kind](tmp_path / "a.h5")) == found


def test_whole_models(tmp_path: Path) -> None:
    assert verify.check(write_model(tmp_path / "m.st")) == "model, 4 tensors"
    foreign = write_safetensors(tmp_path / "f.st", {"a": np.zeros((2, 0), np.float32)})
    assert verify.check(foreign) == "tensors without metadata, 1 tensors"


def _set(name: str, index: object, value: object) -> Callable[[h5py.File], None]:
    def change(raw: h5py.File) -> None:
        raw[name][index] = value

    return change


def _units(raw: h5py.File) -> None:
    del raw["layers/fc0/top1_score"]
    raw["layers/fc0/top1_score"] = np.zeros((1, 4), np.float32)


def _names(raw: h5py.File) -> None:
    raw.attrs["categories"] = json.dumps(["ann", "bob"])


def _unwritten(raw: h5py.File) -> None:
    del raw["label"]
    raw.create_dataset("label", (12,), "i8")


BAD = [
    ("images", _set("label", 3, -1), "label holds -1; integers from 0 are wanted"),
    ("images", _set("split", 0, 2), "split holds 2; 0 or 1 are wanted"),
    ("images", _names, "label reaches 3, but categories names 2 from 0"),
    ("images", _unwritten, "label was never written"),
    ("activations", _set("condition", 0, "blur"), "its first condition is not 'none'"),
    ("activations", _set("seen", 1, 7), "seen holds 7; 0 or 1 are wanted"),
    ("activations", _set("layers/fc/activation", (1, 2, 3), np.nan), "layers/fc/activation holds NaN"),
    ("activations", _set("layers/fc/activation", (1, 2, 3), np.inf), "holds inf; finite floats"),
    ("invariance", _set("layers/fc1/invariance", (0, 1, 2), 1.5), "invariance holds 1.5; floats in 0..1"),
    ("invariance", _set("layers/fc1/invariance", (0, 1, 2), -0.5), "invariance holds -0.5"),
    ("invariance", _set("layers/fc1/invariance", (0, 1, 2), np.inf), "invariance holds inf"),
    ("invariance", _set("layers/fc1/active_images", (0, 1, 2), -1), "active_images holds -1"),
    ("invariance", _set("layers/fc1/active_units", (0, 1), -1), "active_units holds -1"),
    ("calibration", _set("accuracy", 1, 2), "accuracy holds 2"),
    ("bias", _set("size_log10_p", 1, 2), "size_log10_p holds 2; floats up to 0 or NaN are wanted"),
    ("bias", _set("center", (1, 0), np.nan), "center holds NaN"),
    ("sweep", _set("softmax", (0, 1, 2), 1.5), "softmax holds 1.5; floats in 0..1"),
    ("sweep", _set("magnitude", 1, np.nan), "magnitude holds NaN"),
    ("sweep", _set("side_threshold", (0, 1), -1), "side_threshold holds -1"),
    ("evaluation", _set("confusion", (0, 0, 1, 0), 1.5), "confusion holds 1.5; floats in 0..1"),
    ("ablation", _set("tau", 2, 1.5), "tau holds 1.5; shares in 0..1 are wanted"),
    ("ablation", _set("accuracy", (1, 0, 2), -0.5), "accuracy holds -0.5; floats in 0..1 or NaN"),
    ("ablation", _set("chosen_tau", (), 2), "chosen_tau holds 2; floats in 0..1 or NaN are wanted"),
    ("invariance", _units, "has units (5,) but layers/fc0/top1_score has units (4,)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change", "sentence"), BAD, ids=lambda x: x if isinstance(x, str) else ""
)
def test_values_out_of_range_are_named(
    kind: str, change: Callable[[h5py.File], None], sentence: str, tmp_path: Path
) -> None:
    path = WRITERS[kind](tmp_path / "a.h5")
    with h5py.File(path, "r+") as raw:
        change(raw)
    with pytest.raises(InvtoolError) as caught:
        verify.check(path)
    assert str(caught.value).startswith(str(path))
    assert sentence in str(caught.value)


def test_nan_is_allowed_where_the_kind_allows_it(tmp_path: Path) -> None:
    path = write_invariance(tmp_path / "a.h5")
    with h5py.File(path, "r+") as raw:
        raw["layers/fc1/invariance"][:] = np.nan
    assert verify.check(path)


def test_a_bad_value_in_a_late_block_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_activations(tmp_path / "a.h5")
    monkeypatch.setattr(verify, "BLOCK", 64)
    assert verify.check(path)
    with h5py.File(path, "r+") as raw:
        raw["layers/conv1/activation"][1, 11, 3, 2, 2] = np.nan
    with pytest.raises(InvtoolError, match="layers/conv1/activation holds NaN"):
        verify.check(path)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_chunked_and_compressed_arrays_are_read(dtype: str, tmp_path: Path) -> None:
    path = _compressed(tmp_path / "a.h5", dtype)
    assert verify.check(path)


def _compressed(path: Path, dtype: str) -> Path:
    write_activations(path, dtype=dtype)
    with h5py.File(path, "r+") as raw:
        values = raw["layers/fc/activation"][()]
        del raw["layers/fc/activation"]
        raw.create_dataset(
            "layers/fc/activation", data=values, chunks=(1, 5, 5), compression="gzip"
        )
    return path


def test_a_damaged_chunk_is_one_sentence(tmp_path: Path) -> None:
    path = _compressed(tmp_path / "a.h5", "float32")
    with h5py.File(path) as raw:
        chunk = raw["layers/fc/activation"].id.get_chunk_info(1)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)
    with pytest.raises(InvtoolError, match=r"a\.h5: damaged \(.*read data") as caught:
        verify.check(path)
    assert "\n" not in str(caught.value)


def test_a_float_out_of_range_by_rounding_alone_is_whole(tmp_path: Path) -> None:
    path = write_invariance(tmp_path / "a.h5")
    with h5py.File(path, "r+") as raw:
        raw["layers/fc0/invariance"][0, 0, 1] = np.nextafter(np.float32(1), np.float32(2))
    assert verify.check(path)


def _rewrite(path: Path, change: Callable[[dict[str, dict[str, object]]], None]) -> None:
    blob = path.read_bytes()
    length = struct.unpack("<Q", blob[:8])[0]
    header = json.loads(blob[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob[8 + length :])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda h: h["fc.weight"].update(shape=[4, 5]), "has 64 bytes; F32 of shape [4, 5] has 80"),
        (lambda h: h["fc.weight"].update(dtype="F33"), "tensor fc.weight has type F33; F64, F32"),
        (lambda h: h["fc.weight"].update(dtype=32), "truncated or not safetensors"),
        (lambda h: h["fc.weight"].update(shape="x"), "truncated or not safetensors"),
        (lambda h: h["fc.weight"].update(shape=[-4, -4]), "truncated or not safetensors"),
        (lambda h: h["fc.weight"].update(data_offsets=[9]), "truncated or not safetensors"),
        (lambda h: h.update({"__metadata__": 3}), "truncated or not safetensors"),
        (
            lambda h: h["conv.bias"].update(data_offsets=[0, 16]),
            "its tensors overlap or leave gaps",
        ),
        (lambda h: h["__metadata__"].pop("input"), "a model without input in its metadata"),
        (lambda h: h["__metadata__"].update(seen="[4]"), "seen names categories outside 0..3"),
        (lambda h: h["__metadata__"].update(invtool_format="2"), "model in format 2"),
    ],
)
def test_models_that_contradict_themselves_are_refused(
    change: Callable[[dict[str, dict[str, object]]], None], sentence: str, tmp_path: Path
) -> None:
    path = write_model(tmp_path / "m.st")
    _rewrite(path, change)
    with pytest.raises(InvtoolError) as caught:
        verify.check(path)
    assert sentence in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    bad=st.sampled_from([np.nan, np.inf, -np.inf, None]),
    place=st.integers(0, 39),
)
def test_a_weight_that_is_not_finite_is_found(
    dtype: str, bad: float | None, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    values = np.linspace(-3, 3, 40).astype(dtype)
    if bad is not None:
        values[place] = bad
    path = write_safetensors(
        tmp_path_factory.mktemp("m") / "m.st", {"x": values[:20], "y": values[20:]}
    )
    if bad is None:
        assert verify.check(path)
    else:
        with pytest.raises(InvtoolError, match=f"tensor {'xy'[place // 20]} holds NaN or infinity"):
            verify.check(path)


def test_bfloat16_needs_no_torch(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "m.st", {"x": np.array([0x3F80, 0x7F7F], np.uint16)})
    _rewrite(path, lambda header: header["x"].update(dtype="BF16"))
    assert verify.check(path)
    path = write_safetensors(tmp_path / "n.st", {"x": np.array([0x3F80, 0x7F80], np.uint16)})
    _rewrite(path, lambda header: header["x"].update(dtype="BF16"))
    with pytest.raises(InvtoolError, match="tensor x holds NaN or infinity"):
        verify.check(path)


@settings(max_examples=25, deadline=None)
@given(cut=st.floats(0, 0.999), kind=st.sampled_from([*WRITERS, "model"]))
def test_no_truncated_file_is_whole(
    cut: float, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "file"
    write_model(path) if kind == "model" else WRITERS[kind](path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(InvtoolError):
        verify.check(path)


def test_the_command_line(invtool: Runner, tmp_path: Path) -> None:
    write_images(tmp_path / "a.h5")
    write_model(tmp_path / "m.st")
    (tmp_path / "cut.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:500])
    done = invtool("verify", "a.h5", "m.st")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "a.h5: whole (images, image 12, channel 3, height 8, width 8)\n"
        "m.st: whole (model, 4 tensors)\n"
    )
    done = invtool("verify", "cut.h5", "m.st", "missing.h5")
    assert (done.returncode, done.stdout) == (1, "m.st: whole (model, 4 tensors)\n")
    assert done.stderr == (
        "invtool verify: cut.h5: truncated or damaged HDF5; make it again\n"
        "invtool verify: missing.h5: no such file\n"
    )
    done = invtool("verify", "-q", "m.st", "cut.h5")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "invtool verify: cut.h5: truncated or damaged HDF5; make it again\n"
    done = invtool("verify", "-", input=(tmp_path / "a.h5").read_bytes(), text=False)
    assert done.stdout.startswith(b"standard input: whole (images")
