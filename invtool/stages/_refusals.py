"""What a command refuses before it imports torch: names, specs and files that cannot work."""

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from math import inf
from pathlib import Path

from invtool import ranks
from invtool.config import (
    Calibrate,
    Deform,
    Evaluate,
    Findings,
    Itn,
    Jagged,
    Moved,
    Reproduce,
    Shiftable,
    Subject,
    Sweep,
    Train,
)
from invtool.data import specs as data_specs
from invtool.data.specs import DataSpec
from invtool.errors import InvtoolError, UsageError
from invtool.files import formats, models, streams, trajectories
from invtool.models import architectures, filters, references
from invtool.stages._settings import combinations
from invtool.training import milestones
from invtool.training.checkpoints import checkpoint_path, search_path
from invtool.transforms import TRANSFORMS, SpecError, parse
from invtool.transforms.ranges import Range, parse_range
from invtool.transforms.specs import IDENTITY


def transforms(texts: Sequence[str]) -> None:
    """Raise UsageError for a transform spec that cannot be read."""
    for text in texts:
        try:
            spec = parse(text)
        except SpecError as error:
            raise UsageError(str(error)) from None
        for file in (file for step in spec.steps for file in step.files):
            _controllers(Path(file))


def _controllers(path: Path) -> None:
    """Raise InvtoolError for a file that no transform can be read from."""
    if path == streams.STDIO:
        raise UsageError("a transform is read from a file, not from standard input")
    streams.check_source(path)
    kind = models.read_metadata(path).get("invtool_kind", "tensors")
    if kind != formats.CONTROLLERS:
        raise InvtoolError(f"{path} holds {kind}; controllers that invtool itn wrote are wanted")


def field(texts: Sequence[str]) -> None:
    """Raise UsageError for what is not one deformation, whose vector field can be drawn."""
    if [step.name for text in texts for step in parse(text).steps] != ["deform"]:
        raise UsageError(f"--field draws one deform, as deform:grid=4, not {', '.join(texts)}")


