"""`deform`, files included, beside the bare forward passes that it needs: one of each clean image and
one of each deformed, for all layers of ResNet-18 at 224 px.

`pairs` are the multiplications that distances of all pairs of clean images want, on values that lie
ready in the cache: what no way to compare all pairs does without, and what grows with the square of
the images that are paired. `command / floor` is beside passes, opening and these.

Bare passes find their images normalized, in memory, in the batches that the command takes. `opened`
is what it takes to make the network and list its layers, which the command does first, and is part
of its seconds. Memory is the highest that the process held beyond what it held before, of the command
and of the passes: the responses of all layers to 128 images are 1.3 GB.
"""

import tempfile
from dataclasses import replace
from math import prod
from pathlib import Path

import torch
from bench_shifts import NETWORK, SIDE, TARGET, TOLD, forward, opening, photographs
from measure import Spread, Table, in_turns, main, memory, peak_memory

from invtool.config import Deform
from invtool.measures.pair_distances import RUN
from invtool.models import networks, references
from invtool.stages import _devices, deform

IMAGES = 128
MORE = 4  # times as many, where only IMAGES of them are paired


def measured(quick: bool) -> list[Table]:
    count, turns = (2, 1) if quick else (IMAGES, 3)
    with tempfile.TemporaryDirectory() as folder:
        source = str(photographs(Path(folder) / "photos.h5", MORE * count))
        plain = Deform(models=(NETWORK,), data=source, limit=count, **TOLD)
        works = {
            "deform, all layers": (2, plain),
            "deform --noise": (3, replace(plain, noise=True)),
            "deform --draws 3": (4, replace(plain, draws=3)),
            f"deform --paired {count}": (2, replace(plain, limit=MORE * count, paired=count)),
        }
        target = Path(folder) / "result.h5"
        table = Table(f"{NETWORK} at {SIDE} px, seconds")
        for name, (passes, config) in works.items():
            table.rows.append(row(name, passes, config, target, turns))
        return [table]


def row(name: str, passes: int, config: Deform, target: Path, turns: int) -> dict[str, object]:
    count = config.limit or 0
    network = networks.load(
        references.parse(NETWORK), untrained=True, size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3
    )
    size = _devices.batch_size(None, network.layers, torch.device("cpu"))
    shown = network.prepared(torch.rand(count, 3, SIDE, SIDE) * 255)
    units = sum(prod(layer.shape) for layer in deform.representations(network, ["all"]))
    seconds = in_turns(
        {
            "forward": lambda: sum(forward(network, shown, size) for _ in range(passes)),
            "opened": opening,
            "pairs": lambda: pairs(units, config.paired or count),
            "command": lambda: deform.run(config, [Path("-")], target, "h5"),
        },
        turns,
    )
    passing = seconds["forward"] + seconds["opened"]
    ratio: Spread = seconds["command"] / passing
    before = memory()
    held = peak_memory(lambda: forward(network, shown, size)) - before
    kept = peak_memory(lambda: deform.run(config, [Path("-")], target, "h5")) - before
    return {
        "command": name,
        "images": count,
        "passes": passes,
        "forward": seconds["forward"],
        "seconds": seconds["command"],
        "opened": seconds["opened"],
        "pairs": seconds["pairs"],
        "command / (forward + opened)": ratio,
        "command / floor": seconds["command"] / (passing + seconds["pairs"]),
        "target": TARGET,
        "met": "yes" if ratio.median <= TARGET else "no",
        "memory, MB": kept / 1e6,
        "of a pass, MB": held / 1e6,
    }


def pairs(units: int, images: int) -> None:
    values = torch.rand(images, RUN)
    for _ in range(0, units, RUN):
        values @ values.T


if __name__ == "__main__":
    main(measured, text=__doc__, within=True)
