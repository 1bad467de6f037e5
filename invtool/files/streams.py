"""Standard input and output as files: `-`, terminals, pipes, and outputs that are whole or absent."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import BinaryIO

from invtool import ranks
from invtool.errors import InvtoolError, UsageError
from invtool.files import interrupts, provenance

STDIO = Path("-")
CHUNK = 1 << 20  # bytes
SUFFIXES = {".csv": "csv", ".json": "json", ".txt": "table", ".h5": "h5", ".nc": "h5"}


def check(
    source: Path | None = None,
    output: Path | None = None,
    *,
    overwrite: bool = False,
    binary: bool = True,
) -> None:
    """Refuse, before anything slow is imported, what cannot work; None is a stream not used.

    `binary` says that the output is not for a terminal.
    """
    if source is not None:
        check_source(source)
    if output is None or ranks.rank:
        return
    if output == STDIO:
        if sys.stdout is None:
            raise UsageError("standard output is closed; use -o FILE")
        if binary and sys.stdout.isatty():
            raise UsageError("refusing to write binary data to a terminal; use -o FILE or a pipe")
        return
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file")
    if output.is_file() and not overwrite:
        raise UsageError(f"{output} exists; pass --overwrite to replace it")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: there is no folder {output.parent}")
    if not output.exists() and not os.access(output.parent, os.W_OK):
        raise InvtoolError(f"{output}: no permission to write in {output.parent}")


def check_source(source: Path) -> None:
    """Refuse an input that is not there, or a terminal where data should come from."""
    if ranks.size > 1 and (source == STDIO or source.is_fifo()):
        raise UsageError(f"{ranks.size} ranks cannot share what comes through a pipe; name a FILE")
    if source == STDIO:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("no input; name a FILE or pipe one in (see --help)")
        return
    if source.is_dir():
        raise InvtoolError(f"{source} is a folder; a file is wanted")
    if not source.exists():
        raise InvtoolError(f"{source}: no such file")
    if not os.access(source, os.R_OK):
        raise InvtoolError(f"{source}: no permission to read it")


def short_names(references: Sequence[str]) -> list[str]:
    """The last parts of the inputs' names where they tell them apart, else the whole."""
    short = [Path(text).name if Path(text).is_file() else text for text in references]
    return short if len(set(short)) == len(short) else list(references)


def label(path: Path) -> str:
    """How messages name a path that `reading` yielded."""
    spool = path == Path("/dev/fd/0") or path.name.endswith(".spool")
    return "standard input" if spool else str(path)


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Yield a path that can be sought in: HDF5 must seek, so a pipe is first spooled to $TMPDIR."""
    with _listed(path, provenance.sources), _seekable(path) as usable:
        yield usable


@contextmanager
def _seekable(path: Path) -> Iterator[Path]:
    if path == STDIO and stat.S_ISREG(os.fstat(0).st_mode):
        yield Path("/dev/fd/0")  # `< file`: used in place
    elif path == STDIO:
        with _spooled(sys.stdin.buffer, "standard input") as spool:
            yield spool
    elif path.is_file():
        yield path
    else:  # a FIFO or <(command)
        with path.open("rb") as pipe, _spooled(pipe, str(path)) as spool:
            yield spool


@contextmanager
def _listed(path: Path, names: list[str]) -> Iterator[None]:
    names.append(str(path))
    try:
        yield
    finally:
        names.remove(str(path))


@contextmanager
def _spooled(pipe: BinaryIO, name: str) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="invtool-", suffix=".spool") as spool:
        try:
            shutil.copyfileobj(pipe, spool, CHUNK)
            spool.flush()
        except OSError as error:
            raise InvtoolError(
                f"{name} does not fit in {tempfile.gettempdir()} ({error.strerror}); set TMPDIR"
            ) from None
        if not spool.tell():
            raise InvtoolError(f"{name} is empty; did the command before this one fail?")
        yield Path(spool.name)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes PATH in one rename if the block succeeds, else vanishes.

    Standard output, devices and pipes get a copy of the finished file instead. Of several ranks only
    rank 0 writes; what another writes to the path goes nowhere.
    """
    if ranks.rank:
        yield Path(os.devnull)
        return
    with _listed(path, provenance.targets), _whole(path) as partial:
        yield partial


@contextmanager
def targeting(path: Path) -> Iterator[None]:
    """Say, while the block runs, that PATH is what is being made, though it will be written later."""
    with _listed(path, provenance.targets):
        yield


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    if path == STDIO or _in_place(path):
        with tempfile.NamedTemporaryFile(prefix="invtool-", suffix=".out") as spool:
            yield Path(spool.name)
            interrupts.check()
            with Path(spool.name).open("rb") as done, _sink(path) as sink:
                shutil.copyfileobj(done, sink, CHUNK)
                sink.flush()
        return
    target = path.resolve()  # through a symbolic link: replace what it points to
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield partial
        interrupts.check()
        with partial.open("rb") as done:
            os.fsync(done.fileno())
        partial.replace(target)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def on_terminal() -> bool:
    """Whether what is being written goes to a terminal."""
    return str(STDIO) in provenance.targets and sys.stdout is not None and sys.stdout.isatty()


@contextmanager
def _sink(path: Path) -> Iterator[BinaryIO]:
    if path == STDIO:
        yield sys.stdout.buffer
    else:
        with path.open("ab") as sink:
            yield sink


def _in_place(path: Path) -> bool:
    """Whether it must stay what it is: a device, a FIFO, or /dev/stderr that goes to a file."""
    return path.exists() and (not path.is_file() or path.parent in (Path("/dev"), Path("/dev/fd")))


def output_format(asked: str, output: Path) -> str:
    """table, json, csv or h5: as asked, else by suffix, else a table on a terminal and h5 off one."""
    if asked != "auto":
        return asked
    if output != STDIO and output.suffix:
        if output.suffix not in SUFFIXES:
            raise UsageError(
                f"{output}: unknown suffix {output.suffix!r}; use {', '.join(SUFFIXES)} or --format"
            )
        return SUFFIXES[output.suffix]
    return "table" if output == STDIO and sys.stdout.isatty() else "h5"


@contextmanager
def several(
    names: Sequence[str], sources: Sequence[Path | None], output: Path
) -> Iterator[tuple[list[Path], Path]]:
    """Where each of several models can be read, and where their result is to be written.

    `sources` has None for a model that is no file, which keeps its name. What their own code prints
    goes to standard error: the result may be on its way to standard output.
    """
    with ExitStack() as stack:
        paths = [
            stack.enter_context(reading(source)) if source else Path(name)
            for name, source in zip(names, sources, strict=True)
        ]
        target = stack.enter_context(writing(output))
        stack.enter_context(redirect_stdout(sys.stderr))
        yield paths, target
