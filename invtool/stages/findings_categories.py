"""Findings of Jang et al. 2020 (arXiv:2007.00112), read from the results of studies/categories.smk."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from invtool.measures import GROUPS, correlation, defined_median, rise
from invtool.stages._findings import NO, NOT_MEASURED, YES, Files, Finding, agreement, mean, percent
from invtool.stages.plot_sources import Result
from invtool.transforms import TRANSFORMS, parse

ALIKE = 0.05  # of I_k: medians no farther apart nearly coincide
EVIDENCE = 2.0  # of Akaike's criterion
DOTS = 4  # networks that a correlation, or a law of growth, wants at least


@dataclass(frozen=True)
class Network:
    """One network, facing one transform."""

    transform: str
    seen: int
    categories: int
    clean: float
    within: float
    across: float
    invariance: Mapping[str, float]  # median of the penultimate layer, by group

    @classmethod
    def of(cls, result: Result) -> "list[Network]":
        """One for each transform that it faces."""
        values = result.read([result.penultimate], "invariance")[result.penultimate]
        seen, total = result.seen or 0, result.categories or 0
        return [
            cls(
                transform,
                seen,
                total,
                result.right("none", "all"),
                result.right(transform, "seen"),
                result.right(transform, "unseen") if seen < total else math.nan,
                dict(zip(GROUPS, map(float, medians), strict=True)),
            )
            for transform, medians in zip(result.transforms, defined_median(values), strict=True)
        ]


def findings(files: Files) -> list[Finding]:
    """One after the other, in the order of the paper."""
    networks = [network for result in files.of("invariance") for network in Network.of(result)]
    return [
        _robust_to_its_own(files.of("evaluation", "matrix")),
        _by_seen(
            networks,
            lambda n: n.across,
            "Accuracy across categories rises with the number of categories seen transformed.",
            rises=True,
        ),
        _by_seen(
            networks,
            lambda n: n.within,
            "Accuracy within the seen categories is close to 100 % when few are seen, and falls as "
            "more are.",
            rises=False,
        ),
        _taken_for_seen(files.of("evaluation", "quadrants")),
        _geometric_below_local(networks),
        _law(networks),
        _tau(files.of("ablation")),
        _active(files.of("invariance")),
        _invariance_rises(networks),
        _coincide(networks),
        _correlated(networks),
        _not_needed_within(networks),
    ]


def is_geometric(transform: str) -> bool:
    return any(TRANSFORMS[step.name].family == "geometric" for step in parse(transform).steps)


def _robust_to_its_own(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.1, figure 2a",
        "Networks are robust to the transform they were trained with, not to others.",
    )
    trained = [r for r in results if r.trained]
    if not trained:
        return finding()
    own = mean(r.right(r.trained, "all") for r in trained)
    other = mean(r.right(t, "all") for r in trained for t in r.transforms if t != r.trained)
    here = f"{percent(own)} of images under the own transform are answered right"
    here += f", {percent(other)} under another" if len(trained) > 1 else ""
    cases = {
        r.trained: all(
            r.right(r.trained, "all") > r.right(t, "all") for t in r.transforms if t != r.trained
        )
        for r in trained
    }
    return finding(f"{here}, mean of {len(trained)} networks.", agreement(cases))


def _curves(
    networks: Iterable[Network], of: Callable[[Network], float]
) -> dict[str, dict[int, float]]:
    """Mean over seeds by transform and number of seen categories, where it is known."""
    found: dict[str, dict[int, list[float]]] = {}
    for network in networks:
        value = of(network)
        if not np.isnan(value):
            found.setdefault(network.transform, {}).setdefault(network.seen, []).append(value)
    return {
        transform: {seen: mean(values) for seen, values in sorted(curve.items())}
        for transform, curve in found.items()
    }


def _ends(curves: Mapping[str, Mapping[int, float]], text: Callable[[float], str]) -> str:
    """`blur: 5 % to 28 %; ...`, each curve at its ends."""
    ends = {transform: (min(curve), max(curve)) for transform, curve in curves.items()}
    return "; ".join(
        f"{transform}: {text(curves[transform][low])} to {text(curves[transform][high])}"
        for transform, (low, high) in ends.items()
    )


def _span(curves: Mapping[str, Mapping[int, float]], networks: Sequence[Network]) -> str:
    counts = sorted({seen for curve in curves.values() for seen in curve})
    total = max(network.categories for network in networks)
    return f"from {counts[0]} to {counts[-1]} of {total} categories seen"


def _grows(curves: Mapping[str, Mapping[int, float]]) -> dict[str, bool]:
    return {t: c[max(c)] > c[min(c)] for t, c in curves.items()}


def _trained(networks: Iterable[Network]) -> list[Network]:
    return [network for network in networks if network.seen]


def _by_seen(
    networks: Sequence[Network], of: Callable[[Network], float], paper: str, *, rises: bool
) -> Finding:
    finding = partial(Finding, "Section 3.1, figure 2b, c", paper)
    curves = _curves(_trained(networks), of)
    if not curves:
        return finding()
    cases = {transform: grows == rises for transform, grows in _grows(curves).items()}
    return finding(f"{_ends(curves, percent)}, {_span(curves, networks)}.", agreement(cases))


def _taken_for_seen(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.1, figure 6",
        "With few categories seen, transformed images of unseen categories are mainly confused with seen ones.",
    )
    shares, chances = {}, []
    for result in results:
        confusion = result.arrays("confusion").get("confusion")
        if confusion is not None and result.trained in result.conditions and result.categories:
            unseen = confusion[result.conditions.index(result.trained), 1]
            shares[result.trained] = float(unseen[0].sum())
            chances.append((result.seen or 0) / result.categories)
    if not shares:
        return finding()
    told = "; ".join(f"{transform}: {percent(share)}" for transform, share in shares.items())
    here = f"Taken for a seen category (by chance {percent(mean(chances))}): {told}."
    return finding(here, agreement({t: share > 0.5 for t, share in shares.items()}))


def _geometric_below_local(networks: Sequence[Network]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.1",
        "Color, convolutional and noise transforms carry over to other categories far better than geometric ones.",
    )
    curves = _curves(_trained(networks), lambda n: n.across)
    best = {transform: curve[max(curve)] for transform, curve in curves.items()}
    local = [best[t] for t in best if not is_geometric(t)]
    moved = [best[t] for t in best if is_geometric(t)]
    if not (local and moved):
        return finding()
    here = f"Across, with most seen: {percent(mean(local))} beside {percent(mean(moved))}."
    return finding(
        here, YES if min(local) > max(moved) else agreement([mean(local) > mean(moved), False])
    )


def _law(networks: Sequence[Network]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.1",
        "For convolutional and noise transforms it rises linearly on faces, logarithmically on varied images.",
    )
    preferences = {}
    for transform, curve in _curves(_trained(networks), lambda n: n.across).items():
        if len(curve) >= DOTS and not is_geometric(transform):
            seen, accuracy = np.array(list(curve)), np.array(list(curve.values()))
            preferences[transform] = rise(seen, accuracy).preference
    if not preferences:
        return finding("", NOT_MEASURED)
    laws = {
        t: "undecided" if abs(p) < EVIDENCE else "logarithmic" if p > 0 else "linear"
        for t, p in preferences.items()
    }
    told = "; ".join(f"{t} {law} ({preferences[t]:+.1f})" for t, law in laws.items())
    return finding(f"{told}, by the difference of Akaike's criterion.", NOT_MEASURED)


def _tau(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.2, figure 7",
        "tau is 0.1 (FaceScrub) and 0.05 (ImageNet): above it the active units alone lose under 1 point "
        "of accuracy, and without them it is very low.",
    )
    rows = []
    for result in results:
        held = result.arrays("tau", "chosen_tau", "accuracy", "intact_accuracy")
        chosen = float(held["chosen_tau"])
        if np.isnan(chosen):
            continue
        at = int(np.argmin(np.abs(held["tau"] - chosen)))
        keep, ablate = held["accuracy"].mean(axis=1)[:, at]
        rows.append(
            (chosen, float(held["intact_accuracy"][:, 0].mean()), float(keep), float(ablate))
        )
    if not rows:
        return finding()
    taus = sorted({f"{row[0]:.2g}" for row in rows}, key=float)
    intact, keep, ablate = (mean(column) for column in list(zip(*rows, strict=True))[1:])
    here = f"tau is {', '.join(taus)}: {percent(keep)} with the active units alone, {percent(intact)} with all, {percent(ablate)} without the active ones."
    return finding(here, agreement([ablate < keep / 2, all(float(t) in (0.05, 0.1) for t in taus)]))


def _active(results: Sequence[Result]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.2, figure 3a",
        "1 to 20 % of the images activate a unit, and 10 to 20 % of the units are active in an image.",
    )
    images, units = [], []
    for result in (r for r in results if r.seen and r.seen == r.categories):
        prefix = f"layers/{result.penultimate}"
        held = result.arrays(f"{prefix}/active_images", f"{prefix}/active_units")
        count, active = held[f"{prefix}/active_images"][0, 0], held[f"{prefix}/active_units"][0]
        images.append(float(np.median(count)) / len(active))
        units.append(float(np.median(active)) / count.size)
    if not images:
        return finding()
    here = f"Median {percent(mean(images))} of the images, and {percent(mean(units))} of the units."
    return finding(here, agreement([0.01 <= mean(images) <= 0.2, 0.1 <= mean(units) <= 0.2]))


def _invariance_rises(networks: Sequence[Network]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.2, figures 4, 5a",
        "Invariance I_k of the penultimate units rises with the number of categories seen transformed.",
    )
    curves = _curves(networks, lambda n: n.invariance["all"])
    if not curves:
        return finding()
    here = f"Median I_k: {_ends(curves, '{:.2f}'.format)}, {_span(curves, networks)}."
    return finding(here, agreement(_grows(curves)))


def _coincide(networks: Sequence[Network]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.2, figure 4",
        "It is nearly identical on seen and unseen categories, but where few are seen.",
    )
    both = [n for n in networks if 2 * n.seen >= n.categories and 0 < n.seen < n.categories]
    apart: dict[str, float] = {}
    for network in both:
        difference = abs(network.invariance["seen"] - network.invariance["unseen"])
        apart[network.transform] = max(difference, apart.get(network.transform, 0.0))
    if not apart:
        return finding()
    told = "; ".join(f"{transform}: {value:.2f}" for transform, value in apart.items())
    here = f"Largest difference of the medians, with half of the categories or more seen: {told}."
    return finding(here, agreement({t: value <= ALIKE for t, value in apart.items()}))


def _correlated(networks: Sequence[Network]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.2, figure 5c",
        "Accuracy across categories goes with invariance.",
    )
    known = [n for n in _trained(networks) if not np.isnan(n.across)]
    if len(known) < DOTS:
        return finding()
    found = correlation(
        np.array([n.invariance["unseen"] for n in known]), np.array([n.across for n in known])
    )
    low, high = found.pearson_interval
    here = f"r = {found.pearson:.2f} ({low:.2f} to {high:.2f}) over {found.networks} networks."
    return finding(here, agreement([found.pearson > 0, low > 0]))


def _not_needed_within(networks: Sequence[Network]) -> Finding:
    finding = partial(
        Finding,
        "Section 3.2, figure 5b",
        "Invariance is not needed for robustness within the seen categories.",
    )
    trained = _trained(networks)
    if len(trained) < DOTS:
        return finding()
    found = correlation(
        np.array([n.invariance["seen"] for n in trained]), np.array([n.within for n in trained])
    )
    few = min(n.seen for n in trained)
    least = [n for n in trained if n.seen == few]
    here = (
        f"r = {found.pearson:.2f}; with {few} seen, I_k is {mean(n.invariance['seen'] for n in least):.2f} "
        f"and {percent(mean(n.within for n in least))} are right within, {percent(mean(n.across for n in least))} across."
    )
    return finding(here, YES if found.pearson <= 0 else NO)
