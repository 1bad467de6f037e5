"""Train networks that see some categories transformed, and say how they came out."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from invtool import ranks
from invtool.config import Train
from invtool.data.decoding import UnreadableImage
from invtool.data.sets import TEST, TRAIN
from invtool.data.sources import open_data
from invtool.errors import InvtoolError, UsageError
from invtool.files import interrupts, messages, models, provenance, streams
from invtool.files.provenance import Steps
from invtool.measures import GROUPS, group_accuracy
from invtool.models.networks import Network
from invtool.stages import _at_once, _devices, _refusals, _search
from invtool.stages._forward import pixels_on_device, predict
from invtool.stages._paradigm import Paradigm
from invtool.stages._settings import recipe_of, told
from invtool.training import checkpoints, milestones, together
from invtool.training.loop import Diverged, Epoch, StreamedImages, TrainingImages
from invtool.transforms import Spec

EPOCH_TEST = 500  # test images that each epoch's line reports on
TEST_BATCH = 250
Accuracy = dict[str, dict[str, float | None]]  # condition -> group -> share; None: no image


@dataclass(frozen=True)
class Job:
    """One network to train."""

    config: Train
    seen: int
    seed: int
    target: Path
    resume: bool
    found: _search.Found | None = None  # by a search, for all networks of the run
    milestones: frozenset[int] = frozenset()  # steps after which a model file is kept


def run(config: Train, target: Path, *, going_on: bool = False) -> list[dict[str, Any]]:
    """Train one network to the file `target`, or several into that folder; a row of results each.

    With `going_on` it goes on where a run of the same settings stopped, if one did.
    Raises InvtoolError, and leaves no file of the network concerned, if a training diverges.
    """
    device = _devices.choose(config.device, config.threads)
    precision = _devices.precision(config.precision, device)
    images = open_data(config.data)
    _refusals.seen_count(config.seen, len(images.categories), images.spec)
    images.indices(TEST)  # refused here, where there are none, and not after the training
    index = images.indices(TRAIN, config.limit)
    recipe = recipe_of(config)
    if recipe.batch_size < ranks.size:
        raise UsageError(
            f"--batch-size {recipe.batch_size}: {ranks.size} ranks share a batch; "
            "an image for each is wanted"
        )
    steps = recipe.epochs * recipe.steps_per_epoch(len(index))
    kept = milestones.of(config.checkpoint_at, steps)
    jobs = _jobs(config, target, going_on)
    paradigms = [Paradigm.of(config, images, job.seen, job.seed, device, precision) for job in jobs]
    _at_once.check(config, paradigms, index)
    if len(jobs) > 1 and not ranks.rank:
        target.mkdir(exist_ok=True)
    rows = ranks.agreed([_finished(job) for job in jobs if not ranks.rank])
    state = checkpoints.search_path(target)
    if not going_on:
        _search.remove(state)
    found = None
    if config.search and None in rows:
        place = state if _is_file(target) or len(jobs) > 1 else None
        found = _search.run(config, paradigms[0], place, going_on=going_on)
    jobs = [replace(job, found=found, milestones=kept) for job in jobs]
    pixels = pixels_on_device(images, index, device)
    pairs = zip(rows, zip(jobs, paradigms, strict=True), strict=True)
    todo = [pair for row, pair in pairs if not row]
    size = 1 if pixels is None else config.at_once
    parts = (todo[first : first + size] for first in range(0, len(todo), size))
    trained = (row for part in parts for row in _train(part, pixels))
    done = [row or next(trained) for row in rows]
    _search.remove(state)
    return done


def resume(target: Path) -> list[dict[str, Any]]:
    """Go on with the run that wrote to `target`, with the settings it was given.

    Raises InvtoolError if there is nothing to go on with.
    """
    config = None if ranks.rank else _settings(target)
    return run(ranks.agreed(config) or Train(), target, going_on=True)


def _jobs(config: Train, target: Path, resume: bool) -> list[Job]:
    """The networks of a run: one for each count of seen categories and each seed."""
    seeds = range(config.seed, config.seed + config.seeds)
    pairs = [(seen, seed) for seen in config.seen for seed in seeds]
    if len(pairs) == 1:
        return [Job(config, *pairs[0], target, resume)]
    return [
        Job(config, seen, seed, target / f"seen{seen}-seed{seed}.st", resume)
        for seen, seed in pairs
    ]


def _settings(target: Path) -> Train:
    """What the unfinished run that wrote to `target` was told."""
    if target.is_dir():  # a network that is being trained has a checkpoint; between two none has
        found = [*target.glob("*.checkpoint.st")] or [*target.glob("*.st")]
    else:
        found = [path for path in [checkpoints.checkpoint_path(target)] if path.exists()]
    found += [path for path in [checkpoints.search_path(target)] if path.exists()]
    if not found:
        finished = f"{target} is finished; there is nothing to go on with"
        raise InvtoolError(
            finished if target.is_file() else f"{target}: no checkpoint to go on from"
        )
    newest = max(found, key=lambda path: path.stat().st_mtime_ns)
    config = told(newest)
    if config is None:
        raise InvtoolError(f"{newest}: not a checkpoint of this invtool's train")
    return config


def _finished(job: Job) -> dict[str, Any] | None:
    """The results of a network that this run finished before it was stopped."""
    checkpoint = checkpoints.checkpoint_path(job.target)
    if not job.resume or checkpoint.exists() or not job.target.is_file():
        return None
    if told(job.target) != job.config:  # of an earlier run, to be overwritten
        return None
    messages.note(f"{job.target} is finished already")
    return _row(job, models.read_metadata(job.target))


def _train(
    todo: Sequence[tuple[Job, Paradigm]], pixels: torch.Tensor | None
) -> list[dict[str, Any]]:
    """Train networks at once, after a stop those that stand at the same step; a row of each."""
    runs = []
    for job, paradigm in todo:
        with streams.targeting(job.target):
            runs.append(_Run(job, paradigm, paradigm.labeled(pixels, paradigm.shown)))
    by_step: dict[int, list[_Run]] = {}
    for run in runs:
        by_step.setdefault(run.trainer.step, []).append(run)
    for level in by_step.values():
        _finish(level)
    return [_conclude(run) for run in runs]


def _finish(runs: Sequence["_Run"]) -> None:
    """Train to the end. Raises Diverged, after the checkpoints of the others, where one diverges."""
    first, trainers = runs[0], [run.trainer for run in runs]
    steps_per_epoch, batch = first.trainer.steps_per_epoch, first.trainer.batch * len(runs)
    several = len(runs) > 1

    def after_step(step: int) -> None:
        stops = bool(interrupts.heard())  # one answer for all: the next moment may have another
        within = bool(step % steps_per_epoch)  # at its end the epoch's line comes first
        for run in runs:
            run._keep(step)  # before a checkpoint leaves it behind
        if within and (stops or first.is_late()):
            for run in runs:
                run._save_checkpoint()
        if within and stops:
            first._leave()

    epochs = messages.progress(
        together.run(trainers, after_step, of_several=_at_once.several(first.job.config)),
        total=first.trainer.steps * batch,
        done=first.trainer.step * batch,
        label=f"{len(runs)} networks, {first.name} to {runs[-1].name}" if several else first.name,
        unit="images",
        size=steps_per_epoch * batch,
    )
    with nullcontext() if first.piped else interrupts.held_back():
        for epoch in epochs:
            diverged = {}
            for run, result in zip(runs, epoch, strict=True):
                if isinstance(result, Diverged):
                    run.withdraw()
                    diverged[run.name] = result
                else:
                    with _withdrawn(run):
                        run._after_epoch(result)
            for name, error in diverged.items():
                raise Diverged(f"{name}: {error}" if several else str(error))
            first._leave()


def _conclude(run: "_Run") -> dict[str, Any]:
    with streams.writing(run.job.target) as partial, _withdrawn(run):
        metadata = run.conclude(partial)
    run.tidy()
    return _row(run.job, metadata)


@contextmanager
def _withdrawn(run: "_Run") -> Iterator[None]:
    """Withdraw a training where the block fails, but for an image that can be made whole."""
    try:
        yield
    except UnreadableImage:
        raise
    except InvtoolError:
        run.withdraw()
        raise


class _Run:
    """The training of one network: trainer, checkpoint, log and model file.

    Every rank trains, and reads the checkpoint that it goes on from; rank 0 alone writes.
    """

    def __init__(self, job: Job, paradigm: Paradigm, shown: TrainingImages | StreamedImages):
        self.job, self.paradigm = job, paradigm
        self.name = f"seen {job.seen}, seed {job.seed}"
        self.images, self.transform = paradigm.images, paradigm.transform
        self.recipe = _search.chosen(recipe_of(job.config), job.found)
        self.piped = not _is_file(job.target)
        self.writes = not self.piped and not ranks.rank
        self.checkpoint = checkpoints.checkpoint_path(job.target)
        self.kept = milestones.folder(self.checkpoint)  # likewise
        self.log = self.checkpoint.with_suffix(".jsonl")  # an earlier model keeps its own
        self.goes_on = ranks.agreed(job.resume and self.writes and self._is_begun())
        self.steps = self._steps()
        self.network = paradigm.fresh()
        paradigm.check(self.network)
        self.trainer = paradigm.trainer(self.network, shown, self.recipe)
        self.saved = time.monotonic()
        if self.goes_on:
            self._restore()
        elif self.writes:
            milestones.remove(self.kept)
            self._save_checkpoint()
            self.log.write_text("")
        if not self.trainer.step:
            self._keep(0)

    def _is_begun(self) -> bool:
        return self.checkpoint.exists() and told(self.checkpoint) == self.job.config

    def _steps(self) -> Steps:
        if self.goes_on:
            return models.steps_of(models.read_metadata(self.checkpoint))
        config = {**asdict(self.job.config), "seen": self.job.seen, "seed": self.job.seed}
        inputs = [self.images.steps]
        return provenance.step(config=config, inputs=inputs, device=str(self.paradigm.device))

    def conclude(self, target: Path) -> dict[str, Any]:
        """Write the model that is trained to the end; its metadata."""
        # In full precision, so that every other command finds the same.
        metadata = self._metadata()
        metadata["accuracy"] = self._accuracy(self.images.indices(TEST), torch.float32)
        if self.job.config.random_labels:
            metadata["training_accuracy"] = self._accuracy(self.paradigm.shown, torch.float32)
        self.network.module.eval()
        if not ranks.rank:
            models.save(target, _cpu_state(self.network), metadata, self.steps)
        return metadata

    def tidy(self) -> None:
        """The model is whole: its log and steps take their names, and the checkpoint goes."""
        if self.writes:
            self.log.replace(self.job.target.with_suffix(".jsonl"))
            self._settle_steps(milestones.folder(self.job.target))
            self.checkpoint.unlink()

    def _settle_steps(self, final: Path) -> None:
        """The steps of an earlier model of this name go, whether or not this one has some."""
        if (
            self.kept.is_dir() or not self.job.milestones
        ):  # else a run that was stopped here has done it
            milestones.remove(final)
        if self.kept.is_dir():
            self.kept.rename(final)

    def withdraw(self) -> None:
        """A training that came to nothing leaves nothing."""
        for path in (self.checkpoint, self.log):
            if self.writes:
                path.unlink(missing_ok=True)
        if not ranks.rank:
            milestones.remove(self.kept)
        _search.remove(checkpoints.search_path(self.job.target))

    def is_late(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self.saved > self.job.config.checkpoint_every

    def _leave(self) -> None:
        """Go where a signal asked for it, now that a checkpoint has been written."""
        if interrupts.heard() and not self.piped:
            step, steps = self.trainer.step, self.trainer.steps
            messages.note(f"stopped after step {step} of {steps}; --resume goes on from there")
            interrupts.leave()

    def _after_epoch(self, epoch: Epoch) -> None:
        if self.piped:
            return
        test = self._accuracy(self.images.indices(TEST, EPOCH_TEST), self.paradigm.precision)
        if ranks.rank:
            return
        with self.log.open("a") as log:
            log.write(json.dumps({**asdict(epoch), "test": test}) + "\n")
        self._save_checkpoint()

    def _keep(self, step: int) -> None:
        """The network as a model file, if it is wanted after this step."""
        if ranks.rank or step not in self.job.milestones:
            return
        self.kept.mkdir(exist_ok=True)
        metadata = {**self._metadata(), "step": step}
        with streams.writing(milestones.path(self.kept, step)) as partial:
            models.save(partial, _cpu_state(self.network), metadata, self.steps)

    def _save_checkpoint(self) -> None:
        if not self.writes:
            return
        metadata = {**self._metadata(), **self.trainer.told()}
        checkpoints.save(
            self.checkpoint, self.network.module, self.trainer.optimizer, metadata, self.steps
        )
        self.saved = time.monotonic()

    def _restore(self) -> None:
        checkpoints.restore(self.checkpoint, self.network.module, self.trainer.optimizer)
        self.trainer.go_on(models.read_metadata(self.checkpoint))
        if ranks.rank:
            return
        milestones.remove_halves(self.kept)
        # Lines of epochs that the checkpoint does not hold are written again.
        done = self.trainer.step // self.trainer.steps_per_epoch
        found = self.log if self.log.exists() else self.job.target.with_suffix(".jsonl")
        lines = found.read_text().splitlines() if found.exists() else []
        self.log.write_text("".join(line + "\n" for line in lines[:done]))

    def _accuracy(self, index: NDArray[np.int64], precision: torch.dtype) -> Accuracy:
        self.network.module.eval()
        specs = [Spec()] if not self.transform.steps else [Spec(), self.transform]
        (prediction,) = predict(
            [self.network],
            self.images,
            index,
            specs,
            batch_size=TEST_BATCH,
            seed=self.job.seed,
            device=self.paradigm.device,
            precision=precision,
        )
        label = self.images.label[index]
        shares = group_accuracy(prediction, label, np.isin(label, self.paradigm.seen))
        return {
            str(spec): dict(zip(GROUPS, map(_share, row.tolist()), strict=True))
            for spec, row in zip(specs, shares, strict=True)
        }

    def _metadata(self) -> dict[str, Any]:
        channels, height, width = self.network.input
        return {
            **self.network.metadata,
            "input": {"channels": channels, "height": height, "width": width},
            "normalization": self.network.normalization,
            "categories": self.images.categories,
            "data": self.images.spec,
            "transform": str(self.transform) if self.transform.steps else "",
            "seen": self.paradigm.seen.tolist(),
            "training": {
                **asdict(self.recipe),
                "seed": self.job.seed,
                "recipe": self.job.config.recipe,
            },
            "run": asdict(self.job.config),
            **({"random_labels": {"seed": self.job.seed}} if self.job.config.random_labels else {}),
            **({"search": self.job.found} if self.job.found else {}),
        }


def _row(job: Job, metadata: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"model": job.target.name, "seen": job.seen, "seed": job.seed}
    if "training_accuracy" in metadata:
        row["training, random labels"] = metadata["training_accuracy"]["none"]["all"]
    for condition, groups in metadata["accuracy"].items():
        name = "untransformed" if condition == "none" else "transformed"
        for group in ("seen", "unseen"):
            share = groups[group]
            row[f"{name} {group}"] = float("nan") if share is None else share
    return row


def _share(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else value


def _cpu_state(network: Network) -> dict[str, torch.Tensor]:
    return {name: t.detach().cpu() for name, t in network.module.state_dict().items()}


def _is_file(path: Path) -> bool:
    """Whether a model there can have a log and a checkpoint beside it: no pipe, no device."""
    return path != streams.STDIO and (path.is_file() or not path.exists())
