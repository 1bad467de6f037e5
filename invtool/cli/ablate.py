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
    tau_grid,
)
from invtool.config import Ablate
from invtool.errors import UsageError
from invtool.files import messages, streams

EXAMPLES = """\
invtool ablate model.st
invtool ablate model.st -o ablation.h5
invtool ablate model.st --layer 'block?.relu2' --tau-grid 0:0.5:0.01 --format csv
invtool ablate resnet20-cifar --weights mine.pth --data cifar10.h5 -t blur:sigma=1 -l mean
invtool ablate model.st --cost 0.005 --limit 1000 --format json | jq .chosen_tau"""


def main(
    model: Model = Ablate.model,
    output: Output = STDIO,
    data: TestData = Ablate.data,
    transform: Transforms = None,
    layer: Layers = None,
    tau: Annotated[
        str | None,
        typer.Option(
            "--tau-grid",
            metavar="GRID",
            show_default="0:1:0.05",
            help="Activities to try, as START:STOP:STEP or joined by commas; shares of a unit's highest response.",
        ),
    ] = None,
    cost: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Overall accuracy that keeping the active units alone may lose; 0.01 is one percentage point.",
        ),
    ] = Ablate.cost,
    format: Format = "auto",
    weights: Weights = Ablate.weights,
    untrained: Untrained = Ablate.untrained,
    size: InputSize = Ablate.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Ablate.pool,
    antialias: Antialias = Ablate.antialias,
    limit: Limit = Ablate.limit,
    seed: Seed = Ablate.seed,
    device: Device = Ablate.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Ablate.precision,  # type: ignore[assignment]
    threads: Threads = Ablate.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Find the activity from which on a network's units matter.

    In each image, sets to zero the units of a layer that are not active (keep), or those that are
    (ablate), and measures the accuracy that is left. A unit is active above tau, a share of its
    highest response to any image, untransformed or transformed. The tau chosen is the highest at
    which keeping the active units alone costs at most --cost of the overall accuracy, the mean of
    untransformed and transformed images. The paper found 0.1 for AlexNet on faces and 0.05 on
    ImageNet, where 10 to 20 % of the units are active in an image.

    Takes the penultimate layer unless told otherwise. Several layers are ablated at once, each by
    its own responses in the intact network. With several transforms, the highest response and the
    overall accuracy are over all of them. The images pass the network once, and then only what
    follows the layer runs for each tau.
    """
    from invtool.stages import _refusals

    if not 0 <= cost < 1:
        raise UsageError(f"--cost {cost}: a share of the images, 0 <= cost < 1, is wanted")
    config = Ablate(
        model=model,
        data=data,
        transforms=tuple(transform or ()),
        layers=tuple(layer or Ablate.layers),
        tau=Ablate.tau if tau is None else tau_grid(tau),
        cost=cost,
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
    form = streams.output_format(format, output)
    streams.check(source, output, overwrite=overwrite, binary=form == "h5")
    with messages.working("loading PyTorch"):
        from invtool.stages import ablate
    reading = streams.reading(source) if source else nullcontext(Path(model))
    with reading as path, streams.writing(output) as target, redirect_stdout(sys.stderr):
        ablate.run(config, path, target, form)  # what the network prints is no part of the result
