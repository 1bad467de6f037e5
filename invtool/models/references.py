"""How the command line names a network, read without importing torch.

model.st, model.safetensors, -     a file that tells its own architecture, or the same on standard input
blocks, alexnet, ...               a network of invtool
torchvision:NAME, timm:NAME        theirs
py:MODULE:CALLABLE                 the user's own: MODULE in the current folder or installed, CALLABLE() an nn.Module
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invtool.errors import UsageError
from invtool.files import formats, models, streams
from invtool.models import architectures

WEIGHTS_ONLY = frozenset({".pth", ".pt", ".ckpt", ".bin", ".tar"})  # suffixes of bare parameters
PYTHON = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<callable>[^\W\d]\w*)")


@dataclass(frozen=True)
class Reference:
    """A network that was named.

    Attributes:
        text: as the user wrote it.
        path: of a model file, `-` for standard input; None for a network named by its architecture.
    """

    text: str
    path: Path | None = None


def parse(text: str) -> Reference:
    """Understand a model reference, and refuse what cannot work before anything slow is imported.

    Raises:
        UsageError: no such network, or one that is written wrongly.
        InvtoolError: a file that is not there or not readable.

    Examples:
        >>> parse("blocks")
        Reference(text='blocks', path=None)
        >>> parse("torchvision:")
        Traceback (most recent call last):
        ...
        invtool.errors.UsageError: 'torchvision:' is not of the form torchvision:NAME
    """
    for prefix, form in architectures.PREFIXES.items():
        if text.startswith(prefix):
            _check_foreign(text, prefix, form)
            return Reference(text)
    if architectures.is_built_in(text):
        architectures.split(text)
        return Reference(text)
    path = Path(text)
    if not (path.exists() or path.suffix or path.name != text or path == streams.STDIO):
        architectures.check_name(text)
    streams.check_source(path)
    if path.suffix in WEIGHTS_ONLY:
        check_architecture(text, {})
    return Reference(text, path)


def check(
    reference: Reference,
    *,
    weights: Path | None = None,
    untrained: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> None:
    """Refuse options that cannot make a network of this reference.

    Raises:
        UsageError: options that exclude or need each other, or a file without an architecture.
        InvtoolError: a file that is not there, not readable or damaged.
    """
    if (mean is None) != (std is None):
        raise UsageError("--mean and --std go together")
    if weights is not None and untrained:
        raise UsageError("--weights and --untrained exclude each other")
    if weights is not None:
        streams.check_source(weights)
    if weights is not None and reference.path is not None:
        raise UsageError(
            f"{reference.text} has weights of its own; --weights is for a network named by its architecture"
        )
    named_alone = architectures.is_built_in(reference.text)
    if named_alone and weights is None and not untrained:
        raise UsageError(
            f"'{reference.text}' has no weights of its own; give --weights FILE or --untrained"
        )
    if reference.path is not None and reference.path.is_file():  # a pipe is read only once
        check_architecture(reference.text, models.read_metadata(reference.path))


def check_architecture(label: str, metadata: Mapping[str, Any]) -> None:
    """Refuse a file that holds weights alone.

    Raises:
        UsageError: the metadata names no architecture.
    """
    if metadata.get("invtool_kind") == formats.CONTROLLERS:
        raise UsageError(
            f"{label} holds controllers of invtool itn, not a network; they are for --transform itn:{label}"
        )
    if "architecture" not in metadata:
        raise UsageError(
            f"{label} holds weights but not the network they belong to;"
            f" name the network, and add --weights {label}"
        )


def _check_foreign(text: str, prefix: str, form: str) -> None:
    name = text.removeprefix(prefix)
    match = PYTHON.fullmatch(name)
    if not name or (prefix == "py:" and match is None):
        raise UsageError(f"'{text}' is not of the form {form}")
    if prefix == "py:" and match is not None and not _importable(match["module"]):
        raise UsageError(
            f"{text}: there is no module {match['module']} in {Path.cwd()} or installed"
        )


def _importable(module: str) -> bool:
    """Whether the outermost package of `module` exists; to look further would run it."""
    outermost = module.partition(".")[0]
    if _is_here(outermost) or outermost in sys.modules:
        return True
    return importlib.util.find_spec(outermost) is not None


def _is_here(package: str) -> bool:
    here = Path.cwd() / package
    return here.is_dir() or here.with_suffix(".py").is_file()


def check_own_code(label: str, architecture: str) -> None:
    """Refuse to run code because a file says so, unless it lies in the current folder: a file may come from anybody.

    Raises:
        UsageError: the architecture is a `py:` one from elsewhere.
    """
    package = re.split(r"[.:]", architecture.removeprefix("py:"))[0]
    if architecture.startswith("py:") and not _is_here(package):
        raise UsageError(
            f"{label} asks to run {architecture}, which is not in the current folder;"
            f" if you trust it, name {architecture} yourself and add --weights {label}"
        )
