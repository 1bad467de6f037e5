"""What many tests need: the command line in a subprocess, and a small file of each kind."""

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from invtool.files import hdf5, interrupts, messages, provenance

if "PYTEST_XDIST_WORKER" in os.environ:  # a worker a core, so a thread a worker
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if (
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN
):  # as under nohup, and commands would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

INVTOOL = [sys.executable, "-m", "invtool"]
STEPS = [
    {
        "id": "train.00000001",
        "previous": [],
        "version": "0.1.0",
        "command": "invtool train --seen 2 --transform blur -o model.st",
        "reads": [],
        "writes": [],
        "config": {"transform": "blur"},
        "time": "2026-01-01T00:00:00Z",
        "python": "3.11.7",
        "torch": "2.8.0",
        "device": "cpu",
    },
    {
        "id": "activations.00000002",
        "previous": ["train.00000001"],
        "version": "0.1.0",
        "command": "invtool activations model.st --layer 'conv*'",
        "reads": ["model.st"],
        "writes": ["-"],
        "config": {},
        "time": "2026-01-01T00:01:00Z",
        "python": "3.11.7",
        "torch": "2.8.0",
        "device": "cpu",
    },
    {
        "id": "invariance.00000003",
        "previous": ["activations.00000002"],
        "version": "0.1.0",
        "command": "invtool invariance -o result.h5",
        "reads": ["-"],
        "writes": ["result.h5"],
        "config": {},
        "time": "2026-01-01T00:01:01Z",
        "python": "3.11.7",
        "torch": None,
        "device": None,
    },
]
CATEGORIES = ["ann", "bob", "cy", "di"]
Runner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def as_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command line sets for its process does not outlast a test."""
    monkeypatch.setattr(provenance, "recording", True)
    monkeypatch.setattr(messages, "quiet", False)
    monkeypatch.setattr(messages, "command", "")


@pytest.fixture
def invtool(tmp_path: Path) -> Runner:
    """`invtool("inspect", path)`: run the command in tmp_path, with text in and out."""

    def run(
        *args: str | Path, env: Mapping[str, str] | None = None, **extra: Any
    ) -> subprocess.CompletedProcess[str]:
        given: dict[str, Any] = {"cwd": tmp_path, "capture_output": True, "text": True, **extra}
        if "input" not in given:
            given.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            [*INVTOOL, *map(str, args)], env={**os.environ, **(env or {})}, timeout=120, **given
        )

    return run


def write_images(path: Path, count: int = 12, steps: Any = None) -> Path:
    rng = np.random.default_rng(0)
    with hdf5.create(path, "images", STEPS[:1] if steps is None else steps) as out:
        out.attribute("categories", CATEGORIES)
        out.array(
            "image",
            rng.integers(0, 256, (count, 3, 8, 8), dtype=np.uint8),
            ("image", "channel", "height", "width"),
            long_name="Pixels",
        )
        out.array("label", np.arange(count) % 4, ("image",), long_name="Category number")
        out.array("split", (np.arange(count) % 2).astype(np.uint8), ("image",))
    return path


def write_activations(path: Path, count: int = 12, dtype: str = "float32") -> Path:
    rng = np.random.default_rng(0)
    dims = ("condition", "image", "channel", "height", "width")
    with hdf5.create(path, "activations", STEPS[:2]) as out:
        out.array("condition", ["none", "blur"], ("condition",))
        out.array("label", np.arange(count) % 4, ("image",))
        out.array("seen", (np.arange(count) % 4 < 2).astype(np.uint8), ("image",))
        out.array("index", np.arange(count), ("image",))
        out.array("prediction", np.zeros((2, count), np.int64), ("condition", "image"))
        slab = out.reserve("layers/conv1/activation", (2, count, 4, 3, 3), dtype, dims)
        for condition in range(2):
            slab.write((condition, 0), rng.random((count, 4, 3, 3)))
        slab = out.reserve("layers/fc/activation", (2, count, 5), dtype, (*dims[:2], "unit"))
        for condition in range(2):
            slab.write((condition, 0), rng.random((count, 5)))
    return path


def write_invariance(path: Path, layers: int = 2) -> Path:
    rng = np.random.default_rng(0)
    with hdf5.create(path, "invariance", STEPS) as out:
        out.attribute("tau", 0.1)
        out.array("transform", ["blur"], ("transform",))
        out.array("group", ["all", "seen", "unseen"], ("group",))
        for layer in (f"fc{n}" for n in range(layers)):
            score = rng.random((1, 3, 5)).astype(np.float32)
            score[0, 0, 0] = np.nan
            out.array(f"layers/{layer}/invariance", score, ("transform", "group", "unit"))
            out.array(
                f"layers/{layer}/active_images",
                np.full((1, 3, 5), 7, np.int32),
                ("transform", "group", "unit"),
            )
            out.array(
                f"layers/{layer}/active_units", np.ones((1, 12), np.int32), ("transform", "image")
            )
            out.array(f"layers/{layer}/top1_score", score[:, 0], ("transform", "unit"))
    return path


def write_ablation(path: Path, chosen: float = 0.1) -> Path:
    rng = np.random.default_rng(0)
    curves = ("mode", "condition", "tau")
    with hdf5.create(path, "ablation", STEPS[:1]) as out:
        out.attribute("layers", ["fc"])
        out.array("condition", ["none", "blur"], ("condition",))
        out.array("tau", np.array([0.0, 0.1, 0.2]), ("tau",))
        out.array("mode", ["keep-active", "ablate-active"], ("mode",))
        out.array("group", ["all", "seen", "unseen"], ("group",))
        out.array("accuracy", rng.random((2, 2, 3)), curves)
        out.array("group_accuracy", rng.random((2, 2, 3, 3)), (*curves, "group"))
        out.array("intact_accuracy", rng.random((2, 3)), ("condition", "group"))
        out.array("active_share", rng.random((2, 3)), ("condition", "tau"))
        out.array("chosen_tau", chosen, ())
    return path


def write_calibration(path: Path) -> Path:
    accuracy = np.array([0.75, 0.5, 0.05])
    with hdf5.create(path, "calibration", STEPS[:1]) as out:
        told = {"transform": "blur:sigma=1", "family": "blur", "parameter": "sigma", "limit": 0.1}
        for name, value in told.items():
            out.attribute(name, value)
        out.array("strength", np.array([0, 0.5, 1]), ("step",), units="px")
        out.array("accuracy", accuracy, ("step",))
        out.array("bound", ["lower", "upper"], ("bound",))
        out.array("wilson", np.stack([accuracy - 0.05, accuracy + 0.05], -1), ("step", "bound"))
    return path


def write_jaggedness(path: Path) -> Path:
    rng = np.random.default_rng(0)
    shape, grid = (5, 7), ("image", "position")
    with hdf5.create(path, "jaggedness", STEPS[:1]) as out:
        told = {"model": "model.st", "data": "photos", "protocol": "embed", "target": "label"}
        for name, value in {**told, "protocol_text": "embed 100 px in 224 px", "top": 1}.items():
            out.attribute(name, value)
        out.array("position", np.arange(-3, 4), ("position",), units="px")
        out.array("label", np.arange(5) % 4, ("image",))
        out.array("name", [f"{n}.jpg" for n in range(5)], ("image",))
        out.array("measure", ["jagged_images", "accuracy"], ("measure",))
        out.array("bound", ["lower", "upper"], ("bound",))
        out.array("probability", rng.random(shape), grid)
        out.array("top1", rng.integers(0, 4, shape), grid)
        inside = rng.integers(0, 2, shape).astype(np.uint8)
        out.array("in_topk", inside, grid)
        out.array("jaggedness", (np.diff(inside.astype(int)) != 0).sum(1), ("image",))
        out.array("followed", np.arange(5) % 4, ("image",))
        out.array("change", rng.random(5), ("image",))
        out.array("value", np.array([0.8, 0.4]), ("measure",))
        out.array("interval", np.array([[0.6, 1.0], [0.2, 0.6]]), ("measure", "bound"))
        out.array("example", [1, 0], ("example",))
        frames = rng.integers(0, 256, (2, 7, 3, 8, 8), dtype=np.uint8)
        dims = ("example", "position", "channel", "height", "width")
        out.array("example_frame", frames, dims)
    return path


def write_shiftability(path: Path) -> Path:
    rng = np.random.default_rng(0)
    with hdf5.create(path, "shiftability", STEPS[:1]) as out:
        told = {"model": "model.st", "data": "photos", "protocol": "embed", "share": 0.2}
        for name, value in {**told, "protocol_text": "embed 100 px in 224 px"}.items():
            out.attribute(name, value)
        out.array("position", np.arange(-3, 4), ("position",), units="px")
        out.array("name", ["a.jpg", "b.jpg"], ("image",))
        out.array("layer", ["conv1", "conv2"], ("layer",))
        out.array("bound", ["lower", "upper"], ("bound",))
        out.array("nonshiftability", np.array([0.5, 2.0]), ("layer",))
        out.array("interval", np.array([[0.0, 1.0], [1.0, 3.0]]), ("layer", "bound"))
        out.array("subsampling", np.array([1.0, 2.0]), ("layer",), units="px")
        for name, channels in (("conv1", 3), ("conv2", 5)):
            top, dims = f"layers/{name}", ("image", "position", "channel")
            out.array(f"{top}/global_sum", rng.random((2, 7, channels)), dims)
            out.array(f"{top}/highest", rng.random((2, channels)), ("image", "channel"))
            counts = rng.integers(0, 7, (2, channels)).astype(float)
            out.array(f"{top}/changes", counts, ("image", "channel"))
    return path


def write_deformation(path: Path, seeds: int = 2) -> Path:
    """Two draws for three images, the worst ones of the last layer, and the noise beside them."""
    rng = np.random.default_rng(0)
    draws, images, layers, points = 2, 3, ["input", "conv1", "fc"], 4
    shape = (seeds, len(layers))
    median = 0.5 + rng.random(shape)
    distance = rng.random((seeds, draws, images, len(layers)))
    found = distance.mean((1, 2)) / median
    only_last = np.array([np.nan, np.nan, 1.0])
    around = np.array([0.5, 1.5])
    by_layer, bounds = ("seed", "layer"), ("seed", "layer", "bound")
    with hdf5.create(path, "deformation", STEPS[:1]) as out:
        told = {"data": "photos.h5", "distance": "cosine", "grid": 2, "pixels": 2.0}
        for name, value in {**told, "border": "zeros", "restarts": 2, "steps": 10}.items():
            out.attribute(name, value)
        out.array("network", [f"{n}.st" for n in range(seeds)], ("seed",))
        out.array("label", ["blocks, photos.h5"] * seeds, ("seed",))
        out.array("step", np.full(seeds, -1), ("seed",))
        out.array("trained", np.ones(seeds, np.uint8), ("seed",))
        out.array("layer", layers, ("layer",))
        out.array("bound", ["lower", "upper"], ("bound",))
        out.array("axis", ["vertical", "horizontal"], ("axis",))
        out.array("index", np.arange(images), ("image",))
        for name, value in (("", found), ("relative", found / 2), ("worst", 2 * found * only_last)):
            out.array(name or "sensitivity", value, by_layer)
            interval = f"{name}_interval".lstrip("_")
            out.array(interval, value[..., None] * around, bounds)
        out.array("median", median, by_layer)
        out.array("distance", distance, ("seed", "draw", "image", "layer"))
        out.array("noise_distance", 2 * distance, ("seed", "draw", "image", "layer"))
        moved = rng.uniform(-2, 2, (draws, images, points, 2))
        out.array("displacement", moved, ("draw", "image", "point", "axis"), units="px")
        worst = 2 * distance.mean(1) * only_last
        out.array("worst_distance", worst, ("seed", "image", "layer"))
        moved = rng.choice([-2.0, 2.0], (seeds, images, len(layers), points, 2))
        out.array(
            "worst_displacement",
            moved * only_last[:, None, None],
            ("seed", "image", "layer", "point", "axis"),
            units="px",
        )
        transfer = np.repeat((1.5 * found * only_last)[:, None], seeds, axis=1)
        out.array("transfer", transfer, ("seed", "seed_of", "layer"))
    return path


def write_safetensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> Path:
    """By the format's definition, without its library: a length, JSON, bytes."""
    letters = {"f": "F", "i": "I", "u": "U"}
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    blob = b""
    for name, array in tensors.items():
        header[name] = {
            "dtype": f"{letters[array.dtype.kind]}{8 * array.itemsize}",
            "shape": list(array.shape),
            "data_offsets": [len(blob), len(blob) + array.nbytes],
        }
        blob += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)
    return path


