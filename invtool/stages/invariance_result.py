"""What `invtool invariance` has measured, as an HDF5 file of kind `invariance` or as rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from invtool.files import hdf5, tables
from invtool.files.formats import UNIT_AXES
from invtool.files.provenance import Steps
from invtool.measures import GROUPS, MedianSpread, defined_median, median_spread
from invtool.stages.invariance_score import TAU_GRID, Array, Score

Row = dict[str, Any]
SHOWN_TAUS = (0.0, 0.05, 0.1, 0.2, 0.5)  # of the grid, in a sentence


@dataclass(frozen=True)
class Images:
    """What is known of the images, and how they are to be measured."""

    source: str  # how messages name the file or the network
    conditions: list[str]  # the first is none
    label: Array  # (image,)
    seen: Array | None  # (image,), not 0 where the category was seen transformed
    members: Array  # (group, image)
    accuracy: Array | None  # (condition, group)
    accuracy_interval: Array | None  # (condition, group, bound)
    facts: dict[str, Any]  # of the network, root attributes of the file
    tau: float
    rectify: bool
    resamples: int
    seed: int  # of the resamples
    every_tau: bool  # keep I_k of every unit at every tau

    @cached_property
    def category(self) -> Array:
        """(image,), categories that are present numbered from 0."""
        return np.unique(self.label, return_inverse=True)[1]

    @cached_property
    def categories(self) -> int:
        return int(self.category.max()) + 1

    @cached_property
    def seen_category(self) -> Array | None:
        """(category,), true where it was seen transformed."""
        if self.seen is None:
            return None
        found = np.zeros(self.categories, bool)
        found[self.category] = self.seen != 0
        return found


def spreads(score: Score, images: Images) -> list[MedianSpread]:
    """Of each transform: the median of I_k, its interval, and the test of seen against unseen.

    The interval is that of a sample of the units, moved to the median of all of them.
    """
    found = []
    for values, total, count in zip(score.invariance, score.total, score.count, strict=True):
        median = defined_median(values.reshape(len(GROUPS), -1))
        told = median_spread(
            total, count, images.seen_category, resamples=images.resamples, seed=images.seed
        )
        shift = median - told.median
        difference = float(median[1] - median[2])
        found.append(
            MedianSpread(
                median,
                np.clip(told.interval + shift[:, None], 0, 1),
                difference,
                np.clip(told.difference_interval + (difference - told.difference), -1, 1),
                told.coincide,
            )
        )
    return found


def medians_by_tau(score: Score) -> Array | None:
    """(transform, group, tau)"""
    if score.by_tau is None:
        return None
    flat = score.by_tau.reshape(*score.by_tau.shape[:3], -1)
    return np.moveaxis(defined_median(flat), 0, -1)


def write(
    target: Path,
    scores: Iterator[tuple[str, Score]],
    images: Images,
    steps: Steps,
) -> None:
    """Write a file of kind `invariance`, layer by layer as they come."""
    with hdf5.create(target, "invariance", steps) as out:
        told = {"tau": images.tau, "rectified": int(images.rectify), **images.facts}
        for name, value in told.items():
            out.attribute(name, value)
        out.array(
            "transform", images.conditions[1:], ("transform",), long_name="transform of the images"
        )
        out.array("group", list(GROUPS), ("group",), long_name="images of which categories")
        out.array("bound", ["lower", "upper"], ("bound",), long_name="ends of an interval")
        out.array("tau_grid", np.array(TAU_GRID), ("tau",), long_name="tau of median_by_tau")
        out.dimension("image", len(images.label))
        out.array("label", images.label, ("image",), long_name="category number")
        if images.seen is not None:
            out.array(
                "seen",
                images.seen,
                ("image",),
                long_name="1 where the category was seen transformed",
            )
        if images.accuracy is not None:
            out.array("condition", images.conditions, ("condition",), long_name="of the accuracy")
            out.array(
                "accuracy", images.accuracy, ("condition", "group"), long_name="top-1 accuracy"
            )
        if images.accuracy_interval is not None:
            out.array(
                "accuracy_interval",
                images.accuracy_interval,
                ("condition", "group", "bound"),
                long_name="95 % bootstrap interval of the accuracy, over categories",
            )
        for name, score in scores:
            _write_layer(out, f"layers/{name}", score)
            _write_spread(out, f"layers/{name}", spreads(score, images))
            _write_by_tau(out, f"layers/{name}", score, whole=images.every_tau)


def _write_spread(out: hdf5.Writer, path: str, found: Sequence[MedianSpread]) -> None:
    for name, field, dims, long_name in (
        ("median", "median", ("transform", "group"), "median of I_k over the units"),
        (
            "median_interval",
            "interval",
            ("transform", "group", "bound"),
            "95 % bootstrap interval of the median, over categories",
        ),
        ("difference", "difference", ("transform",), "median of I_k, seen minus unseen"),
        (
            "difference_interval",
            "difference_interval",
            ("transform", "bound"),
            "95 % bootstrap interval of the difference, over categories",
        ),
        ("coincide", "coincide", ("transform",), "p-value: seen and unseen medians coincide"),
    ):
        values = np.array([getattr(each, field) for each in found])
        out.array(f"{path}/{name}", values, dims, long_name=long_name)


def _write_by_tau(out: hdf5.Writer, path: str, score: Score, *, whole: bool) -> None:
    if score.by_tau is None:
        return
    out.array(
        f"{path}/median_by_tau",
        medians_by_tau(score),
        ("transform", "group", "tau"),
        long_name="median of I_k at each tau",
    )
    if whole:
        out.array(
            f"{path}/invariance_by_tau",
            score.by_tau.astype(np.float32),
            ("tau", "transform", "group", *UNIT_AXES[score.negative.ndim - 1]),
            long_name="I_k at each tau, NaN where undefined",
        )


def _write_layer(out: hdf5.Writer, path: str, score: Score) -> None:
    units = UNIT_AXES[score.negative.ndim - 1]
    out.array(
        f"{path}/invariance",
        score.invariance.astype(np.float32),
        ("transform", "group", *units),
        long_name="invariance coefficient I_k, 0 to 1, NaN where undefined",
    )
    out.array(
        f"{path}/active_images",
        score.active_images.astype(np.int32),
        ("transform", "group", *units),
        long_name="images that activate the unit, transformed or not",
    )
    out.array(
        f"{path}/active_units",
        score.active_units.astype(np.int32),
        ("transform", "image"),
        long_name="units that are active for the image, transformed or not",
    )
    out.array(
        f"{path}/top1_score",
        score.top1_score.astype(np.float32),
        ("transform", *units),
        long_name="share of the top 1 % of images that remain in it, NaN where silent",
    )


def tabulate(
    target: Path,
    scores: Iterator[tuple[str, Score]],
    images: Images,
    form: str,
    steps: Steps,
) -> None:
    """Write a row a layer, transform and group as table, json or csv."""
    rows: list[Row] = []
    by_tau: list[Row] = []
    last = ""
    for name, score in scores:
        found = spreads(score, images)
        rows += _rows(name, score, images, found)
        by_tau += _by_tau(name, score, images)
        if name == images.facts.get("penultimate", name):
            last = "\n".join(_sentences(name, score, images, found))
    if form == "table":
        footer = "\n".join(text for text in (last, _footer(images)) if text)
        tables.write(target, _narrow(rows), form, steps, title=_title(images), footer=footer)
    else:
        facts = {
            "tau": images.tau,
            "rectified": images.rectify,
            **images.facts,
            "accuracy": _accuracies(images),
            "median_by_tau": by_tau,
        }
        tables.write(target, rows, form, steps, title="invariance", facts=facts)


def _rows(name: str, score: Score, images: Images, found: Sequence[MedianSpread]) -> Iterator[Row]:
    size = images.members.sum(axis=1)
    for t, transform in enumerate(images.conditions[1:]):
        silent = (score.active_images[t, 0] == 0) & ~score.negative[t]
        for g, group in enumerate(GROUPS):
            defined = ~np.isnan(score.invariance[t, g])
            low, _, high = _quartiles(score.invariance[t, g][defined])
            yield {
                "layer": name,
                "transform": transform,
                "group": group,
                "images": int(size[g]),
                "units": silent.size,
                "silent": int(np.count_nonzero(silent)),
                "undefined": int(np.count_nonzero(~defined & ~silent)),
                "median": float(found[t].median[g]),
                "median_low": float(found[t].interval[g, 0]),
                "median_high": float(found[t].interval[g, 1]),
                "quartile_1": low,
                "quartile_3": high,
                "active_images": _median(score.active_images[t, g][~silent] / (size[g] or np.nan)),
                "active_units": _median(score.active_units[t, images.members[g]]) / silent.size,
                "top1_score": _median(score.top1_score[t]) if group == "all" else float("nan"),
                "difference": found[t].difference if group == "all" else float("nan"),
                "coincide": found[t].coincide if group == "all" else float("nan"),
            }


def _by_tau(name: str, score: Score, images: Images) -> list[Row]:
    """A row a transform and group: the medians at every tau, None where undefined."""
    medians = medians_by_tau(score)
    if medians is None:
        return []
    return [
        {
            "layer": name,
            "transform": transform,
            "group": group,
            "tau": TAU_GRID,
            "median": [None if np.isnan(value) else float(value) for value in medians[t, g]],
        }
        for t, transform in enumerate(images.conditions[1:])
        for g, group in enumerate(GROUPS)
    ]


def _sentences(
    name: str, score: Score, images: Images, found: Sequence[MedianSpread]
) -> Iterator[str]:
    """How sure the layer's medians are: the test of seen against unseen, and other values of tau."""
    by_tau = medians_by_tau(score)
    for t, transform in enumerate(images.conditions[1:]):
        one = found[t]
        if not np.isnan(one.coincide):
            yield (
                f"{name}, {transform}: seen minus unseen {one.difference:.3f}"
                f" ({_range(one.difference_interval)}), p = {one.coincide:.2g}"
            )
        if by_tau is not None:
            shown = [TAU_GRID.index(tau) for tau in SHOWN_TAUS]
            values = " / ".join(_share(by_tau[t, 0, at]) for at in shown)
            taus = " / ".join(f"{tau:g}" for tau in SHOWN_TAUS)
            yield f"{name}, {transform}: I_k at tau {taus}: {values}"


