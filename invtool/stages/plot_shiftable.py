"""How the sums of feature maps change as an image moves: by layer, and of the strongest maps of one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.errors import InvtoolError
from invtool.plots.colors import FAINT
from invtool.plots.panels import Line, Lines, Look, Mark, Plane, Point
from invtool.stages.plot_jagged import column_of, place_of, protocols
from invtool.stages.plot_networks import Picture, many, titled
from invtool.stages.plot_sources import Result

STRONGEST = 5  # maps of a layer
BOUNDARY = Look(FAINT, ":")
Group = list[tuple[Result, dict[str, NDArray[Any]]]]


def depth(config: Plot, results: Sequence[Result]) -> Picture:
    """Nonshiftability through the layers, a line a file; a panel for each different order of layers."""
    together: dict[tuple[str, ...], Group] = {}
    for result in results:
        chosen = tuple(result.chosen(config.layers or ("all",)))
        names = "layer", "nonshiftability", "interval", "subsampling", "position"
        together.setdefault(chosen, []).append((result, result.arrays(*names)))
    looks = many([result.name for result in results])
    panels = [_plane(layers, group, looks) for layers, group in together.items()]
    several = len(results) > 1
    drawing = Lines(
        panels,
        list(looks.items()) if several else [],
        "layer, input to output",
        "nonshiftability: steps at which\na map's sum changes (%)",
        place="layer",
        value="chance_a_step",
        band=True,
        whole=False,
    )
    notes = [
        f"By more than {_shares(results)} % of the map's mean; 0 where the sampling theorem holds.",
        "Band: 95 % bootstrap over images.",
        "With px: pixels of the input between positions of the layers that follow.",
        *protocols(results),
    ]
    return Picture(drawing, notes, "Nonshiftability by layer")


def _plane(layers: Sequence[str], group: Group, looks: dict[str, Look]) -> Plane:
    lines = []
    for result, held in group:
        order = [held["layer"].tolist().index(layer) for layer in layers]
        steps = max(len(held["position"]) - 1, 1)
        shares = np.column_stack([held["nonshiftability"], held["interval"]])[order] / steps
        points = [Point(name, *row) for name, row in zip(layers, shares.tolist(), strict=True)]
        lines.append(Line(result.name, points, looks[result.name], {"network": result.name}))
    factors = {
        tuple(held["subsampling"][held["layer"].tolist().index(layer)] for layer in layers)
        for _, held in group
    }
    title = titled(*(result.name for result, _ in group)) if len(looks) > len(group) else ""
    return Plane(title, lines, _boundaries(factors.pop()) if len(factors) == 1 else ())


def _boundaries(factors: Sequence[float]) -> list[Mark]:
    """A mark before the first layer, and before each whose subsampling differs from the one before."""
    changed = [i for i, factor in enumerate(factors) if i == 0 or factor != factors[i - 1]]
    return [
        Mark(at - 0.5, "subsampling", BOUNDARY, upright=True, label=f"{factors[at]:g} px")
        for at in changed
    ]


def sums(config: Plot, results: Sequence[Result]) -> Picture:
    """The sums of the strongest feature maps of a layer by position, for one image, a panel a file."""
    number = (config.example or 1) - 1
    panels, images = [], dict[str, None]()
    looks = list(many([_ordinal(at) for at in range(STRONGEST)]).items())
    for result in results:
        for layer in result.chosen(config.layers or result.layers[-1:]):
            path = f"layers/{layer}"
            held = result.arrays("position", "name", f"{path}/global_sum", f"{path}/highest")
            total = held[f"{path}/global_sum"]
            if number >= len(total):
                raise InvtoolError(
                    f"{result.label} has {len(total)} image{'s' * (len(total) != 1)}; "
                    f"--example {number + 1} is none of them"
                )
            image = str(held["name"][number])
            images[image] = None
            order = np.argsort(-held[f"{path}/highest"][number], kind="stable")
            lines = []
            for (rank, look), channel in zip(looks, order.tolist(), strict=False):
                facts = {"network": result.name, "layer": layer, "image": image, "channel": channel}
                values = total[number, :, channel]
                top = float(np.abs(values).max()) or 1.0
                pairs = zip(held["position"].tolist(), (values / top).tolist(), strict=True)
                points = [Point(place, value) for place, value in pairs]
                lines.append(Line(rank, points, Look(look.color), facts))
            panels.append(Plane(titled(result.name, layer), lines))
    keys = [(rank, Look(look.color)) for rank, look in looks]
    drawing = Lines(
        panels,
        keys[: max(len(panel.lines) for panel in panels)],
        place_of(results),
        "sum of a map, of its highest (%)",
        place=column_of(results),
        value="share_of_highest",
        whole=False,
    )
    notes = [
        f"The maps that respond most to image {', '.join(images)}, the strongest first.",
        *protocols(results),
    ]
    return Picture(drawing, notes, "Sums of the strongest feature maps by position")


def _ordinal(at: int) -> str:
    return "strongest map" if at == 0 else f"{at + 1}{ {1: 'nd', 2: 'rd'}.get(at, 'th') }"


def _shares(results: Sequence[Result]) -> str:
    return " or ".join(sorted({f"{100 * float(r.attributes['share']):g}" for r in results}))
