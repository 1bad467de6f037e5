"""The networks that invtool builds itself, by name, and those of torchvision, timm and the user.

`build` is the one door: it takes what a model file's `architecture` entry holds, a name and JSON arguments, so that a
network written today is rebuilt tomorrow. Nothing here imports torch before a network is wanted.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from invtool.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES: dict[str, str] = {
    "blocks": "the deformation paper's network: blocks of 3x3 convolutions, batch norm, ReLU",
    "alexnet": "the categories paper's AlexNet, without its first two max-pools",
    "resnet18": "ResNet-18, with a 3x3 stem for inputs under 64 pixels",
    "resnet20-cifar": "the CIFAR ResNet-20, with shortcuts that have no weights",
}
"""Name -> what it is; the builder of `some-name` is the function of that name in the module `some_name`."""

OPTIONS: dict[str, dict[str, type]] = {
    "blocks": {"structure": str, "filters": int, "downsampling": str},
    "alexnet": {"hidden": int},
}
"""Name -> arguments of its own that may follow the name, as `blocks:filters=16,downsampling=strided`."""

PREFIXES: dict[str, str] = {
    "torchvision:": "torchvision:NAME",
    "timm:": "timm:NAME",
    "py:": "py:MODULE:CALLABLE",
}
"""Prefix of a network that is somebody else's -> how its name is written."""


def build(
    name: str, arguments: Mapping[str, Any], *, seed: int = 0, init_smooth: float = 0.0
) -> nn.Module:
    """Make the network `name` with fresh weights that depend on `seed`, and on how smooth filters start, alone.

    With `init_smooth`, a Gaussian of that many pixels smooths them; see `initialization`.

    Every built-in network takes `categories`, `channels`, `height` and `width` (pixels) and its own arguments besides.

    Raises:
        UsageError: no such network, no such argument, or one out of range.

    Examples:
        >>> network = build("blocks", {"categories": 7, "blocks": [[1, 8], [1, 16]]})
        >>> [name for name, _ in network.named_children()]
        ['block1', 'block2', 'pool', 'flatten', 'fc']
        >>> network.fc.weight.shape
        torch.Size([7, 16])
    """
    import torch

    from invtool.models import initialization

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module = _make(name, arguments)
        except (TypeError, ValueError) as error:
            raise UsageError(f"cannot build '{name}' with {dict(arguments)}: {error}") from error
    initialization.smooth(module, init_smooth)
    return module


def _make(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    for prefix in PREFIXES:
        if name.startswith(prefix):
            foreign = importlib.import_module("invtool.models.architectures.foreign")
            made: nn.Module = foreign.BUILDERS[prefix](name.removeprefix(prefix), **arguments)
            return made
    base, own = split(name)
    function = base.replace("-", "_")
    module = importlib.import_module(f"invtool.models.architectures.{function}")
    builder: Callable[..., nn.Module] = getattr(module, function)
    return builder(**arguments, **own)


def is_built_in(name: str) -> bool:
    """Whether it names a network of invtool, with or without options."""
    return name.partition(":")[0] in ARCHITECTURES


def split(name: str) -> tuple[str, dict[str, Any]]:
    """The name of a built-in network, and the options that follow it.

    Raises:
        UsageError: no such network, no such option, or a value that is none.

    Examples:
        >>> split("blocks:filters=16")
        ('blocks', {'filters': 16})
    """
    base, _, rest = name.partition(":")
    check_name(base)
    known = OPTIONS.get(base, {})
    own: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key not in known:
            held = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(f"network {base}: no option '{key}'; {held}")
        if not value or (known[key] is int and not (value.isdecimal() and int(value))):
            wanted = "an integer from 1" if known[key] is int else "a name"
            raise UsageError(f"network {base}: {part} is wrong; {wanted} is wanted")
        own[key] = known[key](value)
    return base, own


def check_name(name: str) -> None:
    """Refuse a name that is not in `ARCHITECTURES`, with the nearest one.

    Examples:
        >>> check_name("alexnett")
        Traceback (most recent call last):
        ...
        invtool.errors.UsageError: no network 'alexnett', nearest is 'alexnet'; there are blocks, \
alexnet, resnet18, resnet20-cifar, torchvision:NAME, timm:NAME, py:MODULE:CALLABLE, or a model file
    """
    if name in ARCHITECTURES:
        return
    near = difflib.get_close_matches(name, ARCHITECTURES, n=1)
    hint = f", nearest is '{near[0]}'" if near else ""
    known = ", ".join([*ARCHITECTURES, *PREFIXES.values()])
    raise UsageError(f"no network '{name}'{hint}; there are {known}, or a model file")
