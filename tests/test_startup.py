"""The command line answers before anything slow could be imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from invtool.cli._app import COMMANDS

SLOW = {
    *("torch", "torchvision", "numpy", "h5py", "safetensors"),
    *("matplotlib", "rich", "scipy", "array_api_compat", "PIL"),
}
NAMES = [name for table in COMMANDS.values() for name in table]
PROBE = """
import sys
{first}
sys.argv = ["invtool", *{args!r}]
from invtool.cli import main
try:
    main()
except SystemExit as end:
    print("exit", end.code, file=sys.stderr)
print("modules", *sys.modules, file=sys.stderr)
"""


def probe(args: list[str], cwd: Path, first: str = "") -> tuple[int, set[str]]:
    """The exit code, and the packages that were imported on the way to it."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(args=args, first=first)],
        capture_output=True,
        text=True,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )
    lines = [line.split() for line in done.stderr.splitlines()]
    codes = [int(words[1]) for words in lines if words[:1] == ["exit"]]
    return codes[-1], {name.split(".")[0] for name in lines[-1][1:]}


@pytest.mark.parametrize(
    "args", [["--version"], ["-V"], ["--help"], *([name, "--help"] for name in NAMES)], ids=" ".join
)
def test_help_imports_nothing_slow(args: list[str], tmp_path: Path) -> None:
    code, modules = probe(args, tmp_path)
    assert code == 0
    assert modules & SLOW == set()


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["trian"],
        *([name, "--no-such-option"] for name in NAMES),
        ["train", "--seen", "-1"],
        ["train", "--transform", "blurr", "-o", "a.st"],
        ["train", "--data", "facse"],
        ["train", "-o", "there.h5"],
        ["data", "faces", "-o", "there.h5"],
        ["data", "facse", "-o", "a.h5"],
        ["invariance", "--tau", "2", "there.h5"],
        ["invariance", "there.h5", "-o", "there.h5"],
        ["invariance", "missing.h5"],
        ["activations", "missing.st", "-o", "a.h5"],
        ["ablate", "missing.st", "-o", "a.h5"],
        ["ablate", "there.h5", "--tau-grid", "0:2:0.1"],
        ["calibrate", "missing.st", "-t", "blur"],
        ["calibrate", "there.h5", "-t", "blur:sigma=2"],
        ["calibrate", "there.h5", "-t", "blur", "-o", "there.h5"],
        ["plot", "missing.h5", "-o", "a.pdf"],
        ["plot", "there.h5", "-o", "a.xyz"],
        ["inspect", "missing.h5"],
        ["inspect", "--json", "--commands", "there.h5"],
    ],
    ids=" ".join,
)
def test_a_refused_line_imports_nothing_slow(args: list[str], tmp_path: Path) -> None:
    (tmp_path / "there.h5").write_bytes(b"x")
    code, modules = probe(args, tmp_path)
    assert code in (1, 2)
    assert modules & SLOW == set()


def test_version_does_not_even_import_typer(tmp_path: Path) -> None:
    _, modules = probe(["--version"], tmp_path)
    assert "typer" not in modules
    assert "typer" in probe(["--help"], tmp_path)[1]


def test_the_probe_can_fail(tmp_path: Path) -> None:
    _, modules = probe(["--help"], tmp_path, first="import h5py")
    assert {"h5py", "numpy"} <= modules & SLOW


def test_a_stage_that_reads_a_file_imports_no_torch(tmp_path: Path) -> None:
    from conftest import write_activations, write_invariance

    write_activations(tmp_path / "a.h5")
    write_invariance(tmp_path / "i.h5")
    for args in (
        ["inspect", "a.h5"],
        ["verify", "a.h5", "i.h5"],
        ["invariance", "a.h5", "-o", "b.h5"],
        ["plot", "i.h5", "-o", "b.svg"],
    ):
        code, modules = probe(args, tmp_path)
        assert (code, "torch" in modules) == (0, False), args
