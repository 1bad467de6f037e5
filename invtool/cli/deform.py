from typing import Annotated, Literal

import typer

from invtool.cli._options import (
    STDIO,
    Antialias,
    BatchSize,
    Device,
    Format,
    ImageResamples,
    InputSize,
    Layers,
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
    Weights,
    batch_size_of,
    numbers,
)
from invtool.config import Deform
from invtool.files import messages, streams

EXAMPLES = """\
invtool deform model.st
invtool deform model.st --untrained -o untrained.h5 && invtool deform model.st -o trained.h5
invtool deform networks/ --draws 4 --noise -o deformation.h5
invtool deform model.steps/ -l 'block*' -o trajectory.h5
invtool deform a.st b.st --worst --worst-layer 'block*.down' -f json
invtool deform resnet18 --untrained -d folder:photos,size=224 --distance euclidean
invtool deform model.st --limit 5000 --paired 200 -f csv
invtool deform resnet20-cifar --weights mine.safetensors -d cifar10.h5 | invtool plot -o figure.pdf"""


def main(
    model: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...",
            show_default=False,
            help="Model files ('-', the default, is standard input), folders of them as of checkpoints, "
            "or networks as in activations.",
        ),
    ] = None,
    output: Output = STDIO,
    data: TestData = Deform.data,
    layer: Layers = None,
    draws: Annotated[
        int, typer.Option(min=1, metavar="N", help="Deformations drawn for each image.")
    ] = Deform.draws,
    grid: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=64,
            metavar="N",
            show_default="3, of 128 px and more 5",
            help="Control points along each side of the image.",
        ),
    ] = Deform.grid,
    pixels: Annotated[
        float | None,
        typer.Option(
            metavar="PX",
            show_default="2, of 128 px and more 10",
            help="Farthest that a control point moves in each direction, in pixels.",
        ),
    ] = Deform.pixels,
    border: Annotated[
        Literal["edge", "reflect", "zeros"],
        typer.Option(help="What lies beyond the image: its edge, its reflection or zeros."),
    ] = Deform.border,  # type: ignore[assignment]
    distance: Annotated[
        Literal["cosine", "euclidean"], typer.Option(help="Distance of two responses.")
    ] = Deform.distance,  # type: ignore[assignment]
    noise: Annotated[
        bool,
        typer.Option("--noise", help="Compare with white noise that changes each image as much."),
    ] = Deform.noise,
    worst: Annotated[
        bool, typer.Option("--worst", help="Also look for the worst deformations in the bound.")
    ] = Deform.worst,
    worst_layer: Annotated[
        list[str] | None,
        typer.Option(
            "--worst-layer",
            metavar="GLOB",
            show_default="the last one",
            help="Layers whose distance --worst makes as large as it can, each on its own, as "
            "--layer; may be repeated.",
        ),
    ] = None,
    restarts: Annotated[
        int, typer.Option(min=1, metavar="N", help="Ascents of --worst, the best of which counts.")
    ] = Deform.restarts,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps of each ascent.")] = (
        Deform.steps
    ),
    resamples: ImageResamples = Deform.resamples,
    format: Format = "auto",
    weights: Weights = Deform.weights,
    untrained: Annotated[
        bool,
        typer.Option(
            "--untrained",
            help="Leave the networks as initialized: files from the seed they tell, else from --seed.",
        ),
    ] = Deform.untrained,
    size: InputSize = Deform.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Deform.pool,
    antialias: Antialias = Deform.antialias,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Use N images, spread evenly over the set.")
    ] = Deform.limit or 128,
    paired: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            show_default="all",
            help="Images, spread evenly over those used, whose pairs give the median distance: time "
            "and memory then grow with --limit, not with its square.",
        ),
    ] = Deform.paired,
    seed: Seed = Deform.seed,
    device: Device = Deform.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Deform.precision,  # type: ignore[assignment]
    threads: Threads = Deform.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Measure how far smooth deformations move the response of every layer.

    Control points, evenly spaced over the image, move by up to 2 px (10 px of large images) each
    way, and the image follows smoothly. The sensitivity of a layer is the mean distance between its
    responses to an image and to the image deformed, over the median distance of all pairs of images:
    0 does not feel the deformation, at 1 an image deformed is as far from itself as another is. The
    input, as the network reads it, is layer 0. 'all' layers are activations, pools, what ends a
    block of a block network, and the penultimate layer.

    Several networks are shown the same deformed images. Those that are alike but for their seed or
    their name share a column, mean and two standard deviations. A folder of checkpoints is a
    network's training, step by step.

    --noise adds the sensitivity over that to white noise of the same norm; under 1 a layer minds
    deformations less. --worst looks, for each image, for the displacement within the same bound
    that moves a layer's response farthest, by --restarts ascents along the sign of the gradient, and
    with several networks how far the worst deformations of each move the others. An ascent costs a
    forward and a backward pass a step.
    """
    from invtool.stages import _refusals

    config = Deform(
        models=tuple(model or Deform.models),
        data=data,
        layers=tuple(layer or Deform.layers),
        draws=draws,
        grid=grid,
        pixels=pixels,
        border=border,
        distance=distance,
        noise=noise,
        worst=worst,
        worst_layers=tuple(worst_layer or ()),
        restarts=restarts,
        steps=steps,
        resamples=resamples,
        batch_size=batch_size_of(batch_size),
        limit=limit,
        paired=paired,
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
    config, sources = _refusals.deforming(config)
    streams.check(None, output, overwrite=overwrite, binary=form == "h5")
    with messages.working("loading PyTorch"):
        from invtool.stages import deform
    with streams.several(config.models, sources, output) as (paths, target):
        deform.run(config, paths, target, form)
