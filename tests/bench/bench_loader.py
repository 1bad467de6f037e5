"""Folders of image files: images a second that arrive at the network, beside torchvision's ImageFolder in a DataLoader.

A folder of JPEGs of 256 to 500 pixels a side is read in a shuffled order; the shorter side is brought to
256, the middle 224 x 224 are taken, and batches of 64 end as normalized floats. The recipe does that
image by image in worker processes, invtool decodes in as many threads and makes floats of whole
batches. A second recipe hands over bytes, as invtool does.

The device is a pause of as long as it takes a device that keeps up with the recipe: how much of the time
it waits for images is what is missing to a loader that is always ahead. Bytes are made floats by the
device, and so in its pause; in images a second they are made here, on the same cores.
"""

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from measure import Spread, Table, in_turns, main
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from invtool.data.decoding import ImageFiles
from invtool.data.folders import image_files

BATCH = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INVTOOL = "invtool, {} threads"
RECIPE, BYTES = "ImageFolder, {} workers", "ImageFolder, {} workers, bytes"
Stream = Callable[[], Iterator[Tensor]]


def measured(quick: bool) -> list[Table]:
    images, turns = (192, 1) if quick else (1000, 3)
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        write_jpegs(top, images)
        streams: dict[str, Stream] = {}
        for workers in (1, 2):
            streams[INVTOOL.format(workers)] = decoded(top, workers)
            streams[RECIPE.format(workers)] = recipe(top, workers, as_bytes=False)
            streams[BYTES.format(workers)] = recipe(top, workers, as_bytes=True)
        check_alike(streams)
        taken = in_turns(
            {name: lambda s=s: drained(s(), images) for name, s in streams.items()}, turns
        )
        rate = {workers: 1 / taken[RECIPE.format(workers)].median for workers in (1, 2)}
        waits = {
            name: share_waited(stream(), rate[1 if " 1 " in name else 2])
            for name, stream in streams.items()
        }
    return [compared(taken, waits, images)]


def compared(taken: dict[str, Spread], waits: dict[str, float], images: int) -> Table:
    table = Table(f"{images} JPEGs of 256 to 500 px to batches of {BATCH} x 3 x 224 x 224")
    for name, seconds in taken.items():
        workers = 1 if " 1 " in name else 2
        table.rows.append(
            {
                "loader": name,
                "images/s": seconds.map(lambda image: 1 / image),
                "x the recipe": taken[RECIPE.format(workers)] / seconds,
                "device waits, %": 100 * waits[name],
            }
        )
    return table


def write_jpegs(top: Path, count: int) -> None:
    """Smooth noise with a grain, about 80 kB each as in ImageNet, in ten categories."""
    random = np.random.default_rng(0)
    for number in range(count):
        height, width = random.integers(256, 501, 2).tolist()
        coarse = random.integers(0, 256, (height // 16, width // 16, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        grain = random.normal(0, 12, (height, width, 1))
        path = top / f"{number % 10}" / f"{number:04d}.jpg"
        path.parent.mkdir(exist_ok=True)
        pixels = (np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, quality=90)


def order(count: int) -> list[int]:
    return np.random.default_rng(1).permutation(count).tolist()


def decoded(top: Path, threads: int) -> Stream:
    images = ImageFiles(image_files([top]), 256, 224)

    def stream() -> Iterator[Tensor]:
        shuffled = np.array(order(len(images)))
        parts = (shuffled[first : first + BATCH] for first in range(0, len(images), BATCH))
        yield from map(torch.from_numpy, images.parts(parts, threads))

    return stream


def recipe(top: Path, workers: int, *, as_bytes: bool) -> Stream:
    """As torchvision's own reference scripts do for the test images."""
    steps = [v2.Resize(256), v2.CenterCrop(224), v2.PILToTensor()]
    if not as_bytes:
        steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    image = v2.Compose(steps)
    folder = ImageFolder(top, image)

    def stream() -> Iterator[Tensor]:
        loader = DataLoader(folder, BATCH, sampler=order(len(folder)), num_workers=workers)
        for pixels, _ in loader:
            yield pixels

    return stream


def floats(pixels: Tensor) -> Tensor:
    """Normalized, if they are not yet."""
    if pixels.dtype != torch.uint8:
        return pixels
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std


def check_alike(streams: dict[str, Stream]) -> None:
    """What is timed is the same work: pixels may differ by the rounding of the size alone."""
    first = [floats(next(iter(stream()))) for stream in streams.values()]
    for other in first[1:]:
        difference = float((other - first[0]).abs().mean())
        assert difference < 0.1, f"mean difference {difference:.3g}"


def drained(stream: Iterator[Tensor], images: int) -> float:
    """Seconds an image, from the first batch on: workers are started by then."""
    next(stream)
    began = time.perf_counter()
    for pixels in stream:
        floats(pixels)
    return (time.perf_counter() - began) / (images - BATCH)


def share_waited(stream: Iterator[Tensor], rate: float) -> float:
    """Of the time, how much a device that takes `rate` images a second waits for the next batch."""
    next(stream)
    began, waited = time.perf_counter(), 0.0
    while True:
        asked = time.perf_counter()
        batch = next(stream, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return waited / (time.perf_counter() - began)
        time.sleep(len(batch) / rate)


if __name__ == "__main__":
    main(measured, text=__doc__)
