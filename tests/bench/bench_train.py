"""Training: images a second of `invtool train` against the loop that people write.

The loop is a DataLoader over uint8 images with torchvision's GaussianBlur on single images, the
same network, batch, draws, loss and SGD, in fp32 with contiguous memory. The limit is the network
alone: steps on one batch that is ready, in the arithmetic and memory format of invtool. All train
`blocks` on faces of which half of the categories are blurred in half of their images.
"""

import contextlib
import json
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from measure import Spread, Table, Work, in_turns, main
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler
from torchvision.transforms import v2

from invtool.config import Train
from invtool.data.sets import TRAIN, ImageSet
from invtool.data.sources import open_data
from invtool.models.architectures import build
from invtool.models.normalization import standardize
from invtool.stages import train
from invtool.training.recipes import RECIPES

RECIPE = RECIPES["fast"]
SIGMA = 2.0  # pixels, the default of blur
TARGET = 3.0
INVTOOL, FULL = "invtool train", "invtool train, fp32"
PLAIN = "plain loop, {} workers"
NETWORK, RESIDENT = "network alone, as invtool", "network alone, fp32 contiguous"


def measured(quick: bool) -> list[Table]:
    turns, steps = (1, 3) if quick else (5, 15)
    images = open_data("faces:categories=8,train=24,test=2" if quick else "faces:train=30")
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as loaders:
        model = Path(folder) / "model.st"
        works: dict[str, Work] = {
            INVTOOL: lambda: invtool(images, model, "auto"),
            FULL: lambda: invtool(images, model, "fp32"),
            **{PLAIN.format(n): plain(images, n, steps, loaders) for n in (0, 2)},
            NETWORK: network_alone(images, steps, invtools_precision()),
            RESIDENT: network_alone(images, steps, None),
        }
        seconds = in_turns(works, turns)  # of one image
    return [compared(seconds)]


def compared(seconds: dict[str, Spread]) -> Table:
    loops = [PLAIN.format(workers) for workers in (0, 2)]
    best = min(loops, key=lambda name: seconds[name].median)
    gain = seconds[best] / seconds[INVTOOL]
    table = Table(
        f"training blocks at 32 pixels, batch {RECIPE.batch_size}, a quarter of the images blurred",
        note=f"against the better plain loop: target {TARGET:g}, "
        f"{'met' if gain.median >= TARGET else 'not met'}",
    )
    for name, taken in seconds.items():
        table.rows.append(
            {
                "loop": name,
                "images/s": taken.map(lambda image: 1 / image),
                "x better plain loop": seconds[best] / taken,
                "share of the network alone": seconds[NETWORK] / taken,
            }
        )
    return table


def invtool(images: ImageSet, model: Path, precision: str) -> float:
    """Seconds an image, from the line of the log that every epoch has."""
    categories = len(images.categories)
    config = Train(
        data=images.spec,
        transform=f"blur:sigma={SIGMA:g}",
        seen=(categories // 2,),
        epochs=1,
        precision=precision,
    )
    train.run(config, model)
    model.unlink()
    (epoch,) = model.with_suffix(".jsonl").read_text().splitlines()
    return 1 / float(json.loads(epoch)["images_per_second"])


class Faces(Dataset[tuple[Tensor, int]]):
    """Single images as they are usually served: drawn, perhaps blurred, as float tensors."""

    def __init__(self, images: ImageSet):
        index = images.indices(TRAIN)
        self.image = torch.from_numpy(images.image[index].copy())
        self.label = images.label[index]
        self.seen = len(images.categories) // 2
        radius = round(4 * SIGMA)
        self.blur = v2.GaussianBlur(2 * radius + 1, (SIGMA, SIGMA))
        self.as_float = v2.ToDtype(torch.float32)

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        image, label = self.as_float(self.image[number]), int(self.label[number])
        if label < self.seen and random.random() < 0.5:
            image = self.blur(image)
        return standardize(image[None])[0], label


def plain(
    images: ImageSet, workers: int, steps: int, loaders: contextlib.ExitStack
) -> Callable[[], float]:
    faces = Faces(images)
    uniform = WeightedRandomSampler([1.0] * len(faces), 10**6)  # one epoch lasts for all turns
    loader = DataLoader(faces, RECIPE.batch_size, sampler=uniform, num_workers=workers)
    stream = iter(loader)
    loaders.callback(lambda: getattr(stream, "_shutdown_workers", lambda: None)())
    step = Steps(new_network(images), None)

    def turn() -> float:
        for _ in range(PREFETCHED * workers):  # made ready while others had their turn
            next(stream)
        return timed(stream, step, steps)

    return turn


PREFETCHED = 2  # batches a worker of a DataLoader keeps ready


def network_alone(
    images: ImageSet, steps: int, precision: torch.dtype | None
) -> Callable[[], float]:
    """Steps on one batch that never changes; None is fp32 on contiguous memory."""
    faces = Faces(images)
    count = RECIPE.batch_size
    x = torch.stack([faces[number % len(faces)][0] for number in range(count)])
    label = torch.from_numpy(faces.label[:count].copy())
    network = new_network(images)
    if precision is not None:
        x = x.contiguous(memory_format=torch.channels_last)
        network = network.to(memory_format=torch.channels_last)
    step = Steps(network, precision)
    return lambda: timed(iter([(x, label)] * steps), step, steps)


def timed(stream: Iterator[tuple[Tensor, Tensor]], step: "Steps", steps: int) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        step(*next(stream))
    return (time.perf_counter() - began) / (steps * RECIPE.batch_size)


class Steps:
    """Forward, backward and SGD as tutorials write them."""

    def __init__(self, network: nn.Module, precision: torch.dtype | None):
        self.network, self.precision = network.train(), precision
        self.optimizer = torch.optim.SGD(
            network.parameters(),
            RECIPE.learning_rate,
            momentum=RECIPE.momentum,
            weight_decay=RECIPE.weight_decay,
            nesterov=RECIPE.nesterov,
        )

    def __call__(self, x: Tensor, label: Tensor) -> None:
        reduced = self.precision not in (None, torch.float32)
        self.optimizer.zero_grad()
        with torch.autocast("cpu", self.precision, enabled=reduced):
            logits = self.network(x)
        loss = cross_entropy(logits.float(), label, label_smoothing=RECIPE.label_smoothing)
        loss.backward()
        self.optimizer.step()


def new_network(images: ImageSet) -> nn.Module:
    channels, height, width = images.image.shape[1:]
    size = {"channels": channels, "height": height, "width": width}
    return build(Train.network, {"categories": len(images.categories), **size})


def invtools_precision() -> torch.dtype:
    """What `--precision auto` takes on the CPU."""
    from invtool.stages import _devices

    return _devices.precision("auto", torch.device("cpu"))


if __name__ == "__main__":
    main(measured, text=__doc__)
