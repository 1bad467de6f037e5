"""Networks of torchvision, timm and the user's own code, with fresh weights."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from invtool.errors import UsageError
from invtool.files import messages


def torchvision_network(
    name: str, *, categories: int | None = None, channels: int = 3, **size: int
) -> nn.Module:
    """Build torchvision's network `name`; the size of the input does not change it.

    Raises:
        UsageError: torchvision has no such network, or the input is not three channels.
    """
    from torchvision import models

    if name not in models.list_models(module=models):
        near = _nearest(name, models.list_models(module=models))
        raise UsageError(f"torchvision has no network '{name}'{near}")
    if channels != 3:
        raise UsageError(f"torchvision:{name} takes images of 3 channels, not {channels}")
    given = {} if categories is None else {"num_classes": categories}
    if name in {"googlenet", "inception_v3"}:  # their auxiliary heads only serve training
        given |= {"aux_logits": False, "init_weights": True}
    network: nn.Module = models.get_model(name, weights=None, **given)
    return network


def timm_network(
    name: str, *, categories: int | None = None, channels: int = 3, **size: int
) -> nn.Module:
    """Build timm's network `name`.

    Raises:
        UsageError: timm is not installed, or has no such network.
    """
    try:
        import timm
    except ImportError as error:
        raise UsageError(
            f"timm:{name} needs the package timm; install it with: pip install 'invtool[timm]'"
        ) from error
    if not timm.is_model(name):
        raise UsageError(f"timm has no network '{name}'{_nearest(name, timm.list_models())}")
    given = {} if categories is None else {"num_classes": categories}
    network: nn.Module = timm.create_model(name, pretrained=False, in_chans=channels, **given)
    return network


def python_network(name: str, **arguments: int) -> nn.Module:
    """Import MODULE from the current directory or the path, and call CALLABLE of it.

    The callable gets those of categories, channels, height and width that it has parameters for.
    What it prints goes to standard error: a result may be on its way to standard output.

    Raises:
        UsageError: no such module or callable, or it gave something else than an nn.Module.
    """
    module_name, _, attribute = name.partition(":")
    _tell(module_name)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with redirect_stdout(sys.stderr):
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise UsageError(f"py:{name}: cannot import {module_name}: {error}") from error
        make = getattr(module, attribute, None)
        if not callable(make):
            raise UsageError(f"py:{name}: {module_name} has no callable '{attribute}'")
        network = make(**_accepted(make, arguments))
    if not isinstance(network, nn.Module):
        raise UsageError(f"py:{name} gave a {type(network).__name__}, wanted a torch.nn.Module")
    return network


@cache
def _tell(module_name: str) -> None:
    messages.note(f"py: runs your own code, module {module_name}")


def _accepted(make: Callable[..., Any], arguments: dict[str, int]) -> dict[str, int]:
    known = inspect.signature(make).parameters
    return {key: value for key, value in arguments.items() if key in known}


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f", nearest is '{near[0]}'" if near else ""


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "torchvision:": torchvision_network,
    "timm:": timm_network,
    "py:": python_network,
}