def _range(bounds: Array) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def _quartiles(values: Array) -> list[float]:
    if not values.size:
        return [float("nan")] * 3
    return [float(value) for value in np.quantile(values, (0.25, 0.5, 0.75))]


def _median(values: Array) -> float:
    return _quartiles(values[~np.isnan(values)])[1]


def _narrow(rows: Sequence[Row]) -> list[Row]:
    """The rows for a screen: no empty group, and no column that says the same, or nothing, in all."""
    shown = [row for row in rows if row["images"]]
    dull = {"transform"} if len({row["transform"] for row in shown}) == 1 else set()
    dull |= set() if any(row["undefined"] for row in shown) else {"undef"}
    dull |= set() if any(row["top1_score"] == row["top1_score"] for row in shown) else {"top1"}
    dull |= set() if any(row["median_low"] == row["median_low"] for row in shown) else {"95 %"}
    return [{key: value for key, value in _cells(row).items() if key not in dull} for row in shown]


def _cells(row: Row) -> Row:
    return {
        "layer": row["layer"],
        "transform": row["transform"],
        "group": row["group"],
        "units": row["units"],
        "silent": row["silent"],
        "undef": row["undefined"],
        "I_k": row["median"],
        "95 %": _interval(row["median_low"], row["median_high"]),
        "quartiles": _interval(row["quartile_1"], row["quartile_3"]),
        "images": row["active_images"],
        "active": row["active_units"],
        "top1": row["top1_score"],
    }


