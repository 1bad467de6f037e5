"""`invtool smoothness`: model files and foreign ones to a table, rows or a file, without torch."""

import csv
import io
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import INVTOOL, write_model, write_safetensors
from small import Run, runner
from test_startup import probe

from invtool.files import hdf5
from invtool.measures import total_variation

Array = np.ndarray


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    return runner(capfd)


def weights(seed: int = 0, **shapes: tuple[int, ...]) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    shapes = shapes or {"conv2": (4, 2, 3, 3), "conv10": (4, 4, 3, 3), "down": (4, 4, 1, 1)}
    return {f"{n}.weight": rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}


def network(path: str, seed: int = 0, name: str = "blocks", **metadata: object) -> Path:
    told = {"architecture": {"name": name}, "data": "faces", **metadata}
    texts = {key: json.dumps(value) for key, value in told.items()}
    return write_safetensors(Path(path), weights(seed), texts)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_has_a_row_a_layer_by_number(run: Run) -> None:
    code, out, _ = run("smoothness -f table", network("a.st"))
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines[2:5]] == ["conv2", "conv10", "down"]
    value = float(total_variation(weights()["conv10.weight"]))
    z = (value - 1.857) / float(lines[3][5])
    assert lines[3][:5] == ["conv10", "3x3", "16", f"{value:.3f}", "1.857"]
    assert float(lines[3][6]) == pytest.approx(z, abs=0.1)
    assert lines[4] == ["down", "1x1", "16", "0.000", "0.000", "0.000", "-"]


def test_every_form_holds_the_same_numbers(run: Run) -> None:
    network("a.st")
    found = rows(run("smoothness a.st -f csv")[1])
    told = json.loads(run("smoothness a.st -f json")[1])
    assert run("smoothness a.st -o a.h5")[0] == 0
    with hdf5.open(Path("a.h5"), kinds=("smoothness",)) as file:
        value, kernel = file.array("total_variation"), file.array("kernel")
        names = file.array("layer").tolist()
    assert [row["layer"] for row in found] == [row["layer"] for row in told["rows"]] == names
    np.testing.assert_allclose(value, [[float(row["total_variation"]) for row in found]])
    np.testing.assert_allclose(value, [[row["total_variation"] for row in told["rows"]]])
    assert kernel.tolist() == [[[3, 3], [3, 3], [1, 1]]]
    assert told["provenance"][-1]["config"]["law"] == "auto"


def test_seeds_of_a_recipe_share_a_column_with_their_spread(run: Run) -> None:
    for seed in range(3):
        network(f"{seed}.st", seed)
    network("other.st", 9, data="cifar10")
    _, out, _ = run("smoothness 0.st 1.st 2.st other.st -f table --layer conv10")
    values = [float(total_variation(weights(seed)["conv10.weight"])) for seed in (0, 1, 2, 9)]
    mean, reach = np.mean(values[:3]), 2 * np.std(values[:3], ddof=1)
    line = out.splitlines()[2]
    assert line.split() == [
        "conv10",
        "1.857",
        f"{mean:.3f}",
        "+-",
        f"{reach:.3f}",
        f"{values[3]:.3f}",
    ]
    assert out.splitlines()[1].split()[-2:] == ["faces", "cifar10"]


def test_checkpoints_are_columns_by_step_and_rows_where_they_are_many(run: Run) -> None:
    Path("net.steps").mkdir()
    for step in (100, 20, 3):
        network(f"net.steps/{step}.st", step, step=step)
    _, out, _ = run("smoothness net.steps -f table")
    assert " ".join(out.splitlines()[1].split()) == "layer initial step 3 step 20 step 100"
    for step in range(200, 210):
        network(f"net.steps/{step}.st", step, step=step)
    _, out, _ = run("smoothness net.steps -f table")
    first = [line.split()[:2] for line in out.splitlines()[1:5]]
    assert first == [["network", "conv2"], ["initial", "1.857"], ["step", "3"], ["step", "20"]]
    assert [r["step"] for r in rows(run("smoothness net.steps -f csv")[1])][::3][:3] == [
        "3",
        "20",
        "100",
    ]


def test_networks_of_one_name_are_told_apart(run: Run) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        network(f"{folder}/net.st")
    found = {row["network"] for row in rows(run("smoothness a/net.st b/net.st -f csv")[1])}
    assert found == {"a/net.st", "b/net.st"}


@pytest.mark.parametrize(
    ("name", "metadata", "option", "initial"),
    [
        ("blocks:filters=16", {}, "", 1.857),
        ("resnet20-cifar", {}, "", 1.886),
        ("torchvision:resnet50", {}, "", 1.886),
        ("torchvision:alexnet", {}, "", 1.778),
        ("blocks", {"init_smooth": 1.0}, "", 0.85),
        ("timm:convnext_tiny", {}, "", None),
        ("timm:convnext_tiny", {}, "--law uniform", 1.778),
    ],
)
def test_the_law_is_that_of_the_architecture(
    run: Run, name: str, metadata: dict[str, object], option: str, initial: float | None
) -> None:
    network("a.st", name=name, **metadata)
    row = rows(run(f"smoothness a.st -f csv {option}")[1])[0]
    if initial is None:
        assert (row["initial"], row["initial_deviation"], row["z"]) == ("", "", "")
    else:
        assert float(row["initial"]) == pytest.approx(initial, abs=0.003)


