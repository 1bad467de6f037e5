"""How figures look and how they are saved.

Figures are laid out as for print, in inches and points. `--style slides` enlarges all type and every line, and
spreads the figure over a slide: inside `context` lengths are still those of print, and `pt` and `grid` enlarge
them. A saved figure holds no time of its own, and the same figure is the same bytes: a PDF or SVG is dated only
where SOURCE_DATE_EPOCH says so.
"""

import math
import os
import textwrap
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from invtool.plots.colors import COLORS, FAINT, INK, NAMES
from invtool.plots.panels import Look, Page

TITLE = 9.5  # points
SLIDES = 1.9  # times the size of print: type and lines
SLIDE = (13.33, 7.5)  # inches, 16 to 9

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 0,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "invtool",
    "savefig.facecolor": "white",
}


SIZES = [n for n, value in STYLE.items() if type(value) in (int, float) and n != "pdf.fonttype"]


def context(style: str) -> AbstractContextManager[None]:
    """Settings under which a figure of that style is made and saved."""
    larger = {name: value * SLIDES for name, value in STYLE.items() if name in SIZES}
    return matplotlib.rc_context(STYLE | (larger if style == "slides" else {}))


def pt(points: float) -> float:
    """A length or a size of type, in points of print, in points of the style."""
    return points * float(matplotlib.rcParams["font.size"]) / float(STYLE["font.size"])


def room(page: Page) -> float:
    """How wide a figure may grow, in inches of print."""
    return page.width / pt(1) if page.width else 12.0 if page.style == "print" else SLIDE[0] / pt(1)


def tight(page: Page) -> float:
    """How small a panel may be, beside one in print: a slide has less room in its larger type."""
    return 1.0 if page.style == "print" else 0.62


def extent(page: Page, width: float, height: float) -> tuple[float, float]:
    """Width and height in inches of print: what the page asks for, else what the drawing needs."""
    least = (0.0, 0.0) if page.style == "print" else (SLIDE[0] / pt(1), SLIDE[1] / pt(1))
    return (
        page.width / pt(1) if page.width else max(width, least[0]),
        page.height / pt(1) if page.height else max(height, least[1]),
    )


def grid(
    panels: int, size: tuple[float, float], across: int, *, share: bool = True
) -> tuple[Figure, list[Axes]]:
    """A Figure of `size`, inches of print, and its axes, filled row by row, `across` in a row."""
    figure = Figure(figsize=(pt(size[0]), pt(size[1])), layout="constrained")
    pads = {"w_pad": pt(0.06), "h_pad": pt(0.05), "wspace": 0.02, "hspace": 0.03}
    figure.get_layout_engine().set(**pads)  # type: ignore[union-attr]
    rows = -(-panels // across)
    axes = figure.subplots(rows, across, squeeze=False, sharey=share).ravel().tolist()
    for spare in axes[panels:]:
        spare.remove()
    return figure, axes[:panels]


def whole_numbers() -> MaxNLocator:
    """Few ticks, at whole numbers."""
    return MaxNLocator(6, integer=True)


def patch(group: str) -> Patch:
    """The key of a group in a legend."""
    return Patch(color=COLORS[group], label=NAMES[group])


def key(label: str, look: Look) -> Line2D:
    """The key of a line, or of a dot, in a legend."""
    dashes: Any = look.dashes
    return Line2D(
        [],
        [],
        label=literal(label),
        color=look.color,
        linestyle=dashes,
        marker=look.marker or None,
        markersize=pt(4),
        linewidth=pt(0.7 if look.faint else 1.4),
    )


def literal(text: str) -> str:
    """A name from a file, in which a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def turn(labels: Sequence[str], room: float) -> tuple[int, int, float]:
    """For columns `room` inches wide: how many to a label, its angle in degrees and height in inches."""
    step = math.ceil(0.16 / room)
    length = 0.068 * max(map(len, labels))
    if length < room * step:
        return step, 0, 0.12
    return (step, 45, 0.75 * length) if room * step > 0.25 else (step, 90, length)


def name_columns(ax: Axes, labels: Sequence[str], step: int, angle: int, numbers: int = 0) -> None:
    """Write each `step`-th name, turned by `angle` degrees, below `numbers` rows of numbers."""
    margin = max(0.6, (3.2 - len(labels)) / 2)  # few violins stay slender
    ax.set_xlim(-margin, len(labels) - 1 + margin)
    align: Any = {"ha": "center", "va": "top"} if angle == 0 else {"ha": "right", "va": "center"}
    ax.set_xticks(
        range(0, len(labels), step), labels[::step], rotation=angle, rotation_mode="anchor", **align
    )
    ax.tick_params(axis="x", pad=pt(3 + 7 * numbers + 3 * (angle == 45)))


def heading(title: str, inches: float) -> str:
    """Words above or below a panel, folded to its width."""
    lines = [textwrap.fill(line, max(int(inches * 13), 8)) for line in title.splitlines()]
    return literal("\n".join(lines))


def annotate(figure: Figure, title: str, caption: str, keys: Sequence[Artist]) -> None:
    """Put title and legend above the panels and the caption below, folded to the figure's width."""
    inches = figure.get_figwidth() / pt(1)
    title = literal(textwrap.fill(title, int(inches * 12)))
    if keys:
        legend = figure.legend(
            handles=list(keys),
            title=title or None,
            loc="outside upper left",
            alignment="left",
            ncols=_columns([str(key.get_label()) for key in keys], inches),
            borderpad=0,
        )
        legend.get_title().set_fontsize(pt(TITLE))
    elif title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=pt(TITLE))
    if caption:
        lines = [textwrap.fill(line, int(inches * 20)) for line in caption.splitlines()]
        figure.supxlabel(
            literal("\n".join(lines)), x=0.01, ha="left", fontsize=pt(6.5), color=FAINT
        )


def legend_height(labels: Sequence[str], width: float) -> float:
    """Inches of print that a legend takes above a figure of that width."""
    return 0.16 * math.ceil(len(labels) / _columns(labels, width))


def _columns(labels: Sequence[str], width: float) -> int:
    widest = 0.6 + 0.062 * max(map(len, labels), default=0)
    return max(1, min(len(labels), int(width / widest)))


def save(
    figure: Figure,
    path: Path,
    form: str,
    *,
    dpi: int = 200,
    about: str = "",
    style: str = "print",
) -> None:
    """Write the figure as pdf, svg or png; `about` (how it was made) goes into the file's metadata.

    Raises ValueError where the figure is too small for its labels.
    """
    described = {"pdf": "Subject", "svg": "Description", "png": "Description"}[form]
    metadata: dict[str, str | None] = {described: about} if about else {}
    if "SOURCE_DATE_EPOCH" not in os.environ:
        metadata |= {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[form]
    with context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a script that the font lacks
        warnings.filterwarnings("error", "constrained_layout not applied")
        try:
            figure.savefig(path, format=form, dpi=dpi, metadata=metadata)
        except UserWarning:
            raise ValueError(f"{_size(figure)} inches are too small for what is drawn") from None


def _size(figure: Figure) -> str:
    return " x ".join(f"{side:.3g}" for side in figure.get_size_inches())
