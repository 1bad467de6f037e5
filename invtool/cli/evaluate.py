import sys
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
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
    numbers,
)
from invtool.config import Evaluate
from invtool.files import messages, streams
from invtool.transforms import TRANSFORMS

EXAMPLES = """\
invtool evaluate model.st
invtool evaluate networks/*.st -t all -o evaluation.h5
invtool evaluate networks/*.st -t blur:sigma=1 --group unseen
invtool evaluate resnet20-cifar --weights mine.safetensors -d cifar10.h5 -t blur -t rot90 -f json
invtool evaluate torchvision:vgg16 --weights vgg16.pth -d folder:photos,size=224 --pool avg6
invtool evaluate networks/*.st | invtool plot --kind quadrants -o figure6.pdf"""


def main(
    model: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...",
            show_default=False,
            help="Model files ('-', the default, is standard input), or networks as in activations.",
        ),
    ] = None,
    output: Output = STDIO,
    data: TestData = Evaluate.data,
    transform: Transforms = None,
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
    """
    from invtool.stages import _refusals

    told = tuple(transform or ())
    config = Evaluate(
        models=tuple(model or Evaluate.models),
        group=group,
        data=data,
        transforms=tuple(TRANSFORMS) if told == ("all",) else told,
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
    with ExitStack() as stack:
        paths = [
            stack.enter_context(streams.reading(source)) if source else Path(name)
            for name, source in zip(config.models, sources, strict=True)
        ]
        target = stack.enter_context(streams.writing(output))
        stack.enter_context(redirect_stdout(sys.stderr))
        evaluate.run(config, paths, target, form)
