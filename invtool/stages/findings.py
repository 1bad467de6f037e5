"""What a paper says beside what results say: a table, or one page with the figures."""

from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from invtool.config import Findings
from invtool.errors import UsageError
from invtool.files import provenance, streams, tables
from invtool.files.provenance import Steps
from invtool.stages import _studies, findings_page
from invtool.stages._findings import Files, Finding

PICTURES = (".png", ".svg")
FORMS = {".html": "html", ".json": "json", ".csv": "csv", ".txt": "table"}


def form_of(asked: str, output: Path) -> str:
    """table, json, csv or html: as asked, else by suffix, else a table."""
    if asked != "auto" or output == streams.STDIO:
        return "table" if asked == "auto" else asked
    if output.suffix not in FORMS:
        raise UsageError(f"{output}: use {', '.join(FORMS)} or --format")
    return FORMS[output.suffix]


def run(config: Findings, target: Path, form: str) -> None:
    """Read the results and write the findings to `target`."""
    paths = [Path(source) for source in config.sources]
    files = Files.read(path for path in paths if path.suffix not in PICTURES)
    find: Callable[[Files], list[Finding]] = import_module(
        f"invtool.stages.findings_{config.study}"
    ).findings
    found = find(files)
    made = _made(files)
    steps = provenance.step(config=asdict(config), inputs=made)
    study = _studies.read(config.study)
    if form == "html":
        pictures = [path for path in paths if path.suffix in PICTURES]
        page = findings_page.page(study, found, pictures, files, steps)
        target.write_text(page, encoding="utf-8", errors="surrogateescape")
        return
    tables.write(target, [_row(finding) for finding in found], form, steps, title=study["title"])


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "where": finding.place,
        "paper says": finding.paper,
        "measured here": finding.here,
        "agrees": finding.agrees,
    }


def _made(files: Files) -> list[Steps]:
    """The chain of each file, once."""
    return list({str(result.path): result.steps for result in files.results}.values())
