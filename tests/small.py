"""Images and networks so small that a training takes a moment, and the command line in this process."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from invtool.files import hdf5

NETWORK = '''
import torch
from torch import nn

def make(categories, channels):
    """Everything that training must restore: batch norm, dropout, momentum."""
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, categories),
    )

def wide(categories=4, channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 64, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(64, categories),
    )

def dark():
    """Tells quadrants by how little they lack: its penultimate units are all below 0."""
    network = nn.Sequential(
        nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4, 4)
    )
    for layer, weight in ((network[0], -torch.ones(1, 3, 1, 1)), (network[3], -torch.eye(4))):
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(len(weight)))
    return network

def flat(categories):
    """As many weights as pixels: what memorizes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(192, categories))

def deaf(categories):
    return nn.Sequential(nn.Flatten(), nn.Linear(7, categories))

def poor():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
'''
SIZE = 8  # pixels
Run = Callable[..., tuple[int, str, str]]


def quadrants(
    images: int, categories: int = 4, channels: int = 3, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Dim noise in which each category, taken in turns, lights another quadrant."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 60, (images, channels, SIZE, SIZE), np.uint8)
    label = np.arange(images) % categories
    half = SIZE // 2
    for pixels, category in zip(image, label, strict=True):
        top, left = divmod(category % 4, 2)
        pixels[:, top * half : (top + 1) * half, left * half : (left + 1) * half] += 150
    return image, label


def write_set(
    path: Path, train: int = 32, test: int = 12, *, dtype: Any = np.uint8, **options: Any
) -> Path:
    """An images file of `quadrants`, training images first."""
    image, label = quadrants(train + test, **options)
    with hdf5.create(path, "images", []) as out:
        out.array("image", image.astype(dtype), ("image", "channel", "height", "width"))
        out.array("label", label, ("image",))
        out.array("split", (np.arange(train + test) >= train).astype(np.uint8), ("image",))
        out.attribute("categories", [f"quadrant {number}" for number in range(label.max() + 1)])
    return path


@contextmanager
def room(folder: Path) -> Iterator[pytest.MonkeyPatch]:
    """Work in `folder`, which gets `small.h5` and `nets.py`; caches and times are fixed."""
    with pytest.MonkeyPatch.context() as patch:
        folder.mkdir(exist_ok=True)
        write_set(folder / "small.h5")
        (folder / "nets.py").write_text(NETWORK)
        patch.chdir(folder)
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        patch.delenv("INVTOOL_DEVICE", raising=False)
        yield patch


def runner(capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("train --epochs 1 -o", path)`: exit code, standard output and standard error."""

    def run(line: str, *more: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        return invoke(line, *more), *capfd.readouterr()

    return run


def invoke(line: str, *more: str | Path) -> int:
    """Run a command line in this process, under its own name; its exit code."""
    from invtool.cli import _app

    args = [*line.split(), *map(str, more)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["invtool", *args])
        return _app.run(args)
