"""The command line: one module a command. Importing this package imports nothing slow."""

import os
import sys

from invtool import __version__


def main() -> None:
    """Run `invtool`; the exit code says how it went (see invtool(1))."""
    try:
        sys.exit(_run(sys.argv[1:]))
    except KeyboardInterrupt:  # before the command line took over
        sys.exit(130)


def _run(args: list[str]) -> int:
    if (
        args in (["--version"], ["-V"]) and "RANK" not in os.environ
    ):  # before Typer is imported: bare Python's own time
        try:
            print(f"invtool {__version__}", flush=True)
            return 0
        except OSError:
            pass  # `run` fails alike, and says why
    from invtool.cli._app import run

    return run(args)
