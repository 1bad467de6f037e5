"""Run every benchmark of this folder, one after the other: `python tests/bench [--quick] [NAME...]`.

One that fails says so, costs its own tables only, and makes the exit status 1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def main() -> int:
    names = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="only see that they run; no figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every turn's value there")
    parser.add_argument("--threads", type=int, metavar="N", help="of torch and of OpenMP")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(names):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    options = ["--quick"] * asked.quick
    if asked.threads:
        options += ["--threads", str(asked.threads)]
    kept = {name: run(name, options) for name in asked.names or names}
    if asked.json:
        asked.json.write_text(json.dumps(kept, indent=1) + "\n")
    failed = [name for name, result in kept.items() if result is None]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return int(bool(failed))


def run(name: str, options: list[str]) -> dict[str, Any] | None:
    """What the benchmark kept; None if it failed."""
    print(f"\n== {name} ==", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.json"
        script = FOLDER / f"bench_{name}.py"
        subprocess.run([sys.executable, str(script), *options, "--json", str(kept)])
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
        result: dict[str, Any] | None = json.loads(kept.read_text()) if kept.exists() else None
    return result


if __name__ == "__main__":
    sys.exit(main())
