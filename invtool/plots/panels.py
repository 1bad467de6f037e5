"""What is drawn, before anyone decides how: panels of columns, each with one sample a group."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from invtool.plots.density import Values, finite


@dataclass(frozen=True)
class Panel:
    """One pair of axes: `samples[group][i]` is the sample (value,) of that group in column `labels[i]`.

    NaN stands for undefined. The groups `seen` and `unseen` are drawn as the left and the right half of
    one violin; a group that is alone is drawn whole.
    """

    title: str
    labels: Sequence[str]
    samples: Mapping[str, Sequence[Values]]

    def __post_init__(self) -> None:
        for group, columns in self.samples.items():
            if len(columns) != len(self.labels):
                raise ValueError(
                    f"{len(columns)} samples of '{group}' for {len(self.labels)} labels"
                )


@dataclass(frozen=True)
class Curves:
    """One pair of axes: `series[name][i]` is a number, 0 to 1, of the network whose place is `places[i]`.

    Places are numbers of seen categories, or names (of transforms). Networks at one place, of several
    seeds, are averaged and all of them shown; NaN stands for undefined.
    """

    title: str
    places: Sequence[int] | Sequence[str]
    series: Mapping[str, Sequence[float]]

    def __post_init__(self) -> None:
        for name, numbers in self.series.items():
            if len(numbers) != len(self.places):
                raise ValueError(
                    f"{len(numbers)} numbers of '{name}' for {len(self.places)} places"
                )

    def at(self, name: str) -> dict[int | str, list[float]]:
        """The defined numbers of one series at each place; numbered places in order."""
        places: list[int | str] = list(self.places)
        if not any(isinstance(place, str) for place in places):
            places.sort()
        found: dict[int | str, list[float]] = {place: [] for place in places}
        for at, number in enumerate(self.series[name]):
            if math.isfinite(number):
                found[self.places[at]].append(number)
        return found


def groups_drawn(panels: Sequence[Panel]) -> list[str]:
    """The groups that hold a value in any panel, in order: one, or seen and unseen.

    >>> import numpy as np
    >>> groups_drawn([Panel("", ["fc"], {"seen": [np.array([0.5])], "unseen": [np.array([np.nan])]})])
    ['seen']
    """
    if not panels or not all(panel.labels for panel in panels):
        raise ValueError("nothing to draw: a panel needs at least one column")
    given = list(dict.fromkeys(group for panel in panels for group in panel.samples))
    if len(given) > 1 and set(given) != {"seen", "unseen"}:
        raise ValueError(f"only seen and unseen share a violin, not {', '.join(given)}")
    held = [g for g in given if any(finite(v).size for p in panels for v in p.samples[g])]
    return held or given


def highest(panels: Sequence[Panel]) -> float:
    """The largest value of any panel; 0 where there is none."""
    columns = (finite(v) for p in panels for samples in p.samples.values() for v in samples)
    return max((float(values.max()) for values in columns if values.size), default=0.0)


def count(number: int) -> str:
    """A number of units in at most five characters.

    >>> [count(n) for n in (0, 9999, 12345, 186624, 1200000)]
    ['0', '9999', '12.3k', '187k', '1.2M']
    """
    if number < 10_000:
        return str(number)
    scaled, unit = (number / 1e3, "k") if number < 999_500 else (number / 1e6, "M")
    return f"{scaled:.3g}{unit}"


def shorten(labels: Sequence[str], limit: int, gap: str = "…") -> list[str]:
    """Labels of at most `limit` characters: first without what all share in front, then cut in the middle.

    >>> shorten(["backbone.block1.relu", "backbone.block2.relu"], 12)
    ['block1.relu', 'block2.relu']
    >>> shorten(["a_rather_long_name"], 9)
    ['a_ra…name']
    """
    if max(map(len, labels), default=0) <= limit:
        return list(labels)
    shared = _shared_prefix(labels)
    return [_cut(label[shared:], limit, gap) for label in labels]


def _shared_prefix(labels: Sequence[str]) -> int:
    parts = [re.findall(r"[^./]*[./]|[^./]+$", label)[:-1] for label in labels]
    shared = 0
    for level in zip(*parts, strict=False):
        if len(labels) < 2 or len(set(level)) > 1:
            break
        shared += len(level[0])
    return shared


def _cut(label: str, limit: int, gap: str) -> str:
    if len(label) <= limit:
        return label
    kept = max(limit - len(gap), 1)
    front = (kept + 1) // 2
    return label[:front] + gap + (label[front - kept :] if kept > front else "")
