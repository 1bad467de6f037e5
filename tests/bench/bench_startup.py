"""How long a person waits for a command that computes little: whole processes, in turns.

The smallest process that could answer stands beside each: Python that does nothing for --version,
and Python that imports Typer for help and for a command line that is refused.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import Table, Work, in_turns, main

from invtool.files import hdf5

PYTHON = (sys.executable, "-c", "")
TYPER = (sys.executable, "-c", "import typer")
ANSWERS = {  # arguments -> exit code, the rival, the target as a multiple of it
    ("--version",): (0, PYTHON, 1.2),
    ("--help",): (0, TYPER, 1.5),
    ("train", "--help"): (0, TYPER, 1.5),
    ("invariance", "nosuch.h5"): (1, TYPER, 1.5),
    ("train", "--transform", "blurr"): (2, TYPER, 1.5),
}
STAGES = (  # read a file and answer
    ("invariance", "small.h5", "--format", "table"),
    ("inspect", "small.h5"),
    ("plot", "result.h5", "--format", "text"),
    ("plot", "result.h5", "--format", "png"),
)
STAGE_TARGET = 0.6  # seconds


def measured(quick: bool) -> list[Table]:
    turns = 2 if quick else 15
    with tempfile.TemporaryDirectory() as folder:
        write_activations(Path(folder) / "small.h5")
        run(("invariance", "small.h5", "-o", "result.h5"), folder)
        return [answers(turns, folder), stages(turns, folder)]


def answers(turns: int, folder: str) -> Table:
    table = Table("an answer without work, milliseconds")
    for arguments, (code, rival, target) in ANSWERS.items():
        taken = in_turns(
            {"invtool": invtool(arguments, folder, code), "rival": process(rival, folder)}, turns
        )
        ratio = taken["invtool"] / taken["rival"]
        table.rows.append(
            {
                "command": f"invtool {' '.join(arguments)}",
                "takes": taken["invtool"].map(milliseconds),
                "rival": f"python -c '{rival[-1]}'",
                "rival takes": taken["rival"].map(milliseconds),
                "ratio": ratio,
                "target": target,
                "met": "yes" if ratio.median <= target else "no",
            }
        )
    return table


def stages(turns: int, folder: str) -> Table:
    table = Table("a stage that reads a small file, seconds")
    works = {arguments: invtool(arguments, folder) for arguments in STAGES}
    taken = in_turns({" ".join(arguments): work for arguments, work in works.items()}, turns)
    for command, seconds in taken.items():
        table.rows.append(
            {
                "command": f"invtool {command}",
                "takes": seconds,
                "target": STAGE_TARGET,
                "met": "yes" if seconds.median <= STAGE_TARGET else "no",
            }
        )
    return table


def invtool(arguments: tuple[str, ...], folder: str, code: int = 0) -> Work:
    script = Path(sys.executable).with_name("invtool")
    command = (str(script),) if script.exists() else (sys.executable, "-m", "invtool")
    return process((*command, *arguments), folder, code)


def process(command: tuple[str, ...], folder: str, code: int = 0) -> Work:
    def start_and_wait() -> None:
        done = subprocess.run(
            command, cwd=folder, env=ENVIRONMENT, capture_output=True, stdin=subprocess.DEVNULL
        )
        if done.returncode != code:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr.decode()}")

    return start_and_wait


def run(arguments: tuple[str, ...], folder: str) -> None:
    invtool(arguments, folder)()


ENVIRONMENT = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}


def milliseconds(seconds: float) -> float:
    return 1000 * seconds


def write_activations(path: Path) -> None:
    """Two layers on 40 images: enough to be measured, too few to take time."""
    random = np.random.default_rng(0)
    with hdf5.create(path, "activations", []) as out:
        out.array("condition", ["none", "blur"], ("condition",))
        out.array("label", np.arange(40) % 4, ("image",))
        out.array("seen", (np.arange(40) % 4 < 2).astype(np.uint8), ("image",))
        out.array("index", np.arange(40), ("image",))
        out.array("prediction", np.zeros((2, 40), np.int64), ("condition", "image"))
        for layer in ("relu1", "relu2"):
            value = random.random((2, 40, 64)).astype(np.float32)
            out.array(f"layers/{layer}/activation", value, ("condition", "image", "unit"))


if __name__ == "__main__":
    main(measured, text=__doc__)
