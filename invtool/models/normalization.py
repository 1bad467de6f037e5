"""From pixels in 0..255 to what a network reads.

Per image, as TensorFlow's `per_image_standardization` and the categories paper's input layer do,

    x' = (x - mean) / max(std, 1 / sqrt(n)),

mean and (population) standard deviation over the n values of that image; or per channel, as ImageNet networks expect,

    x' = (x / 255 - mean_c) / std_c.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from invtool.errors import UsageError

PER_IMAGE: dict[str, Any] = {"kind": "per-image"}


def standardize(images: Tensor) -> Tensor:
    """Standardize each image (image, channel, height, width) on its own; a constant image becomes zeros.

    Examples:
        >>> image = torch.tensor([0.0, 0.0, 3.0, 3.0]).reshape(1, 1, 2, 2)
        >>> standardize(image).flatten()
        tensor([-1., -1.,  1.,  1.])
        >>> standardize(torch.full((1, 1, 2, 2), 9.0)).flatten()
        tensor([0., 0., 0., 0.])
    """
    variance, mean = torch.var_mean(images, dim=(1, 2, 3), correction=0, keepdim=True)
    least = 1 / math.sqrt(images[0].numel())
    return (images - mean) / variance.sqrt().clamp(min=least)


def normalize(images: Tensor, normalization: Mapping[str, Any]) -> Tensor:
    """Apply a model file's `normalization` entry to float pixels (image, channel, height, width).

    Args:
        images: values in 0..255.
        normalization: {"kind": "per-image"} or {"kind": "channel", "mean": [...], "std": [...]}, on a scale of 0 to 1.

    Examples:
        >>> channel = {"kind": "channel", "mean": [0.5], "std": [0.25]}
        >>> normalize(torch.tensor([[[[0.0, 255.0]]]]), channel)
        tensor([[[[-2.,  2.]]]])
    """
    if normalization["kind"] == "per-image":
        return standardize(images)
    mean, std = (
        images.new_tensor(normalization[key]).reshape(1, -1, 1, 1) for key in ("mean", "std")
    )
    return (images / 255 - mean) / std


def per_channel(mean: Sequence[float], std: Sequence[float], channels: int) -> dict[str, Any]:
    """The `normalization` entry of these means and standard deviations; a single one serves all channels.

    Raises:
        UsageError: another number of them than there are channels, or a standard deviation that is not positive.

    Examples:
        >>> per_channel([0.5], [0.25], channels=3)
        {'kind': 'channel', 'mean': [0.5, 0.5, 0.5], 'std': [0.25, 0.25, 0.25]}
    """
    entry: dict[str, Any] = {"kind": "channel"}
    for name, values in (("mean", mean), ("std", std)):
        entry[name] = list(values) * (channels if len(values) == 1 else 1)
        if len(entry[name]) != channels:
            raise UsageError(f"--{name} has {len(values)} values for {channels} channels")
    if not all(0 < value < math.inf for value in entry["std"]):
        raise UsageError(f"--std {', '.join(map(str, std))}: wanted positive numbers")
    return entry