def write_model(path: Path, **changes: Any) -> Path:
    metadata = {
        "invtool_kind": "model",
        "invtool_format": 1,
        "architecture": {"name": "blocks", "arguments": {"width": 8}},
        "input": {"channels": 3, "height": 32, "width": 32},
        "normalization": {"kind": "per-image"},
        "categories": CATEGORIES,
        "data": "faces:categories=4",
        "transform": "blur",
        "seen": [0, 2],
        "training": {"epochs": 2, "learning_rate": 0.1, "accuracy": {"none": 0.9876}},
        "provenance": STEPS[:1],
        **changes,
    }
    tensors = {
        "conv.weight": np.ones((4, 3, 3, 3), np.float32),
        "conv.bias": np.zeros(4, np.float32),
        "bn.running_mean": np.zeros(4, np.float32),
        "fc.weight": np.ones((4, 4), np.float32),
    }
    return write_safetensors(path, tensors, {k: json.dumps(v) for k, v in metadata.items()})


def write_evaluation(path: Path, networks: int = 0) -> Path:
    """Of one network, or of several along a first axis."""
    rng = np.random.default_rng(0)
    lead, more = ((networks,), ("network",)) if networks else ((), ())
    sizes = {"condition": 2, "group": 3, "bound": 2, "image": 8, "correct": 2}
    sizes |= {"true_group": 2, "predicted_group": 2}
    with hdf5.create(path, "evaluation", STEPS[:1]) as out:
        out.array("condition", ["none", "blur"], ("condition",))
        out.array("group", ["all", "seen", "unseen"], ("group",))
        out.array("bound", ["lower", "upper"], ("bound",))
        out.array("label", np.arange(8) % 4, ("image",))
        if networks:
            names = [f"{n}.st" for n in range(networks)]
            out.array("network", names, more)
            out.array("network_seen_categories", np.arange(networks), more)
            out.array("network_trained_with", ["blur"] * networks, more)
            out.array("network_seed", np.zeros(networks, np.int64), more)
        for name, dims in {
            "accuracy": ("condition", "group"),
            "wilson": ("condition", "group", "bound"),
            "bootstrap": ("condition", "group", "bound"),
            "confusion": ("condition", "true_group", "predicted_group", "correct"),
        }.items():
            out.array(name, rng.random((*lead, *(sizes[d] for d in dims))), (*more, *dims))
        answers = rng.integers(0, 4, (*lead, 2, 8))
        out.array("prediction", answers, (*more, "condition", "image"))
        out.array("seen", np.ones((*lead, 8), np.uint8), (*more, "image"))
    return path


