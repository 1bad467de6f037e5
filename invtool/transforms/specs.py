"""Transform specs: text such as `blur:sigma=3+white-noise`, parsed, printed and applied.

    spec       = "none" | step { "+" step }
    step       = name [ ":" parameter { "," parameter } ]
    parameter  = key "=" ( number | word | number "/" number ) | file

A file comes first, and has no `+` or `,` in its name; of a pair of numbers, `,` may part them too.
Steps apply from left to right. A parameter that is left out has the default of the registry, and is
written out in the canonical text, so that a file that records it says what was done; only a tacit
one, which a transform got after files had been written without it, is left out at its default.
"""

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from invtool.transforms.registry import (
    FROM_FILES,
    TRANSFORMS,
    Choice,
    File,
    Pair,
    Setting,
    Transform,
    Value,
)

if TYPE_CHECKING:
    from torch import Tensor

IDENTITY = "none"
NAMED = TRANSFORMS | FROM_FILES


class SpecError(ValueError):
    """A transform spec that cannot be read, in one sentence."""


@dataclass(frozen=True)
class Step:
    """One transform with the value of each of its parameters, in the registry's order."""

    name: str
    values: tuple[Value, ...]

    @property
    def transform(self) -> Transform:
        """The registry's entry."""
        return NAMED[self.name]

    @property
    def files(self) -> list[str]:
        """The files that it is read from."""
        pairs = zip(self.transform.parameters, self.values, strict=True)
        return [str(value) for parameter, value in pairs if isinstance(parameter, File)]

    @property
    def told(self) -> list[tuple[Setting, Value]]:
        """The parameters that are written out, with their values: all but tacit defaults."""
        return [
            (parameter, value)
            for parameter, value in zip(self.transform.parameters, self.values, strict=True)
            if not (parameter.tacit and value == parameter.default)
        ]

    def at(self, strength: float) -> "Step":
        """The same step with its transform's strength at another value, its other settings kept.

        SpecError for a value that the transform does not take, TypeError for one without strength.

        >>> str(parse("rotate:border=edge").steps[0].at(12.5))
        'rotate:degrees=12.5,border=edge'
        """
        moved = self.transform.strength_parameter
        value = _value(repr(float(strength)), self.transform, moved)
        pairs = zip(self.transform.parameters, self.values, strict=True)
        return Step(self.name, tuple(value if p == moved else old for p, old in pairs))

    def __str__(self) -> str:
        text = ",".join(_written(parameter, value) for parameter, value in self.told)
        return f"{self.name}:{text}" if text else self.name


@dataclass(frozen=True)
class Spec:
    """A chain of transforms; called, it maps a batch of images. No steps at all is the identity.

    >>> import torch
    >>> spec = parse("grayscale+rotate:degrees=90")
    >>> str(spec)
    'grayscale+rotate:degrees=90'
    >>> spec(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3, 32, 32])
    """

    steps: tuple[Step, ...] = ()

    @property
    def random(self) -> bool:
        """Whether the result depends on the seed and the image index."""
        return any(step.transform.random for step in self.steps)

    @property
    def signed(self) -> bool:
        """Whether the result lies about 0 instead of in 0..255, as a filter's does."""
        return any(step.transform.signed for step in self.steps)

    def __str__(self) -> str:
        return "+".join(map(str, self.steps)) or IDENTITY

    def __call__(self, image: "Tensor", seed: int = 0, index: "Tensor | None" = None) -> "Tensor":
        """Transform (image, channel, height, width), float in 0..255; nothing is clipped.

        A random step draws by (seed, its place in the chain, index), so that two equal steps add
        different noise. `index` (image) int64 is by default 0, 1, 2, ...
        """
        for place, step in enumerate(self.steps):
            transform = step.transform
            names = [parameter.name for parameter in transform.parameters]
            keywords = dict(zip(names, step.values, strict=True))
            if transform.random:
                step_seed = _seed_of(seed, place)
                image = transform.function(image, **keywords, seed=step_seed, index=index)
            else:
                image = transform.function(image, **keywords)
        return image


def parse(text: str) -> Spec:
    """Read a spec. SpecError, a ValueError, says in one sentence what is wrong with it.

    >>> str(parse("blur"))
    'blur:sigma=2'
    >>> parse("none").steps
    ()
    >>> parse("blurr")
    Traceback (most recent call last):
    invtool.transforms.specs.SpecError: no transform 'blurr'; did you mean 'blur'? \
`invtool transform --list` shows them all
    """
    if text.strip() == IDENTITY:
        return Spec()
    return Spec(tuple(_step(part.strip(), text) for part in text.split("+")))


