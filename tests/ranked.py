"""Ranks that stay alive between commands, so that a test of one costs no start of PyTorch."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 120  # seconds


@dataclass(frozen=True)
class Outcome:
    """What a rank came to."""

    code: int
    out: str
    err: str


class Ranks:
    """`size` processes with the environment that torchrun gives."""

    def __init__(self, size: int, folder: Path):
        self.size = size
        here = f"{Path(__file__).parent}{os.pathsep}{folder}"
        self.processes = []
        for rank in range(size):
            told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "OMP_NUM_THREADS": 1}
            env = {**os.environ, **{name: str(value) for name, value in told.items()}}
            env |= {"MASTER_ADDR": "127.0.0.1", "PYTHONPATH": here}
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-W", "error", __file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    cwd=folder,
                    env=env,
                    text=True,
                )
            )

    def start(self, *args: str | Path) -> None:
        """Let all run a command line."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        line = json.dumps({"port": port, "args": list(map(str, args))})
        for process in self.processes:
            assert process.stdin
            process.stdin.write(line + "\n")
            process.stdin.flush()

    def ended(self) -> list[Outcome]:
        """What each came to."""
        return [Outcome(**json.loads(p.stdout.readline())) for p in self.processes if p.stdout]

    def run(self, line: str, *more: str | Path) -> Outcome:
        """What rank 0 came to, the others having been silent, and failed if it did."""
        self.start(*line.split(), *more)
        first, *others = self.ended()
        assert {(bool(other.code), other.out, other.err) for other in others} <= {
            (bool(first.code), "", "")
        }
        return first

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


def _serve(line: str) -> dict[str, Any]:
    """Run one command line, with what it writes into files."""
    from torch import distributed

    from invtool.cli import _app
    from invtool.files import messages, provenance

    asked = json.loads(line)
    os.environ["MASTER_PORT"] = str(asked["port"])
    sys.argv = ["invtool", *asked["args"]]
    messages.quiet, messages.command, provenance.recording = False, "", True
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        kept = os.dup(1), os.dup(2)
        for stream, number in ((out, 1), (err, 2)):
            os.dup2(stream.fileno(), number)
        try:
            code = _app.run(asked["args"])
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            if distributed.is_initialized():  # as the process would have ended after a failure
                distributed.destroy_process_group()
            for old, number in zip(kept, (1, 2), strict=True):
                os.dup2(old, number)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read())
    return {"code": code, "out": texts[0], "err": texts[1]}


def main(lines: Sequence[str]) -> None:
    for line in lines:
        print(json.dumps(_serve(line)), flush=True)


if __name__ == "__main__":
    main(sys.stdin)  # type: ignore[arg-type]
