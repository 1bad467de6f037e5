"""`invtool evaluate`, opening and writing included, beside the bare forward passes that it needs.

Bare passes find their images prepared: transformed, normalized, in memory, in the batches that
evaluate takes by itself. `batches of 256` are the same passes in batches that long.
"""

import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
from measure import Spread, Table, in_turns, main
from small_cnn import SIDE, images

from invtool.config import Evaluate
from invtool.files import hdf5
from invtool.stages import _devices, evaluate
from invtool.stages._forward import conditions
from invtool.stages._subject import Subject, prepare

LARGE = 256  # images
TARGET = 1.1
TRANSFORMS = {
    "rot90": ("rot90",),
    "blur": ("blur",),
    "four": ("blur", "white-noise", "rot90", "high-pass"),
}
CASES = [
    ("blocks", 1, "rot90"),
    ("blocks", 1, "blur"),
    ("blocks:filters=16", 1, "four"),
    ("blocks:filters=16", 4, "four"),
    ("resnet20-cifar", 1, "four"),
]


def measured(quick: bool) -> list[Table]:
    count, turns = (20, 1) if quick else (1000, 3)
    table = Table(f"evaluate of {count:,} images, seconds")
    for case in CASES[3:4] if quick else CASES:
        table.rows.append(compared(*case, count=count, turns=turns))
    return [table]


def compared(
    name: str, networks: int, transforms: str, *, count: int, turns: int
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        config = told(name, networks, TRANSFORMS[transforms], Path(folder), count)
        subject = prepare(config, Path("-"))
        size = _devices.batch_size(None, subject.network.layers, subject.device)
        batches, large = prepared(subject, size), prepared(subject, LARGE)
        target, paths = Path(folder, "evaluation.h5"), [Path("-")] * networks
        seconds = in_turns(
            {
                "forward": lambda: networks * forward(subject, batches),
                "batches of 256": lambda: networks * forward(subject, large),
                "evaluate": lambda: evaluate.run(config, paths, target, "h5"),
            },
            turns,
        )
    cost: Spread = seconds["evaluate"] / seconds["forward"]
    return {
        "network": name,
        "networks": networks,
        "transforms": transforms,
        "batch": size,
        **seconds,
        "evaluate / forward": cost,
        "target": TARGET,
        "met": "yes" if cost.median <= TARGET else "no",
    }


def told(
    name: str, networks: int, transforms: tuple[str, ...], folder: Path, count: int
) -> Evaluate:
    source = folder / "images.h5"
    pixels = images(count).round().to(torch.uint8).numpy()
    with hdf5.create(source, "images", []) as out:
        out.array("image", pixels, ("image", "channel", "height", "width"))
        out.array("label", np.arange(count) % 10, ("image",))
    return Evaluate(
        name,
        str(source),
        transforms,
        untrained=True,
        size=SIDE,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        models=(name,) * networks,
    )


def prepared(subject: Subject, size: int) -> list[torch.Tensor]:
    shown = conditions(
        subject.images, subject.index, subject.specs, batch_size=size, seed=0, device=subject.device
    )
    return [subject.network.prepared(batch) for _, _, batch in shown]


def forward(subject: Subject, batches: list[torch.Tensor]) -> float:
    """Seconds of one network's passes."""
    began = measure.clock()
    with torch.inference_mode():
        for batch in batches:
            subject.network.module(batch)
    return measure.clock() - began


if __name__ == "__main__":
    main(measured, text=__doc__, within=True)
