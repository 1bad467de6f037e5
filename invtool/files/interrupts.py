"""Ctrl-C, SIGTERM and SIGUSR1, remembered until they take effect.

SIGTERM and SIGUSR1 are what a cluster sends before it takes a machine away.

What a signal handler raises is lost where it meets a callback of a library, as that of a weak
reference, which Python can only report. So the handler also leaves a note, and whoever is about to
publish a result, or to begin the next part of long work, looks at it.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from invtool import ranks

ENDING = [number for name in ("SIGTERM", "SIGUSR1") if (number := getattr(signal, name, None))]
asked = 0  # number of the signal; its exception would keep alive all that it passed through
_held = False


def install() -> None:
    """Let SIGINT raise KeyboardInterrupt and others SystemExit(128 + number), so that temporaries go."""
    global asked
    asked = 0
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, _stop)
    for number in ENDING:
        signal.signal(number, _stop)
    sys.unraisablehook = _report


def check() -> None:
    """Raise what a signal asked for, if it was lost."""
    if not _held:
        _raise(asked)


def heard() -> int:
    """The number of a signal that came to any rank, 0 for none; all ranks ask at the same moment."""
    global asked
    if ranks.size == 1:
        return asked
    import numpy as np

    agreed = int(ranks.highest(np.array([asked]))[0])
    if agreed:  # else one may have come meanwhile, for the next moment
        asked = agreed
    return agreed


def leave() -> None:
    """Raise what a signal asked for, to any rank, though it is held back; all are at the same moment."""
    _raise(heard())


def _raise(number: int) -> None:
    if number:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


@contextmanager
def held_back() -> Iterator[None]:
    """A signal waits for the block, which asks whether one was `heard` where its work is whole, saves it, and leaves.

    A second Ctrl-C does not wait.
    """
    global _held
    _held = True
    try:
        yield
    finally:
        _held = False
    check()


def _stop(number: int, frame: FrameType | None) -> None:
    global asked
    asked = number
    # Unwind once; a second Ctrl-C ends at once what does not unwind. To a rank torchrun passes on the first.
    again = number == signal.SIGINT and ranks.size == 1
    signal.signal(number, signal.SIG_DFL if again else signal.SIG_IGN)
    check()


def _report(lost: Any, report: Any = sys.__unraisablehook__) -> None:
    """Say nothing of a signal's exception that was lost: `check` raises another."""
    if not (asked and issubclass(lost.exc_type, KeyboardInterrupt | SystemExit)):
        report(lost)