def _interval(low: float, high: float) -> str:
    return "-" if np.isnan(low) else f"{low:.2f}-{high:.2f}".replace("0.", ".")


def _title(images: Images) -> str:
    parts = [f"Invariance I_k, tau {images.tau:g}", f"{len(images.label):,} images"]
    if images.seen is not None:
        seen, total = images.facts["seen_categories"], images.facts["categories_total"]
        parts.append(f"{seen} of {total} categories seen")
    if len(images.conditions) == 2:
        parts.append(images.conditions[1])
    if images.rectify:
        parts.append("rectified")
    return ", ".join(parts)


def _footer(images: Images) -> str:
    """A line of accuracies a transform, where the predictions are known."""
    if images.accuracy is None:
        return ""
    return "\n".join(
        f"Accuracy {name}: within {_share(within)}, across {_share(across)}, all {everyone:.3f},"
        f" untransformed {images.accuracy[0, 0]:.3f}"
        for name, (everyone, within, across) in zip(
            images.conditions[1:], images.accuracy[1:], strict=True
        )
    )


def _share(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _accuracies(images: Images) -> list[Row]:
    """A row a condition; None for an empty group."""
    if images.accuracy is None:
        return []
    return [
        {
            "condition": name,
            **{g: None if np.isnan(v) else float(v) for g, v in zip(GROUPS, values, strict=True)},
        }
        for name, values in zip(images.conditions, images.accuracy, strict=True)
    ]
