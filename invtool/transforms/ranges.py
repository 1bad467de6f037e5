"""Transforms whose strength runs over a range, as `rotate:degrees=-90:90:37`; free of torch.

    range  = the spec of one step, in which the strength may be START ":" STOP ":" COUNT

COUNT magnitudes lie evenly from START to STOP, both included. A range that is left out is the one of
the registry. The identity, where nothing changes, must be one of the magnitudes: what is measured at
the others is compared with it.
"""

from dataclasses import dataclass

from invtool.transforms.registry import TRANSFORMS, Parameter, Transform
from invtool.transforms.specs import SpecError, Step, parse

PAPER = (
    *("translate-x", "translate-y", "rotate", "scale-x", "scale-y", "zoom"),
    *("brightness", "contrast", "grayscale", "blur", "white-noise"),
)
"""The transforms of continuous magnitude of the paper *sensitivity*, in its order."""
MOST = 1000  # magnitudes; more is a slip of the pen


@dataclass(frozen=True)
class Range:
    """One transform and the magnitudes of its strength, ascending.

    >>> moved = parse_range("rotate:degrees=-90:90:5")
    >>> moved.name, moved.magnitudes
    ('rotate', (-90.0, -45.0, 0.0, 45.0, 90.0))
    >>> str(moved.step.at(45))
    'rotate:degrees=45'
    """

    step: Step
    magnitudes: tuple[float, ...]

    @property
    def transform(self) -> Transform:
        """The registry's entry."""
        return self.step.transform

    @property
    def parameter(self) -> Parameter:
        """The strength."""
        return self.transform.strength_parameter

    @property
    def identity(self) -> float:
        """The magnitude at which nothing changes."""
        return self.transform.identity

    @property
    def name(self) -> str:
        """The transform, with those of its other settings that are not the default.

        >>> parse_range("zoom:border=edge").name
        'zoom:border=edge'
        """
        pairs = zip(self.transform.parameters, self.step.values, strict=True)
        told = [
            f"{parameter.name}={value}"
            for parameter, value in pairs
            if parameter != self.parameter and value != parameter.default
        ]
        return f"{self.step.name}:{','.join(told)}" if told else self.step.name


def parse_range(text: str) -> Range:
    """Read a range. SpecError, a ValueError, says in one sentence what is wrong with it.

    >>> parse_range("blur:sigma=1:4:4")
    Traceback (most recent call last):
    invtool.transforms.specs.SpecError: 'blur:sigma=1:4:4' leaves out 0, where nothing changes and \
from where magnitudes are counted; as blur:sigma=0:4:5
    """
    name, _, settings = (part.strip() for part in text.partition(":"))
    transform = TRANSFORMS.get(name)
    if transform is None or "+" in text:
        parse(name)  # says what is wrong with a name
        raise SpecError(f"{text!r}: one transform, whose strength runs over a range, is wanted")
    if transform.strength is None:
        able = ", ".join(entry.name for entry in TRANSFORMS.values() if entry.strength)
        raise SpecError(f"transform {name!r} has no strength to sweep; use {able}")
    parts = [part.strip() for part in settings.split(",")] if settings else []
    mark = f"{transform.strength}="
    rest = ",".join(part for part in parts if not part.startswith(mark))
    told = [part.removeprefix(mark) for part in parts if part.startswith(mark)]
    if len(told) > 1:
        raise SpecError(f"{text!r} gives {transform.strength} of {name!r} twice")
    (step,) = parse(f"{name}:{rest}" if rest else name).steps
    start, stop, count = _limits(text, mark, told[0] if told else str(transform.sweep))
    magnitudes = _even(start, stop, count)
    for magnitude in magnitudes:
        step.at(magnitude)
    if transform.identity not in magnitudes:
        raise SpecError(
            f"{text!r} leaves out {transform.identity:g}, where nothing changes and from where "
            f"magnitudes are counted; as {name}:{mark}{_better(start, stop, count, transform)}"
        )
    return Range(step, magnitudes)


def _limits(text: str, mark: str, told: str) -> tuple[float, float, int]:
    """START, STOP and COUNT."""
    parts = told.split(":")
    try:
        start, stop, count = float(parts[0]), float(parts[1]), int(":".join(parts[2:]))
    except (ValueError, IndexError):
        raise SpecError(
            f"{text!r}: a range is wanted, as {mark}START:STOP:COUNT, both ends included"
        ) from None
    if not 2 <= count <= MOST:
        raise SpecError(f"{text!r} has COUNT {count}; 2 to {MOST} magnitudes are wanted")
    if not start < stop:
        raise SpecError(f"{text!r}: START < STOP is wanted, not {start:g} and {stop:g}")
    return start, stop, count


def _even(start: float, stop: float, count: int) -> tuple[float, ...]:
    step = (stop - start) / (count - 1)
    return tuple(round(start + step * number, 10) for number in range(count))


def _better(start: float, stop: float, count: int, transform: Transform) -> str:
    """A range like it, as fine or finer, that holds the identity."""
    low, high = min(start, transform.identity), max(stop, transform.identity)
    count = max(count, round((count - 1) * (high - low) / (stop - start)) + 1)
    counts = (n for n in range(count, MOST + 1) if transform.identity in _even(low, high, n))
    return f"{low:g}:{high:g}:{next(counts, count)}"
