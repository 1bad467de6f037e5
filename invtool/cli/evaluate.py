from typing import Annotated, Literal

import typer

from invtool.cli._options import (
    STDIO,
    Antialias,
    BatchSize,
    Device,
    Format,
    InputSize,
    Limit,
    Mean,
    Models,
    NoProvenance,
    Output,
    Overwrite,
    Pool,
    Precision,
    Quiet,
    Seed,
    Std,
    TestData,
    Threads,
    Transforms,
    Untrained,
    Weights,
    batch_size_of,
    embeddings,
    numbers,
    whole_numbers,
)
from invtool.config import Evaluate
from invtool.files import messages, streams
from invtool.transforms import TRANSFORMS

EXAMPLES = """\
invtool evaluate model.st
invtool evaluate networks/*.st -t all -o evaluation.h5
invtool evaluate networks/*.st -t blur:sigma=1 --group unseen
invtool evaluate resnet20-cifar --weights mine.safetensors -d cifar10.h5 -t blur -t rot90 -f json
invtool evaluate resnet20-cifar -d cifar10.h5 --embed 8:32:4 --fill black -o embedded.h5
invtool evaluate resnet20-cifar -d cifar10.h5 --tta 1,5,25
invtool evaluate torchvision:vgg16 --weights vgg16.pth -d folder:photos,size=224 --pool avg6
invtool evaluate networks/*.st | invtool plot --kind quadrants -o figure6.pdf"""


def main(
    model: Models = None,
    output: Output = STDIO,
    data: TestData = Evaluate.data,
    transform: Transforms = None,
    embed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PX",
            show_default="none",
            help="Also shrink the images to PX pixels of height, at a random place of their frame; N, N,N or "
            "START:STOP:STEP; may be repeated.",
        ),
    ] = None,
    fill: Annotated[
        Literal["inpaint", "black", "edge", "mean"] | None,
        typer.Option(show_default="inpaint", help="What lies around the images of --embed."),
    ] = None,
    tta: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N",
            show_default="none",
            help="Also let N random crops of each untransformed image vote; as --embed; may be repeated.",
        ),
    ] = None,
    group: Annotated[
        Literal["all", "seen", "unseen"],
        typer.Option(help="Categories whose accuracy the table of several networks shows."),
    ] = Evaluate.group,  # type: ignore[assignment]
    format: Format = "auto",
    weights: Weights = Evaluate.weights,
    untrained: Untrained = Evaluate.untrained,
    size: InputSize = Evaluate.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Evaluate.pool,
    antialias: Antialias = Evaluate.antialias,
    limit: Limit = Evaluate.limit,
    seed: Seed = Evaluate.seed,
    device: Device = Evaluate.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Evaluate.precision,  # type: ignore[assignment]
    threads: Threads = Evaluate.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Measure accuracy within and across categories, and what is taken for what.

    Top-1 accuracy on the test images, untransformed and under every --transform ('all' is every
    transform there is; without any, those that the models were trained with): of all categories, of
    those that a model saw transformed (within) and of the others (across). Intervals are 95 %:
    Wilson's over images, and in JSON, CSV and HDF5 a bootstrap over categories too. For one model,
    also what its images are taken for: where transformed images of unseen categories are taken for
    seen ones, the transform itself has become the mark of a seen category. For several, a matrix of
    models and transforms.

    --embed adds the accuracy on images that are shrunk and placed at random, as objects are that
    no photographer has centered. --tta adds that of a majority vote over N random crops of the
    network's size (of images no larger than it, after an eighth of the side is added all around
    from their edges), and how often the vote changes when the image moves by one pixel and other
    crops are drawn. N crops cost N forward passes.
    """
    from invtool.stages import _refusals

    told = tuple(transform or ())
    config = Evaluate(
        models=tuple(model or Evaluate.models),
        group=group,
        data=data,
        transforms=(*(TRANSFORMS if told == ("all",) else told), *embeddings(embed, fill)),
        tta=whole_numbers(tta, "--tta"),
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
    form = streams.output_format(format, output)
    sources = _refusals.evaluating(config)
    streams.check(None, output, overwrite=overwrite, binary=form == "h5")
    with messages.working("loading PyTorch"):
        from invtool.stages import evaluate
    with streams.several(config.models, sources, output) as (paths, target):
        evaluate.run(config, paths, target, form)
