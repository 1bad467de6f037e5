"""Pictures in rows and columns, each with a word about it."""

from matplotlib.figure import Figure

from invtool.plots import style
from invtool.plots.panels import PLAIN, Gallery, Page

SIDE = 0.95  # inches of a picture


def draw(drawing: Gallery, page: Page = PLAIN) -> Figure:
    """Draw every picture; what is told of it stands above.

    >>> import numpy as np
    >>> pictures = np.zeros((1, 2, 8, 8, 3), np.uint8)
    >>> axes = draw(Gallery(["cat"], ["as it was", "turned"], pictures, [["", "90 %"]])).axes
    >>> [ax.get_title() for ax in axes], axes[0].get_ylabel()
    (['as it was', 'turned\\n90 %'], 'cat')
    """
    rows, columns = len(drawing.rows), len(drawing.columns)
    if not rows or not columns:
        raise ValueError("nothing to draw: a gallery needs at least one picture")
    with style.context(page.style):
        side = SIDE * style.tight(page)
        told = sum(any(texts) for texts in drawing.texts[1:])
        size = style.extent(page, columns * side + 0.4, rows * side + 0.9 + 0.2 * told)
        figure = Figure(figsize=(style.pt(size[0]), style.pt(size[1])), layout="constrained")
        pads = {"w_pad": style.pt(0.02), "h_pad": style.pt(0.02), "wspace": 0.0, "hspace": 0.0}
        figure.get_layout_engine().set(**pads)  # type: ignore[union-attr]
        axes = figure.subplots(rows, columns, squeeze=False)
        for row, name in enumerate(drawing.rows):
            for column, head in enumerate(drawing.columns):
                ax, pixels = axes[row, column], drawing.pictures[row, column]
                gray = pixels.shape[-1] == 1
                levels = {"cmap": "gray", "vmin": 0, "vmax": 255} if gray else {}
                ax.imshow(pixels[..., 0] if gray else pixels, **levels)
                ax.grid(visible=False)
                ax.set_xticks([])
                ax.set_yticks([])
                lines = ([head] if row == 0 else []) + [drawing.texts[row][column]]
                title = style.literal("\n".join(line for line in lines if line))
                ax.set_title(title, fontsize=style.pt(6.5))
                if column == 0:
                    label = style.heading(name, side)
                    ax.set_ylabel(label, fontsize=style.pt(6.5))
        style.annotate(figure, page.title, page.caption, [])
    return figure
