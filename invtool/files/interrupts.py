"""Ctrl-C and SIGTERM, remembered until they take effect.

What a signal handler raises is lost where it meets a callback of a library, as that of a weak
reference, which Python can only report. So the handler also leaves a note, and whoever is about to
publish a result, or to begin the next part of long work, looks at it.
"""

import signal
import sys
from types import FrameType
from typing import Any

asked = 0  # number of the signal; its exception would keep alive all that it passed through


def install() -> None:
    """Let SIGINT raise KeyboardInterrupt and SIGTERM SystemExit(143), so that temporaries go."""
    global asked
    asked = 0
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    sys.unraisablehook = _report


def check() -> None:
    """Raise what a signal asked for, if it was lost."""
    if asked:
        raise KeyboardInterrupt if asked == signal.SIGINT else SystemExit(128 + asked)


def _stop(number: int, frame: FrameType | None) -> None:
    global asked
    asked = number
    # Unwind once; a second Ctrl-C ends at once what does not unwind.
    signal.signal(number, signal.SIG_DFL if number == signal.SIGINT else signal.SIG_IGN)
    check()


def _report(lost: Any, report: Any = sys.__unraisablehook__) -> None:
    """Say nothing of a signal's exception that was lost: `check` raises another."""
    if not (asked and issubclass(lost.exc_type, KeyboardInterrupt | SystemExit)):
        report(lost)
