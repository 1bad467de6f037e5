"""Names and numbers in little room."""

import re
from collections.abc import Sequence


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
