import sys
from contextlib import ExitStack, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import (
    Antialias,
    BatchSize,
    Device,
    Format,
    ImageResamples,
    InputSize,
    Limit,
    Mean,
    Model,
    NoProvenance,
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
from invtool.config import Itn
from invtool.files import messages, streams

EXAMPLES = """\
invtool itn model.st -o itn.st
invtool itn model.st --seeds 3 --keep-scale -o itn.st --report itn.json
invtool itn resnet20-cifar --weights mine.safetensors -d cifar10.h5 --limit 1000 --gate batch -o itn.st
invtool plot itn.h5 --kind losses -o figure4a.pdf
invtool evaluate model.st --transform itn:itn.st,k1=0.5,0"""


def main(
    model: Model = Itn.model,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The controllers, a .st file; '-' is standard output.",
        ),
    ] = Path("itn.st"),
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="as -o, with .h5",
            help="What was learned and how far it goes: .h5, .json, .csv or .txt; '-' is standard output.",
        ),
    ] = None,
    format: Format = "auto",
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default="none", help="Losses as they come, a line of JSON a step."
        ),
    ] = None,
    data: TestData = Itn.data,
    color_weight: Annotated[
        float,
        typer.Option(
            min=0, metavar="X", help="c_theta: how much colors count beside places, from 0."
        ),
    ] = Itn.color_weight,
    hidden: Annotated[
        int, typer.Option(min=1, metavar="N", help="Units of the hidden layer of each controller.")
    ] = Itn.hidden,
    learning_rate: Annotated[
        float, typer.Option(metavar="X", help="Of Adam, above 0.")
    ] = Itn.learning_rate,
    steps: Annotated[
        int, typer.Option(min=1, metavar="N", help="Batches to train on.")
    ] = Itn.steps,
    train_batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Images of such a batch.")
    ] = Itn.train_batch,
    vectors: Annotated[
        int, typer.Option(min=1, metavar="N", help="Random unit vectors a step.")
    ] = Itn.vectors,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Starts, from --seed on.")
    ] = Itn.seeds,
    slack: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="Accuracy that a batch may lack, 0 to 1."),
    ] = Itn.slack,
    gate: Annotated[
        Literal["set", "batch"],
        typer.Option(
            help="Whose accuracy, untransformed, a batch is held to: of all images, or its own."
        ),
    ] = Itn.gate,  # type: ignore[assignment]
    keep_scale: Annotated[
        bool,
        typer.Option(
            "--keep-scale", help="Divide each spatial matrix so that no area grows or shrinks."
        ),
    ] = Itn.keep_scale,
    held_out: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Images that only measure, above 0 and under 1 of all."),
    ] = Itn.held_out,
    share: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Of its own accuracy, that is to be kept, 0 to 1."),
    ] = Itn.share,
    grid: Annotated[
        int, typer.Option(min=2, max=101, metavar="N", help="Values of each number of k, 0 to 1.")
    ] = Itn.grid,
    reach: Annotated[
        int,
        typer.Option(
            min=2, max=1000, metavar="N", help="Magnitudes at which each transformation is tried."
        ),
    ] = Itn.reach,
    examples: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Images that are kept as pictures.")
    ] = Itn.examples,
    resamples: ImageResamples = Itn.resamples,
    weights: Weights = Itn.weights,
    untrained: Untrained = Itn.untrained,
    size: InputSize = Itn.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Itn.pool,
    antialias: Antialias = Itn.antialias,
    limit: Limit = Itn.limit,
    seed: Seed = Itn.seed,
    device: Device = Itn.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Itn.precision,  # type: ignore[assignment]
    threads: Threads = Itn.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Learn which affine transformations a network is invariant to.

    The network stays as it is. Two small networks, the controllers, make a map of places of two
    numbers k1, and a map of colors of two numbers k2, and learn to move as much as they can while the
    images are answered as well as without. Half of the images train them, the others measure.

    The report says what they do at each k, in pixels, degrees and gray levels, with the accuracy
    there; and how far each of them, and each single transformation, can go before the accuracy
    falls, in one unit. --transform itn:FILE,k1=X/X,k2=X/X applies them, start=N another start.
    """
    from invtool.stages import _refusals

    config = Itn(
        model=model,
        data=data,
        color_weight=color_weight,
        hidden=hidden,
        learning_rate=learning_rate,
        steps=steps,
        train_batch=train_batch,
        vectors=vectors,
        seeds=seeds,
        slack=slack,
        gate=gate,
        keep_scale=keep_scale,
        held_out=held_out,
        share=share,
        grid=grid,
        reach=reach,
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
    source = _refusals.learning(config)
    told = _refusals.report_of(output, report, log, overwrite=overwrite)
    form = streams.output_format(format, told)
    streams.check(source, told, overwrite=overwrite, binary=form == "h5")
    with messages.working("loading PyTorch"):
        from invtool.stages import itn
    with ExitStack() as stack:
        path = stack.enter_context(streams.reading(source) if source else nullcontext(Path(model)))
        files = [stack.enter_context(streams.writing(file)) for file in (output, told)]
        lines = stack.enter_context(streams.writing(log)) if log else None
        stack.enter_context(redirect_stdout(sys.stderr))
        itn.run(config, path, files[0], files[1], form, lines)
