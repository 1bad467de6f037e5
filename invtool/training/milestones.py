"""The steps after which a training also keeps its network, and where.

`--checkpoint-at 0,10,100` of `a.st` makes `a.steps/step-000010.st` and so on: whole model files, so that
every command opens them. Step 0 is the network at initialization. Until the training is done they lie in
`a.checkpoint.steps`, so that an earlier model keeps its own.
Importing this module does not import torch: the command line asks what is meant, and what is in the way.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from invtool.errors import InvtoolError, UsageError

LOG = "log"
PATTERN = "step-*.st"


def parse(text: str) -> tuple[int, ...] | None:
    """Steps joined by commas, ascending, each once; None for the word `log`.

    >>> parse("100,0,10")
    (0, 10, 100)
    >>> parse("")
    ()

    Raises UsageError for anything else.
    """
    if text == LOG:
        return None
    parts = text.split(",") if text else []
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise UsageError(f"--checkpoint-at {text}: steps joined by commas, or {LOG}, are wanted")
    return tuple(sorted(set(map(int, parts))))


def of(text: str, steps: int) -> frozenset[int]:
    """What `parse` reads, of a training of that many steps; `log` doubles from 1 on and ends with the last.

    >>> sorted(of("log", 20))
    [0, 1, 2, 4, 8, 16, 20]

    Raises UsageError for a step that the training does not have.
    """
    told = parse(text)
    if told is None:
        return frozenset([0, *_powers(steps), steps])
    if told and told[-1] > steps:
        raise UsageError(f"--checkpoint-at {told[-1]}: the training has {steps} steps")
    return frozenset(told)


def _powers(end: int) -> Iterator[int]:
    power = 1
    while power < end:
        yield power
        power *= 2


def folder(model: Path) -> Path:
    """Where the steps of a model file lie.

    >>> print(folder(Path("networks/a.st")))
    networks/a.steps
    """
    return model.with_suffix(".steps")


def path(kept: Path, step: int) -> Path:
    """Where in the folder `kept` a step lies."""
    return kept / f"step-{step:06d}.st"


def remove_halves(kept: Path) -> None:
    """Forget what was being written when a training was killed."""
    for half in kept.glob(f".{PATTERN}*"):
        half.unlink()


def remove(kept: Path) -> None:
    """Forget a training's steps."""
    if kept.is_dir():
        shutil.rmtree(kept)


def check_free(model: Path, *, overwrite: bool) -> None:
    """Raise where the steps of a model, or of its training, would take the place of something.

    UsageError without `overwrite`; InvtoolError for what no training left there.
    """
    place = folder(model)
    if not place.exists():
        return
    if not overwrite:
        raise UsageError(f"{place} exists; pass --overwrite to replace it")
    if not place.is_dir():
        raise InvtoolError(f"{place} is no folder; the steps of {model} go there")
    foreign = sorted({*place.iterdir()} - {*place.glob(PATTERN)})
    if foreign:
        raise InvtoolError(f"{foreign[0]} is no step of a training; move it away")
