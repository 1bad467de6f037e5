"""The state of an unfinished training, whole on disk at every moment.

Nothing random needs saving: every draw, dropout mask and noise is a function of the seed and the
step, so weights, momentum and the number of steps done are all that a run needs to go on.
Importing this module does not import torch: the command line asks where a checkpoint would lie.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from invtool.errors import InvtoolError
from invtool.files import models, streams
from invtool.files.provenance import Steps

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

WEIGHT, MOMENTUM = "weight.", "momentum."


def checkpoint_path(model: Path) -> Path:
    """Where the checkpoint of a model file lies: `a.st` has `a.checkpoint.st`."""
    return model.with_name(f"{model.stem}.checkpoint{model.suffix}")


def search_path(model: Path) -> Path:
    """Where the search of a run keeps its state: beside the model, or in the folder of several.

    >>> print(search_path(Path("a.st")))
    a.checkpoint.search/search.json
    """
    folder = model / "checkpoint" if model.is_dir() else checkpoint_path(model)
    return folder.with_suffix(".search") / "search.json"


def save(
    path: Path,
    module: nn.Module,
    optimizer: Optimizer,
    metadata: dict[str, Any],
    steps: Steps,
) -> None:
    tensors = {WEIGHT + name: tensor for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        buffer = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if buffer is not None:
            tensors[MOMENTUM + name] = buffer
    with streams.writing(path) as partial:
        models.save(partial, {k: t.detach().cpu() for k, t in tensors.items()}, metadata, steps)


def restore(path: Path, module: nn.Module, optimizer: Optimizer) -> None:
    """Put weights and momentum back where `save` took them.

    Raises InvtoolError if the file is not whole or belongs to another network.
    """
    tensors = models.load_tensors(path)
    weights = _under(WEIGHT, tensors)
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise InvtoolError(f"{path}: not of this network ({str(error).splitlines()[0]})") from None
    momentum = _under(MOMENTUM, tensors)
    for name, parameter in module.named_parameters():
        if name in momentum:
            buffer = parameter.detach().clone()  # of the same memory format, on the same device
            optimizer.state[parameter]["momentum_buffer"] = buffer.copy_(momentum[name])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
