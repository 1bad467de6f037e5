from typing import Annotated

import typer

from invtool.cli._options import (
    STDIO,
    Antialias,
    BatchSize,
    Device,
    Format,
    ImageResamples,
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
    Untrained,
    Weights,
    batch_size_of,
    numbers,
)
from invtool.config import Sweep
from invtool.errors import UsageError
from invtool.files import messages, streams
from invtool.transforms.ranges import PAPER

EXAMPLES = """\
invtool sweep --all model.st
invtool sweep --all networks/*.st -o overview.h5
invtool sweep model.st -t rotate -t blur:sigma=0:8:17 -o curves.h5
invtool sweep model.st -t rotate:degrees=-90:90:37,border=edge -f csv
invtool sweep model.st -t translate-x --with translate-y -o grid.h5
invtool sweep resnet20-cifar --weights resnet20.safetensors -d cifar10.h5 --all --limit 500
invtool sweep model.st -t rotate | invtool plot --category 'ann*' -o figure2.pdf"""


def main(
    model: Models = None,
    output: Output = STDIO,
    data: TestData = Sweep.data,
    transform: Annotated[
        list[str] | None,
        typer.Option(
            "--transform",
            "-t",
            metavar="RANGE",
            help="Transform and the range of its strength, as rotate, or rotate:degrees=-90:90:37 for 37 "
            "magnitudes from -90 to 90; may be repeated.",
        ),
    ] = None,
    beside: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="RANGE",
            show_default="none",
            help="A second transform, after the first, at every pair of magnitudes; as --transform.",
        ),
    ] = Sweep.beside,
    paper: Annotated[
        bool,
        typer.Option("--all", help="Sweep every transform of the paper over its own range."),
    ] = False,
    keep: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="A network has fallen where its accuracy is under this share of its own.",
        ),
    ] = Sweep.keep,
    examples: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Keep an image of each of N categories, changed, for plots."
        ),
    ] = Sweep.examples,
    resamples: ImageResamples = Sweep.resamples,
    format: Format = "auto",
    weights: Weights = Sweep.weights,
    untrained: Untrained = Sweep.untrained,
    size: InputSize = Sweep.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Sweep.pool,
    antialias: Antialias = Sweep.antialias,
    limit: Limit = Sweep.limit,
    seed: Seed = Sweep.seed,
    device: Device = Sweep.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Sweep.precision,  # type: ignore[assignment]
    threads: Threads = Sweep.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Measure how far a transform may go before answers change.

    Shows the test images transformed at every magnitude of a range, and gives, for the images of
    each category and for all, accuracy and the mean softmax of every category. The threshold of a
    category is the smallest change, in either direction from where the transform changes nothing,
    at which the mean prediction of its images leaves it; that of a network, at which its accuracy
    is under --keep of its own. Curves are not monotone, so every magnitude is looked at. Intervals
    are 95 %, bootstrap over images (of accuracies Wilson's); > 60 is beyond a range that ends at 60.

    A range is a transform spec whose strength is START:STOP:COUNT: COUNT magnitudes, evenly, both
    ends included, one of them where nothing changes. Without it, the transform's own range is
    taken, see invtool transform --list. --with makes a grid: a threshold of the first transform at
    each magnitude of the second. --all gives one page on how far networks may be pushed. Several
    networks share the images, read and transformed once.

    The table has a row a transform and network, or, for one of each, a row a category: its threshold
    and the three answers that are highest anywhere, the highest of the others beside them. CSV and
    JSON have a row a magnitude, category and network.
    """
    from invtool.stages import _refusals

    if paper and (transform or beside):
        raise UsageError("--all sweeps every transform of the paper; drop --transform and --with")
    config = Sweep(
        models=tuple(model or Sweep.models),
        data=data,
        transforms=PAPER if paper else tuple(transform or ()),
        beside=beside,
        keep=keep,
        examples=examples,
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
    form = streams.output_format(format, output)
    sources = _refusals.sweeping(config)
    streams.check(None, output, overwrite=overwrite, binary=form == "h5")
    with messages.working("loading PyTorch"):
        from invtool.stages import sweep
    with streams.several(config.models, sources, output) as (paths, target):
        sweep.run(config, paths, target, form)
