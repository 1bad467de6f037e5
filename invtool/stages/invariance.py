"""I_k of every unit of an activations file, without the network and without PyTorch.

A block of units is measured whole, over all images and conditions: its maxima and thresholds need
every image. Blocks are views of the mapped file, so a file larger than the memory works, and numpy
releases the interpreter's lock, so threads share them out.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain, islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from invtool import ranks
from invtool.config import Invariance
from invtool.errors import InvtoolError
from invtool.files import hdf5, messages, provenance
from invtool.files.layers import choose
from invtool.measures import (
    NotFiniteError,
    accuracy_interval,
    group_accuracy,
    group_indicator,
    peak,
    spread_units,
    top_images,
)
from invtool.stages.invariance_result import Images, tabulate, write
from invtool.stages.invariance_score import SPREAD_UNITS, Array, Score, UnitScores, score

BLOCK_BYTES = 64 << 20  # of activations that a thread holds, where it must hold them
ROW_BYTES = 8 << 10, 32 << 10  # of an image's units in a mapped block: long rows are read faster
# What the plots need to know of the network, where the activations file tells it.
FACTS = (
    "seen_categories",
    "categories_total",
    "model_seed",
    "trained_with",
    "model",
    "data",
    "penultimate",
)


@dataclass(frozen=True)
class Layer:
    """A layer's activations, (condition, image, unit...), and the blocks to cut them into."""

    name: str
    activation: Any  # a memory map, or an h5py data set where the file is chunked
    blocks: list[slice]  # along the first unit axis
    grid: bool  # whether I_k is wanted at every tau

    @property
    def unit_shape(self) -> tuple[int, ...]:
        return tuple(self.activation.shape[2:])


