"""How far random deformations move the response of every layer, and how far the worst ones do.

A clean image passes a network once, and each of its deformations once. What a layer answers to the
clean images, or to those of them that are to be paired, is kept until all pairs are compared. Several
networks are measured one after the other, on the same deformed images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from re import fullmatch
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool import ranks
from invtool.config import Deform
from invtool.errors import InvtoolError
from invtool.files import hdf5, messages, models, provenance, trajectories
from invtool.files.streams import short_names
from invtool.measures import median_of_pairs
from invtool.models.capture import Layer, select
from invtool.models.networks import Network
from invtool.stages import _devices
from invtool.stages._deformations import Deformations, check_same_size
from invtool.stages._responses import INPUT, Responses
from invtool.stages._subject import Subject, prepare_alike
from invtool.stages._worst import STARTS, ascend
from invtool.stages.deform_result import Measured, Result, tabulate, write

DOWN = r"block\d+\.down"  # of a block network: one layer, whatever it consists of


def run(config: Deform, paths: Sequence[Path], target: Path, form: str) -> None:
    """Measure the networks that `config.models` names, whose files are at `paths`."""
    names = short_names(config.models)
    found: list[Measured] = []
    inputs: list[provenance.Steps] = []
    deformations: Deformations | None = None
    held: list[_Opened] = []  # for the worst deformations of the others
    for opened in _networks(config, paths, names):
        inputs.append(opened.subject.network.steps)
        if deformations is None:
            everything = opened.everything
            deformations = Deformations(opened.subject, config, keep=len(paths) > 1)
        check_same_size(deformations.subject, opened.subject)
        found.append(_measure(config, opened, deformations))
        if config.worst:
            _worst(config, opened, deformations, found[-1])
            held += [opened] * (len(paths) > 1)
    assert deformations is not None
    transfer = _transfer(config, held, deformations, found) if held else None
    for measured in found:
        measured.gather()
    displacement = ranks.gathered(deformations.displacement.cpu().numpy(), axis=1)
    if ranks.rank:
        return
    inputs.append(everything.images.steps)
    device = str(deformations.subject.device)
    steps = provenance.step(config=asdict(config), inputs=inputs, device=device)
    result = Result(
        config, found, everything, _facts(config, deformations, len(everything.index)), transfer
    )
    if form != "h5":
        tabulate(target, result, form, steps)
        return
    with hdf5.create(target, "deformation", steps) as out:
        write(out, result, displacement)


@dataclass(frozen=True, eq=False)
class _Opened:
    """A network, and what is measured of it; `subject` has this rank's images, `everything` all."""

    name: str
    label: str
    step: int
    trained: bool
    everything: Subject
    subject: Subject
    layers: list[Layer]
    worst_layers: list[Layer]

    @property
    def worst_names(self) -> set[str]:
        return {layer.name for layer in self.worst_layers}


def _networks(config: Deform, paths: Sequence[Path], names: Sequence[str]) -> Iterator[_Opened]:
    """Each network, opened when it is wanted."""
    metadatas = [models.read_metadata(path) if path.is_file() else {} for path in paths]
    configs = [
        replace(config, model=reference, seed=_seed(config, metadata))
        for reference, metadata in zip(config.models, metadatas, strict=True)
    ]
    subjects = prepare_alike(configs, paths, transforms=(), labels=False)
    for name, metadata, subject in zip(names, metadatas, subjects, strict=True):
        if len(subject.index) < 2:
            raise InvtoolError(
                f"{subject.images.spec} has one test image; distances between images want two or more"
            )
        layers = representations(subject.network, config.layers)
        label = trajectories.label_of(metadata, name)
        yield _Opened(
            name,
            f"{label}, untrained" if config.untrained else label,
            trajectories.step_of(metadata),
            not config.untrained,
            subject,
            subject.share,
            layers,
            select(layers, config.worst_layers) if config.worst_layers else layers[-1:],
        )


def _seed(config: Deform, metadata: dict[str, Any]) -> int:
    """Of the weights: what the file was trained from, where it is one that tells."""
    training = metadata.get("training")
    seed = training.get("seed") if isinstance(training, dict) else None
    return seed if isinstance(seed, int) else config.seed


def representations(network: Network, patterns: Sequence[str]) -> list[Layer]:
    """The layers that are chosen, of those that the paper compares.

    These are the input as layer 0, activations, pools, and the penultimate layer; what a block of a
    block network ends in, be it a pool, a convolution or more, is one layer, `block1.down`. The word
    `all` is all of them, and patterns are as in `select`.
    """
    layers = network.layers
    down = {layer.name for layer in layers if fullmatch(DOWN, layer.name)}
    known = [
        replace(layer, kind="pool") if layer.name in down else layer
        for layer in layers
        if not any(layer.name.startswith(f"{name}.") for name in down)
    ]
    pools = [layer.name for layer in known if layer.kind == "pool"] if "all" in patterns else []
    zero = Layer(INPUT, "activation", network.input, -1, layers[0].pass_length, False, False)
    return select([zero, *known], [*patterns, *pools])


