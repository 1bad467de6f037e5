"""What `inspect` says of each kind of file."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import (
    STEPS,
    WRITERS,
    Runner,
    write_images,
    write_invariance,
    write_model,
    write_safetensors,
)

from invtool.files import formats
from invtool.stages import inspect


@pytest.mark.parametrize("kind", WRITERS)
def test_every_array_of_the_kind_is_listed_with_its_meaning(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "a.h5")
    told = inspect.run(path, "text")
    assert told.startswith(f"{path}: {kind}, format 1, ")
    what = json.loads(inspect.run(path, "json"))
    present = {formats.pattern(array["name"]) for array in what["arrays"]}
    for array in formats.KINDS[kind]:
        if array.required:
            assert array.path in present
            assert f"\n  {array.path}  " in told
    assert all(len(a["dims"]) == len(a["shape"]) for a in what["arrays"])
    units = {a["name"]: a["units"] for a in what["arrays"]}
    pixels = {"strength", "position", "subsampling", "kernel", "displacement", "worst_displacement"}
    told = {"magnitude": "degrees"} | dict.fromkeys(pixels, "px")
    assert units == {name: told.get(name, "1") for name in units}
    assert all(a["long_name"] for a in what["arrays"])


def test_dimensions_are_named_with_their_sizes(tmp_path: Path) -> None:
    told = inspect.run(write_images(tmp_path / "a.h5"), "text")
    assert "  image  uint8  image 12 x channel 3 x height 8 x width 8\n      Pixels\n" in told
    assert "categories  ann, bob, cy, di\n" in told


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_text_is_no_wider_than_the_terminal(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    files = [writer(tmp_path / kind) for kind, writer in WRITERS.items()]
    for path in [*files, write_model(tmp_path / "m.st")]:
        body = inspect.run(path, "text").partition("\nMade by")[0].partition("\n")[2]
        if columns >= 80:
            assert max(map(len, body.splitlines())) <= columns
        assert "Arrays" in body or "Tensors" in body


def test_fifty_layers_stay_readable(tmp_path: Path) -> None:
    told = inspect.run(write_invariance(tmp_path / "a.h5", layers=50), "text")
    assert "Layers (50, input to output)\n  unit 5  fc0, fc1, fc2" in told
    assert len(told.splitlines()) < 40


def test_a_model_says_what_it_is(tmp_path: Path) -> None:
    told = inspect.run(write_model(tmp_path / "m.st"), "text")
    for line in (
        "architecture   blocks(width=8)",
        "input          channel 3 x height 32 x width 32",
        "normalization  per-image",
        "data           faces:categories=4",
        "transform      blur",
        "seen           2 of 4 categories (0, 2)",
        "training       epochs 2, learning_rate 0.1, accuracy (none 0.9876)",
        "parameters     128 in 3 tensors (F32)",  # 108 + 4 + 16, and no running mean
        "conv  weight 4 x 3 x 3 x 3, bias 4",
    ):
        assert f"  {line}\n" in told
    assert "transform      none\n" in inspect.run(
        write_model(tmp_path / "n.st", transform=""), "text"
    )


def test_a_foreign_model_shows_its_tensors(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "m.st", {"a.weight": np.zeros((2, 3), np.float16)})
    told = inspect.run(path, "text")
    assert ": tensors, " in told
    assert "parameters  6 in 1 tensors (F16)" in told
    assert "Made by: not recorded" in told


def test_commands_join_what_was_piped_and_stay_apart_otherwise(tmp_path: Path) -> None:
    path = write_invariance(tmp_path / "a.h5")
    assert inspect.run(path, "commands").splitlines() == [
        "invtool train --seen 2 --transform blur -o model.st",
        "invtool activations model.st --layer 'conv*' | invtool invariance -o result.h5",
    ]
    redirected = [*STEPS[:2], {**STEPS[2], "reads": ["a.h5"]}]
    assert len(inspect.commands(redirected)) == 3


def test_two_inputs_of_one_step_keep_their_own_lines() -> None:
    other = {**STEPS[0], "id": "train.9", "command": "invtool train -o other.st"}
    both = {**STEPS[2], "previous": [STEPS[0]["id"], "train.9"], "reads": ["model.st", "other.st"]}
    assert [line.split()[1] for line in inspect.commands([STEPS[0], other, both])] == [
        "train",
        "train",
        "invariance",
    ]


@pytest.mark.parametrize(
    "command",
    [
        "invtool data; touch harmed",
        "touch harmed",
        "invtool $(touch harmed)",
        "'",
        "# x\ntouch harmed",
    ],
)
def test_a_file_cannot_smuggle_in_a_command(command: str, tmp_path: Path) -> None:
    (line,) = inspect.commands([{**STEPS[0], "command": command}])
    subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, env={"PATH": "/bin"})
    assert list(tmp_path.iterdir()) == []


def test_made_by_says_when_with_what_and_where(tmp_path: Path) -> None:
    told = inspect.run(write_images(tmp_path / "a.h5"), "text")
    assert told.endswith(
        "Made by\n"
        "  # train.00000001: 2026-01-01T00:00:00Z, invtool 0.1.0, torch 2.8.0, cpu\n"
        "  invtool train --seen 2 --transform blur -o model.st"
    )


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.st", data="\x1b]0;owned\x07faces")
    assert "\x1b" not in inspect.run(path, "text")


def test_the_command_line(invtool: Runner, tmp_path: Path) -> None:
    write_model(tmp_path / "m.st")
    assert invtool("inspect", "m.st", "--commands").stdout == STEPS[0]["command"] + "\n"
    what = json.loads(invtool("inspect", "m.st", "--json").stdout)
    assert (what["kind"], what["file"], what["facts"]["seen"]) == ("model", "m.st", [0, 2])
    assert what["provenance"] == STEPS[:1]
    piped = invtool("inspect", input=(tmp_path / "m.st").read_bytes(), text=False)
    assert piped.stdout.startswith(b"standard input: model, format 1, ")


def test_a_terminal_gets_text_that_fits_it(tmp_path: Path) -> None:
    write_invariance(tmp_path / "a.h5", layers=12)
    script = (
        "import os, pty, sys; os.environ.pop('COLUMNS', None)\n"
        "pty.spawn([sys.executable, '-m', 'invtool', 'inspect', 'a.h5'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "Layers (12, input to output)" in done.stdout
