"""Record a network's layers on clean and transformed images, written as they are computed.

Memory does not grow with the number of images: a batch passes the network, each layer's values are
copied once and handed to a thread that writes them in place while the next batch runs. Each rank writes
its images' values to the file that rank 0 makes.
"""

import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from invtool import ranks
from invtool.config import Activations
from invtool.errors import InvtoolError
from invtool.files import formats, hdf5, provenance
from invtool.models.capture import Layer, capturing, select
from invtool.stages import _devices
from invtool.stages._subject import describe, prepare
from invtool.transforms import Spec

IN_FLIGHT = 2  # batches whose values wait to be written


def run(config: Activations, model: Path, target: Path) -> None:
    """Write an activations file of the network in `model` (or that `config.model` names)."""
    subject = prepare(config, model)
    layers = select(subject.network.layers, config.layers)
    sizes = (len(subject.specs), len(subject.index))
    steps = provenance.step(
        config=asdict(config), inputs=subject.inputs, device=str(subject.device)
    )
    if not ranks.rank:
        _check_room(layers, prod(sizes), np.dtype(config.dtype), target)
    with nullcontext() if ranks.rank else hdf5.create(target, "activations", steps) as out:
        slabs: dict[str, hdf5.Slab] = {}
        if out:
            describe(out, subject)
            for layer in layers:
                if layer.penultimate:
                    out.attribute("penultimate", layer.name)
                slabs[layer.name] = _reserve(out, layer, sizes, config.dtype)
        slabs = ranks.agreed(slabs)
        _check_shared(slabs.values())
        batch = _devices.batch_size(config.batch_size, layers, subject.device)
        module = subject.network.module
        with (
            _Recorder(slabs, subject.specs) as recorder,
            capturing(module, layers, recorder.take),
        ):
            prediction = subject.predict(batch_size=batch, seed=config.seed, each=recorder.start)
        ranks.wait()  # for what the others write
        if out:
            out.array(
                "prediction", prediction, ("condition", "image"), long_name="category answered"
            )


def _check_room(layers: Sequence[Layer], images: int, dtype: np.dtype[Any], target: Path) -> None:
    """Raise InvtoolError before any work if the disk cannot hold the result."""
    need = images * dtype.itemsize * sum(prod(layer.shape) for layer in layers)
    free = shutil.disk_usage(target.parent).free
    if need > free:
        raise InvtoolError(
            f"{need / 2**30:.1f} GiB of activations do not fit in {target.parent} "
            f"({free / 2**30:.1f} GiB free); choose --layer, --limit or --dtype float16"
        )


def _check_shared(slabs: Iterable[hdf5.Slab]) -> None:
    """Raise InvtoolError where another rank's file, in which this one's share goes, is not here."""
    for slab in slabs:
        if not slab.path.exists():
            raise InvtoolError(
                f"rank {ranks.rank} finds no {slab.path.parent} of rank 0 on its host; all ranks"
                " write to one file, in a folder that all hosts share"
            )


def _reserve(out: hdf5.Writer, layer: Layer, sizes: tuple[int, int], dtype: str) -> hdf5.Slab:
    return out.reserve(
        f"layers/{layer.name}/activation",
        (*sizes, *layer.shape),
        dtype,
        ("condition", "image", *formats.UNIT_AXES[len(layer.shape)]),
        long_name=f"output of {layer.name}",
    )


class _Recorder:
    """Takes layers' values as the network computes them and writes them in a thread of its own.

    The copies lie in memory that is used again and again: to take as much from the system anew
    costs more than the copying.
    """

    def __init__(self, slabs: dict[str, hdf5.Slab], specs: Sequence[Spec]):
        self.slabs, self.specs = slabs, specs
        self.at = (0, 0)
        self.writer = ThreadPoolExecutor(1)
        self.waiting: list[Future[None]] = []
        self.free: dict[str, list[Tensor]] = {name: [] for name in slabs}

    def __enter__(self) -> "_Recorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, *failure: object) -> None:
        try:
            if kind is None or issubclass(kind, InvtoolError):  # a layer may know better why
                self._drain(0)
        finally:
            self.writer.shutdown(cancel_futures=True)

    def start(self, condition: int, first: int) -> None:
        """The next values are those of the images from `first` on, under `condition`."""
        self.at = condition, first
        self._drain(IN_FLIGHT * len(self.slabs))

    def take(self, name: str, value: Tensor) -> None:
        copy = self._memory(name, value)
        copy.copy_(value)  # also brings it from the device, and channels before height and width
        self.waiting.append(self.writer.submit(self._write, name, self.at, copy))

    def _memory(self, name: str, value: Tensor) -> Tensor:
        """Room for `value` in the file's type and order, used before where there is some."""
        if self.free[name]:
            memory = self.free[name].pop()
            if len(memory) >= len(value):
                return memory[: len(value)]
        kind = torch.float16 if self.slabs[name].dtype == np.float16 else torch.float32
        return torch.empty(value.shape, dtype=kind, pin_memory=value.is_cuda)

    def _write(self, name: str, at: tuple[int, int], copy: Tensor) -> None:
        values = copy.numpy()
        if not (np.isfinite(values.min()) and np.isfinite(values.max())):
            half = "; --dtype float32 holds more" if values.dtype == np.float16 else ""
            raise InvtoolError(
                f"layer {name} gives NaN or infinity for an image from number {at[1]} on, "
                f"under {self.specs[at[0]]}{half}"
            )
        self.slabs[name].write(at, values)
        self.free[name].append(copy)

    def _drain(self, most: int) -> None:
        while len(self.waiting) > most:
            self.waiting.pop(0).result()
