"""A paper as a workflow: the settings of its scale, Snakemake, and what a plan costs."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from invtool.config import Reproduce
from invtool.data import specs
from invtool.errors import InvtoolError, UsageError
from invtool.files import messages, tables
from invtool.stages import _studies
from invtool.stages.demo import environment

SETTINGS = "settings.json"
PAGE = "index.html"
# Resources of a job, as studies/common.smk has them, and what the plan calls them.
COSTS = {"trained": "images trained on", "shown": "forward passes"}
# Options of Snakemake that say how many jobs run at once, in place of all cores.
PLACES = ("--cores", "-c", "--jobs", "-j", "--executor", "-e", "--profile")
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)*)", re.MULTILINE)
GRACE = 60.0  # seconds that Snakemake has for ending its jobs


def run(config: Reproduce, folder: Path) -> None:
    """Run what is missing of the workflow in `folder`.

    Raises InvtoolError where a job fails, or where another run is at work in the folder.
    """
    folder.mkdir(exist_ok=True)
    with _alone(folder):
        _settle(settings(config), folder)
        code = _watched(_snakemake(config, folder))
    if code:
        raise InvtoolError(
            f"the workflow in {folder} is not through; {folder / 'logs'} tells why, and the same "
            "line goes on with it"
        )
    if (folder / PAGE).exists():
        messages.note(f"{folder / PAGE} is whole")


def plan(config: Reproduce, folder: Path) -> str:
    """A table of the jobs that are still to run, and of what they cost; it leaves no file.

    Raises InvtoolError where Snakemake finds no plan.
    """
    with tempfile.TemporaryDirectory(prefix="invtool-") as empty:
        place = folder if (folder / SETTINGS).exists() else Path(empty)
        _settle(settings(config), place)
        command = [*_snakemake(config, place), "--dry-run", "--quiet", "host"]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    told = done.stdout + done.stderr
    if done.returncode:
        raise InvtoolError(f"Snakemake finds no plan: {told.strip()}")
    return tables.text(costs(told), title=f"{config.study}, {config.scale}: to be run")


def costs(told: str) -> list[dict[str, str | int]]:
    """A row for each rule, and one for all, of what a dry run of Snakemake told."""
    rules: dict[str, Counter[str]] = {}
    for rule, job in JOB.findall(told):
        if rule != "all":
            resources = re.findall(r"\b(\w+)=(\d+)", job)
            sums = Counter({name: int(number) for name, number in resources if name in COSTS})
            rules[rule] = rules.get(rule, Counter()) + sums + Counter(jobs=1)
    rules["all"] = sum(rules.values(), Counter())
    return [
        {"rule": rule, "jobs": sums["jobs"], **{words: sums[name] for name, words in COSTS.items()}}
        for rule, sums in rules.items()
    ]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: by a lock that dies with its process, where Snakemake's outlives it."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InvtoolError(f"another invtool reproduce is at work in {folder}") from None
        yield


def _settle(told: dict[str, Any], folder: Path) -> None:
    """Write the settings of the workflow; a folder keeps those that it began with."""
    path = folder / SETTINGS
    held = json.loads(path.read_text()) if path.exists() else told
    if held != told:
        raise InvtoolError(
            f"{folder} holds {held['study']} of --scale {held['scale']} with --data {held['data']}, "
            "or of another invtool; give another -o"
        )
    path.write_text(json.dumps(told, indent=1) + "\n")


def settings(config: Reproduce) -> dict[str, Any]:
    """What the workflow is told: the values of the scale, the data, and how much of it there is."""
    values = _studies.read(config.study)[config.scale]
    if not (config.data or values["data"]):
        raise UsageError(
            f"{config.study} at --scale {config.scale} is of photographs of your own; give --data, as "
            "folder:photos,numbered=1"
        )
    data = specs.parse(config.data or values["data"])
    if data.path:
        data = replace(data, path=str(Path(data.path).absolute()))
    told = {"data": str(data), "images": _studies.count(data)}
    return {"study": config.study, "scale": config.scale, **values, **told}


def _snakemake(config: Reproduce, folder: Path) -> list[str]:
    """The command line of Snakemake; what the user gave comes last, and so wins."""
    told = any(_is_one_of(option, PLACES) for option in config.options)
    return [
        *(sys.executable, "-m", "snakemake"),
        *("--snakefile", str(_studies.workflow(config.study))),
        *("--directory", str(folder)),
        # An output is whole or absent, so what is there is kept, however its job ended.
        *("--nolock", "--keep-incomplete", "--ignore-incomplete", "--show-failed-logs"),
        *([] if told else ["--cores", "all"]),
        *(["--quiet", "all"] if messages.quiet else ["--quiet", "host", "rules", "reason"]),
        *config.options,
    ]


def _is_one_of(option: str, names: Sequence[str]) -> bool:
    """Whether it is among the names, as `-j`, `-j4`, `--jobs` or `--jobs=4`."""
    name = option.partition("=")[0] if option.startswith("--") else option[:2]
    return name in names


def _watched(command: Sequence[str]) -> int:
    """Run Snakemake; where this process is to end, so do its jobs, which keep what they can."""
    with subprocess.Popen(command, env=environment(), start_new_session=True) as running:
        try:
            return running.wait()
        except BaseException:
            os.killpg(running.pid, signal.SIGTERM)
            running.send_signal(signal.SIGINT)  # which calls back jobs on other machines
            try:
                running.wait(GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
            raise
