from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import STDIO, Format, NoProvenance, Output, Overwrite, Quiet
from invtool.config import Bias
from invtool.errors import UsageError
from invtool.files import streams

EXAMPLES = """\
invtool bias annotations/
invtool bias instances_val2017.json -o bias.h5
invtool bias boxes.csv.gz --corners from-0 --format csv
invtool bias VOC2012/Annotations boxes.csv --faulty skip --test chi-square
invtool bias boxes.csv | invtool plot -o figure5.pdf"""


def main(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            show_default=False,
            help="Boxes as PASCAL VOC XML, COCO JSON or CSV, plain or .gz, or folders of such files; "
            "'-' (the default) is standard input.",
        ),
    ] = None,
    output: Output = STDIO,
    test: Annotated[
        Literal["kolmogorov-smirnov", "chi-square"],
        typer.Option(
            help="Test of uniformity: each axis on its own, the smaller p counting twice; or a grid of 5 "
            "intervals an axis, for categories of 125 boxes or more."
        ),
    ] = Bias.test,  # type: ignore[assignment]
    below: Annotated[
        float,
        typer.Option(metavar="P", help="A category is biased where p is under this, 0 < P < 1."),
    ] = Bias.below,
    correction: Annotated[
        Literal["holm", "bonferroni", "fdr", "none"],
        typer.Option(
            help="Correction of p for the number of categories; fdr is Benjamini and Hochberg's."
        ),
    ] = Bias.correction,  # type: ignore[assignment]
    corners: Annotated[
        Literal["auto", "edges", "from-0", "from-1"],
        typer.Option(
            help="What corners mean: edges, so that x1 - x0 is the width; or numbers of the first and "
            "the last pixel of the box, from 0 or from 1. auto: from-1 in XML, edges in CSV.",
        ),
    ] = Bias.corners,  # type: ignore[assignment]
    faulty: Annotated[
        Literal["refuse", "skip", "clip"],
        typer.Option(
            help="What becomes of a box outside its image or of no size: clip cuts it at the border."
        ),
    ] = Bias.faulty,  # type: ignore[assignment]
    format: Format = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Test whether positions and sizes of objects are uniform in photographs.

    Of each category, are the centers of the bounding boxes (position) and their heights (size)
    uniform in units of the image? Photographers put objects in the middle and near; a network that
    learns from their photographs need not learn to be invariant. As the center of a large object is
    central by necessity, placement asks the stricter question whether a box is as likely in each
    place where it fits into the image. The paper found position and size of more than 900 of the
    1000 categories of ImageNet under 1e-10, by a test that it does not name.

    CSV has a header with category,x0,y0,x1,y1,width,height, the last two of the image. In COCO,
    annotations of crowds are left out. A category of too few boxes has no p, and is not counted.

    The table shows mean (and standard deviation) of center and height, and p, not corrected, of the
    categories that are most and least biased, as the larger p of position and size has it; below
    stands how many categories are under the limit. CSV and JSON hold all, corrected too.
    """
    if not 0 < below < 1:
        raise UsageError(f"--below {below:g}: a p, 0 < P < 1, is wanted")
    files = sources or [STDIO]
    form = streams.output_format(format, output)
    config = Bias(tuple(map(str, files)), test, below, correction, corners, faulty)
    for file in files:
        if not file.is_dir():
            streams.check_source(file)
    streams.check(None, output, overwrite=overwrite, binary=form == "h5")
    from invtool.stages import bias

    with ExitStack() as stack:
        paths = [f if f.is_dir() else stack.enter_context(streams.reading(f)) for f in files]
        bias.run(config, paths, stack.enter_context(streams.writing(output)), form)
