import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated

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
    Model,
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
from invtool.config import Calibrate
from invtool.errors import UsageError
from invtool.files import messages, streams

EXAMPLES = """\
invtool calibrate base.st -t blur
invtool calibrate base.st -t white-noise --below 0.15 -o noise.h5
invtool train -t "$(invtool calibrate base.st -t blur --spec)" --seen 10 -o model.st
invtool calibrate resnet20-cifar --weights mine.pth --data cifar10.h5 -t blur --step 0.1 -f csv"""


def main(
    transform: Annotated[
        str,
        typer.Option(
            "--transform",
            "-t",
            metavar="NAME",
            show_default=False,
            help="Transform whose strength is looked for, without a value; there is no default: "
            "blur, white-noise, salt-pepper or rotate.",
        ),
    ],
    model: Model = Calibrate.model,
    output: Output = STDIO,
    data: TestData = Calibrate.data,
    below: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Top-1 accuracy to fall under, 0 to 1; the paper has 0.10 for faces, 0.15 for ImageNet.",
        ),
    ] = Calibrate.below,
    step: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            show_default="the transform's own",
            help="Raise the strength by X in its own unit: sigma of blur by 0.5 px, of white-noise by 25 "
            "gray levels, the share of salt-pepper by 0.05, rotate by 15 degrees.",
        ),
    ] = Calibrate.step,
    most: Annotated[
        int, typer.Option(min=1, metavar="N", help="Give up after N strengths.")
    ] = Calibrate.most,
    spec: Annotated[
        bool,
        typer.Option(
            "--spec", help="Print nothing but the transform that was found, as blur:sigma=1.5."
        ),
    ] = False,
    format: Format = "auto",
    weights: Weights = Calibrate.weights,
    untrained: Untrained = Calibrate.untrained,
    size: InputSize = Calibrate.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Calibrate.pool,
    antialias: Antialias = Calibrate.antialias,
    limit: Limit = Calibrate.limit,
    seed: Seed = Calibrate.seed,
    device: Device = Calibrate.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Calibrate.precision,  # type: ignore[assignment]
    threads: Threads = Calibrate.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Find the strength of a transform at which accuracy falls under a limit.

    Raises the strength step by step, from none, until the top-1 accuracy is under --below, and
    stops there. Take a network that was trained on untransformed images alone, as the paper does,
    to choose the transform that the next networks are trained with. The result is the accuracy at
    each strength, with Wilson's interval over images, and the transform that was found.

    With --spec the transform alone is printed, for the command line of another command; the
    accuracies then go to -o FILE, if it is given. Where no strength is under the limit, nothing is
    written and the exit code is 1.
    """
    from invtool.stages import _refusals

    config = Calibrate(
        model=model,
        data=data,
        transforms=(transform,),
        below=below,
        step=step,
        most=most,
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
    source = _refusals.calibrating(config)
    if spec and output == STDIO and format != "auto":
        raise UsageError("--spec prints the transform alone; drop --format or give -o FILE")
    form = "spec" if spec and output == STDIO else streams.output_format(format, output)
    streams.check(source, output, overwrite=overwrite, binary=form == "h5")
    with messages.working("loading PyTorch"):
        from invtool.stages import calibrate
    reading = streams.reading(source) if source else nullcontext(Path(model))
    with reading as path, streams.writing(output) as target, redirect_stdout(sys.stderr):
        found = calibrate.run(config, path, target, form)
    if spec and output != STDIO:
        typer.echo(found)
