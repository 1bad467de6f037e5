from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import STDIO, NoProvenance, Output, Overwrite, Quiet, Seed
from invtool.config import Transform
from invtool.errors import UsageError
from invtool.files import messages, streams
from invtool.transforms import FROM_FILES, TRANSFORMS

EXAMPLES = """\
invtool transform --list
invtool transform blur:sigma=3 photos/ -o blurred/
invtool transform high-pass cat.jpg dog.jpg -t white-noise -t rot90 -o sheet.png
invtool transform all --data faces --limit 4 -o all.png
invtool transform deform:grid=4,pixels=10 cat.jpg --field -o field.pdf
invtool data objects | invtool transform grayscale+white-noise:sigma=50 --seed 3 -o noisy.h5"""

FORMS = {".h5": "h5", ".nc": "h5", ".png": "sheet"}
DRAWINGS = {".pdf": "pdf", ".png": "png", ".svg": "svg"}


def main(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="SPEC",
            show_default=False,
            help="Transform, as blur:sigma=2 or rot90+blur; 'none' and, for a sheet, 'all' are words.",
        ),
    ] = None,
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            show_default=False,
            help="Image files, folders of them, or one images file; '-' (the default) is standard input.",
        ),
    ] = None,
    output: Output = STDIO,
    further: Annotated[
        list[str] | None,
        typer.Option(
            "--transform", "-t", metavar="SPEC", help="Further column of a sheet; may be repeated."
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            metavar="SPEC",
            show_default="none",
            help="A data set instead of files: faces, objects, cifar10, ..., folder:PATH.",
        ),
    ] = Transform.data,
    size: Annotated[
        int | None,
        typer.Option(
            min=8,
            metavar="N",
            show_default="as they are",
            help="Bring every image to N x N pixels first: its central square, resized.",
        ),
    ] = Transform.size,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="all; 8 in a picture",
            help="Use N images, spread evenly over the set.",
        ),
    ] = Transform.limit,
    seed: Seed = Transform.seed,
    field: Annotated[
        bool,
        typer.Option(
            "--field", help="Draw the vector field of a deformation over each image instead."
        ),
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="List the transforms and their parameters, and exit.")
    ] = False,
    format: Annotated[
        Literal["table", "json", "csv"], typer.Option("--format", "-f", help="Form of the list.")
    ] = "table",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Transform images.

    The suffix of -o says what is made: .h5 an images file, float32 and not clipped; .png one sheet
    that shows each image beside its transforms; no suffix a folder of PNG files; a pipe gets an
    images file. --field draws a deformation as .png, .pdf or .svg. PNG clips to 0..255, and shows
    what filters make, which is signed, with 0 as mid-gray and the largest magnitude of each image
    as black or white. Noise belongs to the seed
    and the image's number in its set, so a --limit or another order does not change it. What lies
    outside the image is black to what moves it, unless border=edge or border=reflect says other.
    """
    if listing:
        _list(output, format, overwrite)
        return
    config = Transform(
        transforms=_specs(spec, further or []),
        sources=() if data else tuple(map(str, sources or [STDIO])),
        data=data,
        form=_drawing(output) if field else _form(output),
        size=size,
        limit=limit,
        seed=seed,
    )
    _check(config, sources or [], output, overwrite)
    with messages.working("loading PyTorch"):
        from invtool.stages import transform
    transform.run(config, output)


def _list(output: Path, form: str, overwrite: bool) -> None:
    streams.check(None, output, overwrite=overwrite, binary=False)
    from invtool.files import tables

    rows = [row for entry in (TRANSFORMS | FROM_FILES).values() for row in entry.rows()]
    with streams.writing(output) as target:
        tables.write(target, rows, form, [])


def _specs(first: str | None, further: Sequence[str]) -> tuple[str, ...]:
    if first is None:
        raise UsageError("which transform? name one, or see invtool transform --list")
    return tuple(TRANSFORMS) if first == "all" else (first, *further)


def _form(output: Path) -> str:
    """h5, folder or sheet: by suffix; a stream takes h5."""
    if output == STDIO or (output.exists() and not output.is_file() and not output.is_dir()):
        return "h5"
    if output.is_dir() or not output.suffix:
        return "folder"
    if output.suffix.lower() not in FORMS:
        raise UsageError(
            f"{output}: unknown suffix {output.suffix!r}; use {', '.join(FORMS)}, or none for a folder"
        )
    return FORMS[output.suffix.lower()]


def _drawing(output: Path) -> str:
    """pdf, png or svg: by suffix; a stream takes png."""
    if output == STDIO or (output.exists() and not output.is_file()):
        return "png"
    if output.suffix.lower() not in DRAWINGS:
        raise UsageError(f"{output}: --field draws a picture; use {', '.join(DRAWINGS)}")
    return DRAWINGS[output.suffix.lower()]


def _check(config: Transform, sources: Sequence[Path], output: Path, overwrite: bool) -> None:
    from invtool.stages import _refusals

    _refusals.transforms(config.transforms)
    if config.form in DRAWINGS.values():
        _refusals.field(config.transforms)
    elif len(config.transforms) > 1 and config.form != "sheet":
        raise UsageError(f"{len(config.transforms)} transforms make a sheet; use -o FILE.png")
    if config.data and sources:
        raise UsageError(f"--data {config.data} and {sources[0]}: one or the other")
    if config.data:
        _refusals.data(config.data)
    for source in sources or [STDIO] * (not config.data):
        if not source.is_dir():
            streams.check_source(source)
    if config.form != "folder":
        streams.check(None, output, overwrite=overwrite)
    elif not output.absolute().parent.is_dir():
        raise UsageError(f"{output}: there is no folder {output.absolute().parent}")
    elif output.is_dir() and any(output.iterdir()) and not overwrite:
        raise UsageError(
            f"{output} is not empty; pass --overwrite to replace what has the same name"
        )
