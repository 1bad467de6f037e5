"""Blurring before subsampling in any network, as it is opened and without a change to its modules or parameters.

While the network runs, a `TorchFunctionMode` sees each call that drops positions and does it as `pooling` says. So a pool is
found whether a module makes it or a function, a convolution that pads by a rule of its own keeps that padding, and parameters,
layers and their names stay what they are. What looks at the network sees one call as before, with the new value.

    pooling       max_pool2d and avg_pool2d
    stride        conv2d, and slices that skip positions, as `maps[..., ::2, ::2]`

Not seen are pools of other kinds (adaptive, fractional, of norms, those that return indices), and scripted modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function_unary

from invtool.errors import UsageError
from invtool.models import filters
from invtool.models.filters import Filter
from invtool.models.pooling import (
    AveragePool,
    Pool,
    average_pool,
    blur,
    convolution,
    max_pool,
)

POOLS: dict[str, Callable[..., Pool]] = {"max_pool2d": max_pool, "avg_pool2d": average_pool}


def install(module: nn.Module, *, pool: str = "", antialias: str = "") -> None:
    """Blur before subsampling in `module` from now on: by `pool` where it pools, by `antialias` where it strides.

    Raises:
        UsageError: no such filter; see `filters.parse`.

    Examples:
        >>> import torch
        >>> network = nn.Sequential(nn.MaxPool2d(2))
        >>> install(network, pool="avg2")
        >>> network(torch.arange(16.0).reshape(1, 1, 4, 4)).flatten()
        tensor([ 2.5000,  4.5000, 10.5000, 12.5000])
    """
    swap = _Swap(filters.parse(pool, "--pool"), filters.parse(antialias, "--antialias"))
    if swap.pool or swap.antialias:
        # As torch's own parametrizations do: a class of its own, so that copies of it keep it too.
        own = type(module)
        module.__class__ = type(own.__name__, (_Swapped, own), {})
        module._swap = swap  # type: ignore[assignment]


def check(module: nn.Module, name: str) -> str:
    """What was blurred in the last pass through `module`, in words; empty where nothing was asked for.

    Raises:
        UsageError: a filter found nothing to do.
    """
    if not isinstance(module, _Swapped):
        return ""
    swap: _Swap = module._swap  # type: ignore[assignment]
    told = []
    for option, smoothing, what, other in (
        ("pool", swap.pool, "pooling layer", "antialias"),
        ("antialias", swap.antialias, "strided layer", "pool"),
    ):
        if smoothing is None:
            continue
        if not swap.done[option]:
            there = swap.met[other]
            raise UsageError(
                f"--{option} {smoothing}: {name} has no {what} that subsamples"
                + (f"; it has {there} that --{other} blurs" if there else "")
            )
        told.append(f"{smoothing} in {swap.done[option]} {what}{'s' * (swap.done[option] > 1)}")
    return ", ".join(told)


class _Swapped(nn.Module):
    """Comes before the class of a network, and lets it run under its swap."""

    def forward(self, *inputs: Any, **named: Any) -> Any:
        swap: _Swap = self._swap  # type: ignore[assignment]
        swap.begin()
        with swap:
            return super().forward(*inputs, **named)


class _Swap(TorchFunctionMode):
    def __init__(self, pool: Filter | None, antialias: Filter | None) -> None:
        super().__init__()
        self.pool, self.antialias = pool, antialias
        self.begin()

    def begin(self) -> None:
        """A pass begins: count the layers that drop positions, and those of them that are blurred."""
        self.met = {"pool": 0, "antialias": 0}
        self.done = {"pool": 0, "antialias": 0}

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        name = getattr(func, "__name__", "")
        blurred = self.blurred(name, func, args, named)
        if blurred is None:
            return func(*args, **named)
        return _Call(name, blurred)(*args, **named)

    def blurred(
        self, name: str, func: Any, args: Any, named: dict[str, Any]
    ) -> Callable[[], Tensor] | None:
        """What makes the value of this call; None for one that stays as it is."""
        maps = args[0] if args else named.get("input")
        if not isinstance(maps, Tensor) or maps.ndim != 4 or not maps.is_floating_point():
            return None
        if name in POOLS:
            return self.pooled(maps, POOLS[name](*args, **named))
        if name == "conv2d":
            layer = convolution(*args, **named)
            return self.strided(layer.subsamples, lambda by: layer.smoothed(maps, by))
        if name == "__getitem__":
            return self.strided(
                _skips(args[1]), lambda by: func(blur(maps, by, axes=(1, 1)), args[1])
            )
        return None

    def pooled(self, maps: Tensor, layer: Pool) -> Callable[[], Tensor] | None:
        by = self.pool
        if not layer.subsamples(maps):
            return None
        self.met["pool"] += 1
        smooth = isinstance(layer, AveragePool) and by is not None and by.name == "avg"
        if by is None or (smooth and min(layer.kernel) >= by.taps):
            return None
        self.done["pool"] += 1
        return lambda: layer.smoothed(maps, by)

    def strided(
        self, subsamples: bool, smoothed: Callable[[Filter], Tensor]
    ) -> Callable[[], Tensor] | None:
        by = self.antialias
        self.met["antialias"] += subsamples
        if by is None or not subsamples:
            return None
        self.done["antialias"] += 1
        return lambda: smoothed(by)


class _Call:
    """One call to whoever watches the network, though several make its value."""

    def __init__(self, name: str, value: Callable[[], Tensor]) -> None:
        self.__name__, self.value = name, value

    def __call__(self, *args: Any, **named: Any) -> Any:
        maps = args[0] if args else named["input"]
        if has_torch_function_unary(maps):
            return handle_torch_function(self, (maps,), *args, **named)
        return self.value()


def _skips(key: Any) -> bool:
    """Whether an index keeps some of the positions of a map, evenly spread over height and width."""
    if not isinstance(key, tuple):
        return False
    whole = len(key) == 4 or any(part is Ellipsis for part in key)
    return whole and all(isinstance(part, slice) and (part.step or 1) > 1 for part in key[-2:])
