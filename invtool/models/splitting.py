"""A network cut at some of its layers: run once up to there, then only what follows, as often as wanted.

While a batch passes the network, each call to PyTorch's kernels that reads what a chosen layer gave, or what such a call gave,
goes on a tape; what else these calls read is kept. `Tail` plays the tape with units of those layers set to zero. So any
network is cut at a value, and not at a module: shortcuts around the cut are among what is kept, and functions, reused modules
and in-place operations are calls like others.

The tape knows memory, not tensors. A call's argument is a place in a numbered piece of memory, so that a view needs no entry,
and what is written in place is there for all that read it later. What is kept is copied only if the network overwrites it.

Where a tape cannot stand for the network (its calls depend on the values, it draws random numbers), `Whole` does the same by
full passes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from invtool.errors import InvtoolError
from invtool.models.capture import CHANGED
from invtool.models.watching import Event, logits_of, watching

Memory: TypeAlias = dict[int, torch.UntypedStorage]
Masks: TypeAlias = Mapping[str, Tensor]
DEPENDENT = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}


class Unsplittable(Exception):
    """A pass that no tape can stand for."""


@dataclass
class Kept:
    """A tensor that the tape reads but did not compute."""

    tensor: Tensor


class Place(NamedTuple):
    """A tensor in memory that the tape computes."""

    number: int
    dtype: torch.dtype
    offset: int
    size: torch.Size
    stride: tuple[int, ...]

    def within(self, memory: Memory) -> Tensor:
        storage = memory[self.number]
        empty = torch.empty(0, dtype=self.dtype, device=storage.device)
        return empty.set_(storage, self.offset, self.size, self.stride)


class Load(NamedTuple):
    """Memory that was filled outside the tape and is changed on it."""

    number: int
    content: Kept

    def play(self, memory: Memory, masks: Masks) -> None:
        memory[self.number] = self.content.tensor.clone().untyped_storage()


class Cut(NamedTuple):
    """A chosen layer has its value."""

    name: str
    place: Place

    def play(self, memory: Memory, masks: Masks) -> None:
        if self.name in masks:
            _mask(self.place.within(memory), masks[self.name])


class Call(NamedTuple):
    """A kernel call; `made` are the numbers of the memory of the tensors that it gives."""

    function: Callable[..., Any]
    arguments: Any
    named: Any
    made: list[int]

    def play(self, memory: Memory, masks: Masks) -> None:
        def found(leaf: Any) -> Any:
            if isinstance(leaf, Place):
                return leaf.within(memory)
            return leaf.tensor if isinstance(leaf, Kept) else leaf

        result = self.function(*_mapped(found, self.arguments), **_mapped(found, self.named))
        for number, tensor in zip(self.made, _leaves(result), strict=True):
            memory[number] = tensor.untyped_storage()


@dataclass(eq=False)
class Tail:
    """What a network computes from the chosen layers on, for the batch that it was recorded with.

    Attributes:
        responses: the intact value of each chosen layer, (image, ...).
        bytes_kept: memory that it holds beside the network's own.
    """

    responses: dict[str, Tensor]
    bytes_kept: int
    _steps: list[Load | Cut | Call]
    _finished: list[list[int]]  # memory that nothing reads after each step
    _logits: Place | Kept

    def __call__(self, masks: Masks) -> Tensor:
        """Logits (image, category) with zero in each layer but where `masks`, of its response's shape, is true."""
        memory: Memory = {}
        with torch.no_grad():
            for step, finished in zip(self._steps, self._finished, strict=True):
                step.play(memory, masks)
                for number in finished:
                    del memory[number]
            logits = self._logits
            return logits.within(memory) if isinstance(logits, Place) else logits.tensor


@dataclass(eq=False)
class Whole:
    """The same as a `Tail`, by a full pass each time."""

    module: nn.Module
    images: Tensor
    responses: dict[str, Tensor] = field(default_factory=dict)

    @property
    def bytes_kept(self) -> int:
        return sum(value.nbytes for value in (self.images, *self.responses.values()))

    def __call__(self, masks: Masks) -> Tensor:
        def cut(event: Event) -> None:
            if event.name in masks:
                _mask(event.value, masks[event.name])

        with torch.no_grad(), watching(self.module, cut):
            return logits_of(self.module(self.images.clone()))


