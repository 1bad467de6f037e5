"""Networks that belong together: the checkpoints of one training, and the seeds of one recipe.

A checkpoint is a whole model file whose metadata tells its `step`. Nothing here needs torch.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from invtool.errors import InvtoolError
from invtool.files import models, streams

SUFFIXES = (".st", ".safetensors")
WHOLE = -1  # step of a file that is no checkpoint


def expand(paths: Sequence[Path]) -> list[Path]:
    """The paths, each folder replaced by its model files, by step and then by name.

    Raises InvtoolError for what is not there, and for a folder that holds no model file.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += _inside(path)
        else:
            streams.check_source(path)
            found.append(path)
    return found


def _inside(folder: Path) -> list[Path]:
    files = [path for path in folder.iterdir() if path.suffix in SUFFIXES and _is_whole(path.stem)]
    if not files:
        raise InvtoolError(f"{folder}: no model file in this folder; .st or .safetensors is wanted")
    return sorted(files, key=lambda path: (step_of(models.read_metadata(path)), path.name))


def _is_whole(stem: str) -> bool:
    """Whether the name is neither hidden nor that of an unfinished training's state."""
    return not stem.startswith(".") and not stem.endswith(".checkpoint")


def step_of(metadata: Mapping[str, Any]) -> int:
    """Training step of a checkpoint; `WHOLE` where the file is none.

    >>> step_of({"step": 100}), step_of({"data": "faces"})
    (100, -1)
    """
    step = metadata.get("step")
    return step if isinstance(step, int) and step >= 0 else WHOLE


def label_of(metadata: Mapping[str, Any], name: str) -> str:
    """What a network is, in a few words that the seeds of one recipe share: a plot bands those.

    `name` stands for the network where its file does not say.

    >>> label_of({"architecture": {"name": "blocks:filters=16"}, "data": "runs/photos.h5",
    ...           "init_smooth": 1.0}, "a.st")
    'blocks:filters=16, photos.h5, init-smooth 1'
    >>> label_of({"architecture": {"name": "blocks"}, "data": "faces:size=16", "transform": "blur",
    ...           "seen": [0, 3], "run": {"random_labels": True}}, "a.st")
    'blocks, faces:size=16, 2 seen with blur, random labels'
    >>> label_of({}, "a.st")
    'a.st'
    """
    architecture = metadata.get("architecture")
    if not isinstance(architecture, Mapping) or not architecture.get("name"):
        return name
    run = metadata.get("run")
    run = run if isinstance(run, Mapping) else {}
    data, seen = str(metadata.get("data") or ""), metadata.get("seen")
    sigma = metadata.get("init_smooth")
    parts = [
        str(architecture["name"]),
        Path(data).name if "/" in data and ":" not in data else data,
        *(f"{key} {metadata[key]}" for key in ("pool", "antialias") if metadata.get(key)),
        f"{len(seen)} seen with {metadata['transform']}"
        if metadata.get("transform") and isinstance(seen, list)
        else "",
        f"init-smooth {sigma:g}" if isinstance(sigma, int | float) and sigma else "",
        "random labels" if run.get("random_labels") else "",
    ]
    return ", ".join(part for part in parts if part)


def telling(labels: Sequence[str]) -> list[str]:
    """Each label without the parts that all have; its first part where no other is left.

    Of `key=word` the word is enough.

    >>> telling(["blocks:filters=16, faces", "blocks:filters=16,downsampling=strided, faces"])
    ['blocks', 'strided']
    >>> telling(["deformed:strength=1", "deformed:strength=2"])
    ['strength=1', 'strength=2']
    """
    parts = [re.split(r"[:,]\s*", label) for label in labels]
    shared = set.intersection(*map(set, parts)) if len(set(labels)) > 1 else set()
    own = [[part for part in each if part not in shared] or each[:1] for each in parts]
    words = [", ".join(re.sub(r"^[^=]*=(?=[^\d.-])", "", part) for part in each) for each in own]
    return words if shared and len(set(words)) == len({*labels}) else list(labels)


def common(labels: Sequence[str]) -> str:
    """The parts that `telling` leaves out.

    >>> common(["blocks:filters=16, faces", "blocks:filters=16,downsampling=strided, faces"])
    'blocks, filters=16, faces'
    """
    parts = [re.split(r"[:,]\s*", label) for label in labels]
    return ", ".join(part for part in parts[0] if all(part in each for each in parts))


def names(keys: Sequence[tuple[str, int]]) -> list[str]:
    """Each label and step without what all have.

    >>> names([("blocks, faces", 0), ("blocks, faces", 100)])
    ['step 0', 'step 100']
    >>> names([("blocks, faces", WHOLE), ("blocks, objects", WHOLE)])
    ['faces', 'objects']
    """
    labels = telling([label for label, _ in keys])
    if len({step for _, step in keys}) == 1:
        return labels
    alone = len(set(labels)) == 1
    told = [f"step {step}" if step != WHOLE else "" for _, step in keys]
    pairs = [
        ("" if alone and step else label, step) for label, step in zip(labels, told, strict=True)
    ]
    return [", ".join(part for part in pair if part) for pair in pairs]
