"""A finding of a paper beside what was measured, and the results that it is read from."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from invtool.stages.plot_sources import Result, describe

NOT_MEASURED = "not measured"
YES, PARTLY, NO = "yes", "in part", "no"


@dataclass(frozen=True)
class Finding:
    """What a paper says at `place`, what was measured here, and whether that agrees.

    agrees: yes, in part, no, or not measured
    """

    place: str
    paper: str
    here: str = ""
    agrees: str = NOT_MEASURED


@dataclass(frozen=True)
class Files:
    """The networks in the results of a study, by the kind of the file; each knows its path."""

    kinds: Mapping[str, Sequence[Result]] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> "Files":
        """Each file once, however often it is named; raises InvtoolError for one that is no result."""
        kinds: dict[str, list[Result]] = {}
        for path in dict.fromkeys(paths):
            for result in describe(path):
                kinds.setdefault(result.kind, []).append(result)
        return cls(kinds)

    @property
    def results(self) -> list[Result]:
        """Of all kinds."""
        return [result for kind in self.kinds.values() for result in kind]

    def of(self, kind: str, folder: str = "") -> list[Result]:
        """The networks of a kind; with `folder`, of files in a folder, or with a stem, of that name."""
        found = self.kinds.get(kind, ())
        return [r for r in found if not folder or folder in (r.path.parent.name, r.path.stem)]


def agreement(cases: Mapping[str, bool] | Iterable[bool]) -> str:
    """Yes where all cases agree, no where none does, and else which do, or the fewer that do not."""
    told = dict(cases) if isinstance(cases, Mapping) else {str(n): c for n, c in enumerate(cases)}
    if not told:
        return NOT_MEASURED
    agreeing = [name for name, agrees in told.items() if agrees]
    others = [name for name, agrees in told.items() if not agrees]
    if not (agreeing and others):
        return YES if agreeing else NO
    if not isinstance(cases, Mapping):
        return PARTLY
    few = f"not {', '.join(others)}" if len(others) < len(agreeing) else ", ".join(agreeing)
    return f"{PARTLY}: {few}"


def percent(share: float) -> str:
    """`28 %`; a share that is not known is `-`.

    >>> percent(0.284), percent(0.0042), percent(math.nan)
    ('28 %', '0.4 %', '-')
    """
    if math.isnan(share):
        return "-"
    return f"{100 * share:.1f} %" if 0 < share < 0.0095 else f"{100 * share:.0f} %"


def mean(values: Iterable[float]) -> float:
    """Of those that are known; NaN of none."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
