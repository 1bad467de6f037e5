"""Images that move: a map of their probabilities, a row an image, beside the curves of single ones.

The two neighboring places between which a curve jumps most are dots on it, and what the network saw
there stands beside it, in frames of the same colors. Many images are means of neighboring rows.
"""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from invtool.plots import style
from invtool.plots.colors import COLORS, INK, MANY
from invtool.plots.labels import shorten
from invtool.plots.panels import PLAIN, Map, Maps, Page, Track

ROWS = 400  # of a map: more cannot be told apart
CURVES, FEWER = 3, 2  # beside each map, beside each of several
WIDTHS = (3.0, 0.1, 2.4, 0.75, 0.75)  # inches: map, its scale, curves, two frames
CURVE = 1.15  # inches high
LOW = 0.4  # probability that a curve must reach to be drawn against all of them
JUMP = (MANY[0], MANY[1])  # before and after
SHADES = matplotlib.colormaps["viridis"].with_extremes(bad="white")


def draw(drawing: Maps, page: Page = PLAIN) -> Figure:
    """Draw a block a map; where no image is kept, the maps alone.

    >>> panel = Map("net", np.arange(3), np.array([[0.9, 1.0, 0.4], [0, np.nan, 0.5]]), ["a", "b"])
    >>> [axes.get_ylabel() for axes in draw(Maps([panel])).axes]
    ['images, the highest mean first', 'probability']
    """
    if not drawing.panels:
        raise ValueError("nothing to draw: a map needs at least one image")
    examples = any(panel.examples for panel in drawing.panels)
    with style.context(page.style):
        shrunk = style.tight(page)
        widths = [shrunk * width for width in (WIDTHS if examples else WIDTHS[:2])]
        down = len(drawing.panels)
        curves = CURVES if down == 1 else FEWER
        size = style.extent(page, sum(widths) + 1.2, down * shrunk * (curves * CURVE + 0.45) + 0.5)
        figure = Figure(figsize=(style.pt(size[0]), style.pt(size[1])), layout="constrained")
        pads = {"w_pad": style.pt(0.04), "h_pad": style.pt(0.04), "wspace": 0.02, "hspace": 0.03}
        figure.get_layout_engine().set(**pads)  # type: ignore[union-attr]
        grid = figure.add_gridspec(down * curves, len(widths), width_ratios=widths)
        for at, panel in enumerate(drawing.panels):
            rows = slice(at * curves, (at + 1) * curves)
            ax = figure.add_subplot(grid[rows, 0])
            _map(ax, panel, drawing)
            ax.set_title(style.heading(panel.title, 1.2 * size[0]), loc="left")
            scale = figure.add_subplot(grid[rows, 1])
            bar: Any = figure.colorbar(ax.images[0], cax=scale)
            bar.outline.set_linewidth(0)
            scale.set_ylabel(drawing.ylabel)
            shown = panel.examples[:curves]
            for below, track in enumerate(shown, start=at * curves):
                last = below == at * curves + len(shown) - 1
                curve = figure.add_subplot(grid[below, 2])
                plot(curve, track)
                curve.set_title(style.literal(_named(track)), loc="left")
                curve.set_xlabel(drawing.xlabel if last else "")
                for column, number in enumerate(track.jump):
                    if track.frames is not None:
                        beside = figure.add_subplot(grid[below, 3 + column])
                        show(beside, track, number, JUMP[column])
        style.annotate(figure, page.title, page.caption, [])
    return figure


def plot(ax: Axes, track: Track) -> None:
    """The curve of an image, with dots where it jumps; that of low probabilities is enlarged."""
    ax.plot(track.places, track.values, color=INK, linewidth=style.pt(1.1))
    for number, color in zip(track.jump, JUMP, strict=False):
        at = track.places[number], track.values[number]
        ax.plot(*at, "o", color=color, markersize=style.pt(4.5), zorder=3, clip_on=False)
    ax.set_xlim(*_ends(track.places))
    ax.xaxis.set_major_locator(style.whole_numbers())
    highest = float(np.nanmax(track.values))
    ax.set_ylim(0, 1.05 if highest > LOW else 1.2 * highest or 1)


def show(ax: Axes, track: Track, number: int, color: str = COLORS["all"]) -> Any:
    """What the network saw at a place, framed in a color; the image is given back."""
    pixels: Any = track.frames
    gray = pixels.shape[-1] == 1
    image = ax.imshow(
        pixels[number, ..., 0] if gray else pixels[number], cmap="gray" if gray else None
    )
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set(visible=True, color=color, linewidth=style.pt(1.6))
    ax.set_title(said(track, number), fontsize=style.pt(7), color=color)
    return image


def said(track: Track, number: int) -> str:
    """A place and its probability."""
    return f"{track.places[number]:g}: {track.values[number]:.2f}".replace("-", "\N{MINUS SIGN}")


def _map(ax: Axes, panel: Map, drawing: Maps) -> None:
    values = panel.reduced(ROWS)
    count = len(panel.values)
    ax.imshow(
        np.ma.masked_invalid(values),
        cmap=SHADES,
        vmin=0,
        vmax=drawing.limit,
        aspect="auto",
        interpolation="nearest",
        extent=(*_ends(panel.places), count + 0.5, 0.5),
    )
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.xaxis.set_major_locator(style.whole_numbers())
    ax.yaxis.set_major_locator(style.whole_numbers())
    ax.set_xlabel(drawing.xlabel)
    ax.set_ylabel("images, the highest mean first")


def _ends(places: Any) -> tuple[float, float]:
    """Half a step beyond the first and the last place."""
    half = (places[-1] - places[0]) / max(len(places) - 1, 1) / 2 or 0.5
    return float(places[0] - half), float(places[-1] + half)


def _named(track: Track) -> str:
    (name,) = shorten([track.title], 34)
    return name
