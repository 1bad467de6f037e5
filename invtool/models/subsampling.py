"""How many pixels of the input a step from one position of a layer to the next spans.

The factor of a layer is the product of the strides between it and the input, on the path that
subsamples most. It is found by following one pass through ATen operations: a convolution or a pool
multiplies it by its stride, a slice by its step, and what gives another number of positions in any
other way, as a resize, by the quotient of the numbers. A pool over all positions is a sum over the
grid of what it pools, and keeps that factor.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.weak import WeakTensorKeyDictionary

from invtool.models.capture import Layer, capturing

Factor = tuple[float, float]  # along the height, along the width
ONE = (1.0, 1.0)
SAME = {"mean", "sum", "amax", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d"}


def subsampling(module: nn.Module, layers: Collection[Layer], example: Tensor) -> dict[str, Factor]:
    """The factor of each layer along height and width, by its name; 1 where nothing subsamples.

    Args:
        module: in eval mode.
        layers: those that are asked about.
        example: images (image, channel, height, width).

    Examples:
        >>> from invtool.models.capture import probe
        >>> head = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.MaxPool2d(3, 2), *head).eval()
        >>> example = torch.rand(1, 3, 32, 32)
        >>> subsampling(network, probe(network, example)[:2], example)
        {'0': (2.0, 2.0), '1': (4.0, 4.0)}
    """
    following = _Following(example)
    found: dict[str, Factor] = {}

    def take(name: str, value: Tensor) -> None:
        found[name] = following.of(value)

    with torch.no_grad(), following, capturing(module, layers, take):
        module(example)
    return found


class _Following(TorchDispatchMode):
    """Knows the factor, and the last known height and width, of every tensor that comes from the input."""

    def __init__(self, example: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known: Any = WeakTensorKeyDictionary()
        self.known[example] = (ONE, tuple(example.shape[2:]))

    def of(self, value: Tensor) -> Factor:
        told = self.known.get(value)
        return ONE if told is None else told[0]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        result = func(*args, **given)
        inputs = [t for t in tree_iter((args, given)) if isinstance(t, Tensor) and t in self.known]
        if inputs:
            told = max((self.known[t] for t in inputs), key=lambda entry: entry[0])
            for made in tree_iter(result):
                if isinstance(made, Tensor):
                    self.known[made] = _after(func, args, told, made)
        return result


def _after(func: Any, args: Any, told: tuple[Factor, Any], made: Tensor) -> tuple[Factor, Any]:
    """Factor and size of what an operation made of a tensor with such a factor and size."""
    factor, size = told
    if made.ndim != 4:
        return told
    now = tuple(made.shape[2:])
    name = func.overloadpacket.__name__
    if name in SAME:
        return factor, now
    step = _stride(name, args)
    if step is None:
        step = _quotient(size[0], now[0], name), _quotient(size[1], now[1], name)
    return (factor[0] * step[0], factor[1] * step[1]), now


def _quotient(before: int, after: int, name: str) -> float:
    """Steps of what changes the number of positions in another way; padding adds some, and is none."""
    if after > before:
        return before / after if "upsample" in name else 1.0
    return float(max(1, round(before / after))) if after else 1.0


def _stride(name: str, args: Any) -> Factor | None:
    """The steps of an operation along height and width, None where it does not tell them."""
    if name == "convolution":
        stride, transposed = args[3], args[6]
        pair = float(stride[0]), float(stride[-1])
        return (1 / pair[0], 1 / pair[1]) if transposed else pair
    if name in ("max_pool2d", "max_pool2d_with_indices", "avg_pool2d"):
        stride = (args[2] if len(args) > 2 else None) or args[1]
        stride = [stride] if isinstance(stride, int) else stride
        return float(stride[0]), float(stride[-1])
    if name == "slice":
        axis, step = args[1] if len(args) > 1 else 0, args[4] if len(args) > 4 else 1
        axis %= args[0].ndim
        return (float(step) if axis == 2 else 1.0), (float(step) if axis == 3 else 1.0)
    return None
