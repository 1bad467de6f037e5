"""`sweep` beside the bare forward passes that it needs, and its thresholds beside captum's
MinParamPerturbation, which looks for the smallest change of one image at a time.

Bare passes find their frames transformed and normalized, in memory, in the batches that the command
takes; `opened` is what it takes to make the network and list its layers, which the command does
first. captum gets the same transforms and magnitudes, once upwards one by one (linear) and once by
bisection (binary), which is right only where a curve is monotone; `apart` is the share of images
whose threshold differs from that of the scan. Both open the network.
"""

import tempfile
from functools import partial
from pathlib import Path

import measure
import numpy as np
import torch
from measure import Spread, Table, Work, in_turns, main

from invtool.config import Sweep
from invtool.files import hdf5
from invtool.measures import threshold
from invtool.models import networks, references
from invtool.models.networks import Network
from invtool.stages import _devices, sweep
from invtool.transforms.ranges import parse_range

TARGET = 1.1
PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "untrained": True}
NETWORKS = {"resnet20-cifar": (32, 60, 120), "resnet18": (224, 1, 4)}  # side, images: quick, whole
TRANSFORMS = ("rotate:degrees=-90:90:13", "blur:sigma=0:6:13", "zoom:factor=0.25:1.75:13")


def measured(quick: bool) -> list[Table]:
    turns = 1 if quick else 3
    with tempfile.TemporaryDirectory() as folder:
        return [passes(Path(folder), quick, turns), thresholds(Path(folder), quick, turns)]


def passes(folder: Path, quick: bool, turns: int) -> Table:
    table = Table(f"{len(TRANSFORMS)} transforms, 13 magnitudes each, seconds")
    for name, (side, few, many) in NETWORKS.items():
        count = few if quick else many
        source = images(folder / f"{name}.h5", count, side)
        config = Sweep(models=(name,), transforms=TRANSFORMS, data=str(source), size=side, **PLAIN)
        network = opened(name, side)
        size = _devices.batch_size(None, network.layers, torch.device("cpu"))
        _, specs = sweep.planned(config)
        frames = network.prepared(torch.rand(count * len(specs), 3, side, side) * 255)
        target = folder / "result.h5"
        seconds = in_turns(
            {
                "forward": partial(forward, network, frames, size),
                "command": partial(sweep.run, config, [Path("-")], target, "h5"),
                "opened": lambda name=name, side=side: opened(name, side) and None,
            },
            turns,
        )
        ratio: Spread = seconds["command"] / (seconds["forward"] + seconds["opened"])
        table.rows.append(
            {
                "network": name,
                "frames": count * len(specs),
                **seconds,
                "command / (forward + opened)": ratio,
                "target": TARGET,
                "met": "yes" if ratio.median <= TARGET else "no",
            }
        )
    return table


def opened(name: str, side: int) -> Network:
    """As the command opens it."""
    network = networks.load(references.parse(name), size=side, **PLAIN)  # type: ignore[arg-type]
    _devices.batch_size(None, network.layers, torch.device("cpu"))
    return network


def images(path: Path, count: int, side: int) -> Path:
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.integers(0, 256, (count, 3, 8, 8))).float()
    pixels = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    with hdf5.create(path, "images", []) as out:
        whole = pixels.clamp(0, 255).round().to(torch.uint8).numpy()
        out.array("image", whole, ("image", "channel", "height", "width"))
        out.array("label", np.arange(count) % 10, ("image",))
    return path


def forward(network: Network, frames: torch.Tensor, size: int) -> float:
    began = measure.clock()
    with torch.inference_mode():
        for batch in frames.split(size):
            network.module(batch)
    return measure.clock() - began


def thresholds(folder: Path, quick: bool, turns: int) -> Table:
    """The smallest change at which the answer of an image is another one than untransformed."""
    name, side, count = "resnet20-cifar", 32, 2 if quick else 16
    table = Table(f"{name}, {count} images, thresholds of one transform upwards, images a second")
    source = images(folder / "few.h5", count, side)
    with hdf5.open(source) as file:
        pixels = torch.from_numpy(file.array("image")).float()
    for text in ("rotate:degrees=0:180:31", "blur:sigma=0:6:31"):
        config = Sweep(
            models=(name,), transforms=(text,), data=str(source), size=side, resamples=0, **PLAIN
        )
        target = folder / "result.h5"
        works: dict[str, Work] = {"invtool": partial(sweep.run, config, [Path("-")], target, "h5")}
        kept: dict[str, list[float]] = {}
        for mode in ("linear", "binary"):
            works[f"captum, {mode}"] = lambda mode=mode, text=text, kept=kept: kept.update(
                {mode: captum(opened(name, side), pixels, text, mode)}
            )
        try:
            seconds = in_turns(works, turns)
        except ImportError:
            table.rows.append("captum is not installed")
            return table
        with hdf5.open(target) as file:
            answer, magnitude = file.array("prediction"), file.array("magnitude")
        ours = threshold(answer != answer[:, :1], magnitude, 0.0)
        for work, taken in seconds.items():
            found = np.array(kept.get(work.removeprefix("captum, "), ours))
            apart = ~np.isclose(found, ours, equal_nan=True)
            table.rows.append(
                {
                    "transform": text,
                    "by": work,
                    "images/s": taken.map(lambda s: count / s),
                    "ours is faster by": taken / seconds["invtool"],
                    "apart": float(apart.mean()),
                }
            )
    return table


def captum(network: Network, pixels: torch.Tensor, text: str, mode: str) -> list[float]:
    """The thresholds (image,) that MinParamPerturbation finds; NaN where it finds none."""
    from captum.robust import MinParamPerturbation

    moved = parse_range(text)
    step = moved.magnitudes[1] - moved.magnitudes[0]
    search = MinParamPerturbation(
        forward_func=network,
        attack=lambda image, number: moved.step.transform.function(
            image, **{moved.parameter.name: moved.magnitudes[round(number)]}
        ),
        arg_name="number",
        arg_min=0,
        arg_max=len(moved.magnitudes),
        arg_step=1,
        mode=mode,
    )
    found = []
    with torch.inference_mode():
        for image in pixels.split(1):
            target = int(network(image).argmax())
            _, number = search.evaluate(image, target=target)
            found.append(np.nan if number is None else round(number) * step)
    return found


if __name__ == "__main__":
    main(measured, peers=("captum",), text=__doc__, within=True)
