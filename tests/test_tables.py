"""Rows as a table, JSON and CSV."""

import csv
import io
import json
import math
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import STEPS
from hypothesis import given, settings
from hypothesis import strategies as st

from invtool.files import tables

ROWS = [
    {"layer": "conv1", "units": 64, "median": 0.98765, "share": float("nan")},
    {"layer": "fc, last", "units": 5, "median": 1.0, "share": 0.25},
]


def written(tmp_path: Path, form: str, rows: Any = ROWS, **extra: Any) -> str:
    path = tmp_path / "out"
    tables.write(path, rows, form, STEPS[:1], **extra)
    return path.read_text(encoding="utf-8")


def test_a_table_aligns_numbers_right_and_hides_nan(tmp_path: Path) -> None:
    assert written(tmp_path, "table", title="invariance", footer="2 layers") == (
        "invariance\n"
        "layer    units median share\n"
        "conv1       64  0.988     -\n"
        "fc, last     5  1.000 0.250\n"
        "2 layers\n"
    )


def test_json_keeps_all_digits_and_says_how_it_was_made(tmp_path: Path) -> None:
    told = json.loads(written(tmp_path, "json", title="t", facts={"tau": 0.1}))
    assert told["rows"][0] == {"layer": "conv1", "units": 64, "median": 0.98765, "share": None}
    assert (told["title"], told["tau"], told["provenance"]) == ("t", 0.1, STEPS[:1])


def test_csv_is_plain(tmp_path: Path) -> None:
    assert written(tmp_path, "csv").splitlines() == [
        "layer,units,median,share",
        "conv1,64,0.98765,",
        '"fc, last",5,1.0,0.25',
    ]


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "name": st.text(st.characters(exclude_categories=("C", "Z")), max_size=12),
                "value": st.floats(),
                "count": st.integers(-(10**9), 10**9),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_csv_and_json_agree(rows: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("t")
    told = json.loads(written(folder, "json", rows))["rows"]
    read = list(csv.DictReader(io.StringIO(written(folder, "csv", rows))))
    for row, plain, cells in zip(rows, told, read, strict=True):
        assert (plain["name"], cells["name"]) == (row["name"], row["name"])
        assert plain["count"] == int(cells["count"]) == row["count"]
        if math.isfinite(row["value"]):
            assert plain["value"] == float(cells["value"]) == row["value"]
        else:
            assert (plain["value"], cells["value"]) == (None, "")


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_no_rows_are_no_error(form: str, tmp_path: Path) -> None:
    written(tmp_path, form, [])


def test_off_a_terminal_there_is_neither_color_nor_wrapping(tmp_path: Path) -> None:
    text = written(tmp_path, "table", [{"name": "x" * 300, "n": 1}])
    assert "\x1b" not in text
    assert "x" * 300 in text


ON_A_TERMINAL = """
import sys
from pathlib import Path
from invtool.files import streams, tables
rows = [{f"column{n}": 0.5 for n in range(9)} for _ in range(3)]
with streams.writing(Path(sys.argv[1])) as path:
    tables.write(path, rows, "table", [], title="t" * 20)
"""


@pytest.mark.parametrize(
    ("target", "no_color", "colored"), [("-", "", True), ("-", "1", False), ("file", "", False)]
)
def test_color_is_for_terminals(target: str, no_color: str, colored: bool, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    subprocess.run(
        [sys.executable, "-c", ON_A_TERMINAL, target],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        env={**env, "TERM": "xterm", **({"NO_COLOR": no_color} if no_color else {})},
        check=True,
    )
    os.close(theirs)
    text = (tmp_path / "file").read_text() if target == "file" else os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert ("\x1b[" in text) is colored
    if target == "-":
        plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
        assert max(map(len, plain.splitlines())) <= 80
