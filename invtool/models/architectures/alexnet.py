"""The modified AlexNet of *Robustness to transformations across categories*, appendix A.

    [conv1 -> ReLU -> LRN] -> [conv2 -> ReLU -> LRN] -> [conv3..conv5 -> ReLU] -> max-pool 3/2 -> fc6 -> ReLU -> dropout -> fc7

Five convolutional and two fully connected layers; no max-pool after the first two convolutions; otherwise AlexNet
(Krizhevsky, Sutskever and Hinton, 2012): two groups in conv2, conv4 and conv5, dropout 1/2, and the normalization over n = 5
neighbouring channels

    b_i = a_i / (k + alpha sum_j a_j^2)^beta,    k = 2, alpha = 1e-4, beta = 0.75.

Weights start as a normal of standard deviation 0.01, biases at 1 in conv2, conv4, conv5 and fc6 and at 0 elsewhere.

The paper does not give the size of its face images. AlexNet's conv1 (11x11, stride 4) would leave 7x7 positions of a
32-pixel image, so the stride here is side/16, at least 1 and at most AlexNet's 4, and the kernel 2 stride + 3:

    side 16: 5x5/1    side 32: 7x7/2    side 64 and more, 224 included: 11x11/4

which leaves 15 or 16 positions a side at 16, 32 and 64 pixels, and 55 at 224. There fc6 alone has 764 million weights, which
is what leaving out the two max-pools costs.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

NEIGHBOURS = 5


def alexnet(
    *,
    categories: int,
    channels: int = 3,
    height: int = 32,
    width: int = 32,
    hidden: int = 4096,
    stride: int | None = None,
) -> nn.Module:
    """Build the network: images (image, channel, height, width) -> logits (image, category).

    Args:
        categories: number of logits.
        channels: of the input.
        height: of the input in pixels; fc6 fits this size only.
        width: as height.
        hidden: units of fc6.
        stride: of conv1 in pixels; None chooses by the size of the input.

    Raises:
        ValueError: an input under 16 pixels.
    """
    if min(height, width) < 16:
        raise ValueError(f"{height}x{width} pixels are too few; 16 is the least")
    stride = stride or min(max(min(height, width) // 16, 1), 4)
    kernel = 2 * stride + 3
    positions = [((side + 4 - kernel) // stride + 1 - 3) // 2 + 1 for side in (height, width)]
    network = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 96, kernel, stride, padding=2),
            relu1=nn.ReLU(inplace=True),
            norm1=lateral_normalization(),
            conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
            relu2=nn.ReLU(inplace=True),
            norm2=lateral_normalization(),
            conv3=nn.Conv2d(256, 384, 3, padding=1),
            relu3=nn.ReLU(inplace=True),
            conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
            relu4=nn.ReLU(inplace=True),
            conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
            relu5=nn.ReLU(inplace=True),
            pool5=nn.MaxPool2d(3, 2),
            flatten=nn.Flatten(),
            fc6=nn.Linear(256 * positions[0] * positions[1], hidden),
            relu6=nn.ReLU(inplace=True),
            dropout6=nn.Dropout(0.5),
            fc7=nn.Linear(hidden, categories),
        )
    )
    for name, layer in network.named_children():
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, float(name in {"conv2", "conv4", "conv5", "fc6"}))
    return network


def lateral_normalization() -> nn.Module:
    """AlexNet's normalization over neighbouring channels."""
    # torch multiplies alpha by the mean over the neighbours, AlexNet by their sum.
    return nn.LocalResponseNorm(NEIGHBOURS, alpha=1e-4 * NEIGHBOURS, beta=0.75, k=2.0)
