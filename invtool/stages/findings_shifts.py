"""Findings of Azulay and Weiss 2019 (arXiv:1805.12177), read from the results of studies/shifts.smk.

A network whose name is another's with more after it, as vgg16-averages, is that network cured.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from invtool.stages._findings import NO, YES, Files, Finding, agreement, mean, percent
from invtool.stages.plot_embedded import embeddings, pixels
from invtool.stages.plot_sources import Result

OFTEN = 0.1  # share of images that is a large one
HALF = 0.5
SAME = 1.0  # subsampling factor before any stride


def findings(files: Files) -> list[Finding]:
    """One after the other, in the order of the paper."""
    shifted = _by_name(files.of("jaggedness", "embed"))
    return [
        _jagged(
            shifted,
            "Section 2, figure 2A",
            "A shift by one pixel takes the true class into or out of the top 5 for about 28 % of the images.",
        ),
        _deeper(shifted),
        _jagged(
            _by_name(files.of("jaggedness", "scale")),
            "Section 2, figure 1",
            "A tiny change of size does so too.",
        ),
        _jagged(
            _by_name(files.of("jaggedness", "crop")),
            "Section 2, figure 3",
            "It is so for many images where nothing is filled in, but a window moves.",
        ),
        _subsampling(_own(_by_name(files.of("shiftability")))),
        _cure(_by_name(files.of("shiftability")), shifted),
        _bias(files.of("bias")),
        _embedded(_own(_by_name(files.of("evaluation")))),
        _votes(_own(_by_name(files.of("evaluation")))),
    ]


def _by_name(results: Sequence[Result]) -> dict[str, Result]:
    return {result.path.stem: result for result in results}


def _cured(name: str, networks: Mapping[str, Result]) -> str:
    """The network that this one cures; empty: none."""
    return next((other for other in networks if name.startswith(f"{other}-")), "")


def _own(networks: Mapping[str, Result]) -> dict[str, Result]:
    """Networks as they are, without the cured ones."""
    return {name: r for name, r in networks.items() if not _cured(name, networks)}


def _measure(result: Result, name: str) -> tuple[float, float, float]:
    """A measure of jaggedness, and its interval; NaN where the file lacks it."""
    held = result.arrays("measure", "value", "interval")
    if name not in held["measure"]:
        return math.nan, math.nan, math.nan
    at = held["measure"].tolist().index(name)
    low, high = held["interval"][at].tolist()
    return float(held["value"][at]), low, high


def _jagged(networks: Mapping[str, Result], place: str, paper: str) -> Finding:
    own = {name: _measure(result, "jagged_images") for name, result in _own(networks).items()}
    if not own:
        return Finding(place, paper)
    told = "; ".join(
        f"{name} {percent(value)} ({percent(low)} to {percent(high)})"
        for name, (value, low, high) in own.items()
    )
    top = {int(r.attributes["top"]) for r in networks.values() if r.attributes.get("top")}
    within = f" of the top {top.pop()}" if len(top) == 1 else ""
    often = {name: value >= OFTEN for name, (value, _, _) in own.items()}
    return Finding(place, paper, f"Jagged images{within}: {told}.", agreement(often))


def _deeper(networks: Mapping[str, Result]) -> Finding:
    finding = partial(
        Finding, "Section 2, figure 2B", "The deeper the network, the more jagged its predictions."
    )
    own = {n: _measure(r, "jaggedness")[0] for n, r in _own(networks).items()}
    if len(own) < 2:
        return finding()
    told = "; ".join(f"{name} {value:.2f}" for name, value in own.items())
    values = list(own.values())
    rises = [later > earlier for earlier, later in itertools.pairwise(values)]
    here = f"Entries to and exits from the top k, mean of the images, from shallow to deep: {told}."
    return finding(here, agreement(rises))


def _changes(result: Result) -> dict[float, float]:
    """Share of the steps at which the sum of a map changes, by subsampling factor, a mean of layers."""
    held = result.arrays("nonshiftability", "subsampling", "position")
    share = held["nonshiftability"] / max(1, len(held["position"]) - 1)
    factors = held["subsampling"]
    return {
        float(factor): mean(share[factors == factor].tolist())
        for factor in np.unique(factors[np.isfinite(factors)])
    }


def _subsampling(networks: Mapping[str, Result]) -> Finding:
    finding = partial(
        Finding,
        "Section 3, figure 5",
        "Sums of feature maps stay in layers that obey the sampling theorem; deeper layers are less and "
        "less shiftable.",
    )
    if not networks:
        return finding()
    told, cases = [], {}
    for name, result in networks.items():
        curve = _changes(result)
        values = list(curve.values())
        shares = ", ".join(f"{percent(share)} at {factor:g}" for factor, share in curve.items())
        told.append(f"{name}: {shares}")
        cases[name] = values[-1] > values[0] and curve.get(SAME, 0.0) < 0.01
    here = f"Steps at which they change, by subsampling factor: {'; '.join(told)}."
    return finding(here, agreement(cases))


def _cure(shiftable: Mapping[str, Result], jagged: Mapping[str, Result]) -> Finding:
    finding = partial(
        Finding,
        "Sections 3 and 6, figure 4",
        "Blurring before subsampling makes representations shiftable, maybe at the cost of performance.",
    )
    told, cases = [], {}
    for name in shiftable:
        before = _cured(name, shiftable)
        if not before or not {name, before} <= jagged.keys():
            continue
        was, now = (max(_changes(shiftable[n]).items())[1] for n in (before, name))
        steps = [_measure(jagged[n], "top1_changes")[0] for n in (before, name)]
        right = [_measure(jagged[n], "accuracy")[0] for n in (before, name)]
        told.append(
            f"{name}: the deepest sums change in {percent(was)} of the steps before, {percent(now)} after, "
            f"answers in {percent(steps[0])} and {percent(steps[1])}; {percent(right[0])} and "
            f"{percent(right[1])} of the frames are answered right"
        )
        cases[name] = now < was and steps[1] < steps[0]
    return finding("; ".join(told) + ".", agreement(cases)) if told else finding()


def _bias(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section 4, figure 6",
        "Position and size of the objects are far from uniform (p < 1e-10) in more than 900 of 1000 categories.",
    )
    if not results:
        return finding()
    held = results[0].arrays("position_log10_p", "size_log10_p")
    both = np.maximum(held["position_log10_p"], held["size_log10_p"])
    known = both[np.isfinite(both) | (both == -np.inf)]
    share = float(np.mean(known < -10)) if len(known) else 0.0
    here = (
        f"In {np.count_nonzero(known < -10)} of {len(known)} categories, p of both is under 1e-10."
    )
    return finding(here, YES if share > 0.9 else NO)


def _embedded(networks: Mapping[str, Result]) -> Finding:
    finding = partial(
        Finding,
        "Section 5, figure 7",
        "Scaled to half their size and placed at random, fewer than 50 % of the images are answered right.",
    )
    told, cases = [], {}
    for name, result in networks.items():
        sizes = {pixels(result, step): number for number, step in embeddings(result)}
        height = result.attributes.get("image_height")
        if sizes and height:
            nearest = min(sizes, key=lambda size: abs(size - HALF * float(height)))
            accuracy = result.right(result.conditions[sizes[nearest]], "all")
            whole = result.right("none", "all")
            told.append(
                f"{name} {percent(accuracy)} at {nearest:g} of {float(height):g} px, {percent(whole)} whole"
            )
            cases[name] = accuracy < HALF
    return finding("; ".join(told) + ".", agreement(cases)) if told else finding()


def _votes(networks: Mapping[str, Result]) -> Finding:
    finding = partial(
        Finding,
        "Section 5",
        "A majority vote over random crops costs as many passes and gives only partial invariance.",
    )
    told, cases = [], {}
    for name, result in networks.items():
        held = result.arrays("crops", "tta_changes")
        if len(held) == 2 and len(held["crops"]) > 1:
            changes = held["tta_changes"].tolist()
            told.append(
                f"{name}: a move by a pixel changes {percent(changes[0])} of the votes of {held['crops'][0]}, "
                f"{percent(changes[-1])} of those of {held['crops'][-1]}"
            )
            cases[name] = 0 < changes[-1] < changes[0]
    return finding("; ".join(told) + ".", agreement(cases)) if told else finding()
