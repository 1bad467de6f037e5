"""What is said on standard error: sentences, and progress where a person watches."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from invtool.files import interrupts

Item = TypeVar("Item")
command = ""  # the running command, set by the command line; empty in a library
quiet = False  # -q sets it


def note(text: str) -> None:
    """A line that -q silences."""
    if not quiet:
        say(text)


warn = note


def say(text: str) -> None:
    """A line that is always printed."""
    if sys.stderr is None:  # closed by the caller; print would take standard output instead
        return
    name = f"invtool {command}" if command else "invtool"
    print(f"{name}: {text}", file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Lines as they are, as of a table; -q silences them."""
    if not quiet and sys.stderr is not None:
        print(text, end="", file=sys.stderr, flush=True)


def watched() -> bool:
    """Whether a person sees standard error."""
    return not quiet and sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def working(label: str) -> Iterator[None]:
    """Show `label` while the block runs, on a terminal only; for what has no count."""
    if not watched():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(label, spinner="dots"):
        yield


def progress(
    items: Iterable[Item], *, total: int, label: str, unit: str, size: int = 1, done: int = 0
) -> Iterator[Item]:
    """Yield the items and show rate and time left.

    Each item counts for `size` units of `total`, of which `done` were done before.
    """
    if not watched():
        for item in items:
            interrupts.check()
            yield item
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(label, total=total, completed=done, rate="")
        for item in items:
            interrupts.check()
            yield item
            bar.advance(task, size)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f} {unit}/s" if speed else "")
