"""ResNet-18 (He, Zhang, Ren and Sun, 2016), torchvision's, with a stem that suits the size of the input.

The published stem, 7x7 with stride 2 and a max-pool, leaves a quarter of the height and width. Under 64 pixels it is a 3x3
convolution with stride 1 and no max-pool, as is usual for CIFAR: 32 pixels would otherwise reach the last stage as one position.
"""

from __future__ import annotations

from torch import nn

SMALL_STEM_BELOW = 64  # pixels


def resnet18(*, categories: int, channels: int = 3, height: int = 32, width: int = 32) -> nn.Module:
    """Build the network: images (image, channel, height, width) -> logits (image, category).

    Args:
        categories: number of logits.
        channels: of the input.
        height: of the input in pixels; it chooses the stem.
        width: as height.
    """
    from torchvision import models

    network: nn.Module = models.resnet18(num_classes=categories)
    small = min(height, width) < SMALL_STEM_BELOW
    stem = (3, 1, 1) if small else (7, 2, 3)
    kernel, stride, padding = stem
    network.conv1 = nn.Conv2d(channels, 64, kernel, stride, padding, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    if small:
        network.maxpool = nn.Identity()
    return network
