"""Layers of any network: which there are, choosing among them, and taking their values while the network runs.

`probe` runs the network once and lists its layers, `select` chooses by name, and `capturing` hands out the values of the
chosen ones as they are computed. How a network is watched, and how its layers get their names, is in `watching`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from invtool.errors import InvtoolError, UsageError
from invtool.models.watching import Event, Kind, logits_of, watching


@dataclass(frozen=True)
class Layer:
    """A value that the network computes for an image.

    Attributes:
        name: unique in the network.
        kind: `activation`, `pool` (over positions), `features` (what the classifier reads, where neither an activation nor
            a pool made it), `module` (what any other module gives) or `output` (the logits).
        shape: of one image's value: (unit,) or (channel, height, width).
        order: its number among everything that one pass computes, from 0.
        pass_length: how many values that is; another number later means that the network does not always do the same.
        nonnegative: whether no value below zero was seen.
        penultimate: whether the classifier, the last linear layer, reads this value.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    order: int
    pass_length: int
    nonnegative: bool
    penultimate: bool


def probe(module: nn.Module, example: Tensor) -> list[Layer]:
    """List the layers of a network in order of computation, by running it on `example` (image, ...).

    Args:
        module: in eval mode.
        example: two images are enough; of a single one a copy is made.

    Raises:
        ValueError: the network is in training mode.
        InvtoolError: it does not give a row of logits for each image.

    Examples:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
        >>> for layer in probe(network.eval(), torch.rand(2, 3, 8, 8)):
        ...     print(layer.name, layer.kind, layer.shape, layer.penultimate)
        0 module (8, 6, 6) False
        1 activation (8, 6, 6) True
        2 module (288,) False
        3 module (10,) False
        output output (10,) False
    """
    if module.training:
        raise ValueError("the network is in training mode; call eval() first")
    survey = _Survey()
    with torch.inference_mode(), watching(module, survey.see):
        logits = logits_of(module(_two(example)))
    return survey.layers(categories=logits.shape[1])


def _two(example: Tensor) -> Tensor:
    """With a single image, a value that belongs to no image would pass for one that does."""
    return example[:2] if len(example) > 1 else torch.cat([example, example])


class _Survey:
    """The layers of one pass. Only the latest value is kept, to recognize it in what a linear map reads."""

    def __init__(self) -> None:
        self.seen: list[Layer] = []
        self.length = 0
        self.latest = "", torch.empty(0)  # activation or pool: its name, (image, unit)
        self.readers: list[tuple[str, int]] = []  # of each linear map: what it reads, its outputs

    def see(self, event: Event) -> None:
        self.length = event.order + 1
        if event.value.ndim < 2 or len(event.value) != 2:
            return
        value = as_units(event.value)
        flat = value.flatten(1)
        if event.kind == "features":
            name, latest = self.latest
            alias = flat.dtype == latest.dtype and torch.equal(flat, latest)
            self.readers.append((name if alias else event.name, event.outputs))
        elif event.kind in ("activation", "pool"):
            self.latest = event.name, flat.clone()
        shape, nonnegative = tuple(value.shape[1:]), bool((flat >= 0).all())
        self.seen.append(Layer(event.name, event.kind, shape, event.order, 0, nonnegative, False))

    def layers(self, categories: int) -> list[Layer]:
        read = next((name for name, made in reversed(self.readers) if made == categories), None)
        return [
            replace(layer, pass_length=self.length, penultimate=layer.name == read)
            for layer in self.seen
            if layer.kind != "features" or layer.name == read
        ]


def select(layers: Sequence[Layer], patterns: Collection[str]) -> list[Layer]:
    """Choose layers by name, glob or word, each once and in the network's order.

    Two words: `penultimate` is what the classifier reads, `all` every activation and the penultimate layer. A glob means
    activations, pools, features and the output; if it fits none of them, what other modules give.

    Raises:
        UsageError: a pattern fits no layer.

    Examples:
        >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
        >>> layers = probe(network.eval(), torch.rand(2, 4))
        >>> [layer.name for layer in select(layers, ["all"])]
        ['1', '3']
        >>> [layer.name for layer in select(layers, ["penultimate", "0"])]
        ['0', '3']
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = _matching(layers, pattern)
        if not found:
            raise UsageError(_no_layer(layers, pattern))
        chosen |= found
    return [layer for layer in layers if layer.name in chosen]


def _matching(layers: Sequence[Layer], pattern: str) -> set[str]:
    if pattern == "penultimate":
        return {layer.name for layer in layers if layer.penultimate}
    if pattern == "all":
        return {layer.name for layer in layers if layer.kind == "activation" or layer.penultimate}
    fitting = [layer for layer in layers if fnmatchcase(layer.name, pattern)]
    first = {layer.name for layer in fitting if layer.kind != "module"}
    return first or {layer.name for layer in fitting}


def _no_layer(layers: Sequence[Layer], pattern: str) -> str:
    near = difflib.get_close_matches(pattern, [layer.name for layer in layers], n=1)
    hint = f", nearest is '{near[0]}'" if near else ""
    names = [layer.name for layer in layers if layer.kind != "module"]
    shown = names if len(names) <= 20 else [*names[:10], "...", *names[-9:]]
    return f"no layer '{pattern}'{hint}; there are {', '.join(shown)}"


@contextmanager
def capturing(
    module: nn.Module, layers: Collection[Layer], take: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Call `take(name, value)` when the network computes one of `layers`, as long as the block runs.

    The value is (image, unit) or (image, channel, height, width), on the network's device and in its dtype and memory
    format. The network may overwrite it as soon as `take` returns: copy it or reduce it there.

    Raises:
        InvtoolError: a pass through the network computes other things than the probe's pass did.
    """
    wanted = {layer.name: layer for layer in layers}
    length = max((layer.pass_length for layer in layers), default=None)

    def see(event: Event) -> None:
        if event.kind == "output" and length not in (None, event.order + 1):
            raise InvtoolError(
                f"a batch passed {event.order + 1} values through the network, the probe {length}; {CHANGED}"
            )
        layer = wanted.get(event.name)
        if layer is None:
            return
        value = as_units(event.value)
        if (event.order, tuple(value.shape[1:])) != (layer.order, layer.shape):
            raise InvtoolError(
                f"layer '{layer.name}' came as value {event.order} of shape {tuple(value.shape[1:])},"
                f" the probe saw value {layer.order} of shape {layer.shape}; {CHANGED}"
            )
        take(layer.name, value)

    with watching(module, see):
        yield


CHANGED = "a network that computes other layers from batch to batch cannot be captured"


def record(
    module: nn.Module, images: Tensor, patterns: Collection[str] = ("all",)
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a network on `images` once: its logits (image, category) and copies of the layers that `patterns` name.

    Examples:
        >>> network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(inplace=True), nn.Linear(2, 2))
        >>> _ = nn.init.eye_(network[0].weight)
        >>> logits, values = record(network.eval(), torch.tensor([[1.0, -2.0]]), ["0", "1"])
        >>> values
        {'0': tensor([[ 1., -2.]]), '1': tensor([[1., 0.]])}
    """
    values: dict[str, Tensor] = {}

    def take(name: str, value: Tensor) -> None:
        values[name] = value.clone()

    layers = select(probe(module, images), patterns)
    with torch.inference_mode(), capturing(module, layers, take):
        logits = logits_of(module(images))
    return logits, values


def as_units(value: Tensor) -> Tensor:
    """A map with channels, height and width as it is; a map of one position, and all else, as (image, unit)."""
    if value.ndim == 4 and value.shape[2:].numel() > 1:
        return value
    return value.flatten(1)
