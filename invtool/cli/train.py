from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from invtool.cli._options import (
    STDIO,
    Antialias,
    Device,
    NoProvenance,
    Overwrite,
    Pool,
    Precision,
    Quiet,
    Seed,
    Threads,
    numbers,
)
from invtool.config import Train
from invtool.errors import UsageError
from invtool.files import messages, streams

EXAMPLES = """\
invtool train --seen 50 --transform blur
invtool train --seen 0 --seen 50 --seen 100 --seeds 3 --transform rot180 -o networks/
invtool train --data cifar10.h5 --network resnet18 --epochs 30 -o plain.st
invtool train --seen 50 --seeds 8 -t blur -n blocks:filters=8 --at-once 8 -o narrow/
invtool train --data folder:photos,size=64 --network alexnet --recipe paper --seen 20 -t thinning
invtool train --data cifar10.h5 --network resnet18 --antialias blur -o shiftable.st
invtool train -d cifar10.h5 -n blocks:downsampling=strided --checkpoint-at log -o strided.st
invtool train -d cifar10.h5 --random-labels --limit 5000 --epochs 100 -o memorized.st
invtool train -d deformed:source=mnist,strength=3 -o strength3.st
invtool train -d cifar10.h5 --init-smooth 1 --epochs 0 -o smooth.st
invtool train --search --seen 20 --transform blur
invtool train --search --search-rates 0.03,0.1,0.3 --search-decays 0,0.0005 -o searched.st
invtool train --resume -o model.st
invtool train -d folder:imagenet,size=224 --network resnet18 -o big.st
invtool train --continue --seen 50 --transform blur -o model.st"""
TITLE = "accuracy on test images"