def device(name: str) -> None:
    """Raise UsageError for a name that is no device; whether it is there, torch knows."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise UsageError(f"no device {name!r}; use auto, cpu, cuda, cuda:N or mps")


def smoothing(config: Subject | Train) -> None:
    """Raise UsageError for a filter that there is not."""
    filters.parse(config.pool, "--pool")
    filters.parse(config.antialias, "--antialias")


def data(text: str) -> DataSpec:
    """Raise UsageError or InvtoolError for a data spec that names nothing; a pipe must have data."""
    spec = data_specs.parse(text)
    source = spec.deformation.source if spec.deformation else spec
    if source.name == "file":
        streams.check_source(Path(source.path))
    return spec


def measuring(config: Subject, *, transform: bool = True) -> Path | None:
    """The file that `config.model` is, if any; raises where nothing could be measured on it.

    A model on standard input can be looked into only later. `transform` says that one is needed.
    """
    device(config.device)
    reference = references.parse(config.model)
    references.check(
        reference,
        weights=Path(config.weights) if config.weights else None,
        untrained=config.untrained,
        mean=config.mean,
        std=config.std,
    )
    smoothing(config)
    transforms(config.transforms)
    if config.data:
        data(config.data)
    if config.model == config.data == str(streams.STDIO):
        raise UsageError("model and images cannot both come from standard input")
    if reference.path is None:
        if not config.data:
            raise UsageError(f"{config.model} does not tell its images; give --data")
        if transform and not config.transforms:
            raise UsageError(f"{config.model} was trained without a transform; give --transform")
    return reference.path


def evaluating(config: Evaluate) -> list[Path | None]:
    """As `measuring`, for each of the networks that are named; raises too for no crops at all."""
    if 0 in config.tta:
        raise UsageError("--tta 0: one crop or more is wanted; without --tta there is no vote")
    return _several(config)


def _several(config: Deform | Evaluate | Jagged | Sweep) -> list[Path | None]:
    """As `measuring`, for each of the networks that are named."""
    if config.models.count(str(streams.STDIO)) > 1:
        raise UsageError("standard input holds one model; '-' is named twice")
    return [measuring(replace(config, model=name), transform=False) for name in config.models]


def ranges(config: Sweep) -> list[tuple[Range, Range | None]]:
    """The transforms that are swept, each with the one beside it; raises UsageError for a bad one."""
    if not config.transforms:
        raise UsageError("nothing to sweep; give --transform, or --all for those of the paper")
    try:
        beside = parse_range(config.beside) if config.beside else None
        found = [(parse_range(text), beside) for text in config.transforms]
    except SpecError as error:
        raise UsageError(str(error)) from None
    names = [moved.name for moved, _ in found] + ([beside.name] if beside else [])
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{twice[0]} is named twice; one range of a transform is wanted")
    return found


def sweeping(config: Sweep) -> list[Path | None]:
    """As `evaluating`; raises too for ranges that cannot be swept."""
    ranges(config)
    if not 0 < config.keep <= 1:
        raise UsageError(
            f"--keep {config.keep:g}: a share of the accuracy, 0 < keep <= 1, is wanted"
        )
    return _several(replace(config, transforms=()))


def moving(config: Jagged) -> list[Path | None]:
    """As `evaluating`; raises too for moves that are none, or that contradict each other."""
    _moves(config)
    if config.boxes is not None and config.protocol != "crop":
        raise UsageError("--boxes says how far a window may move; it goes with --protocol crop")
    if config.boxes is not None and config.aspect in ("square", "random"):
        raise UsageError("--boxes are of whole photographs; drop --aspect")
    if config.protocol == "frames" and config.object:
        raise UsageError("--object is not of --protocol frames, which shows whole frames")
    if config.area != Jagged.area and config.aspect != "random":
        raise UsageError("--area goes with --aspect random")
    if len(config.object) > 1 and config.protocol == "scale":
        raise UsageError("--protocol scale grows one object; give --object once")
    if len(set(config.object)) < len(config.object):
        raise UsageError(f"--object {' '.join(map(str, config.object))} names a size twice")
    return _several(config)


def shifting(config: Shiftable) -> Path | None:
    """As `measuring`; raises too for moves that are none."""
    _moves(config)
    return measuring(config, transform=False)


def _moves(config: Moved) -> None:
    low, high = config.range or (-1, 1)
    if high - low < config.step:
        raise UsageError(
            f"--range {low}:{high} has one position at --step {config.step}; two or more are wanted"
        )
    if config.protocol in ("scale", "frames") and config.direction != Moved.direction:
        raise UsageError(f"--direction is not of --protocol {config.protocol}")


def deforming(config: Deform) -> tuple[Deform, list[Path | None]]:
    """As `evaluating`, each folder replaced by the model files in it; raises for what moves nothing."""
    if config.pixels is not None and not 0 < config.pixels < inf:
        raise UsageError(f"--pixels {config.pixels:g}: a bound above 0 is wanted, in pixels")
    if config.limit == 1:
        raise UsageError("--limit 1: distances between images want two or more")
    if not config.worst and config.worst_layers:
        raise UsageError(f"--worst-layer {config.worst_layers[0]} goes with --worst")
    models = [
        str(path)
        for name in config.models
        for path in (trajectories.expand([Path(name)]) if Path(name).is_dir() else [name])
    ]
    config = replace(config, models=tuple(models))
    return config, _several(config)


def measuring_or_file(config: Subject, told: Sequence[str]) -> Path | None:
    """What `invariance` reads: None for a network that is named, else the file that it is to open.

    A file of activations, unlike a model, takes no options about network or images: `told` are those
    that were given.
    """
    path = Path(config.model)
    if path != streams.STDIO and path.is_file() and not models.is_model(path):
        streams.check_source(path)
        options_of_network(config.model, told)
        return path
    return measuring(config)


def options_of_network(label: str, told: Sequence[str]) -> None:
    """Raise UsageError for options about a network where a file of activations is measured."""
    if told:
        raise UsageError(
            f"{label} holds activations, which are measured as they are; {told[0]} is for a model"
        )


def calibrating(config: Calibrate) -> Path | None:
    """As `measuring`; raises too where no strength of the transform could be tried."""
    source = measuring(config)
    (name,) = config.transforms
    able = [entry.name for entry in TRANSFORMS.values() if entry.strength]
    if name not in TRANSFORMS:
        raise UsageError(
            f"--transform {name}: one transform without a value is wanted, as {able[0]}; "
            "its strength is what is looked for"
        )
    transform = TRANSFORMS[name]
    if transform.strength is None:
        raise UsageError(f"transform {name!r} has no strength to raise; use {', '.join(able)}")
    strength = transform.strength_parameter
    if not 0 < config.below <= 1:
        raise UsageError(f"--below {config.below}: an accuracy, 0 < below <= 1, is wanted")
    if config.step is not None and not 0 < config.step <= strength.high:
        raise UsageError(
            f"--step {config.step:g}: {strength.name} of {name!r} is within {strength.range}; "
            "a step above 0 and within it is wanted"
        )
    return source


def learning(config: Itn) -> Path | None:
    """As `measuring`; raises too for settings with which nothing could be learned."""
    for name, value, high in (
        ("learning-rate", config.learning_rate, inf),
        ("held-out", config.held_out, 1),
        ("share", config.share, 1 + 1e-9),
    ):
        if not 0 < value < high:
            end = "" if high == inf else f", {'under' if high == 1 else 'to'} 1"
            raise UsageError(f"--{name} {value:g}: a number above 0{end} is wanted")
    if not config.color_weight < inf:
        raise UsageError(f"--color-weight {config.color_weight:g}: a finite number is wanted")
    return measuring(config, transform=False)


def report_of(output: Path, report: Path | None, log: Path | None, *, overwrite: bool) -> Path:
    """The file that the report goes to; raises for outputs that could not be written."""
    if report is None and output == streams.STDIO:
        raise UsageError("with -o - the report needs a name of its own; give --report FILE")
    if output != streams.STDIO and output.suffix not in models.SUFFIXES:
        raise UsageError(f"{output}: controllers are a .st file; name one, as {output.stem}.st")
    told = report or output.with_suffix(".h5")
    files = [output, told, *([log] if log else [])]
    if len({file.absolute() for file in files}) < len(files):
        raise UsageError(f"{told}: controllers, report and log are files of their own")
    streams.check(None, output, overwrite=overwrite)
    if log:
        streams.check(None, log, overwrite=overwrite, binary=False)
    return told


def training(config: Train, target: Path, *, overwrite: bool) -> None:
    """Raise InvtoolError where a training could not start, or would overwrite something."""
    device(config.device)
    several = len(config.seen) * config.seeds > 1
    if len(set(config.seen)) < len(config.seen):
        raise UsageError(f"--seen {' '.join(map(str, config.seen))} names a count twice")
    if config.transform:
        transforms([config.transform])
    if max(config.seen) and config.transform in ("", IDENTITY):
        raise UsageError(f"--seen {max(config.seen)} needs --transform; transformed how?")
    if config.network.startswith(tuple(architectures.PREFIXES)):
        references.parse(config.network)
    else:
        architectures.split(config.network)
    smoothing(config)
    _search(config)
    milestones.parse(config.checkpoint_at)
    at_once(config)
    if not 0 <= config.init_smooth < inf:
        raise UsageError(f"--init-smooth {config.init_smooth:g}: pixels from 0 are wanted")
    spec = data(config.data)
    count = spec.options.get("categories", spec.options.get("classes"))
    if count is not None:
        seen_count(config.seen, count, str(spec))
    if several:
        _folder(target, overwrite)
    else:
        _model_file(target, overwrite)
        if config.checkpoint_at and (
            target == streams.STDIO or (target.exists() and not target.is_file())
        ):
            raise UsageError(
                f"-o {target}: --checkpoint-at keeps files beside the model; name a file"
            )


def at_once(config: Train) -> None:
    """Raise UsageError for several networks at once on several ranks."""
    if config.at_once > 1 and ranks.size > 1:
        raise UsageError(
            f"--at-once {config.at_once}: {ranks.size} ranks train one network at a time; "
            "run it without torchrun"
        )


def _search(config: Train) -> None:
    """Raise UsageError where a search has nothing to choose from, or something else to say."""
    named = {
        "learning-rate": ("search-rates", config.learning_rate, config.search_rates),
        "weight-decay": ("search-decays", config.weight_decay, config.search_decays),
    }
    for single, (several, value, values) in named.items():
        if values is not None and not config.search:
            raise UsageError(f"--{several} needs --search")
        if None not in (value, values):
            raise UsageError(f"--{several} names what to try; drop --{single}")
        if len(set(values or ())) < len(values or ()):
            raise UsageError(f"--{several} names a value twice")
    if not config.search:
        return
    if config.epochs == 0:
        raise UsageError("--search trains; --epochs 0 is the network at initialization")
    if config.random_labels:
        raise UsageError("--search goes by held-out images, of which random labels tell nothing")
    points = combinations(config)
    if not all(0 < p.learning_rate < inf and 0 <= p.weight_decay < inf for p in points):
        raise UsageError("--search wants learning rates over 0 and weight decays from 0")
    if len(points) < 2:
        raise UsageError(
            "--search has one combination to try; give --search-rates or --search-decays more"
        )


def _model_file(target: Path, overwrite: bool) -> None:
    streams.check(None, target, overwrite=overwrite)
    if target.suffix == ".jsonl":
        raise UsageError(f"{target} is a name for the log; name the model, as {target.stem}.st")
    checkpoint = checkpoint_path(target)
    for path, what in ((checkpoint, "training"), (search_path(target), "search")):
        if path.exists() and not overwrite:
            raise UsageError(
                f"{path} holds a {what} that was stopped; --resume goes on with it, "
                "--overwrite starts anew"
            )
    if target != streams.STDIO:
        milestones.check_free(target, overwrite=overwrite)


def _folder(target: Path, overwrite: bool) -> None:
    named_as_file = target.suffix in (".st", ".safetensors") and not target.is_dir()
    if target == streams.STDIO or target.is_file() or named_as_file:
        raise UsageError(f"{target}: several networks need a folder; use -o FOLDER/")
    if not target.is_dir() and not target.absolute().parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.absolute().parent}")
    there = sorted(path.name for path in target.glob("*.st")) if target.is_dir() else []
    if search_path(target).exists():
        there.append("a search")
    if there and not overwrite:
        raise UsageError(
            f"{target} holds {there[0]} already; pass --resume to go on, --overwrite or another -o"
        )
    for steps in sorted(target.glob("*.steps")):
        milestones.check_free(steps, overwrite=overwrite)


def demo_folder(folder: Path, overwrite: bool) -> None:
    """Raise UsageError where the demo would write over something."""
    if folder.is_file() or not folder.absolute().parent.is_dir():
        raise UsageError(f"{folder} cannot be a folder; name another with -o")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise UsageError(f"{folder} is not empty; pass --overwrite or another -o")


def reproducing(config: Reproduce, folder: Path) -> None:
    """Raise where there is no Snakemake, nothing to work on, or no folder to work in."""
    if config.data:
        spec = data(config.data)
        if spec.path == str(streams.STDIO):
            raise UsageError("every job reads the images; give --data a file, not standard input")
    if folder.is_file() or not folder.absolute().parent.is_dir():
        raise UsageError(f"{folder} cannot be a folder; name another with -o")
    if find_spec("snakemake") is None:
        raise InvtoolError("workflows need Snakemake; pip install 'invtool[studies]'")


def finding(config: Findings) -> None:
    """Raise InvtoolError for a file that is not there; standard input is none of a page's files."""
    for source in map(Path, config.sources):
        if source == streams.STDIO:
            raise UsageError("findings are read from files, not from standard input")
        streams.check_source(source)


def seen_count(asked: Sequence[int], categories: int, name: str) -> None:
    """Raise UsageError where more categories are to be seen than there are."""
    if max(asked) > categories:
        raise UsageError(f"--seen {max(asked)}: {name} has {categories} categories")
