"""Findings of Bunne et al. 2018 (arXiv:1803.05963), read from the results of studies/sensitivity.smk."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from invtool.measures import correlation
from invtool.measures.spatial_parts import PARTS
from invtool.stages._findings import NO, YES, Files, Finding, agreement, mean
from invtool.stages.plot_sources import Result
from invtool.stages.plot_sweep import Swept, swept

FEW_DEGREES = 10.0
DOTS = 4  # that a correlation wants at least
PART = 10  # of a training: its first and its last tenth
GRAY = 255.0


def findings(files: Files) -> list[Finding]:
    """One after the other, in the order of the paper."""
    sweeps = [found for found in swept(files.of("sweep", "sweep")) if not found.grid]
    curves = {found.transform: found for found in swept(files.of("sweep", "curves"))}
    itn = files.of("itn")
    return [
        _thresholds(sweeps),
        _by_category(curves),
        _turned_over(curves.get("rotate")),
        _alike(sweeps),
        _losses(itn),
        _answers_kept(itn),
        _spatial(itn),
        _color(itn),
    ]


def _thresholds(sweeps: Sequence[Swept]) -> Finding:
    finding = partial(
        Finding,
        "Section V",
        "Answers hold up to a threshold of each transformation, beyond which they are wrong.",
    )
    if not sweeps:
        return finding()
    first = [found for found in sweeps if found.result.path == sweeps[0].result.path]
    known = {  # the nearer of both sides
        found.transform: float(np.fmin.reduce(found.held["overall_side_threshold"]))
        for found in first
    }
    told = ", ".join(
        f"{name} {value:.3g}" if np.isfinite(value) else f"{name} beyond"
        for name, value in known.items()
    )
    name = sweeps[0].result.path.stem
    here = f"{name} loses a tenth of its accuracy at a change by: {told}."
    return finding(here, agreement({t: bool(np.isfinite(v)) for t, v in known.items()}))


def _by_category(curves: dict[str, Swept]) -> Finding:
    finding = partial(
        Finding,
        "Section IV.A, figures 2, 3",
        "The threshold depends on the category.",
    )
    told, cases = [], {}
    for name, found in curves.items():
        values = found.held["threshold"]
        known = values[np.isfinite(values)]
        if len(known) > 1:
            beyond = np.count_nonzero(~np.isfinite(values))
            more = f", {beyond} beyond the range" if beyond else ""
            told.append(f"{name} {known.min():.3g} to {known.max():.3g}{more}")
            cases[name] = bool(known.max() > 1.5 * known.min())
    if not told:
        return finding()
    return finding(f"Over the categories: {'; '.join(told)}.", agreement(cases))


def _turned_over(rotation: Swept | None) -> Finding:
    finding = partial(
        Finding,
        "Section IV.A, figure 2b",
        "The softmax of some objects returns to high values at 180 degrees, or does not mind rotation.",
    )
    if rotation is None:
        return finding()
    magnitude, softmax = rotation.held["magnitude"], rotation.held["softmax"]
    own = np.array(
        [softmax[row, :, number] for row, number in enumerate(rotation.held["category_number"])]
    )  # (category, magnitude)
    over = own[:, np.argmax(np.abs(magnitude))]
    returns = (over > 0.5) & (over > own.min(axis=1) + 0.2)
    steady = own.min(axis=1) > 0.5
    count = len(own)
    here = (
        f"Turned over, {np.count_nonzero(returns)} of {count} categories are back above 0.5 after a fall; "
        f"{np.count_nonzero(steady)} stay above it at every angle."
    )
    return finding(here, YES if (returns | steady).any() else NO)


def _alike(sweeps: Sequence[Swept]) -> Finding:
    finding = partial(
        Finding,
        "Sections IV.A, V",
        "Both networks behave alike: what one is invariant to goes with what the other is.",
    )
    names = list(dict.fromkeys(found.result.path for found in sweeps))
    if len(names) < 2:
        return finding()
    pairs = []
    for transform in dict.fromkeys(found.transform for found in sweeps):
        both = [f for f in sweeps if f.transform == transform and f.result.path in names[:2]]
        if len(both) == 2:
            reach = np.abs(both[0].held["magnitude"] - both[0].held["identity"]).max()
            pairs += list(zip(*(f.held["threshold"] / reach for f in both), strict=True))
    if len(pairs) < DOTS:
        return finding()
    x, y = np.array(pairs, np.float64).T
    found = correlation(x, y)
    low, high = found.spearman_interval
    here = (
        f"Rank correlation of thresholds, each a transformation and category: {found.spearman:.2f} "
        f"({low:.2f} to {high:.2f}), {found.networks} pairs."
    )
    return finding(here, agreement([found.spearman > 0.3, low > 0]))


def _losses(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section IV.B, figure 4a",
        "While the Invariant Transformer Net learns, the loss of the answers stays and that of the magnitude falls.",
    )
    if not results:
        return finding()
    held = results[0].arrays("classification_loss", "magnitude_loss")
    ends = {}
    for name, values in held.items():
        part = max(1, values.shape[-1] // PART)
        ends[name] = float(values[..., :part].mean()), float(values[..., -part:].mean())
    answer, size = ends["classification_loss"], ends["magnitude_loss"]
    here = f"Answers {answer[0]:.2f} to {answer[1]:.2f}; magnitude {size[0]:.2f} to {size[1]:.2f}."
    return finding(here, agreement([answer[1] < answer[0] + 0.3, size[1] < size[0]]))


def _answers_kept(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section IV.B, figure 4b",
        "The answers to images that the learned transformations change stay the same.",
    )
    if not results:
        return finding()
    told, kept = [], {}
    for part, k in (("space", "k1"), ("color", "k2")):
        accuracy = results[0].arrays(f"{part}_accuracy")[f"{part}_accuracy"]  # (seed, k, k_second)
        own, far = float(accuracy[:, 0, 0].mean()), float(accuracy[:, -1, -1].mean())
        told.append(f"{k} at 0 {own:.2f}, at its end {far:.2f}")
        kept[part] = far >= 0.9 * own
    return finding(f"Accuracy: {'; '.join(told)}.", agreement(kept))


def _spatial(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section V, figure 5",
        "It never zooms in strongly, nor rotates by more than a few degrees; it zooms out.",
    )
    if not results:
        return finding()
    values = results[0].arrays("space_parts")["space_parts"]  # (seed, k, k_second, space_part)
    degrees = float(np.nanmax(np.abs(values[..., PARTS.index("rotation")])))
    scales = np.abs(values[..., [PARTS.index("scale x"), PARTS.index("scale y")]])
    low, high = float(np.nanmin(scales)), float(np.nanmax(scales))
    here = f"At most {degrees:.1f} degrees; coordinates times {low:.2f} to {high:.2f} (above 1 zooms out)."
    return finding(here, agreement({"rotation": degrees <= FEW_DEGREES, "zoom": low > 0.75}))


def _color(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section V",
        "Only color changes of rather low magnitude are learned.",
    )
    if not results:
        return finding()
    size = float(results[0].arrays("color_size")["color_size"].max())
    here = (
        f"At most {size:.0f} gray levels of {GRAY:.0f}, a mean over the images. A network that "
        "standardizes each image does not see its brightness and contrast."
    )
    return finding(here, YES if mean([size]) < GRAY / 4 else NO)
