"""Top-1 accuracy of networks under transforms, and what their images are taken for.

An image is read and transformed once and passes all networks, as many as fit the memory that is set
aside for their weights.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invtool import ranks
from invtool.config import Evaluate
from invtool.files import hdf5, models, provenance
from invtool.files.streams import short_names
from invtool.stages import _devices, augmentation
from invtool.stages._forward import predict
from invtool.stages._subject import Subject, facts, prepare_alike
from invtool.stages.evaluation_result import Evaluation, tabulate, write
from invtool.stages.vote_result import Votes

WEIGHTS = 1 << 30  # bytes of the networks that an image passes before the next ones are opened


def run(config: Evaluate, paths: Sequence[Path], target: Path, form: str) -> None:
    """Evaluate the networks that `config.models` names, whose files are at `paths`."""
    results: list[Evaluation] = []
    inputs: list[provenance.Steps] = []
    names = iter(short_names(config.models))
    configs = [replace(config, model=name) for name in config.models]
    transforms = config.transforms or _trained_with(paths)
    for group in _together(prepare_alike(configs, paths, transforms=transforms)):
        first = group[0]
        for subject, prediction in zip(group, _answers(config, group), strict=True):
            votes = augmentation.votes(config, subject) if config.tta else None
            results.append(_evaluation(next(names), subject, prediction, votes))
            inputs.append(subject.network.steps)
    if ranks.rank:
        return
    inputs.append(first.images.steps)
    steps = provenance.step(config=asdict(config), inputs=inputs, device=str(first.device))
    if form != "h5":
        tabulate(target, results, config.group, form, steps)
        return
    with hdf5.create(target, "evaluation", steps) as out:
        write(out, results, first.index)


def _together(subjects: Iterable[Subject]) -> Iterator[list[Subject]]:
    """Runs of networks whose weights fit the memory set aside for them; a single one always does."""
    group: list[Subject] = []
    room = WEIGHTS
    for subject in subjects:
        size = sum(weight.nbytes for weight in subject.network.module.state_dict().values())
        if group and size > room:
            yield group
            group, room = [], WEIGHTS
        group.append(subject)
        room -= size
    yield group


def _answers(config: Evaluate, group: Sequence[Subject]) -> NDArray[np.int64]:
    """Category answered, (network, condition, image)."""
    first = group[0]
    sizes = [
        _devices.batch_size(config.batch_size, subject.network.layers, subject.device)
        for subject in group
    ]
    return predict(
        [subject.network for subject in group],
        first.images,
        first.index,
        first.specs,
        batch_size=min(sizes),
        seed=config.seed,
        device=first.device,
        precision=first.precision,
        settle=True,
        label="evaluating",
    )


def _evaluation(
    name: str, subject: Subject, prediction: NDArray[np.int64], votes: Votes | None
) -> Evaluation:
    return Evaluation(
        name,
        list(map(str, subject.specs)),
        prediction,
        subject.label,
        subject.seen,
        subject.network.metadata.get("seen"),
        {**facts(subject), "image_height": subject.images.image.shape[2]},
        votes,
    )


def _trained_with(paths: Sequence[Path]) -> list[str]:
    """The transforms that any of the model files was trained with."""
    told = [
        models.read_metadata(path).get("transform", "")
        for path in paths
        if path.is_file() and models.is_model(path)
    ]
    return list(dict.fromkeys(text for text in told if text))
