from pathlib import Path
from typing import Annotated

import typer

from invtool.cli._options import STDIO, quietly

EXAMPLES = """\
invtool verify model.st *.h5
invtool verify -q result.h5 || echo make it again"""


def main(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files to check; '-' is standard input."),
    ],
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", callback=quietly, help="Print nothing but complaints."),
    ] = False,
) -> None:
    """Check that files are whole.

    A file is whole if its kind and format are known, every array that its kind demands is there
    with the right shape and type, all bytes can be read, and no value is out of range. Prints a
    line a file; complaints go to stderr, and the exit code is 1 if there are any.
    """
    from invtool.files import streams

    if STDIO in files:
        streams.check_source(STDIO)
    from invtool.stages import verify

    if not verify.run(files, typer.echo):
        raise typer.Exit(1)
