"""Image transforms: a batch of images in, a batch of images out, and the table that names them.

Images are float tensors (image, channel, height, width) in 0..255. Every transform is a pure
function that runs where the batch lies, is never clipped, and is keyed, if it is random, by
(seed, image index). Importing this package does not import torch; the first transform does.

>>> import torch
>>> from invtool.transforms import contrast_inversion, parse
>>> image = torch.full((1, 3, 4, 4), 55.0)
>>> contrast_inversion(image).unique().tolist()
[200.0]
>>> parse("contrast-inversion+rot180")(image).shape
torch.Size([1, 3, 4, 4])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from invtool.transforms.registry import (
    FROM_FILES,
    TRANSFORMS,
    Choice,
    File,
    Pair,
    Parameter,
    Transform,
)
from invtool.transforms.specs import Spec, SpecError, Step, parse

if TYPE_CHECKING:
    from invtool.transforms.color import (
        brightness,
        color_rotation,
        contrast,
        contrast_inversion,
        grayscale,
    )
    from invtool.transforms.controllers import itn
    from invtool.transforms.convolution import blur, high_pass, horizontal_filter, vertical_filter
    from invtool.transforms.deformation import deform
    from invtool.transforms.embedding import embed
    from invtool.transforms.geometry import (
        rot90,
        rot180,
        rotate,
        scale_x,
        scale_y,
        thinning,
        translate_x,
        translate_y,
        zoom,
    )
    from invtool.transforms.noise import salt_pepper, white_noise

__all__ = [
    "FROM_FILES",
    "TRANSFORMS",
    "Choice",
    "File",
    "Pair",
    "Parameter",
    "Spec",
    "SpecError",
    "Step",
    "Transform",
    "blur",
    "brightness",
    "color_rotation",
    "contrast",
    "contrast_inversion",
    "deform",
    "embed",
    "grayscale",
    "high_pass",
    "horizontal_filter",
    "itn",
    "parse",
    "rot90",
    "rot180",
    "rotate",
    "salt_pepper",
    "scale_x",
    "scale_y",
    "thinning",
    "translate_x",
    "translate_y",
    "vertical_filter",
    "white_noise",
    "zoom",
]


def __getattr__(name: str) -> Any:
    """Import a transform's module (and torch) when the transform is first asked for."""
    entry = (TRANSFORMS | FROM_FILES).get(name.replace("_", "-"))
    if entry is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{entry.module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
