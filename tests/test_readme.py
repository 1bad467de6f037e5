"""What the README shows works: its command lines are understood, and its Python runs."""

import re
import shlex
from pathlib import Path

import pytest

from invtool.cli._app import load_all

README = (Path(__file__).parent.parent / "README.md").read_text()
COMMANDS = {str(command.name): command for command in load_all()}
LINES = [
    part.strip()
    for line in re.findall(r"^    (?:\$ )?(.*\binvtool .*)$", README, re.MULTILINE)
    for part in re.split(r"\||&&|;|\bdo\b|#", line)
    if part.strip().startswith("invtool ")
]


def test_there_are_lines_to_check() -> None:
    assert len(LINES) > 15


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_is_understood(line: str) -> None:
    name, *words = shlex.split(line)[1:]
    known = {option for p in COMMANDS[name].params for option in p.opts}
    assert {word for word in words if word.startswith("-") and word != "-"} <= known | {"--help"}


def test_the_python_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    told: dict[str, object] = {}
    exec(block, told)
    score = told["score"]
    assert getattr(score, "shape", None) == (3, 8, 14, 14)


def test_every_command_is_listed() -> None:
    listed = set(re.findall(r"`([a-z]+)`", README.split("## Commands")[1].split("\n\n")[1]))
    assert listed == set(COMMANDS)
