from typing import Annotated, Any, Literal

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
    Limit,
    Mean,
    Models,
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
from invtool.config import PRESETS, Jagged
from invtool.files import messages, streams

EXAMPLES = """\
invtool jagged model.st
invtool jagged torchvision:resnet50 --weights resnet50.pth -d folder:photos,numbered=1 -o jagged.h5
invtool jagged a.st b.st --fill black --object 20 --object 14 --range 4 -f json
invtool jagged timm:resnet18 -d folder:photos --protocol crop --boxes annotations/
invtool jagged model.st | invtool plot -o map.png"""


def main(
    model: Models = None,
    output: Output = STDIO,
    data: TestData = Jagged.data,
    preset: Annotated[
        Literal["paper", "authors-script"],
        typer.Option(
            help="Protocol to start from; options below change it. paper: all defaults; authors-script: "
            "--protocol crop --aspect random --area 0.7 --object 234 --direction diagonal --range -5:3 "
            "--fill zero --top 1 --target each."
        ),
    ] = Jagged.preset,  # type: ignore[assignment]
    protocol: Annotated[
        Literal["embed", "scale", "crop", "frames"] | None,
        typer.Option(
            show_default=Jagged.protocol,
            help="embed: the shrunk image moves in a frame; scale: it grows; crop: a window moves over "
            "the photograph; frames: those of a clip, a folder or (with the extra video) a file.",
        ),
    ] = None,
    direction: Direction = None,
    fill: Fill = None,
    object: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            metavar="PX",
            show_default="100 of 224, crop: as it is",
            help="Height of the object, of scale the middle one, of crop the photograph's short side; "
            "may be repeated.",
        ),
    ] = None,
    range: PixelRange = None,
    step: PixelStep = Jagged.step,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            show_default="5; 1 of under 20 categories",
            help="Jagged is what enters or leaves the top K classes.",
        ),
    ] = None,
    target: Annotated[
        Literal["label", "first", "each"] | None,
        typer.Option(
            show_default=Jagged.target,
            help="Class that is followed: the true one, the one answered first, or before each step.",
        ),
    ] = None,
    aspect: Annotated[
        Literal["square", "whole", "random"] | None,
        typer.Option(
            show_default="square; whole to crop",
            help="Part of a photograph: its central square, all of it, or a random crop, squeezed.",
        ),
    ] = None,
    area: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1,
            metavar="SHARE",
            show_default=str(Jagged.area),
            help="Share of the photograph's area that --aspect random keeps.",
        ),
    ] = None,
    boxes: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            show_default="none",
            help="Boxes that stay inside a crop: VOC XML files, COCO JSON, or a folder of them.",
        ),
    ] = Jagged.boxes,
    examples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Name, and keep the frames of, N worst images.")
    ] = Jagged.examples,
    resamples: ImageResamples = Jagged.resamples,
    format: Format = "auto",
    weights: Weights = Jagged.weights,
    untrained: Untrained = Jagged.untrained,
    size: InputSize = Jagged.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Jagged.pool,
    antialias: Antialias = Jagged.antialias,
    limit: Limit = Jagged.limit,
    seed: Seed = Jagged.seed,
    device: Device = Jagged.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Jagged.precision,  # type: ignore[assignment]
    threads: Threads = Jagged.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Measure how often the answer changes as an image moves by one pixel.

    Jaggedness is the number of times that the true class enters or leaves the network's top 5 from
    a position to the next. Beside it: the share of images that are jagged at all, the chance that a
    step changes the class answered, also of images that are answered right in the middle, the mean
    absolute change of the true class's probability, the chance that two random positions agree
    (shift consistency), and accuracy, each with a 95 % bootstrap interval over images. The protocol
    stands beside every result, as numbers of different protocols do not compare.

    Images may be of any data set, or photographs of any sizes in a folder; with numbered=1, folders
    (or files, without any) begin with the number of their category. The surroundings of an object
    are filled once, so that the whole scene moves. One frame costs one forward pass.
    """
    from invtool.stages import _refusals

    told = {
        "protocol": protocol,
        "direction": direction,
        "fill": fill,
        "object": tuple(object) if object else None,
        "range": pixel_range(range),
        "top": top,
        "target": target,
        "aspect": aspect,
        "area": area,
    }
    settings: dict[str, Any] = {
        **PRESETS[preset],
        **{name: value for name, value in told.items() if value is not None},
    }
    config = Jagged(
        models=tuple(model or Jagged.models),
        data=data,
        preset=preset,
        step=step,
        boxes=boxes,
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
        **settings,
    )
    form = streams.output_format(format, output)
    sources = _refusals.moving(config)
    streams.check(None, output, overwrite=overwrite, binary=form == "h5")
    with messages.working("loading PyTorch"):
        from invtool.stages import jagged
    with streams.several(config.models, sources, output) as (paths, target_path):
        jagged.run(config, paths, target_path, form)
