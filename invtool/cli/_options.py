"""Options that mean the same thing in every command, written once."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.config import Moved
from invtool.errors import UsageError
from invtool.files import messages, provenance

STDIO = Path("-")
MOST_TAUS = 1000  # of a grid; more is a slip of the pen
MOST_NUMBERS = 1000  # of a range, likewise
SMALLEST = 2  # pixels of a shrunk image; in a spec, 1 is all of the height


def quietly(asked: bool) -> None:
    messages.quiet = asked


def _anonymous(asked: bool) -> None:
    provenance.recording = not asked


def batch_size_of(text: str) -> int | None:
    """`auto` is None."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is neither auto nor a count of images")
    return int(text)


def given(context: typer.Context, names: Sequence[str]) -> list[str]:
    """Those of the options `names` that stand on the command line, as they are written there."""
    return [
        "--" + name.replace("_", "-")
        for name in names
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """`0.5,0.5,0.5` as three numbers."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text}: numbers joined by commas are wanted") from None


def tau_grid(text: str) -> tuple[float, ...]:
    """`0:1:0.05`, its end included, or `0,0.1,0.5`: shares of a highest response, ascending.

    >>> tau_grid("0:0.3:0.1")
    (0.0, 0.1, 0.2, 0.3)
    """
    parts = text.split(":")
    if len(parts) == 3:
        start, stop, step = numbers(",".join(parts), "--tau-grid") or ()
        count = (stop - start) / step if step > 0 else -1
        if not 0 <= count <= MOST_TAUS:
            raise UsageError(f"--tau-grid {text}: START <= STOP and a STEP above 0 are wanted")
        grid = [round(start + n * step, 10) for n in range(int(count + 1e-9) + 1)]
    else:
        grid = list(numbers(text, "--tau-grid") or ())
    if not all(0 <= tau <= 1 for tau in grid) or sorted(set(grid)) != grid:
        raise UsageError(f"--tau-grid {text}: ascending shares, from 0 to 1, are wanted")
    return tuple(grid)


def pixel_range(text: str | None) -> tuple[int, int] | None:
    """`-4:4`, or `4` for the same, in pixels.

    >>> pixel_range("-5:3"), pixel_range("4")
    ((-5, 3), (-4, 4))
    """
    if text is None:
        return None
    match = re.fullmatch(r"(-?\d+):(-?\d+)|(\d+)", text)
    if match is None:
        raise UsageError(f"--range {text}: pixels as LOW:HIGH are wanted, as -8:8")
    if match[3] is not None:
        return -int(match[3]), int(match[3])
    return int(match[1]), int(match[2])


def whole_numbers(texts: Sequence[str] | None, option: str) -> tuple[int, ...]:
    """Every `50`, `50,100` or `50:200:50`, its end included, ascending, each once.

    >>> whole_numbers(["1,25", "5:15:5", "5"], "--tta")
    (1, 5, 10, 15, 25)
    """
    found = set[int]()
    for text in texts or ():
        if re.fullmatch(r"\d+(,\d+)*", text):
            found.update(map(int, text.split(",")))
            continue
        match = re.fullmatch(r"(\d+):(\d+):(\d+)", text)
        start, stop, step = map(int, match.groups()) if match else (1, 0, 1)
        if not (start <= stop and step and (stop - start) / step < MOST_NUMBERS):
            raise UsageError(
                f"{option} {text}: N, N,N or START:STOP:STEP is wanted, in whole numbers"
            )
        found.update(range(start, stop + 1, step))
    return tuple(sorted(found))


def embeddings(texts: Sequence[str] | None, fill: str | None) -> tuple[str, ...]:
    """The transforms that `--embed` and `--fill` stand for.

    >>> embeddings(["8,16"], "black")
    ('embed:size=8,fill=black', 'embed:size=16,fill=black')
    """
    sizes = whole_numbers(texts, "--embed")
    if fill and not sizes:
        raise UsageError(f"--fill {fill} lies around what --embed shrinks; give --embed PX")
    if sizes and sizes[0] < SMALLEST:
        raise UsageError(f"--embed {sizes[0]}: {SMALLEST} pixels or more are wanted")
    around = f",fill={fill}" if fill else ""
    return tuple(f"embed:size={size}{around}" for size in sizes)


Source = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", show_default=False, help="Input; '-' (the default) is standard input."
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        help="Output; '-' (the default) is standard output.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the output if it exists already.")
]
Format = Annotated[
    Literal["auto", "table", "json", "csv", "h5"],
    typer.Option(
        "--format",
        "-f",
        help="Form of the result; auto goes by the suffix of -o, else a table on a terminal and h5 off one.",
    ),
]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        help="Model file ('-', the default, is standard input), blocks, alexnet, resnet18, resnet20-cifar, "
        "torchvision:NAME, timm:NAME or py:MODULE:CALLABLE (runs your code).",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL...",
        show_default=False,
        help="Model files ('-', the default, is standard input), or networks as in activations.",
    ),
]
TestData = Annotated[
    str,
    typer.Option(
        "--data",
        "-d",
        metavar="SPEC",
        show_default="the model's own",
        help="Images: faces, cifar10, folder:PATH, an images file, ...; the test images are used.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        show_default="none",
        help="Parameters (safetensors or .pth) of a network that is named.",
    ),
]
Untrained = Annotated[
    bool, typer.Option("--untrained", help="Leave the network as --seed initializes it.")
]
InputSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="PX",
        show_default="the network's own",
        help="Height and width that images are resized to, in pixels.",
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        metavar="R,G,B",
        show_default="the network's own",
        help="Means to subtract, on a scale of 0 to 1.",
    ),
]
Std = Annotated[
    str | None,
    typer.Option(
        metavar="R,G,B",
        show_default="the network's own",
        help="Standard deviations to divide by, as --mean.",
    ),
]
Pool = Annotated[
    str,
    typer.Option(
        metavar="FILTER",
        show_default="the network's own",
        help="Smooth before pooling layers subsample: avg6 (6x6 averages, the paper's), blur, blur5, ... or none.",
    ),
]
Antialias = Annotated[
    str,
    typer.Option(
        metavar="FILTER",
        show_default="the network's own",
        help="Smooth before strided convolutions and slices subsample: blur, blur5, avg2, ... or none.",
    ),
]
Direction = Annotated[
    Literal["vertical", "horizontal", "diagonal"] | None,
    typer.Option(show_default=Moved.direction, help="Where the image moves."),
]
Fill = Annotated[
    Literal["inpaint", "black", "edge", "mean", "zero"] | None,
    typer.Option(
        show_default=Moved.fill,
        help="What lies around the object; zero is what the network reads as 0.",
    ),
]
PixelRange = Annotated[
    str | None,
    typer.Option(
        "--range",
        metavar="LOW:HIGH",
        show_default="-12:12, or what fits",
        help="Pixels from the middle; 8 is -8:8.",
    ),
]
PixelStep = Annotated[int, typer.Option("--step", min=1, metavar="PX", help="Pixels a step.")]
ImageResamples = Annotated[
    int,
    typer.Option(
        "--resamples", min=0, metavar="N", help="Resamples of the images, for intervals; 0: none."
    ),
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        "-l",
        metavar="GLOB",
        help="Layers to use, by name or pattern; 'penultimate' and 'all' are words; may be repeated.",
    ),
]
Transforms = Annotated[
    list[str] | None,
    typer.Option(
        "--transform",
        "-t",
        metavar="SPEC",
        help="Transform, as blur:sigma=2 or rot90+blur (see invtool transform --list); may be repeated.",
    ),
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**63 - 1, metavar="N", help="Seed of every random choice.")
]
Device = Annotated[
    str,
    typer.Option(
        envvar="INVTOOL_DEVICE",
        metavar="DEV",
        help="auto, cpu, cuda, cuda:N or mps; auto takes the best there is.",
    ),
]
BatchSize = Annotated[
    str,
    typer.Option(
        "--batch-size",
        metavar="N",
        help="Images a forward pass; auto fits the memory. Does not change the result.",
    ),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16"],
    typer.Option(help="Arithmetic of the network; auto takes bf16 where the device has it."),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", show_default="all cores", help="Threads on the CPU."),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", show_default="all", help="Use N images, spread evenly over the set."
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=quietly, help="Print nothing on stderr but errors."),
]
NoProvenance = Annotated[
    bool,
    typer.Option(
        "--no-provenance",
        callback=_anonymous,
        help="Leave the command line, times and versions out of the output.",
    ),
]
Study = Annotated[
    Literal["categories", "shifts", "deformation", "sensitivity"],
    typer.Argument(
        metavar="PAPER", show_default=False, help="categories, shifts, deformation or sensitivity."
    ),
]
