"""The page on scale: what it says of forward passes and of bytes is what two sizes show."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from small import invoke, room, write_set
from torch import nn

PAGE = Path(__file__).parents[1] / ".github" / "SCALE.md"
SIZES = 20, 420  # images
LINES = {
    "activations": "activations model.st -t blur -t rot180",
    "evaluate": "evaluate model.st other.st -t blur -t rot180",
    "evaluate --tta": "evaluate model.st --tta 3 -t none",
    "invariance MODEL": "invariance model.st -t blur -t rot180 --resamples 0",
    "ablate": "ablate model.st -t blur -t rot180",
    "sweep": "sweep model.st other.st -t blur:sigma=0:2:5 --resamples 0",
    "jagged": "jagged model.st other.st --object 4 --range 2 --resamples 0",
    "shiftable": "shiftable model.st --object 4 --range 2 --resamples 0",
    "deform": "deform model.st other.st --draws 2 --resamples 0",
}
LETTERS = {"evaluate --tta": {"C": 1, "N": 1}}  # where a line differs from the others


def rows() -> dict[str, list[str]]:
    """Cells of the page's table of commands."""
    first = PAGE.read_text().partition("\n## Images")[0]
    lines = [line.strip("|").split("|") for line in first.splitlines() if line[:3] == "| `"]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in lines}


def value(formula: str, names: dict[str, int]) -> float:
    """`4 C U + 8` with the letters' values.

    >>> value("2 (1 + D) U", {"D": 2, "U": 10})
    60.0
    """
    product = re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", formula).replace("^", "**")
    return float(eval(product, {"__builtins__": {}}, names))


@pytest.fixture(scope="module", autouse=True)
def letters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    top = tmp_path_factory.mktemp("scale")
    with room(top):
        write_set(top / "images.h5", train=4, test=max(SIZES))
        make = "train -d images.h5 -n py:nets:make --seen 2 -t blur --epochs 0 --threads 1 -q -o"
        assert invoke(f"{make} model.st") == invoke(f"{make} other.st --seed 1") == 0
        assert invoke("activations model.st --limit 4 -o few.h5 -q") == 0
        with h5py.File("few.h5") as file:
            shapes = [group["activation"].shape[2:] for group in file["layers"].values()]
        yield {
            "C": 3,
            "N": 2,
            "F": 5,
            "P": 5,
            "D": 2,
            "X": 3,
            "L": len(shapes),
            "U": sum(int(torch.Size(shape).numel()) for shape in shapes),
            "M": sum(shape[0] for shape in shapes),
            "G": 3,
        }


def measured(line: str) -> tuple[int, int]:
    """Images that pass the network, and bytes of the file."""
    passed = 0

    def count(module: nn.Module, inputs: Any) -> None:
        nonlocal passed
        passed += len(inputs[0]) if isinstance(module, nn.Conv2d) else 0  # it has one

    hook = nn.modules.module.register_module_forward_pre_hook(count)
    try:
        assert invoke(f"{line} --threads 1 -q --overwrite -o out.h5") == 0
    finally:
        hook.remove()
    return passed, Path("out.h5").stat().st_size


@pytest.mark.parametrize("name", LINES)
def test_each_image_costs_what_the_page_says(name: str, letters: dict[str, int]) -> None:
    found = [measured(f"{LINES[name]} --limit {count}") for count in SIZES]
    passes, size = ((b - a) / (SIZES[1] - SIZES[0]) for a, b in zip(*found, strict=True))
    told_passes, told_size = rows()[name][:2]
    own = {**letters, **LETTERS.get(name, {})}
    assert passes == pytest.approx(value(told_passes, own), rel=0.01)
    assert size == pytest.approx(value(told_size, own), rel=0.01, abs=0.5)
