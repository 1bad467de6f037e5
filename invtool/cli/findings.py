from pathlib import Path
from typing import Annotated, Literal

import typer

from invtool.cli._options import STDIO, NoProvenance, Output, Overwrite, Quiet, Study
from invtool.config import Findings
from invtool.files import streams

EXAMPLES = """\
invtool findings categories reproduce-categories/results/*/*.h5
invtool findings shifts jagged/*.h5 shiftable/*.h5 -f csv
invtool findings deformation results/*/*.h5 figures/*.png -o index.html"""


def main(
    study: Study,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            show_default=False,
            help="Results, and pictures for the page, each named as its figure is.",
        ),
    ],
    output: Output = STDIO,
    format: Annotated[
        Literal["auto", "table", "json", "csv", "html"],
        typer.Option(
            "--format",
            "-f",
            help="Form of the result; auto goes by the suffix of -o, else a table.",
        ),
    ] = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    no_provenance: NoProvenance = False,
) -> None:
    """Set what results say beside what their paper says.

    Each row is a finding of the paper, the same as measured in the files, and whether they agree:
    yes, in part, no, or not measured, where no file tells. Nothing is assumed of the files but their
    kind, the folder that they lie in, and what they say of themselves. As HTML it is one page that
    needs no other file: findings, pictures with their captions, and the commands that made them.
    """
    from invtool.stages import _refusals, findings

    config = Findings(study, tuple(map(str, files)))
    form = findings.form_of(format, output)
    _refusals.finding(config)
    streams.check(None, output, overwrite=overwrite, binary=False)
    with streams.writing(output) as target:
        findings.run(config, target, form)
