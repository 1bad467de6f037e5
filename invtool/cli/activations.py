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
    InputSize,
    Layers,
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
    Transforms,
    Untrained,
    Weights,
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
    model: Model = Activations.model,
    output: Output = STDIO,
    data: TestData = Activations.data,
    transform: Transforms = None,
    layer: Layers = None,
    dtype: Annotated[
        Literal["float32", "float16"], typer.Option(help="Type of the stored values.")
    ] = Activations.dtype,  # type: ignore[assignment]
    weights: Weights = Activations.weights,
    untrained: Untrained = Activations.untrained,
    size: InputSize = Activations.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Activations.pool,
    antialias: Antialias = Activations.antialias,
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
        pool=pool,
        antialias=antialias,
    )
    source = _refusals.measuring(config)
    streams.check(source, output, overwrite=overwrite)
    with messages.working("loading PyTorch"):
        from invtool.stages import activations
    reading = streams.reading(source) if source else nullcontext(Path(model))
    with reading as path, streams.writing(output) as target, redirect_stdout(sys.stderr):
        activations.run(config, path, target)  # what the network prints is no part of the result
