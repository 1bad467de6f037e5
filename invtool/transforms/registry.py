"""The table of transforms: names, parameters, units, families and sources. Free of torch.

To add a transform, write its function in a module beside this one and append one `Transform` to
the tuple below: the spec grammar, the list, the help and the contact sheet read it from here. The
function's name is the transform's, with underscores; its keywords are the parameters'.

A source is the short name of a paper and a place in it: *categories* is the paper on robustness
across categories and invariant neurons, *sensitivity* the one on the Invariant Transformer Net,
*deformation* the one on learned deformation stability.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

Family = Literal["color", "convolution", "noise", "geometric"]
FILLS = ("inpaint", "black", "edge", "mean")  # of what lies around an object
BORDERS = ("zeros", "edge", "reflect")  # of what lies outside the image
Value = float | str | tuple[float, float]
"""What a parameter may be: a number, a word or the name of a file, or a pair of numbers."""


@dataclass(frozen=True)
class Parameter:
    """One number of a transform: its default, its unit and the closed range that it may take.

    Where the default is `auto`, which goes by the images' size, that word may be given too. A
    `whole` one is an integer. A `tacit` one is left out of a spec's text where it has its default.
    At a `singular` value, which the range leaves out, nothing of the image would be left to see.
    """

    name: str
    default: float | Literal["auto"]
    unit: str
    low: float
    high: float
    help: str
    whole: bool = False
    tacit: bool = False
    singular: float | None = None

    @property
    def range(self) -> str:
        """As messages and tables write it: `0 to 64 px`; a pure number's unit, 1, is left out."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        but = "" if self.singular is None else f" other than {self.singular:g}"
        word = " or auto" if self.default == "auto" else ""
        return f"{self.low:g} to {self.high:g}{unit}{but}{word}"

    def row(self) -> dict[str, str | None]:
        """The columns of a table that describe it."""
        default = self.default if isinstance(self.default, str) else f"{self.default:g}"
        return {"parameter": self.name, "default": default, "unit": self.unit, "range": self.range}

    def told(self, value: Value) -> str:
        """A value with its unit, where the name does not tell it: `2 px`."""
        if isinstance(value, str):
            return value
        unit = "" if self.unit in ("1", self.name) else f" {self.unit}"
        return f"{value:g}{unit}"


@dataclass(frozen=True)
class Choice:
    """One setting of a transform that is a word: its default and the words that it may take.

    A `tacit` one is left out of a spec's text where it has its default.
    """

    name: str
    default: str
    words: tuple[str, ...]
    help: str
    tacit: bool = False

    @property
    def range(self) -> str:
        """As messages and tables write it."""
        return f"{', '.join(self.words[:-1])} or {self.words[-1]}"

    def row(self) -> dict[str, str | None]:
        """The columns of a table that describe it."""
        return {"parameter": self.name, "default": self.default, "unit": None, "range": self.range}

    def told(self, value: Value) -> str:
        """The word."""
        return str(value)


@dataclass(frozen=True)
class File:
    """A file that a transform is read from: it stands first in the spec, without its name and `=`."""

    name: str
    help: str
    default: str = ""
    tacit: bool = False

    @property
    def range(self) -> str:
        """As messages and tables write it."""
        return self.help

    def row(self) -> dict[str, str | None]:
        """The columns of a table that describe it."""
        return {"parameter": "FILE", "default": None, "unit": None, "range": self.range}

    def told(self, value: Value) -> str:
        """Its name without the folder."""
        return str(value).rpartition("/")[2]


@dataclass(frozen=True)
class Pair:
    """Two numbers of a transform, written 0.5/0 or 0.5,0: their default and their closed range."""

    name: str
    default: tuple[float, float]
    low: float
    high: float
    help: str
    tacit: bool = False

    @property
    def range(self) -> str:
        """As messages and tables write it."""
        return f"two numbers, {self.low:g} to {self.high:g}"

    def row(self) -> dict[str, str | None]:
        """The columns of a table that describe it."""
        default = self.told(self.default)
        return {"parameter": self.name, "default": default, "unit": "1", "range": self.range}

    def told(self, value: Value) -> str:
        """Both numbers."""
        pair: Any = value
        return "/".join(f"{number:g}" for number in pair)


Setting = Parameter | Choice | File | Pair


