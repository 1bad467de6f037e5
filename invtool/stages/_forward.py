"""Images through a network, condition by condition, in batches on the device."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool import ranks
from invtool.data.sets import ImageSet
from invtool.errors import InvtoolError
from invtool.files import messages
from invtool.models.networks import Network
from invtool.stages import _devices
from invtool.stages._answers import settled
from invtool.transforms import Spec


def on_device(
    images: ImageSet, index: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor]:
    """The images `index` (image, channel, height, width), and `index` itself, on the device."""
    pixels = np.asarray(images.image[index])  # a copy: a mapped set cannot be written
    return torch.from_numpy(pixels).to(device), torch.from_numpy(index).to(device)


def has_room(images: ImageSet, index: NDArray[np.int64], device: torch.device) -> bool:
    """Whether the images `index` can stay on the device."""
    each = int(np.prod(images.image.shape[1:])) * images.image.dtype.itemsize
    return _devices.has_room(len(index) * each, device)


def pixels_on_device(
    images: ImageSet, index: NDArray[np.int64], device: torch.device
) -> Tensor | None:
    """The images `index` on the device, where they are to stay; None where there is no room for them."""
    if not has_room(images, index, device):
        return None
    return torch.from_numpy(images.loaded(index)).to(device)


def read_ahead(
    images: ImageSet, index: NDArray[np.int64], size: int, device: torch.device
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """As `on_device`, `size` images at a time, with the place of the first; files are decoded ahead."""
    starts = range(0, len(index), size)
    parts = [index[start : start + size] for start in starts]
    for start, part, pixels in zip(starts, parts, images.batches(parts), strict=True):
        yield start, torch.from_numpy(pixels).to(device), torch.from_numpy(part).to(device)


def check_transforms(images: ImageSet, transforms: Sequence[Spec]) -> None:
    """Raise InvtoolError, before any work, for a transform that cannot take such images."""
    image = torch.from_numpy(np.array(images.image[:1])).float()
    for transform in transforms:
        try:
            result = transform(image)
        except ValueError as error:
            raise InvtoolError(f"{transform} on {images.spec}: {error}") from None
        if result.shape != image.shape:
            height, width = image.shape[2:]
            raise InvtoolError(
                f"{transform} changes the size of the images of {images.spec}, "
                f"{height}x{width} pixels; square ones are wanted"
            )


def conditions(
    images: ImageSet,
    index: NDArray[np.int64],
    transforms: Sequence[Spec],
    *,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> Iterator[tuple[int, int, Tensor]]:
    """Batches of every condition: (condition, first image, (image, channel, height, width) float)."""
    for first, pixels, number in read_ahead(images, index, batch_size, device):
        clean = pixels.float()
        for condition, transform in enumerate(transforms):
            yield condition, first, transform(clean, seed=seed, index=number)


def predict(
    networks: Sequence[Network],
    images: ImageSet,
    index: NDArray[np.int64],
    transforms: Sequence[Spec],
    *,
    batch_size: int,
    seed: int,
    device: torch.device,
    precision: torch.dtype,
    each: Callable[[int, int], Any] = lambda condition, first: None,
    settle: bool = False,
    label: str = "",
) -> NDArray[np.int64]:
    """Category that each network answers, (network, condition, image).

    An image is read and transformed once, for all networks, by the rank whose share it is in.
    `each(condition, first image)` is called before a batch passes them; `settle` decides near-ties
    alike in whatever batch, by passing such an image once more, see `settled`; with a `label`,
    progress is shown. Raises InvtoolError where a network answers no finite numbers.
    """
    share = ranks.share(len(index))
    own = index[share]
    answers = np.empty((len(networks), len(transforms), len(own)), np.int64)
    batches = conditions(images, own, transforms, batch_size=batch_size, seed=seed, device=device)
    if label:
        total, size = answers.size, len(networks) * batch_size
        batches = messages.progress(batches, total=total, label=label, unit="images", size=size)
    with torch.inference_mode(), _devices.arithmetic(device, precision):
        for condition, first, batch in batches:
            each(condition, share.start + first)
            for network, answer in zip(networks, answers, strict=True):
                logits = settled(network, batch, (1,), precision) if settle else network(batch)
                check_finite(logits, network)
                answer[condition, first : first + len(logits)] = logits.argmax(1).cpu().numpy()
    return ranks.whole(answers, axis=2)


def check_finite(logits: Tensor, network: Network) -> None:
    """Raise InvtoolError where the network answers no finite numbers."""
    if not logits.isfinite().all():
        raise InvtoolError(f"{network.name} answers NaN or infinity; are its weights whole?")
