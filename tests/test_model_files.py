"""Model files: safetensors that describe themselves."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import STEPS, write_model, write_safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from invtool.errors import InvtoolError
from invtool.files import models

METADATA = {"architecture": {"name": "blocks", "arguments": {}}, "seen": [0, 3], "transform": ""}


def test_what_is_saved_can_be_loaded(tmp_path: Path) -> None:
    tensors = {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(7)}
    models.save(tmp_path / "m.st", tensors, METADATA, STEPS[:1])
    loaded = models.load_tensors(tmp_path / "m.st")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    told = models.read_metadata(tmp_path / "m.st")
    assert {key: told[key] for key in METADATA} == METADATA
    assert (told["invtool_kind"], told["invtool_format"]) == ("model", 1)
    assert models.steps_of(told) == STEPS[:1]
    assert told["history"] == f"{STEPS[0]['time']}: {STEPS[0]['command']}"


def test_the_library_reads_it_too(tmp_path: Path) -> None:
    models.save(tmp_path / "m.st", {"w": torch.ones(2)}, METADATA, [])
    with safe_open(tmp_path / "m.st", "np") as file:
        assert file.metadata()["seen"] == "[0, 3]"
        assert file.get_tensor("w").tolist() == [1, 1]


def test_a_strided_tensor_is_saved_as_it_looks(tmp_path: Path) -> None:
    tensor = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    models.save(tmp_path / "m.st", {"w": tensor}, {}, [])
    assert torch.equal(models.load_tensors(tmp_path / "m.st")["w"], tensor)


@settings(max_examples=10, deadline=None)
@given(keys=st.lists(st.text("abcdefgh", min_size=1, max_size=6), unique=True, max_size=8))
def test_the_same_model_is_the_same_bytes(
    keys: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("m")
    tensors = {f"t{key}": torch.zeros(1) for key in keys}
    for name, order in (("a", keys), ("b", keys[::-1])):
        models.save(folder / name, tensors, {key: key for key in order}, [])
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()


def test_without_provenance_there_is_none(tmp_path: Path) -> None:
    models.save(tmp_path / "m.st", {}, {}, [])
    told = models.read_metadata(tmp_path / "m.st")
    assert "provenance" not in told
    assert "history" not in told
    assert models.steps_of(told) == []


def test_a_foreign_file_has_no_metadata(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "m.st", {"a": np.zeros(3, np.float32)})
    assert models.read_metadata(path) == {}
    assert models.is_model(path)


def test_metadata_that_are_no_json_are_text(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "m.st", {}, {"note": "{half", "history": "[1]"})
    assert models.read_metadata(path) == {"note": "{half", "history": "[1]"}


@pytest.mark.parametrize("provenance", ["3", '"x"', '[{"id": 1}]', "[[]]", "null"])
def test_a_malformed_chain_is_no_chain(provenance: str, tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.st", provenance=json.loads(provenance))
    assert models.steps_of(models.read_metadata(path)) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty; a safetensors model is wanted"),
        (b"abc", "not safetensors"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file; a safetensors model is wanted"),
        (b"\xff" * 32, "not safetensors; a model written by train is wanted"),
        (b"\x02" + bytes(7) + b"{}x", "truncated safetensors"),
        (b"\x02" + bytes(7) + b"[]", "truncated or not safetensors"),
        (b"\x05" + bytes(7) + b'{"a":', "truncated or not safetensors"),
    ],
)
def test_what_is_no_model_is_refused(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "m.st"
    path.write_bytes(content)
    with pytest.raises(InvtoolError, match=rf"m\.st: {sentence}"):
        models.read_metadata(path)


@pytest.mark.parametrize("part", [0.01, 0.2, 0.6, 0.9, 0.999])
def test_a_truncated_model_is_refused(part: float, tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.st")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(InvtoolError, match=r"m\.st: (truncated|not safetensors)"):
        models.read_metadata(path)


def test_another_format_number_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.st", invtool_format=2)
    with pytest.raises(InvtoolError, match="model in format 2; this invtool reads format 1"):
        models.read_metadata(path)
