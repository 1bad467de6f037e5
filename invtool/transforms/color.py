"""Color transforms: every output value depends on the values of one pixel alone.

    grayscale           y = (1 - v) x + v l, v the amount, l = 0.2989 r + 0.5870 g + 0.1140 b
    color rotation      hue + 180 degrees in HSV
    contrast inversion  y = 255 - x
    brightness          y = x + 255 v, v the share of the range
    contrast            y = v x, v the factor

r, g and b are the channels of one pixel x. Turning the hue by 180 degrees keeps value and
saturation, so the largest and the smallest of a pixel's channels stay what they are and every
channel swaps its distance to one for its distance to the other:

    y_c = max(r, g, b) + min(r, g, b) - x_c

Brightness and contrast leave 0..255 and are not clipped, as the paper's formulas are not: what is
standardized later needs every value, and a picture file clips by itself. A network whose input is
standardized image by image is invariant to both by construction.

Source: categories, appendix B (contrast inversion: section 3, which counts it among the
convolutional transforms). The weights are those of TensorFlow's rgb_to_grayscale, as the paper used.
Brightness, contrast and the amount of grayscale: sensitivity, III C. Its formula of grayscale,
(1 - v) I + I_gray, lacks a factor v, without which amount 0 would not be the image.
"""

import torch
from torch import Tensor

from invtool.transforms._batch import check, pieces

RED, GREEN, BLUE = 0.2989, 0.5870, 0.1140


def _check_color(image: Tensor) -> None:
    check(image)
    if image.shape[1] not in (1, 3):
        raise ValueError(f"color needs images of 1 or 3 channels; these have {image.shape[1]}")


def grayscale(image: Tensor, *, amount: float = 1.0) -> Tensor:
    """Luminance in three equal channels, or part of the way there; a gray image is itself.

    `amount` 0 changes nothing. Takes and returns (image, channel, height, width), 1 or 3 channels.
    At amount 1 the three channels of the result share their memory: clone it before writing into
    it. ValueError for other shapes and for an amount outside 0..1.

    >>> red = torch.tensor([255.0, 0, 0]).view(1, 3, 1, 1)
    >>> [round(value, 2) for value in grayscale(red).flatten().tolist()]
    [76.22, 76.22, 76.22]
    >>> [round(value, 2) for value in grayscale(red, amount=0.5).flatten().tolist()]
    [165.61, 38.11, 38.11]
    """
    _check_color(image)
    if not 0 <= amount <= 1:
        raise ValueError(f"amount is within 0..1, not {amount}")
    if image.shape[1] == 1 or amount == 0:
        return image.clone()
    red, green, blue = image.split(1, dim=1)
    gray: Tensor = red.mul(RED).add_(green, alpha=GREEN).add_(blue, alpha=BLUE)
    return gray.expand(image.shape) if amount == 1 else torch.lerp(image, gray, amount)


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


def brightness(image: Tensor, *, share: float) -> Tensor:
    """Every value raised by `share` of the range 0..255, not clipped; 0 changes nothing.

    Takes and returns (image, channel, height, width), any number of channels.

    >>> brightness(torch.tensor([0.0, 100, 255]).view(1, 3, 1, 1), share=0.2).flatten().tolist()
    [51.0, 151.0, 306.0]
    """
    check(image)
    return image + 255 * share


def contrast(image: Tensor, *, factor: float) -> Tensor:
    """Every value times `factor`, not clipped; 1 changes nothing.

    Takes and returns (image, channel, height, width), any number of channels.

    >>> contrast(torch.tensor([0.0, 100, 255]).view(1, 3, 1, 1), factor=1.5).flatten().tolist()
    [0.0, 150.0, 382.5]
    """
    check(image)
    return image * factor
