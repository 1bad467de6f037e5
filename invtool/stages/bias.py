"""Are position and size of the objects of each category uniform? The boxes of all files together."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from invtool.config import Bias
from invtool.data import boxes
from invtool.data.boxes import Boxes
from invtool.files import hdf5, messages, provenance
from invtool.stages import bias_result
from invtool.stages.bias_answers import measure


def run(config: Bias, sources: Sequence[Path], target: Path, form: str) -> None:
    """Measure the boxes of `sources`; `target` becomes table, json, csv or h5."""
    steps = provenance.step(config=asdict(config))
    found = boxes.read(sources, corners=config.corners, faulty=config.faulty)
    _tell(found)
    result = measure(found, config)
    if form != "h5":
        bias_result.tabulate(target, result, form, steps)
        return
    with hdf5.create(target, "bias", steps) as out:
        bias_result.write(out, result)


def _tell(found: Boxes) -> None:
    """Say what was left out or changed."""
    for count, what in (
        (found.crowds, "annotations of crowds, left out"),
        (found.skipped, "boxes outside their image or of no size, left out"),
        (found.clipped, "boxes that reach outside their image, clipped"),
    ):
        if count:
            messages.note(f"{what}: {count:,}")
