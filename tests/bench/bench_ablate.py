"""The accuracy for 21 tau and both modes: `invtool ablate`, and a full pass each time.

What must be done is one forward pass over the images, untransformed and transformed. Full passes
set the units to zero in a hook on the layer, as one would by hand. They take so long that they run
on a tenth of the images and count ten times; on that tenth, `same` says whether the accuracies are
the same numbers.
"""

import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
from measure import Spread, Table, in_turns, main
from numpy.typing import NDArray
from small_cnn import SIDE, images
from torch import Tensor, nn

from invtool.config import Ablate
from invtool.files import hdf5
from invtool.measures import activity_floor
from invtool.models.capture import Layer, select
from invtool.stages import ablate
from invtool.stages._forward import conditions
from invtool.stages._subject import Subject, prepare

BATCH = 250  # images
TARGET = 1.3  # at the penultimate layer
PART = 10  # the share of the images that full passes run on is one to this
CASES = [
    ("blocks", "penultimate"),
    ("blocks:filters=16", "penultimate"),
    ("blocks", "block4.relu1"),
]


def measured(quick: bool) -> list[Table]:
    count, turns = (20, 1) if quick else (1000, 3)
    table = Table(f"21 tau x 2 modes, 2 x {count:,} images, seconds")
    for name, layer in CASES[:1] if quick else CASES:
        table.rows.append(compared(name, layer, count, turns))
    return [table]


def compared(name: str, layer: str, count: int, turns: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        whole, part = (
            opened(name, Path(folder), size) for size in (count, max(count // PART, BATCH // PART))
        )
        layers = select(whole.network.layers, [layer])
        batches, few = prepared(whole), prepared(part)
        ratio = len(whole.index) / len(part.index)
        module = whole.network.module
        same = np.array_equal(full_passes(module, layers[0], few, part), ablated(part, layers))
        seconds = in_turns(
            {
                "forward": lambda: forward(module, batches),
                "ablate": lambda: timed(lambda: ablated(whole, layers)),
                "full passes": lambda: (
                    ratio * timed(lambda: full_passes(module, layers[0], few, part))
                ),
            },
            turns,
            warm_up=0,
        )
    cost: Spread = seconds["ablate"] / seconds["forward"]
    wanted = {"target": TARGET, "met": "yes" if cost.median <= TARGET else "no"}
    return {
        "network": name,
        "layer": layers[0].name,
        **seconds,
        "ablate / forward": cost,
        **(wanted if layers[0].penultimate else {}),
        "full passes / ablate": seconds["full passes"] / seconds["ablate"],
        "same": "yes" if same else "no",
    }


def opened(name: str, folder: Path, count: int) -> Subject:
    source = folder / f"{count}.h5"
    pixels = images(count).round().to(torch.uint8).numpy()
    with hdf5.create(source, "images", []) as out:
        out.array("image", pixels, ("image", "channel", "height", "width"))
        out.array("label", np.arange(count) % 10, ("image",))
    scale = (0.0,) * 3, (1.0,) * 3
    told = Ablate(
        name, str(source), ("rot90",), untrained=True, size=SIDE, mean=scale[0], std=scale[1]
    )
    return prepare(told, Path("-"))


def prepared(subject: Subject) -> list[tuple[int, int, Tensor]]:
    """Condition, first image and input of each batch."""
    batches = conditions(
        subject.images,
        subject.index,
        subject.specs,
        batch_size=BATCH,
        seed=0,
        device=subject.device,
    )
    return [(condition, first, subject.network.prepared(x)) for condition, first, x in batches]


def timed(work: Any) -> float:
    began = measure.clock()
    work()
    return measure.clock() - began


def forward(module: nn.Module, batches: list[tuple[int, int, Tensor]]) -> None:
    with torch.inference_mode():
        for _, _, batch in batches:
            module(batch)


def ablated(subject: Subject, layers: list[Layer]) -> NDArray[np.float64]:
    """Accuracy, (mode, condition, tau)."""
    result = ablate.measure(subject, layers, Ablate.tau, Ablate.cost, batch_size=BATCH, seed=0)
    return result.accuracy[..., 0]


def full_passes(
    module: nn.Module, layer: Layer, batches: list[tuple[int, int, Tensor]], subject: Subject
) -> NDArray[np.float64]:
    """The same by hooks and a pass for each tau and mode, after one that finds the maxima."""
    highest, floor, keep = torch.zeros(()), torch.zeros(()), True

    def find(part: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal highest
        highest = torch.maximum(highest, output.amax(0))

    def replace(part: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output * (output > floor if keep else output <= floor)

    label = torch.from_numpy(subject.label)
    right = np.zeros((2, len(subject.specs), len(Ablate.tau)))
    part = module.get_submodule(layer.name)
    with torch.inference_mode():
        with part.register_forward_hook(find):
            forward(module, batches)
        with part.register_forward_hook(replace):
            for mode, condition, t in np.ndindex(right.shape):
                keep, floor = mode == 0, activity_floor(highest, Ablate.tau[t])
                for shown, first, batch in batches:
                    if shown == condition:
                        answer = module(batch).argmax(1)
                        right[mode, condition, t] += (answer == label[first:][: len(batch)]).sum()
    return right / len(subject.index)


if __name__ == "__main__":
    main(measured, text=__doc__, within=True)
