"""`invtool invariance MODEL` beside the forward passes that it needs, and its memory by images.

What must be done is two forward passes over the images, untransformed and transformed: one for the
maxima, one for the sums. The rest, transforms, comparisons and sums, is ours. Memory is the peak of
a fresh process for some images, and for ten times as many.
"""

import tempfile
from pathlib import Path
from typing import Any

from bench_ablate import BATCH, forward, opened, prepared
from measure import Table, in_own_process, in_turns, main, peak_memory
from small_cnn import SIDE

from invtool.config import Invariance
from invtool.models.capture import select
from invtool.stages import invariance_network
from invtool.stages._subject import Subject, prepare

TARGET, MEMORY_TARGET = 1.15, 1.1
CASES = [("blocks", "penultimate"), ("blocks", "all"), ("blocks:filters=16", "all")]
PASSES = 2
NARROW = "blocks:filters=2"


def measured(quick: bool) -> list[Table]:
    count, turns = (20, 1) if quick else (500, 3)
    table = Table(f"invariance of a network, 2 passes over 2 x {count:,} images, seconds")
    for name, layers in CASES[:1] if quick else CASES:
        table.rows.append(compared(name, layers, count, turns))
    return [table, memory(500 if quick else 5000)]


def compared(name: str, layers: str, count: int, turns: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        subject = opened(name, Path(folder), count)
        batches = prepared(subject)
        module = subject.network.module
        seconds = in_turns(
            {
                "forward": lambda: [forward(module, batches) for _ in range(PASSES)],
                "invariance": lambda: scores(subject, layers),
            },
            turns,
        )
    cost = seconds["invariance"] / seconds["forward"]
    met = "yes" if cost.median <= TARGET else "no"
    judged = {"ratio": cost, "target": TARGET, "met": met}
    return {"network": name, "layers": layers, **seconds, **judged}


def scores(subject: Subject, layers: str) -> None:
    """Everything that the command computes, without reading and writing."""
    chosen = select(subject.network.layers, [layers])
    for _ in invariance_network.measure(Invariance(batch_size=BATCH), subject, chosen)[1]:
        pass


def memory(images: int) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        for count in (images, 10 * images):
            opened(NARROW, Path(folder), count)  # writes the file
        few, many = (
            in_own_process(peak_of, f"{folder}/{count}.h5") / 1e6 for count in (images, 10 * images)
        )
    table = Table("peak memory of a narrow network's layers, MB")
    met = "yes" if many / few <= MEMORY_TARGET else "no"
    table.rows.append(
        {
            f"{images:,} images": round(few),
            f"{10 * images:,} images": round(many),
            "ratio": round(many / few, 3),
            "target": MEMORY_TARGET,
            "met": met,
        }
    )
    return table


def peak_of(source: str) -> int:
    """Peak memory of this process for the images of the file."""
    told = Invariance(
        NARROW, source, ("rot90",), untrained=True, size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3
    )
    return peak_memory(lambda: scores(prepare(told, Path("-")), "all"))


if __name__ == "__main__":
    main(measured, text=__doc__, within=True)
