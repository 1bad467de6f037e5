"""How the benchmarks measure: rivals in turns, with the spread, and with the machine said.

Rivals run as A B C, A B C, ..., so that what else the machine does falls on all of them alike. A
ratio is taken within each turn, and its median is reported with the smallest and the largest.
"""

import argparse
import importlib.metadata
import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")
clock = time.perf_counter  # --cpu makes it time.process_time
Work = Callable[
    [], float | None
]  # a result is its own count of seconds, else it is timed from here
VERSIONS = ("invtool", "torch", "torchvision", "numpy", "scipy", "h5py", "typer")


@dataclass(frozen=True)
class Spread:
    """One quantity, measured once a turn."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def map(self, function: Callable[[float], float]) -> "Spread":
        """The same turns in another unit.

        >>> print(Spread((0.5, 0.25, 1.0)).map(lambda seconds: 100 / seconds))
        200 (100..400, n 3)
        """
        return Spread(tuple(map(function, self.values)))

    def __truediv__(self, other: "Spread") -> "Spread":
        """Turn by turn, as they stood side by side."""
        return Spread(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def __add__(self, other: "Spread") -> "Spread":
        return Spread(tuple(a + b for a, b in zip(self.values, other.values, strict=True)))

    def __str__(self) -> str:
        low, middle, high = map(_short, (min(self.values), self.median, max(self.values)))
        if len(self.values) == 1:
            return middle
        return f"{middle} ({low}..{high}, n {len(self.values)})"


@dataclass
class Table:
    """Rows of one comparison; a value is a Spread, a number or text.

    A row may be a sentence that says why a rival is missing.
    """

    title: str
    rows: list[dict[str, Any] | str] = field(default_factory=list)
    note: str = ""

    def __str__(self) -> str:
        rows = [row for row in self.rows if not isinstance(row, str)]
        names = list(dict.fromkeys(name for row in rows for name in row))
        cells = [names, *([_short(row.get(name, "")) for name in names] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(
                text.ljust(width) if place == 0 else text.rjust(width)
                for place, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        sentences = [row for row in self.rows if isinstance(row, str)]
        return "\n".join([self.title, *lines, *sentences, *filter(None, [self.note])])

    def as_json(self) -> dict[str, Any]:
        return {"title": self.title, "note": self.note, "rows": [_plain(row) for row in self.rows]}


def in_turns(works: Mapping[str, Work], turns: int, warm_up: int = 1) -> dict[str, Spread]:
    """Seconds of each work, a turn each; the first `warm_up` turns are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(warm_up + turns):
        for name, work in works.items():
            began = clock()
            own = work()
            seconds[name].append(own if isinstance(own, float) else clock() - began)
    return {name: Spread(tuple(taken[warm_up:])) for name, taken in seconds.items()}


def in_own_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """What a function of a benchmark gives in a fresh Python, whose memory is then nobody else's.

    RuntimeError with the last line of what it said if it fails.
    """
    file = Path(str(sys.modules[function.__module__].__file__))
    with tempfile.NamedTemporaryFile() as answer:
        told = pickle.dumps((file.stem, function.__name__, arguments, answer.name))
        command = [sys.executable, "-c", ANSWER]
        done = subprocess.run(command, input=told, capture_output=True, cwd=file.parent)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise RuntimeError(said[-1] if said else f"ended with {done.returncode}")
        result: Result = pickle.load(answer)
        return result


ANSWER = """
import importlib, pickle, sys
module, function, arguments, answer = pickle.load(sys.stdin.buffer)
result = getattr(importlib.import_module(module), function)(*arguments)
pickle.dump(result, open(answer, "wb"))
"""


def peak_memory(work: Callable[[], object]) -> int:
    """Bytes that this process holds at most while `work` runs (Linux only)."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    work()
    return _memory("VmHWM")


def memory() -> int:
    """Bytes that this process holds (Linux only)."""
    return _memory("VmRSS")


def _memory(kind: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(kind))


def machine(peers: Iterable[str] = ()) -> dict[str, Any]:
    """What a figure depends on besides the code: processor, cores, threads, load, versions."""
    torch = sys.modules.get("torch")
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads() if torch else None,
        "clock": clock.__name__,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: _version(name) for name in (*VERSIONS, *peers)},
    }


def main(
    measured: Callable[[bool], list[Table]],
    peers: Sequence[str] = (),
    text: str | None = None,
    *,
    within: bool = False,
) -> None:
    """Run one benchmark from the command line: print its tables, and keep them with --json.

    `within` says that all its work happens within this process, whose processor time --cpu counts.
    """
    global clock
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--quick", action="store_true", help="only see that it runs; no figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every turn's value there")
    parser.add_argument("--threads", type=int, metavar="N", help="of torch and of OpenMP")
    if within:
        parser.add_argument(
            "--cpu", action="store_true", help="processor seconds, for a busy machine; --threads 1"
        )
    asked = parser.parse_args()
    if asked.threads:
        limit_threads(asked.threads)
    if within and asked.cpu:
        clock = time.process_time
    tables = measured(asked.quick)
    here = machine(peers)
    print(", ".join(f"{name} {value}" for name, value in here.items() if value is not None))
    for table in tables:
        print(f"\n{table}", flush=True)
    if asked.json:
        rows = [table.as_json() for table in tables]
        kept = {"machine": here, "command": sys.argv, "quick": asked.quick, "tables": rows}
        asked.json.write_text(json.dumps(kept, indent=1) + "\n")


def limit_threads(count: int) -> None:
    """In this process and in those that it starts."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _version(name: str) -> str | None:
    if name == "invtool":  # may be run from a checkout
        from invtool import __version__

        return __version__
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _short(value: Any) -> str:
    """Three digits, and never an exponent above 1."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _plain(row: dict[str, Any] | str) -> Any:
    if isinstance(row, str):
        return row
    return {
        name: {"median": value.median, "turns": value.values}
        if isinstance(value, Spread)
        else value
        for name, value in row.items()
    }
