"""The Invariant Transformer Net: two small networks that make affine maps of two numbers each.

    A(k)       = [I 0] + W_2 relu(W_1 k + b_1) + b_2
    F(k1, k2)  = space(A_theta(k1)) after color(A_phi(k2))

k1 and k2 are two numbers in 0..1; A_theta is 2 x 3 and A_phi channels by channels and one, see `affine`.
With W_2 = 0 and b_2 = 0 every map is the identity: there they start. Where scale is kept,
A_theta = [M t] is divided in its M by sqrt(|det M|), so that no area grows or shrinks.

Source: sensitivity, section III.D and figure 1.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invtool.transforms.affine import affine_color, affine_space

SPACE, COLOR = "space", "color"
LAYERS = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
KIND = "controllers"  # of file
SMALLEST = 1e-6  # determinant that is divided by
Controllers = Mapping[str, Tensor]
"""The parameters of both networks: `space.hidden.weight`, ..., `color.output.bias`."""


def itn(
    image: Tensor,
    *,
    file: str,
    k1: tuple[float, float],
    k2: tuple[float, float],
    start: float = 0.0,
) -> Tensor:
    """The map F(k1, k2) that a file of `invtool itn` holds for one of its starts, from 0.

    Takes and returns (image, channel, height, width). ValueError for a file that is none, a start that
    it lacks, or images of other channels.

    >>> itn(torch.zeros(1, 3, 8, 8), file="none.st", k1=(0, 0), k2=(0, 0))
    Traceback (most recent call last):
    ValueError: none.st: no such file
    """
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"{file}: no such file")
    controllers, facts = read(str(path), path.stat().st_mtime_ns)
    found = {
        name.partition(".")[2]: tensor.to(image.device)
        for name, tensor in controllers.items()
        if name.partition(".")[0] == f"{start:g}"
    }
    if not found:
        raise ValueError(f"{file} has starts 0 to {facts['starts'] - 1}, not {start:g}")
    return transformed(image, found, k1, k2, keep_scale=bool(facts["keep_scale"]))


@lru_cache(maxsize=16)
def read(path: str, changed: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Parameters and facts of a file of controllers; `changed` is when it was last written."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as held:
            metadata = held.metadata() or {}
            if metadata.get("invtool_kind") != json.dumps(KIND):
                raise ValueError(f"{path} holds no controllers of itn")
            tensors = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
        facts = {name: json.loads(metadata[name]) for name in ("starts", "keep_scale")}
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path}: not a whole file of controllers ({error})") from None
    return tensors, facts


def transformed(
    image: Tensor, controllers: Controllers, k1: Any, k2: Any, *, keep_scale: bool = False
) -> Tensor:
    """F(k1, k2) of images (image, channel, height, width)."""
    color = color_matrix(controllers, k2, image.shape[1])
    space = spatial_matrix(controllers, k1, keep_scale=keep_scale)
    return affine_space(affine_color(image, color), space)


def spatial_matrix(controllers: Controllers, k1: Any, *, keep_scale: bool = False) -> Tensor:
    """A_theta(k1), (2, 3).

    >>> spatial_matrix(at_identity(3, 4, torch.Generator()), (0.5, 1)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    matrix = _controlled(controllers, SPACE, k1, (2, 3))
    if not keep_scale:
        return matrix
    area = torch.linalg.det(matrix[:, :2]).abs().clamp(min=SMALLEST)
    return torch.cat((matrix[:, :2] / area.sqrt(), matrix[:, 2:]), dim=1)


def color_matrix(controllers: Controllers, k2: Any, channels: int) -> Tensor:
    """A_phi(k2), (channel, channel + 1); ValueError where it has other channels."""
    rows = len(controllers[f"{COLOR}.{LAYERS[3]}"])
    if rows != channels * (channels + 1):
        made = round((4 * rows + 1) ** 0.5 - 1) // 2
        plural = "" if made == 1 else "s"
        raise ValueError(
            f"these controllers are of {made} channel{plural}, the images have {channels}"
        )
    return _controlled(controllers, COLOR, k2, (channels, channels + 1))


def _controlled(controllers: Controllers, part: str, k: Any, shape: tuple[int, int]) -> Tensor:
    first, bias, second, offset = (controllers[f"{part}.{name}"] for name in LAYERS)
    given = torch.as_tensor(k, dtype=first.dtype, device=first.device)
    change = second @ torch.relu(first @ given + bias) + offset
    return torch.eye(*shape, dtype=first.dtype, device=first.device) + change.view(shape)


def at_identity(channels: int, hidden: int, random: torch.Generator) -> dict[str, Tensor]:
    """Controllers whose every map is the identity: the first layers are random, the second 0."""
    found = {}
    for part, rows in ((SPACE, 6), (COLOR, channels * (channels + 1))):
        width = 2**-0.5  # uniform as torch's layers of two inputs are
        for name, shape in zip(
            LAYERS, ((hidden, 2), (hidden,), (rows, hidden), (rows,)), strict=True
        ):
            drawn = (torch.rand(shape, generator=random) * 2 - 1) * width
            found[f"{part}.{name}"] = drawn if name.startswith("hidden") else torch.zeros(shape)
    return found
