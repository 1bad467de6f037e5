from typing import Annotated

import typer

from invtool.cli._options import STDIO, Limit, NoProvenance, Output, Overwrite, Quiet, Seed
from invtool.config import Data
from invtool.files import streams

EXAMPLES = """\
invtool data faces -o faces.h5
invtool data faces:categories=388,size=64 -o big.h5
invtool data objects | invtool transform blur -o sheet.png
INVTOOL_DATA=~/data invtool data cifar10 --download -o cifar10.h5
invtool data folder:photos,size=224 -o photos.h5
invtool data deformed:source=mnist,strength=3 -o strength3.h5"""


def main(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC",
            help="faces, objects, cifar10, cifar100, mnist, fashion-mnist, omniglot, imagenet, "
            "folder:PATH, deformed:source=SPEC or an images HDF5 file, with options after a colon.",
        ),
    ] = Data.data,
    output: Output = STDIO,
    limit: Limit = Data.limit,
    seed: Seed = Data.seed,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the data set into $INVTOOL_DATA.")
    ] = Data.download,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Write any data set as an images file.

    faces and objects are drawn by invtool itself, with options categories (100), size (32 px),
    train (60 images a category), test (10) and seed. The sets of torchvision lie under
    $INVTOOL_DATA. A folder holds train/ and test/ with a folder a category, or just a folder a
    category, of which a seeded fifth is for the test; size=N gives all images one size in pixels,
    crop=N keeps the middle of it; with numbered=1 the names of folders (or files, without any) begin
    with the number of their category, as a network counts it.
    deformed:source=mnist,strength=3 makes a task of classes that are one image each: their examples are
    random thin-plate deformations of it, by which a control point moves at most strength pixels
    along each axis. The source is a data set without options, or an images file; its training images are
    taken from one category after the other. Options: classes (10), train (1000 images a
    class), test (200), grid (3 control points a side), border (edge, reflect or zeros) and seed.
    --limit keeps N images of each split.
    """
    from invtool.stages import _refusals

    _refusals.data(spec)
    streams.check(None, output, overwrite=overwrite)
    from invtool.stages import data

    with streams.writing(output) as target:
        data.run(Data(spec, seed, limit, download), target)
