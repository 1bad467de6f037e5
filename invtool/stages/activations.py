"""Record a network's layers on clean and transformed images, written as they are computed.

Memory does not grow with the number of images: a batch passes the network, each layer's values are
copied once and handed to a thread that writes them in place while the next batch runs.
"""

import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool.config import Activations
from invtool.data.sets import TEST, ImageSet
from invtool.data.sources import UNNAMED, open_data
from invtool.errors import InvtoolError, UsageError
from invtool.files import formats, hdf5, messages, provenance, streams
from invtool.models import networks, references
from invtool.models.capture import Layer, capturing, select
from invtool.models.networks import Network
from invtool.stages import _devices
from invtool.stages._forward import check_transforms, predict
from invtool.transforms import Spec, parse

IN_FLIGHT = 2  # batches whose values wait to be written


def run(config: Activations, model: Path, target: Path) -> None:
    """Write an activations file of the network in `model` (or that `config.model` names)."""
    device = _devices.choose(config.device, config.threads)
    network = open_network(config, model, device)
    images = open_data(config.data) if config.data else _trained_on(network)
    specs = list(dict.fromkeys([Spec(), *_transforms(config, network)]))
    index = images.indices(TEST, config.limit)
    layers = select(network.layers, config.layers)
    _check_room(layers, len(specs) * len(index), np.dtype(config.dtype), target)
    _check_categories(network, images)
    check_transforms(images, specs)
    inputs = [network.steps, images.steps]
    steps = provenance.step(config=asdict(config), inputs=inputs, device=str(device))
    with hdf5.create(target, "activations", steps) as out:
        _describe(out, network, images, index, specs)
        for layer in layers:
            if layer.penultimate:
                out.attribute("penultimate", layer.name)
        sizes = (len(specs), len(index))
        slabs = {layer.name: _reserve(out, layer, sizes, config.dtype) for layer in layers}
        batch = _devices.batch_size(config.batch_size, layers, device)
        with _Recorder(slabs, specs) as recorder, capturing(network.module, layers, recorder.take):
            prediction = predict(
                network,
                images,
                index,
                specs,
                batch_size=batch,
                seed=config.seed,
                device=device,
                precision=_devices.precision(config.precision, device),
                each=recorder.start,
            )
        out.array("prediction", prediction, ("condition", "image"), long_name="category answered")


def open_network(config: Activations, model: Path, device: torch.device) -> Network:
    """The network of a command line: a model file at `model`, or the one that the reference names."""
    reference = references.parse(config.model)
    if reference.path is not None:
        reference = references.Reference(config.model, model)
    return networks.load(
        reference,
        weights=Path(config.weights) if config.weights else None,
        untrained=config.untrained,
        size=config.size,
        mean=config.mean,
        std=config.std,
        device=device,
        seed=config.seed,
    )


def _trained_on(network: Network) -> ImageSet:
    """The images that the network was trained on."""
    spec = str(network.metadata.get("data", ""))
    if not spec:
        raise UsageError(f"{network.name} does not tell its images; give --data")
    if spec == str(streams.STDIO):
        raise UsageError(f"{network.name} was trained on images from a pipe; give --data")
    try:
        return open_data(spec)
    except InvtoolError as error:  # as a path that is relative to another folder
        raise InvtoolError(f"{error} ({network.name} was trained on it); give --data") from None


def _transforms(config: Activations, network: Network) -> list[Spec]:
    told = config.transforms or [network.metadata.get("transform", "")]
    specs = [parse(text) for text in told if text]
    if not specs:
        raise UsageError(f"{network.name} was trained without a transform; give --transform")
    return specs


def _check_categories(network: Network, images: ImageSet) -> None:
    """Refuse labels that the network has no answer for, and say where names do not agree."""
    names = network.categories
    if names is None:
        return
    if len(names) < len(images.categories):
        raise InvtoolError(
            f"{images.spec} has {len(images.categories)} categories, {network.name} {len(names)}"
        )
    pairs = zip(names, images.categories, strict=False)
    other = next((pair for pair in pairs if pair[0] != pair[1]), None)
    if other and not other[1].startswith(UNNAMED):
        messages.warn(
            f"category {other[0]!r} of {network.name} is {other[1]!r} in {images.spec}: "
            "seen, unseen and accuracy mean little"
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


def _describe(
    out: hdf5.Writer,
    network: Network,
    images: ImageSet,
    index: NDArray[np.int64],
    specs: Sequence[Spec],
) -> None:
    metadata = network.metadata
    out.array("condition", list(map(str, specs)), ("condition",), long_name="transform")
    label = images.label[index]
    out.array("label", label, ("image",), long_name="category number")
    out.array("index", index, ("image",), long_name="number of the image in its data set")
    if "seen" in metadata:
        seen = np.isin(label, metadata["seen"]).astype(np.uint8)
        out.array("seen", seen, ("image",), long_name="1: category seen transformed in training")
        out.attribute("seen_categories", len(metadata["seen"]))
        out.attribute("model_seed", metadata.get("training", {}).get("seed", 0))
        out.attribute("trained_with", metadata.get("transform", ""))
    out.attribute("categories_total", len(images.categories))
    out.attribute("categories", images.categories)
    out.attribute("data", images.spec)
    out.attribute("model", network.name)


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