def split(module: nn.Module, names: Collection[str], images: Tensor) -> tuple[Tensor, Tail]:
    """Run `module`, in eval mode, on `images`: the logits, and its tail from the layers `names` on.

    Several layers are cut in one pass, each as the ones before leave it.

    Raises:
        Unsplittable: a tape cannot stand for this pass; see `splits`.
        InvtoolError: a layer is not computed, or its units share memory.

    Examples:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Linear(2, 2)).eval()
        >>> for layer in (network[0], network[2]):
        ...     _ = nn.init.eye_(layer.weight), nn.init.zeros_(layer.bias)
        >>> logits, tail = split(network, ["1"], torch.tensor([[3.0, 5.0]]))
        >>> tail({"1": torch.tensor([[False, True]])})
        tensor([[0., 5.]])
    """
    recorder = _Recorder()
    with torch.no_grad(), watching(module, _choosing(names, recorder.cut)), recorder:
        logits = logits_of(module(images))
    _check_all_seen(names, recorder.responses)
    return logits, recorder.tail(logits, module)


def run_whole(module: nn.Module, names: Collection[str], images: Tensor) -> tuple[Tensor, Whole]:
    """As `split`, for a network that cannot be split."""
    whole = Whole(module, images.clone())

    def keep(event: Event) -> None:
        whole.responses[event.name] = event.value.clone()

    with torch.no_grad(), watching(module, _choosing(names, keep)):
        logits = logits_of(module(images))
    _check_all_seen(names, whole.responses)
    return logits, whole


def splits(module: nn.Module, names: Collection[str], images: Tensor) -> bool:
    """Whether the tail gives what full passes give, to the bit: intact, and with some units zero."""
    try:
        logits, tail = split(module, names, images.clone())
    except Unsplittable:
        return False
    whole = Whole(module, images)
    some = {name: value > value.float().mean() for name, value in tail.responses.items()}
    return torch.equal(tail({}), logits) and torch.equal(tail(some), whole(some))


def _choosing(names: Collection[str], take: Callable[[Event], None]) -> Callable[[Event], None]:
    def see(event: Event) -> None:
        if event.name not in names:
            return
        shared = zip(event.value.shape, event.value.stride(), strict=True)
        if any(size > 1 and stride == 0 for size, stride in shared):
            raise InvtoolError(
                f"units of layer '{event.name}' share memory; one of them cannot be ablated"
            )
        take(event)

    return see


def _check_all_seen(names: Collection[str], responses: Collection[str]) -> None:
    for name in names:
        if name not in responses:
            raise InvtoolError(f"layer '{name}' was not computed for a batch; {CHANGED}")


