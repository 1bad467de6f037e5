"""What a network from elsewhere comes with: weights that are on this machine already, and the input that they want.

Nothing is downloaded here. torchvision keeps weights in `torch.hub.get_dir()`, timm in the cache of huggingface_hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import nn

from invtool.errors import UsageError
from invtool.models import architectures
from invtool.models.normalization import PER_IMAGE, per_channel


@dataclass(frozen=True)
class Preprocessing:
    """The input that a network wants, as far as it tells.

    Attributes:
        input: channels, height and width (pixels).
        normalization: a model file's entry, see `normalization`.
    """

    input: tuple[int, int, int] | None = None
    normalization: dict[str, Any] | None = None


def cached(name: str, module: nn.Module) -> Path | None:
    """Find the weights of the network `name` on this machine; None for the user's own, which brings its own.

    Raises:
        UsageError: there are none.
    """
    if name.startswith("py:"):
        return None
    torchvision = name.startswith("torchvision:")
    found = _torchvision_file(name) if torchvision else _timm_file(module)
    if found is None:
        raise UsageError(
            f"the weights of {name} are not on this machine, and invtool does not download; give --weights FILE or --untrained"
        )
    return found


def preprocessing(name: str, module: nn.Module) -> Preprocessing:
    """The input that the network `name`, built as `module`, wants."""
    if name.startswith("torchvision:"):
        return _told(*_torchvision_input(name))
    if name.startswith("timm:"):
        config = getattr(module, "pretrained_cfg", {})
        return _told(config.get("input_size"), config.get("mean"), config.get("std"))
    told = _told(*(getattr(module, key, None) for key in ("input_size", "mean", "std")))
    ours = architectures.is_built_in(name)
    standardizes = ours or getattr(module, "normalization", None) == "per-image"
    if told.normalization is None and standardizes:
        return Preprocessing(told.input, PER_IMAGE)
    return told


def _told(size: Any, mean: Any, std: Any) -> Preprocessing:
    """From attributes that may be absent, or mean something else: a buffer named `mean` normalizes inside the network."""
    if isinstance(size, int):
        size = (3, size, size)
    shape = tuple(size) if isinstance(size, (tuple, list)) and len(size) == 3 else None
    known = all(isinstance(values, (tuple, list)) for values in (mean, std))
    return Preprocessing(shape, per_channel(mean, std, shape[0] if shape else 3) if known else None)


def _torchvision_weights(name: str) -> list[Any]:
    """The weights that torchvision knows for a network, its default first."""
    from torchvision import models

    known = models.get_model_weights(name.removeprefix("torchvision:"))
    return [known.DEFAULT, *known]


def _torchvision_file(name: str) -> Path | None:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = (folder / Path(urlparse(w.url).path).name for w in _torchvision_weights(name))
    return next((file for file in files if file.is_file()), None)


def _torchvision_input(name: str) -> tuple[Any, Any, Any]:
    recipe = _torchvision_weights(name)[0].transforms()
    return recipe.crop_size[0], recipe.mean, recipe.std


def _timm_file(module: nn.Module) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    hub = getattr(module, "pretrained_cfg", {}).get("hf_hub_id")
    found = try_to_load_from_cache(hub, "model.safetensors") if hub else None
    return Path(found) if isinstance(found, str) else None
