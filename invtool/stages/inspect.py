"""What a file holds and how it was made, as facts (`describe`) and as text for people (`text`)."""

import json
import shlex
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any

from invtool.files import formats, hdf5, models, streams
from invtool.files.provenance import Steps

SHOWN = 5  # of a long list
WORDS = 12  # at most, of a text array that is shown whole
INTERNAL = ("invtool_kind", "invtool_format", "provenance", "history", hdf5.ORDER)
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # state that is not trained
GAP = "  "


def run(path: Path, form: str) -> str:
    """What the file holds as `text` or `json`, or the `commands` that made it, a line each."""
    what = describe(path)
    if form == "json":
        return json.dumps(what, indent=2, default=str)
    return "\n".join(commands(what["provenance"])) if form == "commands" else text(what)


def describe(path: Path) -> dict[str, Any]:
    """Kind, format, size, facts, arrays and provenance of an HDF5 or safetensors file.

    Reads no array but short lists of words. Raises InvtoolError for a file that is neither, or broken.
    """
    what = _describe_model(path) if models.is_model(path) else _describe_hdf5(path)
    return {"file": streams.label(path), "bytes": path.stat().st_size, **what}


def _describe_hdf5(path: Path) -> dict[str, Any]:
    with hdf5.open(path) as file:
        return {
            "kind": file.kind,
            "format": file.attribute("invtool_format", formats.FORMAT),
            "facts": {n: file.attribute(n) for n in file.file.attrs if n not in INTERNAL},
            "arrays": [_describe_array(file, name) for name in _names(file)],
            "provenance": file.steps,
        }


def _names(file: hdf5.Reader) -> list[str]:
    """Arrays as the format lists them, layers from input to output, then what else there is."""
    contract = formats.KINDS[file.kind]
    plain = [array.path for array in contract if "*" not in array.path]
    leaves = [array.path.rpartition("/")[2] for array in contract if "*" in array.path]
    names = plain + [f"layers/{layer}/{leaf}" for layer in file.layers() for leaf in leaves]
    return list(dict.fromkeys([*(name for name in names if name in file), *file.names()]))


def _describe_array(file: hdf5.Reader, name: str) -> dict[str, Any]:
    dataset = file.dataset(name)
    contract = {array.path: array for array in formats.KINDS[file.kind]}
    known = contract.get(formats.pattern(name))
    dims = file.dims(name)
    if known and not all(dims):  # made elsewhere: the contract knows what its axes are
        fixed = [dim for dim in known.dims if dim != formats.UNITS]
        fixed = ["network"] * (known.networks and dataset.ndim > len(fixed)) + fixed
        dims = (*fixed, *formats.UNIT_AXES.get(dataset.ndim - len(fixed), ()))
    words = dataset.dtype.kind == "O" and dataset.ndim == 1 and dataset.size <= WORDS
    return {
        "name": name,
        "dtype": "text" if dataset.dtype.kind == "O" else str(dataset.dtype),
        "shape": list(dataset.shape),
        "dims": list(dims),
        "units": _text(dataset.attrs.get("units", "")),
        "long_name": _text(dataset.attrs.get("long_name", "")) or (known.text if known else ""),
        **({"values": file.array(name).tolist()} if words else {}),
    }


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _describe_model(path: Path) -> dict[str, Any]:
    facts = models.read_metadata(path)
    header = models.read_header(path)
    return {
        "kind": facts.get("invtool_kind", "tensors"),
        "format": facts.get("invtool_format"),
        "facts": {
            key: facts[key]
            for key in dict.fromkeys([*formats.MODEL, *formats.MODEL_OPTIONAL, *facts])
            if key in facts and key not in (*INTERNAL, *models.PLAIN)
        },
        "arrays": [
            {"name": name, "dtype": tensor["dtype"], "shape": tensor["shape"]}
            for name, tensor in header.items()
            if name != "__metadata__"
        ],
        "provenance": models.steps_of(facts),
    }


