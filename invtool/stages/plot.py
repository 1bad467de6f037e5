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
from invtool.plots.panels import (
    Film,
    Gallery,
    Lines,
    Maps,
    Matrix,
    Page,
    Scatter,
    Spread,
    Violins,
    holds_any,
)
from invtool.plots.screen import Screen
from invtool.stages import (
    plot_ablation,
    plot_accuracy,
    plot_bias,
    plot_calibration,
    plot_correlation,
    plot_embedded,
    plot_itn,
    plot_jagged,
    plot_matrix,
    plot_medians,
    plot_quadrants,
    plot_shiftable,
    plot_stability,
    plot_sweep,
    plot_violins,
)
from invtool.stages.plot_networks import Picture, counted
from invtool.stages.plot_sources import Result, describe, distinct, refuse_others

INVARIANCE = ("invariance",)
JAGGEDNESS = ("jaggedness",)
SHIFTABILITY = ("shiftability",)
DEFORMATION = ("deformation",)
SMOOTHNESS = ("smoothness",)
SWEEP = ("sweep",)
ITN = ("itn",)
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
    "map": Kind(plot_jagged.maps, JAGGEDNESS, False),
    "jaggedness": Kind(plot_jagged.jaggedness, JAGGEDNESS, False),
    "moving": Kind(plot_jagged.film, JAGGEDNESS, False),
    "sums": Kind(plot_shiftable.sums, SHIFTABILITY, False),
    "deformation": Kind(plot_stability.deformation, DEFORMATION, False),
    "worst": Kind(plot_stability.worst, DEFORMATION, False),
    "smoothness": Kind(plot_stability.smoothness, SMOOTHNESS, False),
    "trajectory": Kind(plot_stability.trajectory, (*SMOOTHNESS, *DEFORMATION), False),
    "curves": Kind(plot_sweep.curves, SWEEP, False),
    "overview": Kind(plot_sweep.overview, SWEEP, False),
    "heat": Kind(plot_sweep.heat, SWEEP, False),
    "losses": Kind(plot_itn.losses, ITN, False),
    "classification": Kind(plot_itn.classification, ITN, False),
    "corners": Kind(plot_itn.corners, ITN, False),
    "reach": Kind(plot_itn.reach, ITN, False),
}
SHIFTED = Kind(plot_shiftable.depth, SHIFTABILITY, False)  # depth, of those files
MOVING = ("gif", "mp4")  # forms
SINGLE = ("moving", "sums", "classification", "corners")  # that draw one image


def run(config: Plot, sources: Sequence[Path], output: Path) -> None:
    """Draw the files `sources` as one picture into `output`."""
    if config.format == "mp4" and shutil.which("ffmpeg") is None:
        raise InvtoolError("an mp4 needs ffmpeg, which is not on PATH; install it, or write a .gif")
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
    name = config.kind
    if name == "auto":
        name = "moving" if config.format in MOVING else choose(results)
    if config.format in MOVING and name != "moving":
        raise UsageError(f"--kind {name} does not move; write it as png, pdf or svg")
    shifted = name == "depth" and results[0].kind in SHIFTABILITY
    kind = SHIFTED if shifted else KINDS[name]
    refuse_others(results, name, kind.wanted)
    if config.group != "auto" and not kind.grouped:
        raise UsageError(f"--kind {name} draws no one group of images; leave out --group")
    if config.categories and name not in ("bias", "curves", "heat"):
        raise UsageError(f"--kind {name} draws no one category; leave out --category")
    if config.example and name not in SINGLE:
        raise UsageError(f"--kind {name} draws no one image; leave out --example")
    picture = kind.draw(config, results)
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
    if kinds == {"jaggedness"}:
        return "map" if len(results) == 1 else "jaggedness"
    if kinds == {"shiftability"}:
        return "depth"
    if kinds in ({"deformation"}, {"smoothness"}):
        return "trajectory" if plot_stability.has_trajectory(results) else one.kind
    if kinds == {"sweep"}:
        return plot_sweep.choose(results)
    if kinds == {"itn"}:
        return "reach"
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
    if picture.heading or isinstance(
        picture.drawing, Matrix | Scatter | Spread | Maps | Film | Gallery
    ):
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
    # A terminal needs none of these.
    from invtool.plots import film, gallery, lines, maps, matrix, scatter, spread, style, violins

    page = Page(config.title, caption, config.width, config.height, config.style)
    drawing = picture.drawing
    about = "\n".join(step["command"] for step in steps)
    size, form = config.dpi, config.format
    if isinstance(drawing, Film) and form in MOVING:
        film.save(drawing, page, output, form, dpi=size, about=about)
        return
    if isinstance(drawing, Violins):
        figure = violins.draw(drawing, page)
    elif isinstance(drawing, Lines):
        figure = lines.draw(drawing, page)
    elif isinstance(drawing, Matrix):
        figure = matrix.draw(drawing, page)
    elif isinstance(drawing, Spread):
        figure = spread.draw(drawing, page)
    elif isinstance(drawing, Maps):
        figure = maps.draw(drawing, page)
    elif isinstance(drawing, Film):
        figure = film.draw(drawing, page)
    elif isinstance(drawing, Gallery):
        figure = gallery.draw(drawing, page)
    else:
        figure = scatter.draw(drawing, page)
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
