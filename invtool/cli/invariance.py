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
    given,
    numbers,
)
from invtool.config import Invariance
from invtool.errors import UsageError
from invtool.files import messages, models, streams

EXAMPLES = """\
invtool activations model.st | invtool invariance
invtool invariance model.st
invtool invariance model.st --tau auto -t rot90 -t blur:sigma=1 -o invariance.h5
invtool invariance activations.h5 --layer penultimate --tau 0.05
invtool invariance activations.h5 --format csv | column -ts,
invtool invariance torchvision:mobilenet_v3_small --weights m.pth -d folder:photos,size=224 -t rot90 --rectify
invtool invariance model.st | invtool plot -o figure.pdf"""


def main(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|MODEL",
            show_default=False,
            help="Activations file, model file, or a network as in activations; '-' (the default) is standard input.",
        ),
    ] = Invariance.model,
    output: Output = STDIO,
    layer: Layers = None,
    tau: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="A unit is active above this share of its highest response, 0 <= tau < 1; or 'auto' "
            "(ablates a model's penultimate layer), or an ablation file.",
        ),
    ] = str(Invariance.tau),
    tau_grid: Annotated[
        bool,
        typer.Option(
            "--tau-grid",
            help="Keep I_k of every unit at every tau of 0, 0.05, ..., 0.95, in the same two passes.",
        ),
    ] = Invariance.tau_grid,
    rectify: Annotated[
        bool, typer.Option("--rectify", help="Take responses below 0 as 0: networks without ReLU.")
    ] = Invariance.rectify,
    resamples: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Resamples of the categories, for intervals and the permutation test; 0 for none.",
        ),
    ] = Invariance.resamples,
    data: TestData = Invariance.data,
    transform: Transforms = None,
    weights: Weights = Invariance.weights,
    untrained: Untrained = Invariance.untrained,
    size: InputSize = Invariance.size,
    mean: Mean = None,
    std: Std = None,
    pool: Pool = Invariance.pool,
    antialias: Antialias = Invariance.antialias,
    limit: Limit = Invariance.limit,
    seed: Seed = Invariance.seed,
    device: Device = Invariance.device,
    batch_size: BatchSize = "auto",
    precision: Precision = Invariance.precision,  # type: ignore[assignment]
    format: Format = "auto",
    threads: Threads = Invariance.threads,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Measure how invariant each neuron is to a transform.

    Reads an activations file, or shows a network the images twice, in memory that does not grow
    with their number, and gives each unit its invariance coefficient I_k: the mean, over the images
    that activate it with or without the transform, of 2 min(a, b) / (a + b), where a and b are its
    responses to the image and to its transform. 1 never changes, 0 never responds to both. For all
    images, those of categories that were seen transformed in training, and the unseen. The paper
    found tau 0.1 for AlexNet on faces and 0.05 on ImageNet. Options from --data to --precision, all
    but --seed, are for a network.

    The table has a row a layer, transform and group: the number of units; those silent for all
    images; those undefined, as no image of the group activates them; median of I_k over the rest,
    its 95 % interval (bootstrap over categories) and quartiles; images, the median share of them
    that activate a unit; active, the median share of units that an image activates; and top1, from
    a file alone, the median of the older score, the share of a unit's top 1 % of images that stay
    in it when transformed. Below stand, of the penultimate layer, the test whether seen and unseen
    medians coincide (a permutation of which categories were seen; a large p is no proof, see the
    interval), and the medians at other tau. CSV and JSON spell the columns out.
    """
    form = streams.output_format(format, output)
    config = Invariance(
        model=source,
        data=data,
        transforms=tuple(transform or ()),
        layers=tuple(layer or Invariance.layers),
        tau_grid=tau_grid,
        rectify=rectify,
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
        tau=Invariance.tau if tau == "auto" else _tau(tau),
        auto_tau=tau == "auto",
    )
    from invtool.stages import _refusals

    told = given(context, NETWORK) + ["--tau auto"] * config.auto_tau
    path = _refusals.measuring_or_file(config, told)
    streams.check(None, output, overwrite=overwrite, binary=form == "h5")
    reading = streams.reading(path) if path else nullcontext(Path(source))
    with reading as opened, streams.writing(output) as target, redirect_stdout(sys.stderr):
        if path and not models.is_model(opened):
            from invtool.stages import invariance

            _refusals.options_of_network(streams.label(opened), told)
            invariance.run(config, opened, target, form)
        else:
            with messages.working("loading PyTorch"):
                from invtool.stages import invariance_network
            invariance_network.run(config, opened, target, form)


NETWORK = (
    *("data", "transform", "weights", "untrained", "size", "mean", "std", "pool"),
    *("antialias", "limit", "device", "batch_size", "precision"),
)


def _tau(text: str) -> float:
    """A number, or the tau that an ablation file has chosen."""
    try:
        tau = float(text)
    except ValueError:
        return _tau_of_file(text)
    if not 0 <= tau < 1:
        raise UsageError(f"--tau {text}: a share of the highest response, 0 <= tau < 1, is wanted")
    return tau


def _tau_of_file(text: str) -> float:
    if not Path(text).is_file():
        raise UsageError(f"--tau {text}: a number, auto or an ablation file is wanted")
    from invtool.stages.ablation_result import tau_of_file

    return tau_of_file(Path(text))
