"""The ranks of a job begin together, and where one fails all end, with one sentence of rank 0."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path

from invtool import ranks
from invtool.errors import InvtoolError
from invtool.ranks import line as lines
from invtool.ranks.line import Line, Word

TIMEOUT = 3600  # seconds that a rank waits for what others find
CAUSE = 5  # seconds in which it turns out why a collective broke off
SIGNALED = 1  # the same, why a signal came
BROKEN = ("gloo", "NCCL", "Connection", "Timed out", "Broken pipe")  # in words of collectives
Verdict = Callable[[BaseException], tuple[int, str] | None]


class Elsewhere(InvtoolError):
    """Another rank failed."""

    def __init__(self, word: Word):
        super().__init__(word.sentence)
        self.exit_code = word.code


@contextmanager
def joined(verdict: Verdict) -> Iterator[None]:
    """Run the block on every rank of the job, silently on all but rank 0.

    Where a rank fails, the block is left on all. Rank 0 raises the failure, its own or another's; so
    does rank 1 where rank 0 is gone. The others raise SystemExit, and what is a bug as it is.
    `verdict` tells the exit code of a failure and the sentence that is said of it; None for a bug.
    """
    with ExitStack() as stack:
        if ranks.rank:
            nowhere = stack.enter_context(Path(os.devnull).open("w"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        line = None
        try:
            line = _connected()
            yield
            _all_done(line)
        except BaseException as error:
            raise _end(line, error, verdict) from None
        line.leave()
        line.close()
        _part()


def _connected() -> Line:
    """Connect the ranks; their collectives run on gloo for the CPU and NCCL for CUDA."""
    import torch
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    try:
        store, rank, size = next(rendezvous("env://", timeout=timedelta(seconds=lines.JOIN)))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=PrefixStore("collectives", store),
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=TIMEOUT),
        )
        return lines.connected(rank, size, store)
    except (OSError, RuntimeError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise InvtoolError(f"rank {ranks.rank} of {ranks.size} finds no others: {why}") from None


def _part() -> None:
    from torch import distributed

    distributed.destroy_process_group()


def _all_done(line: Line) -> None:
    """Wait until all are; raises Elsewhere where another rank is not."""
    if ranks.rank:
        line.tell(0)
    word = line.others(None)
    if word:
        raise Elsewhere(word)
    if not ranks.rank:
        line.tell(0)


def _end(line: Line | None, error: BaseException, verdict: Verdict) -> BaseException:
    """What this rank is to raise; the others are told."""
    failure, word = error, None
    if line:
        line.leave()
        failure, word = _cause(line, error, verdict)
    told = verdict(failure)
    if line:
        line.tell(*(told or (1,)))
        line.close()
    spoken = ranks.rank and told and not (word and word.sentence)
    return SystemExit(told[0]) if spoken and told else failure


def _cause(line: Line, error: BaseException, verdict: Verdict) -> tuple[BaseException, Word | None]:
    """The failure that `error` comes from, and the word of another rank if it is that one's."""
    signaled, broken = isinstance(error, SystemExit), _broken(error)
    if not (signaled or broken):
        return error, None
    if signaled and ranks.rank:
        line.tell(*(verdict(error) or (1,)))
    word = line.others(CAUSE if broken else SIGNALED)
    if word:
        return Elsewhere(word), word
    if broken:
        why = str(error).partition("\n")[0]
        error = InvtoolError(f"rank {ranks.rank} of {ranks.size} lost the others: {why}")
    return error, None


def _broken(error: BaseException) -> bool:
    """Whether a collective broke off, as another rank is gone or too slow."""
    return isinstance(error, RuntimeError) and any(word in str(error) for word in BROKEN)
