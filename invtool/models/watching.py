"""What a network computes, call by call, as the next layer reads it.

A hook on a module sees neither a functional ReLU nor which use of a shared one it is, and what it keeps is overwritten by an
in-place operation a moment later. So the calls are watched: while the network runs, a `TorchFunctionMode` sees every
activation, pooling and linear function and shows its value at once, before anything can overwrite it. Hooks on the modules
say where in the network that happens, and show what the other modules give.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from invtool.errors import InvtoolError

Kind = Literal["activation", "pool", "features", "module", "output"]

ACTIVATIONS = frozenset(
    {
        *("relu", "relu6", "threshold", "hardtanh", "hardswish", "hardsigmoid", "hardshrink"),
        *("leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish"),
        *("sigmoid", "logsigmoid", "tanh", "softplus", "softsign", "softshrink", "tanhshrink"),
    }
)
CLAMPS = frozenset({"clamp", "clamp_min", "clip"})  # an activation if they cut at zero
POOLS = frozenset(
    {
        *("max_pool2d", "avg_pool2d", "lp_pool2d", "fractional_max_pool2d"),
        *("adaptive_max_pool2d", "adaptive_avg_pool2d"),
    }
)
MEANS = frozenset({"mean", "amax"})  # a pool if they run over all positions of a map
LINEAR = frozenset({"linear", "conv2d"})  # of convolutions, only those of one position


class Event(NamedTuple):
    """A value that the network computed just now.

    Attributes:
        name: of the module that computed it, or of the function within its module (`layer1.0.relu`); a second use of
            either ends in `_1`. What a linear map is about to read is called `fc.input`.
        kind: `activation`, `pool`, `features` (read by a linear map), `module` (what any other module gives) or `output`.
        order: its number in this pass, from 0.
        value: (image, ...); it may be overwritten as soon as it has been seen.
        outputs: of the linear map that reads the value, a position; 0 for other kinds.
    """

    name: str
    kind: Kind
    order: int
    value: Tensor
    outputs: int = 0


@contextmanager
def watching(module: nn.Module, see: Callable[[Event], None]) -> Iterator[None]:
    """Call `see` with everything that `module` computes while the block runs, in order of computation."""
    watch = _Watch(see)
    with ExitStack() as hooks:
        for path, part in module.named_modules():
            place = _Place(path, part)
            before = part.register_forward_pre_hook(watch.enter(place))
            hooks.callback(before.remove)
            hooks.callback(part.register_forward_hook(watch.leave(place)).remove)
        with watch:
            yield


def logits_of(output: Any) -> Tensor:
    """Find the logits (image, category) in what a network returns: a tensor, `.logits`, or the first of several.

    Raises:
        InvtoolError: there are none.
    """
    found = output
    if hasattr(output, "logits"):
        found = output.logits
    elif isinstance(output, Mapping):
        found = output.get("logits", next(iter(output.values()), None))
    elif isinstance(output, (tuple, list)):
        found = next(iter(output), None)
    if isinstance(found, Tensor) and found.ndim == 2:
        return found
    shape = f" of shape {tuple(found.shape)}" if isinstance(found, Tensor) else ""
    raise InvtoolError(
        f"the network gives a {type(output).__name__}{shape}; logits (image, category) are wanted"
    )


class _Place:
    """A module, and what its position in the network says about the calls within it."""

    def __init__(self, path: str, part: nn.Module) -> None:
        leaf = next(part.children(), None) is None
        self.path = path
        self.plain = leaf and type(part).__module__.startswith("torch.nn.")
        self.pool = leaf and next(part.parameters(), None) is None

    def named(self, function: str) -> str:
        """The module's own name, if it is nothing but this call."""
        if self.plain:
            return self.path or function
        return f"{self.path}.{function}" if self.path else function


class _Watch(TorchFunctionMode):
    def __init__(self, see: Callable[[Event], None]) -> None:
        super().__init__()
        self.see = see
        self.places: list[_Place] = []  # from the network down to the module that runs
        self.names: set[str] = set()  # given in this pass
        self.order = 0
        self.shown = False  # whether the module that runs has shown its value already
        self.busy = False  # while what is seen is dealt with, which may call torch too
        self.mapped: Callable[[], Tensor | None] = lambda: None  # what the last linear map gave

    def enter(self, place: _Place) -> Callable[[nn.Module, Any], None]:
        def before(module: nn.Module, inputs: Any) -> None:
            if not place.path:  # a new pass; an exception may have ended the last one
                self.places.clear()
                self.names.clear()
                self.order = 0
            self.places.append(place)
            self.shown = False

        return before

    def leave(self, place: _Place) -> Callable[[nn.Module, Any, Any], None]:
        def after(module: nn.Module, inputs: Any, output: Any) -> None:
            if not place.path:
                self.show("output", "output", logits_of(output))
                self.places.clear()
                return
            if not (place.plain and self.shown):
                pool = place.pool and _fewer_positions(inputs, output)
                self.show(place.path, "pool" if pool else "module", output)
            self.places.pop()

        return after

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if self.busy or not self.places:
            return func(*args, **named)
        function = getattr(func, "__name__", "").rstrip("_")
        if function in LINEAR:
            return self.map_linearly(function, func, args, named)
        result = func(*args, **named)
        kind = _kind(function, args, named, result)
        if kind is not None:
            value = _first(result)
            if value.ndim == 4 and _input(args, named) is self.mapped():
                value = value.movedim(-1, 1)  # a linear map works on channels in the last place
            self.show(self.places[-1].named(function), kind, value)
            self.shown = True
        return result

    def map_linearly(self, function: str, func: Any, args: Any, named: dict[str, Any]) -> Any:
        read, weight = (*args, *named.values())[:2]
        if weight.shape[2:].numel() == 1:
            name = self.places[-1].named(function)
            self.show(f"{name}.input", "features", read, weight.shape[0])
        result = func(*args, **named)
        if function == "linear":
            self.mapped = weakref.ref(result)
        return result

    def show(self, base: str, kind: Kind, value: Any, outputs: int = 0) -> None:
        if not isinstance(value, Tensor):
            return
        name, use = base, 0
        while name in self.names:
            use += 1
            name = f"{base}_{use}"
        self.names.add(name)
        self.busy = True
        try:
            self.see(Event(name, kind, self.order, value, outputs))
        finally:
            self.busy = False
        self.order += 1


def _kind(function: str, args: Any, named: dict[str, Any], result: Any) -> Kind | None:
    if function in ACTIVATIONS:
        return "activation"
    if function in POOLS:
        return "pool"
    if function in CLAMPS:
        low = named["min"] if "min" in named else next(iter(args[1:]), None)
        return "activation" if isinstance(low, (int, float)) and low == 0 else None
    if function in MEANS:
        maps = _input(args, named)
        whole = result.shape[:2] == maps.shape[:2] and result.shape[2:].numel() == 1
        return "pool" if maps.ndim == 4 and whole else None
    return None


def _input(args: Any, named: dict[str, Any]) -> Any:
    return args[0] if args else named.get("input")


def _first(value: Any) -> Any:
    """A function that also returns indices returns its value first."""
    return value[0] if isinstance(value, tuple) and value else value


def _fewer_positions(inputs: Any, output: Any) -> bool:
    maps = _first(inputs)
    if not (isinstance(maps, Tensor) and isinstance(output, Tensor)):
        return False
    return maps.ndim == output.ndim == 4 and output.shape[2:].numel() < maps.shape[2:].numel()
