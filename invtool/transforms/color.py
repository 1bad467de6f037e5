"""Color transforms: every output value depends on the values of one pixel alone.

    grayscale           y = 0.2989 r + 0.5870 g + 0.1140 b in all three channels
    color rotation      hue + 180 degrees in HSV
    contrast inversion  y = 255 - x

r, g and b are the channels of one pixel x. Turning the hue by 180 degrees keeps value and
saturation, so the largest and the smallest of a pixel's channels stay what they are and every
channel swaps its distance to one for its distance to the other:

    y_c = max(r, g, b) + min(r, g, b) - x_c

Source: categories, appendix B (contrast inversion: section 3, which counts it among the
convolutional transforms). The weights are those of TensorFlow's rgb_to_grayscale, as the paper used.
"""

import torch
from torch import Tensor

from invtool.transforms._batch import check, pieces

RED, GREEN, BLUE = 0.2989, 0.5870, 0.1140


def _check_color(image: Tensor) -> None:
    check(image)
    if image.shape[1] not in (1, 3):
        raise ValueError(f"color needs images of 1 or 3 channels; these have {image.shape[1]}")


def grayscale(image: Tensor) -> Tensor:
    """Luminance in three equal channels; a gray image is itself.

    Takes and returns (image, channel, height, width), 1 or 3 channels. The three channels of the
    result share their memory: clone it before writing into it. ValueError for other shapes.

    >>> red = torch.tensor([255.0, 0, 0]).view(1, 3, 1, 1)
    >>> [round(value, 2) for value in grayscale(red).flatten().tolist()]
    [76.22, 76.22, 76.22]
    """
    _check_color(image)
    if image.shape[1] == 1:
        return image.clone()
    red, green, blue = image.split(1, dim=1)
    gray: Tensor = red.mul(RED).add_(green, alpha=GREEN).add_(blue, alpha=BLUE)
    return gray.expand(image.shape)


def color_rotation(image: Tensor) -> Tensor:
    """Hue turned by 180 degrees in HSV, value and saturation kept; a gray image is itself.

    Takes and returns (image, channel, height, width), 1 or 3 channels. ValueError for other shapes.

    >>> orange = torch.tensor([255.0, 128, 0]).view(1, 3, 1, 1)
    >>> color_rotation(orange).flatten().tolist()
    [0.0, 127.0, 255.0]
    """
    _check_color(image)
    if image.shape[1] == 1:
        return image.clone()
    rotated = torch.empty_like(image)
    for piece in pieces(image):
        red, green, blue = image[piece].split(1, dim=1)
        extremes = torch.maximum(red, green).maximum(blue)
        extremes += torch.minimum(red, green).minimum(blue)
        torch.sub(extremes, image[piece], out=rotated[piece])
    return rotated


def contrast_inversion(image: Tensor) -> Tensor:
    """255 minus every value.

    Takes and returns (image, channel, height, width), any number of channels.

    >>> contrast_inversion(torch.tensor([0.0, 100, 255]).view(1, 3, 1, 1)).flatten().tolist()
    [255.0, 155.0, 0.0]
    """
    check(image)
    return 255 - image
