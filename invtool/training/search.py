"""Which learning rate and weight decay: a grid of both, and who of it trains on.

Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943): all combinations train for a
part of the epochs, the better half goes on, twice as far, and so forth. The parts are 1/8, 1/4 and
1/2 of the epochs, or fewer where so many halvings would leave nothing; who passes the last one
trains to the end. 25 combinations so cost 8.5 trainings and not 25.
Importing this module does not import torch: the command line asks whether there is a choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, floor, log2

FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)  # half a decade apart, so that what is typed again is short
HALVINGS = 3  # at most


@dataclass(frozen=True)
class Point:
    """A combination to try."""

    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Score:
    """How a combination does on images that are held out; the lower loss decides a tie."""

    accuracy: float
    loss: float  # mean cross-entropy


def around(value: float) -> tuple[float, ...]:
    """The values to try where `value` is the customary one, ascending.

    >>> around(0.1)
    (0.01, 0.03, 0.1, 0.3, 1.0)
    >>> around(0.0)
    (0.0,)
    """
    return tuple(dict.fromkeys(float(f"{value * factor:.6g}") for factor in FACTORS))


def grid(learning_rates: Sequence[float], weight_decays: Sequence[float]) -> list[Point]:
    """Every combination."""
    return [Point(rate, decay) for rate, decay in product(learning_rates, weight_decays)]


def rungs(combinations: int, epochs: int) -> list[int]:
    """Epochs after which the combinations that are left are compared; the last one is the end.

    >>> rungs(25, 45), rungs(5, 45), rungs(25, 2)
    ([6, 12, 23, 45], [12, 23, 45], [1, 2])
    """
    halvings = min(HALVINGS, floor(log2(combinations)))
    return sorted({ceil(epochs / 2**halving) for halving in range(halvings + 1)})


def planned(combinations: int, epochs: int) -> int:
    """Epochs of all parts together, where no combination diverges.

    >>> planned(25, 8)  # 25 train for 1, 13 for another 1, 7 for another 2, 4 for another 4
    68
    """
    total = before = 0
    for rung in rungs(combinations, epochs):
        total += combinations * (rung - before)
        before, combinations = rung, ceil(combinations / 2)
        if combinations == 1:
            break
    return total


class Halving:
    """Asks for the next part of a training (`due`), and is told what came of it (`tell`).

    >>> search, parts = Halving(4, epochs=4), []
    >>> while part := search.due():
    ...     parts.append(part)
    ...     search.tell(part[0], Score(accuracy=part[0] / 10, loss=1.0))
    >>> parts  # combination, and the epoch to train it to
    [(0, 1), (1, 1), (2, 1), (3, 1), (3, 2), (2, 2)]
    >>> search.left  # and so the best one, before it has trained to the end
    [3]
    """

    def __init__(self, combinations: int, epochs: int):
        self.rungs = rungs(combinations, epochs)
        self.left = list(range(combinations))  # who may still win; in the end the best first
        self._told: dict[int, Score] = {}  # at this rung
        self._places = self._next_places()

    def due(self) -> tuple[int, int] | None:
        """A combination, and the epoch to train it to; None where the best one is known."""
        waiting = [number for number in self.left if number not in self._told]
        return (waiting[0], self.rungs[0]) if waiting else None

    def tell(self, combination: int, score: Score | None) -> None:
        """What the combination that was due came to; None: it diverged.

        Whom enough others have beaten is no longer `left`, though some have not been seen yet.
        """
        if score is None:
            self.left.remove(combination)
        else:
            self._told[combination] = score
            ranked = sorted(self._told, key=self._rank)
            for number in ranked[self._places :]:
                del self._told[number]
                self.left.remove(number)
        if self.due() is None:
            self.left.sort(key=self._rank)
            if len(self.left) > 1 and len(self.rungs) > 1:
                self.rungs.pop(0)
                self._told = {}
                self._places = self._next_places()

    def _rank(self, number: int) -> tuple[float, float, int]:
        score = self._told[number]
        return -score.accuracy, score.loss, number

    def _next_places(self) -> int:
        """How many pass the rung: half, at the end all."""
        return ceil(len(self.left) / 2) if len(self.rungs) > 1 else len(self.left)