@dataclass(frozen=True)
class Transform:
    """One entry of the table.

    `signed` results lie about 0 instead of in 0..255. `strength` names the parameter that says how
    far the transform goes: at `identity` it changes nothing, calibration raises it from there by
    `step`, and a sweep moves it over `sweep`, start:stop:count with both ends, where not told.
    """

    name: str
    family: Family
    module: str
    help: str
    source: str
    parameters: tuple[Setting, ...] = ()
    random: bool = False
    signed: bool = False
    strength: str | None = None
    step: float | None = None
    identity: float = 0.0
    sweep: str | None = None

    @cached_property
    def function(self) -> "Callable[..., Tensor]":
        """The function itself; the first use imports torch."""
        module = import_module(f"invtool.transforms.{self.module}")
        function: Callable[..., Tensor] = getattr(module, self.name.replace("-", "_"))
        return function

    def parameter(self, name: str) -> Setting:
        """The parameter of that name; KeyError if there is none."""
        return {parameter.name: parameter for parameter in self.parameters}[name]

    @property
    def strength_parameter(self) -> Parameter:
        """The number that says how far it goes; TypeError for a transform that has none."""
        found = self.parameter(self.strength) if self.strength else None
        if not isinstance(found, Parameter):
            raise TypeError(f"{self.name} has no strength")
        return found

    def rows(self) -> list[dict[str, str | None]]:
        """One row of a table for each parameter, or one row for a transform that has none."""
        about = {"family": self.family, "help": self.help, "source": self.source}
        columns = ("parameter", "default", "unit", "range", "identity", "sweep")
        empty: dict[str, str | None] = dict.fromkeys(columns)
        moved = {"identity": f"{self.identity:g}", "sweep": self.sweep}
        return [
            {
                "name": self.name,
                **empty,
                **settings,
                **(moved if settings.get("parameter", "") == self.strength else {}),
                **about,
            }
            for settings in [parameter.row() for parameter in self.parameters] or [{}]
        ]


def _share(default: float, of: str) -> Parameter:
    return Parameter("share", default, "1", -1.0, 1.0, f"of {of}")


def _factor(default: float, of: str) -> Parameter:
    return Parameter("factor", default, "1", -100.0, 100.0, f"of {of}", singular=0.0)


_BORDER = Choice("border", "zeros", BORDERS, "what lies outside the image", tacit=True)

