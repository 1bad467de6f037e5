"""`jagged`, `shiftable` and `evaluate -t embed`, files included, beside the bare forward passes on
as many frames; `jagged` beside the straightforward way, a pair of frames at a time; and inpainting
the surroundings of an object beside scikit-image and OpenCV.

Bare passes find their frames normalized, in memory, in the batches that the command takes. The
network is ResNet-18 at 224 px, untrained; `opened` is what it takes to make it and list its layers,
which every command does first, and is part of its seconds.
"""

import tempfile
from pathlib import Path

import measure
import numpy as np
import torch
from measure import Spread, Table, in_turns, main

from invtool.config import Evaluate, Jagged, Shiftable
from invtool.files import hdf5
from invtool.models import networks, references
from invtool.models.networks import Network
from invtool.stages import _devices, evaluate, jagged, shiftable
from invtool.transforms.inpainting import inpainted

SIDE, OBJECT, POSITIONS = 224, 100, 25
MORE = 12  # times as many images, of what needs two passes for each
TARGET = 1.1
TOLD = {"size": SIDE, "mean": (0.0,) * 3, "std": (1.0,) * 3, "untrained": True}
NETWORK = "resnet18"


def measured(quick: bool) -> list[Table]:
    count, turns = (1, 1) if quick else (8, 3)
    with tempfile.TemporaryDirectory() as folder:
        return [passes(Path(folder), count, turns), fills(count, turns)]


def passes(folder: Path, count: int, turns: int) -> Table:
    source, target = str(photographs(folder / "photos.h5", count)), folder / "result.h5"
    network = networks.load(
        references.parse(NETWORK), untrained=True, size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3
    )
    size = _devices.batch_size(None, network.layers, torch.device("cpu"))
    frames = network.prepared(torch.rand(count * POSITIONS, 3, SIDE, SIDE) * 255)
    single = network.prepared(torch.rand(2 * count * MORE, 3, SIDE, SIDE) * 255)
    many = str(photographs(folder / "many.h5", count * MORE))
    shared = {"data": source, **TOLD}
    paths = [Path("-")]
    works = {
        "jagged, inpaint": (
            frames,
            lambda: jagged.run(Jagged(models=(NETWORK,), **shared), paths, target, "h5"),
        ),
        "jagged, black": (
            frames,
            lambda: jagged.run(
                Jagged(models=(NETWORK,), fill="black", **shared), paths, target, "h5"
            ),
        ),
        "jagged, scale, inpaint": (
            frames,
            lambda: jagged.run(
                Jagged(models=(NETWORK,), protocol="scale", **shared), paths, target, "h5"
            ),
        ),
        "shiftable, all layers": (
            frames,
            lambda: shiftable.run(Shiftable(model=NETWORK, **shared), paths[0], target, "h5"),
        ),
        "evaluate -t embed:size=100": (
            single,
            lambda: evaluate.run(
                Evaluate(
                    models=(NETWORK,),
                    transforms=("embed:size=100",),
                    **{**shared, "data": many},
                ),
                paths,
                target,
                "h5",
            ),
        ),
    }
    moved = count * (POSITIONS - 1)
    straight = in_turns({"pairs": lambda: pairs(network, frames)}, turns)["pairs"]
    opened = in_turns({"opened": opening}, turns)["opened"]
    table = Table(f"{NETWORK} at {SIDE} px, {count} images, {POSITIONS} positions, seconds")
    for name, (shown, work) in works.items():
        seconds = in_turns(
            {
                "forward": lambda shown=shown: forward(network, shown, size),
                "command": work,
            },
            turns,
        )
        ratio: Spread = seconds["command"] / (seconds["forward"] + opened)
        row = {
            "command": name,
            "forward": seconds["forward"],
            "seconds": seconds["command"],
            "opened": opened,
            "command / (forward + opened)": ratio,
            "target": TARGET,
            "met": "yes" if ratio.median <= TARGET else "no",
        }
        if "inpaint" in name:
            row["pairs/s"] = seconds["command"].map(lambda taken: moved / taken)
            row["straightforward, pairs/s"] = straight.map(lambda taken: moved / taken)
        table.rows.append(row)
    return table


def opening() -> None:
    """As every command opens it."""
    network = networks.load(
        references.parse(NETWORK), untrained=True, size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3
    )
    _devices.batch_size(None, network.layers, torch.device("cpu"))


def photographs(path: Path, count: int) -> Path:
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.integers(0, 256, (count, 3, 16, 16))).float()
    image = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic")
    with hdf5.create(path, "images", []) as out:
        pixels = image.clamp(0, 255).round().to(torch.uint8).numpy()
        out.array("image", pixels, ("image", "channel", "height", "width"))
        out.array("label", np.arange(count), ("image",))
    return path


def forward(network: Network, frames: torch.Tensor, size: int) -> float:
    began = measure.clock()
    with torch.inference_mode():
        for batch in frames.split(size):
            network.module(batch)
    return measure.clock() - began


def pairs(network: Network, frames: torch.Tensor) -> float:
    """Both frames of each step, one image at a time, as a script would."""
    began = measure.clock()
    with torch.inference_mode():
        for moving in frames.split(POSITIONS):
            for first in range(POSITIONS - 1):
                for frame in (first, first + 1):
                    network.module(moving[frame : frame + 1]).softmax(1)
    return measure.clock() - began


def fills(count: int, turns: int) -> Table:
    """One object of 100 px in the middle of 224 px."""
    table = Table(f"surroundings of {OBJECT} px in {SIDE} px, {count} images, images a second")
    objects = torch.rand(count, 3, OBJECT, OBJECT) * 255
    margin = (SIDE - OBJECT) // 2
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    inside = slice(margin, margin + OBJECT)
    canvas[inside, inside] = objects[0].permute(1, 2, 0).numpy().astype(np.uint8)
    unknown = np.ones((SIDE, SIDE), np.uint8)
    unknown[inside, inside] = 0
    works = {"invtool": lambda: inpainted(objects, margin)}
    try:
        import cv2

        works["OpenCV, Telea"] = lambda: [
            cv2.inpaint(canvas, unknown, 3, cv2.INPAINT_TELEA) for _ in range(count)
        ]
    except ImportError:
        table.rows.append("OpenCV is not installed")
    try:
        from skimage.restoration import inpaint_biharmonic

        small = slice(margin - 6, margin + OBJECT + 6)  # a ring of 6 px; all of it takes minutes
        works["scikit-image, biharmonic, a ring of 6 px"] = lambda: [
            inpaint_biharmonic(canvas[small, small], unknown[small, small], channel_axis=2)
            for _ in range(count)
        ]
    except ImportError:
        table.rows.append("scikit-image is not installed")
    seconds = in_turns(works, turns)
    for name, taken in seconds.items():
        table.rows.append(
            {
                "fill": name,
                "images/s": taken.map(lambda s: count / s),
                "ours is faster by": taken / seconds["invtool"],
            }
        )
    return table


if __name__ == "__main__":
    main(measured, peers=("opencv-python-headless", "scikit-image"), text=__doc__, within=True)
