"""`invtool bias`: the numbers of an independent transcription, in every form, and plain refusals."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from conftest import INVTOOL, Runner
from scipy import stats
from small import Run, runner

from invtool.files import hdf5
from invtool.stages import verify

COUNTS = {"anywhere": 300, "central": 300, "few": 3, "single": 1}
SIDE = 1000  # px
HEAD = "category,x0,y0,x1,y1,width,height\n"


def drawn_boxes() -> list[tuple[str, list[int]]]:
    """Boxes with height and place at will; central and large ones; and too few of two categories."""
    rng = np.random.default_rng(0)
    found = []
    for name, count in COUNTS.items():
        low, spread = (600, 0.1) if name == "central" else (1, 1.0)
        for width, height in rng.integers(low, SIDE, (count, 2)).tolist():
            share = 0.5 + spread * (rng.random(2) - 0.5)
            x, y = (share * (SIDE - np.array([width, height]))).astype(int).tolist()
            found.append((name, [x, y, x + width, y + height]))
    return found


def text_of(found: list[tuple[str, list[int]]]) -> str:
    lines = (f"{name},{','.join(map(str, box))},{SIDE},{SIDE}\n" for name, box in found)
    return HEAD + "".join(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    at = tmp_path_factory.mktemp("bias")
    (at / "boxes.csv").write_text(text_of(drawn_boxes()))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(at)
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        yield at


@pytest.fixture
def run(folder: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd)


@pytest.fixture
def result(run: Run) -> dict[str, Any]:
    code, out, err = run("bias boxes.csv -f json")
    assert (code, err) == (0, "")
    told: dict[str, Any] = json.loads(out)
    return told


def transcribed(name: str) -> dict[str, float]:
    """What the paper asks of a category, by scipy."""
    box = np.array([box for category, box in drawn_boxes() if category == name]) / SIDE
    low, high = box[:, :2], box[:, 2:]
    extent = high - low

    def smaller(values: np.ndarray) -> float:
        return min(1.0, 2 * min(stats.kstest(v, "uniform").pvalue for v in values.T))

    return {
        "x_mean": float(((low + high) / 2)[:, 0].mean()),
        "y_sd": float(((low + high) / 2)[:, 1].std(ddof=1)),
        "height_mean": float(extent[:, 1].mean()),
        "position_statistic_x": stats.kstest(((low + high) / 2)[:, 0], "uniform").statistic,
        "position_p": smaller((low + high) / 2),
        "placement_p": smaller(low / (1 - extent)),
        "size_p": stats.kstest(extent[:, 1], "uniform").pvalue,
    }


def test_the_numbers_are_those_of_an_independent_transcription(result: dict[str, Any]) -> None:
    rows = {row["category"]: row for row in result["rows"]}
    assert {name: row["boxes"] for name, row in rows.items()} == COUNTS
    for name in ("anywhere", "central", "few"):
        for key, wanted in transcribed(name).items():
            assert rows[name][key] == pytest.approx(wanted, rel=1e-3), (name, key)
    for test in ("position", "placement", "size"):
        p = np.array([rows[name][f"{test}_p"] for name in ("anywhere", "central", "few")])
        ranked = np.argsort(p)
        holm = np.empty(3)
        holm[ranked] = np.minimum(np.maximum.accumulate(p[ranked] * [3, 2, 1]), 1)
        found = [rows[name][f"{test}_corrected_p"] for name in ("anywhere", "central", "few")]
        np.testing.assert_allclose(found, holm, rtol=1e-9)


def test_size_makes_objects_central_and_the_placement_tells(result: dict[str, Any]) -> None:
    """Those that stand anywhere where they fit are central, but not misplaced."""
    anywhere = result["rows"][0]
    assert anywhere["position_log10_p"] < -5
    assert anywhere["placement_log10_p"] > -2
    assert anywhere["size_log10_p"] > -2


def test_the_summary_counts_categories_under_the_limit(result: dict[str, Any], run: Run) -> None:
    counts = {row.pop("test"): row for row in result["summary"]}
    for test in ("position", "size", "both", "placement"):
        under = 2 if test == "position" else 1  # central; anywhere too, as it is large
        assert counts[test] == {"tested": 3, "under": under, "under_corrected": under}
    facts = {name: result[name] for name in ("below", "correction", "boxes", "categories")}
    assert facts == {"below": 1e-10, "correction": "holm", "boxes": 604, "categories": 4}
    _, out, _ = run("bias boxes.csv -f json --below 0.99 --correction none")
    told = json.loads(out)["summary"][0]
    assert told["under"] == told["under_corrected"] >= 2


def test_a_category_of_one_box_has_no_p_and_is_told(result: dict[str, Any], run: Run) -> None:
    single = result["rows"][-1]
    assert single["category"] == "single"
    assert [single[key] for key in ("position_p", "placement_log10_p", "size_p")] == [None] * 3
    _, out, _ = run("bias boxes.csv -f table")
    assert out.splitlines()[-1] == "Without p for the position, as of 1 box: 1."
    assert (
        next(line for line in out.splitlines() if line.startswith("single")).split()[-3:]
        == ["-"] * 3
    )


def test_csv_and_hdf5_hold_what_json_holds(result: dict[str, Any], run: Run) -> None:
    _, out, _ = run("bias boxes.csv -f csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == list(result["rows"][0])
    assert float(rows[1]["size_log10_p"]) == result["rows"][1]["size_log10_p"]
    assert rows[3]["size_p"] == ""
    assert run("bias boxes.csv -o a.h5 --overwrite")[0] == 0
    with hdf5.open(Path("a.h5"), ["bias"]) as file:
        assert file.array("category").tolist() == list(COUNTS)
        assert file.attribute("left_out") == {"crowds": 0, "skipped": 0, "clipped": 0}
        for key in ("position_p", "placement_log10_p", "size_corrected_log10_p"):
            wanted = [np.nan if row[key] is None else row[key] for row in result["rows"]]
            np.testing.assert_array_equal(file.array(key), wanted)
        number = file.array("box_category")
        mean = [file.array("height")[number == c].mean() for c in range(4)]
        np.testing.assert_allclose(mean, file.array("height_mean"))
        assert [step["command"] for step in file.steps] == [
            "invtool bias boxes.csv -o a.h5 --overwrite"
        ]
    assert verify.check(Path("a.h5")) == "bias, category 4, axis 2, box 604"
    with xarray.open_dataset("a.h5", engine="h5netcdf") as data:
        assert data["position_statistic"].dims == ("category", "axis")
        assert float(data["count"].sel(category="few")) == 3


def test_the_same_boxes_in_another_order_are_the_same_result(
    result: dict[str, Any], run: Run
) -> None:
    Path("shuffled.csv").write_text(text_of(drawn_boxes()[::-1]))
    _, out, _ = run("bias shuffled.csv -f json")
    for row, again in zip(result["rows"], json.loads(out)["rows"], strict=True):
        assert again.pop("category") == row.pop("category")
        assert {k: v for k, v in row.items() if v is None} == {
            k: v for k, v in again.items() if v is None
        }
        kept = [key for key, value in row.items() if value is not None]
        assert [again[k] for k in kept] == pytest.approx([row[k] for k in kept], rel=1e-9)


def test_the_same_command_writes_the_same_bytes(run: Run) -> None:
    for name in ("b.h5", "c.h5"):
        assert run("bias boxes.csv --no-provenance --overwrite -o", name)[0] == 0
    assert Path("b.h5").read_bytes() == Path("c.h5").read_bytes()


def test_chi_square_is_scipys_on_the_same_grid(run: Run) -> None:
    _, out, _ = run("bias boxes.csv -f json --test chi-square")
    told = json.loads(out)
    box = np.array([box for name, box in drawn_boxes() if name == "anywhere"])
    x, y = ((box[:, :2] + box[:, 2:]) * 5 // (2 * SIDE)).T
    cells = {"position": 5 * x + y, "size": (box[:, 3] - box[:, 1]) * 5 // SIDE}
    row = told["rows"][0]
    for name, cell in cells.items():
        wanted = stats.chisquare(np.bincount(cell, minlength=25 if name == "position" else 5))
        assert row[f"{name}_chi_square"] == pytest.approx(wanted.statistic)
        assert row[f"{name}_p"] == pytest.approx(wanted.pvalue, rel=1e-9)
    assert row["placement_log10_p"] > -2
    assert [row["tested"] for row in told["summary"]] == [2, 2, 2, 2]
    assert run("bias boxes.csv -o chi.h5 --test chi-square --overwrite")[0] == 0
    assert verify.check(Path("chi.h5")) == "bias, category 4, axis 2, box 604"
    _, out, _ = run("bias boxes.csv -f table --test chi-square")
    assert out.splitlines()[-1] == "Without p for the position, as of 3 boxes or fewer: 2."


def test_a_table_of_many_categories_shows_both_ends(run: Run) -> None:
    rng = np.random.default_rng(1)
    lines = [f"c{n % 40:02},0,0,{1 + x},{1 + y},9,9" for n, (x, y) in enumerate(rng.integers(0, 9, (200, 2)))]  # fmt: skip
    Path("many.csv").write_text(HEAD + "\n".join(lines))
    _, out, _ = run("bias many.csv -f table")
    title, head, *body = out.splitlines()
    assert title == "p of uniformity (kolmogorov-smirnov) of 200 boxes in 40 categories"
    assert head.split()[:3] == ["category", "boxes", "x"]
    shown = body[: next(n for n, line in enumerate(body) if line.startswith("Categories"))]
    assert len(shown) == 17
    assert shown[8] == "..."
    _, out, _ = run("bias many.csv -f csv")
    rows = {row["category"]: row for row in csv.DictReader(io.StringIO(out))}
    worst = [max(float(rows[line.split()[0]][f"{t}_log10_p"]) for t in ("position", "size"))
             for line in shown if line != "..."]  # fmt: skip
    assert worst == sorted(worst)
    everyone = [max(float(r["position_log10_p"]), float(r["size_log10_p"])) for r in rows.values()]
    assert worst[0] == min(everyone)
    assert worst[-1] == max(everyone)


def test_what_is_left_out_is_told(run: Run) -> None:
    Path("faulty.csv").write_text(HEAD + "a,0,0,5,5,9,9\na,1,1,5,5,9,9\na,5,5,10,9,9,9\n")
    code, out, err = run("bias faulty.csv -f json --faulty skip")
    assert (code, json.loads(out)["left_out"]["skipped"]) == (0, 1)
    assert err == "invtool bias: boxes outside their image or of no size, left out: 1\n"
    code, out, err = run("bias faulty.csv -f json --faulty clip -q")
    assert (code, json.loads(out)["left_out"]["clipped"], err) == (0, 1, "")


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("bias missing.csv", 1, "missing.csv: no such file"),
        ("bias boxes.csv --below 0", 2, "--below 0: a p, 0 < P < 1, is wanted"),
        ("bias boxes.csv --below 1", 2, "--below 1: a p, 0 < P < 1, is wanted"),
        ("bias boxes.csv --correction sidak", 2, "'sidak' is not one of"),
        ("bias boxes.csv -o a.xyz", 2, "unknown suffix '.xyz'"),
        ("bias boxes.csv -o there.csv", 2, "there.csv exists; pass --overwrite to replace it"),
        ("bias boxes.csv --corners from-1", 1, "see --corners for what the numbers mean"),
        ("bias empty", 1, "empty: no .xml, .json, .csv file in it"),
        ("bias result.h5", 1, "result.h5: neither VOC XML, COCO JSON nor CSV in UTF-8"),
        ("plot result.h5 -c dog -f text", 1, "result.h5 has no category 'dog'; it has anywhere"),
        ("plot result.h5 --kind layers", 1, "result.h5 holds bias; --kind layers draws invariance"),
        ("plot result.h5 --group seen", 2, "--kind bias draws no one group of images"),
        ("invariance result.h5", 1, "holds bias; activations is wanted"),
    ],
)
def test_bad_lines_are_a_code_and_a_sentence(
    line: str, code: int, sentence: str, run: Run, folder: Path
) -> None:
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "there.csv").write_text("precious")
    assert run("bias boxes.csv --overwrite -o result.h5")[0] == 0
    found, out, err = run(line)
    assert (found, out) == (code, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert (folder / "there.csv").read_text() == "precious"


def test_a_pipe_of_csv_becomes_a_picture(folder: Path) -> None:
    command = " ".join(INVTOOL)
    line = f"gzip -c boxes.csv | {command} bias | {command} plot -o f.png"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "f.png").read_bytes().startswith(b"\x89PNG")


def test_one_category_is_drawn_once(run: Run) -> None:
    Path("one.csv").write_text(text_of([each for each in drawn_boxes() if each[0] == "few"]))
    _, out, _ = run("bias one.csv -f table")
    assert out.startswith("p of uniformity (kolmogorov-smirnov) of 3 boxes in one category\n")
    assert run("bias one.csv -o one.h5")[0] == 0
    _, out, _ = run("plot one.h5 -f csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["panel"], row["category"]) for row in rows] == [("few, 3 boxes", "few")] * 3


def test_standard_input_is_named_in_messages(invtool: Runner) -> None:
    done = invtool("bias", "-f", "csv", input=HEAD + "a,1,2\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "invtool bias: standard input: line 2 has 3 fields; 7 are wanted\n"
    done = invtool("bias", "-f", "csv", input="")
    assert done.stderr == (
        "invtool bias: standard input is empty; did the command before this one fail?\n"
    )


def test_a_reader_that_left_is_141(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*INVTOOL, "bias", "boxes.csv"], stdout=writer, stderr=subprocess.PIPE, cwd=folder
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_nothing_slow_is_imported(folder: Path) -> None:
    code = """
import sys
sys.argv = ["invtool", "bias", "boxes.csv", "-f", "csv"]
from invtool.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
assert not {"torch", "scipy", "matplotlib", "PIL"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
