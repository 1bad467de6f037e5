"""Many small networks: steps a second of all of them, at once, one after another and side by side.

A turn trains N `blocks:filters=8` on the same random images of CIFAR's size, as many steps each. At
once is what `invtool train --at-once N` does, which on a CPU is a thread a network and on a GPU one
batch; a CPU takes the other way, too. Side by side are as many processes as there are threads, of one
thread each, which share the networks; their start and imports are not counted. With --cpu, processor
seconds are summed over the processes: what a busy machine can say.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import measure
import numpy as np
import torch
from measure import Spread, Table, Work, in_turns, main

from invtool.models.architectures import build
from invtool.models.normalization import standardize
from invtool.training import together
from invtool.training.draws import Draws
from invtool.training.loop import Trainer, TrainingImages
from invtool.training.recipes import RECIPES
from invtool.transforms import parse

NETWORK, SIDE, CATEGORIES = "blocks:filters=8", 32, 10
RECIPE = replace(RECIPES["fast"], epochs=1)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AFTER, BESIDE, AT_ONCE, STACKED = "one after another", "side by side", "at once", "in one batch"


def measured(quick: bool) -> list[Table]:
    gpu, processes = DEVICE == "cuda", torch.get_num_threads()
    counts = (1, 2) if quick else (1, 4, 16, 64) if gpu else (1, 4, 16)
    turns, steps = (1, 1) if quick else (5, 50) if gpu else (5, 4)
    table = Table(f"N networks {NETWORK}, {SIDE} pixels, batch {RECIPE.batch_size}, {_device()}")
    with ExitStack() as stack:
        pools = [stack.enter_context(_process()) for _ in range(min(processes, counts[-1]))]
        for count in counts:
            works: dict[str, Work] = {
                AFTER: partial(alone, range(count), steps, measure.clock),
                BESIDE: partial(side_by_side, count, steps, pools),
                AT_ONCE: partial(at_once, count, steps),
            }
            if not gpu:
                works[STACKED] = partial(at_once, count, steps, stacked=True)
            table.rows += compared(in_turns(works, turns), count, steps)
    return [table]


def compared(seconds: dict[str, Spread], count: int, steps: int) -> list[dict[str, Any]]:
    return [
        {
            "N": count,
            "way": name,
            "steps/s": taken.map(lambda second: count * steps / second),
            f"x {AFTER}": seconds[AFTER] / taken,
            f"x {BESIDE}": seconds[BESIDE] / taken,
        }
        for name, taken in seconds.items()
    ]


def alone(seeds: range, steps: int, clock: Callable[[], float]) -> float:
    """Seconds of networks that train one after another."""
    trainers = [trainer(seed, steps) for seed in seeds]
    began = clock()
    for each in trainers:
        list(each.run(lambda step: None))
    return clock() - began


def side_by_side(count: int, steps: int, pools: Sequence[ProcessPoolExecutor]) -> float:
    """Seconds until the last process is done, or processor seconds of all."""
    shares = [range(first, count, len(pools)) for first in range(min(count, len(pools)))]
    futures = [
        pool.submit(alone, seeds, steps, measure.clock)
        for pool, seeds in zip(pools, shares, strict=False)
    ]
    seconds = [future.result() for future in futures]
    return sum(seconds) if measure.clock is time.process_time else max(seconds)


def at_once(count: int, steps: int, *, stacked: bool = False) -> float:
    trainers = [trainer(seed, steps) for seed in range(count)]
    began = measure.clock()
    if stacked:
        for _ in together.Stacked(trainers).advance(0):
            pass
    else:
        list(together.run(trainers, lambda step: None))
    return measure.clock() - began


def trainer(seed: int, steps: int) -> Trainer:
    random = np.random.default_rng(0)
    count = steps * RECIPE.batch_size
    label = np.arange(count) % CATEGORIES
    pixels = random.integers(0, 256, (count, 3, SIDE, SIDE), np.uint8)
    size = {"categories": CATEGORIES, "channels": 3, "height": SIDE, "width": SIDE}
    network = build(NETWORK, size, seed=seed).to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]
    shown = [torch.from_numpy(each).to(DEVICE) for each in (pixels, label, np.arange(count))]
    return Trainer(
        network,
        standardize,
        TrainingImages(*shown),
        Draws(label, np.arange(CATEGORIES) < seed % (CATEGORIES + 1), seed),
        parse("rot180"),
        RECIPE,
        torch.float32,
    )


def _process() -> ProcessPoolExecutor:
    """One process of one thread."""
    return ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (1,))


def _device() -> str:
    return torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"


if __name__ == "__main__":
    main(measured, text=__doc__, within=True)
