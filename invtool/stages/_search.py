"""The search of train: which learning rate and weight decay do best on held-out training images.

A tenth of each category's training images is held out; test images are not looked at. The score is
the mean of two accuracies: of all held-out images untransformed, and of those of seen categories
transformed, where there are any. Between two parts of its training a combination's network waits on
disk, so that memory holds one network, and a search that was stopped goes on.
"""

import json
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from invtool import ranks
from invtool.config import Train
from invtool.data.held_out import held_out
from invtool.errors import InvtoolError
from invtool.files import interrupts, messages, models, streams, tables
from invtool.models.networks import Network
from invtool.stages._forward import conditions, pixels_on_device
from invtool.stages._paradigm import Paradigm
from invtool.stages._settings import combinations, recipe_of, told
from invtool.training import checkpoints
from invtool.training.loop import Diverged, Epoch, Trainer
from invtool.training.recipes import Recipe
from invtool.training.search import Halving, Score, planned
from invtool.transforms import Spec

HELD_OUT_BATCH = 250
Found = dict[str, Any]  # the `search` entry of a model
Result = tuple[int, int, Score | None]  # combination, epochs, what it came to; None: it diverged


def run(config: Train, paradigm: Paradigm, state: Path | None, *, going_on: bool) -> Found:
    """Find the best combination; `state` is the file to keep in mind where the search stands.

    Raises InvtoolError where nothing can be held out, or all combinations diverge.
    """
    with ExitStack() as stack:
        if state is None:  # the model goes into a pipe, and nothing can go on
            folder = stack.enter_context(TemporaryDirectory(prefix="invtool-"))
            state = Path(folder) / "search" / "search.json"
        state = ranks.agreed(state)
        found = _Search(config, paradigm, state, going_on).finish()
    _show(found)
    return found


def chosen(recipe: Recipe, found: Found | None) -> Recipe:
    """The recipe with what was found."""
    if found is None:
        return recipe
    best = found["trials"][0]
    return replace(recipe, learning_rate=best["learning_rate"], weight_decay=best["weight_decay"])


def remove(state: Path) -> None:
    """Forget a search."""
    if not ranks.rank and state.parent.is_dir():
        shutil.rmtree(state.parent)


@dataclass
class _Trial:
    """A combination's network on its way."""

    number: int
    network: Network
    trainer: Trainer
    path: Path
    saved: float  # when

    def save(self) -> None:
        self.saved = time.monotonic()
        if ranks.rank:
            return
        module, optimizer = self.network.module, self.trainer.optimizer
        checkpoints.save(self.path, module, optimizer, self.trainer.told(), [])

    def restore(self) -> None:
        checkpoints.restore(self.path, self.network.module, self.trainer.optimizer)
        self.trainer.go_on(models.read_metadata(self.path))


