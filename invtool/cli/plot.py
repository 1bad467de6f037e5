import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import STDIO, NoProvenance, Output, Overwrite, Quiet
from invtool.config import Plot
from invtool.errors import UsageError

EXAMPLES = """\
invtool plot result.h5
invtool plot result.h5 -o layers.pdf
invtool plot seen-*.h5 --layer penultimate -o figure4.pdf
invtool activations model.st | invtool invariance | invtool plot -o f.svg
invtool plot runs/*.h5 --kind accuracy --width 5.5 -o accuracy.pdf"""

SUFFIXES = {".pdf": "pdf", ".svg": "svg", ".png": "png", ".txt": "text"}


def main(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            show_default=False,
            help="Invariance (or activations) files; '-' (the default) is standard input.",
        ),
    ] = None,
    output: Output = STDIO,
    kind: Annotated[
        Literal["auto", "layers", "seen", "transforms", "active", "accuracy"],
        typer.Option(
            "--kind",
            "-k",
            help="What to compare; auto: seen counts if several files differ in them, else layers.",
        ),
    ] = "auto",
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            "-l",
            metavar="GLOB",
            show_default="all; the last for seen and transforms",
            help="Layers to draw, by name or pattern; 'penultimate' and 'all' are words; may be repeated.",
        ),
    ] = None,
    group: Annotated[
        Literal["auto", "all", "seen", "unseen"],
        typer.Option(help="Images to draw; auto: seen beside unseen categories, if they differ."),
    ] = "auto",
    format: Annotated[
        Literal["auto", "text", "pdf", "svg", "png"],
        typer.Option(
            "--format",
            "-f",
            help="Form of the picture; auto goes by the suffix of -o, else text on a terminal and png off one.",
        ),
    ] = "auto",
    title: Annotated[
        str, typer.Option(metavar="TEXT", show_default="none", help="Line above the picture.")
    ] = "",
    width: Annotated[
        float | None,
        typer.Option(min=1, max=40, metavar="INCHES", show_default="as needed", help="Width."),
    ] = None,
    height: Annotated[
        float | None,
        typer.Option(min=1, max=40, metavar="INCHES", show_default="as needed", help="Height."),
    ] = None,
    dpi: Annotated[
        int, typer.Option(min=30, max=1200, metavar="N", help="Dots an inch of a PNG.")
    ] = Plot.dpi,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Draw results as a figure, or as text in a terminal.

    Violin plots of the invariance coefficient I_k of the units, by layer, by number of seen
    categories or by transform: images of seen categories on the left of each violin, of unseen
    ones on the right. --kind active shows how many images activate a unit, --kind accuracy the
    accuracy within seen categories and across to the others. The same figure is the same bytes.
    """
    from invtool.files import streams

    files = sources or [STDIO]
    config = Plot(kind, tuple(layer or ()), group, _form(format, output), title, width, height, dpi)
    for file in files:
        streams.check(file)
    streams.check(None, output, overwrite=overwrite, binary=config.format != "text")
    from invtool.stages import plot

    with ExitStack() as stack:
        paths = [stack.enter_context(streams.reading(file)) for file in files]
        plot.run(config, paths, stack.enter_context(streams.writing(output)))


def _form(asked: str, output: Path) -> str:
    """text, pdf, svg or png: as asked, else by suffix; on a terminal text, in a pipe png."""
    if asked != "auto":
        return asked
    if output == STDIO or (output.exists() and not output.is_file()):
        return "text" if output == STDIO and sys.stdout.isatty() else "png"
    suffix = output.suffix.lower()
    if suffix not in SUFFIXES:
        found = f"unknown suffix {suffix!r}" if suffix else "no suffix"
        raise UsageError(f"{output}: {found}; use {', '.join(SUFFIXES)} or --format")
    return SUFFIXES[suffix]