def commands(steps: Steps) -> list[str]:
    """The shell lines that made the file, oldest first; what was piped is joined by `|`."""
    return [_line(pipe) for pipe in _pipes(steps)]


def _pipes(steps: Steps) -> list[Steps]:
    """The steps of each shell line."""
    lines: dict[str, Steps] = {}  # by the id of the line's last step
    for step in steps:
        previous = (s for s in steps if s["id"] in step.get("previous", ()))
        upstream = next((s["id"] for s in previous if _piped(s, step) and s["id"] in lines), "")
        lines[step["id"]] = [*lines.pop(upstream, []), step]
    return list(lines.values())


def _piped(first: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    return "-" in first.get("writes", ()) and "-" in then.get("reads", ())


def _line(pipe: Steps) -> str:
    return " | ".join(_safe(step["command"]) for step in pipe)


def _safe(command: str) -> str:
    """The command with each word quoted anew, so that no file smuggles another one in."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    return shlex.join(words) if words[:1] == ["invtool"] else f": {shlex.quote(command)}"


def text(what: Mapping[str, Any]) -> str:
    """The facts of `describe` for people, as wide as the terminal."""
    width = shutil.get_terminal_size((100, 24)).columns
    numbered = f", format {what['format']}" if what["format"] else ""
    lines = [f"{what['file']}: {what['kind']}{numbered}, {_bytes(what['bytes'])}", ""]
    lines += [*_rows(facts, width), ""] if (facts := _facts(what)) else []
    if what["kind"] in formats.KINDS:
        lines += ["Arrays", *_arrays(what["arrays"], width), *_layers(what["arrays"], width)]
    else:
        lines += ["Tensors", *_rows(_modules(what["arrays"]), width)]
    lines += _made_by(what["provenance"])
    return "\n".join("".join(c for c in line if c.isprintable()).rstrip() for line in lines)


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _facts(what: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = dict(what["facts"])
    categories = facts.get("categories")
    if isinstance(seen := facts.get("seen"), list) and isinstance(categories, list):
        facts["seen"] = f"{len(seen)} of {len(categories)} categories" + (
            f" ({_short(seen)})" if seen else ""
        )
    rows = [(name, line) for name, value in facts.items() for line in _fact(name, value)]
    if what["kind"] not in formats.KINDS:
        rows.append(("parameters", _parameters(what["arrays"])))
    return rows


def _fact(name: str, value: Any) -> Iterable[str]:
    match value, name:
        case {"name": str(), "arguments": dict(arguments)}, "architecture":
            yield f"{value['name']}({', '.join(f'{k}={v}' for k, v in arguments.items())})"
        case {"channels": c, "height": h, "width": w}, "input":
            yield f"channel {c} x height {h} x width {w}"
        case {"kind": str(kind), **rest}, "normalization":
            yield ", ".join([kind, *(f"{k} {_brief(v)}" for k, v in rest.items())])
        case {"rule": rule, "held_out": held, "images": count, "trials": list(trials)}, "search":
            yield f"{len(trials)} trials by {rule}, {held} of {count} training images held out"
            yield from map(_brief, trials[:SHOWN])
            if len(trials) > SHOWN:
                yield f"... (--json shows all {len(trials)})"
        case dict(), _:
            yield ", ".join(f"{k} {_brief(v)}" for k, v in value.items() if v is not None)
        case list(), _ if len(value) > SHOWN:
            yield f"{len(value)}: {_short(value)}"
        case "", _:
            yield "none"
        case _:
            yield _brief(value)


def _brief(value: Any) -> str:
    match value:
        case float():
            return f"{value:.4g}"
        case dict():
            return "(" + ", ".join(f"{k} {_brief(v)}" for k, v in value.items()) + ")"
        case list():
            return _short(value) if value else "none"
    return str(value)


def _short(values: list[Any]) -> str:
    return ", ".join(map(_brief, values[:SHOWN])) + (", ..." if len(values) > SHOWN else "")


def _parameters(tensors: list[dict[str, Any]]) -> str:
    trained = [t for t in tensors if not t["name"].endswith(STATISTICS)]
    count = sum(prod(t["shape"]) for t in trained)
    types = ", ".join(dict.fromkeys(t["dtype"] for t in trained))
    return f"{count:,} in {len(trained)} tensors ({types})"


def _rows(rows: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Two columns, the second wrapped under itself."""
    pairs = list(rows)
    left = min(max((len(name) for name, _ in pairs), default=0), width // 2)
    lines = []
    for name, told in pairs:
        start = GAP + name.ljust(left) + GAP
        indent = " " * (left + 2 * len(GAP))
        lines += textwrap.wrap(
            told, width, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False
        ) or [start]
    return lines


def _arrays(arrays: list[dict[str, Any]], width: int) -> list[str]:
    """A row for each array; one row stands for the arrays of that name in all layers."""
    rows = {formats.pattern(a["name"]): a for a in arrays}
    texts = {array.path: array.text for kind in formats.KINDS.values() for array in kind}
    lines = []
    for name, array in rows.items():
        dims = _dims(array)
        if "*" in name:  # the axes of a unit differ between layers
            dims = list(dict.fromkeys("unit..." if _is_unit(dim) else dim for dim in dims))
        head = [name, array["dtype"], " x ".join(dims)]
        unit = array["units"] if array["units"] not in ("", "1") else ""
        told = texts.get(name, "") if "*" in name else array["long_name"]
        told += f" [{unit}]" if unit else ""
        if "values" in array:
            told = f"{told.rstrip('.')}: {', '.join(map(str, array['values']))}"
        lines += textwrap.wrap(GAP.join(head), width, initial_indent=GAP, subsequent_indent=GAP * 2)
        lines += textwrap.wrap(told, width, initial_indent=GAP * 3, subsequent_indent=GAP * 3)
    return lines


def _dims(array: Mapping[str, Any]) -> list[str]:
    return [f"{d} {n}".strip() for d, n in zip(array["dims"], array["shape"], strict=False)]


def _is_unit(dim: str) -> bool:
    return dim.split(" ")[0] in {axis for axes in formats.UNIT_AXES.values() for axis in axes}


def _layers(arrays: list[dict[str, Any]], width: int) -> list[str]:
    """A row for each run of layers with the same units."""
    units: dict[str, str] = {}
    for array in arrays:
        if array["name"].startswith("layers/"):
            dims = " x ".join(filter(_is_unit, _dims(array)))
            layer = array["name"].removeprefix("layers/").rpartition("/")[0]
            units[layer] = dims or units.get(layer, "")
    if not units:
        return []
    runs = [(dims, list(group)) for dims, group in groupby(units, units.__getitem__)]
    title = f"Layers ({len(units)}, input to output)"
    return ["", title, *_rows([(dims, ", ".join(names)) for dims, names in runs], width)]


def _modules(tensors: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """A row for each module: its tensors and their shapes."""
    rows: dict[str, list[str]] = {}
    for tensor in tensors:
        module, _, leaf = tensor["name"].rpartition(".")
        if leaf not in STATISTICS:
            shape = " x ".join(map(str, tensor["shape"]))
            rows.setdefault(module, []).append(f"{leaf} {shape}".rstrip())
    return [(module, ", ".join(told)) for module, told in rows.items()]


def _made_by(steps: Steps) -> list[str]:
    if not steps:
        return ["", "Made by: not recorded"]
    lines = ["", "Made by"]
    for pipe in _pipes(steps):
        lines += [f"{GAP}# {_when(step)}" for step in pipe]
        lines.append(GAP + _line(pipe))
    return lines


def _when(step: Mapping[str, Any]) -> str:
    torch = step.get("torch") and f"torch {step['torch']}"
    facts = (step["time"], f"invtool {step.get('version', '?')}", torch, step.get("device"))
    return f"{step['id']}: {', '.join(str(fact) for fact in facts if fact)}"
