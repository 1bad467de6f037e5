"""Small result files for `invtool plot`, with values that behave as those of trained networks do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from conftest import STEPS

from invtool.files import hdf5

LAYERS = {"conv1": (4, 5, 5), "conv2": (8, 3, 3), "fc": (32,)}
GROUPS = ["all", "seen", "unseen"]
BOUNDS = ["lower", "upper"]
TAUS = np.arange(0, 1.0001, 0.05)


def write_invariance(
    path: Path,
    *,
    seen: int | None = 50,
    total: int = 100,
    transforms: Sequence[str] = ("blur:sigma=2",),
    layers: dict[str, tuple[int, ...]] | None = None,
    seed: int = 0,
    accuracy: bool = True,
    split: bool = True,
    trained: str = "",
    more: bool = False,
) -> Path:
    """A result in the shape that the invariance stage writes, with values that rise with depth and seen."""
    random = np.random.default_rng((seed, seen or 0))
    layers = layers or LAYERS
    number = 60
    has_seen = np.arange(number) % total < (seen or 0) * number // total
    with hdf5.create(path, "invariance", STEPS) as out:
        out.attribute("tau", 0.1)
        out.attribute("data", "faces")
        if seen is not None:
            out.attribute("seen_categories", seen)
            out.attribute("categories_total", total)
            out.attribute("model_seed", seed)
        if trained:
            out.attribute("trained_with", trained)
        out.array("transform", list(transforms), ("transform",))
        out.array("group", ["all", "seen", "unseen"], ("group",))
        if more:
            out.array("bound", BOUNDS, ("bound",))
        out.array("seen", has_seen.astype("u1"), ("image",))
        if accuracy:
            conditions = ["none", *transforms]
            out.array("condition", conditions, ("condition",))
            share = (seen or 0) / total
            rows = [[0.95, 0.95, 0.95]] + [
                [0.5, 1 - 0.1 * share, 0.1 + 0.8 * share / (1 + t)] for t in range(len(transforms))
            ]
            out.array("accuracy", np.array(rows), ("condition", "group"))
            if more:
                ends = np.array(rows)[..., None] + np.array([-0.05, 0.04])
                out.array("accuracy_interval", ends.clip(0, 1), ("condition", "group", "bound"))
        if more:
            out.array("tau_grid", TAUS, ("tau",))
        for depth, (name, shape) in enumerate(layers.items()):
            axes = ("channel", "height", "width") if len(shape) == 3 else ("unit",)
            middle = 0.25 + 0.4 * (depth + 1) / len(layers) * (
                0.3 + 0.7 * (50 if seen is None else seen) / total
            )
            values = random.beta(8 * middle, 8 * (1 - middle), (len(transforms), 3, *shape))
            values[:, :, 0] = np.nan
            if not split or seen == 0:
                values[:, 1] = np.nan
            if not split or seen == total:
                values[:, 2] = np.nan
            where = f"layers/{name}"
            dims = ("transform", "group", *axes)
            out.array(f"{where}/invariance", values.astype("f4"), dims)
            if more:
                flat = values.reshape(*values.shape[:2], -1)[..., 1:]
                median = np.median(flat, axis=-1)
                out.array(f"{where}/median", median, dims[:2])
                ends = median[..., None] + np.array([-0.03, 0.03])
                out.array(f"{where}/median_interval", ends, (*dims[:2], "bound"))
                by_tau = median[..., None] * (1 - 0.5 * TAUS)
                out.array(f"{where}/median_by_tau", by_tau, (*dims[:2], "tau"))
            images = random.integers(0, 20, values.shape).astype("i4")
            out.array(f"{where}/active_images", images, dims)
            units = random.integers(0, int(np.prod(shape)) // 4, (len(transforms), number))
            out.array(f"{where}/active_units", units.astype("i4"), ("transform", "image"))
            score = random.random((len(transforms), *shape))
            out.array(f"{where}/top1_score", score.astype("f4"), ("transform", *axes))
    return path


def write_evaluation(
    path: Path,
    networks: Sequence[tuple[str, int, int]] = (("blur", 50, 0),),
    *,
    total: int = 100,
    transforms: Sequence[str] = ("blur", "rot90"),
    several: bool | None = None,
) -> Path:
    """Networks (trained with, seen categories, seed); right where the transform is the trained one."""
    conditions = ["none", *transforms]
    several = len(networks) > 1 if several is None else several
    parts = [_evaluated(*network, total, conditions) for network in networks]
    stacked = {name: np.array([part[name] for part in parts]) for name in parts[0]}
    trained, counts, seeds = zip(*networks, strict=True)
    lead = ("network",) if several else ()
    dims = {
        "accuracy": ("condition", "group"),
        "wilson": ("condition", "group", "bound"),
        "bootstrap": ("condition", "group", "bound"),
        "confusion": ("condition", "true_group", "predicted_group", "correct"),
    }
    with hdf5.create(path, "evaluation", STEPS[:1]) as out:
        out.attribute("categories_total", total)
        out.attribute("data", "faces")
        out.attribute("image_height", 32)
        out.array("condition", conditions, ("condition",))
        out.array("group", GROUPS, ("group",))
        out.array("bound", BOUNDS, ("bound",))
        out.array("label", np.arange(6), ("image",))
        if several:
            names = [f"{t or 'plain'}-{n}-{s}.st" for t, n, s in networks]
            out.array("network", names, ("network",))
            out.array("network_seen_categories", np.array(counts), ("network",))
            out.array("network_trained_with", list(trained), ("network",))
            out.array("network_seed", np.array(seeds), ("network",))
        else:
            for name, value in zip(
                ("trained_with", "seen_categories", "model_seed"), networks[0], strict=True
            ):
                out.attribute(name, value)
        for name, values in stacked.items():
            out.array(name, values if several else values[0], (*lead, *dims[name]))
        answers = np.zeros((len(networks), len(conditions), 6), np.int64)
        kept = answers if several else answers[0]
        out.array("prediction", kept, (*lead, "condition", "image"))
    return path


def _evaluated(
    trained: str, seen: int, seed: int, total: int, conditions: Sequence[str]
) -> Mapping[str, Any]:
    random = np.random.default_rng([seed, seen, len(trained), *trained.encode()])
    accuracy = np.full((len(conditions), 3), np.nan)
    confusion = np.full((len(conditions), 2, 2, 2), np.nan)
    share = seen / total
    for c, condition in enumerate(conditions):
        within, across = 0.15, 0.1
        if condition == trained:
            within, across = 1 - 0.1 * share, 0.15 + 0.75 * share
        elif condition == "none":
            within, across = 0.92, 0.93
        within, across = np.clip(random.normal([within, across], 0.02), 0, 1)
        leak = 0.9 - 0.5 * share if condition == trained else 0.5
        if seen:
            wrong = 1 - within
            confusion[c, 0] = [[wrong * leak, within], [wrong * (1 - leak), 0]]
        if seen < total:
            wrong = 1 - across
            confusion[c, 1] = [[wrong * leak, 0], [wrong * (1 - leak), across]]
        accuracy[c, 1:] = within if seen else np.nan, across if seen < total else np.nan
        accuracy[c, 0] = within * share + across * (1 - share)
    ends = (accuracy[..., None] + np.array([-0.04, 0.03])).clip(0, 1)
    return {"accuracy": accuracy, "wilson": ends, "bootstrap": ends, "confusion": confusion}


def write_ablation(
    path: Path,
    *,
    transforms: Sequence[str] = ("blur", "rot90"),
    chosen: float = 0.1,
) -> Path:
    conditions = ["none", *transforms]
    intact = 0.9 - 0.15 * np.arange(len(conditions))
    keep = intact[:, None] * (1 - TAUS**2)
    ablate = 0.01 + intact[:, None] * TAUS**1.5
    accuracy = np.stack([keep, ablate])
    with hdf5.create(path, "ablation", STEPS[:1]) as out:
        out.attribute("categories_total", 100)
        out.attribute("seen_categories", 50)
        out.attribute("data", "faces")
        out.attribute("layers", ["fc"])
        out.array("tau", TAUS, ("tau",))
        out.array("mode", ["keep-active", "ablate-active"], ("mode",))
        out.array("condition", conditions, ("condition",))
        out.array("group", GROUPS, ("group",))
        dims = ("mode", "condition", "tau")
        out.array("accuracy", accuracy, dims)
        grouped = accuracy[..., None] * np.array([1, 1.05, 0.95])
        out.array("group_accuracy", grouped, (*dims, "group"))
        out.array(
            "intact_accuracy", intact[:, None] * np.array([1, 1.05, 0.95]), ("condition", "group")
        )
        share = np.tile(1 - TAUS, (len(conditions), 1))
        out.array("active_share", share, ("condition", "tau"))
        out.array("chosen_tau", chosen, ())
    return path


def write_calibration(path: Path, *, found: bool = True, family: str = "blur") -> Path:
    strength = np.arange(0, 3.6, 0.5)
    accuracy = 0.9 * np.exp(-(strength**2) / 4) + 0.02
    if not found:
        strength, accuracy = strength[:4], accuracy[:4]
    with hdf5.create(path, "calibration", STEPS[:1]) as out:
        out.attribute("transform", f"{family}:sigma={strength[-1]:g}" if found else "")
        out.attribute("family", family)
        out.attribute("parameter", "sigma")
        out.attribute("limit", 0.1)
        out.attribute("categories_total", 100)
        out.attribute("data", "faces")
        out.array("strength", strength, ("step",), units="px")
        out.array("bound", BOUNDS, ("bound",))
        out.array("accuracy", accuracy, ("step",))
        ends = (accuracy[:, None] + np.array([-0.04, 0.04])).clip(0, 1)
        out.array("wilson", ends, ("step", "bound"))
    return path


MEASURED = ["jagged_images", "top1_changes", "absolute_change"]


def write_jagged(path: Path, networks: Sequence[tuple[str, int]] = (("a.st", 14),)) -> Path:
    """Networks (name, size of the object) under one axis, of six images at five positions."""
    random = np.random.default_rng(0)
    several, count = len(networks) > 1, len(networks)
    lead = ("network",) if several else ()
    probability = random.random((count, 6, 5)).astype("f4")
    probability[:, 2, :2] = np.nan  # an image that lacks two positions
    probability[:, 4] = np.nan  # and one that has none
    value = random.uniform(0.2, 0.4, (count, 3))
    arrays = {
        "probability": (probability, ("image", "position")),
        "top1": (np.where(np.isnan(probability), -1, 0), ("image", "position")),
        "in_topk": (np.zeros((count, 6, 5), "u1"), ("image", "position")),
        "jaggedness": (np.zeros((count, 6), int), ("image",)),
        "followed": (np.zeros((count, 6), int), ("image",)),
        "change": (random.random((count, 6)), ("image",)),
        "value": (value, ("measure",)),
        "interval": (value[..., None] + np.array([-0.1, 0.2]), ("measure", "bound")),
    }
    protocols = [f"embed {size} px" for _, size in networks]
    with hdf5.create(path, "jaggedness", STEPS[:1]) as out:
        told = {"data": "photos", "protocol": "embed", "target": "label"}
        for name, text in {**told, "protocol_text": protocols[0]}.items():
            out.attribute(name, text)
        out.array("position", np.arange(-2, 3), ("position",), units="px")
        out.array("label", np.arange(6) % 3, ("image",))
        out.array("name", [f"{n}.jpg" for n in range(6)], ("image",))
        out.array("measure", MEASURED, ("measure",))
        out.array("bound", BOUNDS, ("bound",))
        if several:
            out.array("network", [f"{name}, {size} px" for name, size in networks], lead)
            out.array("object_size", [size for _, size in networks], lead)
            out.array("protocol_text", protocols, lead)
        for name, (values, dims) in arrays.items():
            out.array(name, values if several else values[0], (*lead, *dims))
        out.array("example", [3, 2], ("example",))
        frames = random.integers(0, 256, (2, 5, 3, 8, 8), dtype=np.uint8)
        out.array("example_frame", frames, ("example", "position", "channel", "height", "width"))
    return path
