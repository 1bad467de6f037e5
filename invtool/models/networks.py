"""A network ready to be measured, and how a reference becomes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invtool.errors import InvtoolError, UsageError
from invtool.files import messages, models, streams
from invtool.files.provenance import Steps
from invtool.models import antialiasing, architectures, filters, pretrained
from invtool.models.capture import Layer, probe
from invtool.models.normalization import normalize, per_channel
from invtool.models.pretrained import Preprocessing
from invtool.models.references import Reference, check, check_architecture, check_own_code
from invtool.models.watching import logits_of
from invtool.models.weights import SAFETENSORS, fill, outputs, read_weights

DEFAULT_SIZE = 32  # pixels, of a built-in network that is named alone ...
DEFAULT_CATEGORIES = 10  # ... and where neither weights nor data tell how many there are


@dataclass(eq=False)
class Network:
    """A network in eval mode, with what is needed to show it images.

    Attributes:
        module: on its device, channels last in memory.
        name: how messages call it.
        input: channels, height and width (pixels) that it takes.
        normalization: a model file's entry, see `normalization`.
        resize: whether images of another height and width are resized to it, or refused.
        categories: names in the order of the logits, where known.
        smoothing: filters before it subsamples, by `pool` and `antialias`; see `antialiasing`.
        metadata: of the model file; empty for a network from elsewhere.
        steps: how the model file was made.
    """

    module: nn.Module
    name: str
    input: tuple[int, int, int]
    normalization: Mapping[str, Any]
    resize: bool = False
    categories: list[str] | None = None
    smoothing: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    steps: Steps = field(default_factory=list)

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (image, category) of pixels (image, channel, height, width), uint8 or float, in 0..255."""
        return logits_of(self.module(self.prepared(images)))

    def prepared(self, images: Tensor) -> Tensor:
        """What the module reads: `resized`, and normalized.

        Raises:
            InvtoolError: images of another size or number of channels.
        """
        ready = normalize(self.resized(images), self.normalization)
        return ready.contiguous(memory_format=torch.channels_last)

    def resized(self, images: Tensor) -> Tensor:
        """Pixels (image, channel, height, width) in 0..255, float, on its device, of the size that it takes.

        Raises:
            InvtoolError: images of another number of channels, or of a size that was not to be changed.
        """
        self._check(images)
        pixels = images.to(self.device).float()
        if pixels.shape[2:] != self.input[1:]:
            size = list(self.input[1:])
            pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True)
        return pixels

    def _check(self, images: Tensor) -> None:
        _, channels, height, width = images.shape
        wanted = self.input
        if channels != wanted[0]:
            plural = "" if channels == 1 else "s"
            raise InvtoolError(
                f"the images have {channels} channel{plural}, {self.name} takes {wanted[0]}"
            )
        if (height, width) != wanted[1:] and not self.resize:
            raise InvtoolError(
                f"the images have {height}x{width} pixels, {self.name} takes {wanted[1]}x{wanted[2]};"
                f" --size {wanted[1]} resizes them"
            )

    @property
    def device(self) -> torch.device:
        return next((p.device for p in self.module.parameters()), torch.device("cpu"))

    @property
    def zero_color(self) -> Tensor | None:
        """The color (channel,) in 0..255 that the network reads as 0; None where each image has its own."""
        mean = self.normalization.get("mean")
        return None if mean is None else 255 * torch.tensor(mean)

    @cached_property
    def layers(self) -> list[Layer]:
        """Its layers, found by showing it two images of noise."""
        noise = torch.rand(2, *self.input, generator=torch.Generator().manual_seed(0))
        return probe(self.module, self.prepared(255 * noise))


def load(
    reference: Reference,
    *,
    weights: Path | None = None,
    untrained: bool = False,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: str | torch.device = "cpu",
    categories: int | None = None,
    seed: int = 0,
    pool: str = "",
    antialias: str = "",
) -> Network:
    """Make the network that `reference` names, in eval mode.

    Args:
        reference: see `references.parse`; a `-` in it must have been replaced by the path of the spooled file.
        weights: parameters for a network that is named by its architecture.
        untrained: leave the network as `seed` initializes it.
        size: height and width in pixels; images are then resized to it. None: as the reference tells.
        mean: of each channel, on a scale of 0 to 1; given with `std`. None: as the reference tells.
        std: as mean.
        device: where it shall run.
        categories: logits of an untrained network; weights decide for themselves.
        seed: of the initial weights.
        pool: filter before pooling layers subsample, see `filters`; empty: as the reference tells.
        antialias: the same for strided layers.

    Raises:
        UsageError: options that do not go together, or one that is missing.
        InvtoolError: a file that is not what it should be, or a network that does not run on such images.
    """
    check(reference, weights=weights, untrained=untrained, mean=mean, std=std)
    asked = _Asked(weights, untrained, size, mean, std, categories, seed, pool, antialias)
    network = _from_file(reference.path, asked) if reference.path else _named(reference.text, asked)
    network.module.eval().requires_grad_(False)
    network.module.to(device).to(memory_format=torch.channels_last)
    antialiasing.install(network.module, **network.smoothing)
    _try(network)
    blurred = antialiasing.check(network.module, network.name)
    if pool or antialias:
        messages.note(f"{network.name}: {blurred or 'subsampled as it is'}")
    return network


