"""Whether the networks of a run can train at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from invtool.config import Train
from invtool.errors import UsageError
from invtool.models import stacking
from invtool.models.stacking import Unstackable
from invtool.stages import _refusals
from invtool.stages._forward import has_room
from invtool.stages._paradigm import Paradigm


def several(config: Train) -> bool:
    """Whether networks of the run train at once."""
    return min(config.at_once, len(config.seen) * config.seeds) > 1


def check(config: Train, paradigms: Sequence[Paradigm], index: NDArray[np.int64]) -> None:
    """Raise UsageError where several are to train at once that have to train alone, on the images `index`."""
    _refusals.at_once(config)
    if not several(config):
        return
    first, asked = paradigms[0], f"--at-once {config.at_once}"
    if not has_room(first.images, index, first.device):
        raise UsageError(
            f"{asked}: {first.images.spec} does not fit in memory and is read as it is shown, "
            "to one network at a time"
        )
    networks = [paradigm.fresh() for paradigm in paradigms[:2]]
    first.check(networks[0])
    try:
        stacking.check([network.module for network in networks], networks[0].input)
    except Unstackable as error:
        raise UsageError(f"{asked}: {config.network} trains alone: {error}") from None