def write_bias(path: Path, boxes: int = 30) -> Path:
    """Boxes in three categories, of which the last has one."""
    rng = np.random.default_rng(0)
    number = np.minimum(np.arange(boxes) % 2, 1)
    number[-1] = 2
    one, two = ("category",), ("category", "axis")
    with hdf5.create(path, "bias", STEPS[:1]) as out:
        out.attribute("below", 1e-10)
        out.attribute("correction", "holm")
        out.attribute("left_out", {"crowds": 0, "skipped": 1, "clipped": 0})
        out.array("category", CATEGORIES[:3], one)
        out.array("axis", ["horizontal", "vertical"], ("axis",))
        out.array("count", np.bincount(number), one)
        for name in ("center_mean", "center_sd"):
            out.array(name, rng.random((3, 2)), two)
        for name in ("height_mean", "height_sd"):
            out.array(name, rng.random(3), one)
        for name, dims in (("position", two), ("placement", two), ("size", one)):
            log10_p = np.array([-400.0, -2.0, np.nan])
            out.array(f"{name}_statistic", rng.random((3, 2)[: len(dims)]), dims)
            out.array(f"{name}_p", 10**log10_p, one)
            out.array(f"{name}_log10_p", log10_p, one)
            out.array(f"{name}_corrected_log10_p", np.minimum(log10_p + 0.3, 0), one)
        out.array("center", rng.random((boxes, 2)), ("box", "axis"))
        out.array("height", rng.random(boxes), ("box",))
        out.array("box_category", number, ("box",))
    return path


