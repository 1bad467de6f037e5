import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import (
    STDIO,
    BatchSize,
    Device,
    Layers,
    Limit,
    NoProvenance,
    Output,
    Overwrite,
    Precision,
    Quiet,
    Seed,
    Threads,
    Transforms,
    batch_size_of,
    numbers,
)
from invtool.config import Activations
from invtool.files import messages, streams

EXAMPLES = """\
invtool activations model.st | invtool invariance
invtool activations model.st --layer penultimate -o penultimate.h5
invtool activations model.st --transform rot90 --transform blur:sigma=1 --limit 500 -o two.h5
invtool activations torchvision:resnet18 --weights resnet18.pth --data folder:photos,size=224 -t rot90 -o r.h5
invtool activations py:my_networks:make --weights mine.safetensors --data cifar10.h5 -t blur -o mine.h5"""


def main(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            help="Model file ('-', the default, is standard input), blocks, alexnet, resnet18, resnet20-cifar, "
            "torchvision:NAME, timm:NAME or py:MODULE:CALLABLE (runs your code).",
        ),
    ] = Activations.model,
    output: Output = STDIO,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            metavar="SPEC",
            show_default="the model's own",
            help="Images: faces, cifar10, folder:PATH, an images file, ...; the test images are used.",
        ),
    ] = Activations.data,
    transform: Transforms = None,
    layer: Layers = None,
    dtype: Annotated[
        Literal["float32", "float16"], typer.Option(help="Type of the stored values.")
    ] = Activations.dtype,  # type: ignore[assignment]
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default="none",
            help="Parameters (safetensors or .pth) of a network that is named.",
        ),
    ] = Activations.weights,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Leave the network as --seed initializes it.")
    ] = Activations.untrained,
    size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PX",
            show_default="the network's own",
            help="Height and width that images are resized to, in pixels.",
        ),
    ] = Activations.size,
    mean: Annotated[
        str | None,
        typer.Option(
            metavar="R,G,B",
            show_default="the network's own",
            help="Means to subtract, on a scale of 0 to 1.",
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(
            metavar="R,G,B",
            show_default="the network's own",
            help="Standard deviations to divide by, as --mean.",
        ),
    ] = None,
    limit: Limit = Activations.limit,
    seed: Seed = Activations.seed,
    device: Device = Activations.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Activations.precision,  # type: ignore[assignment]
    threads: Threads = Activations.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Record a network's activations on clean and transformed images.

    Takes the test images, and the transform, that the model was trained with unless told otherwise.
    The first condition is the untransformed images, the others one --transform each. A layer's
    values are those that the next layer reads: after the activation function, in-place or not.
    Values are written as they are computed, so memory does not grow with the number of images.
    """
    from invtool.stages import _refusals

    config = Activations(
        model=model,
        data=data,
        transforms=tuple(transform or ()),
        layers=tuple(layer or Activations.layers),
        dtype=dtype,
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
    )
    source = _refusals.measuring(config)
    streams.check(source, output, overwrite=overwrite)
    with messages.working("loading PyTorch"):
        from invtool.stages import activations
    reading = streams.reading(source) if source else nullcontext(Path(model))
    with reading as path, streams.writing(output) as target, redirect_stdout(sys.stderr):
        activations.run(config, path, target)  # what the network prints is no part of the result
