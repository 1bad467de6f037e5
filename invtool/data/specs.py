"""The grammar of data specs: `NAME[:key=value,...]`, `folder:PATH[,key=value...]`, `deformed:source=SPEC[,...]`, or a path.

Parsing needs no numpy and no torch, so that a wrong spec is refused at once.
"""

import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import inf
from pathlib import Path

from invtool.errors import InvtoolError, UsageError
from invtool.transforms.registry import BORDERS

EMBEDDED = ("faces", "objects")
DOWNLOADED = ("cifar10", "cifar100", "mnist", "fashion-mnist", "omniglot", "imagenet")
# option -> (default, least value), in the unit that the help names
EMBEDDED_OPTIONS = {
    "categories": (100, 1),
    "size": (32, 16),  # pixels
    "train": (60, 1),  # images a category
    "test": (10, 1),  # images a category
    "seed": (0, 0),
}
READ_OPTIONS = {"size": (0, 8), "seed": (0, 0)}  # 0 pixels: as they are
FOLDER_OPTIONS = {
    **READ_OPTIONS,
    "crop": (0, 8),  # pixels of a central square, after the resize; 0: all
    "numbered": (0, 0),  # 1: folders, or files without any, begin with their category's number
}
DEFORMED = "deformed"
BORDER = "edge"  # unless told, as the transform deform has it
DEFORMED_OPTIONS = {
    "classes": (10, 1),
    "train": (1000, 1),  # images a class
    "test": (200, 1),  # images a class
    "grid": (3, 2),  # control points a side
    "seed": (0, 0),
}


@dataclass(frozen=True)
class Deformation:
    """What a set of deformed images is made of, and how, besides its options.

    strength: pixels, the largest displacement of a control point along each axis
    """

    source: "DataSpec"
    strength: float
    border: str


@dataclass(frozen=True)
class DataSpec:
    """A data set by name (`path` empty) or by path (`name` is `folder` or `file`)."""

    name: str
    path: str = ""
    options: dict[str, int] = field(default_factory=dict)
    deformation: Deformation | None = None  # where the name is `deformed`

    def __str__(self) -> str:
        """The shortest spec that means the same."""
        known = _options(self.name)
        told = [f"{k}={v}" for k, v in sorted(self.options.items()) if v != known[k][0]]
        if self.name == "file":
            return self.path
        if self.deformation:
            border = self.deformation.border
            told += [f"border={border}"] if border != BORDER else []
            made = [f"source={self.deformation.source}", f"strength={self.deformation.strength:g}"]
            return f"{self.name}:" + ",".join(made + told)
        head = f"folder:{self.path}" if self.name == "folder" else self.name
        return (
            head + ("," if self.name == "folder" and told else ":" if told else "") + ",".join(told)
        )


def parse(text: str, *, seed: int | None = None) -> DataSpec:
    """Raise UsageError for a spec that names nothing, InvtoolError for a path that is not there."""
    head, colon, rest = text.partition(":")
    if head == "folder" and colon:
        path, rest = _folder(rest)
        return DataSpec("folder", path, _read_options("folder", rest, seed))
    if head == DEFORMED:
        return _deformed(rest, seed)
    if head in EMBEDDED + DOWNLOADED:
        return DataSpec(head, "", _read_options(head, rest, seed))
    if text and Path(text).is_dir():  # no text at all is the current folder to Path
        return DataSpec("folder", text, _read_options("folder", "", seed))
    if text == "-" or (text and Path(text).exists()):
        return DataSpec("file", text, {})
    if "/" in text or "." in text:
        raise InvtoolError(f"{text}: no such file or folder")
    known = (*EMBEDDED, *DOWNLOADED, DEFORMED)
    near = get_close_matches(head, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    raise UsageError(f"no data set {head!r}; {hint} (or folder:PATH, or an images HDF5 file)")


def _folder(text: str) -> tuple[str, str]:
    """The folder and its options: a folder's name may hold commas, so the longest that is there."""
    parts = text.split(",")
    for count in range(len(parts), 0, -1):
        path = ",".join(parts[:count])
        if path and Path(path).is_dir():
            return path, ",".join(parts[count:])
    raise InvtoolError(f"folder:{parts[0]}: no such folder")


def _deformed(text: str, seed: int | None) -> DataSpec:
    told = dict(part.partition("=")[::2] for part in filter(None, text.split(",")))
    source, strength = told.pop("source", ""), told.pop("strength", "")
    border = told.pop("border", BORDER)
    if not source or "=" in source:
        raise UsageError(
            f"data set {DEFORMED}: source={source} is wrong; a data set without options is wanted, "
            "as source=mnist, or an images file (see invtool data)"
        )
    if border not in BORDERS:
        raise UsageError(f"data set {DEFORMED}: border={border} is none of {', '.join(BORDERS)}")
    rest = ",".join(f"{key}={value}" for key, value in told.items())
    options = _read_options(DEFORMED, rest, seed)
    deformation = Deformation(parse(source), _pixels(strength), border)
    return DataSpec(DEFORMED, "", options, deformation)


def _pixels(text: str) -> float:
    try:
        strength = float(text)
    except ValueError:
        strength = inf
    if not 0 <= strength < inf:
        raise UsageError(
            f"data set {DEFORMED}: strength={text} is wrong; pixels from 0 are wanted, as strength=3"
        )
    return strength


def _options(name: str) -> dict[str, tuple[int, int]]:
    if name == "folder":
        return FOLDER_OPTIONS
    if name == DEFORMED:
        return DEFORMED_OPTIONS
    return EMBEDDED_OPTIONS if name in EMBEDDED else READ_OPTIONS


def _read_options(name: str, text: str, seed: int | None) -> dict[str, int]:
    known = _options(name)
    values = {key: default for key, (default, _) in known.items()}
    if seed is not None:
        values["seed"] = seed
    for part in filter(None, text.split(",")):
        key, _, value = part.partition("=")
        if key not in known:
            raise UsageError(f"data set {name}: no option {key!r}; it has {', '.join(known)}")
        if not value.isdecimal() or int(value) < known[key][1]:
            raise UsageError(
                f"data set {name}: {key}={value} is wrong; an integer from {known[key][1]} is wanted"
            )
        values[key] = int(value)
    return values


def data_root() -> Path:
    """Where downloaded data sets lie: $INVTOOL_DATA.

    Raises InvtoolError if the variable is not set.
    """
    root = os.environ.get("INVTOOL_DATA")
    if not root:
        raise InvtoolError("set INVTOOL_DATA to the folder that holds the data sets")
    return Path(root)
