"""The CIFAR ResNet-20 of He, Zhang, Ren and Sun (2016), section 4.2, with parameter-free shortcuts (their option A).

    y = ReLU(F(x) + s(x)),    F = conv 3x3 -> batch norm -> ReLU -> conv 3x3 -> batch norm

Three stages of three such blocks with 16, 32 and 64 channels. Where a stage begins with a stride of 2, s keeps every second
pixel and pads the channels with zeros, half of them on either side; elsewhere s(x) = x. Parameter names are those of the
public PyTorch weights (conv1, bn1, layer1.0.conv1, ..., linear), which take the ImageNet mean and standard deviation.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

STAGES = (16, 32, 64)
BLOCKS = 3  # a stage


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut around them: (image, channel, height, width) -> the same, or half of each side."""

    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.stride = stride
        self.extra = (wide - narrow) // 2

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(maps)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(maps))

    def shortcut(self, maps: Tensor) -> Tensor:
        if not self.extra:
            return maps
        thinned = maps[:, :, :: self.stride, :: self.stride]
        return F.pad(thinned, (0, 0, 0, 0, self.extra, self.extra))


class ResNet20(nn.Module):
    """Images (image, channel, height, width) -> logits (image, category)."""

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(self, categories: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.input_size = (channels, height, width)
        self.conv1 = nn.Conv2d(channels, STAGES[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STAGES[0])
        self.layer1 = _stage(STAGES[0], STAGES[0], stride=1)
        self.layer2 = _stage(STAGES[0], STAGES[1], stride=2)
        self.layer3 = _stage(STAGES[1], STAGES[2], stride=2)
        self.linear = nn.Linear(STAGES[2], categories)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        logits: Tensor = self.linear(maps.mean(dim=(2, 3)))
        return logits


def _stage(narrow: int, wide: int, stride: int) -> nn.Sequential:
    first = Block(narrow, wide, stride)
    return nn.Sequential(first, *(Block(wide, wide, 1) for _ in range(BLOCKS - 1)))


def resnet20_cifar(
    *, categories: int = 10, channels: int = 3, height: int = 32, width: int = 32
) -> nn.Module:
    """Build the network: images (image, channel, height, width) -> logits (image, category).

    Args:
        categories: number of logits.
        channels: of the input; the public weights take 3.
        height: of the input in pixels; any size runs.
        width: as height.
    """
    network = ResNet20(categories, channels, height, width)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
    return network
