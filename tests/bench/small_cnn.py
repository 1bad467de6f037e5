"""A small network and images, of which every value is recorded: 24 layers, 358,666 values an image."""

import torch
from torch import Tensor, nn

SIDE = 32  # pixels


def small_cnn(inplace: bool = False) -> nn.Module:
    """Six convolutions with batch norm and ReLU, three max pools, two linear layers; always alike."""
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    narrow = 3
    for wide in (32, 64, 128):
        for _ in range(2):
            convolution = nn.Conv2d(narrow, wide, 3, padding=1, bias=False)
            parts += [convolution, nn.BatchNorm2d(wide), nn.ReLU(inplace)]
            narrow = wide
        parts.append(nn.MaxPool2d(2))
    parts += [nn.Flatten(), nn.Linear(128 * 16, 128), nn.ReLU(inplace), nn.Linear(128, 10)]
    return nn.Sequential(*parts).eval()


def layer_names(network: nn.Module) -> list[str]:
    return [name for name, part in network.named_children() if not isinstance(part, nn.Flatten)]


def images(count: int) -> Tensor:
    """Smooth random images, (image, channel, height, width), float in 0..255."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, SIDE // 8, SIDE // 8, generator=random)
    smooth = nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic")
    return (255 * smooth).clamp(0, 255).contiguous()