def _measure(config: Deform, opened: _Opened, deformations: Deformations) -> Measured:
    """Distances under every draw, and the median of all pairs, at every layer of a network."""
    subject, layers = opened.subject, opened.layers
    images, kinds = len(subject.index), 2 if config.noise else 1
    far = np.full((kinds, config.draws, images, len(layers)), np.nan)
    with (
        torch.no_grad(),
        Responses(
            subject.network,
            layers,
            _paired(config, len(opened.everything.index)),
            kind=config.distance,
            others=kinds * config.draws,
            size=_batch_size(config, opened, kinds * config.draws),
        ) as kept,
    ):
        with _devices.arithmetic(subject.device, subject.precision):
            for part in _parts(images, kept.together, f"deforming, {opened.name}"):
                clean = deformations.clean(part)
                others = _others(config, deformations, part, clean)
                found = kept.compare(clean, others, part.start).cpu().numpy()
                far[:, :, part] = found.reshape(config.draws, kinds, *found.shape[1:]).swapaxes(
                    0, 1
                )
        kept.gather()
        median = [median_of_pairs(kept.pairs(layer.name)) for layer in layers if not ranks.rank]
    median = ranks.agreed(median)
    for layer, value in zip(layers, median, strict=True):
        if not value > 0:
            messages.warn(
                f"layer {layer.name} of {opened.name} answers alike to most images: "
                "no median distance, no sensitivity"
            )
    return Measured(
        opened.name,
        opened.label,
        opened.step,
        opened.trained,
        [layer.name for layer in layers],
        far[0],
        np.array(median),
        far[1] if config.noise else None,
    )


def _paired(config: Deform, images: int) -> NDArray[np.bool_]:
    """Which of so many images give the median distance, (image,): all, or some spread evenly."""
    count = min(config.paired or images, images)
    chosen = np.zeros(images, bool)
    chosen[np.arange(count) * images // count] = True
    return chosen


def _others(
    config: Deform, deformations: Deformations, part: slice, clean: Tensor
) -> Iterator[Tensor]:
    """The images `part` under each draw, and after each with noise as large where that is asked."""
    for draw in range(config.draws):
        moved = deformations.deformed(draw, part, clean)
        yield moved
        if config.noise:
            yield deformations.noised(draw, part, clean, moved)


def _batch_size(config: Deform, opened: _Opened, others: int = 0) -> int:
    """Images that pass at once; unless told, no pass is left short where `others` go with each image."""
    subject, together = opened.subject, 1 + others
    size = _devices.batch_size(config.batch_size, subject.network.layers, subject.device)
    if config.batch_size is not None or together > size:
        return size
    return -(-size // together) * together


def _parts(images: int, size: int, label: str) -> Iterator[slice]:
    """Runs of at most `size` images."""
    starts = messages.progress(
        range(0, images, size), total=images, label=label, unit="images", size=size
    )
    for first in starts:
        yield slice(first, min(first + size, images))


def _worst(config: Deform, opened: _Opened, deformations: Deformations, found: Measured) -> None:
    """Add to `found` the worst deformation of every image for each of the layers asked for."""
    subject, images = opened.subject, len(opened.subject.index)
    size = _batch_size(config, opened)
    points = deformations.grid**2
    far = np.full((images, len(found.layers)), np.nan)
    moved = np.full((images, len(found.layers), points, 2), np.nan, np.float32)
    drawn = deformations.displacement
    others = [deformations.drawn(STARTS + n) for n in range(config.restarts - 1)]
    for layer in opened.worst_layers:
        place = found.layers.index(layer.name)
        farthest = np.nan_to_num(found.deformed[:, :, place]).argmax(axis=0)
        first = drawn[torch.from_numpy(farthest), torch.arange(images)]
        starts = torch.stack([first, *others])
        for part in _parts(images, size, f"worst for {layer.name}, {opened.name}"):
            with _devices.arithmetic(subject.device, subject.precision):
                best, where = ascend(
                    deformations,
                    subject.network,
                    layer,
                    part,
                    starts[:, part],
                    steps=config.steps,
                    kind=config.distance,
                )
            far[part, place] = best.cpu().numpy()
            moved[part, place] = where.cpu().numpy()
    found.worst, found.worst_displacement = far, moved


def _transfer(
    config: Deform,
    opened: Sequence[_Opened],
    deformations: Deformations,
    found: Sequence[Measured],
) -> dict[tuple[int, int, str], NDArray[np.float64]]:
    """Distances (image,) by network, network whose worst deformations it is shown, and layer."""
    distances: dict[tuple[int, int, str], NDArray[np.float64]] = {}
    for n, network in enumerate(opened):
        for layer in network.worst_layers:
            sources = [m for m in range(len(found)) if layer.name in opened[m].worst_names]
            for m, values in _shown_others(config, network, layer, deformations, found, sources):
                distances[n, m, layer.name] = ranks.gathered(values)
    return distances


def _shown_others(
    config: Deform,
    opened: _Opened,
    layer: Layer,
    deformations: Deformations,
    found: Sequence[Measured],
    sources: Sequence[int],
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    subject = opened.subject
    images = len(subject.index)
    distances = np.full((len(sources), images), np.nan)
    moved = [torch.from_numpy(found[source].displaced(layer.name)) for source in sources]
    with (
        torch.no_grad(),
        _devices.arithmetic(subject.device, subject.precision),
        Responses(
            subject.network,
            [layer],
            np.zeros(len(opened.everything.index), bool),
            kind=config.distance,
            others=len(sources),
            size=_batch_size(config, opened, len(sources)),
        ) as kept,
    ):
        for part in _parts(images, kept.together, f"worst of the others, {opened.name}"):
            clean = deformations.clean(part)
            others = (deformations.warped(clean, d[part].to(subject.device)) for d in moved)
            distances[:, part] = kept.compare(clean, others, part.start)[..., 0].cpu().numpy()
    yield from zip(sources, distances, strict=True)


def _facts(config: Deform, deformations: Deformations, images: int) -> dict[str, Any]:
    """Root attributes of the file."""
    worst = {"restarts": config.restarts, "steps": config.steps} if config.worst else {}
    paired = {"paired": config.paired} if (config.paired or images) < images else {}
    return {
        "data": deformations.subject.images.spec,
        "distance": config.distance,
        "grid": deformations.grid,
        "pixels": deformations.pixels,
        "border": config.border,
        **paired,
        **worst,
    }
