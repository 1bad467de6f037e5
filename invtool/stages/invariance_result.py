"""What `invtool invariance` has measured, as an HDF5 file of kind `invariance` or as rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.files import hdf5, tables
from invtool.files.formats import UNIT_AXES
from invtool.files.provenance import Steps
from invtool.measures import GROUPS

Array = NDArray[Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Score:
    """What is measured of a layer's units, or of some of them."""

    invariance: Array  # (transform, group, unit...)
    active_images: Array  # (transform, group, unit...)
    negative: Array  # (transform, unit...)
    top1_score: Array  # (transform, unit...)
    active_units: Array  # (transform, image), a sum over the units

    @classmethod
    def joined(cls, parts: "Sequence[Score]") -> "Score":
        """The score of all units from those of consecutive blocks of them."""

        def along(name: str) -> Array:
            return np.concatenate([getattr(part, name) for part in parts], axis=-1)

        return cls(
            along("invariance"),
            along("active_images"),
            along("negative"),
            along("top1_score"),
            np.sum([part.active_units for part in parts], axis=0),
        )

    def shaped(self, unit_shape: tuple[int, ...]) -> "Score":
        """The same with the unit axes that the layer has."""
        return Score(
            self.invariance.reshape(*self.invariance.shape[:2], *unit_shape),
            self.active_images.reshape(*self.active_images.shape[:2], *unit_shape),
            self.negative.reshape(-1, *unit_shape),
            self.top1_score.reshape(-1, *unit_shape),
            self.active_units,
        )


@dataclass(frozen=True)
class Images:
    """What is known of the images of an activations file."""

    source: str  # how messages name the file
    conditions: list[str]  # the first is none
    label: Array  # (image,)
    seen: Array | None  # (image,), not 0 where the category was seen transformed
    members: Array  # (group, image)
    accuracy: Array | None  # (condition, group)
    facts: dict[str, Any]  # of the network, from the file's root attributes


def write(
    target: Path,
    scores: Iterator[tuple[str, Score]],
    images: Images,
    tau: float,
    steps: Steps,
) -> None:
    """Write a file of kind `invariance`, layer by layer as they come."""
    with hdf5.create(target, "invariance", steps) as out:
        for name, value in {"tau": tau, **images.facts}.items():
            out.attribute(name, value)
        out.array(
            "transform", images.conditions[1:], ("transform",), long_name="transform of the images"
        )
        out.array("group", list(GROUPS), ("group",), long_name="images of which categories")
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
        for name, score in scores:
            _write_layer(out, f"layers/{name}", score)


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
    tau: float,
    form: str,
    steps: Steps,
) -> None:
    """Write a row a layer, transform and group as table, json or csv."""
    rows = [row for name, score in scores for row in _rows(name, score, images)]
    if form == "table":
        title, footer = _title(images, tau), _footer(images)
        tables.write(target, _narrow(rows), form, steps, title=title, footer=footer)
    else:
        facts = {"tau": tau, **images.facts, "accuracy": _accuracies(images)}
        tables.write(target, rows, form, steps, title="invariance", facts=facts)


def _rows(name: str, score: Score, images: Images) -> Iterator[Row]:
    size = images.members.sum(axis=1)
    for t, transform in enumerate(images.conditions[1:]):
        silent = (score.active_images[t, 0] == 0) & ~score.negative[t]
        for g, group in enumerate(GROUPS):
            defined = ~np.isnan(score.invariance[t, g])
            low, median, high = _quartiles(score.invariance[t, g][defined])
            yield {
                "layer": name,
                "transform": transform,
                "group": group,
                "images": int(size[g]),
                "units": silent.size,
                "silent": int(np.count_nonzero(silent)),
                "undefined": int(np.count_nonzero(~defined & ~silent)),
                "median": median,
                "quartile_1": low,
                "quartile_3": high,
                "active_images": _median(score.active_images[t, g][~silent] / (size[g] or np.nan)),
                "active_units": _median(score.active_units[t, images.members[g]]) / silent.size,
                "top1_score": _median(score.top1_score[t]) if group == "all" else float("nan"),
            }


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
    return [{key: value for key, value in _cells(row).items() if key not in dull} for row in shown]


def _cells(row: Row) -> Row:
    spread = f"{row['quartile_1']:.2f}-{row['quartile_3']:.2f}"
    return {
        "layer": row["layer"],
        "transform": row["transform"],
        "group": row["group"],
        "units": row["units"],
        "silent": row["silent"],
        "undef": row["undefined"],
        "I_k": row["median"],
        "quartiles": spread if row["median"] == row["median"] else "-",
        "images": row["active_images"],
        "active": row["active_units"],
        "top1": row["top1_score"],
    }


def _title(images: Images, tau: float) -> str:
    parts = [f"Invariance I_k, tau {tau:g}", f"{len(images.label):,} images"]
    if images.seen is not None:
        seen, total = images.facts["seen_categories"], images.facts["categories_total"]
        parts.append(f"{seen} of {total} categories seen")
    if len(images.conditions) == 2:
        parts.append(images.conditions[1])
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
