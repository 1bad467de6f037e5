"""The strength of a transform at which a network's accuracy falls under a limit.

Jang et al. (2020, arXiv:2007.00112, appendix B): the strength rises in equal steps until the top-1
accuracy of a network that was trained on untransformed images is under the limit.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Calibrate
from invtool.errors import InvtoolError
from invtool.files import hdf5, interrupts, messages, provenance, tables
from invtool.files.provenance import Steps
from invtool.measures import wilson_interval
from invtool.stages import _devices
from invtool.stages._subject import Subject, facts, prepare
from invtool.transforms import TRANSFORMS, Parameter, Spec, Transform, parse

BOUNDS = ("lower", "upper")
Row = dict[str, Any]


@dataclass(frozen=True)
class Calibration:
    """The accuracy at each strength; the first is none, the last the one that was found."""

    transform: Transform
    parameter: Parameter
    spec: Spec  # at the last strength
    limit: float
    strength: NDArray[np.float64]  # (step,)
    right: NDArray[np.int64]  # images answered right, (step,)
    images: int

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(step,)"""
        return self.right / self.images

    @property
    def interval(self) -> NDArray[np.float64]:
        """Wilson's, (step, bound)."""
        bounds: NDArray[np.float64] = wilson_interval(
            self.right, np.full_like(self.right, self.images)
        )
        return bounds

    @property
    def attributes(self) -> dict[str, Any]:
        """What was looked for and found, as root attributes of a file."""
        return {
            "transform": str(self.spec),
            "family": self.transform.name,
            "parameter": self.parameter.name,
            "limit": self.limit,
        }


def run(config: Calibrate, model: Path, target: Path, form: str) -> str:
    """Calibrate on the network in `model` (or that `config.model` names); the spec that was found.

    `target` becomes table, json, csv or h5, or the line `spec`.
    """
    transform = TRANSFORMS[config.transforms[0]]
    tries = conditions(transform, config.step or transform.step or 0, config.most)
    subject = prepare(config, model, transforms=[str(tries[0][1])])
    _warn_of_training(subject, transform)
    steps = provenance.step(
        config=asdict(config), inputs=subject.inputs, device=str(subject.device)
    )
    result = measure(
        subject, transform, tries, config.below, batch_size=config.batch_size, seed=config.seed
    )
    if form == "spec":
        target.write_text(f"{result.spec}\n")
    elif form == "h5":
        with hdf5.create(target, "calibration", steps) as out:
            write(out, result, subject)
    else:
        tabulate(target, result, facts(subject), form, steps)
    return str(result.spec)


def conditions(transform: Transform, step: float, most: int) -> list[tuple[float, Spec]]:
    """Every strength that may be tried, upwards, and the transform at it; none is out of range."""
    high = transform.strength_parameter.high
    (default,) = parse(transform.name).steps
    strengths = [round(transform.identity + step * number, 10) for number in range(1, most + 1)]
    return [(value, Spec((default.at(value),))) for value in strengths if value <= high]


def _warn_of_training(subject: Subject, transform: Transform) -> None:
    metadata = subject.network.metadata
    trained = parse(metadata.get("transform") or "none")
    if metadata.get("seen") and transform.name in [step.name for step in trained.steps]:
        messages.warn(
            f"{subject.network.name} was trained with {trained}: the strength found is higher than "
            "that of a network that saw untransformed images alone"
        )


def measure(
    subject: Subject,
    transform: Transform,
    tries: list[tuple[float, Spec]],
    limit: float,
    *,
    batch_size: int | None,
    seed: int,
) -> Calibration:
    """Accuracy without the transform and at each of `tries`, up to the first under `limit`.

    Raises InvtoolError where none is, or where the untransformed images are already.
    """
    size = _devices.batch_size(batch_size, subject.network.layers, subject.device)
    strengths, right = [], []
    total, label = len(subject.index), f"calibrating {transform.name}"
    everything = [(transform.identity, Spec()), *tries]
    watched = messages.progress(everything, total=len(everything), label=label, unit="strengths")
    for strength, spec in watched:
        (answer,) = replace(subject, specs=[spec]).predict(
            batch_size=size, seed=seed, each=lambda condition, first: interrupts.check()
        )
        strengths.append(strength)
        right.append(int((answer == subject.label).sum()))
        if right[-1] / total < limit:
            break
    result = Calibration(
        transform,
        transform.strength_parameter,
        spec,
        limit,
        np.array(strengths),
        np.array(right),
        total,
    )
    _check(result, subject.network.name)
    return result


def _check(result: Calibration, network: str) -> None:
    if not result.spec.steps:
        raise InvtoolError(
            f"{network} answers {result.accuracy[0]:.3f} of the untransformed images right, under "
            f"the limit of {result.limit:g} already; a trained network or a lower --below is wanted"
        )
    if result.accuracy[-1] >= result.limit:
        low = int(result.accuracy.argmin())
        raise InvtoolError(
            f"no strength of {result.transform.name} up to {result.spec} brings the accuracy under "
            f"{result.limit:g}: the lowest is {result.accuracy[low]:.3f}, at "
            f"{result.parameter.name}={result.strength[low]:g}; raise --below, --step or --most"
        )


def write(out: hdf5.Writer, result: Calibration, subject: Subject) -> None:
    """Fill a file of kind `calibration`."""
    for name, value in {**result.attributes, **facts(subject)}.items():
        out.attribute(name, value)
    parameter = result.parameter
    long_name = f"{parameter.name} of {result.transform.name}"
    out.array("strength", result.strength, ("step",), units=parameter.unit, long_name=long_name)
    out.array("accuracy", result.accuracy, ("step",), long_name="top-1 accuracy")
    out.array("bound", list(BOUNDS), ("bound",), long_name="end of an interval")
    long_name = "Wilson's interval, 95 %, over images"
    out.array("wilson", result.interval, ("step", "bound"), long_name=long_name)


def tabulate(target: Path, result: Calibration, told: Row, form: str, steps: Steps) -> None:
    """Write a row a strength."""
    if form == "table":
        title = f"Calibration of {result.transform.name}, {result.images:,} images"
        footer = _footer(result, told["categories_total"])
        tables.write(target, list(_lines(result)), form, steps, title=title, footer=footer)
    else:
        told = {**result.attributes, **told}
        tables.write(target, list(_rows(result)), form, steps, title="calibration", facts=told)


def _rows(result: Calibration) -> Iterator[Row]:
    for strength, accuracy, ends in zip(
        result.strength, result.accuracy, result.interval, strict=True
    ):
        interval = dict(zip(BOUNDS, map(float, ends), strict=True))
        yield {"strength": float(strength), "accuracy": float(accuracy), **interval}


def _lines(result: Calibration) -> Iterator[Row]:
    unit = "" if result.parameter.unit == "1" else f" ({result.parameter.unit})"
    for row in _rows(result):
        yield {f"{result.parameter.name}{unit}": f"{row.pop('strength'):g}", **row}


def _footer(result: Calibration, categories: int) -> str:
    return (
        f"{result.spec}: the first strength whose accuracy is under {result.limit:g};"
        f" of chance {1 / categories:.3f}.\n"
        "Lower and upper: Wilson's interval, 95 %, over images."
    )
