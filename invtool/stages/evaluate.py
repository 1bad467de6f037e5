"""Top-1 accuracy of networks under transforms, and what their images are taken for.

Each network runs once over the images of each condition; nothing else is computed by image.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from invtool.config import Evaluate
from invtool.errors import InvtoolError
from invtool.files import hdf5, models, provenance
from invtool.models.capture import Layer
from invtool.stages import _devices
from invtool.stages._subject import Subject, facts, prepare
from invtool.stages.evaluation_result import Evaluation, tabulate, write


def run(config: Evaluate, paths: Sequence[Path], target: Path, form: str) -> None:
    """Evaluate the networks that `config.models` names, whose files are at `paths`."""
    transforms = config.transforms or _trained_with(paths)
    subjects: list[Subject] = []
    results: list[Evaluation] = []
    for name, path in zip(_names(config.models), paths, strict=True):
        subject = prepare(
            replace(config, model=config.models[len(results)]), path, transforms=transforms
        )
        if subjects:
            _check_alike(subjects[0], subject)
        results.append(_evaluate(config, name, subject))
        subjects.append(subject)
    inputs = [steps for subject in subjects for steps in subject.inputs]
    device = str(subjects[0].device)
    steps = provenance.step(config=asdict(config), inputs=inputs, device=device)
    if form != "h5":
        tabulate(target, results, config.group, form, steps)
        return
    with hdf5.create(target, "evaluation", steps) as out:
        write(out, results, subjects[0].index)


def _trained_with(paths: Sequence[Path]) -> list[str]:
    """The transforms that any of the model files was trained with."""
    told = [
        models.read_metadata(path).get("transform", "")
        for path in paths
        if path.is_file() and models.is_model(path)
    ]
    return list(dict.fromkeys(text for text in told if text))


def _names(references: Sequence[str]) -> list[str]:
    """The last parts of the models' names where they tell them apart, else the whole."""
    short = [Path(text).name if Path(text).is_file() else text for text in references]
    return short if len(set(short)) == len(short) else list(references)


def _evaluate(config: Evaluate, name: str, subject: Subject) -> Evaluation:
    nothing: list[Layer] = []
    prediction = subject.predict(
        batch_size=_devices.batch_size(config.batch_size, nothing, subject.device),
        seed=config.seed,
        label=name,
    )
    return Evaluation(
        name,
        list(map(str, subject.specs)),
        prediction,
        subject.label,
        subject.seen,
        subject.network.metadata.get("seen"),
        facts(subject),
    )


def _check_alike(first: Subject, other: Subject) -> None:
    """Refuse networks that are not shown the same images."""
    same = first.images.spec == other.images.spec and len(first.index) == len(other.index)
    if not same or (first.label != other.label).any():
        raise InvtoolError(
            f"{first.network.name} is measured on {first.images.spec}, {other.network.name} on "
            f"{other.images.spec}; give --data to show both the same images"
        )
