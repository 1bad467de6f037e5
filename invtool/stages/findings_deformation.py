"""Findings of Ruderman et al. 2018 (arXiv:1804.04438), read from the results of studies/deformation.smk.

Networks are told apart by their names, as max-pool-0.st: what was varied, and the seed.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invtool.stages._findings import Files, Finding, agreement, mean
from invtool.stages.plot_sources import Result

POOLED = ("max-pool", "average-pool")
EARLY = 1 / 3  # of the layers
Curves = Mapping[str, NDArray[np.float64]]  # mean over seeds, by layer


def findings(files: Files) -> list[Finding]:
    """One after the other, in the order of the paper."""
    initial = _curves(files.of("deformation", "initial"), _sensitivity)
    trained = _curves(files.of("deformation", "trained"), _sensitivity)
    random = _curves(files.of("deformation", "random"), _sensitivity)
    return [
        _pooling_at_first(initial),
        _alike_in_the_end(initial, trained),
        _early_layers(initial, trained),
        _falling(
            _last(_curves(files.of("deformation", "smooth-start"), _sensitivity)),
            "Section 4.2, figure 4",
            "Networks whose filters start smoother are less sensitive to deformation.",
            "Of the last layer, by the sigma in pixels that smooths filters",
        ),
        _falling(
            _means(_curves(files.of("smoothness", "tasks"), _variation)),
            "Section 4.3, figure 5b",
            "Tasks of stronger deformations lead to smoother filters.",
            "Mean total variation of the layers, by strength in pixels",
        ),
        _smoother(files.of("smoothness", "trained")),
        _random_labels(_curves(files.of("smoothness", "random"), _variation)),
        _random_patterns(trained, random),
    ]


def _sensitivity(result: Result) -> NDArray[np.float64]:
    return np.asarray(result.arrays("sensitivity")["sensitivity"], np.float64)


def _variation(result: Result) -> NDArray[np.float64]:
    held = result.arrays("total_variation", "kernel")
    return np.asarray(held["total_variation"][_largest(held["kernel"])], np.float64)


def _largest(kernel: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The layers that networks have in common: a 2x2 convolution that subsamples is not among them."""
    side = kernel.max(axis=-1)
    return np.asarray(side == side.max())


def _varied(result: Result) -> str:
    """`max-pool` of max-pool-0.st and of random-max-pool-0.st."""
    return Path(result.name).stem.rpartition("-")[0].removeprefix("random-")


def _curves(results: Sequence[Result], of: Callable[[Result], NDArray[np.float64]]) -> Curves:
    found: dict[str, list[NDArray[np.float64]]] = {}
    for result in results:
        values = of(result)
        found.setdefault(_varied(result), []).append(values[np.isfinite(values)])
    return {
        varied: np.mean([curve for curve in curves if len(curve) == len(curves[0])], axis=0)
        for varied, curves in found.items()
        if len(curves[0])
    }


def _last(curves: Curves) -> dict[str, float]:
    return {varied: float(curve[-1]) for varied, curve in curves.items()}


def _means(curves: Curves) -> dict[str, float]:
    return {varied: float(curve.mean()) for varied, curve in curves.items()}


def _told(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2g}" for name, value in values.items())


def _ratio(curves: Curves) -> float:
    """The largest over the smallest sensitivity of the last layer."""
    last = _last(curves).values()
    return max(last) / max(min(last), 1e-9)


def _pooling_at_first(initial: Curves) -> Finding:
    finding = partial(
        Finding,
        "Section 3.1, figure 3c",
        "At initialization, networks with pooling are less sensitive to deformation than those without.",
    )
    last = _last(initial)
    pooled = [last[name] for name in last if name in POOLED]
    others = [last[name] for name in last if name not in POOLED]
    if not (pooled and others):
        return finding()
    cases = [max(pooled) < min(others), mean(pooled) < mean(others)]
    return finding(f"Of the last layer: {_told(last)}.", agreement(cases))


