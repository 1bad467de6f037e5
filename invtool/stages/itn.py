"""The Invariant Transformer Net: learn what a network lets be done to its images, and say what it is."""

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool.config import Itn
from invtool.errors import InvtoolError
from invtool.files import hdf5, messages, models, provenance
from invtool.measures import controlled_loss
from invtool.stages import _devices, itn_words
from invtool.stages._forward import on_device
from invtool.stages._subject import Subject, facts, prepare
from invtool.stages.itn_measure import CORNERS, Stage, Start, at_corners, measure, paths, reach
from invtool.stages.itn_result import shown, tabulate, write
from invtool.training.itn import Recipe, Step, train
from invtool.transforms.controllers import KIND, Controllers, at_identity

EVERY = 100  # steps between two lines about them
CHECKED = 64  # images on which the corners are checked, at most


def run(config: Itn, model: Path, target: Path, report: Path, form: str, log: Path | None) -> None:
    """Train on the network in `model` (or that `config.model` names).

    `target` becomes the controllers, `report` table, json, csv or h5, `log` a line of JSON a step.
    """
    subject = prepare(config, model, transforms=[])
    training, rows = divided(subject, config.held_out)
    size = _devices.batch_size(config.batch_size, subject.network.layers, subject.device)
    stage = Stage(subject, rows, np.arange(0), size)
    own = stage.answers()
    right = Stage(subject, training, np.arange(0), size).answers().right
    _check(subject, right, own.right)
    stage = Stage(subject, rows, _examples(own.right, config.examples), size)
    steps = provenance.step(
        config=asdict(config), inputs=subject.inputs, device=str(subject.device)
    )
    with log.open("w") if log else nullcontext() as lines:
        starts = [
            _start(config, stage, training, right, config.seed + number, lines)
            for number in range(config.seeds)
        ]
    if subject.network.normalization["kind"] == "per-image":
        messages.warn(
            f"{subject.network.name} standardizes each image by itself, so brightness and gain that all "
            "channels share change nothing: that is its input, not what it learned"
        )
    for start in starts:
        _warn(config, stage, start, float(own.right.mean()))
    ways = paths(stage, starts)
    watched = messages.progress(ways, total=len(ways), label="reaching out", unit="paths")
    found = [reach(stage, config, way, own.right) for way in watched]
    told = {**facts(subject), **_settings(config, own.right, right)}
    _save(target, subject, config, starts, told, steps)
    if form == "h5":
        with hdf5.create(report, "itn", steps) as out:
            write(out, stage, starts, found, told)
    else:
        tabulate(report, stage, starts, found, told, form, steps)
    if form != "table":
        messages.show(shown(stage, starts, found, told))


