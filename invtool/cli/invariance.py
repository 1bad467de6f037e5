from typing import Annotated

import typer

from invtool.cli._options import (
    STDIO,
    Format,
    Layers,
    NoProvenance,
    Output,
    Overwrite,
    Quiet,
    Source,
    Threads,
)
from invtool.config import Invariance
from invtool.errors import UsageError
from invtool.files import streams

EXAMPLES = """\
invtool activations model.st | invtool invariance
invtool invariance activations.h5 --layer penultimate --tau 0.05
invtool invariance activations.h5 -o invariance.h5
invtool invariance activations.h5 --format csv | column -ts,
invtool activations model.st | invtool invariance | invtool plot -o figure.pdf"""


def main(
    source: Source = STDIO,
    output: Output = STDIO,
    layer: Layers = None,
    tau: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="A unit is active above this share of its highest response, 0 <= tau < 1.",
        ),
    ] = Invariance.tau,
    format: Format = "auto",
    threads: Threads = Invariance.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Measure how invariant each neuron is to a transform.

    Reads an activations file and gives each unit its invariance coefficient I_k: the mean, over the
    images that activate it with or without the transform, of 2 min(a, b) / (a + b), where a and b
    are its responses to the image and to its transform. 1 never changes, 0 never responds to both.
    For all images, those of categories that were seen transformed in training, and the unseen. The
    paper found tau 0.1 for AlexNet on faces and 0.05 on ImageNet.

    The table has a row a layer, transform and group: the number of units; those silent for all
    images; those undefined, as no image of the group activates them; median and quartiles of I_k
    over the rest; images, the median share of them that activate a unit; active, the median share
    of units that an image activates; and top1, the median of the older score, the share of a unit's
    top 1 % of images that stay in it when transformed. CSV and JSON spell the columns out.
    """
    if not 0 <= tau < 1:
        raise UsageError(f"--tau {tau}: a share of the highest response, 0 <= tau < 1, is wanted")
    form = streams.output_format(format, output)
    streams.check(source, output, overwrite=overwrite, binary=form == "h5")
    from invtool.stages import invariance

    config = Invariance(tuple(layer or Invariance.layers), tau, threads)
    with streams.reading(source) as path, streams.writing(output) as target:
        invariance.run(config, path, target, form)