def write_smoothness(path: Path, steps: Sequence[int] = (-1, -1), **changes: Any) -> Path:
    """Networks of three convolutions, of which the last is 1x1; the second network lacks one."""
    networks, layers = len(steps), ["conv1", "conv2", "shortcut"]
    initial = np.tile([1.857, 1.857, 0.0], (networks, 1))
    deviation = np.tile([0.05, 0.01, 0.0], (networks, 1))
    found = initial - 0.1 * np.arange(networks)[:, None] * (initial > 0)
    kernel = np.tile([[3, 3], [3, 3], [1, 1]], (networks, 1, 1))
    filters = np.tile([48, 256, 64], (networks, 1))
    if networks > 1:
        for values in (initial, deviation, found):
            values[1, 1] = np.nan
        kernel[1, 1] = filters[1, 1] = 0
    two = ("network", "layer")
    told = {"label": ["blocks, photos.h5"] * networks, "total_variation": found, **changes}
    with hdf5.create(path, "smoothness", STEPS[:1]) as out:
        out.array("network", [f"{n}.st" for n in range(networks)], two[:1])
        out.array("label", told["label"], two[:1])
        out.array("step", np.array(steps), two[:1])
        out.array("layer", layers, two[1:])
        out.array("axis", ["height", "width"], ("axis",))
        out.array("kernel", kernel, (*two, "axis"), units="px")
        out.array("filters", filters, two)
        out.array("total_variation", told["total_variation"], two)
        out.array("initial", initial, two)
        out.array("initial_deviation", deviation, two)
    return path


