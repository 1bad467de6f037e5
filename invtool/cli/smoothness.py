from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import STDIO, Format, Layers, NoProvenance, Output, Overwrite, Quiet
from invtool.config import Smoothness
from invtool.files import streams, trajectories

EXAMPLES = """\
invtool smoothness model.st
invtool smoothness runs/*.st -o smoothness.h5
invtool smoothness model.steps | invtool plot -o trajectory.pdf
invtool smoothness resnet50.safetensors --law normal --layer '*conv2*' --format csv"""


def main(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            show_default=False,
            help="Model files, folders of checkpoints, or any safetensors with 4-d weights; "
            "'-' (the default) is standard input.",
        ),
    ] = None,
    output: Output = STDIO,
    layer: Layers = None,
    law: Annotated[
        Literal["auto", "truncated-normal", "normal", "uniform"],
        typer.Option(
            help="Law of the weights at initialization, for the expected value; auto: as the file "
            "tells. The truncated one ends at 2 standard deviations."
        ),
    ] = Smoothness.law,  # type: ignore[assignment]
    format: Format = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Measure how smooth each layer's filters are, beside their initial value.

    Of each convolution, the normalized total variation: the sum of absolute differences of
    neighboring weights, down and right, over the sum of absolute weights. 0 is a filter that is
    constant over space. Smooth filters make a network stable to small deformations of its images.

    Beside it stand the value expected at initialization, 1.857 for 3x3 kernels from a truncated
    normal, and how many standard deviations over initializations lie between (z). That is known for
    networks of invtool, those trained with --init-smooth too, and for many of torchvision. A 1x1
    kernel has no neighbors: its total variation is 0, and it has no z.

    Of several networks, the table has a column for each, or, where they are seeds of one recipe or
    steps of one training, for each recipe and step: their mean +- 2 standard deviations. CSV and
    JSON hold a row for each network and layer. Needs no PyTorch.
    """
    form = streams.output_format(format, output)
    files = trajectories.expand(models or [STDIO])
    config = Smoothness(tuple(map(str, files)), tuple(layer or Smoothness.layers), law)
    streams.check(None, output, overwrite=overwrite, binary=form == "h5")
    from invtool.stages import smoothness

    with ExitStack() as stack:
        paths = [stack.enter_context(streams.reading(file)) for file in files]
        smoothness.run(config, paths, stack.enter_context(streams.writing(output)), form)
