"""Low-pass filters by name, read without importing torch.

avgK     box of K taps, each 1/K
blurK    binomial of K taps, (K-1 over k) / 2^(K-1): blur3 is [1, 2, 1] / 4, blur5 is [1, 4, 6, 4, 1] / 16
blur     blur3
none     no filter

In two dimensions a filter is the outer product with itself. The box is that of *Why do deep convolutional networks generalize
so poorly to small image transformations?* (section 3, 6x6), the binomial that of Zhang, *Making convolutional networks
shift-invariant again* (2019), where blur3 is called Tri-3 and blur5 Bin-5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

from invtool.errors import InvtoolError, UsageError

FILTERS: dict[str, Callable[[int], tuple[float, ...]]] = {
    "avg": lambda taps: (1 / taps,) * taps,
    "blur": lambda taps: tuple(comb(taps - 1, k) / 2 ** (taps - 1) for k in range(taps)),
}
"""Name -> weights of that many taps, which sum to 1."""

NONE = "none"
PLAIN = {"blur": "blur3"}  # a name that stands alone
MOST_TAPS = 31


@dataclass(frozen=True)
class Filter:
    """A low-pass filter along one axis."""

    name: str  # in FILTERS
    taps: int

    @property
    def weights(self) -> tuple[float, ...]:
        return FILTERS[self.name](self.taps)

    def __str__(self) -> str:
        return f"{self.name}{self.taps}"


def parse(text: str, where: str) -> Filter | None:
    """The filter that `text` names, which stands at `where`; None for an empty text and for `none`.

    Raises:
        UsageError: no such filter.

    Examples:
        >>> parse("blur", "--pool")
        Filter(name='blur', taps=3)
        >>> parse("blur5", "--antialias").weights
        (0.0625, 0.25, 0.375, 0.25, 0.0625)
        >>> parse("none", "--pool") is None
        True
        >>> parse("blur1", "--pool")
        Traceback (most recent call last):
        ...
        invtool.errors.UsageError: --pool blur1: avgK or blurK with K from 2 to 31, blur or none is wanted
    """
    if text in ("", NONE):
        return None
    match = re.fullmatch(r"([a-z]+)([0-9]{1,2})", PLAIN.get(text, text))
    if not match or match[1] not in FILTERS or not 2 <= int(match[2]) <= MOST_TAPS:
        forms = " or ".join(f"{name}K" for name in FILTERS)
        alone = ", ".join(PLAIN)
        raise UsageError(
            f"{where} {text}: {forms} with K from 2 to {MOST_TAPS}, {alone} or {NONE} is wanted"
        )
    return Filter(match[1], int(match[2]))


def chosen(
    *, pool: str, antialias: str, told: Mapping[str, Any] | None = None, source: str = ""
) -> dict[str, str]:
    """Option -> filter, where there is one: what was asked for, else what `source`, a model file, has told.

    Raises:
        UsageError: no such filter was asked for.
        InvtoolError: the file tells one that there is not.

    Examples:
        >>> chosen(pool="", antialias="blur", told={"pool": "avg6", "antialias": "blur5"})
        {'pool': 'avg6', 'antialias': 'blur3'}
        >>> chosen(pool="none", antialias="", told={"pool": "avg6"})
        {}
    """
    found: dict[str, str] = {}
    for option, text in {"pool": pool, "antialias": antialias}.items():
        smoothing = parse(text, f"--{option}") if text else _told(option, told or {}, source)
        if smoothing:
            found[option] = str(smoothing)
    return found


def _told(option: str, told: Mapping[str, Any], source: str) -> Filter | None:
    try:
        return parse(str(told.get(option, "")), f"{source} was trained with {option}")
    except UsageError as error:
        raise InvtoolError(str(error)) from None
