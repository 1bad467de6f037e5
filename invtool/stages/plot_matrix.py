"""Every network on every transform, as a matrix of accuracies (figure 2a)."""

from collections.abc import Sequence

import numpy as np

from invtool.config import Plot
from invtool.plots.panels import (
    Cells,
    Matrix,
)
from invtool.stages.plot_networks import (
    Picture,
    point,
    titled,
)
from invtool.stages.plot_sources import Result, refuse_silent


def matrix(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 2a: the accuracy of every network under every condition."""
    refuse_silent(results)
    group = "all" if config.group == "auto" else config.group
    rows = _alike(results)
    conditions = list(dict.fromkeys(c for result in results for c in result.conditions))
    points = [
        [point(c, [result.measured(c, group) for result in networks]) for c in conditions]
        for networks in rows.values()
    ]
    framed = [
        (row, conditions.index(networks[0].trained))
        for row, networks in enumerate(rows.values())
        if networks[0].trained in conditions and networks[0].seen != 0
    ]
    facts = [
        {
            "network": name,
            "trained_with": networks[0].trained,
            "seen_categories": networks[0].seen,
            "networks": len(networks),
            "group": group,
        }
        for name, networks in rows.items()
    ]
    cells = Cells(
        "",
        list(rows),
        conditions,
        np.array([[p.value for p in row] for row in points]),
        framed=framed,
        facts=facts,
        intervals=np.array([[(p.low, p.high) for p in row] for row in points]),
    )
    who = "all" if group == "all" else f"the {group}"
    notes = [f"Top-1 accuracy (%) on images of {who} categories."]
    if framed:
        notes.append("Framed: the transform that the network was trained with.")
    if len(rows) < len(results):
        notes.append(f"Means of {len(results)} networks of several seeds.")
    drawing = Matrix(
        [cells], "images are transformed by", "network trained with", column="condition"
    )
    return Picture(drawing, notes, heading="top-1 accuracy (%) by network and transform")


def _alike(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Networks that differ only in their seed under one name; others under a name of their own."""
    found: dict[tuple[str, int | None], list[Result]] = {}
    for result in results:
        trained = result.trained if result.seen else ""
        found.setdefault((trained, result.seen), []).append(result)
    counts = len({seen for _, seen in found if seen}) > 1
    rows: dict[str, list[Result]] = {}
    for (trained, seen), networks in found.items():
        seeds = {result.seed for result in networks}
        known = seen is not None and (trained or seen == 0)
        if not known or len(seeds) < len(networks):
            rows |= {result.name: [result] for result in networks}
        else:
            number = f"{seen} seen" if counts and seen else ""
            rows[titled(trained or "no transform", number)] = networks
    return rows
