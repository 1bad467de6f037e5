"""Findings, figures and provenance as one HTML page that needs no other file."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from invtool import __version__
from invtool.config import Plot
from invtool.files import provenance
from invtool.files.provenance import Steps
from invtool.stages import _studies
from invtool.stages._findings import NOT_MEASURED, YES, Files, Finding
from invtool.stages.inspect import commands

CSS_PIXELS = 96  # of an inch
ZOOM = 1.4  # of print, for a screen
MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}


def page(
    study: Mapping[str, Any],
    findings: Sequence[Finding],
    pictures: Iterable[Path],
    files: Files,
    steps: Steps,
) -> str:
    """The whole page; pictures come in the order of the study's figures, others after them."""
    template = Template((_studies.FOLDER / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(study["title"]),
        reference=escape(study["reference"]),
        about=escape(_about(files, findings)),
        findings="\n".join(map(_row, findings)),
        figures="\n".join(_figures(study["figure"], pictures)),
        provenance=_provenance(steps),
        version=__version__,
    )


def _about(files: Files, findings: Sequence[Finding]) -> str:
    """What was measured, in a sentence or two."""
    data = sorted({result.data for result in files.results if result.data})
    measured = [finding for finding in findings if finding.agrees != NOT_MEASURED]
    agreeing = sum(finding.agrees == YES for finding in measured)
    return (
        f"{len({result.path for result in files.results})} results on {', '.join(data) or 'unknown data'}. "
        f"Of {len(findings)} findings {len(measured)} were put to the test, and {agreeing} hold "
        f"here without reserve."
    )


def _row(finding: Finding) -> str:
    kind = finding.agrees.partition(":")[0].replace(" ", "-")
    here = escape(finding.here).replace(" %", "&nbsp;%") or "<em>not measured here</em>"
    return (
        f"<tr><td class=place>{escape(finding.place)}</td><td>{escape(finding.paper)}</td>"
        f"<td>{here}</td><td class={kind}>{escape(finding.agrees)}</td></tr>"
    )


def _figures(told: Sequence[Mapping[str, str]], pictures: Iterable[Path]) -> Iterable[str]:
    captions = {figure["name"]: figure["caption"] for figure in told}
    order = list(captions)
    for path in sorted(pictures, key=lambda p: order.index(p.stem) if p.stem in order else 999):
        caption = escape(captions.get(path.stem, path.stem))
        picture = path.read_bytes()
        data = base64.b64encode(picture).decode()
        yield (
            f'<figure id="{escape(path.stem)}"><img alt="{caption}"{_width(picture)} '
            f'src="data:{MEDIA[path.suffix]};base64,{data}"><figcaption>{caption}</figcaption></figure>'
        )


def _width(picture: bytes) -> str:
    """So that letters of every figure are of one size; of a PNG, whose header tells its pixels."""
    if not picture.startswith(b"\x89PNG"):
        return ""
    pixels = int.from_bytes(picture[16:20], "big")
    return f' width="{round(ZOOM * pixels * CSS_PIXELS / Plot.dpi)}"'


def _provenance(steps: Steps) -> str:
    """When and with what, and the commands, each once, oldest first."""
    if not steps:
        return "<p>The results do not tell how they were made.</p>"
    facts = {
        "invtool": sorted({step["version"] for step in steps}),
        "torch": sorted({step["torch"] for step in steps if step.get("torch")}),
        "Python": sorted({step["python"] for step in steps if step.get("python")}),
        "device": sorted({str(step["device"]) for step in steps if step.get("device")}),
        "from": [steps[0]["time"]],
        "to": [provenance.now()],
    }
    told = "".join(
        f"<dt>{name}</dt><dd>{escape(', '.join(values))}</dd>"
        for name, values in facts.items()
        if values
    )
    lines = escape("\n".join(commands(steps)))
    return f"<dl>{told}</dl>\n<details><summary>{len(steps)} commands</summary><pre>{lines}</pre></details>"
