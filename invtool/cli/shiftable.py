import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import (
    STDIO,
    Antialias,
    BatchSize,
    Device,
    Direction,
    Fill,
    Format,
    ImageResamples,
    InputSize,
    Layers,
    Mean,
    Model,
    NoProvenance,
    Output,
    Overwrite,
    PixelRange,
    PixelStep,
    Pool,
    Precision,
    Quiet,
    Seed,
    Std,
    TestData,
    Threads,
    Untrained,
    Weights,
    batch_size_of,
    numbers,
    pixel_range,
)
from invtool.config import Shiftable
from invtool.files import messages, streams

EXAMPLES = """\
invtool shiftable model.st
invtool shiftable resnet20-cifar --weights mine.safetensors -d cifar10.h5 --limit 100 -o shiftable.h5
invtool shiftable timm:resnet50 -d folder:photos --protocol scale -l 'layer*' -f csv
invtool shiftable model.st | invtool plot -o depth.png"""


def main(
    model: Model = Shiftable.model,
    output: Output = STDIO,
    data: TestData = Shiftable.data,
    layer: Layers = None,
    protocol: Annotated[
        Literal["embed", "scale"],
        typer.Option(help="embed: the shrunk image moves in a frame; scale: it grows."),
    ] = Shiftable.protocol,  # type: ignore[assignment]
    direction: Direction = None,
    fill: Fill = None,
    object: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PX",
            show_default="100 of 224",
            help="Height of the object; of scale, the middle one.",
        ),
    ] = None,
    range: PixelRange = None,
    step: PixelStep = Shiftable.step,
    share: Annotated[
        float,
        typer.Option(
            min=0, metavar="SHARE", help="Of its mean, by which a sum has to change to count."
        ),
    ] = Shiftable.share,
    threshold: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Of the layer's highest response, that a map's highest has to pass.",
        ),
    ] = Shiftable.threshold,
    resamples: ImageResamples = Shiftable.resamples,
    format: Format = "auto",
    weights: Weights = Shiftable.weights,
    untrained: Untrained = Shiftable.untrained,
    size: InputSize = Shiftable.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Shiftable.pool,
    antialias: Antialias = Shiftable.antialias,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Use N images, spread evenly over the set.")
    ] = Shiftable.limit or 10,
    seed: Seed = Shiftable.seed,
    device: Device = Shiftable.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Shiftable.precision,  # type: ignore[assignment]
    threads: Threads = Shiftable.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Measure how often the sum of a feature map changes as the image moves.

    Where a layer obeys the sampling theorem, the global sum of each of its feature maps stays as
    the image moves, and so does what is pooled from it. Nonshiftability counts the steps at which
    it changes by more than 20 % of its mean, over the maps that respond strongly enough, beside the
    layer's subsampling factor, which is found by following one image through the network. A network
    that subsamples nowhere has 0, up to what its borders do.
    """
    config = Shiftable(
        model=model,
        data=data,
        layers=tuple(layer or Shiftable.layers),
        protocol=protocol,
        direction=direction or Shiftable.direction,
        fill=fill or Shiftable.fill,
        object=(object,) if object else (),
        range=pixel_range(range),
        step=step,
        share=share,
        threshold=threshold,
        resamples=resamples,
        batch_size=batch_size_of(batch_size),
        limit=limit,
        seed=seed,
        device=device,
        precision=precision,
        threads=threads,
        weights=weights,
        untrained=untrained,
        size=size,
        mean=numbers(mean, "--mean"),
        std=numbers(std, "--std"),
        pool=pool,
        antialias=antialias,
    )
    from invtool.stages import _refusals

    form = streams.output_format(format, output)
    source = _refusals.shifting(config)
    streams.check(source, output, overwrite=overwrite, binary=form == "h5")
    with messages.working("loading PyTorch"):
        from invtool.stages import shiftable
    reading = streams.reading(source) if source else nullcontext(Path(model))
    with reading as path, streams.writing(output) as target, redirect_stdout(sys.stderr):
        shiftable.run(config, path, target, form)