def _step(part: str, text: str) -> Step:
    name, colon, settings = part.partition(":")
    name = name.strip()
    if not name:
        raise SpecError(
            f"transform spec {text!r} has an empty step; "
            f"write NAME:KEY=VALUE, steps joined by +, or {IDENTITY!r}"
        )
    if name == IDENTITY:
        raise SpecError(f"{IDENTITY!r} stands alone; in {text!r} it is joined to other steps")
    transform = NAMED.get(name)
    if transform is None:
        raise SpecError(_unknown(name))
    parts = _parts(settings, transform) if colon else []
    given = dict(_setting(setting, transform) for setting in parts)
    if len(given) < len(parts):
        raise SpecError(f"{part!r} gives a parameter of {name!r} twice")
    if any(isinstance(p, File) and not given.get(p.name) for p in transform.parameters):
        raise SpecError(f"transform {name!r} is read from a file; write {name}:FILE")
    values = [given.get(parameter.name, parameter.default) for parameter in transform.parameters]
    return Step(name, tuple(values))


def _parts(settings: str, transform: Transform) -> list[str]:
    """The settings KEY=VALUE: a file with its key, the second number of a pair with the first."""
    parts: list[str] = []
    for part in settings.split(","):
        key = parts[-1].partition("=")[0].strip() if parts else ""
        first = transform.parameters[0] if not parts and transform.parameters else None
        pairs = [p.name for p in transform.parameters if isinstance(p, Pair)]
        if isinstance(first, File) and "=" not in part:
            parts.append(f"{first.name}={part}")
        elif key in pairs and "=" not in part and "/" not in parts[-1]:
            parts[-1] += f"/{part}"
        else:
            parts.append(part)
    return parts


def _setting(setting: str, transform: Transform) -> tuple[str, Value]:
    key, equals, value = (part.strip() for part in setting.partition("="))
    names = [parameter.name for parameter in transform.parameters]
    if not names:
        raise SpecError(
            f"transform {transform.name!r} has no parameters, but {setting!r} was given"
        )
    if not equals:
        raise SpecError(
            f"{setting!r} is no setting of {transform.name!r}; write {_listed(names)}=VALUE"
        )
    if key not in names:
        raise SpecError(
            f"transform {transform.name!r} has no parameter {key!r}; it has {_listed(names)}"
        )
    return key, _value(value, transform, transform.parameter(key))


def _value(number: str, transform: Transform, parameter: Setting) -> Value:
    label = f"{parameter.name} of {transform.name!r}"
    if isinstance(parameter, File):
        return number
    if isinstance(parameter, Pair):
        return _pair(number, label, parameter)
    if isinstance(parameter, Choice):
        if number not in parameter.words:
            raise SpecError(f"{label} is {parameter.range}, not {number!r}")
        return number
    if number == parameter.default:
        return number
    kind = "a whole number" if parameter.whole else "a number"
    try:
        value = float(number)
    except ValueError:
        raise SpecError(f"{label} is {kind}, {parameter.range}, not {number!r}") from None
    if parameter.whole and not value.is_integer():
        raise SpecError(f"{label} is {kind}, {parameter.range}, not {number}")
    if value == parameter.singular:
        raise SpecError(
            f"{label} is within {parameter.range}; at {number} {transform.name!r} is singular: "
            "all pixels would be read at one place"
        )
    if not parameter.low <= value <= parameter.high:
        raise SpecError(f"{label} is within {parameter.range}, not {number}")
    return value + 0.0  # -0 becomes 0


def _pair(text: str, label: str, parameter: Pair) -> tuple[float, float]:
    try:
        first, second = map(float, text.split("/"))
    except ValueError:
        raise SpecError(f"{label} is {parameter.range}, as 0.5/0, not {text!r}") from None
    if not all(parameter.low <= number <= parameter.high for number in (first, second)):
        raise SpecError(f"{label} is {parameter.range}, not {text}")
    return first + 0.0, second + 0.0


def _unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name.lower(), NAMED)
    alike = max(nearest, key=lambda known: known[0] == name[:1].lower(), default=None)
    hint = f"did you mean {alike!r}? " if alike else ""
    return f"no transform {name!r}; {hint}`invtool transform --list` shows them all"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _written(parameter: Setting, value: Value) -> str:
    return _text(value) if isinstance(parameter, File) else f"{parameter.name}={_text(value)}"


def _text(value: Value) -> str:
    """The shortest text that reads back as the same value: 2, 0.5, 1e-05, black, 0.5/0."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return "/".join(map(_text, value))
    return str(int(value)) if value == math.trunc(value) else repr(value)


def _seed_of(seed: int, place: int) -> int:
    """The seed itself for the first step, one far from every seed that people type for others."""
    return (seed + place * 0x9E3779B97F4A7C15) % 2**64
