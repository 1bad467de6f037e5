"""How figures look and how they are saved.

The colors are those of Okabe and Ito (2008), which stay apart for every common color vision; `seen` is also
darker than `unseen`, so that they stay apart in gray. A saved figure holds no time of its own, and the same
figure is the same bytes: a PDF or SVG is dated only where SOURCE_DATE_EPOCH says so.
"""

import math
import os
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

COLORS = {"all": "#009E73", "seen": "#0072B2", "unseen": "#E69F00"}
DARK = {"all": "#00694C", "seen": "#005A8E", "unseen": "#8A5F00"}  # for text on white
NAMES = {"all": "all categories", "seen": "seen categories", "unseen": "unseen categories"}
INK = "#222222"
FAINT = "#6B6B6B"
TITLE = 9.5  # points

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


def grid(panels: int, width: float, height: float, across: int) -> tuple[Figure, list[Axes]]:
    """A Figure of `width` by `height` inches and its axes, filled row by row, `across` in a row."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.05, wspace=0.02, hspace=0.03)  # type: ignore[union-attr, call-arg]
    rows = -(-panels // across)
    axes = figure.subplots(rows, across, squeeze=False, sharey=True).ravel().tolist()
    for spare in axes[panels:]:
        spare.remove()
    return figure, axes[:panels]


def patch(group: str) -> Patch:
    """The key of a group in a legend."""
    return Patch(color=COLORS[group], label=NAMES[group])


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
    ax.tick_params(axis="x", pad=3 + 7 * numbers + 3 * (angle == 45))


def heading(title: str, inches: float) -> str:
    """A panel's title, folded to its width."""
    lines = [textwrap.fill(line, max(int(inches * 13), 8)) for line in title.splitlines()]
    return literal("\n".join(lines))


def annotate(figure: Figure, title: str, caption: str, keys: Sequence[Artist]) -> None:
    """Put title and legend above the panels and the caption below, folded to the figure's width."""
    inches = figure.get_figwidth()
    title = literal(textwrap.fill(title, int(inches * 12)))
    if keys:
        legend = figure.legend(
            handles=list(keys),
            title=title or None,
            loc="outside upper left",
            alignment="left",
            ncols=min(len(keys), max(1, int(inches / 1.5))),
            borderpad=0,
        )
        legend.get_title().set_fontsize(TITLE)
    elif title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=TITLE)
    if caption:
        lines = [textwrap.fill(line, int(inches * 20)) for line in caption.splitlines()]
        figure.supxlabel(literal("\n".join(lines)), x=0.01, ha="left", fontsize=6.5, color=FAINT)


def save(figure: Figure, path: Path, form: str, *, dpi: int = 200, about: str = "") -> None:
    """Write the figure as pdf, svg or png; `about` (how it was made) goes into the file's metadata.

    Raises ValueError where the figure is too small for its labels.
    """
    described = {"pdf": "Subject", "svg": "Description", "png": "Description"}[form]
    metadata: dict[str, str | None] = {described: about} if about else {}
    if "SOURCE_DATE_EPOCH" not in os.environ:
        metadata |= {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[form]
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a script that the font lacks
        warnings.filterwarnings("error", "constrained_layout not applied")
        try:
            figure.savefig(path, format=form, dpi=dpi, metadata=metadata)
        except UserWarning:
            raise ValueError(f"{_size(figure)} inches are too small for what is drawn") from None


def _size(figure: Figure) -> str:
    return " x ".join(f"{side:.3g}" for side in figure.get_size_inches())
