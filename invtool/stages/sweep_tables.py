"""What `invtool sweep` has measured, as rows: a page for people, or every number for programs."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.config import Sweep
from invtool.files import tables
from invtool.files.provenance import Steps
from invtool.measures import SIDES, highest, wilson_interval
from invtool.plots.screen import Screen
from invtool.stages.sweep_result import Curves, Images, Sweeping
from invtool.transforms.ranges import Range

Row = dict[str, Any]
Array = NDArray[Any]
ALL = "all"  # the category that stands for every image
FIRST = 3  # answers that have a column
WIDE = 25  # characters of a curve


def tabulate(
    target: Path,
    results: Sequence[Sweeping],
    images: Images,
    config: Sweep,
    form: str,
    steps: Steps,
) -> None:
    """Write a page for people, or a row a magnitude, category and network."""
    curves = [one for result in results for one in result.curves(images, config)]
    if form == "table":
        alone = len(curves) == 1 and curves[0].plan.second is None
        several = len(results) > 1
        each = [_by_category(one) if alone else _overview(one, several) for one in curves]
        rows = [row for some in each for row in some]
        title, footer = _title(results, images), _footer(curves, config)
        tables.write(target, rows, form, steps, title=title, footer=footer)
        return
    rows = [row for one in curves for row in _magnitudes(one)]
    told = [row for one in curves for row in thresholds(one)]
    facts = {**results[0].facts, "keep": config.keep, "thresholds": told}
    tables.write(target, rows, form, steps, title="sweep", facts=facts)


def _magnitudes(curves: Curves) -> Iterator[Row]:
    """A row a magnitude, of all images and of each category."""
    overall, answers = curves.overall, curves.answers
    whole = {"accuracy": overall["accuracy"], "bounds": overall["wilson"]}
    yield from _rows(curves, ALL, len(curves.images.label), overall["softmax"], None, **whole)
    for number, category in enumerate(answers.category.tolist()):
        count = int(curves.count[number])
        accuracy = curves.accuracy[number]
        right = np.round(accuracy * count)
        whole = {
            "accuracy": accuracy,
            "bounds": np.asarray(wilson_interval(right, np.full(right.shape, count))),
        }
        yield from _rows(
            curves, curves.images.name(category), count, curves.softmax[number], category, **whole
        )


def _rows(
    curves: Curves,
    name: str,
    count: int,
    softmax: Array,
    category: int | None,
    *,
    accuracy: Array,
    bounds: Array,
) -> Iterator[Row]:
    plan = curves.plan
    first, others = highest(softmax, FIRST)
    for place in np.ndindex(*plan.at.shape):
        row: Row = {"network": curves.network, "transform": plan.name}
        row["magnitude"] = plan.first.magnitudes[place[-1]]
        if plan.second is not None:
            row["magnitude_2"] = plan.second.magnitudes[place[0]]
        low, high = bounds[place].tolist()
        own = None if category is None else float(softmax[(*place, category)])
        row |= {"category": name, "images": count, "accuracy": float(accuracy[place])}
        row |= {"low": low, "high": high, "softmax": own}
        for rank in range(FIRST):
            known = rank < len(first)
            answer = int(first[rank]) if known else -1
            row[f"answer_{rank + 1}"] = curves.images.name(answer) if known else None
            row[f"softmax_{rank + 1}"] = float(softmax[(*place, answer)]) if known else None
        yield {**row, "others": float(others[place])}


def thresholds(curves: Curves) -> Iterator[Row]:
    """A row of all images and of each category, and of each magnitude of the second transform."""
    plan, number, overall = curves.plan, curves.number, curves.overall
    groups = [(ALL, overall["threshold"], overall["interval"])]
    groups += [
        (curves.images.name(category), curves.answers.threshold[number][:, at], interval)
        for at, (category, interval) in enumerate(
            zip(
                curves.answers.category.tolist(),
                curves.answers.interval[number].swapaxes(0, 1),
                strict=True,
            )
        )
    ]
    for name, found, interval in groups:
        for place in np.ndindex(*plan.at.shape[:-1]):
            row: Row = {"network": curves.network, "transform": plan.name, "category": name}
            if plan.second is not None:
                row["magnitude_2"] = plan.second.magnitudes[place[0]]
            for side, key in enumerate(("threshold", *SIDES)):
                value = float(found[(side, *place)])
                low, high = interval[(side, *place)].tolist()
                ends = {key: value, f"{key}_low": low, f"{key}_high": high}
                row |= {name: None if np.isnan(end) else end for name, end in ends.items()}
            yield row


def _overview(curves: Curves, several: bool) -> Iterator[Row]:
    """A row of all images; in a grid one of each magnitude of the second transform."""
    plan, overall = curves.plan, curves.overall
    moved = plan.first
    for place in np.ndindex(*plan.at.shape[:-1]):
        accuracy = overall["accuracy"][place]
        found = overall["threshold"][(slice(None), *place)]
        interval = overall["interval"][(slice(None), *place)]
        row: Row = {"transform": plan.first.name}
        row |= {"network": curves.network} if several else {}
        if plan.second is not None:
            row[plan.second.name] = f"{plan.second.magnitudes[place[0]]:g}"
        row |= {"strength": strength(moved)}
        for side, name in enumerate(SIDES, start=1):
            row[f"{name}: falls at"] = told(moved, side, found[side], interval[side])
        row["range"] = _range(moved)
        row["accuracy at ends"] = f"{accuracy[0]:.3f}, {accuracy[-1]:.3f}"
        row["curve"] = _strip(accuracy, _ramp())
        yield row


def _by_category(curves: Curves) -> Iterator[Row]:
    """A row of all images and of each category; the curve is of accuracy, then of the own softmax."""
    plan, answers, overall = curves.plan, curves.answers, curves.overall
    own = plan.first.magnitudes.index(plan.first.identity)
    accuracy, found = overall["accuracy"], (overall["threshold"], overall["interval"])
    groups = [(ALL, len(curves.images.label), accuracy, accuracy, *found, overall["softmax"])]
    number = curves.number
    for at, category in enumerate(answers.category.tolist()):
        groups.append(
            (
                curves.images.name(category),
                int(curves.count[at]),
                curves.accuracy[at],
                curves.softmax[at, :, category],
                answers.threshold[number][:, at],
                answers.interval[number][:, at],
                curves.softmax[at],
            )
        )
    for name, count, right, curve, distance, interval, softmax in groups:
        row: Row = {"category": name, "images": count, "accuracy": float(right[own])}
        for side, word in enumerate(SIDES, start=1):
            row[f"{word}: leaves at"] = told(
                plan.first, side, float(distance[side]), interval[side]
            )
        row["curve"] = _strip(curve, _ramp())
        first, others = highest(softmax, FIRST)
        most = zip(first.tolist(), softmax[:, first].max(axis=0).tolist(), strict=True)
        words = [f"{curves.images.name(answer)} {value:.2f}" for answer, value in most]
        rest = float(np.max(others))
        row["highest answers"] = ", ".join(words + [f"others {rest:.2f}"] * (not np.isnan(rest)))
        yield row


def _title(results: Sequence[Sweeping], images: Images) -> str:
    name = results[0].name if len(results) == 1 else f"{len(results)} networks"
    return f"Sweep of {name}, {len(images.label):,} images, {results[0].facts['data']}"


def _footer(curves: Sequence[Curves], config: Sweep) -> str:
    """What the columns are, what was not shown, and which network nothing can be said of."""
    own = {one.network: one.own for one in curves}
    lines = [f"Accuracy of {name}, untransformed: {value:.3f}" for name, value in own.items()]
    lines += [
        f"{name} answers no image right: it has no accuracy to lose"
        for name, value in own.items()
        if value == 0
    ]
    first = curves[0]
    alone = len(curves) == 1 and first.plan.second is None
    if alone:
        lines.append(
            f"{strength(first.plan.first)}, below and above {first.plan.first.identity:g}: first"
            " magnitude at which the mean prediction leaves the category, of all: at which"
            f" accuracy is under {config.keep:g} of its own"
        )
        lines.append(f"Curve: own softmax, of all accuracy, {_range(first.plan.first)}")
    else:
        lines.append(
            f"Falls: at the first magnitude, below and above where nothing changes, at which accuracy"
            f" is under {config.keep:g} of its own; curve: accuracy over the range"
        )
    if config.resamples:
        lines.append("In brackets: 95 % bootstrap over images")
    missing = len(set(first.images.categories)) - len(first.answers.category)
    if missing > 0:
        lines.append(f"{missing} categories have no test image here, and are left out")
    return "\n".join(lines)


def _range(moved: Range) -> str:
    return f"{moved.magnitudes[0]:g} to {moved.magnitudes[-1]:g}"


def strength(moved: Range) -> str:
    """The parameter and its unit, as `sigma (px)`."""
    parameter = moved.parameter
    unit = "" if parameter.unit in ("1", parameter.name) else f" ({parameter.unit})"
    return f"{parameter.name}{unit}"


def told(moved: Range, side: int, found: float, interval: Array) -> str:
    """The magnitude at which something is left, with its interval: `22.5 (15 to > 60)`.

    `side` is 1 below and 2 above where nothing changes.
    """
    end = moved.magnitudes[0 if side == 1 else -1]
    if end == moved.identity:
        return "-"
    if found == 0:
        return "unchanged already"
    text = _magnitude(moved, side, found)
    low, high = interval.tolist()
    if np.isnan(low) and (np.isnan(high) and not np.isnan(found)):
        return text  # of one image there is no interval
    ends = [_magnitude(moved, side, low), _magnitude(moved, side, high)]
    return f"{text} ({' to '.join(ends)})" if set(ends) != {text} else text


def _magnitude(moved: Range, side: int, distance: float) -> str:
    if np.isnan(distance):
        return f"< {moved.magnitudes[0]:g}" if side == 1 else f"> {moved.magnitudes[-1]:g}"
    return f"{moved.identity + (distance if side == 2 else -distance):.6g}"


def _ramp() -> str:
    return Screen(unicode="utf" in (sys.stdout.encoding or "").lower()).ramp


def _strip(shares: Array, ramp: str) -> str:
    kept = shares[:: -(-len(shares) // WIDE)] / max(shares.max(), 1e-9)
    return "".join(ramp[min(int(share * len(ramp)), len(ramp) - 1)] for share in kept)
