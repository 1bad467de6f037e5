from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import Quiet, Study
from invtool.config import Reproduce

EXAMPLES = """\
invtool reproduce categories
invtool reproduce deformation --data cifar10.h5 -o stability
invtool reproduce categories --scale paper --data folder:facescrub,size=64 --dry-run
invtool reproduce shifts -- --cores 4 --keep-going
invtool reproduce categories -- --config seeds=3 'seen=[0.2,0.8]'
invtool reproduce categories --scale paper -- --executor slurm --jobs 100 --set-resources train:gpu=1
invtool reproduce categories --scale paper -- --executor kubernetes --jobs 100 --container-image IMAGE --default-storage-provider s3 --default-storage-prefix s3://BUCKET
invtool reproduce sensitivity -- --dry-run --printshellcmds"""


def main(
    study: Study,
    options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- SNAKEMAKE...", show_default=False, help="Options of Snakemake, after --."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default="reproduce-PAPER",
            help="Folder for everything it makes.",
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            metavar="SPEC",
            show_default="the scale's own",
            help="Images: faces:..., objects:..., folder:PATH, an images file, ... (see invtool data).",
        ),
    ] = Reproduce.data,
    scale: Annotated[
        Literal["small", "paper"],
        typer.Option(help="Sizes: minutes on two cores, or those of the paper."),
    ] = Reproduce.scale,  # type: ignore[assignment]
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", help="Print what is still to do and what it costs."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Reproduce a paper: its networks, measures, figures and findings.

    Trains and measures networks as the paper does, on images that invtool draws or on yours, and
    ends with DIR/index.html: one page with what the paper says beside what was measured here, the
    figures, and every command. It is a Snakemake workflow (pip install 'invtool[studies]') of
    invtool commands, by default on all cores. Run the same line again after an interruption: what is
    whole stays, and trainings go on where they stopped. DIR may be moved.

    What stands after -- goes to Snakemake unchanged. --config NAME=VALUE changes a number of the
    scale (see DIR/settings.json); --executor and --jobs run the jobs on SLURM, Kubernetes and
    others, by a plugin, as snakemake-executor-plugin-slurm. Jobs need no network.
    """
    from invtool.stages import _refusals, reproduce

    config = Reproduce(study, data, scale, tuple(options or ()))
    folder = output or Path(f"reproduce-{study}")
    _refusals.reproducing(config, folder)
    if dry_run:
        typer.echo(reproduce.plan(config, folder), nl=False)
    else:
        reproduce.run(config, folder)
