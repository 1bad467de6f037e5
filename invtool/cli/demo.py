from pathlib import Path
from typing import Annotated

import typer

from invtool.cli._options import Overwrite, Seed
from invtool.config import Demo

EXAMPLES = """\
invtool demo
invtool demo -o tour --transform rot180"""


def main(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for everything it makes."),
    ] = Path("invtool-demo"),
    transform: Annotated[
        str,
        typer.Option(
            "--transform",
            "-t",
            metavar="SPEC",
            help="Transform that some categories are seen with.",
        ),
    ] = Demo.transform,
    seed: Seed = Demo.seed,
    overwrite: Overwrite = False,
) -> None:
    """Run the whole story on embedded images in a few minutes.

    Draws faces, trains three networks that see none, some and most of them transformed, measures
    the invariance of their penultimate layers, and draws the figure. Every command is printed as it
    runs and can be pasted into a shell. Needs no network connection.
    """
    from invtool.stages import _refusals, demo

    _refusals.transforms([transform])
    _refusals.demo_folder(output, overwrite)
    demo.run(Demo(transform=transform, seed=seed), output)
