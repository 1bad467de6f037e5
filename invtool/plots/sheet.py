"""A contact sheet: a row an image, a column a transform, every picture labelled."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

INK, FAINT, FRAME, PAPER = "#222222", "#6B6B6B", "#DDDDDD", "white"
MARGIN, GAP, LEAD = 20, 8, 4  # px: around the sheet, between pictures, between lines
SMALL, LARGE = 128, 256  # px: pictures are enlarged up to the one, reduced down to the other
HEAD, NOTE = 14, 12  # px, of letters
LONGEST = 18  # letters of a row's name

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Pixels = NDArray[np.uint8]  # (height, width, channel)


def draw(
    columns: Sequence[Sequence[str]], rows: Sequence[str], cells: Sequence[Sequence[Pixels]]
) -> Image.Image:
    """Draw `cells[row][column]` under headings of several lines, beside the names of the rows.

    Small pictures are enlarged by a whole number without smoothing, so that their pixels show.
    """
    pictures = [[_scaled(pixels) for pixels in line] for line in cells]
    head, note = ImageFont.load_default(HEAD), ImageFont.load_default(NOTE)
    names = [_shortened(name) for name in rows]
    left = MARGIN + max(round(note.getlength(name)) for name in names) + GAP
    top = MARGIN + HEAD + (NOTE + LEAD) * (max(map(len, columns)) - 1) + LEAD + GAP
    widths = [
        max(*(line[i].width for line in pictures), *_lengths(lines, head, note))
        for i, lines in enumerate(columns)
    ]
    heights = [max(picture.height for picture in line) for line in pictures]
    size = (
        left + sum(widths) + GAP * (len(widths) - 1) + MARGIN,
        top + sum(heights) + GAP * (len(heights) - 1) + MARGIN,
    )
    page = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(page)
    x = left
    for i, lines in enumerate(columns):
        _write_heading(pen, (x, MARGIN), lines, head, note)
        y = top
        for line, height in zip(pictures, heights, strict=True):
            picture, above = line[i], y + (height - line[i].height) // 2
            frame = (x - 1, above - 1, x + picture.width, above + picture.height)
            pen.rectangle(frame, outline=FRAME)  # white pictures end somewhere too
            page.paste(picture, (x, above))
            y += height + GAP
        x += widths[i] + GAP
    y = top
    for name, height in zip(names, heights, strict=True):
        pen.text((left - GAP, y + height // 2), name, fill=FAINT, font=note, anchor="rm")
        y += height + GAP
    return page


def _scaled(pixels: Pixels) -> Image.Image:
    picture = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    side = max(picture.size)
    if side > LARGE:
        picture.thumbnail((LARGE, LARGE), Image.Resampling.LANCZOS)
        return picture
    factor = max(1, SMALL // side)
    return picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )


def _lengths(lines: Sequence[str], head: Font, note: Font) -> list[int]:
    fonts = [head, *[note] * (len(lines) - 1)]
    return [round(font.getlength(line)) for font, line in zip(fonts, lines, strict=True)]


def _write_heading(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    lines: Sequence[str],
    head: Font,
    note: Font,
) -> None:
    x, y = at
    for i, line in enumerate(lines):
        pen.text((x, y), line, fill=FAINT if i else INK, font=note if i else head)
        y += (NOTE if i else HEAD) + LEAD


def _shortened(name: str) -> str:
    """The end of a long name: that is where names of files differ."""
    return name if len(name) <= LONGEST else f"...{name[-LONGEST:]}"
