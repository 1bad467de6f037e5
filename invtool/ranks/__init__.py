"""The processes that torchrun starts for one job: which one this is, its share, and what all found.

    torchrun --nproc-per-node 4 -m invtool evaluate model.st

Every rank runs the same command on its share of the images. What they found comes together on rank 0,
which alone speaks and writes. Without torchrun there is one rank, whose share is everything, and nothing
here does anything, or imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value = TypeVar("Value")
Summed = TypeVar("Summed")  # a numpy array or a tensor
Tensor = Any  # of torch, which is not imported here
size = int(os.environ.get("WORLD_SIZE", 1))  # ranks of the job
rank = int(os.environ.get("RANK", 0)) if size > 1 else 0  # of this process among them
local_rank = int(os.environ.get("LOCAL_RANK", 0)) if size > 1 else 0  # among those of its host
local_size = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if size > 1 else 1  # of the host's ranks


@contextmanager
def together(verdict: Callable[[BaseException], tuple[int, str] | None]) -> Iterator[None]:
    """Run the block as one of several ranks, which end together; see `ending.joined`."""
    if size == 1:
        yield
        return
    from invtool.ranks.ending import joined

    with joined(verdict):
        yield


def share(count: int) -> slice:
    """The part of `count` things in a row that is this rank's; some ranks may have one more."""
    return slice(count * rank // size, count * (rank + 1) // size)


def share_of(weights: Sequence[int]) -> slice:
    """The same of things that weigh differently: each goes where its middle falls."""
    ends = [0, *accumulate(weights)]
    owners = [(first + last) * size // (2 * ends[-1] or 1) for first, last in pairwise(ends)]
    mine = [number for number, owner in enumerate(owners) if owner == rank]
    return slice(mine[0], mine[-1] + 1) if mine else slice(0, 0)


def everyones(value: Value) -> list[Value]:
    """What each rank has, on every rank; for what is small."""
    if size == 1:
        return [value]
    from torch import distributed

    found: list[Any] = [None] * size
    distributed.all_gather_object(found, value)
    return found


def agreed(value: Value) -> Value:
    """What rank 0 has, on every rank, once rank 0 is here."""
    if size == 1:
        return value
    from torch import distributed

    found = [value]
    distributed.broadcast_object_list(found, src=0)
    return found[0]


def whole(part: NDArray[Any], axis: int = 0) -> NDArray[Any]:
    """The parts of all ranks, one after the other, on every rank; for what is small."""
    if size == 1:
        return part
    import numpy as np

    return np.concatenate(everyones(part), axis=axis)


def gathered(part: NDArray[Any], axis: int = 0) -> NDArray[Any]:
    """The same on rank 0; elsewhere the part."""
    if size == 1:
        return part
    import numpy as np
    import torch

    rows = np.moveaxis(part, axis, 0)
    count = sum(everyones(len(rows))) if not rank else everyones(len(rows))[rank]
    found = np.empty((count, *rows.shape[1:]), part.dtype)
    found[: len(rows)] = rows
    filled(torch.from_numpy(found.reshape(count, -1).view(np.uint8)), len(rows))
    return np.moveaxis(found, 0, axis)


def filled(rows: Tensor, count: int) -> None:
    """Put the rows of other ranks after the first `count` of rank 0's; `count` is that of each."""
    if size == 1:
        return
    from torch import distributed

    counts = everyones(count)
    if rank:
        if count:
            distributed.send(rows[:count].contiguous(), dst=0)
        return
    for source in range(1, size):
        at = sum(counts[:source])
        if counts[source]:
            distributed.recv(rows[at : at + counts[source]], src=source)


def stacked(value: Tensor) -> Tensor:
    """The tensors of all ranks, (rank, ...), on every rank; they are alike in shape."""
    import torch
    from torch import distributed

    found = [torch.empty_like(value) for _ in range(size)]
    distributed.all_gather(found, value)
    return torch.stack(found)


def total(value: Summed) -> Summed:
    """The sum over all ranks of an array or tensor, in place."""
    return _reduced(value, "SUM")


def highest(value: Summed) -> Summed:
    """The highest of each element over all ranks, in place."""
    return _reduced(value, "MAX")


def _reduced(value: Summed, how: str) -> Summed:
    if size > 1:
        import torch
        from torch import distributed

        shared = torch.as_tensor(value)
        if shared.dtype == torch.bool:
            shared = shared.view(torch.uint8)
        distributed.all_reduce(shared, getattr(distributed.ReduceOp, how))
    return value


def wait() -> None:
    """Until all ranks are here."""
    everyones(None)