@dataclass(frozen=True)
class _Asked:
    """The options of `load`."""

    weights: Path | None
    untrained: bool
    size: int | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    categories: int | None
    seed: int
    pool: str
    antialias: str

    def smoothing(self, told: Mapping[str, Any], source: str) -> dict[str, str]:
        return filters.chosen(pool=self.pool, antialias=self.antialias, told=told, source=source)

    def normalization(self, channels: int) -> dict[str, Any] | None:
        if self.mean is None or self.std is None:
            return None
        return per_channel(self.mean, self.std, channels)


def _from_file(path: Path, asked: _Asked) -> Network:
    """A file of `train`, which tells everything about itself."""
    label = streams.label(path)
    metadata = models.read_metadata(path)
    check_architecture(label, metadata)
    try:
        architecture = metadata["architecture"]
        name, arguments = architecture["name"], architecture["arguments"]
        told = _told_by(metadata)
    except (KeyError, TypeError) as error:
        raise InvtoolError(f"{label}: its metadata lacks {error}; make it again") from error
    check_own_code(label, name)
    smooth = metadata.get("init_smooth", 0.0) if asked.untrained else 0.0
    module = architectures.build(name, arguments, seed=asked.seed, init_smooth=smooth)
    if not asked.untrained:
        fill(module, models.load_tensors(path), source=label)
    return Network(
        module=module,
        name=label,
        **_shown(label, asked, told, side=None),
        categories=metadata.get("categories"),
        smoothing=asked.smoothing(metadata, label),
        metadata=metadata,
        steps=models.steps_of(metadata),
    )


def _named(name: str, asked: _Asked) -> Network:
    """A network named by its architecture, with the weights that are at hand."""
    arguments = _arguments(name, asked)
    module = architectures.build(name, arguments, seed=asked.seed)
    weights = None if asked.untrained else asked.weights or pretrained.cached(name, module)
    if weights is not None:
        module = _with_weights(name, arguments, module, weights)
    told = pretrained.preprocessing(name, module)
    metadata: dict[str, Any] = {}
    if weights is not None and weights.suffix in SAFETENSORS:
        metadata = models.read_metadata(weights)
        told = _told_by(metadata) if "architecture" in metadata else told
    shown = _shown(name, asked, told, side=arguments.get("height"))
    return Network(module, name, **shown, smoothing=asked.smoothing(metadata, str(weights)))


def _told_by(metadata: Mapping[str, Any]) -> Preprocessing:
    channels, height, width = (metadata["input"][key] for key in ("channels", "height", "width"))
    return Preprocessing((channels, height, width), metadata["normalization"])


def _shown(name: str, asked: _Asked, told: Preprocessing, side: int | None) -> dict[str, Any]:
    """How images are shown to a network: what was asked for, else what it tells, else `side` pixels."""
    side = asked.size or side
    if told.input is None and side is None:
        raise UsageError(f"{name} does not tell its input; give --size in pixels")
    channels, height, width = told.input or (3, side, side)
    normalization = asked.normalization(channels) or told.normalization
    if normalization is None:
        raise UsageError(
            f"{name} does not tell how its input is normalized; give --mean and --std (0 and 1 for 0..1)"
        )
    return {
        "input": (channels, asked.size or height, asked.size or width),
        "normalization": normalization,
        "resize": asked.size is not None,
    }


def _arguments(name: str, asked: _Asked) -> dict[str, int]:
    side = asked.size
    categories = asked.categories
    if architectures.is_built_in(name):
        side, categories = side or DEFAULT_SIZE, categories or DEFAULT_CATEGORIES
    given = {"categories": categories, "height": side, "width": side}
    return {key: value for key, value in given.items() if value is not None}


def _with_weights(name: str, arguments: dict[str, int], module: nn.Module, path: Path) -> nn.Module:
    """Fill `module`, or one like it with as many categories as the weights tell apart."""
    weights = read_weights(path)
    categories = outputs(module, weights)
    if categories not in (None, outputs(module, module.state_dict())):
        module = architectures.build(name, {**arguments, "categories": categories})
    fill(module, weights, source=str(path))
    return module


def _try(network: Network) -> None:
    """Refuse a network that does not run, or whose logits are not those of its categories."""
    channels, height, width = network.input
    try:
        with torch.inference_mode():
            logits = network(torch.zeros(1, channels, height, width))
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise InvtoolError(
            f"{network.name} does not run on images of {channels}x{height}x{width}: {reason}"
        ) from error
    names = network.categories
    if names is not None and len(names) != logits.shape[1]:
        raise InvtoolError(
            f"{network.name} names {len(names)} categories and gives {logits.shape[1]} logits; make it again"
        )