class _Search:
    """The networks of a search, one after the other, each for the part of its training that is due."""

    def __init__(self, config: Train, paradigm: Paradigm, state: Path, going_on: bool):
        self.config, self.paradigm, self.state = config, paradigm, state
        index = paradigm.shown
        label = paradigm.images.label
        held = held_out(label[index], paradigm.seed)
        if not held.any():
            raise InvtoolError(
                f"{paradigm.images.spec}: no category has two training images; "
                "--search wants one to hold out"
            )
        self.count, self.held = len(index), index[held]
        self.seen = self.held[np.isin(label[self.held], paradigm.seen)]
        paradigm.check(paradigm.fresh())
        trained = index[~held]
        pixels = pixels_on_device(paradigm.images, trained, paradigm.device)
        self.shown = paradigm.labeled(pixels, trained)
        self.points, self.recipe = combinations(config), recipe_of(config)
        self.halving = Halving(len(self.points), self.recipe.epochs)
        self.results: list[Result] = []
        results = ranks.agreed(self._known() if going_on and not ranks.rank else None)
        if results is not None:
            for number, epochs, score in results:
                self._tell(number, epochs, Score(**score) if score else None)
        else:
            self._begin()

    def _known(self) -> list[Any] | None:
        """What a search that was stopped came to; None where it was another."""
        if not self.state.exists() or told(self.state) != self.config:
            return None
        results: list[Any] = json.loads(self.state.read_text())["results"]
        return results

    def _begin(self) -> None:
        if ranks.rank:
            return
        remove(self.state)
        self.state.parent.mkdir(exist_ok=True)
        try:
            self._save_state()
        except OSError:
            remove(self.state)
            raise

    def finish(self) -> Found:
        count, seen, seed = len(self.points), len(self.paradigm.seen), self.paradigm.seed
        messages.note(
            f"searching {count} learning rates and weight decays (seen {seen}, seed {seed}; "
            f"{len(self.held)} of {self.count} training images held out)"
        )
        epochs = messages.progress(
            self._epochs(),
            total=planned(count, self.recipe.epochs),
            done=sum({number: epochs for number, epochs, _ in self.results}.values()),
            label="search",
            unit="epochs",
        )
        with interrupts.held_back():
            deque(epochs, maxlen=0)
        if not self.halving.left:
            remove(self.state)
            lowest = min(point.learning_rate for point in self.points)
            raise InvtoolError(
                f"all {count} combinations diverged; give --search-rates under {lowest:g}"
            )
        return {
            "rule": "successive halving",
            "held_out": len(self.held),
            "images": self.count,
            "seen": seen,
            "seed": seed,
            "trials": self._rows(),
        }

    def _epochs(self) -> Iterator[Epoch]:
        """Train what is due, yielding after each epoch, until the best combination is known."""
        while due := self.halving.due():
            trial = self._trial(due[0])
            score = None
            with suppress(Diverged):
                for epoch in trial.trainer.run(partial(self._after_step, trial), until=due[1]):
                    yield epoch
                    self._save_in_time(trial)
                score = self._score(trial.network)
            trainer = trial.trainer
            self._tell(trial.number, trainer.step // trainer.steps_per_epoch, score)
            if trial.number in self.halving.left and trainer.step < trainer.steps:
                trial.save()
            self._save_state()
            interrupts.leave()

    def _trial(self, number: int) -> _Trial:
        """A combination's network, as far as it has come."""
        network = self.paradigm.fresh()
        recipe = replace(self.recipe, **asdict(self.points[number]))
        trainer = self.paradigm.trainer(network, self.shown, recipe)
        trial = _Trial(number, network, trainer, self._path(number), time.monotonic())
        if ranks.agreed(trial.path.exists()):
            trial.restore()
        return trial

    def _path(self, number: int) -> Path:
        return self.state.with_name(f"{number}.st")

    def _after_step(self, trial: _Trial, step: int) -> None:
        if step % trial.trainer.steps_per_epoch:  # at its end it is not known yet to be sound
            self._save_in_time(trial)

    def _save_in_time(self, trial: _Trial) -> None:
        late = time.monotonic() - trial.saved > self.config.checkpoint_every
        stops = interrupts.heard()
        if late or stops:
            trial.save()
        if stops:
            interrupts.leave()

    def _tell(self, number: int, epochs: int, score: Score | None) -> None:
        self.halving.tell(number, score)
        self.results.append((number, epochs, score))

    def _save_state(self) -> None:
        """What all have come to; who is out needs no weights any more."""
        if ranks.rank:
            return
        results = [(n, epochs, score and asdict(score)) for n, epochs, score in self.results]
        with streams.writing(self.state) as path:
            path.write_text(json.dumps({"run": asdict(self.config), "results": results}))
        for number in set(range(len(self.points))) - set(self.halving.left):
            self._path(number).unlink(missing_ok=True)

    def _score(self, network: Network) -> Score:
        """Raises Diverged where the network answers no finite numbers."""
        network.module.eval()
        shown = [(self.held, Spec())]
        if self.paradigm.transform.steps and len(self.seen):
            shown.append((self.seen, self.paradigm.transform))
        answers = [self._answers(network, index, spec) for index, spec in shown]
        accuracy, loss = np.mean(answers, axis=0).tolist()
        if not np.isfinite(loss):
            raise Diverged("the loss of held-out images is not a number")
        return Score(accuracy, loss)

    def _answers(
        self, network: Network, index: NDArray[np.int64], spec: Spec
    ) -> tuple[float, float]:
        """Accuracy and mean cross-entropy of the images `index`, transformed."""
        own = index[ranks.share(len(index))]
        sums = torch.zeros(2, dtype=torch.float64)  # answered right, loss
        label = torch.from_numpy(self.paradigm.images.label[own]).to(self.paradigm.device)
        batches = conditions(
            self.paradigm.images,
            own,
            [spec],
            batch_size=HELD_OUT_BATCH,
            seed=self.paradigm.seed,
            device=self.paradigm.device,
        )
        with torch.inference_mode():
            for _, first, batch in batches:
                logits, wanted = network(batch), label[first : first + len(batch)]
                sums[0] += float((logits.argmax(1) == wanted).sum())
                sums[1] += float(cross_entropy(logits.float(), wanted, reduction="sum"))
        right, loss = (ranks.total(sums) / len(index)).tolist()
        return right, loss

    def _rows(self) -> list[dict[str, Any]]:
        """A row for each combination, the best first."""
        last = {number: (epochs, score) for number, epochs, score in self.results}
        rows = []
        for number, point in enumerate(self.points):
            epochs, score = last[number]
            rows.append(
                {
                    **asdict(point),
                    "epochs": epochs,
                    "accuracy": score.accuracy if score else None,
                    "loss": score.loss if score else None,
                    "status": self._status(number, score),
                }
            )
        return sorted(rows, key=_merit)

    def _status(self, number: int, score: Score | None) -> str:
        if number in self.halving.left:
            return "best" if number == self.halving.left[0] else "finished"
        return "stopped" if score else "diverged"


def _merit(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Who came further is better, then who does better; who diverged is last."""
    if row["status"] == "diverged":
        return (True, -row["epochs"])
    return (False, row["status"] != "best", -row["epochs"], -row["accuracy"], row["loss"])


def _show(found: Found) -> None:
    """The search as a table."""
    rows = [
        {
            **row,
            "learning_rate": f"{row['learning_rate']:g}",
            "weight_decay": f"{row['weight_decay']:g}",
        }
        for row in found["trials"]
    ]
    messages.show(tables.text(rows, title="accuracy on held-out training images"))