def run(config: Invariance, source: Path, target: Path, form: str) -> None:
    """Measure the activations file `source` and write `target` as table, json, csv or h5."""
    threads = ranks.agreed(config.threads or max((os.cpu_count() or 1) // ranks.local_size, 1))
    with hdf5.open(source, ("activations",)) as file:
        images = _images(file, config)
        layers = [_layer(file, name, config, threads) for name in _chosen(file, config.layers)]
        steps = provenance.step(config=asdict(config), inputs=[file.steps])
        scores = _scores(layers, images, threads)
        if ranks.rank:
            deque(scores, maxlen=0)
            return
        if form == "h5":
            write(target, scores, images, steps)
        else:
            tabulate(target, scores, images, form, steps)


def _images(file: hdf5.Reader, config: Invariance) -> Images:
    conditions = [str(name) for name in file.array("condition")]
    if conditions[:1] != ["none"]:
        raise InvtoolError(f"{file.label}: its first condition is not 'none'")
    if len(conditions) == 1:
        raise InvtoolError(
            f"{file.label}: only untransformed images; activations of a transform are wanted"
        )
    label = file.array("label")
    if not len(label):
        raise InvtoolError(f"{file.label}: no images in it")
    seen = file.array("seen") if "seen" in file else None
    if seen is None:
        messages.note(
            f"{file.label} does not say which images are of seen categories; all are one group"
        )
    known = "prediction" in file
    prediction = file.array("prediction") if known else None
    return images_of(
        config, file.label, conditions, label, seen, prediction, _facts(file, label, seen)
    )


def images_of(
    config: Invariance,
    source: str,
    conditions: list[str],
    label: Array,
    seen: Array | None,
    prediction: Array | None,
    facts: dict[str, Any],
) -> Images:
    """What both routes, a file and a network, know of their images."""
    interval = None
    if prediction is not None and config.resamples:
        interval = accuracy_interval(
            prediction, label, seen, resamples=config.resamples, seed=config.seed
        )
    return Images(
        source,
        conditions,
        label,
        seen,
        group_indicator(seen, len(label), np.zeros(1), np) != 0,
        None if prediction is None else group_accuracy(prediction, label, seen),
        interval,
        facts,
        config.tau,
        config.rectify,
        config.resamples,
        config.seed,
        config.tau_grid,
    )


def _facts(file: hdf5.Reader, label: Array, seen: Array | None) -> dict[str, Any]:
    facts = {name: file.attribute(name) for name in FACTS}
    if facts["categories_total"] is None:
        facts["categories_total"] = len(np.unique(label))
    if facts["seen_categories"] is None and seen is not None:
        facts["seen_categories"] = len(np.unique(label[seen != 0]))
    return {name: value for name, value in facts.items() if value is not None}


def _chosen(file: hdf5.Reader, patterns: tuple[str, ...]) -> list[str]:
    present = file.layers()
    if not present:
        raise InvtoolError(f"{file.label}: no layers in it")
    penultimate = str(file.attribute("penultimate", present[-1]))
    return choose(present, patterns, penultimate=penultimate, label=file.label)


def _layer(file: hdf5.Reader, name: str, config: Invariance, threads: int) -> Layer:
    activation = file.view(f"layers/{name}/activation")
    if 0 in activation.shape:
        raise InvtoolError(f"{file.label}: layer {name!r} is empty")
    wide, size = activation.shape[2], activation.nbytes
    width = -(-wide // threads)
    if isinstance(activation, np.ndarray) and activation.itemsize >= 4:  # used where it is mapped
        row = size // (wide * activation.shape[0] * activation.shape[1])
        least, most = (length // row for length in ROW_BYTES)
        width = min(max(width, least), most)
    else:
        width = min(width, BLOCK_BYTES * wide // size)
    width = max(width, 1)
    grid = config.tau_grid or name == file.attribute("penultimate")
    blocks = [slice(at, min(at + width, wide)) for at in range(0, wide, width)]
    return Layer(name, activation, blocks, grid)


def _scores(layers: list[Layer], images: Images, threads: int) -> Iterator[tuple[str, Score]]:
    """Each layer's name and score, as soon as its blocks are done, of which each rank does some."""
    own = {layer.name: layer.blocks[ranks.share(len(layer.blocks))] for layer in layers}
    tasks = [(layer, block) for layer in layers for block in own[layer.name]]

    def measure(task: tuple[Layer, slice]) -> Score:
        return _block(*task, images)

    pool = ThreadPoolExecutor(threads)
    try:
        done = messages.progress(
            pool.map(measure, tasks), total=len(tasks), label="invariance", unit="blocks"
        )
        for layer in layers:
            parts = ranks.everyones(list(islice(done, len(own[layer.name]))))
            score = Score.joined(list(chain.from_iterable(parts))).shaped(layer.unit_shape)
            warn_of_negatives(layer.name, score, images)
            yield layer.name, score
    finally:
        pool.shutdown(cancel_futures=True)  # at Ctrl-C wait for the blocks at hand only


def _block(layer: Layer, block: slice, images: Images) -> Score:
    part = np.asarray(layer.activation[:, :, block])
    part = part.reshape(*part.shape[:2], -1)  # (condition, image, unit)
    if part.dtype.itemsize < 4:
        part = part.astype(np.float32)  # once: half precision is slow to compare
    if images.rectify:
        part = np.maximum(part, 0)
    first = block.start * prod(layer.unit_shape[1:])
    sample = spread_units(prod(layer.unit_shape), SPREAD_UNITS) - first
    try:
        return _score(part, sample[(sample >= 0) & (sample < part.shape[2])], images, layer.grid)
    except NotFiniteError as error:
        raise InvtoolError(
            f"{images.source}: unit {first + error.unit} of layer {layer.name!r} holds {error.value};"
            " finite numbers are wanted"
        ) from None


def _score(part: Array, sample: Array, images: Images, grid: bool) -> Score:
    clean = part[0]
    highest, best = peak(clean), top_images(clean)
    units, active_units, top1 = [], [], []
    for moved in part[1:]:
        total = UnitScores(
            np.maximum(highest, peak(moved)),
            sample,
            tau=images.tau,
            categories=images.categories,
            grid=grid,
        )
        active_units.append(total.update(clean, moved, images.seen, images.category))
        units.append(total)
        top1.append(best.score(moved))
    return score(units, np.stack(active_units), np.stack(top1))


def warn_of_negatives(name: str, score: Score, images: Images) -> None:
    negative = score.negative.any(axis=0)
    if negative.any():
        messages.warn(
            f"{images.source}: {np.count_nonzero(negative):,} of {negative.size:,} units of layer"
            f" {name!r} respond below 0, where I_k is not defined; --rectify takes that as 0"
        )
