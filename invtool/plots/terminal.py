"""The same drawings in lines of text, for a terminal; needs no matplotlib."""

from invtool.plots import text_lines, text_maps, text_spread, text_tables, text_violins
from invtool.plots.panels import Drawing, Film, Gallery, Lines, Maps, Matrix, Spread, Violins
from invtool.plots.screen import Screen


def draw(drawing: Drawing, screen: Screen, title: str = "", caption: str = "") -> str:
    """Any drawing as text, no line wider than the screen (at least 24 characters)."""
    if isinstance(drawing, Violins):
        return text_violins.draw(drawing, screen, title, caption)
    if isinstance(drawing, Lines):
        return text_lines.draw(drawing, screen, title, caption)
    if isinstance(drawing, Matrix):
        return text_tables.matrix(drawing, screen, title, caption)
    if isinstance(drawing, Spread):
        return text_spread.draw(drawing, screen, title, caption)
    if isinstance(drawing, Maps):
        return text_maps.draw(drawing, screen, title, caption)
    if isinstance(drawing, Film):
        return text_maps.film(drawing, screen, title, caption)
    if isinstance(drawing, Gallery):
        return text_tables.gallery(drawing, screen, title, caption)
    return text_tables.scatter(drawing, screen, title, caption)
