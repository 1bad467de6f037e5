"""Parameters that were made elsewhere: reading them without running anybody's code, and fitting them into a network."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from invtool.errors import InvtoolError
from invtool.files import models, streams

SAFETENSORS = frozenset({".safetensors", ".st"})
ENVELOPES = ("state_dict", "model_state_dict", "model", "net", "params")
WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before each name


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read parameters by name from a safetensors file, or from one of torch.save, which may hold nothing but tensors.

    Raises:
        InvtoolError: no such file, a damaged one, or one that could run code if it were read.
    """
    streams.check_source(path)
    found = models.load_tensors(path) if path.suffix in SAFETENSORS else _unpickled(path)
    for key in ENVELOPES:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found:
        raise InvtoolError(f"{path} holds a {type(found).__name__}, wanted parameters by name")
    named = {_unwrapped(str(name)): value for name, value in found.items()}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvtoolError(
            f"{path} holds more than tensors, which could run code when read; where you trust it, convert it with: "
            f"python -c \"import torch, safetensors.torch as s; m = torch.load('{path}', 'cpu', weights_only=False); "
            f"s.save_file(m.get('state_dict', m), '{path.with_suffix('.safetensors')}')\""
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InvtoolError(f"{path} is damaged or not a file of torch.save: {error}") from error


def _unwrapped(name: str) -> str:
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def fill(module: nn.Module, weights: Mapping[str, Tensor], *, source: str) -> None:
    """Put `weights` into `module`, all of them and nothing else.

    The counters `num_batches_tracked`, which serve training only and which older files lack, are let be.

    Raises:
        InvtoolError: a parameter is missing, unknown, or of another shape.
    """
    wanted = {name: value.shape for name, value in module.state_dict().items()}
    missing = [name for name in wanted if name not in weights and not _counter(name)]
    unknown = [name for name in weights if name not in wanted and not _counter(name)]
    if missing or unknown:
        problems = [
            f"{verb} {_first_of(names)}"
            for verb, names in (("lacks", missing), ("has the unknown", unknown))
            if names
        ]
        raise InvtoolError(f"{source} does not fit this network: it {' and '.join(problems)}")
    for name, shape in wanted.items():
        if name in weights and weights[name].shape != shape:
            raise InvtoolError(
                f"{source} does not fit this network: '{name}' is {_by(weights[name].shape)}, wanted {_by(shape)}"
            )
    module.load_state_dict(
        {name: value for name, value in weights.items() if name in wanted}, strict=False
    )


def outputs(module: nn.Module, weights: Mapping[str, Tensor]) -> int | None:
    """How many categories `weights` tell apart: the length of what `module` names last; None where they lack it."""
    last = next(reversed(module.state_dict()), "")
    return len(weights[last]) if last in weights and weights[last].ndim else None


def _counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _first_of(names: list[str]) -> str:
    return f"'{names[0]}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _by(shape: torch.Size) -> str:
    return "x".join(map(str, shape)) or "a number"
