"""The data sets that invtool draws itself, cached between runs."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invtool.data import drawing, faces, objects
from invtool.data.sets import TEST, TRAIN, ImageSet
from invtool.data.specs import DataSpec
from invtool.errors import InvtoolError
from invtool.files import hdf5, messages, streams

DRAWERS: dict[str, ModuleType] = {"faces": faces, "objects": objects}


def draw_set(spec: DataSpec) -> ImageSet:
    """Each category's training examples, then its test examples; from the cache where it has them."""
    options = spec.options
    names = DRAWERS[spec.name].category_names(options["categories"], seed=options["seed"])
    per = options["train"] + options["test"]
    label = np.repeat(np.arange(options["categories"]), per)
    example = np.tile(np.arange(per), options["categories"])
    split = np.where(example < options["train"], TRAIN, TEST).astype(np.uint8)
    image = _cached(spec, label, example)
    return ImageSet(image, label, split, names, str(spec))


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/invtool, or ~/.cache/invtool."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(cache) / "invtool"


def _cached(spec: DataSpec, label: NDArray[Any], example: NDArray[Any]) -> NDArray[np.uint8]:
    # A cache that cannot be had only costs time; a user without a home has none (RuntimeError).
    with suppress(OSError, RuntimeError, InvtoolError), hdf5.open(_path(spec), ["images"]) as file:
        image: NDArray[np.uint8] = file.view("image")
        if len(image) == len(label):
            return image
    with messages.working(f"drawing {len(label)} {spec.name}"):
        image = DRAWERS[spec.name].draw(
            label, example, size=spec.options["size"], seed=spec.options["seed"]
        )
    with suppress(OSError, RuntimeError):
        path = _path(spec)
        path.parent.mkdir(parents=True, exist_ok=True)
        with streams.writing(path) as partial, hdf5.create(partial, "images", []) as out:
            out.array("image", image, ("image", "channel", "height", "width"))
            out.array("label", label, ("image",))
    return image


def _path(spec: DataSpec) -> Path:
    """Changes with the options and with the code that draws."""
    code = [Path(str(m.__file__)).read_bytes() for m in (DRAWERS[spec.name], drawing)]
    told = repr((spec.name, sorted(spec.options.items()))).encode()
    digest = hashlib.sha256(b"".join([told, *code])).hexdigest()[:16]
    return cache_folder() / f"{spec.name}-{digest}.h5"