def divided(subject: Subject, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the images to train on and of those that only measure, both of all categories.

    Raises InvtoolError where either would be none.
    """
    order = subject.index[np.argsort(subject.label, kind="stable")]
    count = np.arange(len(order) + 1) * share
    measuring = np.floor(count[1:]) > np.floor(count[:-1])
    if not 0 < measuring.sum() < len(order):
        raise InvtoolError(
            f"{subject.images.spec} gives {len(order)} image{'s' * (len(order) != 1)}: some are wanted to "
            "train on and some to measure; give more images, or another --held-out"
        )
    return order[~measuring], order[measuring]


def _check(subject: Subject, right: NDArray[Any], own: NDArray[Any]) -> None:
    for what, answers in (("to train on", right), ("to measure", own)):
        if not answers.any():
            raise InvtoolError(
                f"{subject.network.name} answers none of the {len(answers)} images {what} right: "
                "there is no accuracy to keep; a trained network and its own data are wanted"
            )


def _examples(right: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Places of images that are answered right, spread evenly; of any, where there are fewer."""
    order = np.concatenate((np.flatnonzero(right), np.flatnonzero(~right)))
    among = order[: max(int(right.sum()), min(count, len(order)))]
    return np.sort(among[np.arange(min(count, len(among))) * len(among) // max(count, 1)])


def _start(
    config: Itn,
    stage: Stage,
    training: NDArray[np.int64],
    right: NDArray[Any],
    seed: int,
    log: TextIO | None,
) -> Start:
    """Train from one seed, and measure what came of it."""
    subject = stage.subject
    channels = stage.shape[0]
    random = torch.Generator().manual_seed(seed)
    held = at_identity(channels, config.hidden, random)
    held = {name: tensor.to(subject.device) for name, tensor in held.items()}
    label = torch.from_numpy(subject.images.label).to(subject.device)

    def read(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        pixels, index = on_device(subject.images, training[rows], subject.device)
        return pixels.float(), label[index]

    recipe = Recipe(
        steps=config.steps,
        batch=config.train_batch,
        learning_rate=config.learning_rate,
        color_weight=config.color_weight,
        slack=config.slack,
        gate=config.gate,
        vectors=config.vectors,
        keep_scale=config.keep_scale,
    )
    few = np.linspace(0, len(training), min(CHECKED, len(training)), endpoint=False).astype(int)
    checked = Stage(subject, training[few], np.arange(0), stage.batch_size)
    limit = config.share * right[few].mean()

    def check(controllers: Controllers) -> bool:
        cpu = {name: tensor.detach().cpu() for name, tensor in controllers.items()}
        return all(
            checked.answers(**given, strict=False).right.mean() >= limit
            for given in at_corners(cpu, config, channels)
        )

    with _devices.arithmetic(subject.device, subject.precision):
        going = train(held, subject.network, read, right, controlled_loss, check, recipe, seed=seed)
        watched = messages.progress(
            going, total=config.steps, label=f"training, seed {seed}", unit="steps"
        )
        steps = list(_logged(watched, seed, log))
    return measure(stage, config, seed, steps, held)


def _logged(going: Iterator[Step], seed: int, log: TextIO | None) -> Iterator[Step]:
    recent: list[Step] = []
    for number, step in enumerate(going, start=1):
        recent.append(step)
        if log:
            log.write(json.dumps({"seed": seed, "step": number, **asdict(step)}) + "\n")
        if number % EVERY == 0:
            means = [
                float(np.mean([getattr(s, name) for s in recent]))
                for name in ("classification", "magnitude", "accuracy")
            ]
            messages.note(
                "seed {}, step {}: classification loss {:.3f}, magnitude loss {:.3f}, accuracy {:.3f}".format(
                    seed, number, *means
                )
            )
            recent = []
        yield step


def _warn(config: Itn, stage: Stage, start: Start, own: float) -> None:
    """Say where an answer is trivial: next to nothing was learned, the image was made smaller, or the
    accuracy was not kept."""
    _, height, width = stage.shape
    say = messages.warn
    colors = stage.colors()
    spaces = [start.space.matrix[start.space.corner(n)] for n in range(1, len(CORNERS))]
    tints = [start.color.matrix[start.color.corner(n)] for n in range(1, len(CORNERS))]
    if all(itn_words.spatial(m, height, width) == "nothing" for m in spaces):
        say(f"seed {start.seed}: the spatial matrices are nearly the identity; take more --steps")
    elif any(itn_words.zooms_out(m, height, width) for m in spaces):
        say(
            f"seed {start.seed}: most of what was learned is to show the image smaller, which many networks"
            " bear; --keep-scale looks for something else"
        )
    if all(itn_words.color(m, colors) == "nothing" for m in tints):
        say(
            f"seed {start.seed}: the color matrices are nearly the identity; take more --steps,"
            " or a higher --color-weight"
        )
    lowest = float(min(start.space.accuracy.min(), start.color.accuracy.min()))
    if lowest < config.share * own:
        say(
            f"seed {start.seed}: accuracy on held-out images falls to {lowest:.3f} of {own:.3f} within the"
            " grid of k; that is beyond what the network is invariant to"
        )


def _settings(config: Itn, own: NDArray[Any], right: NDArray[Any]) -> dict[str, Any]:
    return {
        "share": config.share,
        "keep_scale": int(config.keep_scale),
        "color_weight": config.color_weight,
        "gate": config.gate,
        "slack": config.slack,
        "own_accuracy": float(own.mean()),
        "training_accuracy": float(right.mean()),
        "training_images": len(right),
    }


def _save(
    target: Path,
    subject: Subject,
    config: Itn,
    starts: Sequence[Start],
    told: dict[str, Any],
    steps: provenance.Steps,
) -> None:
    tensors = {
        f"{number}.{name}": tensor
        for number, start in enumerate(starts)
        for name, tensor in start.controllers.items()
    }
    channels, height, width = subject.images.image.shape[1:]
    metadata = {
        "starts": len(starts),
        "keep_scale": config.keep_scale,
        "seeds": [start.seed for start in starts],
        "input": {"channels": channels, "height": height, "width": width},
        "model": told["model"],
        "data": told["data"],
        "run": asdict(config),
        "accuracy": {
            "own": told["own_accuracy"],
            "space": [start.space.accuracy.min() for start in starts],
            "color": [start.color.accuracy.min() for start in starts],
        },
    }
    models.save(target, tensors, metadata, steps, kind=KIND)