def _alike_in_the_end(initial: Curves, trained: Curves) -> Finding:
    finding = partial(
        Finding,
        "Section 3.3, figure 3d",
        "After training the pattern of sensitivity through the layers is nearly the same, whatever the downsampling.",
    )
    if len(trained) < 2 or initial.keys() != trained.keys():
        return finding()
    before, after = _ratio(initial), _ratio(trained)
    here = f"Of the last layer: {_told(_last(trained))}; the largest is {after:.1f} times the smallest, at initialization {before:.1f} times."
    return finding(here, agreement([after < before, after < 2]))


def _early_layers(initial: Curves, trained: Curves) -> Finding:
    finding = partial(
        Finding,
        "Section 3.2, figure 3",
        "Training makes early layers more sensitive to deformation.",
    )
    early = {
        name: [
            float(c[name][1 : 1 + max(1, round(EARLY * len(c[name])))].mean())
            for c in (initial, trained)
        ]
        for name in initial.keys() & trained.keys()
    }
    if not early:
        return finding()
    ordered = {name: early[name] for name in initial if name in early}
    told = ", ".join(f"{name} {was:.2g} to {now:.2g}" for name, (was, now) in ordered.items())
    here = f"Mean of the first third of the layers: {told}."
    return finding(here, agreement({name: now > was for name, (was, now) in ordered.items()}))


def _falling(values: Mapping[str, float], place: str, paper: str, what: str) -> Finding:
    """Whether each value, by the number that its name ends with, is below the one before."""
    if len(values) < 2:
        return Finding(place, paper)
    told = ", ".join(f"{value:.3g} at {name.rpartition('-')[2]}" for name, value in values.items())
    falls = [later < earlier for earlier, later in itertools.pairwise(values.values())]
    return Finding(place, paper, f"{what}: {told}.", agreement(falls))


def _smoother(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section 4.4, figure 6b",
        "Filters are smoother after training than at initialization, whatever the architecture.",
    )
    layers: dict[str, list[NDArray[np.float64]]] = {}  # (value, layer) of each network
    for result in results:
        held = result.arrays("total_variation", "initial", "initial_deviation", "kernel")
        known = _largest(held["kernel"]) & (held["initial"] > 0)
        kept = [held[name][known] for name in ("total_variation", "initial", "initial_deviation")]
        layers.setdefault(_varied(result), []).append(np.stack(kept))
    if not layers:
        return finding()
    told, agrees = [], {}
    for name, networks in layers.items():
        found, initial, deviation = np.concatenate(networks, axis=1)
        rougher = int((found > initial + 2 * deviation).sum())  # than they may well have begun
        told.append(
            f"{name} {found.mean():.2f} from {initial.mean():.2f} ({rougher} of {len(found)})"
        )
        agrees[name] = bool(found.mean() < initial.mean()) and not rougher
    here = (
        "Mean total variation, from its initial value, and layers that are above theirs by more than "
        f"2 of its standard deviations: {', '.join(told)}."
    )
    return finding(here, agreement(agrees))


def _random_labels(curves: Curves) -> Finding:
    finding = partial(
        Finding,
        "Section 5, figure 6c",
        "With random labels the smoothness of filters depends on the kind of downsampling.",
    )
    variation = _means(curves)
    if len(variation) < 2:
        return finding()
    told = ", ".join(f"{name} {value:.2f}" for name, value in variation.items())
    spread = max(variation.values()) - min(variation.values())
    here = f"Mean total variation: {told}."
    return finding(here, agreement([spread > 0.02]))


def _random_patterns(trained: Curves, random: Curves) -> Finding:
    finding = partial(
        Finding,
        "Section 5, figure 7",
        "With random labels sensitivity to deformation remains a matter of architecture.",
    )
    shared = {name: curve for name, curve in trained.items() if name in random}
    if len(shared) < 2:
        return finding()
    labels, noise = _ratio(shared), _ratio(random)
    here = f"Of the last layer: {_told(_last(random))}; the largest is {noise:.1f} times the smallest, with the true labels {labels:.1f} times."
    return finding(here, agreement([noise > labels]))
