"""One image that moves, beside its curve: a picture of the whole, or an animation in which it grows.

Pillow writes a GIF, ffmpeg an MP4. How it was made stands in the comment of either.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import numpy as np
from matplotlib.animation import FFMpegWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from invtool.errors import InvtoolError
from invtool.plots import style
from invtool.plots.colors import INK
from invtool.plots.maps import JUMP, plot, said, show
from invtool.plots.panels import PLAIN, Film, Page

SHARPNESS = 0.5  # of a still picture's dots an inch
FASTEST = 12  # frames a second
SECONDS = 4  # that a film lasts, where that is not faster
HELD = 1.5  # seconds that the end stays


def draw(drawing: Film, page: Page = PLAIN) -> Figure:
    """The whole curve, beside the image at the place that it jumps to.

    >>> from invtool.plots.panels import Track
    >>> frames = np.zeros((2, 8, 8, 3), np.uint8)
    >>> axes = draw(Film(Track("a.jpg", np.arange(2), np.array([0.9, 0.25]), frames))).axes
    >>> [ax.get_title("left") for ax in axes], axes[0].get_title()
    (['', 'a.jpg'], '1: 0.25')
    """
    figure, _ = _made(drawing, page)
    return figure


def save(
    drawing: Film, page: Page, path: Path, form: str, *, dpi: int = 200, about: str = ""
) -> None:
    """Write the animation as gif or mp4, a frame a place that the image has."""
    with style.context(page.style):
        figure, to_place = _made(drawing, page)
        figure.set_dpi(dpi * SHARPNESS)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        figure.set_layout_engine("none")  # what is laid out once stands still
        shown = drawing.track.shown
        speed = min(FASTEST, max(len(shown) // SECONDS, 1))
        if form == "gif":
            _gif(path, _frames(canvas, to_place, shown), speed, about)
        else:
            _mp4(path, figure, to_place, shown, speed, about)


def _made(drawing: Film, page: Page) -> tuple[Figure, Callable[[int], None]]:
    """The picture, and what draws it as far as a place."""
    track = drawing.track
    if track.frames is None or not track.shown:
        raise ValueError("nothing to draw: a film needs at least one frame")
    at = track.jump[-1] if track.jump else track.shown[-1]
    with style.context(page.style):
        small = style.tight(page)
        size = style.extent(page, 5.6 * small, 2.4 * small + 0.3)
        figure = Figure(figsize=(style.pt(size[0]), style.pt(size[1])), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.6])
        pixels = show(left, track, at, JUMP[1] if track.jump else INK)
        plot(right, track)
        curve, dots = right.lines[0], right.lines[1:]
        right.set_title(style.heading(track.title, size[0] / 2), loc="left")
        right.set_xlabel(drawing.xlabel)
        right.set_ylabel(drawing.ylabel)
        style.annotate(figure, page.title, page.caption, [])

    def to_place(number: int) -> None:
        pixels.set_data(track.frames[number].squeeze())  # type: ignore[index]
        left.set_title(said(track, number), fontsize=style.pt(7), color=INK)
        left.spines[:].set_color(INK)
        curve.set(marker="o", markevery=[-1], markersize=style.pt(3))
        curve.set_data(track.places[: number + 1], track.values[: number + 1])
        for dot, place in zip(dots, track.jump, strict=True):
            dot.set_visible(place <= number)

    return figure, to_place


def _frames(
    canvas: Any, to_place: Callable[[int], None], shown: list[int]
) -> Iterator[Image.Image]:
    for number in shown:
        to_place(number)
        canvas.draw()
        yield Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _gif(path: Path, frames: Iterator[Image.Image], speed: int, about: str) -> None:
    # Its colors are those farthest apart, so that dots keep theirs beside a photograph.
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    first, *rest = (frame.quantize(256, method, dither=dither) for frame in frames)
    each = 10 * round(100 / speed)  # milliseconds, of which a GIF counts tens
    times = [each] * len(rest) + [round(1000 * HELD)]
    comment = {"comment": about.encode()} if about else {}
    first.save(path, "GIF", save_all=True, append_images=rest, duration=times, loop=0, **comment)


def _mp4(
    path: Path,
    figure: Figure,
    to_place: Callable[[int], None],
    shown: list[int],
    speed: int,
    about: str,
) -> None:
    form = [
        "-f",
        "mp4",
        "-fflags",
        "+bitexact",
        "-flags:v",
        "+bitexact",
    ]  # holds no date or version
    writer = FFMpegWriter(fps=speed, codec="h264", metadata={"comment": about}, extra_args=form)
    try:
        with writer.saving(figure, str(path), figure.dpi):
            for number in [*shown, *shown[-1:] * round(HELD * speed)]:
                to_place(number)
                writer.grab_frame()
    except (CalledProcessError, OSError) as error:
        told = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise InvtoolError(f"ffmpeg failed: {told[-1]}; write a .gif instead") from None
