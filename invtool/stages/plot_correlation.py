"""Invariance against accuracy, a dot a network (figure 5b, c)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from invtool.config import Plot
from invtool.errors import UsageError
from invtool.measures.correlation import FEWEST, Correlation, correlation
from invtool.plots.panels import (
    Cloud,
    Dot,
    Look,
    Scatter,
)
from invtool.stages.plot_medians import Medians, medians
from invtool.stages.plot_networks import (
    Family,
    Picture,
    families,
    many,
    titled,
)
from invtool.stages.plot_sources import Result, common_layers


def correlated(config: Plot, results: Sequence[Result]) -> Picture:
    """Figure 5b, c: median I_k against accuracy, a dot a network, within and across."""
    if config.group == "all":
        raise UsageError("--kind correlation tells seen from unseen; use another --group")
    layers = common_layers(results, config.layers or ("penultimate",))
    compared = families(results)
    looks = many([family.title for family in compared])
    order = {id(result): at for at, result in enumerate(results)}
    clouds, told = [], list[dict[str, Any]]()
    for layer in layers:
        found = {id(result): medians(result, layer) for result in results}
        for group, name in (("seen", "within"), ("unseen", "across")):
            if config.group not in ("auto", group):
                continue
            where = {"panel": name, "layer": layer}
            pairs = [
                (
                    order[id(result)],
                    family.title,
                    _dot(found[id(result)], family, group, look, where),
                )
                for family in compared
                for look in [looks[family.title]]
                for result in family.networks
            ]
            pairs = [pair for pair in pairs if np.isfinite([pair[2].x, pair[2].y]).all()]
            whole = _correlation(pairs)
            title = titled(
                f"{name}: images of {group} categories", layer if len(layers) > 1 else ""
            )
            clouds.append(Cloud(title, [dot for *_, dot in pairs], _sentences(whole)))
            told.append({**where, "transform": "all", **_statistics(whole)})
            for transform in looks if len(looks) > 1 else ():
                own = _correlation([pair for pair in pairs if pair[1] == transform])
                told.append({**where, "transform": transform, **_statistics(own)})
    drawing = Scatter(
        clouds,
        [(name, Look(look.color, "", look.marker)) for name, look in looks.items()],
        f"median invariance coefficient $I_k$, {', '.join(layers)}",
        x="median_invariance",
    )
    notes = ["A dot is a network. Intervals of r and rho: 95 % bootstrap over networks."]
    if any(each["networks"] < FEWEST for each in told if each["transform"] == "all"):
        notes.append(f"Fewer than {FEWEST} networks give no interval.")
    return Picture(drawing, notes, "invariance and accuracy", {"correlations": told})


def _dot(found: Medians, family: Family, group: str, look: Look, where: Mapping[str, str]) -> Dot:
    result = found.result
    facts = {
        **where,
        "transform": family.transform,
        "network": result.name,
        "seen_categories": result.seen,
    }
    x = found.value(family.transform, group)
    return Dot(x, result.right(family.transform, group), result.seen, look, facts)


def _correlation(pairs: Sequence[tuple[int, str, Dot]]) -> Correlation:
    x, y = [dot.x for *_, dot in pairs], [dot.y for *_, dot in pairs]
    return correlation(x, y, [network for network, *_ in pairs])


def _sentences(r: Correlation) -> list[str]:
    if not r.networks:
        return ["no network"]
    texts = []
    for name, value, (low, high) in (
        ("r", r.pearson, r.pearson_interval),
        ("rho", r.spearman, r.spearman_interval),
    ):
        text = f"{name} = " + ("undefined" if np.isnan(value) else f"{value:.2f}")
        texts.append(text + (f" [{low:.2f}, {high:.2f}]" if low <= high else ""))
    number = f"{r.networks} network{'s' if r.networks > 1 else ''}"
    return [
        ", ".join(texts),
        number if r.networks >= FEWEST else f"{number}, too few for an interval",
    ]


def _statistics(r: Correlation) -> dict[str, Any]:
    def plain(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return {
        "networks": r.networks,
        "pearson": plain(r.pearson),
        "pearson_interval": [plain(end) for end in r.pearson_interval],
        "spearman": plain(r.spearman),
        "spearman_interval": [plain(end) for end in r.spearman_interval],
    }
