import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import STDIO, NoProvenance, Output, Overwrite, Quiet
from invtool.config import Plot
from invtool.errors import UsageError

EXAMPLES = """\
invtool plot result.h5
invtool plot result.h5 -o layers.pdf
invtool plot seen-*.h5 --layer penultimate -o figure4.pdf
invtool activations model.st | invtool invariance | invtool plot -o f.svg
invtool plot runs/*.h5 --kind correlation --layer penultimate
invtool plot runs/*.h5 --kind accuracy --style slides -o talk.png
invtool plot evaluation.h5 --kind matrix --group unseen -o figure2a.pdf
invtool plot evaluation.h5 --kind quadrants -o figure6.csv
invtool evaluate net.st --embed 8:32:4 | invtool plot -o figure8.pdf
invtool plot bias.h5 --category all --category 'dog*' -o figure5.pdf
invtool plot jagged.h5 -o figure2.pdf
invtool plot jagged.h5 --example 2 -o moving.gif
invtool plot itn.h5 --kind corners -o figure5.png
invtool plot sweep.h5 --category 'orange*' -o curves.pdf
invtool plot shiftable.h5 cured.h5 --kind sums --layer layer4 -o sums.svg
invtool plot untrained.h5 trained.h5 --kind deformation -o figure3.pdf
invtool smoothness model.steps | invtool plot -o trajectory.pdf"""

PICTURES = {".pdf": "pdf", ".svg": "svg", ".png": "png"}
MOVING = {".gif": "gif", ".mp4": "mp4"}
TEXTS = {".txt": "text", ".csv": "csv", ".json": "json"}
SUFFIXES = {**PICTURES, **MOVING, **TEXTS}