def write_sweep(
    path: Path, transforms: int = 1, networks: int = 0, *, grid: bool = False, seed: int = 0
) -> Path:
    """Of four categories, two images each; names of the transforms are real ones, numbers are not."""
    rng = np.random.default_rng(seed)
    sizes = {"category": 4, "answer": 4, "bound": 2, "side": 2, "image": 8, "magnitude_2": 3}
    lead, more = ((networks,), ("network",)) if networks else ((), ())
    second = ("magnitude_2",) * grid
    names = ["rotate+zoom"] if grid else ["rotate", "blur", "contrast"][:transforms]
    with hdf5.create(path, "sweep", STEPS[:1]) as out:
        for name, value in {"keep": 0.9, "model": "model.st", "data": "photos"}.items():
            out.attribute(name, value)
        out.attribute("categories", CATEGORIES)
        if networks:
            out.array("network", [f"{n}.st" for n in range(networks)], more)
        out.array("transform", names, ("transform",))
        for name, values in {
            "category": CATEGORIES,
            "answer": CATEGORIES,
            "bound": ["lower", "upper"],
            "side": ["below", "above"],
        }.items():
            out.array(name, values, (name,))
        out.array("category_number", np.arange(4), ("category",))
        out.array("label", np.arange(8) % 4, ("image",))
        out.array("example", [1], ("example",))
        for number, name in enumerate(names):
            top = f"transforms/{name}/" if len(names) > 1 else ""
            magnitude = np.arange(-2, 3 + number) * 15.0
            sizes["magnitude"] = len(magnitude)
            told = {"units": "degrees", "long_name": "degrees of rotate"}
            out.array(f"{top}magnitude", magnitude, ("magnitude",), **told)
            out.array(f"{top}identity", 0.0, ())
            if grid:
                told = {"units": "1", "long_name": "factor of zoom"}
                out.array("magnitude_2", np.array([0.5, 1.0, 1.5]), ("magnitude_2",), **told)
                out.array("identity_2", 1.0, ())
            for leaf, dims in {
                "softmax": ("category", "magnitude", *second, "answer"),
                "accuracy": ("category", "magnitude", *second),
                "overall_softmax": ("magnitude", *second, "answer"),
                "overall_accuracy": ("magnitude", *second),
                "overall_accuracy_interval": ("magnitude", *second, "bound"),
            }.items():
                values = rng.random((*lead, *(sizes[d] for d in dims)))
                if leaf == "overall_accuracy_interval":
                    values = np.sort(values)
                out.array(top + leaf, values, (*more, *dims))
            for leaf, dims in {
                "threshold": ("category", *second),
                "side_threshold": ("category", "side", *second),
                "overall_threshold": second,
                "overall_side_threshold": ("side", *second),
            }.items():
                shape = (*lead, *(sizes[d] for d in dims))
                out.array(top + leaf, rng.choice([15.0, 30.0], shape), (*more, *dims))
                ends = np.full((*shape, 2), np.nan)
                out.array(f"{top}{leaf}_interval", ends, (*more, *dims, "bound"))
            shape = (*lead, 8, len(magnitude), *(3,) * grid)
            answer = rng.integers(0, 4, shape)
            out.array(f"{top}prediction", answer, (*more, "image", "magnitude", *second))
            if not grid:
                out.array(f"{top}sample", magnitude[::2], ("sample",))
                frames = rng.integers(0, 256, (1, len(magnitude[::2]), 3, 8, 8), dtype=np.uint8)
                dims = ("example", "sample", "channel", "height", "width")
                out.array(f"{top}sample_frame", frames, dims)
    return path