def main(
    context: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default="model.st; models/ for several networks",
            help="Model file, or a folder for several networks; '-' is standard output.",
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            metavar="SPEC",
            help="Training and test images: faces, objects, cifar10, ..., folder:PATH, deformed:source=SPEC (see invtool data) or an images file.",
        ),
    ] = Train.data,
    network: Annotated[
        str,
        typer.Option(
            "--network",
            "-n",
            metavar="NAME",
            help="blocks (options structure, filters, downsampling), alexnet, resnet18, torchvision:NAME, timm:NAME or py:MODULE:CALLABLE.",
        ),
    ] = Train.network,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="all",
            help="Train on N images, spread evenly over the categories.",
        ),
    ] = Train.limit,
    random_labels: Annotated[
        bool,
        typer.Option(
            "--random-labels",
            help="Train on labels drawn at random, each image's once and for all.",
        ),
    ] = Train.random_labels,
    init_smooth: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SIGMA",
            show_default="0, as they are",
            help="Smooth the filters at initialization by a Gaussian of SIGMA pixels, and keep their norms.",
        ),
    ] = Train.init_smooth,
    pool: Pool = Train.pool,
    antialias: Antialias = Train.antialias,
    seen: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            metavar="K",
            show_default="0",
            help="Categories that are also shown transformed; may be repeated, a network each.",
        ),
    ] = None,
    transform: Annotated[
        str,
        typer.Option(
            "--transform",
            "-t",
            metavar="SPEC",
            show_default="none",
            help="Transform of the seen categories, as blur:sigma=2 (see invtool transform --list).",
        ),
    ] = Train.transform,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Networks for each --seen, from --seed on.")
    ] = Train.seeds,
    seed: Seed = Train.seed,
    at_once: Annotated[
        int, typer.Option(min=1, metavar="N", help="Networks that train at the same time.")
    ] = Train.at_once,
    recipe: Annotated[
        Literal["fast", "paper"],
        typer.Option(help="Settings of SGD that belong together; the next four change one each."),
    ] = Train.recipe,  # type: ignore[assignment]
    epochs: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            show_default="14; paper 45",
            help="Passes over as many images as there are for training; 0 writes the network at initialization.",
        ),
    ] = Train.epochs,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default="64; paper 32", help="Images a step."),
    ] = Train.batch_size,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            "--lr",
            metavar="X",
            show_default="0.1; paper 0.0001",
            help="Step size, the largest where it varies.",
        ),
    ] = Train.learning_rate,
    weight_decay: Annotated[
        float | None,
        typer.Option(min=0, metavar="X", show_default="0.0005", help="Shrinkage of the weights."),
    ] = Train.weight_decay,
    search: Annotated[
        bool,
        typer.Option(
            "--search",
            help="First find the best learning rate and weight decay on a tenth of the training images.",
        ),
    ] = Train.search,
    search_rates: Annotated[
        str | None,
        typer.Option(
            metavar="X,X,...",
            show_default="--learning-rate x 0.1, 0.3, 1, 3, 10",
            help="Learning rates to search among.",
        ),
    ] = None,
    search_decays: Annotated[
        str | None,
        typer.Option(
            metavar="X,X,...",
            show_default="--weight-decay x 0.1, 0.3, 1, 3, 10",
            help="Weight decays to search among.",
        ),
    ] = None,
    device: Device = Train.device,
    precision: Precision = Train.precision,  # type: ignore[assignment]
    threads: Threads = Train.threads,
    checkpoint_every: Annotated[
        float,
        typer.Option(min=0, metavar="S", help="Seconds between checkpoints within an epoch."),
    ] = Train.checkpoint_every,
    checkpoint_at: Annotated[
        str,
        typer.Option(
            metavar="N,N,...",
            show_default="none",
            help="Steps after which a model file is kept in model.steps/, as 0,10,100; log: 0, 1, 2, 4, ... and the last.",
        ),
    ] = Train.checkpoint_at,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on where a run to the same -o stopped, with its settings."
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--continue",
            help="Go on where a run with just these settings stopped, else begin, replacing what is there.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Train networks that see some categories transformed.

    Every step draws a category, then one of its images; an image of a seen category is transformed
    with chance 1/2. The seen sets of a seed are nested. Beside model.st lies model.jsonl, a line an
    epoch; until both are whole they are model.checkpoint.st and model.checkpoint.jsonl, from which
    --resume goes on. At the end comes the accuracy on test images,
    untransformed and transformed, of seen and unseen categories; transformed and unseen is the
    across-category accuracy. With --resume everything but -o comes from the checkpoint;
    --continue is for a line that is run again until it is through, as a job that a cluster requeues.

    A checkpoint is written after every epoch, every --checkpoint-every seconds within one, and at
    Ctrl-C, SIGTERM and SIGUSR1, which a cluster sends before it takes the machine (SLURM's --signal):
    the step is finished, the checkpoint is written, and the exit code is 130, 143 or 138. The model
    of a run that was stopped and resumed is that of a run that was not, on the CPU to the bit.
    Images that are larger than half of the free memory are read as they are shown, ahead of the
    network and on as many threads as there are; the model is the same.

    With --pool or --antialias the network blurs before it subsamples: a pooling layer becomes
    averages (avgK), or pools at every position and is blurred (blurK); a strided convolution is
    computed at every position and blurred as it comes out, before batch norm and ReLU. The model
    records it, and every command opens it so; its parameters are those of the network without.

    blocks:structure=large has five blocks and not four, filters=N has N filters in the first block and
    the others in proportion, downsampling is max-pool, average-pool, subsample, strided or
    strided-relu; as blocks:structure=large,filters=16,downsampling=strided.

    --checkpoint-at keeps whole model files of the way there, as model.steps/step-000100.st, which
    every command opens as a model; step 0 is the network at initialization, and until model.st is
    whole they lie in model.checkpoint.steps/. Each of several networks has a folder of its own.

    --random-labels draws the label of each training image uniformly, by the seed and the image's
    number, so that a network can only memorize them. What tells whether it has is the accuracy on
    the training images with these labels: the log has it for each epoch, as the images were shown,
    the table and the model for the network as it came out. Test images keep their own labels, on
    which accuracy is at chance. Memorizing wants more epochs, or fewer images (--limit).

    --at-once trains several networks in one process, each with the result that it has alone: on the
    CPU each on a thread of its own, also one that is left over, to the bit of --threads 1; on a GPU
    in one batch, each layer as one of all networks side by side, within rounding. It is for small
    networks, which do not fill the device one at a time, and takes blocks and resnet18, on images
    that fit in memory.

    --search holds out a tenth of each category's training images, chosen by the seed, and trains
    every combination of learning rate and weight decay on the others; never on test images. After
    1/8, 1/4 and 1/2 of the epochs the better half goes on (successive halving); what diverges is
    out. What counts is the mean of two accuracies on held-out images: of all, untransformed, and of
    the seen categories, transformed. The best combination then trains on all training images, with
    the same result as if it had been given. Several networks share one search, by the first --seen
    and the first seed. The model records it (invtool inspect), and --resume goes on with it: until
    the model is whole, the networks of a search lie in model.checkpoint.search/.
    """
    config = Train(
        data=data,
        network=network,
        pool=pool,
        antialias=antialias,
        transform=transform,
        seen=tuple(seen or Train.seen),
        seeds=seeds,
        seed=seed,
        recipe=recipe,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        search=search,
        search_rates=numbers(search_rates, "--search-rates"),
        search_decays=numbers(search_decays, "--search-decays"),
        device=device,
        precision=precision,
        threads=threads,
        checkpoint_every=checkpoint_every,
        checkpoint_at=checkpoint_at,
        random_labels=random_labels,
        limit=limit,
        init_smooth=init_smooth,
        at_once=at_once,
    )
    several = len(config.seen) * seeds > 1
    target = output or Path("models" if several else "model.st")
    from invtool.stages import _refusals

    if resume:
        _refuse_settings(context)
    else:
        _refusals.training(config, target, overwrite=overwrite or again)
    with messages.working("loading PyTorch"):
        from invtool.stages import train
    rows = train.resume(target) if resume else train.run(config, target, going_on=again)
    _show(rows, on_stderr=target == STDIO)


def _show(rows: Sequence[dict[str, Any]], *, on_stderr: bool) -> None:
    """The table of results; not where the model goes."""
    from invtool.files import tables

    if not on_stderr:
        with streams.writing(STDIO) as table:
            tables.write(table, rows, "table", [], title=TITLE)
    else:
        messages.show(tables.text(rows, title=TITLE))


def _refuse_settings(context: typer.Context) -> None:
    """--resume takes its settings from the checkpoint."""
    kept = ("output", "resume", "quiet", "no_provenance", "overwrite")
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in kept and source and source.name == "COMMANDLINE":
            option = name.replace("_", "-")
            raise UsageError(f"--resume goes on with the settings it began with; drop --{option}")
