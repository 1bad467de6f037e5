"""How often a network's answer changes as an image moves, grows or is filmed, one step after another.

Every distinct position passes a network once. Positions of several images share batches, and several
networks share the frames. Whether a class is among the top k must not hang on the last bits of a sum,
which change with the batch: where rounding could decide, a frame is asked alone (`settled`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool import ranks
from invtool.config import Jagged
from invtool.data import video
from invtool.data.boxes import by_image
from invtool.data.decoding import decode_one
from invtool.data.photographs import UNKNOWN, Photographs, clips, open_photographs
from invtool.data.specs import DataSpec, parse
from invtool.errors import InvtoolError, UsageError
from invtool.files import hdf5, messages, provenance
from invtool.models.networks import Network
from invtool.stages import _devices
from invtool.stages._answers import settled
from invtool.stages._forward import check_finite
from invtool.stages._moves import (
    GROUP,
    Moves,
    common_range,
    filmed,
    moves,
    square_side,
    usual_object,
)
from invtool.stages._subject import open_network, shown_to
from invtool.stages.jagged_result import Answers, Example, Jaggedness, tabulate, write
from invtool.transforms.embedding import shrunk

FEW_CATEGORIES = 20  # of which k is 1 unless told
USUAL_TOP = 5
EXAMPLE_SIDE = 112  # pixels, at most, of the frames that are kept to be looked at
EXAMPLE_BYTES = 32 << 20  # of all of them, at most


def run(config: Jagged, paths: Sequence[Path], target: Path, form: str) -> None:
    """Measure the networks that `config.models` names, whose files are at `paths`."""
    device = _devices.choose(config.device, config.threads)
    networks = [
        open_network(replace(config, model=name), path, device)
        for name, path in zip(config.models, paths, strict=True)
    ]
    _check_alike(networks)
    photographs, plans = _plans(config, networks[0], device)
    results: list[Jaggedness] = []
    for size, plan in plans:
        found = _measure(config, networks, photographs, plan, device)
        results += [
            Jaggedness(
                _name(config, network, size),
                plan,
                size,
                photographs,
                answers,
                config,
                network.smoothing,
            )
            for network, answers in zip(networks, found, strict=True)
        ]
    if ranks.rank:
        return
    inputs = [*(network.steps for network in networks), photographs.steps]
    steps = provenance.step(config=asdict(config), inputs=inputs, device=str(device))
    if form != "h5":
        tabulate(target, results, form, steps)
        return
    with hdf5.create(target, "jaggedness", steps) as out:
        write(out, results, list(_examples(config, results)))


def _check_alike(networks: Sequence[Network]) -> None:
    first = networks[0]
    for other in networks[1:]:
        if other.input != first.input:
            (_, *one), (_, *two) = first.input, other.input
            raise InvtoolError(
                f"{first.name} takes {one[0]}x{one[1]} pixels, {other.name} {two[0]}x{two[1]};"
                " networks that share frames want the same, as with --size"
            )


def _plans(
    config: Jagged, network: Network, device: torch.device
) -> tuple[Photographs, list[tuple[int, Moves]]]:
    """The photographs, and a plan for each size of the object."""
    side = square_side(network)
    spec = shown_to(config, network, parse)
    if config.protocol == "frames":
        return _film(spec, side, device)
    photographs = open_photographs(spec, config.limit)
    boxes = by_image(Path(config.boxes)) if config.boxes else {}
    if boxes:
        photographs = photographs.having(boxes)
        if not len(photographs):
            raise InvtoolError(
                f"none of the {len(boxes):,} images that {config.boxes} tells of is in {spec}"
            )
    usual = 0 if config.protocol == "crop" else usual_object(side)
    if len(config.object) > 1 and config.protocol == "embed" and config.range is None:
        config = replace(config, range=common_range(config.object, side))
    return photographs, [
        (
            size,
            moves(
                config,
                size,
                photographs,
                side,
                color=network.zero_color,
                boxes=boxes,
                device=device,
            ),
        )
        for size in config.object or (usual,)
    ]


def _film(
    spec: DataSpec, side: int, device: torch.device
) -> tuple[Photographs, list[tuple[int, Moves]]]:
    """The clips of a folder of frames, or a video file, as rows of frames."""
    if spec.name == "file" and Path(spec.path).suffix.lower() in video.SUFFIXES:
        films: list[tuple[str, list[Any]]] = [(Path(spec.path).name, video.read(Path(spec.path)))]
        read: Callable[[Any], NDArray[np.uint8]] = np.asarray
    elif spec.name == "folder":
        films, read = list(clips(spec)), partial(decode_one, size=0)
    else:
        raise UsageError(
            "--protocol frames reads a folder of frames, or of folders, or a video; give it to --data"
        )
    names, label = [name for name, _ in films], np.full(len(films), UNKNOWN)
    photographs = Photographs(lambda i: read(films[i][1][0]), names, label, [], str(spec))
    return photographs, [(side, filmed(films, side, read, device))]


def _name(config: Jagged, network: Network, size: int) -> str:
    return f"{network.name}, {size} px" if len(config.object) > 1 else network.name


@dataclass
class _Waiting:
    """An image, and what the networks answered to those of its frames that have passed."""

    number: int
    shown: NDArray[np.bool_]  # (position,)
    logits: list[list[Tensor]]  # of each network, parts of (frame, category), on the host
    left: int  # frames that have not passed


def _measure(
    config: Jagged,
    networks: Sequence[Network],
    photographs: Photographs,
    plan: Moves,
    device: torch.device,
) -> list[Answers]:
    """What each network answers at every position of every image."""
    precision = _devices.precision(config.precision, device)
    size = min(_devices.batch_size(config.batch_size, each.layers, device) for each in networks)
    shape = len(photographs), len(plan.position)
    share = ranks.share(len(photographs))
    numbers = range(len(photographs))[share]
    with torch.inference_mode(), _devices.arithmetic(device, precision):
        found = [_empty(config, network, photographs, shape) for network in networks]
        batches = messages.progress(
            _batches(plan, numbers, size, len(networks)),
            total=len(numbers) * shape[1],
            label="moving",
            unit="frames",
            size=size,
        )
        for frames, parts in batches:
            for n, (network, answers) in enumerate(zip(networks, found, strict=True)):
                logits = settled(network, frames, (1, answers.top), precision)
                check_finite(logits, network)
                rows = logits.cpu().split([count for _, count in parts])
                for (waiting, _), part in zip(parts, rows, strict=True):
                    waiting.logits[n].append(part)
            for waiting, count in parts:
                waiting.left -= count
                if not waiting.left:
                    for answers, logits_of in zip(found, waiting.logits, strict=True):
                        answers.put(waiting.number, waiting.shown, torch.cat(logits_of).numpy())
    for answers in found:
        answers.gather(share)
    return found


def _empty(
    config: Jagged, network: Network, photographs: Photographs, shape: tuple[int, int]
) -> Answers:
    categories = network(torch.zeros(1, *network.input)).shape[1]
    top = config.top or (1 if categories < FEW_CATEGORIES else USUAL_TOP)
    if top >= categories:
        raise UsageError(
            f"--top {top}: {network.name} tells {categories} categories apart, so that every class"
            " is always among them"
        )
    highest = int(photographs.label.max())
    if highest >= categories:
        raise InvtoolError(
            f"{photographs.spec} has category number {highest}, {network.name} {categories} categories"
        )
    return Answers(shape, photographs.label, top, config.target)


def _batches(
    plan: Moves, numbers: Sequence[int], size: int, networks: int
) -> Iterator[tuple[Tensor, list[tuple[_Waiting, int]]]]:
    """Frames (frame, channel, height, width) of one image after the other, `size` at a time."""
    held: list[Tensor] = []
    parts: list[tuple[_Waiting, int]] = []
    room = size
    for number, frames, shown in _framed(plan, numbers):
        waiting = _Waiting(number, shown, [[] for _ in range(networks)], len(frames))
        while len(frames):
            taken, frames = frames[:room], frames[room:]
            held.append(taken)
            parts.append((waiting, len(taken)))
            room -= len(taken)
            if not room:
                yield torch.cat(held), parts
                held, parts, room = [], [], size
    if held:
        yield torch.cat(held), parts


def _framed(plan: Moves, numbers: Sequence[int]) -> Iterator[tuple[int, Tensor, NDArray[np.bool_]]]:
    """Images by number, their frames, and which positions those show, a group filled at once."""
    for start in range(0, len(numbers), GROUP):
        group = numbers[start : start + GROUP]
        for number, (frames, shown) in zip(group, plan.frames(group), strict=True):
            yield number, frames, shown


def _examples(config: Jagged, results: Sequence[Jaggedness]) -> Iterator[Example]:
    """The frames of the most jagged images of the first result, small."""
    plan = results[0].plan
    most = EXAMPLE_BYTES // (3 * EXAMPLE_SIDE**2 * len(plan.position))
    worst = results[0].worst(min(config.examples, most))
    for number, frames, shown in _framed(plan, worst):
        small = shrunk(frames, *(min(EXAMPLE_SIDE, side) for side in frames.shape[2:]))
        pixels = np.zeros((len(shown), *small.shape[1:]), np.uint8)
        pixels[shown] = small.clamp(0, 255).round().byte().cpu().numpy()
        yield Example(number, pixels)