def test_a_foreign_file_of_half_precision_will_do(run: Run) -> None:
    whole = weights()
    halves = {name: values.astype(np.float16) for name, values in whole.items()}
    write_safetensors(Path("half.safetensors"), {**halves, "ids": np.ones((1, 1, 1, 1), np.int64)})
    # bfloat16 is the upper half of float32, which numpy does not know.
    upper = {name: (v.view(np.uint32) >> 16).astype(np.uint16) for name, v in whole.items()}
    path = write_safetensors(Path("brain.safetensors"), upper)
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = data[8:end].replace(b'"U16"', b'"BF16"')
    path.write_bytes(struct.pack("<Q", len(header)) + header + data[end:])
    for file in ("half.safetensors", "brain.safetensors"):
        code, out, err = run(f"smoothness {file} -f csv")
        assert code == 0, err
        assert [row["layer"] for row in rows(out)] == ["conv2", "conv10", "down"]
        wanted = float(total_variation(whole["conv2.weight"]))
        assert float(rows(out)[0]["total_variation"]) == pytest.approx(wanted, rel=0.01)


def test_a_pipe_is_a_model_too(tmp_path: Path) -> None:
    path = network(str(tmp_path / "a.st"))
    line = [*INVTOOL, "smoothness", "-f", "csv"]
    piped = subprocess.run(line, input=path.read_bytes(), capture_output=True, check=True)
    assert rows(piped.stdout.decode())[0]["network"] == "standard input"


def test_zeros_have_no_number_and_no_complaint(run: Run) -> None:
    write_safetensors(Path("zero.st"), {"conv.weight": np.zeros((2, 2, 3, 3), np.float32)})
    code, out, err = run("smoothness zero.st -f csv --law normal")
    row = rows(out)[0]
    assert (code, err, row["total_variation"], row["z"]) == (0, "", "", "")
    assert run("smoothness zero.st -o zero.h5")[0] == run("verify zero.h5")[0] == 0


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def broken(value: float) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        values = weights()
        values["conv2.weight"][0, 0, 1, 1] = value
        write_safetensors(path, values)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (cut, "truncated safetensors"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("no model"), "not safetensors"),
        (lambda path: path.unlink(), "no such file"),
        (
            lambda path: write_safetensors(path, {"fc.weight": np.ones((4, 4))}),
            "no weights of 4 axes",
        ),
        (
            lambda path: write_safetensors(path, {"momentum.conv2.weight": np.ones((1, 1, 3, 3))}),
            "the state of an unfinished training",
        ),
        (broken(np.nan), "layer conv2 holds NaN or infinity"),
        (broken(np.inf), "layer conv2 holds NaN or infinity"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    run: Run, spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(network("a.st"))
    code, out, err = run("smoothness a.st -o a.h5")
    assert (code, out) == (1, "")
    assert sentence in err and len(err.splitlines()) == 1
    assert not Path("a.h5").exists()


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("a.st --layer fc9", 1, "a.st has no layer 'fc9'; it has conv2, conv10, down"),
        ("a.st -o there.h5", 2, "there.h5 exists"),
        ("a.st -o a.xyz", 2, "unknown suffix"),
        ("a.st --law normal-ish", 2, "normal-ish"),
        ("empty", 1, "no model file in this folder"),
        ("a.st there.h5", 1, "an HDF5 file"),
    ],
)
def test_what_cannot_work_is_refused(run: Run, line: str, code: int, sentence: str) -> None:
    network("a.st")
    Path("empty").mkdir()
    with hdf5.create(Path("there.h5"), "images", []):
        pass
    found, out, err = run(f"smoothness {line}")
    assert (found, out) == (code, "")
    assert sentence in err


def test_it_does_without_torch(tmp_path: Path) -> None:
    code, modules = probe(
        ["smoothness", str(write_model(tmp_path / "a.st")), "-f", "csv"], tmp_path
    )
    assert code == 0
    assert modules & {"torch", "torchvision", "scipy", "matplotlib"} == set()
    assert "numpy" in modules


def test_what_it_writes_is_whole_shown_and_the_same_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    network("a.st")
    assert run("smoothness a.st -o a.h5")[0] == 0
    first = Path("a.h5").read_bytes()
    Path("a.h5").unlink()
    assert run("smoothness a.st -o a.h5")[0] == 0
    assert Path("a.h5").read_bytes() == first
    assert "smoothness, network 1, layer 3" in run("verify a.h5")[1]
    assert "conv2, conv10, down" in run("inspect a.h5")[1]


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    path = network(str(tmp_path / "a.st"))
    command = [*INVTOOL, "smoothness", str(path), "-f", "csv"]
    done = subprocess.run(
        ["bash", "-c", 'exec 1> >(exec true); sleep 0.2; exec "$@"', "-", *command],
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (141, b"")
    assert sys.executable in command