_TABLE = (
    Transform(
        name="grayscale",
        family="color",
        module="color",
        help="luminance in three equal channels",
        source="categories, appendix B; sensitivity, Grayscale",
        parameters=(Parameter("amount", 1.0, "1", 0.0, 1.0, "of the way there", tacit=True),),
        strength="amount",
        step=0.1,
        sweep="0:1:9",
    ),
    Transform(
        name="color-rotation",
        family="color",
        module="color",
        help="hue turned by 180 degrees in HSV",
        source="categories, appendix B",
    ),
    Transform(
        name="contrast-inversion",
        family="convolution",
        module="color",
        help="255 minus the pixel",
        source="categories, section 3",
    ),
    Transform(
        name="brightness",
        family="color",
        module="color",
        help="a share of the range 0 to 255 added, not clipped",
        source="sensitivity, Brightness",
        parameters=(_share(0.25, "255"),),
        strength="share",
        step=0.05,
        sweep="-1:1:17",
    ),
    Transform(
        name="contrast",
        family="color",
        module="color",
        help="every value times a factor, not clipped",
        source="sensitivity, Contrast",
        parameters=(Parameter("factor", 0.5, "1", 0.0, 100.0, "of every value"),),
        strength="factor",
        step=0.25,
        identity=1.0,
        sweep="0:3:25",
    ),
    Transform(
        name="blur",
        family="convolution",
        module="convolution",
        help="Gaussian blur",
        source="categories, appendix B",
        parameters=(Parameter("sigma", 2.0, "px", 0.0, 64.0, "standard deviation"),),
        strength="sigma",
        step=0.5,
        sweep="0:8:17",
    ),
    Transform(
        name="horizontal-filter",
        family="convolution",
        module="convolution",
        help="3x3 filter, each row [-1, 0, 1]",
        source="categories, appendix B",
        signed=True,
    ),
    Transform(
        name="vertical-filter",
        family="convolution",
        module="convolution",
        help="3x3 filter, each column [-1, 0, 1]",
        source="categories, appendix B",
        signed=True,
    ),
    Transform(
        name="high-pass",
        family="convolution",
        module="convolution",
        help="5x5 filter, middle row and column [-1, 2, 4, 2, -1], sum 0",
        source="categories, appendix B",
        signed=True,
    ),
    Transform(
        name="white-noise",
        family="noise",
        module="noise",
        help="Gaussian noise added to every value",
        source="categories, appendix B",
        parameters=(Parameter("sigma", 75.0, "gray levels", 0.0, 1000.0, "standard deviation"),),
        random=True,
        strength="sigma",
        step=25.0,
        sweep="0:250:11",
    ),
    Transform(
        name="salt-pepper",
        family="noise",
        module="noise",
        help="pixels set to 0 or 255 with equal chance",
        source="categories, appendix B",
        parameters=(Parameter("share", 0.5, "1", 0.0, 1.0, "chance of each pixel to be set"),),
        random=True,
        strength="share",
        step=0.05,
        sweep="0:1:17",
    ),
    Transform(
        name="rot90",
        family="geometric",
        module="geometry",
        help="turned by 90 degrees anticlockwise",
        source="categories, appendix B",
    ),
    Transform(
        name="rot180",
        family="geometric",
        module="geometry",
        help="turned by 180 degrees",
        source="categories, appendix B",
    ),
    Transform(
        name="thinning",
        family="geometric",
        module="geometry",
        help="width halved, zeros on both sides",
        source="categories, appendix B",
    ),
    Transform(
        name="rotate",
        family="geometric",
        module="geometry",
        help="turned anticlockwise about the center",
        source="sensitivity, Rotation",
        parameters=(Parameter("degrees", 30.0, "degrees", -360.0, 360.0, "angle"), _BORDER),
        strength="degrees",
        step=15.0,
        sweep="-180:180:25",
    ),
    Transform(
        name="translate-x",
        family="geometric",
        module="geometry",
        help="moved right by a share of the width",
        source="sensitivity, Translation",
        parameters=(_share(0.25, "the width"), _BORDER),
        strength="share",
        step=0.0625,
        sweep="-0.5:0.5:17",
    ),
    Transform(
        name="translate-y",
        family="geometric",
        module="geometry",
        help="moved down by a share of the height",
        source="sensitivity, Translation",
        parameters=(_share(0.25, "the height"), _BORDER),
        strength="share",
        step=0.0625,
        sweep="-0.5:0.5:17",
    ),
    Transform(
        name="scale-x",
        family="geometric",
        module="geometry",
        help="horizontal coordinates times a factor: above 1 narrower, below 1 wider",
        source="sensitivity, Scale",
        parameters=(_factor(1.5, "the horizontal coordinates"), _BORDER),
        strength="factor",
        step=0.125,
        identity=1.0,
        sweep="0.25:3:23",
    ),
    Transform(
        name="scale-y",
        family="geometric",
        module="geometry",
        help="vertical coordinates times a factor: above 1 lower, below 1 higher",
        source="sensitivity, Scale",
        parameters=(_factor(1.5, "the vertical coordinates"), _BORDER),
        strength="factor",
        step=0.125,
        identity=1.0,
        sweep="0.25:3:23",
    ),
    Transform(
        name="zoom",
        family="geometric",
        module="geometry",
        help="both coordinates times a factor: above 1 smaller, below 1 larger",
        source="sensitivity, Zoom",
        parameters=(_factor(1.5, "both coordinates"), _BORDER),
        strength="factor",
        step=0.125,
        identity=1.0,
        sweep="0.25:3:23",
    ),
    Transform(
        name="embed",
        family="geometric",
        module="embedding",
        help="shrunk, at a random place of the frame",
        source="shifts, section 5",
        parameters=(
            Parameter("size", 0.45, "px or share", 0.01, 8192.0, "height; a share up to 1"),
            Choice("fill", "inpaint", FILLS, "what lies around"),
        ),
        random=True,
    ),
    Transform(
        name="deform",
        family="geometric",
        module="deformation",
        help="smooth random deformation, a thin-plate spline",
        source="deformation, section 2.1",
        parameters=(
            Parameter("grid", "auto", "points", 2, 16, "control points a side", whole=True),
            Parameter("pixels", "auto", "px", 0.0, 1024.0, "largest displacement along an axis"),
            Choice("border", "edge", BORDERS, "what lies outside the image"),
        ),
        random=True,
    ),
)

TRANSFORMS: dict[str, Transform] = {entry.name: entry for entry in _TABLE}
"""Every transform by its name in specs, in the order of the papers' figures."""

FROM_FILES: dict[str, Transform] = {
    "itn": Transform(
        name="itn",
        family="geometric",
        module="controllers",
        help="what invtool itn has learned, colors and then places",
        source="sensitivity, section III.D",
        parameters=(
            File("file", "controllers, as NAME.st"),
            Pair("k1", (0.0, 0.0), 0.0, 1.0, "of places"),
            Pair("k2", (0.0, 0.0), 0.0, 1.0, "of colors"),
            Parameter("start", 0.0, "1", 0.0, 999.0, "which of its starts", tacit=True),
        ),
    )
}
"""Transforms that are nothing without a file."""