def write_itn(path: Path) -> Path:
    """Two starts on a grid of three by three."""
    rng = np.random.default_rng(0)
    grid = ("seed", "k", "k_second")
    with hdf5.create(path, "itn", STEPS[:1]) as out:
        for name, value in {"share": 0.9, "own_accuracy": 0.75, "categories": CATEGORIES}.items():
            out.attribute(name, value)
        out.array("seed", [0, 1], ("seed",))
        out.array("label", np.arange(8) % 4, ("image",))
        out.array("index", np.arange(8), ("image",))
        for name in ("classification_loss", "batch_accuracy"):
            out.array(name, rng.random((2, 40)), ("seed", "step"))
        out.array("magnitude_loss", -rng.random((2, 40)), ("seed", "step"))
        out.array("kept", np.ones((2, 40), np.uint8), ("seed", "step"))
        out.array("k", np.linspace(0, 1, 3), ("k",))
        out.array("corner", ["0/0", "1/0", "0/1", "1/1"], ("corner",))
        out.array("example", [0, 1], ("example",))
        pixels = ("channel", "height", "width")
        image = rng.integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)
        out.array("example_image", image, ("example", *pixels))
        for part, shape in (("space", (2, 3)), ("color", (3, 4))):
            rows = (*grid, f"{part}_row", f"{part}_column")
            out.array(f"{part}_matrix", rng.random((2, 3, 3, *shape)), rows)
            for name in ("size", "accuracy", "probability"):
                out.array(f"{part}_{name}", rng.random((2, 3, 3)), grid)
            out.array(f"{part}_prediction", rng.integers(0, 4, (2, 3, 3, 8)), (*grid, "image"))
            softmax = rng.dirichlet(np.ones(4), (2, 3, 3, 2))
            out.array(f"{part}_softmax", softmax, (*grid, "example", "category"))
            out.array(f"{part}_k_kept", rng.random((2, 2)), ("seed", "number"))
            shown = rng.integers(0, 256, (2, 4, 2, 3, 8, 8), dtype=np.uint8)
            out.array(f"{part}_picture", shown, ("seed", "corner", "example", *pixels))
        out.array("space_parts", rng.random((2, 3, 3, 6)), (*grid, "space_part"))
        out.array("color_parts", rng.random((2, 3, 3, 3, 3)), (*grid, "color_part", "channel"))
        out.array("both_accuracy", rng.random((2, 4)), ("seed", "corner"))
        names = ["shift right", "learned k1=1,1", "brighter"]
        out.array("path", names, ("path",))
        out.array("path_part", ["space", "space", "color"], ("path",))
        out.array("path_seed", [-1, 1, -1], ("path",))
        out.array("path_magnitude", np.tile(np.arange(4.0), (3, 1)), ("path", "magnitude"))
        out.array("path_accuracy", rng.random((3, 4)), ("path", "magnitude"))
        out.array("boundary", np.array([2.5, 1.5, 3.0]), ("path",))
        out.array("bound", ["lower", "upper"], ("bound",))
        ends = np.array([[2.0, 3.0], [1.0, 2.0], [2.0, 3.0]])
        out.array("boundary_interval", ends, ("path", "bound"))
        out.array("boundary_found", np.ones(3, np.uint8), ("path",))
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    "images": write_images,
    "activations": write_activations,
    "invariance": write_invariance,
    "ablation": write_ablation,
    "evaluation": write_evaluation,
    "calibration": write_calibration,
    "jaggedness": write_jaggedness,
    "shiftability": write_shiftability,
    "smoothness": write_smoothness,
    "bias": write_bias,
    "deformation": write_deformation,
    "sweep": write_sweep,
    "itn": write_itn,
}


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What commands do with signals, until the test ends."""
    monkeypatch.setattr(interrupts, "asked", 0)
    monkeypatch.setattr("sys.unraisablehook", None)
    numbers = [signal.SIGINT, *interrupts.ENDING]
    handlers = [signal.getsignal(number) for number in numbers]
    interrupts.install()
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)
