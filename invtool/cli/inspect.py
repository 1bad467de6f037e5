from typing import Annotated

import typer

from invtool.cli._options import STDIO, Source

EXAMPLES = """\
invtool inspect model.st
invtool activations model.st | invtool inspect
invtool inspect result.h5 --commands > again.sh
invtool inspect result.h5 --json | jq .arrays"""


def main(
    source: Source = STDIO,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    commands: Annotated[
        bool,
        typer.Option("--commands", help="Print only the shell commands that made the file."),
    ] = False,
) -> None:
    """Print what a file holds and how it was made.

    Lists each array with its type, dimensions, units and meaning, the file's facts, and the chain
    of commands behind it, oldest first, as shell lines that can be run again.
    """
    from invtool.errors import UsageError
    from invtool.files import streams

    if json and commands:
        raise UsageError("--json and --commands exclude each other")
    streams.check(source)
    from invtool.stages import inspect

    with streams.reading(source) as path:
        typer.echo(inspect.run(path, "json" if json else "commands" if commands else "text"))