def main(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            show_default=False,
            help="Invariance, evaluation, ablation, calibration, bias, jaggedness, shiftability, deformation, "
            "smoothness, sweep, itn or activations files; '-' (the default) is standard input.",
        ),
    ] = None,
    output: Output = STDIO,
    kind: Annotated[
        Literal[
            "auto",
            "layers",
            "seen",
            "transforms",
            "active",
            "depth",
            "trend",
            "tau",
            "correlation",
            "accuracy",
            "matrix",
            "quadrants",
            "ablation",
            "calibration",
            "bias",
            "embedded",
            "map",
            "jaggedness",
            "moving",
            "sums",
            "deformation",
            "worst",
            "smoothness",
            "trajectory",
            "curves",
            "overview",
            "heat",
            "losses",
            "classification",
            "corners",
            "reach",
        ],
        typer.Option(
            "--kind",
            "-k",
            metavar="KIND",
            help="layers, seen, transforms, active, depth, trend, tau, correlation, accuracy, matrix, "
            "quadrants, ablation, calibration, bias, embedded, map, jaggedness, moving, sums, deformation, "
            "worst, smoothness, trajectory, curves, overview, heat, losses, classification, corners or "
            "reach; auto goes "
            "by the files: seen where they differ in it, else layers; of evaluation, embedded where that "
            "is all there is, matrix where there is more than one of anything; of jaggedness, map of one "
            "network, else jaggedness; of shiftability, depth; of deformation and smoothness, trajectory where "
            "there are checkpoints of several steps; of sweep, curves of one transform and network, heat "
            "of two magnitudes, else overview; of itn, reach.",
        ),
    ] = "auto",
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            "-l",
            metavar="GLOB",
            show_default="all for layers, active and depth, else the last",
            help="Layers to draw, by name or pattern; 'penultimate' and 'all' are words; may be repeated.",
        ),
    ] = None,
    group: Annotated[
        Literal["auto", "all", "seen", "unseen"],
        typer.Option(
            help="Images to draw; auto: seen beside unseen categories where there are both, or all."
        ),
    ] = "auto",
    category: Annotated[
        list[str] | None,
        typer.Option(
            "--category",
            "-c",
            metavar="GLOB",
            show_default="all, and the most and the least affected",
            help="Categories to draw, of bias ('all' is all together), curves or heat, by name or pattern; may be "
            "repeated.",
        ),
    ] = None,
    example: Annotated[
        int | None,
        typer.Option(
            "--example",
            "-e",
            min=1,
            metavar="N",
            show_default="1",
            help="Which image: of moving, of those whose frames are kept, most jagged first; of sums, of all; "
            "of classification and corners, of those that are kept.",
        ),
    ] = None,
    format: Annotated[
        Literal["auto", "text", "pdf", "svg", "png", "gif", "mp4", "csv", "json"],
        typer.Option(
            "--format",
            "-f",
            help="Form of the picture; auto goes by the suffix of -o, else text on a terminal and png off one. "
            "csv and json are the numbers that it draws; gif and mp4 (which needs ffmpeg) are of moving.",
        ),
    ] = "auto",
    style: Annotated[
        Literal["print", "slides"],
        typer.Option(help="Size of type and lines; slides: larger, on 13.3 by 7.5 inches."),
    ] = "print",
    title: Annotated[
        str, typer.Option(metavar="TEXT", show_default="none", help="Line above the picture.")
    ] = "",
    width: Annotated[
        float | None,
        typer.Option(min=1, max=40, metavar="INCHES", show_default="as needed", help="Width."),
    ] = None,
    height: Annotated[
        float | None,
        typer.Option(min=1, max=40, metavar="INCHES", show_default="as needed", help="Height."),
    ] = None,
    dpi: Annotated[
        int,
        typer.Option(
            min=30, max=1200, metavar="N", help="Dots an inch of a PNG; of a GIF or MP4, half."
        ),
    ] = Plot.dpi,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Draw results as a figure, or as text in a terminal.

    Of invariance files, violins of the coefficient I_k of the units by layer, by number of seen
    categories or by transform: images of seen categories on the left, of unseen ones on the right;
    medians by layer (depth), by number of seen categories (trend) or by tau; how many images
    activate a unit (active); and invariance against accuracy, a dot a network, with r, rho and
    their bootstrap intervals over networks (correlation).

    Of evaluation and invariance files, accuracy within seen categories and across to the others,
    or a matrix of networks and transforms; of evaluation files, which categories are taken for
    which (quadrants), and accuracy against the size of images placed at random (embedded). ablation
    and calibration draw the files of that name. Of bias files, centers of objects in the image
    beside a histogram of their heights, where a dashed line is uniform.

    Of jaggedness files, probabilities as images move, a row an image, beside the curves of single
    images (map), one image beside its curve (moving), or the measures by network or size of the
    object (jaggedness). Of shiftability files, the steps at which sums of feature maps change, by
    layer (depth), or the sums of the strongest maps of a layer (sums). Of itn files, how far each
    transformation goes (reach), both losses (losses), answers against k (classification), and pictures
    at the corners of k (corners).

    Of deformation files, sensitivity by layer, untrained networks beside trained ones (deformation),
    or the worst deformation beside the average one (worst); of smoothness files, total variation by
    layer beside its initial value (smoothness); of both, a line a layer against the training step
    (trajectory). Networks of one recipe are one line in a band of 2 standard deviations. A file of
    several networks has a panel of its own.

    Of sweep files, the mean softmax of the highest answers by magnitude, a panel a category, with
    images along it (curves), accuracy by magnitude, a panel a transform and a line a network
    (overview), or a map of two magnitudes (heat).

    Each transform has a panel or a line of the networks that were trained with it. Networks of
    equal numbers of seen categories are pooled. The same figure is the same bytes.
    """
    from invtool.files import streams

    files = sources or [STDIO]
    form = _form(format, output)
    layers, categories = tuple(layer or ()), tuple(category or ())
    config = Plot(kind, layers, group, form, style, title, width, height, dpi, categories, example)
    for file in files:
        streams.check(file)
    streams.check(None, output, overwrite=overwrite, binary=form not in TEXTS.values())
    from invtool.stages import plot

    with ExitStack() as stack:
        paths = [stack.enter_context(streams.reading(file)) for file in files]
        plot.run(config, paths, stack.enter_context(streams.writing(output)))


def _form(asked: str, output: Path) -> str:
    """Form of the output: as asked, else by suffix; on a terminal text, in a pipe png."""
    if asked != "auto":
        return asked
    if output == STDIO or (output.exists() and not output.is_file()):
        return "text" if output == STDIO and sys.stdout.isatty() else "png"
    suffix = output.suffix.lower()
    if suffix not in SUFFIXES:
        found = f"unknown suffix {suffix!r}" if suffix else "no suffix"
        raise UsageError(f"{output}: {found}; use {', '.join(SUFFIXES)} or --format")
    return SUFFIXES[suffix]
