"""How a file came to be: a chain of steps, each naming the ones before it, as in SAM's @PG lines."""

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from invtool import __version__, ranks
from invtool.errors import InvtoolError

Steps = list[dict[str, Any]]
recording = True  # --no-provenance clears it
sources: list[str] = []  # paths, `-` among them, that are being read and ...
targets: list[str] = []  # ... written now: what tells which commands were joined by a pipe


def step(
    *, config: Mapping[str, Any], inputs: Sequence[Steps] = (), device: str | None = None
) -> Steps:
    """The inputs' steps, each once, and last this one; empty where --no-provenance asks for none.

    `device` is where it ran; the default is what the configuration asks for.
    """
    if not recording:
        return []
    before = {s["id"]: s for steps in inputs for s in steps}
    name = sys.argv[1] if len(sys.argv) > 1 else "python"
    ident = _identity(name, config, [steps[-1]["id"] for steps in inputs if steps])
    this = {
        "id": ident,
        "previous": [steps[-1]["id"] for steps in inputs if steps],
        "version": __version__,
        "command": shlex.join(["invtool", *sys.argv[1:]]),
        "reads": list(sources),
        "writes": list(targets),
        "config": json.loads(json.dumps(dict(config), default=str)),
        "time": now(),
        "python": platform.python_version(),
        "torch": getattr(sys.modules.get("torch"), "__version__", None),
        "device": device or config.get("device"),
        **({"ranks": ranks.size} if ranks.size > 1 else {}),
    }
    return [*(s for s in before.values() if s["id"] != ident), this]


def _identity(name: str, config: Mapping[str, Any], previous: Sequence[str]) -> str:
    """A name that tells steps apart: the command, and a digest of what it was told and given."""
    import hashlib

    told = json.dumps([name, sys.argv[1:], dict(config), list(previous), now()], default=str)
    return f"{name}.{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def now() -> str:
    """UTC, to the second; SOURCE_DATE_EPOCH fixes it, so that a rerun writes the same bytes."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        when = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    except (ValueError, OverflowError):
        raise InvtoolError(f"SOURCE_DATE_EPOCH={epoch}: a number of seconds is wanted") from None
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_chain(steps: object) -> bool:
    """Whether it looks like what `step` returns, so that a foreign file cannot break a reader."""
    return isinstance(steps, list) and all(
        isinstance(s, dict) and all(isinstance(s.get(k), str) for k in ("id", "time", "command"))
        for s in steps
    )


def history(steps: Steps) -> str:
    """The CF `history` attribute: a line a step, the newest first."""
    return "\n".join(f"{s['time']}: {s['command']}" for s in reversed(steps))
