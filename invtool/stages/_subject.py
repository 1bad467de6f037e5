"""What a command measures: a network, and the test images that it is shown under each condition."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from invtool import ranks
from invtool.config import Subject as Config
from invtool.data.sets import TEST, UNNAMED, ImageSet
from invtool.data.sources import open_data
from invtool.errors import InvtoolError, UsageError
from invtool.files import hdf5, messages, streams
from invtool.files.provenance import Steps
from invtool.models import networks, references
from invtool.models.networks import Network
from invtool.stages import _devices
from invtool.stages._forward import check_transforms, predict
from invtool.transforms import Spec, parse

Read = TypeVar("Read")


@dataclass(frozen=True, eq=False)
class Subject:
    """A network ready to run, and what to show it.

    index: (image,) numbers of the images that are used, in their data set
    specs: conditions, the first without a transform
    """

    network: Network
    images: ImageSet
    index: NDArray[np.int64]
    specs: list[Spec]
    device: torch.device
    precision: torch.dtype

    @property
    def label(self) -> NDArray[np.int64]:
        """Category of each image that is used, (image,)."""
        return self.images.label[self.index]

    @property
    def seen(self) -> NDArray[np.uint8] | None:
        """1 where the image's category was seen transformed, (image,); None where nothing tells."""
        if "seen" not in self.network.metadata:
            return None
        return np.isin(self.label, self.network.metadata["seen"]).astype(np.uint8)

    @property
    def share(self) -> "Subject":
        """The same with those of the images that are this rank's."""
        return replace(self, index=self.index[ranks.share(len(self.index))])

    def predict(
        self,
        *,
        batch_size: int,
        seed: int,
        each: Callable[[int, int], Any] = lambda condition, first: None,
        label: str = "",
    ) -> NDArray[np.int64]:
        """Category answered, (condition, image); see `_forward.predict`."""
        answers = predict(
            [self.network],
            self.images,
            self.index,
            self.specs,
            batch_size=batch_size,
            seed=seed,
            device=self.device,
            precision=self.precision,
            each=each,
            label=label,
        )
        return answers.squeeze(0)

    @property
    def inputs(self) -> list[Steps]:
        """How network and images were made."""
        return [self.network.steps, self.images.steps]


def prepare(
    config: Config,
    model: Path,
    *,
    transforms: Sequence[str] | None = None,
    images: ImageSet | None = None,
    labels: bool = True,
) -> Subject:
    """Open what `config` names, its model file being at `model`, and check that it fits together.

    `transforms` replaces those of `config`; an empty one leaves the untransformed images alone.
    `images`, opened for another network, are used again where this one is to see the same.
    `labels` says whether it matters what the categories of the images are.
    Raises UsageError or InvtoolError, before any image passes the network.
    """
    device = _devices.choose(config.device, config.threads)
    network = open_network(config, model, device)
    if images is None or not (config.data or network.metadata.get("data") == images.spec):
        images = shown_to(config, network, open_data)
    told = _transforms(config, network) if transforms is None else list(map(parse, transforms))
    specs = list(dict.fromkeys([Spec(), *told]))
    if labels:
        _check_categories(network, images)
    index = images.indices(TEST, config.limit)
    check_transforms(images, specs)
    precision = _devices.precision(config.precision, device)
    return Subject(network, images, index, specs, device, precision)


def open_network(config: Config, model: Path, device: torch.device) -> Network:
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
        pool=config.pool,
        antialias=config.antialias,
        device=device,
        seed=config.seed,
    )


def shown_to(config: Config, network: Network, read: Callable[[str], Read]) -> Read:
    """What `read` makes of the data spec that was given, else of the one that the network tells."""
    if config.data:
        return read(config.data)
    spec = str(network.metadata.get("data", ""))
    if not spec:
        raise UsageError(f"{network.name} does not tell its images; give --data")
    if spec == str(streams.STDIO):
        raise UsageError(f"{network.name} was trained on images from a pipe; give --data")
    try:
        return read(spec)
    except InvtoolError as error:  # as a path that is relative to another folder
        raise InvtoolError(f"{error} ({network.name} was trained on it); give --data") from None


def _transforms(config: Config, network: Network) -> list[Spec]:
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


def prepare_alike(
    configs: Iterable[Config],
    paths: Sequence[Path],
    *,
    transforms: Sequence[str] | None = None,
    labels: bool = True,
) -> Iterator[Subject]:
    """Each network, opened when it is wanted, and the images that all of them are shown.

    Arguments as of `prepare`. Raises InvtoolError for networks that are not shown the same images.
    """
    first: Subject | None = None
    for config, path in zip(configs, paths, strict=True):
        images = first.images if first else None
        other = prepare(config, path, transforms=transforms, images=images, labels=labels)
        first = first or other
        if first.images is not other.images:
            raise InvtoolError(
                f"{first.network.name} is measured on {first.images.spec}, {other.network.name} on "
                f"{other.images.spec}; give --data to show both the same images"
            )
        yield other


def facts(subject: Subject) -> dict[str, Any]:
    """What every result says of the network and its images, as root attributes of its file."""
    network, images = subject.network, subject.images
    metadata = network.metadata
    told: dict[str, Any] = {}
    if "seen" in metadata:
        told = {
            "seen_categories": len(metadata["seen"]),
            "model_seed": metadata.get("training", {}).get("seed", 0),
            "trained_with": metadata.get("transform", ""),
        }
    return {
        **told,
        "categories_total": len(images.categories),
        "categories": images.categories,
        "data": images.spec,
        "model": network.name,
        **network.smoothing,
    }


def describe(out: hdf5.Writer, subject: Subject) -> None:
    """Write conditions, labels, which images are of seen categories, and the facts."""
    out.array("condition", list(map(str, subject.specs)), ("condition",), long_name="transform")
    out.array("label", subject.label, ("image",), long_name="category number")
    long_name = "number of the image in its data set"
    out.array("index", subject.index, ("image",), long_name=long_name)
    if subject.seen is not None:
        long_name = "1: category seen transformed in training"
        out.array("seen", subject.seen, ("image",), long_name=long_name)
    for name, value in facts(subject).items():
        out.attribute(name, value)
