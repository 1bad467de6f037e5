"""What images of seen and of unseen categories are taken for (figure 6)."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Plot
from invtool.errors import InvtoolError
from invtool.plots.colors import FAINT, INK
from invtool.plots.panels import (
    Cells,
    Line,
    Lines,
    Look,
    Matrix,
    Plane,
    Point,
)
from invtool.stages.plot_networks import (
    Family,
    Picture,
    counted,
    families,
    many,
    of_categories,
    point,
    spread,
    titled,
)
from invtool.stages.plot_sources import UNKNOWN, Result, common_categories

SIDES = ("seen", "unseen")


def quadrants(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 6: what images of seen and of unseen categories are taken for, right and wrong."""
    shares = {id(result): _confusion(result) for result in results}
    if counted(results):
        return _quadrant_lines(results, shares)
    panels, rows = [], []
    for result in results:
        for c, condition in enumerate(result.conditions):
            found = shares[id(result)][c]  # (true, predicted, correct)
            title = titled(condition, result.name if len(results) > 1 else "")
            facts = {
                "file": result.name,
                "seen_categories": result.seen,
                "condition": condition,
            }
            panels.append(
                Cells(
                    title,
                    SIDES,
                    SIDES,
                    found.sum(axis=-1),
                    [[_told(found[t, p], t == p) for p in range(2)] for t in range(2)],
                )
            )
            rows += [
                {**facts, **_facts(t, p, right), "share": float(found[t, p, right])}
                for t, p, right in product(range(2), range(2), range(2))
                if t == p or not right
            ]
    drawing = Matrix(panels, "predicted category", "true category")
    note = "Share (%) of the images of seen and of unseen categories; rows sum to 100."
    return Picture(drawing, [note], "what images are taken for (%)", rows=rows)


def _told(share: NDArray[Any], own: bool) -> str:
    if np.isnan(share).any():
        return "-"
    wrong, right = 100 * share
    return f"{right:.0f} right\n{wrong:.0f} wrong" if own else f"{wrong:.0f} wrong"


def _confusion(result: Result) -> NDArray[Any]:
    held = result.arrays("confusion")
    if "confusion" not in held:
        raise InvtoolError(
            f"{result.label} holds no /confusion; its network does not say what it saw"
        )
    return held["confusion"]


def _quadrant_lines(results: Sequence[Result], shares: dict[int, NDArray[Any]]) -> Picture:
    total = common_categories(results)
    compared = families(results)
    looks = many([family.title for family in compared])
    plain = Family("none", "untransformed", list(results))
    panels = []
    for t, p in product(range(2), range(2)):
        lines = [
            _line(family, shares, (t, p, right), looks.get(family.title, Look(FAINT)))
            for family in [*compared, plain]
            for right in ((1, 0) if t == p else (0,))
        ]
        lines += [_guess(plain.counts, total, t, p)] if total else []
        panels.append(Plane(f"{SIDES[t]}, taken for {SIDES[p]}", lines))
    keys = [(name, look) for name, look in looks.items()]
    keys += [("untransformed", Look(FAINT)), ("right", Look(INK)), ("wrong", Look(INK, "--"))]
    keys += [("any category guessed", Look(FAINT, ":"))] if total else []
    drawing = Lines(
        panels,
        keys,
        of_categories(total),
        "share of the images (%)",
        place="seen_categories",
        value="share",
        wide=True,
        across=2,
    )
    notes = [
        "Share of the images of seen (above) and of unseen categories (below).",
        *spread(results, [p for panel in panels for line in panel.lines for p in line.points]),
    ]
    return Picture(drawing, notes, "what images are taken for (%)")


def _line(
    family: Family, shares: dict[int, NDArray[Any]], at: tuple[int, int, int], look: Look
) -> Line:
    """A quadrant's share, `at` (true, predicted, correct), by the number of seen categories."""

    def share(result: Result) -> float:
        return float(shares[id(result)][(result.conditions.index(family.transform), *at)])

    points = [point(n, [(share(r), UNKNOWN) for r in family.at(n)]) for n in family.counts]
    word, dashes = ("right", "-") if at[2] else ("wrong", "--")
    facts = {"condition": family.transform, **_facts(*at)}
    return Line(titled(family.title, word), points, Look(look.color, dashes, look.marker), facts)


def _guess(counts: Sequence[int], total: int, true: int, predicted: int) -> Line:
    """Where the answers of a network that guesses any category alike would fall."""
    points = []
    for number in counts:
        sizes = number, total - number
        points.append(Point(number, sizes[predicted] / total if sizes[true] else np.nan))
    facts = {"condition": "any category guessed", **_facts(true, predicted, None)}
    return Line("any category guessed", points, Look(FAINT, ":"), facts)


def _facts(true: int, predicted: int, correct: int | None) -> dict[str, Any]:
    return {"true_group": SIDES[true], "predicted_group": SIDES[predicted], "correct": correct}
