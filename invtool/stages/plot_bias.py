"""Where objects stand in their images and how high they are: photographer's bias, by category."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.errors import InvtoolError, UsageError
from invtool.plots.panels import NAN, Objects, Spread
from invtool.stages.bias_result import order, written
from invtool.stages.plot_networks import Picture, titled
from invtool.stages.plot_sources import Result

ALL = "all"  # categories together
MOST = 12  # panels; more is a slip of the pen
ARRAYS = ("category", "center", "height", "box_category")
TESTS = ("position", "placement", "size")
Arrays = dict[str, NDArray[Any]]


def bias(config: Plot, results: Sequence[Result]) -> Picture:
    """A row of panels for all boxes, and for each category that is asked for."""
    panels: list[Objects] = []
    for result in results:
        held = result.arrays(*ARRAYS, *(f"{test}_log10_p" for test in TESTS))
        name = result.name if len(results) > 1 else ""
        panels += _panels(config.categories, held, result, name)
    if len(panels) > MOST:
        raise UsageError(
            f"{len(panels)} categories are too many for a picture; choose {MOST} or fewer with --category"
        )
    limits = {f"{result.attributes.get('below') or NAN:g}" for result in results}
    notes = [
        "Dashed: uniform. Placement: position, given the size.",
        f"Of all categories: how many are under p = {' or '.join(sorted(limits))}.",
    ]
    return Picture(Spread(panels), notes, "Centers and heights of objects")


def _panels(patterns: Sequence[str], held: Arrays, result: Result, name: str) -> Iterator[Objects]:
    categories = held["category"].tolist()
    for chosen in _chosen(patterns, held, result.label):
        if chosen is None:
            yield _together(held, result, name)
            continue
        mine = held["box_category"] == chosen
        p = {test: written(float(held[f"{test}_log10_p"][chosen])) for test in TESTS}
        yield Objects(
            titled(categories[chosen], _boxes(int(mine.sum())), name),
            held["center"][mine],
            held["height"][mine],
            f"p: position {p['position']}, placement {p['placement']}",
            f"p: size {p['size']}",
            [categories[chosen]] * int(mine.sum()),
        )


def _chosen(patterns: Sequence[str], held: Arrays, label: str) -> list[int | None]:
    """Numbers of the categories to draw, None for all together."""
    ranked = order(held["position_log10_p"], held["size_log10_p"]).tolist()
    tested = int((~np.isnan(np.maximum(held["position_log10_p"], held["size_log10_p"]))).sum()) or 1
    if not patterns and len(ranked) == 1:
        return [0]
    if not patterns:
        return [None, *dict.fromkeys([ranked[0], ranked[tested - 1]])]
    names, found = held["category"].tolist(), list[int | None]()
    for pattern in patterns:
        matching = [at for at, name in enumerate(names) if fnmatchcase(name, pattern)]
        if pattern != ALL and not matching:
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            raise InvtoolError(f"{label} has no category {pattern!r}; it has {shown}")
        found += [None] if pattern == ALL and not matching else matching
    return list(dict.fromkeys(found))


def _together(held: Arrays, result: Result, name: str) -> Objects:
    limit = np.log10(result.attributes.get("below") or NAN)
    tested = {test: held[f"{test}_log10_p"] for test in TESTS}
    said = {
        test: f"{int((p < limit).sum())}/{int((~np.isnan(p)).sum())}" for test, p in tested.items()
    }
    return Objects(
        titled("all categories", _boxes(len(held["height"])), name),
        held["center"],
        held["height"],
        f"position {said['position']}, placement {said['placement']}",
        f"size {said['size']}",
        [str(held["category"][number]) for number in held["box_category"]],
    )


def _boxes(number: int) -> str:
    return f"{number:,} box" + "es" * (number != 1)
