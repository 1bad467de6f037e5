"""What `invtool ablate` has measured, as an HDF5 file of kind `ablation` or as rows; and the tau in such a file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.errors import InvtoolError
from invtool.files import hdf5, tables
from invtool.files.provenance import Steps
from invtool.measures import GROUPS

KEEP, ABLATE = MODES = ("keep-active", "ablate-active")
Array = NDArray[Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Ablation:
    layers: list[str]  # whose units were set to zero, all at once
    conditions: list[str]  # the first is none
    tau: Array  # (tau,)
    accuracy: Array  # (mode, condition, tau, group)
    intact: Array  # (condition, group)
    active_share: Array  # (condition, tau)
    chosen_tau: float  # NaN where none qualifies
    cost: float  # that it was allowed
    images: int


def tau_of_file(path: Path) -> float:
    """The tau that an ablation file has chosen; InvtoolError where none qualified."""
    with hdf5.open(path, ("ablation",)) as file:
        return qualifying(float(file.array("chosen_tau")), file.label)


def qualifying(tau: float, label: str) -> float:
    """`tau` itself; InvtoolError that names the network or file `label` where it is NaN, or 1."""
    if np.isnan(tau):
        raise InvtoolError(
            f"{label}: no tau qualifies, as keeping the active units alone costs too much accuracy;"
            " invtool ablate shows how much"
        )
    if tau >= 1:
        raise InvtoolError(
            f"{label}: tau is 1, above which no unit is active, as the answers do not hang on them; "
            "give --tau"
        )
    return tau


def write(out: hdf5.Writer, result: Ablation) -> None:
    """Fill a file of kind `ablation`, in which conditions and images are described already."""
    out.attribute("layers", result.layers)
    out.array("tau", result.tau, ("tau",), long_name="share of the highest response")
    out.array("mode", list(MODES), ("mode",), long_name="units that stay")
    out.array("group", list(GROUPS), ("group",), long_name="images of which categories")
    curves = ("mode", "condition", "tau")
    everyone = result.accuracy[..., GROUPS.index("all")]
    out.array("accuracy", everyone, curves, long_name="top-1 accuracy")
    long_name = "top-1 accuracy of each group"
    out.array("group_accuracy", result.accuracy, (*curves, "group"), long_name=long_name)
    long_name = "top-1 accuracy of the intact network"
    out.array("intact_accuracy", result.intact, ("condition", "group"), long_name=long_name)
    long_name = "mean share of the units that are active in an image"
    out.array("active_share", result.active_share, ("condition", "tau"), long_name=long_name)
    long_name = "highest tau that costs little, NaN where none does"
    out.array("chosen_tau", result.chosen_tau, (), long_name=long_name)


def tabulate(
    target: Path, result: Ablation, facts: Mapping[str, Any], form: str, steps: Steps
) -> None:
    """Write a row a tau as table, or a row a mode, condition, tau and group as json or csv."""
    if form == "table":
        title, footer = _title(result), _footer(result, facts["categories_total"])
        tables.write(target, list(_lines(result)), form, steps, title=title, footer=footer)
    else:
        chosen = None if np.isnan(result.chosen_tau) else result.chosen_tau
        told = {"layers": result.layers, "chosen_tau": chosen, **facts}
        tables.write(target, list(_rows(result)), form, steps, title="ablation", facts=told)


def _rows(result: Ablation) -> Iterator[Row]:
    for m, mode in enumerate(MODES):
        for c, condition in enumerate(result.conditions):
            for t, tau in enumerate(result.tau):
                for g, group in enumerate(GROUPS):
                    yield {
                        "mode": mode,
                        "condition": condition,
                        "tau": float(tau),
                        "group": group,
                        "accuracy": float(result.accuracy[m, c, t, g]),
                        "intact_accuracy": float(result.intact[c, g]),
                        "active_share": float(result.active_share[c, t]),
                    }


def _lines(result: Ablation) -> Iterator[Row]:
    for t, tau in enumerate(result.tau):
        curves = {
            f"{mode.removesuffix('-active')} {condition}": float(result.accuracy[m, c, t, 0])
            for m, mode in enumerate(MODES)
            for c, condition in enumerate(result.conditions)
        }
        yield {"tau": float(tau), "active": float(result.active_share[:, t].mean()), **curves}


def _title(result: Ablation) -> str:
    moved = ", ".join(result.conditions[1:])
    return f"Ablation of {', '.join(result.layers)}, {result.images:,} images, {moved}"


def _footer(result: Ablation, categories: int) -> str:
    overall = result.intact[:, 0].mean()
    intact = ", ".join(
        f"{condition} {accuracy:.3f}"
        for condition, accuracy in zip(result.conditions, result.intact[:, 0], strict=True)
    )
    return (
        f"Accuracy of the intact network: {intact}, overall {overall:.3f}; of chance {1 / categories:.3f}.\n"
        f"{_choice(result, overall)}"
    )


def _choice(result: Ablation, overall: float) -> str:
    kept, ablated = result.accuracy[:, :, :, 0].mean(axis=1)  # (tau,) each
    points = f"{100 * result.cost:g} percentage point{'s' * (result.cost != 0.01)}"
    if np.isnan(result.chosen_tau):
        least = 100 * (overall - kept.max())
        return (
            f"No tau qualifies: keeping the active units alone costs {least:.1f} percentage points"
            f" or more of the overall accuracy; {points} may be lost."
        )
    t = int(np.flatnonzero(result.tau == result.chosen_tau)[0])
    active = 100 * result.active_share[:, t].mean()
    return (
        f"tau {result.chosen_tau:g}: the highest at which the active units alone lose at most {points}"
        f" ({kept[t]:.3f} overall).\n"
        f"{active:.1f} % of the units are then active in an image (10-20 % in the paper);"
        f" without them the accuracy is {ablated[t]:.3f}."
    )
