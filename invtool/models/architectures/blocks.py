"""The block network of *Learned deformation stability in convolutional neural networks*, section 2.2.

    block = [conv 3x3 -> batch norm -> ReLU] x layers -> downsampling by 2
    network = blocks -> mean over positions -> linear

The small form (CIFAR-10) is 2x32, 2x64, 2x128, 2x256 and the large one (ImageNet) 2x64, 2x128, 3x256, 3x512, 3x512, written
(layers, channels). Weights start as a normal of standard deviation 1/sqrt(n_in), truncated at two of them; n_in counts the
inputs of one unit. A convolution before a batch norm has no bias, which the norm would remove.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor, nn

STRUCTURES = {
    "small": ((2, 32), (2, 64), (2, 128), (2, 256)),
    "large": ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)),
}
"""Name -> (layers, channels) of each block."""


class Subsample(nn.Module):
    """Keep the top left position of each whole 2x2 block."""

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2] // 2 * 2, maps.shape[-1] // 2 * 2
        return maps[..., :height:2, :width:2]


def _strided(channels: int) -> nn.Module:
    return nn.Conv2d(channels, channels, kernel_size=2, stride=2)


def _strided_relu(channels: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(channels, channels, kernel_size=2, stride=2, bias=False),
            bn=nn.BatchNorm2d(channels),
            relu=nn.ReLU(inplace=True),
        )
    )


DOWNSAMPLING: dict[str, Callable[[int], nn.Module]] = {
    "subsample": lambda channels: Subsample(),
    "max-pool": lambda channels: nn.MaxPool2d(2),
    "average-pool": lambda channels: nn.AvgPool2d(2),
    "strided": _strided,
    "strided-relu": _strided_relu,
}
"""How a block halves height and width: name -> layer for that many channels."""


def blocks(
    *,
    categories: int,
    channels: int = 3,
    height: int = 32,
    width: int = 32,
    structure: str = "small",
    blocks: Sequence[Sequence[int]] | None = None,
    filters: int | None = None,
    downsampling: str = "max-pool",
) -> nn.Module:
    """Build the network: images (image, channel, height, width) -> logits (image, category).

    Layers are called `block1.conv1`, `block1.bn1`, `block1.relu1`, ..., `block1.down`, ..., `pool`, `fc`.

    Args:
        categories: number of logits.
        channels: of the input.
        height: of the input in pixels; only checked, since the network takes any size that its blocks can halve.
        width: as height.
        structure: small or large.
        blocks: (layers, channels) of each block, in place of a structure.
        filters: channels of the first block, those of the others in proportion; None: as the structure has them.
        downsampling: subsample, max-pool, average-pool, strided or strided-relu.

    Raises:
        ValueError: unknown downsampling or structure, or an input too small to be halved once a block.
    """
    if downsampling not in DOWNSAMPLING:
        raise ValueError(f"downsampling '{downsampling}' is none of {', '.join(DOWNSAMPLING)}")
    if structure not in STRUCTURES:
        raise ValueError(f"structure '{structure}' is none of {', '.join(STRUCTURES)}")
    blocks = blocks or STRUCTURES[structure]
    if filters is not None:
        blocks = [(layers, max(1, wide * filters // blocks[0][1])) for layers, wide in blocks]
    if min(height, width) < 2 ** len(blocks):
        raise ValueError(
            f"{height}x{width} pixels cannot be halved {len(blocks)} times;"
            f" {2 ** len(blocks)} is the least"
        )
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (layers, wide) in enumerate(blocks, start=1):
        parts[f"block{number}"] = _block(channels, wide, layers, DOWNSAMPLING[downsampling](wide))
        channels = wide
    parts["pool"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts["fc"] = nn.Linear(channels, categories)
    network = nn.Sequential(parts)
    network.apply(_initialize)
    return network


def _block(narrow: int, wide: int, layers: int, down: nn.Module) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, layers + 1):
        parts[f"conv{number}"] = nn.Conv2d(narrow, wide, kernel_size=3, padding="same", bias=False)
        parts[f"bn{number}"] = nn.BatchNorm2d(wide)
        parts[f"relu{number}"] = nn.ReLU(inplace=True)
        narrow = wide
    parts["down"] = down
    return nn.Sequential(parts)


def _initialize(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        deviation = 1 / math.sqrt(layer.weight[0].numel())
        nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
