"""Time and memory of every command as images grow: 1, 4 and 16 times as many.

Each runs in a process of its own that is forked from one which has imported everything. Seconds are
those of its processor, one thread, so that what else the machine does counts little; memory is the largest that it
holds, the 16-fold images being mapped from one file for all three. Growth is (16 x - 4 x) / (4 x - 1 x)
of the seconds: 4 if they are linear, whatever the start costs. `smoothness` grows with networks, `bias`
with boxes.
"""

import contextlib
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from measure import Table, limit_threads, main

from invtool.cli import _app

SIZES = (1, 4, 16)
IMAGES, QUICK_IMAGES = 128, 4  # at 1 x
SETUP = (
    "data faces:categories=8,train=1,test={most},size=32 -o images.h5",
    "train -d images.h5 -n blocks:filters=8 --seen 4 -t blur:sigma=1 --epochs 0 -o model.st",
)
LINES = {
    "data": "data images.h5 --limit {n} -o out.h5",
    "transform": "transform blur:sigma=1 images.h5 --limit {n} -o out.h5",
    "activations": "activations model.st --limit {n} -o out.h5",
    "evaluate": "evaluate model.st --limit {n} -o out.h5",
    "evaluate --tta 4": "evaluate model.st --tta 4 --limit {n} -o out.h5",
    "ablate": "ablate model.st --limit {n} -o out.h5",
    "invariance MODEL": "invariance model.st --resamples 0 --limit {n} -o out.h5",
    "invariance FILE": "invariance activations{n}.h5 --resamples 0 -o out.h5",
    "sweep": "sweep model.st -t blur:sigma=0:2:5 --resamples 0 --limit {n} -o out.h5",
    "jagged": "jagged model.st -d images.h5 --range 2 --resamples 0 --limit {n} -o out.h5",
    "shiftable": "shiftable model.st --range 2 --resamples 0 --limit {n} -o out.h5",
    "deform": "deform model.st --resamples 0 --limit {n} -o out.h5",
    "deform --paired 128": "deform model.st --paired 128 --resamples 0 --limit {n} -o out.h5",
    "bias": "bias boxes{n}.csv -o out.h5",
    "smoothness": "smoothness {models} -o out.h5",
}


def measured(quick: bool) -> list[Table]:
    limit_threads(1)  # a fork of a process whose OpenMP has threads waits for them for ever
    base = QUICK_IMAGES if quick else IMAGES
    counts = [base * times for times in SIZES]
    table = Table(f"{counts[0]}, {counts[1]} and {counts[2]} images of 32 px, blocks:filters=8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ["XDG_CACHE_HOME"] = folder
        for line in SETUP:
            assert _app.run([*line.format(most=counts[-1] // 8).split(), "-q"]) == 0, line
        for count in counts:
            line = f"activations model.st --limit {count} -o activations{count}.h5 -q"
            assert _app.run(line.split()) == 0
            write_boxes(Path(f"boxes{count}.csv"), 100 * count)
        for number in range(SIZES[-1]):
            Path(f"{number}.st").hardlink_to("model.st")
        for name, line in LINES.items():
            table.rows.append(row(name, line, counts))
    return [table]


def row(name: str, line: str, counts: list[int]) -> dict[str, Any] | str:
    runs = []
    for times, count in zip(SIZES, counts, strict=True):
        models = " ".join(f"{number}.st" for number in range(times))
        runs.append(forked([*line.format(n=count, models=models).split(), "-q", "--overwrite"]))
    if any(run is None for run in runs):
        return f"{name}: failed"
    seconds, peaks = zip(*runs, strict=True)
    steps = [after - before for before, after in pairwise(seconds)]
    return {
        "command": name,
        **{f"{times} x, s": round(value, 2) for times, value in zip(SIZES, seconds, strict=True)},
        "growth": round(steps[1] / steps[0], 1) if steps[0] > 0.02 else "",
        **{f"{t} x, MiB": round(peak) for t, peak in zip(SIZES, peaks, strict=True)},
    }


def forked(args: list[str]) -> tuple[float, float] | None:
    """Processor seconds and the largest memory, in MiB, of a command; None if it fails."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            sys.argv = ["invtool", *args]
            code = _app.run(args)
        finally:
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status):
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, bytes
    return used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 2**20


def write_boxes(path: Path, count: int) -> None:
    random = np.random.default_rng(0)
    corner = random.integers(0, 50, (count, 2))
    size = random.integers(5, 50, (count, 2))
    rows = (
        f"thing {number % 10},{x},{y},{x + w},{y + h},100,100"
        for number, ((x, y), (w, h)) in enumerate(zip(corner, size, strict=True))
    )
    path.write_text("category,x0,y0,x1,y1,width,height\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main(measured, text=__doc__)