class _Recorder(TorchDispatchMode):
    """Writes the tape, and keeps what it reads as it was when it was read."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here; to skip the compiler, PyTorch would import it, for seconds

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps: list[Load | Cut | Call] = []
        self.responses: dict[str, Kept] = {}
        self.numbers: dict[StorageWeakRef, int] = {}  # of memory that the tape computes
        self.last: dict[int, int] = {}  # step that last uses it
        self.kept: dict[StorageWeakRef, list[Kept]] = {}  # by the memory that they lie in
        self.busy = False  # with what is no call of the network

    def cut(self, event: Event) -> None:
        self.busy = True
        try:
            self.responses[event.name] = self.keep(event.value)
            self.load(event.value)
            self.steps.append(Cut(event.name, self.place(event.value)))
        finally:
            self.busy = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if self.busy or not self.steps:
            return func(*args, **named)
        written = [*_leaves(_written(func, args, named))]
        if not any(_storage(tensor) in self.numbers for tensor in _leaves((args, named))):
            self.preserve(written)
            return func(*args, **named)
        if not DEPENDENT.isdisjoint(func.tags):
            raise Unsplittable(f"what {func} gives depends on the values")
        for tensor in written:
            self.load(tensor)
        arguments, own = _mapped(self.argument, args), _mapped(self.argument, named)
        self.preserve(written)
        result = func(*args, **named)
        given = [_storage(tensor) for tensor in _leaves(result)]
        if written or any(storage not in self.numbers for storage in given):  # more than a view
            self.steps.append(Call(func, arguments, own, [self.number(at) for at in given]))
        return result

    def number(self, storage: StorageWeakRef) -> int:
        """Of memory on the tape, which the current step uses; a new one where it is not there yet."""
        number = self.numbers.setdefault(storage, len(self.numbers))
        self.last[number] = len(self.steps)
        return number

    def place(self, tensor: Tensor) -> Place:
        number = self.number(_storage(tensor))
        offset = int(tensor.storage_offset())
        return Place(number, tensor.dtype, offset, tensor.shape, tensor.stride())

    def argument(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return self.place(leaf) if _storage(leaf) in self.numbers else self.keep(leaf)

    def keep(self, tensor: Tensor) -> Kept:
        kept = Kept(tensor)
        self.kept.setdefault(_storage(tensor), []).append(kept)
        return kept

    def preserve(self, written: Sequence[Tensor]) -> None:
        """Copy what is kept of memory that is about to be overwritten."""
        for tensor in written:
            for kept in self.kept.pop(_storage(tensor), ()):
                kept.tensor = kept.tensor.clone()
                self.kept.setdefault(_storage(kept.tensor), []).append(kept)

    def load(self, tensor: Tensor) -> None:
        """Put memory on the tape that it changes but did not fill."""
        storage = _storage(tensor)
        if storage not in self.numbers:
            everything = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
            content = self.keep(everything.set_(tensor.untyped_storage()))
            self.steps.append(Load(self.number(storage), content))

    def tail(self, logits: Tensor, module: nn.Module) -> Tail:
        answer = self.argument(logits)
        finished: list[list[int]] = [[] for _ in self.steps]
        for number, step in self.last.items():
            if step < len(finished):
                finished[step].append(number)
        own = {_storage(tensor) for tensor in (*module.parameters(), *module.buffers())}
        held = {at: kept[0].tensor for at, kept in self.kept.items() if at not in own}
        size = sum(tensor.untyped_storage().nbytes() for tensor in held.values())
        responses = {name: kept.tensor for name, kept in self.responses.items()}
        return Tail(responses, size, self.steps, finished, answer)


def _storage(tensor: Tensor) -> StorageWeakRef:
    """A name for a tensor's memory, which no other memory gets while it is kept."""
    try:
        return StorageWeakRef(tensor.untyped_storage())
    except (NotImplementedError, RuntimeError):  # sparse, or of another library
        raise Unsplittable("a tensor that is not in plain memory") from None


def _mask(value: Tensor, stay: Tensor) -> None:
    value.mul_(stay.to(value.dtype))  # of the ways to set units to zero by far the fastest


def _written(function: Any, args: Any, named: dict[str, Any]) -> list[Any]:
    """Those of the arguments that the call overwrites."""
    places, names = _writes(function)
    return [
        *(args[place] for place in places if place < len(args)),
        *(named[name] for name in names if name in named),
    ]


@cache
def _writes(function: Any) -> tuple[list[int], list[str]]:
    arguments = enumerate(function._schema.arguments)
    changed = [(n, a.name) for n, a in arguments if a.alias_info and a.alias_info.is_write]
    return [number for number, _ in changed], [name for _, name in changed]


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """`value` with each leaf of its lists, tuples and dicts changed."""
    if isinstance(value, (list, tuple)) and not isinstance(value, Place):
        return [_mapped(change, part) for part in value]
    if isinstance(value, dict):
        return {name: _mapped(change, part) for name, part in value.items()}
    return change(value)


def _leaves(value: Any) -> Iterator[Tensor]:
    """The tensors in lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, dict):
        yield from _leaves(list(value.values()))
