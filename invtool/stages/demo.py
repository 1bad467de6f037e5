"""The across-category story as a shell session: data, three networks, their invariance, a figure."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from invtool.config import Demo
from invtool.errors import InvtoolError
from invtool.files import hdf5

FIGURE = "invariance.png"
MUCH = 0.1  # of accuracy


def run(config: Demo, folder: Path) -> None:
    """Run the commands in `folder`, printing each, and say what the figure shows.

    Raises InvtoolError if one of them fails.
    """
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    print(f"$ cd {shlex.quote(str(folder))}", flush=True)
    for command in _commands(config):
        print(f"$ {command}", flush=True)
        if subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment()
        ).returncode:
            raise InvtoolError(f"this command failed: {command}")
    results = [_Result.read(folder / f"{seen}.h5") for seen in config.seen]
    print(f"\n{folder / FIGURE} shows, after {time.monotonic() - began:.0f} s:")
    print("\n".join(f"  {line}" for line in story(config, results)))


def _commands(config: Demo) -> Iterator[str]:
    seen = " ".join(f"--seen {count}" for count in config.seen)
    told = shlex.quote(config.transform)
    data = f"faces:categories={config.categories}"
    yield f"invtool transform {told} --data {data} --limit 6 -o images.png --overwrite"
    yield (
        f"invtool train --data {data} --network {config.network} --transform {told} {seen} "
        f"--epochs {config.epochs} --seed {config.seed} -o networks --overwrite"
    )
    files = []
    for count in config.seen:
        model = f"networks/seen{count}-seed{config.seed}.st"
        files.append(f"{count}.h5")
        yield (
            f"invtool activations {model} --layer penultimate | "
            f"invtool invariance -o {files[-1]} --overwrite"
        )
    yield f"invtool plot {' '.join(files)} -o {FIGURE} --overwrite"


def environment() -> dict[str, str]:
    """The environment, with this very invtool first on the path."""
    here = Path(sys.executable).parent
    return {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}"}


class _Result(NamedTuple):
    """What one network came to."""

    within: float
    across: float
    seen: float  # median I_k on images of seen categories
    unseen: float

    @classmethod
    def read(cls, path: Path) -> "_Result":
        with hdf5.open(path, ["invariance"]) as file:
            accuracy = file.array("accuracy")[1]
            values = file.array(f"layers/{file.layers()[-1]}/invariance")[0]
            medians = [_median(group) for group in values]
            return cls(accuracy[1], accuracy[2], medians[1], medians[2])


def _median(values: np.ndarray) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


def story(config: Demo, results: Sequence[_Result]) -> list[str]:
    """Three sentences: robustness, invariance, and whether the one comes with the other."""
    counts = " / ".join(map(str, config.seen))
    across = " / ".join(f"{100 * r.across:.0f}" for r in results)
    unseen = " / ".join(f"{r.unseen:.2f}" for r in results)
    few = results[1]
    apart = max(abs(r.seen - r.unseen) for r in results[1:])
    verdict = (
        "much of that robustness is not invariance"
        if few.within - few.across > MUCH
        else "it carries over"
    )
    robust = (
        f"With {counts} of {config.categories} faces seen transformed, the accuracy on transformed "
        f"images of the unseen ones is {across} %."
    )
    invariant = (
        f"The median invariance I_k of the penultimate layer on them is {unseen}, within "
        f"{apart:.2f} of that on the seen ones."
    )
    cause = (
        f"With {config.seen[1]} seen, accuracy is {100 * few.within:.0f} % on the seen and "
        f"{100 * few.across:.0f} % on the unseen: {verdict}."
    )
    return [robust, invariant, cause]
