"""Choosing among the layers of a file by name."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from invtool.errors import InvtoolError


def choose(
    present: Sequence[str], patterns: Sequence[str], *, penultimate: str, label: str
) -> list[str]:
    """The layers that any pattern names, in the order of `present`; `label` names the file.

    A pattern is a name, a glob, or one of two words: `all`, and `penultimate` for that layer.
    Raises InvtoolError for a pattern that fits none.

    >>> choose(["conv1", "conv2", "pool"], ["conv*", "penultimate"], penultimate="pool", label="a")
    ['conv1', 'conv2', 'pool']
    """
    words = {"all": "*", "penultimate": penultimate}
    chosen: set[str] = set()
    for pattern in patterns:
        wanted = words.get(pattern, pattern)
        found = [n for n in present if n in (pattern, wanted) or fnmatchcase(n, wanted)]
        if not found:
            near = get_close_matches(pattern, present, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvtoolError(
                f"{label} has no layer {pattern!r}; it has {', '.join(present)}{hint}"
            )
        chosen.update(found)
    return [name for name in present if name in chosen]
