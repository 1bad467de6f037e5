"""Results of one or several files as one picture: what varies among them decides which."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from invtool.config import Plot
from invtool.errors import InvtoolError, UsageError
from invtool.files import provenance, tables
from invtool.plots import rows, terminal
from invtool.plots.panels import Lines, Matrix, Page, Scatter, Spread, Violins, holds_any
from invtool.plots.screen import Screen
from invtool.stages import (
    plot_ablation,
    plot_accuracy,
    plot_bias,
    plot_calibration,
    plot_correlation,
    plot_embedded,
    plot_matrix,
    plot_medians,
    plot_quadrants,
    plot_violins,
)
from invtool.stages.plot_networks import Picture, counted
from invtool.stages.plot_sources import Result, describe, distinct, refuse_others

INVARIANCE = ("invariance",)
PREDICTIONS = ("evaluation", "invariance", "activations")


@dataclass(frozen=True)
class Kind:
    """A way to draw, the kinds of files that it can draw, and whether it draws one group of images."""

    draw: Callable[[Plot, Sequence[Result]], Picture]
    wanted: Sequence[str] = INVARIANCE
    grouped: bool = True


KINDS = {
    "layers": Kind(plot_violins.layers),
    "seen": Kind(plot_violins.seen),
    "transforms": Kind(plot_violins.transforms),
    "active": Kind(plot_violins.active),
    "depth": Kind(plot_medians.depth),
    "trend": Kind(plot_medians.trend),
    "tau": Kind(plot_medians.tau),
    "correlation": Kind(plot_correlation.correlated),
    "accuracy": Kind(plot_accuracy.accuracy, PREDICTIONS),
    "matrix": Kind(plot_matrix.matrix, PREDICTIONS),
    "quadrants": Kind(plot_quadrants.quadrants, ("evaluation",), False),
    "ablation": Kind(plot_ablation.ablation, ("ablation",)),
    "calibration": Kind(plot_calibration.calibration, ("calibration",), False),
    "bias": Kind(plot_bias.bias, ("bias",), False),
    "embedded": Kind(plot_embedded.embedded, ("evaluation",)),
}


def run(config: Plot, sources: Sequence[Path], output: Path) -> None:
    """Draw the files `sources` as one picture into `output`."""
    results = distinct([result for source in sources for result in describe(source)])
    picture = draw(config, results)
    caption = " ".join(text for text in (*picture.notes, _facts(results)) if text)
    if config.format == "text":
        text = terminal.draw(picture.drawing, _screen(), config.title or _heading(picture), caption)
        output.write_text(text + "\n", encoding="utf-8" if _screen().unicode else "ascii")
        return
    inputs = list({str(r.path): r.steps for r in results}.values())
    steps = provenance.step(config=asdict(config), inputs=inputs)
    if config.format in ("csv", "json"):
        facts = {"caption": caption, **(picture.facts or {})}
        numbers = picture.rows or rows.rows(picture.drawing)
        tables.write(output, numbers, config.format, steps, title=_heading(picture), facts=facts)
    else:
        _figure(config, picture, caption, output, steps)


def draw(config: Plot, results: Sequence[Result]) -> Picture:
    """What the configuration asks for, of these networks."""
    name = choose(results) if config.kind == "auto" else config.kind
    refuse_others(results, name, KINDS[name].wanted)
    if config.group != "auto" and not KINDS[name].grouped:
        raise UsageError(f"--kind {name} draws no one group of images; leave out --group")
    if config.categories and name != "bias":
        raise UsageError(f"--kind {name} draws no one category; leave out --category")
    picture = KINDS[name].draw(config, results)
    if not holds_any(picture.drawing):
        names = ", ".join(dict.fromkeys(result.label for result in results))
        raise InvtoolError(f"nothing to draw: no number of --kind {name} is defined in {names}")
    return picture


def choose(results: Sequence[Result]) -> str:
    """The kind of picture that shows what varies among the networks."""
    kinds = {result.kind for result in results}
    one = results[0]
    if kinds <= {"ablation", "calibration", "bias"}:
        return one.kind
    if kinds == {"evaluation"}:
        if all(len(plot_embedded.embeddings(r)) == len(r.transforms) > 0 for r in results):
            return "embedded"
        transforms = {transform for result in results for transform in result.transforms}
        return "matrix" if len(results) > 1 or len(transforms) > 1 else "accuracy"
    if not kinds & {"invariance"}:
        return "accuracy"
    if counted(results):
        return "seen"
    return "transforms" if len(one.layers) == 1 and len(one.transforms) > 1 else "layers"


def _heading(picture: Picture) -> str:
    """What is drawn, in a line."""
    if picture.heading or isinstance(picture.drawing, Matrix | Scatter | Spread):
        return picture.heading
    return f"{picture.drawing.ylabel.replace('$', '')} by {picture.drawing.xlabel}"


def _facts(results: Sequence[Result]) -> str:
    """Threshold, data and networks, as far as the files tell."""
    taus = sorted({float(result.tau) for result in results if result.tau is not None})
    data = sorted({result.data for result in results if result.data})
    texts = []
    if taus:
        ends = dict.fromkeys([taus[0], taus[-1]])
        texts.append(f"tau = {' to '.join(f'{tau:.3g}' for tau in ends)}.")
    if data:
        texts.append(f"Data: {', '.join(data)}.")
    if len(results) == 1 and results[0].counts:
        texts.append(f"{results[0].counts}.")
    return " ".join(texts)


def _figure(
    config: Plot, picture: Picture, caption: str, output: Path, steps: provenance.Steps
) -> None:
    from invtool.plots import (
        lines,
        matrix,
        scatter,
        spread,
        style,
        violins,
    )  # a terminal needs none

    page = Page(config.title, caption, config.width, config.height, config.style)
    drawing = picture.drawing
    if isinstance(drawing, Violins):
        figure = violins.draw(drawing, page)
    elif isinstance(drawing, Lines):
        figure = lines.draw(drawing, page)
    elif isinstance(drawing, Matrix):
        figure = matrix.draw(drawing, page)
    elif isinstance(drawing, Spread):
        figure = spread.draw(drawing, page)
    else:
        figure = scatter.draw(drawing, page)
    about = "\n".join(step["command"] for step in steps)
    size, form = config.dpi, config.format
    try:
        style.save(figure, output, form, dpi=size, about=about, style=config.style)
    except ValueError as error:
        raise InvtoolError(f"{error}; raise --width or --height, or choose with --layer") from None


def _screen() -> Screen:
    watched = sys.stdout.isatty()
    return Screen(
        columns=max(shutil.get_terminal_size().columns, 24),
        unicode="utf" in (sys.stdout.encoding or "").lower(),
        color=watched and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
    )
